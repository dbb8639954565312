//! One connection to the directory's database, whatever its engine: the one place that tells them
//! apart.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Executor as _, SqlSafeStr as _, Statement as _,
};

use super::cell::Record;
use super::sqlite::FileId;
use super::{mariadb, postgres, sqlite};
use crate::database::Database;
use crate::directory::DirectoryError;

/// How long a server waits for a row that somebody else has locked.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// How much later than the server we give a statement up: then the server is not there any more.
const GRACE: Duration = Duration::from_secs(15);

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It cannot write.
    Read,
    /// It may.
    Write,
}

/// An open connection, in a transaction from [`Self::begin`] to [`Self::commit`] or
/// [`Self::rollback`]. Dropped inside one, it takes everything back.
pub struct Conn {
    inner: Inner,
    /// The database, where it is a file.
    file: Option<FileId>,
    patience: Duration,
    /// Nobody answers, or what stands on the wire is not ours to read: no word more.
    is_lost: bool,
}

enum Inner {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
    MariaDb(MySqlConnection),
}

/// The same words for each engine; with its own module under one name where that is needed.
macro_rules! on_each {
    ($inner:expr, $conn:ident => $body:expr) => {
        match $inner {
            Inner::Sqlite($conn) => $body,
            Inner::Postgres($conn) => $body,
            Inner::MariaDb($conn) => $body,
        }
    };
    ($inner:expr, $conn:ident, $engine:ident => $body:expr) => {
        match $inner {
            Inner::Sqlite($conn) => {
                use super::sqlite as $engine;
                $body
            }
            Inner::Postgres($conn) => {
                use super::postgres as $engine;
                $body
            }
            Inner::MariaDb($conn) => {
                use super::mariadb as $engine;
                $body
            }
        }
    };
}

impl Conn {
    /// Opens a connection; `patience` is how long a statement may take.
    pub async fn open(
        database: &Database,
        access: Access,
        patience: Duration,
    ) -> Result<Self, DirectoryError> {
        let (inner, file) = match database {
            Database::File(path) => {
                let (conn, file) = sqlite::connect(path, access).await?;
                (Inner::Sqlite(conn), Some(file))
            }
            Database::Server(login) => match database.engine() {
                crate::domain::database::Engine::MariaDb => {
                    (Inner::MariaDb(mariadb::connect(login).await?), None)
                }
                _ => (Inner::Postgres(postgres::connect(login).await?), None),
            },
        };
        Ok(Self { inner, file, patience, is_lost: false })
    }

    /// The file that a database is in at this moment; nothing for one on a server.
    pub async fn file_of(database: &Database) -> Option<FileId> {
        match database {
            Database::File(path) => sqlite::file_at(path).await.ok(),
            Database::Server(_) => None,
        }
    }

    /// The file it was opened to.
    pub fn file(&self) -> Option<FileId> {
        self.file
    }

    /// Whether nobody can be spoken to by it any more.
    pub fn is_lost(&self) -> bool {
        self.is_lost
    }

    /// Begins a transaction.
    pub async fn begin(&mut self, access: Access) -> Result<(), DirectoryError> {
        let patience = self.patience;
        let sql = on_each!(&self.inner, _conn, engine => engine::begin(access, patience));
        self.run("BEGIN", sql).await
    }

    /// Keeps what was done. Where the connection breaks meanwhile nobody knows whether it was kept.
    pub async fn commit(&mut self) -> Result<(), DirectoryError> {
        self.run("COMMIT", "COMMIT".into()).await
    }

    /// Takes back what was done, and says so where that did not work.
    pub async fn rollback(&mut self) -> Result<(), DirectoryError> {
        if self.is_lost {
            return Ok(());
        }
        self.run("ROLLBACK", "ROLLBACK".into()).await?;
        let Inner::MariaDb(conn) = &mut self.inner else { return Ok(()) };
        if mariadb::kept_something(conn).await {
            Err(DirectoryError::NotRolledBack)
        } else {
            Ok(())
        }
    }

    /// Ends it.
    pub async fn close(self) {
        if !self.is_lost {
            on_each!(self.inner, conn => conn.close().await.ok());
        }
    }

    /// Has the engine accept a statement; returns its columns.
    pub async fn prepare(
        &mut self,
        key: &str,
        sql: &Arc<str>,
    ) -> Result<Vec<String>, DirectoryError> {
        let sql = AssertSqlSafe(Arc::clone(sql)).into_sql_str();
        let failed = |error: sqlx::Error| DirectoryError::Prepare {
            key: key.to_owned(),
            cause: error
                .as_database_error()
                .map_or_else(|| error.to_string(), |said| said.message().to_owned()),
        };
        on_each!(&mut self.inner, conn => {
            let prepared = conn.prepare(sql).await.map_err(failed)?;
            Ok(prepared.columns().iter().map(|column| column.name().to_owned()).collect())
        })
    }

    /// Runs a statement and returns these columns of its rows. It reads no more than one row over
    /// `most`: that many are a fault, and a table without end would fill the memory.
    pub async fn fetch(
        &mut self,
        key: &str,
        sql: &Arc<str>,
        rows: Option<&str>,
        columns: &[&str],
        most: usize,
    ) -> Result<Vec<Record>, DirectoryError> {
        let sql = AssertSqlSafe(Arc::clone(sql));
        let limit = self.patience + GRACE;
        let answer = on_each!(&mut self.inner, conn, engine => {
            let read = async {
                let mut query = sqlx::query(sql).persistent(false);
                if let Some(rows) = rows {
                    query = query.bind(rows);
                }
                let mut stream = query.fetch(conn).take(most + 1);
                let mut records: Vec<Record> = Vec::new();
                while let Some(row) = stream.next().await {
                    let row = row.map_err(|error| failed(key, &error, engine::failed))?;
                    records.push(columns.iter().map(|column| engine::cell(&row, column)).collect());
                }
                Ok(records)
            };
            tokio::time::timeout(limit, read).await
        });
        let records = self.settle(key, answer)?;
        // The rest is still on its way; whoever speaks next would have to read it.
        self.is_lost |= records.len() > most;
        Ok(records)
    }

