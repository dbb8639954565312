//! The rows a statement answers with, held against what was asked: every account once (or once a
//! value, where it may have several), and none that nobody asked for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sqlx::sqlite::{SqliteRow, SqliteValueRef};
use sqlx::{Decode, Row, Sqlite, TypeInfo, ValueRef};

use crate::directory::{AnswerFault, DirectoryError};
use crate::secret::replacement::SecretValue;

/// A value and when it changed last, as read.
pub struct Held {
    /// The stored value, if there is one.
    pub value: Option<SecretValue>,
    /// When it changed last, if the statement says so.
    pub changed_at: Option<Timestamp>,
}

/// The answer of a `read` statement, by account; where it may have `several` values, a row each.
pub fn held(
    key: &str,
    accounts: &[String],
    rows: &[SqliteRow],
    several: bool,
) -> Result<BTreeMap<String, Vec<Held>>, DirectoryError> {
    by_account(key, accounts, rows, several, |row| {
        let value = match cell(row, "current") {
            Cell::Null => None,
            Cell::Text(text) => Some(SecretValue::new(text)),
            Cell::Integer(_) | Cell::Other => return Err(AnswerFault::ValueType),
        };
        let changed_at = match cell(row, "changed_at") {
            Cell::Null => None,
            Cell::Text(text) => Some(text.parse().map_err(|_| AnswerFault::ChangeTime)?),
            Cell::Integer(seconds) => {
                Some(Timestamp::from_second(seconds).map_err(|_| AnswerFault::ChangeTime)?)
            }
            Cell::Other => return Err(AnswerFault::ChangeTime),
        };
        Ok(Held { value, changed_at })
    })
}

/// The answer of a `count` statement, by account.
pub fn sessions(
    key: &str,
    accounts: &[String],
    rows: &[SqliteRow],
) -> Result<BTreeMap<String, u64>, DirectoryError> {
    let counted = by_account(key, accounts, rows, false, |row| match cell(row, "sessions") {
        Cell::Integer(count) => u64::try_from(count).map_err(|_| AnswerFault::SessionsType),
        _ => Err(AnswerFault::SessionsType),
    })?;
    Ok(counted.into_iter().map(|(account, counts)| (account, counts.into_iter().sum())).collect())
}

fn by_account<T>(
    key: &str,
    accounts: &[String],
    rows: &[SqliteRow],
    several: bool,
    read: impl Fn(&SqliteRow) -> Result<T, AnswerFault>,
) -> Result<BTreeMap<String, Vec<T>>, DirectoryError> {
    let asked: BTreeSet<&str> = accounts.iter().map(String::as_str).collect();
    let mut found: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let checked = || {
            let account = match cell(row, "account") {
                Cell::Text(text) => text,
                Cell::Integer(number) => number.to_string(),
                Cell::Null | Cell::Other => return Err(AnswerFault::AccountType),
            };
            if !asked.contains(account.as_str()) {
                return Err(AnswerFault::Unasked);
            }
            if !several && found.contains_key(&account) {
                return Err(AnswerFault::AnsweredTwice);
            }
            Ok((account, read(row)?))
        };
        let (account, value) = checked().map_err(|fault| DirectoryError::Answer {
            key: key.to_owned(),
            row: at + 1,
            fault,
        })?;
        found.entry(account).or_default().push(value);
    }
    Ok(found)
}

/// A value by the type SQLite stored it with, whatever its column was declared as.
pub enum Cell {
    /// Null, or no such column.
    Null,
    /// A whole number.
    Integer(i64),
    /// Text in UTF-8.
    Text(String),
    /// Anything else.
    Other,
}

/// The value of a column; a column that is not there is null.
pub fn cell(row: &SqliteRow, column: &str) -> Cell {
    let Ok(raw) = row.try_get_raw(column) else {
        return Cell::Null;
    };
    if raw.is_null() {
        return Cell::Null;
    }
    let sort = raw.type_info().name().to_owned();
    decode(&sort, raw).unwrap_or(Cell::Other)
}

fn decode(sort: &str, raw: SqliteValueRef<'_>) -> Option<Cell> {
    match sort {
        "INTEGER" => <i64 as Decode<Sqlite>>::decode(raw).ok().map(Cell::Integer),
        "TEXT" => <String as Decode<Sqlite>>::decode(raw).ok().map(Cell::Text),
        _ => None,
    }
}
