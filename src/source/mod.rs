//! Where audiences come from: files and queries, read as a stream of rows.
//!
//! A row that names an account becomes a recipient, whatever its address; every other row is
//! handed on with its line, column and reason, and kept. Knows nothing of seals, stores or
//! digests: who wants a digest of the source taps the bytes as they are read.

mod audience;
mod csv;
mod encoding;
mod header;
mod input;
mod json;
mod mapping;
mod ndjson;
mod record;
mod reject;
mod settings;
mod sql;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use async_trait::async_trait;

use crate::database::DatabaseError;
use crate::domain::recipient::Recipient;

use self::mapping::Refusal;

pub use self::audience::{AudienceOrigin, AudienceSettings, PeopleOf};
pub use self::csv::CsvSource;
pub use self::encoding::{Encoding, EncodingFault};
pub use self::ndjson::NdjsonSource;
pub use self::reject::{Reject, RejectError, RejectFile, RejectReason, RejectSummary};
pub use self::settings::{Columns, CsvSettings, NdjsonSettings, SourceSettings, SqlSettings};
pub use self::sql::SqlSource;

/// Sees what is read, in order and once: every byte of a file; of a query its text, then every
/// good row's canonical bytes and every rejected row's raw ones.
pub type Tap<'a> = &'a mut (dyn FnMut(&[u8]) + Send);

/// One row of a source.
#[derive(Debug)]
pub enum Row {
    /// An account, to be sealed.
    Good {
        /// The physical line it starts on, counted from 1; a query's row by its ordinal.
        line: u64,
        /// The person.
        recipient: Box<Recipient>,
    },
    /// A row that names no account, or whose facts cannot be read; kept, never sealed.
    Rejected(Reject),
}

impl Row {
    /// What a row that was read comes to; `raw` gives its bytes where it is to be kept.
    fn of(line: u64, read: Result<Recipient, Refusal>, raw: impl FnOnce() -> Vec<u8>) -> Self {
        match read {
            Ok(recipient) => Self::Good { line, recipient: Box::new(recipient) },
            Err(Refusal { column, reason }) => {
                Self::Rejected(Reject { line, column, reason, raw: raw() })
            }
        }
    }
}
/// How many bytes of rows end a batch, however few rows they are: a reject keeps up to a megabyte of its
/// row, and a thousand of them would be a gigabyte at once.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// How far a source has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Units read.
    pub done: u64,
    /// Units in all, where that is known cheaply. A file that grows may pass it.
    pub total: Option<u64>,
    /// What is counted.
    pub unit: Unit,
}

/// What [`Progress`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes of a file.
    Bytes,
    /// Rows of a query.
    Rows,
}

/// A stream of rows that takes no more memory however long it is.
#[async_trait]
pub trait Source: Send {
    /// The next rows, at least one and at most `max` (0 counts as 1), fewer where they are long; none at
    /// the end. After an error the source is spent.
    async fn next_batch(&mut self, max: usize, tap: Tap<'_>) -> Result<Vec<Row>, SourceError>;

    /// How far it has been read.
    fn progress(&self) -> Progress;

    /// What it is, for the seal's provenance and for messages: `csv people.csv`.
    fn origin(&self) -> &str;

    /// Rows read and left out on purpose so far, by the step that left them out; they are no part of
    /// what [`Source::next_batch`] gave.
    fn excluded(&self) -> BTreeMap<String, u64> {
        BTreeMap::new()
    }

    /// What an operator should know of the rows given so far, as a sentence.
    fn warning(&self) -> Option<String> {
        None
    }
}

/// Why a source cannot be read, or be read on. Never holds a value of a row.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file cannot be opened.
    #[error("{}: cannot be opened; hint: check `path` in [audience.{table}]", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The table under `audience` that names it.
        table: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file cannot be read on.
    #[error(
        "{origin}: reading stopped at line {line}; hint: run the same command again once the file can \
         be read to its end"
    )]
    Read {
        /// The source.
        origin: String,
        /// The line being read.
        line: u64,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file is empty, or its first line is no header.
    #[error("{origin}: line {line} is no header: {reason}")]
    Header {
        /// The source.
        origin: String,
        /// The line.
        line: u64,
        /// What is wrong with it, with a hint.
        reason: String,
    },
    /// The bytes are not text of the encoding set.
    #[error("{origin}: {fault}")]
    Encoding {
        /// The source.
        origin: String,
        /// What speaks against it.
        fault: EncodingFault,
    },
    /// A JSON document instead of one object a line.
    #[error(
        "{origin}: begins with a list, and NDJSON is one object a line; \
         hint: `jq -c '.[]'` writes it so"
    )]
    JsonList {
        /// The source.
        origin: String,
    },
    /// A mapped key is in none of the objects looked at.
    #[error(
        "{origin}: no key `{column}`, which `columns.{key}` names, in the first {objects} objects; \
         hint: keys are compared letter by letter, nested ones are written `a.b`, and a rare one \
         counts as there where the first object has it as null"
    )]
    MissingKey {
        /// The source.
        origin: String,
        /// The key in `columns`.
        key: String,
        /// The key it names.
        column: String,
        /// Objects looked at.
        objects: usize,
    },
    /// So many quotes are never closed that reading on would read the file over and over.
    #[error(
        "{origin}: line {line} opens one more quote that is never closed; \
         hint: write the file again with every quote in a value doubled"
    )]
    Quoting {
        /// The source.
        origin: String,
        /// The line.
        line: u64,
    },
    /// A mapped column is not there.
    #[error("{origin}: no column `{column}`, which `columns.{key}` names; hint: {hint}")]
    MissingColumn {
        /// The source.
        origin: String,
        /// The key in `columns`.
        key: String,
        /// The column it names.
        column: String,
        /// What may have been meant.
        hint: String,
    },
    /// A mapped column is there twice.
    #[error(
        "{origin}: two columns are called `{column}`, which `columns.{key}` names; \
         hint: rename one of them"
    )]
    DoubledColumn {
        /// The source.
        origin: String,
        /// The key in `columns`.
        key: String,
        /// The column it names.
        column: String,
    },
    /// A setting cannot be used.
    #[error("{origin}: `{key}` {problem}")]
    Setting {
        /// The source.
        origin: String,
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The database's place, or how it is entered.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The database cannot be opened for reading.
    #[error("{origin}: cannot be opened read-only; hint: check `url` in [audience.sql]")]
    Connect {
        /// The source.
        origin: String,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// The database refuses the query.
    #[error("{origin}: the database refuses `query`; hint: try it in the database's own shell")]
    Query {
        /// The source.
        origin: String,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// The database stopped in the middle of the query.
    #[error(
        "{origin}: the query stopped after row {rows}; hint: nobody is sealed before the last row, so \
         run the same command again once that is mended"
    )]
    Rows {
        /// The source.
        origin: String,
        /// Rows read before.
        rows: u64,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// Where the rows come from refuses them, or stopped giving them.
    #[error("{origin}: reading stopped after row {rows}: {source}")]
    Stopped {
        /// The source.
        origin: String,
        /// Rows read before.
        rows: u64,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The task that reads the query died.
    #[error("{origin}: the reader died after row {rows}; hint: run the same command again")]
    Reader {
        /// The source.
        origin: String,
        /// Rows read before.
        rows: u64,
        /// How it died.
        #[source]
        source: tokio::task::JoinError,
    },
}
