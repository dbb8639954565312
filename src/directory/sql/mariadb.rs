//! What is MariaDB's own.

use std::time::Duration;

use jiff::civil;
use sqlx::mysql::{MySql, MySqlConnection, MySqlRow};
use sqlx::{Decode, Row as _, TypeInfo as _, ValueRef as _};

use super::cell::Cell;
use super::connection::{Access, LOCK_PATIENCE};
use crate::database::Login;
use crate::directory::DirectoryError;

/// Finds the rehearsal marker's table in any spelling: its name, ready to stand in a statement.
pub const FIND_MARKER: &str = "SELECT CONCAT('`', table_name, '`') FROM information_schema.tables \
    WHERE table_schema = DATABASE() AND LOWER(table_name) = 'forthwith_rehearsal' LIMIT 2";

/// A new connection to the primary: a server that is read-only shows what was, and takes no writes.
pub async fn connect(login: &Login) -> Result<MySqlConnection, DirectoryError> {
    let mut connection = login.mariadb().await?;
    let read_only: bool =
        sqlx::query_scalar("SELECT CAST(@@global.read_only AS CHAR) NOT IN ('0', 'OFF')")
            .persistent(false)
            .fetch_one(&mut connection)
            .await
            .map_err(|error| DirectoryError::Statement {
                key: "@@read_only".into(),
                cause: error.to_string(),
            })?;
    if read_only {
        return Err(DirectoryError::NotPrimary { place: login.name(), why: "@@read_only" });
    }
    Ok(connection)
}

/// How a transaction begins. Reads see one instant. Writes wait for whoever holds a row, and then
/// compare with what that one left.
pub fn begin(access: Access, patience: Duration) -> String {
    let (patience, lock) = (patience.as_secs_f64(), LOCK_PATIENCE.as_secs());
    let session = format!(
        "SET SESSION max_statement_time = {patience}, innodb_lock_wait_timeout = {lock}, \
         lock_wait_timeout = {lock}"
    );
    let how = match access {
        Access::Read => "REPEATABLE READ; START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
        Access::Write => "READ COMMITTED; START TRANSACTION READ WRITE",
    };
    format!("{session}; SET TRANSACTION ISOLATION LEVEL {how}")
}

/// The value of a column; a column that is not there is null.
pub fn cell(row: &MySqlRow, column: &str) -> Cell {
    let Ok(raw) = row.try_get_raw(column) else {
        return Cell::Null;
    };
    if raw.is_null() {
        return Cell::Null;
    }
    let sort = raw.type_info().name().to_owned();
    <&[u8] as Decode<MySql>>::decode(raw)
        .ok()
        .and_then(|bytes| decode(&sort, bytes))
        .unwrap_or(Cell::Other)
}

/// Binary columns count as text where they hold it: a column of text with a binary collation comes
/// under their name, and both compare byte by byte.
fn decode(sort: &str, bytes: &[u8]) -> Option<Cell> {
    match sort {
        "CHAR" | "VARCHAR" | "TINYTEXT" | "TEXT" | "MEDIUMTEXT" | "LONGTEXT" | "ENUM"
        | "BINARY" | "VARBINARY" | "TINYBLOB" | "BLOB" | "MEDIUMBLOB" | "LONGBLOB" => {
            Some(Cell::text(bytes))
        }
        "TIMESTAMP" => instant(bytes),
        _ if sort.contains("INT") || sort == "BOOLEAN" => {
            let (is_unsigned, mut wide) = (sort.ends_with("UNSIGNED"), [0_u8; 8]);
            let is_negative = !is_unsigned && bytes.last().is_some_and(|last| *last >= 0x80);
            wide.fill(if is_negative { 0xff } else { 0 });
            wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
            let number = i64::from_le_bytes(wide);
            (!is_unsigned || number >= 0).then_some(Cell::Integer(number))
        }
        _ => None,
    }
}

/// A TIMESTAMP in the binary protocol: its length, then year, month, day, and as much of hour, minute,
/// second and microseconds as is not zero. The session's zone is UTC.
fn instant(bytes: &[u8]) -> Option<Cell> {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let small = |at: usize| i8::try_from(byte(at)).ok();
    let year = i16::try_from(u16::from_le_bytes([byte(1), byte(2)])).ok()?;
    let micros = u32::from_le_bytes([byte(8), byte(9), byte(10), byte(11)]);
    let nanos = i32::try_from(micros.checked_mul(1_000)?).ok()?;
    civil::DateTime::new(year, small(3)?, small(4)?, small(5)?, small(6)?, small(7)?, nanos)
        .ok()?
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| Cell::Instant(zoned.timestamp()))
}

/// A failure while values were in play: the engine's own text may quote one, so only what its number
/// means is told.
pub fn failed(key: &str, error: &dyn sqlx::error::DatabaseError) -> DirectoryError {
    let key = key.to_owned();
    let number = error
        .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
        .map_or(0, sqlx::mysql::MySqlDatabaseError::number);
    let meaning = match number {
        // ER_CHECKREAD, ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK
        1020 | 1205 | 1213 => return DirectoryError::Busy { key, of_rows: true },
        // ER_SERVER_SHUTDOWN, ER_CONNECTION_KILLED
        1053 | 1927 => return DirectoryError::Lost { key },
        // ER_STATEMENT_TIMEOUT
        1969 => return DirectoryError::Slow { key },
        1792 => "it writes where only reading is allowed",
        1290 | 1836 => "the server is read-only",
        1044 | 1142 | 1143 => "its user may not do that",
        1062 => "a unique key refused it",
        1048 => "a column that must not be null refused it",
        4025 => "a check refused it",
        1406 => "a value is longer than its column",
        1267 => {
            "two collations cannot be compared: give the columns of JSON_TABLE the collation of yours"
        }
        1644 => "a trigger refused it",
        1665 => "binlog_format is STATEMENT, and must be MIXED or ROW for this",
        _ => "",
    };
    let dash = if meaning.is_empty() { "" } else { ", " };
    let cause =
        format!("code {number}{dash}{meaning}; its text may quote a stored value and is not shown");
    if matches!(number, 1048 | 1062 | 1406 | 1644 | 4025) {
        return DirectoryError::RowRefused { key, cause };
    }
    DirectoryError::Statement { key, cause }
}

/// Whether the rollback that was just made left something: a table outside transactions keeps what is
/// written to it (`ER_WARNING_NOT_COMPLETE_ROLLBACK`).
pub async fn kept_something(connection: &mut MySqlConnection) -> bool {
    let warnings = sqlx::raw_sql("SHOW WARNINGS").fetch_all(connection).await.unwrap_or_default();
    warnings.iter().any(|row| {
        // without binds every value is text
        row.try_get_unchecked::<&[u8], _>("Code").is_ok_and(|code| code == b"1196")
    })
}
