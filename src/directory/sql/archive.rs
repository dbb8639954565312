//! The company's own table of replaced passwords: put away in the transaction that replaces them, read when
//! somebody chooses a new one, destroyed when the campaign ends. None of them stays with us.

use super::connection::{Access, Conn};
use super::statement::{JsonRow, Statement, json_rows};
use super::{ArchiveStatements, Purpose, SqlDirectory, answer};
use crate::directory::{DirectoryError, Replacement};
use crate::domain::credential::CredentialKind;
use crate::domain::database::Engine;
use crate::secret::replacement::SecretValue;

/// The statements, ready to run.
#[derive(Debug)]
pub(super) struct Archive {
    keep: Statement,
    read: Statement,
    forget: Statement,
}

impl Archive {
    pub(super) fn parse(texts: &ArchiveStatements, engine: Engine) -> Result<Self, DirectoryError> {
        let parse = |verb: &str, sql: &str| {
            Statement::parse(format!("directory.sql.archive.{verb}"), sql, engine)
        };
        Ok(Self {
            keep: parse("keep", &texts.keep)?,
            read: parse("read", &texts.read)?,
            forget: parse("forget", &texts.forget)?,
        })
    }

    pub(super) async fn prepare(&mut self, conn: &mut Conn) -> Result<(), DirectoryError> {
        self.keep.prepare_write(conn).await?;
        self.read.prepare_read(conn, &answer::HELD).await?;
        self.forget.prepare_write(conn).await
    }

    /// Puts the current values of these rows away.
    pub(super) async fn keep(
        &self,
        conn: &mut Conn,
        rows: &str,
        asked: u64,
    ) -> Result<(), DirectoryError> {
        let changed = self.keep.execute(conn, rows).await?;
        if changed > asked {
            let key = self.keep.key().to_owned();
            return Err(DirectoryError::TooManyRows { key, changed, asked });
        }
        Ok(())
    }

    async fn read(
        &self,
        conn: &mut Conn,
        accounts: &[String],
    ) -> Result<Vec<(String, SecretValue)>, DirectoryError> {
        let rows = self.read.fetch(conn, accounts, &answer::HELD, true).await?;
        let held = answer::held(self.read.key(), accounts, rows, true)?;
        let of_account = accounts.iter().zip(held);
        let values = of_account.flat_map(|(account, held)| {
            held.into_iter().filter_map(|one| Some((account.clone(), one.value?)))
        });
        Ok(values.collect())
    }

    async fn forget(&self, conn: &mut Conn, accounts: &[String]) -> Result<u64, DirectoryError> {
        let rows = json_rows(accounts.iter().map(|account| JsonRow::of(account)));
        self.forget.execute(conn, &rows).await
    }
}

impl SqlDirectory {
    /// The archive where these values belong into it: a stolen one does, one of ours that its owner's new one
    /// takes the place of does not.
    pub(super) fn archive_of(&self, kind: CredentialKind, purpose: Purpose) -> Option<&Archive> {
        let belongs = kind == CredentialKind::Password && purpose == Purpose::Expire;
        self.archive.as_ref().filter(|_| belongs)
    }

    pub(super) async fn read_archive(
        &self,
        accounts: &[String],
    ) -> Result<Vec<SecretValue>, DirectoryError> {
        let Some(archive) = &self.archive else { return Ok(Vec::new()) };
        let mut conn = self.begin(Access::Read).await?;
        let found = archive.read(&mut conn, accounts).await?;
        self.end_read(conn).await;
        Ok(found.into_iter().map(|(_, value)| value).collect())
    }

    /// Destroys what is kept of these accounts, in a transaction of its own.
    pub(super) async fn forget_archived(&self, accounts: &[String]) -> Result<u64, DirectoryError> {
        let Some(archive) = self.archive.as_ref().filter(|_| !accounts.is_empty()) else {
            return Ok(0);
        };
        let mut conn = self.begin_anew(Access::Write).await?;
        let gone = match archive.forget(&mut conn, accounts).await {
            Ok(gone) => conn.commit().await.map(|()| gone),
            Err(error) => conn.rollback().await.and(Err(error)),
        };
        conn.close().await;
        gone
    }

    /// After rows were replaced in a trial: what they held is in the archive, and goes when it is to go.
    pub(super) async fn try_archive(
        &self,
        conn: &mut Conn,
        kind: CredentialKind,
        rows: &[Replacement],
    ) -> Result<(), DirectoryError> {
        let Some(archive) = self.archive_of(kind, Purpose::Expire) else { return Ok(()) };
        if rows.is_empty() {
            return Ok(());
        }
        let accounts: Vec<String> = rows.iter().map(|row| row.account.clone()).collect();
        let kept = archive.read(conn, &accounts).await?;
        let is_kept = |row: &Replacement| {
            kept.iter().any(|(account, value)| *account == row.account && *value == row.current)
        };
        let failed = |statement: &Statement, what| {
            let key = statement.key().to_owned();
            Err(DirectoryError::Archive { key, what })
        };
        if !rows.iter().all(is_kept) {
            return failed(&archive.read, "does not give back what `keep` put away");
        }
        archive.forget(conn, &accounts).await?;
        if !archive.read(conn, &accounts).await?.is_empty() {
            return failed(&archive.forget, "leaves values of these accounts");
        }
        Ok(())
    }
}
