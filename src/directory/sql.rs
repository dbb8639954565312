//! The directory as a user table in SQL, spoken to through the operator's own statements.
//!
//! Every call has a connection of its own, which is kept for the next one for some seconds (`kept`); one that
//! reads back opens a new one, so that it shares nothing with the write it proves. A database file that was
//! swapped for a restored backup is seen. Reading connections cannot write, and a server that is a copy of
//! another is refused. Values are wiped where they are ours; what the driver and the engine keep while a
//! statement runs is theirs.

mod adapter;
mod answer;
mod archive;
pub mod bind;
mod cell;
mod check;
mod connection;
mod mariadb;
mod postgres;
mod preset;
mod settings;
mod sqlite;
mod statement;
#[cfg(test)]
mod tests;
mod transactional;

use std::path::Path;
use std::time::Duration;

use self::archive::Archive;
use self::connection::{Access, Conn};
use self::sqlite::FileId;
use self::statement::{JsonRow, Statement, json_rows};
use super::batch::admit;
use super::kept::Kept;
use super::{Controls, Current, DirectoryError, Replacement, SessionEnd};
use crate::database::{Database, Table};
use crate::domain::credential::CredentialKind;
use crate::secret::password::PasswordForm;
use crate::secret::replacement::Scheme;

pub use preset::{Preset, PresetFault};
pub use settings::{
    ArchiveStatements, KindStatements, SessionStatements, SqlDirectorySettings, Statements,
};

/// A user table in SQL.
#[derive(Debug)]
pub struct SqlDirectory {
    database: Database,
    patience: Duration,
    batch: usize,
    kinds: Vec<Kind>,
    count: Option<Statement>,
    end: Vec<Statement>,
    form: PasswordForm,
    ends_sessions: SessionEnd,
    archive: Option<Archive>,
    kept: Kept<(Access, Option<FileId>), Conn>,
}

/// What a compare-and-set is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// To make the value worthless.
    Expire,
    /// To give its owner a new one.
    Set,
}

/// The statements of one kind, ready to run.
#[derive(Debug)]
struct Kind {
    of: CredentialKind,
    read: Statement,
    expire: Statement,
    /// Where it is another one.
    set: Option<Statement>,
    scheme: Scheme,
    reads_change_time: bool,
}

impl SqlDirectory {
    /// Parses every statement, opens the database once and has it accept each of them.
    pub async fn open(
        settings: &SqlDirectorySettings,
        workspace: &Path,
    ) -> Result<Self, DirectoryError> {
        let database = Database::parse(Table::Directory, settings.database(), workspace)?;
        let engine = database.engine();
        if !(1..=10_000).contains(&settings.batch) {
            return Err(DirectoryError::BatchSize { batch: settings.batch });
        }
        let settings = &settings.filled(engine)?;
        let parse = |verb: &str, sql: &String| {
            Statement::parse(format!("directory.sql.sessions.{verb}"), sql, engine)
        };
        let count = settings.sessions.count.as_ref().map(|sql| parse("count", sql)).transpose()?;
        let all = settings.sessions.end.as_ref().map(Statements::all).unwrap_or_default();
        let end: Vec<Statement> =
            all.iter().map(|sql| parse("end", sql)).collect::<Result<_, _>>()?;
        if !end.is_empty() && count.is_none() {
            return Err(DirectoryError::NotSet { key: "directory.sql.sessions.count".to_owned() });
        }
        let ends_sessions = match (end.is_empty(), settings.sessions.lapse_within) {
            (_, Some(span)) if span.is_negative() => return Err(DirectoryError::NegativeLapse),
            (false, _) => SessionEnd::Ended,
            (true, _) if settings.sessions.end_with_password => SessionEnd::WithPassword,
            (true, Some(span)) => SessionEnd::LapseWithin(span),
            (true, None) => SessionEnd::Unknown,
        };
        let patience = settings.timeout.unsigned();
        let (batch, kinds) = (settings.batch, Vec::new());
        let archive = settings.archive.as_ref();
        let archive = archive.map(|texts| Archive::parse(texts, engine)).transpose()?;
        let form = settings.password_form();
        let kept = Kept::default();
        let mut directory = Self {
            database,
            patience,
            batch,
            kinds,
            count,
            end,
            form,
            ends_sessions,
            archive,
            kept,
        };
        let mut conn = directory.connect(Access::Read).await?;
        directory.prepare(settings, &mut conn).await?;
        conn.close().await;
        Ok(directory)
    }

