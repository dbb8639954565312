//! [`Directory`] on SQL: which connection and which transaction each of its calls gets.

use std::time::Duration;

use async_trait::async_trait;

use super::cell::Cell;
use super::connection::{Access, Conn};
use super::{Purpose, SqlDirectory};
use crate::directory::batch::{accounts_of, admit, refuse_unchanged};
use crate::directory::{
    Capabilities, CheckReport, Controls, Current, Directory, DirectoryError, Forge, Replacement,
};
use crate::domain::credential::CredentialKind;
use crate::secret::password::PasswordForm;
use crate::secret::replacement::{Scheme, SecretValue};

/// How often a transaction is made that somebody else's got into the way of.
const TRIES: u32 = 4;

/// How long the second try waits, each further one twice as long; up to as much again by chance, so
/// that two who met do not meet again.
const PAUSE: Duration = Duration::from_millis(100);

/// What one transaction is to do: set values, if any, then end the sessions of all these accounts,
/// between two looks at the control accounts.
#[derive(Clone, Copy)]
struct Work<'a> {
    kind: CredentialKind,
    rows: &'a [Replacement],
    accounts: &'a [String],
    controls: &'a Controls,
    purpose: Purpose,
}

impl SqlDirectory {
    /// Does it, in a new transaction as often as another one got into the way of it.
    async fn transact(&self, work: Work<'_>) -> Result<u64, DirectoryError> {
        let mut pause = PAUSE;
        let mut tries = 1;
        loop {
            match self.attempt(work).await {
                // Nothing was kept. Somebody may have logged in between counting and ending.
                Err(error)
                    if tries < TRIES
                        && (error.is_transient()
                            || matches!(error, DirectoryError::TooManySessions { .. })) =>
                {
                    tokio::time::sleep(pause.mul_f64(rand::random_range(1.0..2.0))).await;
                    (pause, tries) = (pause * 2, tries + 1);
                }
                done => return done,
            }
        }
    }

    /// One transaction: kept if all of it went well, else taken back. Closing the connection, which
    /// every way out of here does, takes back what a rollback could not.
    async fn attempt(&self, work: Work<'_>) -> Result<u64, DirectoryError> {
        let mut conn = self.begin(Access::Write).await?;
        let outcome = match self.write_on(&mut conn, work).await {
            Ok(changed) => conn.commit().await.map(|()| changed),
            // What made us stop is the answer, unless it was not taken back.
            Err(error) => match conn.rollback().await {
                Err(kept @ DirectoryError::NotRolledBack) => Err(kept),
                _ => Err(error),
            },
        };
        match &outcome {
            Ok(_) => self.leave(Access::Write, conn).await,
            Err(_) => conn.close().await,
        }
        outcome
    }

    /// Returns the rows changed, or where only sessions were to end, how many ended.
    async fn write_on(&self, conn: &mut Conn, work: Work<'_>) -> Result<u64, DirectoryError> {
        let Work { kind, rows, accounts, controls, purpose } = work;
        let before = self.read_controls(conn, kind, controls).await?;
        controls.check_values(&before)?;
        let changed = self.compare_and_set(conn, kind, rows, purpose).await?;
        let ended = self.end_on(conn, accounts).await?;
        let after = self.read_controls(conn, kind, controls).await?;
        controls.check_values(&after)?;
        controls.check_sessions(&before, &after)?;
        Ok(if rows.is_empty() { ended } else { changed })
    }

    async fn write(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
        purpose: Purpose,
    ) -> Result<u64, DirectoryError> {
        let accounts = accounts_of(kind, rows);
        admit(self.batch, accounts.iter().map(String::as_str))?;
        refuse_unchanged(rows)?;
        if rows.is_empty() {
            return Ok(0);
        }
        self.transact(Work { kind, rows, accounts: &accounts, controls, purpose }).await
    }

    async fn marker(&self, conn: &mut Conn) -> Result<Option<String>, DirectoryError> {
        let marker = |what| DirectoryError::Marker { what };
        let text = |cell: Option<&Cell>| match cell {
            Some(Cell::Text(text)) => Ok(text.as_str().to_owned()),
            _ => Err(marker("an id that is not text")),
        };
        let tables = conn.find_marker().await?;
        let table = match tables.as_slice() {
            [] => return Ok(None),
            [table] => text(table.first())?,
            _ => return Err(marker("another beside it, in another spelling or schema")),
        };
        match conn.read_marker(&table).await?.as_slice() {
            [] => Ok(Some(String::new())),
            [row] => text(row.first()).map(Some),
            _ => Err(marker("more than one row")),
        }
    }
}

#[async_trait]
impl Directory for SqlDirectory {
    async fn rehearsal_marker(&self) -> Result<Option<String>, DirectoryError> {
        let mut conn = self.begin_anew(Access::Read).await?;
        let marker = self.marker(&mut conn).await;
        conn.close().await;
        marker
    }

    async fn read(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        self.read_by(kind, accounts, false).await
    }

    async fn replace(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        self.write(kind, rows, controls, Purpose::Expire).await
    }

    async fn set(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        self.write(kind, rows, controls, Purpose::Set).await
    }

    async fn end_sessions(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        admit(self.batch, accounts.iter().map(String::as_str))?;
        if self.end.is_empty() {
            return Err(DirectoryError::NotSet { key: "directory.sql.sessions.end".to_owned() });
        }
        if accounts.is_empty() {
            return Ok(0);
        }
        let purpose = Purpose::Expire;
        self.transact(Work { kind, rows: &[], accounts, controls, purpose }).await
    }

    async fn confirm(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        self.read_by(kind, accounts, true).await
    }

    async fn check(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        forge: Forge<'_>,
        controls: &Controls,
    ) -> Result<CheckReport, DirectoryError> {
        admit(self.batch, accounts.iter().map(String::as_str))?;
        let mut conn = self.begin_anew(Access::Write).await?;
        let report = self.check_on(&mut conn, kind, accounts, forge, controls).await;
        let undone = conn.rollback().await;
        // Closing undoes what is still open, so that even a failed rollback leaves nothing.
        conn.close().await;
        undone.and(report)
    }

    fn capabilities(&self) -> Capabilities {
        let change_time = self.kinds.iter().filter(|known| known.reads_change_time);
        // Sessions have no value to replace: ending and counting them is the kill.
        let sessions =
            (self.count.is_some() && !self.end.is_empty()).then_some(CredentialKind::Session);
        Capabilities {
            kinds: self.kinds.iter().map(|known| known.of).chain(sessions).collect(),
            change_time: change_time.map(|known| known.of).collect(),
            counts_sessions: self.count.is_some(),
            ends_sessions: self.ends_sessions,
            batch: self.batch,
        }
    }

    fn keeps_replaced(&self) -> bool {
        self.archive.is_some()
    }

    async fn replaced(&self, account: &str) -> Result<Vec<SecretValue>, DirectoryError> {
        self.read_archive(&[account.to_owned()]).await
    }

    async fn forget_replaced(&self, accounts: &[String]) -> Result<u64, DirectoryError> {
        admit(self.batch, accounts.iter().map(String::as_str))?;
        self.forget_archived(accounts).await
    }

    fn logs_in_as(&self) -> Option<String> {
        self.database.user().map(str::to_owned)
    }

    fn password_form(&self) -> PasswordForm {
        self.form
    }

    fn scheme(&self, kind: CredentialKind) -> Scheme {
        let known = self.kinds.iter().find(|known| known.of == kind);
        known.map_or(Scheme::Detect, |known| known.scheme)
    }
}
