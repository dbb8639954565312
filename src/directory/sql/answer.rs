//! The rows a statement answers with, held against what was asked: every account once (or once a
//! value, where it may have several), and none that nobody asked for.

use std::collections::HashMap;

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

/// The answer of a `read` statement in its columns [`HELD`], for each account in the order asked for: nothing
/// where the directory does not know it, and where it may have `several` values, a row each.
pub fn held(
    key: &str,
    accounts: &[String],
    rows: Vec<Record>,
    several: bool,
) -> Result<Vec<Vec<Held>>, DirectoryError> {
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

/// The answer of a `count` statement in its columns [`SESSIONS`], for each account in the order asked for.
pub fn sessions(
    key: &str,
    accounts: &[String],
    rows: Vec<Record>,
) -> Result<Vec<u64>, DirectoryError> {
    let counted = by_account(key, accounts, rows, false, |row| match take(row, 1) {
        Cell::Integer(count) => u64::try_from(count).map_err(|_| AnswerFault::SessionsType),
        _ => Err(AnswerFault::SessionsType),
    })?;
    Ok(counted.into_iter().map(|counts| counts.into_iter().sum()).collect())
}

fn by_account<T>(
    key: &str,
    accounts: &[String],
    rows: Vec<Record>,
    several: bool,
    read: impl Fn(&mut Record) -> Result<T, AnswerFault>,
) -> Result<Vec<Vec<T>>, DirectoryError> {
    let asked: HashMap<&str, usize> =
        accounts.iter().enumerate().map(|(place, account)| (account.as_str(), place)).collect();
    let mut found: Vec<Vec<T>> = accounts.iter().map(|_| Vec::new()).collect();
    for (at, mut row) in rows.into_iter().enumerate() {
        let mut checked = || {
            let place = match take(&mut row, 0) {
                Cell::Text(text) => asked.get(text.as_str()),
                Cell::Integer(number) => asked.get(number.to_string().as_str()),
                Cell::Null | Cell::Instant(_) | Cell::Other => {
                    return Err(AnswerFault::AccountType);
                }
            };
            let place = *place.ok_or(AnswerFault::Unasked)?;
            if !several && !found[place].is_empty() {
                return Err(AnswerFault::AnsweredTwice);
            }
            Ok((place, read(&mut row)?))
        };
        let (place, value) = checked().map_err(|fault| DirectoryError::Answer {
            key: key.to_owned(),
            row: at + 1,
            fault,
        })?;
        found[place].push(value);
    }
    Ok(found)
}

fn take(row: &mut Record, at: usize) -> Cell {
    row.get_mut(at).map_or(Cell::Null, |cell| std::mem::replace(cell, Cell::Null))
}
