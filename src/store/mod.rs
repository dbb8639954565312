//! L1b: persistence. One trait per aggregate; `sqlite/` implements them, a Postgres twin mirrors it.
//!
//! Every function is one transaction, or one read. Writers that change a class go through one function
//! (`sqlite/classes.rs`): lock the chunks, change guarded rows, move the counters by the rows that really
//! changed, append the ledger batch, commit.

pub mod acts;
pub mod amendments;
pub mod audiences;
pub mod campaigns;
pub mod codes;
pub mod containments;
pub mod credentials;
pub mod deliveries;
pub mod errands;
pub mod events;
pub mod operators;
pub mod pace;
pub mod plans;
pub mod rechecks;
pub mod reports;
pub mod resets;
pub mod rewinds;
mod row;
pub mod seals;
pub mod sqlite;
pub mod support;
pub mod tokens;
pub mod waves;

use std::sync::Arc;

pub use acts::Acts;
pub use amendments::Amendments;
pub use audiences::Audiences;
pub use campaigns::Campaigns;
pub use codes::Codes;
pub use containments::Containments;
pub use credentials::Credentials;
pub use deliveries::Deliveries;
pub use errands::Errands;
pub use events::Events;
pub use operators::Operators;
pub use pace::Paces;
pub use plans::Plans;
pub use rechecks::Rechecks;
pub use reports::Reports;
pub use resets::Resets;
pub use rewinds::Rewinds;
pub use seals::Seals;
pub use support::Support;
pub use tokens::Tokens;
pub use waves::Waves;

/// Everything an engine needs of its database.
pub trait Store:
    Operators
    + Campaigns
    + Plans
    + Seals
    + Containments
    + Credentials
    + Deliveries
    + Tokens
    + Codes
    + Resets
    + Paces
    + Waves
    + Acts
    + Audiences
    + Errands
    + Events
    + Rechecks
    + Reports
    + Rewinds
    + Amendments
    + Support
    + Send
    + Sync
{
}

/// A shared handle on the store.
pub type Handle = Arc<dyn Store>;

/// The newest ledger batch of a commit: what the high-water mark remembers (promise 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerMark {
    /// Row id of the batch.
    pub batch_id: i64,
    /// SHA-256 of its entries.
    pub sha256: [u8; 32],
}

/// Called after each commit that appended a ledger batch.
pub type OnBatch = Arc<dyn Fn(LedgerMark) + Send + Sync>;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database file could not be opened.
    #[error("database `{path}` cannot be opened: {source}; hint: {hint}")]
    Open {
        /// The file.
        path: String,
        /// What would help.
        hint: String,
        /// The driver's reason.
        #[source]
        source: sqlx::Error,
    },
    /// A migration failed, or the database is newer than this binary.
    #[error("database `{path}` cannot be brought to this version: {source}")]
    Migrate {
        /// The file.
        path: String,
        /// The migrator's reason.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// A statement failed.
    #[error("{what}: {source}")]
    Statement {
        /// What was being done.
        what: &'static str,
        /// The driver's reason.
        #[source]
        source: sqlx::Error,
    },
    /// A row holds what no version of this program wrote.
    #[error("table `{table}` column `{column}` of row {row} holds an unknown value")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key, as text.
        row: String,
    },
    /// A name is taken.
    #[error("{what} `{name}` exists already")]
    Exists {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Reading or writing a file beside the database failed.
    #[error("file `{path}`: {source}")]
    File {
        /// The file.
        path: String,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The database is not the one this host saw last: only `recover` may write to it.
    #[error(
        "the database was rewound, so nothing is written to it; hint: `forthwith campaign recover`"
    )]
    Rewound,
    /// The row changed under the caller.
    #[error("{0}")]
    Conflict(String),
}

/// What the machine, and no defect, keeps the database from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Another process holds its lock.
    Locked,
    /// No space is left where it lies.
    Full,
}

impl StoreError {
    /// What the machine keeps the database from, where that is the reason.
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Open { source, .. } | Self::Statement { source, .. } => trouble_of(source),
            Self::Migrate { source, .. } => match source {
                sqlx::migrate::MigrateError::Execute(source)
                | sqlx::migrate::MigrateError::ExecuteMigration(source, _) => trouble_of(source),
                _ => None,
            },
            Self::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                Some(Trouble::Full)
            }
            Self::File { .. }
            | Self::Corrupt { .. }
            | Self::Exists { .. }
            | Self::Rewound
            | Self::Conflict(_) => None,
        }
    }

    /// Wraps a driver error with what was being done.
    pub(crate) fn on(what: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self::Statement { what, source }
    }
}

/// By SQLite's result codes (<https://www.sqlite.org/rescode.html>), extended ones included.
fn trouble_of(error: &sqlx::Error) -> Option<Trouble> {
    const BUSY: u32 = 5;
    const FULL: u32 = 13;
    /// The index of the write-ahead log cannot grow.
    const IOERR_SHMSIZE: u32 = 4874;
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    match code {
        IOERR_SHMSIZE => Some(Trouble::Full),
        code if code & 0xff == BUSY => Some(Trouble::Locked),
        code if code & 0xff == FULL => Some(Trouble::Full),
        _ => None,
    }
}
