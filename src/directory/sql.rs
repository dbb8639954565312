//! The directory as a user table in SQL, spoken to through the operator's own statements.
//!
//! Every call opens its own connection and closes it: a database file that was swapped for a
//! restored backup is seen, and a read-back never shares anything with the write it proves.
//! Reading connections cannot write. Values are wiped where they are ours; what the driver and
//! the engine keep while a statement runs is theirs.

mod adapter;
mod answer;
pub mod bind;
mod check;
pub mod engine;
mod settings;
mod statement;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use self::statement::{JsonRow, Statement, failed, json_rows};
use super::{Controls, Current, DirectoryError, Replacement, SessionEnd};
use crate::domain::credential::CredentialKind;
use crate::secret::replacement::Scheme;

pub use settings::{KindStatements, SessionStatements, SqlDirectorySettings};

/// How long a locked database is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// A user table in SQL.
#[derive(Debug)]
pub struct SqlDirectory {
    path: PathBuf,
    batch: usize,
    kinds: Vec<Kind>,
    count: Option<Statement>,
    end: Option<Statement>,
    ends_sessions: SessionEnd,
}

/// The statements of one kind, ready to run.
#[derive(Debug)]
struct Kind {
    of: CredentialKind,
    read: Statement,
    expire: Statement,
    scheme: Scheme,
    reads_change_time: bool,
}

impl SqlDirectory {
    /// Parses every statement, opens the database once and has it accept each of them.
    pub async fn open(
        settings: &SqlDirectorySettings,
        workspace: &Path,
    ) -> Result<Self, DirectoryError> {
        let path = engine::locate(&settings.url, workspace)?;
        if !(1..=10_000).contains(&settings.batch) {
            return Err(DirectoryError::BatchSize { batch: settings.batch });
        }
        let sessions = |verb: &str, sql: Option<&String>| {
            sql.map(|sql| Statement::parse(format!("directory.sql.sessions.{verb}"), sql))
                .transpose()
        };
        let count = sessions("count", settings.sessions.count.as_ref())?;
        let end = sessions("end", settings.sessions.end.as_ref())?;
        if end.is_some() && count.is_none() {
            return Err(DirectoryError::NotSet { key: "directory.sql.sessions.count".to_owned() });
        }
        let ends_sessions = match (&end, settings.sessions.lapse_within) {
            (_, Some(span)) if span.is_negative() => return Err(DirectoryError::NegativeLapse),
            (Some(_), _) => SessionEnd::Ended,
            (None, Some(span)) => SessionEnd::LapseWithin(span),
            (None, None) => SessionEnd::Unknown,
        };
        let mut directory =
            Self { path, batch: settings.batch, kinds: Vec::new(), count, end, ends_sessions };
        let mut conn = directory.connect(Access::Read).await?;
        directory.prepare(settings, &mut conn).await?;
        conn.close().await.ok();
        Ok(directory)
    }

    async fn prepare(
        &mut self,
        settings: &SqlDirectorySettings,
        conn: &mut SqliteConnection,
    ) -> Result<(), DirectoryError> {
        for kind in CredentialKind::ALL {
            let Some(texts) = settings.statements(*kind) else {
                continue;
            };
            let read = Statement::parse(format!("directory.sql.{kind}.read"), &texts.read)?;
            let expire = Statement::parse(format!("directory.sql.{kind}.expire"), &texts.expire)?;
            let columns = read.prepare(conn, &["account", "current"]).await?;
            expire.prepare(conn, &[]).await?;
            self.kinds.push(Kind {
                of: *kind,
                read,
                expire,
                scheme: texts.scheme,
                reads_change_time: columns.iter().any(|column| column == "changed_at"),
            });
        }
        if let Some(count) = &self.count {
            count.prepare(conn, &["account", "sessions"]).await?;
        }
        if let Some(end) = &self.end {
            end.prepare(conn, &[]).await?;
        }
        Ok(())
    }