    async fn prepare(
        &mut self,
        settings: &SqlDirectorySettings,
        conn: &mut Conn,
    ) -> Result<(), DirectoryError> {
        for kind in CredentialKind::ALL {
            let Some(texts) = settings.statements(*kind) else {
                continue;
            };
            let engine = self.database.engine();
            let parse =
                |verb, sql| Statement::parse(format!("directory.sql.{kind}.{verb}"), sql, engine);
            let (mut read, expire) = (parse("read", &texts.read)?, parse("expire", &texts.expire)?);
            let columns = read.prepare_read(conn, &answer::HELD).await?;
            expire.prepare_write(conn).await?;
            let set = texts.set.as_ref().map(|sql| parse("set", sql)).transpose()?;
            if let Some(set) = &set {
                set.prepare_write(conn).await?;
            }
            self.kinds.push(Kind {
                of: *kind,
                read,
                expire,
                set,
                scheme: texts.scheme,
                reads_change_time: columns.iter().any(|column| column == "changed_at"),
            });
        }
        if let Some(archive) = &mut self.archive {
            archive.prepare(conn).await?;
        }
        if let Some(count) = &mut self.count {
            count.prepare_read(conn, &answer::SESSIONS).await?;
        }
        for end in &self.end {
            end.prepare_write(conn).await?;
        }
        Ok(())
    }

    async fn connect(&self, access: Access) -> Result<Conn, DirectoryError> {
        Conn::open(&self.database, access, self.patience).await
    }

    /// A new connection, in a transaction.
    async fn begin_anew(&self, access: Access) -> Result<Conn, DirectoryError> {
        let mut conn = self.connect(access).await?;
        conn.begin(access).await?;
        Ok(conn)
    }

    /// A connection in a transaction: one that another call left, while it is good, else a new one.
    async fn begin(&self, access: Access) -> Result<Conn, DirectoryError> {
        let file = Conn::file_of(&self.database).await;
        if let Some(mut conn) = self.kept.take(&(access, file)) {
            match conn.begin(access).await {
                Ok(()) => return Ok(conn),
                Err(busy) if busy.is_transient() => return Err(busy),
                // the other end hung up meanwhile
                Err(_) => {}
            }
        }
        self.begin_anew(access).await
    }

    /// Leaves a connection, whose transaction ended well, to the next call.
    async fn leave(&self, access: Access, conn: Conn) {
        let left =
            if conn.is_lost() { Some(conn) } else { self.kept.put((access, conn.file()), conn) };
        if let Some(conn) = left {
            conn.close().await;
        }
    }

    fn of(&self, kind: CredentialKind, verb: &str) -> Result<&Kind, DirectoryError> {
        self.kinds
            .iter()
            .find(|known| known.of == kind)
            .ok_or_else(|| DirectoryError::NotSet { key: format!("directory.sql.{kind}.{verb}") })
    }

    /// Values of one instant; `is_anew`: over a connection that no call before had, and with their sessions
    /// counted, which for kind `session` they always are.
    async fn read_by(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        is_anew: bool,
    ) -> Result<Vec<Current>, DirectoryError> {
        admit(self.batch, accounts.iter().map(String::as_str))?;
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let access = Access::Read;
        let mut conn =
            if is_anew { self.begin_anew(access).await? } else { self.begin(access).await? };
        let found = if is_anew || kind == CredentialKind::Session {
            self.read_on(&mut conn, kind, accounts).await?
        } else {
            self.values_on(&mut conn, kind, accounts, vec![0; accounts.len()]).await?
        };
        self.end_read(conn).await;
        Ok(found)
    }

