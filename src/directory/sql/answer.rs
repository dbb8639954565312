//! The rows a statement answers with, held against what was asked: every account once (or once a
//! value, where it may have several), and none that nobody asked for.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::cell::{Cell, Record};
use crate::directory::{AnswerFault, DirectoryError};
use crate::secret::replacement::SecretValue;

/// A value and when it changed last, as read.
pub struct Held {
    /// The stored value, if there is one.
    pub value: Option<SecretValue>,
    /// When it changed last, if the statement says so.
    pub changed_at: Option<Timestamp>,
}

/// The columns of a `read` statement.
pub const HELD: [&str; 3] = ["account", "current", "changed_at"];

/// The columns of a `count` statement.
pub const SESSIONS: [&str; 2] = ["account", "sessions"];

/// The answer of a `read` statement in its columns [`HELD`], by account; where it may have `several`
/// values, a row each.
pub fn held(
    key: &str,
    accounts: &[String],
    rows: Vec<Record>,
    several: bool,
) -> Result<BTreeMap<String, Vec<Held>>, DirectoryError> {
    by_account(key, accounts, rows, several, |row| {
        let value = match take(row, 1) {
            Cell::Null => None,
            Cell::Text(mut text) => Some(SecretValue::new(std::mem::take(&mut *text))),
            Cell::Integer(_) | Cell::Instant(_) | Cell::Other => {
                return Err(AnswerFault::ValueType);
            }
        };
        let changed_at = match take(row, 2) {
            Cell::Null => None,
            Cell::Instant(instant) => Some(instant),
            Cell::Text(text) => Some(text.parse().map_err(|_| AnswerFault::ChangeTime)?),
            Cell::Integer(seconds) => {
                Some(Timestamp::from_second(seconds).map_err(|_| AnswerFault::ChangeTime)?)
            }
            Cell::Other => return Err(AnswerFault::ChangeTime),
        };
        Ok(Held { value, changed_at })
    })
}

/// The answer of a `count` statement in its columns [`SESSIONS`], by account.
pub fn sessions(
    key: &str,
    accounts: &[String],
    rows: Vec<Record>,
) -> Result<BTreeMap<String, u64>, DirectoryError> {
    let counted = by_account(key, accounts, rows, false, |row| match take(row, 1) {
        Cell::Integer(count) => u64::try_from(count).map_err(|_| AnswerFault::SessionsType),
        _ => Err(AnswerFault::SessionsType),
    })?;
    Ok(counted.into_iter().map(|(account, counts)| (account, counts.into_iter().sum())).collect())
}

fn by_account<T>(
    key: &str,
    accounts: &[String],
    rows: Vec<Record>,
    several: bool,
    read: impl Fn(&mut Record) -> Result<T, AnswerFault>,
) -> Result<BTreeMap<String, Vec<T>>, DirectoryError> {
    let asked: BTreeSet<&str> = accounts.iter().map(String::as_str).collect();
    let mut found: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for (at, mut row) in rows.into_iter().enumerate() {
        let mut checked = || {
            let account = match take(&mut row, 0) {
                Cell::Text(mut text) => std::mem::take(&mut *text),
                Cell::Integer(number) => number.to_string(),
                Cell::Null | Cell::Instant(_) | Cell::Other => {
                    return Err(AnswerFault::AccountType);
                }
            };
            if !asked.contains(account.as_str()) {
                return Err(AnswerFault::Unasked);
            }
            if !several && found.contains_key(&account) {
                return Err(AnswerFault::AnsweredTwice);
            }
            Ok((account, read(&mut row)?))
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

fn take(row: &mut Record, at: usize) -> Cell {
    row.get_mut(at).map_or(Cell::Null, |cell| std::mem::replace(cell, Cell::Null))
}