    async fn connect(&self, access: Access) -> Result<SqliteConnection, DirectoryError> {
        let path = self.path.clone();
        match tokio::fs::metadata(&path).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(DirectoryError::FileMissing { path });
            }
            Err(error) => {
                return Err(DirectoryError::Open { path, cause: error.to_string() });
            }
            Ok(_) => {}
        }
        let mut options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(false)
            .busy_timeout(BUSY_TIMEOUT)
            .disable_statement_logging();
        if access == Access::Read {
            options = options.pragma("query_only", "ON");
        }
        options
            .connect()
            .await
            .map_err(|error| DirectoryError::Open { path, cause: error.to_string() })
    }

    fn of(&self, kind: CredentialKind, verb: &str) -> Result<&Kind, DirectoryError> {
        self.kinds
            .iter()
            .find(|known| known.of == kind)
            .ok_or_else(|| DirectoryError::NotSet { key: format!("directory.sql.{kind}.{verb}") })
    }

    fn admit<'a>(
        &self,
        accounts: impl ExactSizeIterator<Item = &'a str>,
    ) -> Result<(), DirectoryError> {
        let rows = accounts.len();
        if rows > self.batch {
            return Err(DirectoryError::BatchTooLarge { rows, batch: self.batch });
        }
        let mut named = BTreeSet::new();
        for (at, account) in accounts.enumerate() {
            if !named.insert(account) {
                return Err(DirectoryError::NamedTwice { place: at + 1 });
            }
        }
        Ok(())
    }

    /// Values and sessions of one instant.
    async fn read_afresh(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        self.admit(accounts.iter().map(String::as_str))?;
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let mut conn = self.connect(Access::Read).await?;
        let mut tx = conn.begin().await.map_err(|error| failed("BEGIN", &error))?;
        let found = self.read_on(&mut tx, kind, accounts).await;
        tx.rollback().await.ok();
        conn.close().await.ok();
        found
    }

    async fn read_on(
        &self,
        conn: &mut SqliteConnection,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        let rows = json_rows(accounts.iter().map(|account| JsonRow::of(account)));
        let count = self.count.as_ref();
        let sessions = match (count, kind) {
            (Some(count), _) => {
                answer::sessions(count.key(), accounts, &count.fetch(conn, &rows).await?)?
            }
            (None, CredentialKind::Session) => {
                let key = "directory.sql.sessions.count".to_owned();
                return Err(DirectoryError::NotSet { key });
            }
            (None, _) => std::collections::BTreeMap::new(),
        };
        let current = |account: &String, value, changed_at| Current {
            sessions: sessions.get(account).copied().unwrap_or(0),
            account: account.clone(),
            value,
            changed_at,
        };
        if kind == CredentialKind::Session {
            return Ok(accounts.iter().map(|account| current(account, None, None)).collect());
        }
        let read = &self.of(kind, "read")?.read;
        let several = kind.has_several();
        let mut held =
            answer::held(read.key(), accounts, &read.fetch(conn, &rows).await?, several)?;
        let answered = accounts.iter().flat_map(|account| {
            let held = held.remove(account).unwrap_or_default();
            held.into_iter().map(|held| current(account, held.value, held.changed_at))
        });
        Ok(answered.collect())
    }

    /// One transaction's writes between two looks at the control accounts: values, if any, then the
    /// sessions of all these accounts. Returns the rows changed, or where only sessions were to end,
    /// how many ended.
    async fn write_on(
        &self,
        conn: &mut SqliteConnection,
        kind: CredentialKind,
        rows: &[Replacement],
        accounts: &[String],
        controls: &Controls,
    ) -> Result<u64, DirectoryError> {
        let before = self.read_controls(conn, kind, controls).await?;
        controls.check_values(&before)?;
        let changed = self.expire(conn, kind, rows).await?;
        let ended = self.end_on(conn, accounts).await?;
        let after = self.read_controls(conn, kind, controls).await?;
        controls.check_values(&after)?;
        controls.check_sessions(&before, &after)?;
        Ok(if rows.is_empty() { ended } else { changed })
    }

    async fn read_controls(
        &self,
        conn: &mut SqliteConnection,
        kind: CredentialKind,
        controls: &Controls,
    ) -> Result<Vec<Current>, DirectoryError> {
        if controls.is_empty() {
            return Ok(Vec::new());
        }
        self.read_on(conn, kind, controls.accounts()).await
    }

    /// Compare-and-set inside the caller's transaction.
    async fn expire(
        &self,
        conn: &mut SqliteConnection,
        kind: CredentialKind,
        rows: &[Replacement],
    ) -> Result<u64, DirectoryError> {
        if rows.is_empty() {
            return Ok(0);
        }
        if kind == CredentialKind::Session {
            return Err(DirectoryError::NoValue { kind });
        }
        let expire = &self.of(kind, "expire")?.expire;
        let json = json_rows(rows.iter().map(|row| JsonRow {
            account: &row.account,
            current: Some(row.current.expose()),
            replacement: Some(row.replacement.expose()),
        }));
        let changed = expire.execute(conn, &json).await?;
        let asked = rows.len() as u64;
        if changed > asked {
            return Err(DirectoryError::TooManyRows {
                key: expire.key().to_owned(),
                changed,
                asked,
            });
        }
        Ok(changed)
    }

    /// Ends sessions inside the caller's transaction, never more than it counted before; returns
    /// how many, 0 where they can't be ended.
    async fn end_on(
        &self,
        conn: &mut SqliteConnection,
        accounts: &[String],
    ) -> Result<u64, DirectoryError> {
        let (Some(count), Some(end)) = (&self.count, &self.end) else {
            return Ok(0);
        };
        let rows = json_rows(accounts.iter().map(|account| JsonRow::of(account)));
        let had = answer::sessions(count.key(), accounts, &count.fetch(conn, &rows).await?)?;
        let counted = had.values().sum();
        let ended = end.execute(conn, &rows).await?;
        if ended > counted {
            let key = end.key().to_owned();
            return Err(DirectoryError::TooManySessions { key, ended, counted });
        }
        Ok(ended)
    }
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// The accounts of a call, each once where it may have several values.
fn accounts_of(kind: CredentialKind, rows: &[Replacement]) -> Vec<String> {
    let mut accounts: Vec<String> = rows.iter().map(|row| row.account.clone()).collect();
    if kind.has_several() {
        accounts.sort_unstable();
        accounts.dedup();
    }
    accounts
}

fn refuse_unchanged(rows: &[Replacement]) -> Result<(), DirectoryError> {
    match rows.iter().position(|row| row.current == row.replacement) {
        Some(at) => Err(DirectoryError::NoChange { place: at + 1 }),
        None => Ok(()),
    }
}