    /// Ends a transaction that only read, and leaves its connection to the next call.
    async fn end_read(&self, mut conn: Conn) {
        match conn.rollback().await {
            Ok(()) => self.leave(Access::Read, conn).await,
            Err(_) => conn.close().await,
        }
    }

    async fn read_on(
        &self,
        conn: &mut Conn,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError> {
        let sessions = match (&self.count, kind) {
            (Some(count), _) => {
                let answer = count.fetch(conn, accounts, &answer::SESSIONS, false).await?;
                answer::sessions(count.key(), accounts, answer)?
            }
            (None, CredentialKind::Session) => {
                let key = "directory.sql.sessions.count".to_owned();
                return Err(DirectoryError::NotSet { key });
            }
            (None, _) => vec![0; accounts.len()],
        };
        self.values_on(conn, kind, accounts, sessions).await
    }

    /// The accounts' values beside their sessions, counted before.
    async fn values_on(
        &self,
        conn: &mut Conn,
        kind: CredentialKind,
        accounts: &[String],
        sessions: Vec<u64>,
    ) -> Result<Vec<Current>, DirectoryError> {
        let counted = accounts.iter().zip(sessions);
        let current = |(account, sessions): (&String, u64), value, changed_at| Current {
            account: account.clone(),
            value,
            sessions,
            changed_at,
        };
        if kind == CredentialKind::Session {
            return Ok(counted.map(|counted| current(counted, None, None)).collect());
        }
        let (read, several) = (&self.of(kind, "read")?.read, kind.has_several());
        let answer = read.fetch(conn, accounts, &answer::HELD, several).await?;
        let held = answer::held(read.key(), accounts, answer, several)?;
        let answered = counted.zip(held).flat_map(|(counted, held)| {
            held.into_iter().map(move |held| current(counted, held.value, held.changed_at))
        });
        Ok(answered.collect())
    }

    async fn read_controls(
        &self,
        conn: &mut Conn,
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
        conn: &mut Conn,
        kind: CredentialKind,
        rows: &[Replacement],
    ) -> Result<u64, DirectoryError> {
        self.compare_and_set(conn, kind, rows, Purpose::Expire).await
    }

    async fn compare_and_set(
        &self,
        conn: &mut Conn,
        kind: CredentialKind,
        rows: &[Replacement],
        purpose: Purpose,
    ) -> Result<u64, DirectoryError> {
        if rows.is_empty() {
            return Ok(0);
        }
        if kind == CredentialKind::Session {
            return Err(DirectoryError::NoValue { kind });
        }
        let known = self.of(kind, "expire")?;
        let statement = match (&known.set, purpose) {
            (Some(set), Purpose::Set) => set,
            _ => &known.expire,
        };
        let json = json_rows(rows.iter().map(|row| JsonRow {
            account: &row.account,
            current: Some(row.current.expose()),
            replacement: Some(row.replacement.expose()),
        }));
        if let Some(archive) = self.archive_of(kind, purpose) {
            archive.keep(conn, &json, rows.len() as u64).await?;
        }
        let changed = statement.execute(conn, &json).await?;
        let asked = rows.len() as u64;
        if changed > asked {
            return Err(DirectoryError::TooManyRows {
                key: statement.key().to_owned(),
                changed,
                asked,
            });
        }
        Ok(changed)
    }

    /// Ends sessions inside the caller's transaction, never more than it counted before; returns
    /// how many, 0 where they can't be ended.
    async fn end_on(&self, conn: &mut Conn, accounts: &[String]) -> Result<u64, DirectoryError> {
        let (Some(count), Some(last)) = (&self.count, self.end.last()) else {
            return Ok(0);
        };
        let answer = count.fetch(conn, accounts, &answer::SESSIONS, false).await?;
        let counted = answer::sessions(count.key(), accounts, answer)?.iter().sum();
        let rows = json_rows(accounts.iter().map(|account| JsonRow::of(account)));
        let mut ended = 0;
        for end in &self.end {
            ended += end.execute(conn, &rows).await?;
        }
        if ended > counted {
            let key = last.key().to_owned();
            return Err(DirectoryError::TooManySessions { key, ended, counted });
        }
        Ok(ended)
    }
}
