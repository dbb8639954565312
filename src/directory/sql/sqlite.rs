//! What is SQLite's own.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{ConnectOptions, Decode, Row as _, Sqlite, TypeInfo as _, ValueRef as _};
use zeroize::Zeroizing;

use super::cell::{Cell, Record};
use super::connection::Access;
use crate::directory::DirectoryError;

/// How long a locked database is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Finds the rehearsal marker's table by any spelling: its name, ready to stand in a statement.
pub const FIND_MARKER: &str = "SELECT 'forthwith_rehearsal' FROM sqlite_schema \
    WHERE lower(name) = 'forthwith_rehearsal' AND type IN ('table', 'view')";

/// Which file a connection is to: one that was swapped for a restored backup is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

/// The file that is at this path now.
pub async fn file_at(path: &Path) -> std::io::Result<FileId> {
    let found = tokio::fs::metadata(path).await?;
    Ok(FileId { device: found.dev(), inode: found.ino() })
}

/// Opens the file, which is never created. It is looked at before: where it is swapped meanwhile, the
/// connection counts as one to the old file.
pub async fn connect(
    path: &Path,
    access: Access,
) -> Result<(SqliteConnection, FileId), DirectoryError> {
    let path = path.to_owned();
    let file = match file_at(&path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(DirectoryError::FileMissing { path });
        }
        Err(error) => return Err(DirectoryError::Open { path, cause: error.to_string() }),
        Ok(file) => file,
    };
    let mut options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(false)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging();
    if access == Access::Read {
        options = options.pragma("query_only", "ON");
    }
    match options.connect().await {
        Ok(conn) => Ok((conn, file)),
        Err(error) => Err(DirectoryError::Open { path, cause: error.to_string() }),
    }
}

/// How a transaction begins. One that writes takes the lock at once.
pub fn begin(access: Access, _: Duration) -> String {
    match access {
        Access::Read => "BEGIN".into(),
        Access::Write => "BEGIN IMMEDIATE".into(),
    }
}

/// The value of a column by the type SQLite stored it with, whatever its column was declared as; a
/// column that is not there is null.
pub fn cell(row: &SqliteRow, column: &str) -> Cell {
    let Ok(raw) = row.try_get_raw(column) else {
        return Cell::Null;
    };
    if raw.is_null() {
        return Cell::Null;
    }
    let sort = raw.type_info().name().to_owned();
    let decoded = match sort.as_str() {
        "INTEGER" => <i64 as Decode<Sqlite>>::decode(raw).ok().map(Cell::Integer),
        "TEXT" => <String as Decode<Sqlite>>::decode(raw)
            .ok()
            .map(|text| Cell::Text(Zeroizing::new(text))),
        _ => None,
    };
    decoded.unwrap_or(Cell::Other)
}

/// A statement whose rows come as one JSON array of at most `?2`, each with the columns `asked` for: on its way
/// out of the driver a row of its own costs several times what it took to find. What is text, a whole number
/// or null comes as such; text loses the mark by which SQLite's JSON functions would take it for JSON.
pub fn packed(sql: &str, columns: &[String], asked: &[&str]) -> String {
    let cell = |name: &&str| {
        if columns.iter().any(|column| column == name) {
            format!(
                "CASE typeof(\"{name}\") WHEN 'text' THEN \"{name}\" || '' WHEN 'integer' THEN \"{name}\" \
                 WHEN 'null' THEN NULL ELSE 0.5 END"
            )
        } else {
            "NULL".to_owned()
        }
    };
    let cells: Vec<String> = asked.iter().map(cell).collect();
    // The line break ends a comment that the statement may end with.
    format!(
        "SELECT json_group_array(json_array({})) FROM (SELECT * FROM ({sql}\n) LIMIT ?2)",
        cells.join(", ")
    )
}

/// The rows of a [`packed`] statement.
pub fn records(row: &SqliteRow) -> Option<Vec<Record>> {
    let text = <&str as Decode<Sqlite>>::decode(row.try_get_raw(0).ok()?).ok()?;
    serde_json::from_str(text).ok()
}

/// A failure while values were in play.
///
/// Two of SQLite's messages may quote a stored value: the general one (a JSON path or a function
/// argument) and that of a trigger's RAISE. Of those only the code is told.
pub fn failed(key: &str, error: &dyn sqlx::error::DatabaseError) -> DirectoryError {
    const SQLITE_ERROR: u32 = 1;
    const SQLITE_BUSY: u32 = 5;
    const SQLITE_LOCKED: u32 = 6;
    const SQLITE_CONSTRAINT: u32 = 19;
    const SQLITE_CONSTRAINT_TRIGGER: u32 = 1811;
    let key = key.to_owned();
    let code: u32 = error.code().and_then(|code| code.parse().ok()).unwrap_or(SQLITE_ERROR);
    let cause = match code & 0xff {
        SQLITE_BUSY | SQLITE_LOCKED => return DirectoryError::Busy { key, of_rows: false },
        SQLITE_ERROR => format!("code {code}; its text may quote a stored value and is not shown"),
        _ if code == SQLITE_CONSTRAINT_TRIGGER => {
            "a trigger refused it; its text may quote a stored value and is not shown".to_owned()
        }
        _ => format!("code {code}, {}", error.message()),
    };
    if code & 0xff == SQLITE_CONSTRAINT {
        return DirectoryError::RowRefused { key, cause };
    }
    DirectoryError::Statement { key, cause }
}
