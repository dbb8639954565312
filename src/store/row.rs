//! Column ↔ domain conversions shared by the engines: instants as i64 microseconds, digests as blobs.

use jiff::Timestamp;
use serde::{Serialize, Serializer as _};

use super::StoreError;
use crate::domain::delivery::DeliveryClass;

/// An instant as the database keeps it.
pub(crate) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// An instant out of the database; a value out of range reads as the nearest instant there is.
pub(crate) fn instant(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// A number for a column; counts and numbers stay far below 2^63.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A number out of a column that a CHECK or the writer keeps from being negative.
pub(crate) fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A small number out of a column.
pub(crate) fn small(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}

/// Rows for a statement's `json_each`: one JSON array, a row each. Tuples make arrays, whose elements SQLite
/// finds by place. Were a value not to be written, the text would end there and the statement be refused.
pub(crate) fn array<T: Serialize>(rows: impl Iterator<Item = T>) -> String {
    let mut bytes = Vec::with_capacity(1024);
    let written = serde_json::Serializer::new(&mut bytes).collect_seq(rows);
    debug_assert!(written.is_ok(), "rows are numbers and words");
    String::from_utf8(bytes).unwrap_or_default()
}

/// A blob of a fixed length.
pub(crate) fn bytes<const N: usize>(
    blob: &[u8],
    table: &'static str,
    column: &'static str,
    row: impl Into<RowKey>,
) -> Result<[u8; N], StoreError> {
    blob.try_into().map_err(|_| StoreError::Corrupt { table, column, row: row.into().0 })
}

/// A delivery class out of its two columns.
pub(crate) fn class(class: &str, reason: &str, number: i64) -> Result<DeliveryClass, StoreError> {
    DeliveryClass::parse(class, reason).map_err(|_| StoreError::Corrupt {
        table: "delivery",
        column: "class",
        row: number.to_string(),
    })
}

/// A row's key as text, for error messages.
pub(crate) struct RowKey(String);

impl From<i64> for RowKey {
    fn from(key: i64) -> Self {
        Self(key.to_string())
    }
}

impl From<i32> for RowKey {
    fn from(key: i32) -> Self {
        Self(key.to_string())
    }
}

impl From<u64> for RowKey {
    fn from(key: u64) -> Self {
        Self(key.to_string())
    }
}

impl From<&str> for RowKey {
    fn from(key: &str) -> Self {
        Self(key.to_owned())
    }
}
