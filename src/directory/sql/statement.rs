//! One of the operator's statements: bound, prepared, run; and what may be said when it fails.

use std::sync::Arc;

use serde::Serialize;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Column, Executor, SqlSafeStr, Statement as _};
use zeroize::Zeroizing;

use super::bind::bind_rows;
use super::engine::Engine;
use crate::directory::DirectoryError;

/// A statement with its placeholder, and the key it is set under.
#[derive(Debug)]
pub struct Statement {
    key: String,
    sql: Arc<str>,
}

/// An element of `:rows`.
#[derive(Serialize)]
pub struct JsonRow<'a> {
    /// The account reference.
    pub account: &'a str,
    /// The value it must have.
    pub current: Option<&'a str>,
    /// The value it gets.
    pub replacement: Option<&'a str>,
}

impl<'a> JsonRow<'a> {
    /// A row for statements that only name accounts.
    pub fn of(account: &'a str) -> Self {
        Self { account, current: None, replacement: None }
    }
}

/// What `:rows` is bound to.
pub fn json_rows<'a>(rows: impl Iterator<Item = JsonRow<'a>>) -> Zeroizing<String> {
    let rows: Vec<JsonRow<'a>> = rows.collect();
    // Room for every value with its names and a few escapes: growing would leave copies behind.
    let room = rows.iter().map(|row| {
        let values = [Some(row.account), row.current, row.replacement];
        64 + values.iter().flatten().map(|value| value.len() + value.len() / 4).sum::<usize>()
    });
    let mut json = Zeroizing::new(Vec::with_capacity(room.sum::<usize>() + 2));
    // Writing strings to memory has no way to fail; were there one, the engine refuses the rest.
    serde_json::to_writer(&mut *json, &rows).ok();
    Zeroizing::new(String::from_utf8(std::mem::take(&mut *json)).unwrap_or_default())
}

impl Statement {
    /// Finds the one bind.
    pub fn parse(key: String, sql: &str) -> Result<Self, DirectoryError> {
        let sql = bind_rows(&key, sql, Engine::Sqlite)?.into();
        Ok(Self { key, sql })
    }

    /// The key in the settings, for messages.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Has the engine accept the statement; returns its columns, among them those `wanted`.
    pub async fn prepare(
        &self,
        conn: &mut SqliteConnection,
        wanted: &[&'static str],
    ) -> Result<Vec<String>, DirectoryError> {
        let sql = AssertSqlSafe(Arc::clone(&self.sql)).into_sql_str();
        let prepared = conn.prepare(sql).await.map_err(|error| DirectoryError::Prepare {
            key: self.key.clone(),
            cause: error.to_string(),
        })?;
        let columns: Vec<String> =
            prepared.columns().iter().map(|column| column.name().to_owned()).collect();
        match wanted.iter().find(|column| !columns.iter().any(|known| known == *column)) {
            Some(column) => Err(DirectoryError::ColumnMissing { key: self.key.clone(), column }),
            None => Ok(columns),
        }
    }

    /// Runs it and returns its rows.
    pub async fn fetch(
        &self,
        conn: &mut SqliteConnection,
        rows: &str,
    ) -> Result<Vec<SqliteRow>, DirectoryError> {
        sqlx::query(AssertSqlSafe(Arc::clone(&self.sql)))
            .bind(rows)
            .fetch_all(conn)
            .await
            .map_err(|error| failed(&self.key, &error))
    }

    /// Runs it and returns how many rows the engine says it changed.
    pub async fn execute(
        &self,
        conn: &mut SqliteConnection,
        rows: &str,
    ) -> Result<u64, DirectoryError> {
        sqlx::query(AssertSqlSafe(Arc::clone(&self.sql)))
            .bind(rows)
            .execute(conn)
            .await
            .map(|done| done.rows_affected())
            .map_err(|error| failed(&self.key, &error))
    }
}

/// A failure while values were in play.
///
/// Two of SQLite's messages may quote a stored value: the general one (a JSON path or a function
/// argument) and that of a trigger's RAISE. Of those only the code is told.
pub fn failed(key: &str, error: &sqlx::Error) -> DirectoryError {
    const SQLITE_ERROR: u32 = 1;
    const SQLITE_BUSY: u32 = 5;
    const SQLITE_LOCKED: u32 = 6;
    const SQLITE_CONSTRAINT_TRIGGER: u32 = 1811;
    let key = key.to_owned();
    let Some(database) = error.as_database_error() else {
        let cause = match error {
            sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => error.to_string(),
            _ => {
                "the driver gave up; its text may quote a stored value and is not shown".to_owned()
            }
        };
        return DirectoryError::Statement { key, cause };
    };
    let code: u32 = database.code().and_then(|code| code.parse().ok()).unwrap_or(SQLITE_ERROR);
    let cause = match code & 0xff {
        SQLITE_BUSY | SQLITE_LOCKED => return DirectoryError::Busy { key },
        SQLITE_ERROR => format!("code {code}; its text may quote a stored value and is not shown"),
        _ if code == SQLITE_CONSTRAINT_TRIGGER => {
            "a trigger refused it; its text may quote a stored value and is not shown".to_owned()
        }
        _ => format!("code {code}, {}", database.message()),
    };
    DirectoryError::Statement { key, cause }
}
