//! What is `PostgreSQL`'s own.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::{PgConnection, PgRow, PgTypeInfo, PgTypeKind, PgValueFormat, PgValueRef};
use sqlx::{Row as _, TypeInfo as _, ValueRef as _};
use uuid::Uuid;

use super::cell::Cell;
use super::connection::{Access, LOCK_PATIENCE};
use crate::database::{Login, POSTGRES_LOCAL};
use crate::directory::DirectoryError;

/// Finds the rehearsal marker's table in any schema and spelling: its name, ready to stand in a
/// statement.
pub const FIND_MARKER: &str = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) \
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
    WHERE lower(c.relname) = 'forthwith_rehearsal' AND c.relkind IN ('r', 'v', 'm', 'p', 'f') LIMIT 2";

/// Microseconds from 1970 to the year from which the engine counts.
const EPOCH: i64 = 946_684_800_000_000;

/// A new connection to the primary: a standby shows what was, and takes no writes.
pub async fn connect(login: &Login) -> Result<PgConnection, DirectoryError> {
    let mut connection = login.postgres().await?;
    let is_standby: bool = sqlx::query_scalar("SELECT pg_catalog.pg_is_in_recovery()")
        .persistent(false)
        .fetch_one(&mut connection)
        .await
        .map_err(|error| DirectoryError::Statement {
            key: "pg_is_in_recovery".into(),
            cause: error.to_string(),
        })?;
    if is_standby {
        return Err(DirectoryError::NotPrimary { place: login.name(), why: "pg_is_in_recovery()" });
    }
    Ok(connection)
}

/// How a transaction begins. Reads see one instant. Writes wait for whoever holds a row, and then
/// compare with what that one left: READ COMMITTED looks at the WHERE once more.
pub fn begin(access: Access, patience: Duration) -> String {
    let how = match access {
        Access::Read => "REPEATABLE READ READ ONLY",
        Access::Write => "READ COMMITTED READ WRITE",
    };
    let (patience, lock) = (patience.as_millis(), LOCK_PATIENCE.as_millis());
    format!(
        "BEGIN ISOLATION LEVEL {how}; {POSTGRES_LOCAL}; SET LOCAL statement_timeout = {patience}; \
         SET LOCAL lock_timeout = {lock}; SET LOCAL idle_in_transaction_session_timeout = {patience}"
    )
}

/// The value of a column; a column that is not there is null.
pub fn cell(row: &PgRow, column: &str) -> Cell {
    let Ok(raw) = row.try_get_raw(column) else {
        return Cell::Null;
    };
    if raw.is_null() {
        return Cell::Null;
    }
    let (sort, is_text) = (raw.type_info().name().to_owned(), is_text(&raw.type_info()));
    decode(&sort, is_text, &raw).unwrap_or(Cell::Other)
}

/// Text by whatever name: an enum's and those of extensions too.
fn is_text(sort: &PgTypeInfo) -> bool {
    const NAMES: [&str; 5] = ["TEXT", "VARCHAR", "CHAR", "NAME", "citext"];
    NAMES.contains(&sort.name()) || matches!(sort.kind(), PgTypeKind::Enum(_))
}

fn decode(sort: &str, is_text: bool, raw: &PgValueRef<'_>) -> Option<Cell> {
    let bytes = raw.as_bytes().ok()?;
    if is_text || raw.format() == PgValueFormat::Text {
        return Some(Cell::text(bytes));
    }
    match sort {
        "INT2" => Some(Cell::Integer(i16::from_be_bytes(bytes.try_into().ok()?).into())),
        "INT4" => Some(Cell::Integer(i32::from_be_bytes(bytes.try_into().ok()?).into())),
        "INT8" => Some(Cell::Integer(i64::from_be_bytes(bytes.try_into().ok()?))),
        "UUID" => Some(Cell::text(Uuid::from_slice(bytes).ok()?.to_string().as_bytes())),
        "TIMESTAMPTZ" => {
            let micros = i64::from_be_bytes(bytes.try_into().ok()?).checked_add(EPOCH)?;
            Timestamp::from_microsecond(micros).ok().map(Cell::Instant)
        }
        _ => None,
    }
}

/// A failure while values were in play: the engine's own text may quote one, so only what its code
/// means is told (`PostgreSQL` documentation, appendix A).
pub fn failed(key: &str, error: &dyn sqlx::error::DatabaseError) -> DirectoryError {
    let key = key.to_owned();
    let code = error.code().map_or_else(String::new, std::borrow::Cow::into_owned);
    let meaning = match code.as_str() {
        // serialization_failure, deadlock_detected, lock_not_available
        "40001" | "40P01" | "55P03" => return DirectoryError::Busy { key, of_rows: true },
        // the server is going down, or an operator ended this connection
        "57P01" | "57P02" | "57P03" => return DirectoryError::Lost { key },
        "57014" => return DirectoryError::Slow { key },
        "25006" => "it writes where only reading is allowed",
        "42501" => "its user may not do that",
        "23505" => "a unique key refused it",
        "23502" => "a column that must not be null refused it",
        "23514" => "a check refused it",
        "22001" => "a value is longer than its column",
        "22P02" | "22023" | "22030" | "22032" => "a value cannot be read as the type it is cast to",
        "P0001" => "a trigger or function refused it",
        _ => "",
    };
    let dash = if meaning.is_empty() { "" } else { ", " };
    let cause =
        format!("code {code}{dash}{meaning}; its text may quote a stored value and is not shown");
    // integrity_constraint_violation, data_exception, raise_exception
    if code.starts_with("23") || code.starts_with("22") || code == "P0001" {
        return DirectoryError::RowRefused { key, cause };
    }
    DirectoryError::Statement { key, cause }
}
