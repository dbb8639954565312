//! One of the operator's statements: bound, prepared, run; and what may be said when it fails.

use std::sync::Arc;

use serde::Serialize;
use zeroize::Zeroizing;

use super::bind::bind_rows;
use super::cell::Record;
use super::connection::Conn;
use crate::directory::{AnswerFault, DirectoryError};
use crate::domain::database::Engine;

/// The most values of one kind that an account may have.
const MOST_VALUES: usize = 1_000;

/// A statement with its placeholder, and the key it is set under.
#[derive(Debug)]
pub struct Statement {
    key: String,
    sql: Arc<str>,
    /// With all rows of its answer in one.
    packed: Option<Arc<str>>,
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
    pub fn parse(key: String, sql: &str, engine: Engine) -> Result<Self, DirectoryError> {
        let sql = bind_rows(&key, sql, engine)?.into();
        Ok(Self { key, sql, packed: None })
    }

    /// The key in the settings, for messages.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Has the engine accept the statement; returns its columns, among them those `wanted`.
    pub async fn prepare(
        &self,
        conn: &mut Conn,
        wanted: &[&'static str],
    ) -> Result<Vec<String>, DirectoryError> {
        let columns = conn.prepare(&self.key, &self.sql).await?;
        match wanted.iter().find(|column| !columns.iter().any(|known| known == *column)) {
            Some(column) => Err(DirectoryError::ColumnMissing { key: self.key.clone(), column }),
            None => Ok(columns),
        }
    }

    /// As [`Self::prepare`], for a statement whose rows are [`Self::fetch`]ed in these columns; the first two
    /// it must have.
    pub async fn prepare_read(
        &mut self,
        conn: &mut Conn,
        columns: &[&'static str],
    ) -> Result<Vec<String>, DirectoryError> {
        let known = self.prepare(conn, &columns[..2]).await?;
        self.packed = conn.pack(&self.sql, &known, columns).await;
        Ok(known)
    }

    /// Has the engine accept a statement that writes, and refuses it where a rollback would not take
    /// everything back.
    pub async fn prepare_write(&self, conn: &mut Conn) -> Result<(), DirectoryError> {
        self.prepare(conn, &[]).await?;
        conn.refuse_unsafe_tables(&self.key, &self.sql).await
    }

    /// Runs it for `accounts` and returns these columns of its rows, those it was prepared with: one an account, or where an account
    /// may have `several` values, so many at the most that memory stays small.
    pub async fn fetch(
        &self,
        conn: &mut Conn,
        accounts: &[String],
        columns: &[&str],
        several: bool,
    ) -> Result<Vec<Record>, DirectoryError> {
        let rows = json_rows(accounts.iter().map(|account| JsonRow::of(account)));
        let most = accounts.len() * if several { MOST_VALUES } else { 1 };
        let answer = match &self.packed {
            Some(sql) => conn.fetch_packed(&self.key, sql, &rows, most).await?,
            None => conn.fetch(&self.key, &self.sql, Some(&rows), columns, most).await?,
        };
        // One row an account too many is told by which account it is; of many values, here.
        if several && answer.len() > most {
            let fault = AnswerFault::TooManyValues;
            return Err(DirectoryError::Answer { key: self.key.clone(), row: most + 1, fault });
        }
        Ok(answer)
    }

    /// Runs it and returns how many rows the engine says it changed.
    pub async fn execute(&self, conn: &mut Conn, rows: &str) -> Result<u64, DirectoryError> {
        conn.execute(&self.key, &self.sql, rows).await
    }
}