    /// The same statement with all its rows in one, where the engine is SQLite and takes it.
    pub async fn pack(
        &mut self,
        sql: &Arc<str>,
        columns: &[String],
        asked: &[&str],
    ) -> Option<Arc<str>> {
        let Inner::Sqlite(conn) = &mut self.inner else { return None };
        let packed: Arc<str> = sqlite::packed(sql, columns, asked).into();
        let sql = AssertSqlSafe(Arc::clone(&packed)).into_sql_str();
        conn.prepare(sql).await.is_ok().then_some(packed)
    }

    /// As [`Self::fetch`], by a statement that [`Self::pack`] made.
    pub async fn fetch_packed(
        &mut self,
        key: &str,
        sql: &Arc<str>,
        rows: &str,
        most: usize,
    ) -> Result<Vec<Record>, DirectoryError> {
        let Inner::Sqlite(conn) = &mut self.inner else { return Ok(Vec::new()) };
        let read = sqlx::query(AssertSqlSafe(Arc::clone(sql)))
            .persistent(false)
            .bind(rows)
            .bind(i64::try_from(most).unwrap_or(i64::MAX - 1) + 1)
            .fetch_one(conn);
        let answer = tokio::time::timeout(self.patience + GRACE, read).await.map(|answer| {
            let row = answer.map_err(|error| failed(key, &error, sqlite::failed))?;
            sqlite::records(&row).ok_or_else(|| unreadable(key))
        });
        self.settle(key, answer)
    }

    /// Runs a statement and returns how many rows the engine says it changed: those its WHERE found,
    /// on each engine.
    pub async fn execute(
        &mut self,
        key: &str,
        sql: &Arc<str>,
        rows: &str,
    ) -> Result<u64, DirectoryError> {
        let sql = AssertSqlSafe(Arc::clone(sql));
        let limit = self.patience + GRACE;
        let answer = on_each!(&mut self.inner, conn, engine => {
            let done = sqlx::query(sql).persistent(false).bind(rows).execute(conn);
            tokio::time::timeout(limit, done).await.map(|done| {
                done.map(|done| done.rows_affected())
                    .map_err(|error| failed(key, &error, engine::failed))
            })
        });
        self.settle(key, answer)
    }

    /// The rehearsal marker's table, ready to stand in a statement; none where there is none.
    pub async fn find_marker(&mut self) -> Result<Vec<Record>, DirectoryError> {
        let (key, sql) = on_each!(&self.inner, _conn, engine => (MARKER, engine::FIND_MARKER));
        self.fetch_own(key, sql).await
    }

    /// What the marker's table holds, two rows at the most.
    pub async fn read_marker(&mut self, table: &str) -> Result<Vec<Record>, DirectoryError> {
        self.fetch_own(MARKER, &format!("SELECT database_id FROM {table} LIMIT 2")).await
    }

    /// Runs a statement of ours without binds; its first column.
    async fn fetch_own(&mut self, key: &str, sql: &str) -> Result<Vec<Record>, DirectoryError> {
        let sql: Arc<str> = sql.into();
        let columns = self.prepare(key, &sql).await?;
        let first: Vec<&str> = columns.iter().map(String::as_str).take(1).collect();
        self.fetch(key, &sql, None, &first, 2).await
    }

    /// Refuses tables that take nothing back, where the engine has such.
    pub async fn refuse_unsafe_tables(
        &mut self,
        key: &str,
        sql: &str,
    ) -> Result<(), DirectoryError> {
        match &mut self.inner {
            Inner::MariaDb(conn) => super::transactional::check(conn, key, sql).await,
            Inner::Sqlite(_) | Inner::Postgres(_) => Ok(()),
        }
    }

    async fn run(&mut self, key: &str, sql: String) -> Result<(), DirectoryError> {
        let limit = self.patience + GRACE;
        let answer = on_each!(&mut self.inner, conn, engine => {
            let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn);
            tokio::time::timeout(limit, done).await.map(|done| {
                done.map(|_| ()).map_err(|error| failed(key, &error, engine::failed))
            })
        });
        self.settle(key, answer)
    }

    fn settle<T>(
        &mut self,
        key: &str,
        answer: Result<Result<T, DirectoryError>, tokio::time::error::Elapsed>,
    ) -> Result<T, DirectoryError> {
        let answer = answer.unwrap_or_else(|_| Err(DirectoryError::Lost { key: key.to_owned() }));
        self.is_lost |= matches!(answer, Err(DirectoryError::Lost { .. }));
        answer
    }
}

const MARKER: &str = "the look-up of forthwith_rehearsal";

/// A failure while values were in play; `said` knows what the engine's own errors mean.
pub(super) fn failed(
    key: &str,
    error: &sqlx::Error,
    said: impl Fn(&str, &dyn sqlx::error::DatabaseError) -> DirectoryError,
) -> DirectoryError {
    let key = key.to_owned();
    match error {
        sqlx::Error::Database(error) => said(&key, error.as_ref()),
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Tls(_) => {
            DirectoryError::Lost { key }
        }
        _ => unreadable(&key),
    }
}

fn unreadable(key: &str) -> DirectoryError {
    DirectoryError::Statement {
        key: key.to_owned(),
        cause: "the driver gave up; its text may quote a stored value and is not shown".into(),
    }
}
