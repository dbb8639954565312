//! How each engine opens a database for reading only, says what a query's columns are, and streams
//! its rows as text.

use std::path::Path;

use csv::ByteRecord;
use futures_util::StreamExt as _;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Executor as _, Row as _, SqlSafeStr as _,
    Statement as _, ValueRef as _,
};
use tokio::sync::mpsc;

use crate::database::{Database, DatabaseError, POSTGRES_LOCAL};
use crate::domain::database::Engine;
use crate::source::mapping::FIELD_BYTES;

/// How much counting the rows for a progress bar may cost on SQLite: this many steps of
/// [`COUNT_STEP`] instructions, well under a second.
const COUNT_STEPS: u32 = 200;
/// Instructions of the database's virtual machine between two looks at the budget.
const COUNT_STEP: i32 = 100_000;

/// A transaction that reads one instant and can't write, however long it takes. One connection.
pub enum Reader {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
    MariaDb(MySqlConnection),
}

/// What goes wrong while a reader is opened.
pub enum Fault {
    Connect(sqlx::Error),
    Database(DatabaseError),
}

/// The same words for each engine.
macro_rules! on_each {
    ($reader:expr, $conn:ident => $body:expr) => {
        match $reader {
            Reader::Sqlite($conn) => $body,
            Reader::Postgres($conn) => $body,
            Reader::MariaDb($conn) => $body,
        }
    };
}

impl Reader {
    /// Opens the database and begins to read.
    pub async fn open(database: &Database) -> Result<Self, Fault> {
        let (mut reader, begin) = match database {
            Database::File(path) => {
                (Self::Sqlite(file(path).await.map_err(Fault::Connect)?), "BEGIN".to_owned())
            }
            Database::Server(login) if database.engine() == Engine::MariaDb => (
                Self::MariaDb(login.mariadb().await.map_err(Fault::Database)?),
                // A reader that waits for the seal's disk is no dead one.
                "SET SESSION max_statement_time = 0, net_write_timeout = 3600; \
                 SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
                 START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
                    .to_owned(),
            ),
            Database::Server(login) => (
                Self::Postgres(login.postgres().await.map_err(Fault::Database)?),
                format!(
                    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {POSTGRES_LOCAL}; \
                     SET LOCAL statement_timeout = 0; \
                     SET LOCAL idle_in_transaction_session_timeout = 0"
                ),
            ),
        };
        reader.run(begin).await.map_err(Fault::Connect)?;
        Ok(reader)
    }

    /// The names of the query's columns. The engines' prepared statements take no second one.
    pub async fn columns(&mut self, query: &str) -> Result<Vec<String>, sqlx::Error> {
        let query = AssertSqlSafe(query.to_owned()).into_sql_str();
        on_each!(self, conn => {
            let statement = conn.prepare(query).await?;
            Ok(statement.columns().iter().map(|column| column.name().to_owned()).collect())
        })
    }

    /// How many rows there will be, for a progress bar, unless counting takes long.
    pub async fn count(&mut self, query: &str) -> Option<u64> {
        // the line breaks end a comment that the query may end in
        let count = format!("SELECT COUNT(*) FROM (\n{query}\n) AS counted");
        let counted: Option<i64> = match self {
            Self::Sqlite(conn) => {
                let mut steps = 0;
                conn.lock_handle().await.ok()?.set_progress_handler(COUNT_STEP, move || {
                    steps += 1;
                    steps < COUNT_STEPS
                });
                let counted =
                    sqlx::query_scalar(AssertSqlSafe(count)).fetch_one(&mut *conn).await.ok();
                conn.lock_handle().await.ok()?.remove_progress_handler();
                counted
            }
            Self::Postgres(conn) => {
                let begun = "SAVEPOINT counting; SET LOCAL statement_timeout = 1000";
                sqlx::raw_sql(begun).execute(&mut *conn).await.ok()?;
                let counted = sqlx::query_scalar(AssertSqlSafe(count))
                    .persistent(false)
                    .fetch_one(&mut *conn)
                    .await
                    .ok();
                sqlx::raw_sql("ROLLBACK TO counting").execute(conn).await.ok()?;
                counted
            }
            Self::MariaDb(conn) => {
                let count = format!("SET STATEMENT max_statement_time = 1 FOR {count}");
                let row = sqlx::raw_sql(AssertSqlSafe(count)).fetch_one(conn).await.ok()?;
                row.try_get_unchecked(0).ok()
            }
        };
        counted.and_then(|count| u64::try_from(count).ok())
    }

    /// Sends every row of the query, and the error that ends it early. Whoever takes the rows sets the
    /// pace: what was not taken waits in the engine.
    pub async fn send(
        mut self,
        query: String,
        sender: mpsc::Sender<Result<ByteRecord, sqlx::Error>>,
    ) {
        on_each!(&mut self, conn => {
            // without binds the servers write every value as text, each as it does for people
            let mut rows = sqlx::raw_sql(AssertSqlSafe(query)).fetch(conn);
            while let Some(row) = rows.next().await {
                let row = row.map_err(quiet).and_then(|row| row.values());
                let failed = row.is_err();
                if sender.send(row).await.is_err() || failed {
                    break;
                }
            }
        });
    }

    async fn run(&mut self, sql: String) -> Result<(), sqlx::Error> {
        on_each!(self, conn => sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await.map(|_| ()))
    }
}

async fn file(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .create_if_missing(false)
        .pragma("query_only", "1");
    SqliteConnection::connect_with(&options).await
}

/// A server's text about a row may quote it; SQLite's is told by whoever reads the row's place.
fn quiet(error: sqlx::Error) -> sqlx::Error {
    match &error {
        sqlx::Error::Database(said) if !is_sqlite(said.as_ref()) => {
            let code = said.code().unwrap_or_default();
            sqlx::Error::Protocol(format!(
                "code {code}; the server's text may quote a row and is not shown"
            ))
        }
        _ => error,
    }
}

fn is_sqlite(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some()
}

/// A row's values as text: NULL as nothing, everything else as the database writes it.
trait Values {
    fn len_of(&self) -> usize;
    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, sqlx::Error>;

    /// A value that is refused for its length anyway is cut behind it.
    fn values(&self) -> Result<ByteRecord, sqlx::Error> {
        let mut values = ByteRecord::new();
        for at in 0..self.len_of() {
            let value = self.bytes(at)?.unwrap_or_default();
            values.push_field(&value[..value.len().min(FIELD_BYTES + 1)]);
        }
        Ok(values)
    }
}

impl Values for SqliteRow {
    fn len_of(&self) -> usize {
        self.len()
    }

    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, sqlx::Error> {
        self.try_get_unchecked(at)
    }
}

impl Values for MySqlRow {
    fn len_of(&self) -> usize {
        self.len()
    }

    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, sqlx::Error> {
        self.try_get_unchecked(at)
    }
}

impl Values for PgRow {
    fn len_of(&self) -> usize {
        self.len()
    }

    fn bytes(&self, at: usize) -> Result<Option<&[u8]>, sqlx::Error> {
        let value = self.try_get_raw(at)?;
        if value.is_null() {
            return Ok(None);
        }
        value.as_bytes().map(Some).map_err(sqlx::Error::Decode)
    }
}
