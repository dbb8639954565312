//! [`Directory`] on SQL: which connection and which transaction each of its calls gets.

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Sqlite, Transaction};

use super::answer::{Cell, cell};
use super::statement::failed;
use super::{Access, SqlDirectory, accounts_of, refuse_unchanged};
use crate::directory::{
    Capabilities, CheckReport, Controls, Current, Directory, DirectoryError, Forge, Replacement,
};
use crate::domain::credential::CredentialKind;
use crate::secret::replacement::Scheme;

/// Commits what went well; rolls everything else back.
async fn settle<T>(
    tx: Transaction<'_, Sqlite>,
    outcome: Result<T, DirectoryError>,
) -> Result<T, DirectoryError> {
    if outcome.is_ok() {
        tx.commit().await.map_err(|error| failed("COMMIT", &error))?;
    } else {
        // What made us stop is the answer; closing the connection undoes what a rollback can't.
        tx.rollback().await.ok();
    }
    outcome
}

#[async_trait]
impl Directory for SqlDirectory {
    async fn rehearsal_marker(&self) -> Result<Option<String>, DirectoryError> {
        let mut conn = self.connect(Access::Read).await?;
        let marker = marker(&mut conn).await;
        conn.close().await.ok();
        marker
    }

    async fn read(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        self.read_afresh(kind, accounts).await
    }

    async fn replace(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        let accounts = accounts_of(kind, rows);
        self.admit(accounts.iter().map(String::as_str))?;
        refuse_unchanged(rows)?;
        if rows.is_empty() {
            return Ok(0);
        }
        let mut conn = self.connect(Access::Write).await?;
        let mut tx = begin(&mut conn).await?;
        let outcome = self.write_on(&mut tx, kind, rows, &accounts, controls).await;
        let outcome = settle(tx, outcome).await;
        conn.close().await.ok();
        outcome
    }

    async fn end_sessions(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        self.admit(accounts.iter().map(String::as_str))?;
        if self.end.is_none() {
            return Err(DirectoryError::NotSet { key: "directory.sql.sessions.end".to_owned() });
        }
        if accounts.is_empty() {
            return Ok(0);
        }
        let mut conn = self.connect(Access::Write).await?;
        let mut tx = begin(&mut conn).await?;
        let outcome = self.write_on(&mut tx, kind, &[], accounts, controls).await;
        let outcome = settle(tx, outcome).await;
        conn.close().await.ok();
        outcome
    }

    async fn confirm(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        self.read_afresh(kind, accounts).await
    }

    async fn check(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        forge: Forge<'_>,
        controls: &Controls,
    ) -> Result<CheckReport, DirectoryError> {
        self.admit(accounts.iter().map(String::as_str))?;
        let mut conn = self.connect(Access::Write).await?;
        let mut tx = begin(&mut conn).await?;
        let report = self.check_on(&mut tx, kind, accounts, forge, controls).await;
        let undone = tx.rollback().await.map_err(|error| failed("ROLLBACK", &error));
        // Closing undoes what is still open, so that even a failed rollback leaves nothing.
        conn.close().await.ok();
        undone.and(report)
    }

    fn capabilities(&self) -> Capabilities {
        let change_time = self.kinds.iter().filter(|known| known.reads_change_time);
        // Sessions have no value to replace: ending and counting them is the kill.
        let sessions =
            (self.count.is_some() && self.end.is_some()).then_some(CredentialKind::Session);
        Capabilities {
            kinds: self.kinds.iter().map(|known| known.of).chain(sessions).collect(),
            change_time: change_time.map(|known| known.of).collect(),
            counts_sessions: self.count.is_some(),
            ends_sessions: self.ends_sessions,
            batch: self.batch,
        }
    }

    fn scheme(&self, kind: CredentialKind) -> Scheme {
        let known = self.kinds.iter().find(|known| known.of == kind);
        known.map_or(Scheme::Detect, |known| known.scheme)
    }
}

async fn begin(conn: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>, DirectoryError> {
    conn.begin_with("BEGIN IMMEDIATE").await.map_err(|error| failed("BEGIN", &error))
}

async fn marker(conn: &mut SqliteConnection) -> Result<Option<String>, DirectoryError> {
    let failed = |error: sqlx::Error| failed("the look-up of forthwith_rehearsal", &error);
    let there: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM sqlite_schema \
         WHERE lower(name) = 'forthwith_rehearsal' AND type IN ('table', 'view')",
    )
    .fetch_one(&mut *conn)
    .await
    .map_err(failed)?;
    if there == 0 {
        return Ok(None);
    }
    let rows = sqlx::query("SELECT database_id FROM forthwith_rehearsal LIMIT 2")
        .fetch_all(conn)
        .await
        .map_err(failed)?;
    match rows.as_slice() {
        [] => Ok(Some(String::new())),
        [row] => match cell(row, "database_id") {
            Cell::Text(id) => Ok(Some(id)),
            _ => Err(DirectoryError::Marker { what: "an id that is not text" }),
        },
        _ => Err(DirectoryError::Marker { what: "more than one row" }),
    }
}
