//! What goes wrong with a directory, in words that hold no stored value, account or URL.

use std::path::PathBuf;

use thiserror::Error;

use super::control::ControlFault;
use super::http::HttpFault;
use super::ldap::LdapFault;
use super::rest::RestFault;
use super::sql::bind::BindError;
use crate::database::DatabaseError;
use crate::domain::credential::CredentialKind;

/// Why a directory did not do what was asked of it.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// The database, or how it is entered.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// An LDAP server.
    #[error(transparent)]
    Ldap(#[from] LdapFault),
    /// A company's own endpoint.
    #[error(transparent)]
    Http(#[from] HttpFault),
    /// An identity server.
    #[error(transparent)]
    Rest(#[from] RestFault),
    /// The server is a copy of another.
    #[error(
        "the database at {place} is no primary ({why}), so that it takes no writes and may show what was"
    )]
    NotPrimary {
        /// Host, port and name.
        place: String,
        /// What it says of itself.
        why: &'static str,
    },
    /// A table takes nothing back.
    #[error(
        "{key} may write to the table {table}, which is outside transactions: no rollback would take it back"
    )]
    NotTransactional {
        /// The statement's key.
        key: String,
        /// The table.
        table: String,
    },
    /// A view does not show which tables it writes to.
    #[error("{key} goes through the view {view}, whose definition its user may not see")]
    HiddenView {
        /// The statement's key.
        key: String,
        /// The view.
        view: String,
    },
    /// A rollback left something.
    #[error("the rollback left rows changed: a table is outside transactions")]
    NotRolledBack,
    /// The connection broke, or nobody answers.
    #[error("{key}: the connection to the database broke; whether this was kept is not known")]
    Lost {
        /// The statement's key.
        key: String,
    },
    /// The server gave a statement up.
    #[error("{key} took longer than directory.sql.timeout; rolled back, nothing changed")]
    Slow {
        /// The statement's key.
        key: String,
    },
    /// The batch size makes no sense.
    #[error("directory.sql.batch is {batch}; it must be between 1 and 10000")]
    BatchSize {
        /// The size in the settings.
        batch: usize,
    },
    /// `lapse_within` is negative.
    #[error("directory.sql.sessions.lapse_within is negative")]
    NegativeLapse,
    /// The database file is not there; it is never created.
    #[error("there is no database file at {}", path.display())]
    FileMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The database could not be opened.
    #[error("the directory at {} could not be opened: {cause}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// The driver's words.
        cause: String,
    },
    /// The preset gives no statements.
    #[error(transparent)]
    Preset(#[from] super::sql::PresetFault),
    /// A statement's bind is not as agreed.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The engine does not accept a statement.
    #[error("{key} was not accepted: {cause}")]
    Prepare {
        /// The statement's key.
        key: String,
        /// The engine's words; no stored value was in play.
        cause: String,
    },
    /// A statement lacks a column.
    #[error("{key} returns no column `{column}`")]
    ColumnMissing {
        /// The statement's key.
        key: String,
        /// The column.
        column: &'static str,
    },
    /// A statement that is needed is not set.
    #[error("{key} is not set")]
    NotSet {
        /// The statement's key.
        key: String,
    },
    /// A kind without values was to be replaced.
    #[error("credentials of kind {kind} have no value to replace")]
    NoValue {
        /// The kind.
        kind: CredentialKind,
    },
    /// More accounts than the batch size.
    #[error("{rows} accounts in one call, {batch} are allowed")]
    BatchTooLarge {
        /// Accounts in the call.
        rows: usize,
        /// `directory.sql.batch`.
        batch: usize,
    },
    /// The caller named an account twice.
    #[error("account {place} of the call was named before")]
    NamedTwice {
        /// Its place, from 1.
        place: usize,
    },
    /// A replacement equals what it replaces.
    #[error("replacement {place} of the call equals the current value")]
    NoChange {
        /// Its place, from 1.
        place: usize,
    },
    /// Somebody else holds a lock, or won a deadlock.
    #[error("{key}: others hold locks on what it needs; nothing changed")]
    Busy {
        /// The statement's key.
        key: String,
        /// The engine locks rows and not the whole database, so that it may concern a few accounts alone.
        of_rows: bool,
    },
    /// A statement failed while it ran.
    #[error("{key} failed: {cause}")]
    Statement {
        /// The statement's key.
        key: String,
        /// The engine's words where they can't hold a stored value, else its code.
        cause: String,
    },
    /// The database refused a row: a trigger, a key or a check does not let it be written. Rolled back.
    #[error("{key} failed: {cause}")]
    RowRefused {
        /// The statement's key.
        key: String,
        /// Why, without any stored value.
        cause: String,
    },
    /// A row of an answer is not as agreed.
    #[error("{key}, row {row} of its answer: {fault}")]
    Answer {
        /// The statement's key.
        key: String,
        /// The row, from 1.
        row: usize,
        /// What is wrong with it.
        fault: AnswerFault,
    },
    /// More rows changed than accounts were given; rolled back.
    #[error("{key} changed {changed} rows for {asked} accounts; rolled back, nothing changed")]
    TooManyRows {
        /// The statement's key.
        key: String,
        /// Rows changed.
        changed: u64,
        /// Accounts given.
        asked: u64,
    },
    /// More sessions ended than the accounts had; rolled back.
    #[error(
        "{key} ended {ended} sessions where these accounts had {counted}; rolled back, nothing \
         changed"
    )]
    TooManySessions {
        /// The statement's key.
        key: String,
        /// Sessions ended.
        ended: u64,
        /// Sessions counted before, in the same transaction.
        counted: u64,
    },
    /// A control account did not come out as it went in; inside a write: rolled back.
    #[error("control account {place} of directory.control_accounts {fault}")]
    ControlChanged {
        /// Its place in `directory.control_accounts`, from 1.
        place: usize,
        /// What became of it.
        fault: ControlFault,
    },
    /// The statement replaces a value that is not the one it was told to expect.
    #[error("{key} replaced a value that was not `current`: it is no compare-and-set")]
    NotCompareAndSet {
        /// The statement's key.
        key: String,
    },
    /// What was put away of replaced values did not come back, or stayed.
    #[error("{key} {what}; rolled back, nothing changed")]
    Archive {
        /// The statement's key.
        key: String,
        /// What it did not do.
        what: &'static str,
    },
    /// The rehearsal marker can't be read as one.
    #[error("the table forthwith_rehearsal holds {what}")]
    Marker {
        /// What was found.
        what: &'static str,
    },
}

/// What is wrong with a row of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AnswerFault {
    /// The account is neither text nor a whole number.
    #[error("`account` is neither text nor a whole number")]
    AccountType,
    /// An account nobody asked for.
    #[error("its `account` was not asked for")]
    Unasked,
    /// An account that was answered before.
    #[error("its `account` was answered before")]
    AnsweredTwice,
    /// More values than any account has.
    #[error("it has more than 1,000 rows an account")]
    TooManyValues,
    /// The value is not text.
    #[error("`current` is not text")]
    ValueType,
    /// The session count is no count.
    #[error("`sessions` is no whole number from 0")]
    SessionsType,
    /// The change time can't be read.
    #[error("`changed_at` is neither an RFC 3339 instant nor Unix seconds")]
    ChangeTime,
}

impl DirectoryError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Ldap(fault) => fault.hint(),
            Self::Http(fault) => fault.hint(),
            Self::Rest(fault) => fault.hint(),
            Self::NotPrimary { .. } => Some("name the primary in directory.sql.url"),
            Self::NotTransactional { .. } => Some(
                "ALTER TABLE … ENGINE = InnoDB; a word of the statement that is only called like \
                      the table may be renamed",
            ),
            Self::HiddenView { .. } => Some("GRANT SHOW VIEW on it, or write to its table"),
            Self::NotRolledBack => Some("find the table, ALTER TABLE … ENGINE = InnoDB"),
            Self::Lost { .. } => {
                Some("run it again: what was written is read back first, and known again as ours")
            }
            Self::Slow { .. } => Some(
                "let an index serve the account column (EXPLAIN), make directory.sql.batch smaller, or \
                 directory.sql.timeout longer",
            ),
            Self::FileMissing { .. } => {
                Some("correct directory.sql.url; the file is never created by forthwith")
            }
            Self::NotSet { .. } => Some("set it in the directory's settings"),
            Self::Busy { .. } => Some("run it again once they are done"),
            Self::Statement { .. } | Self::RowRefused { .. } | Self::Prepare { .. } => {
                Some("run `forthwith directory check`; it changes nothing")
            }
            Self::Answer { fault, .. } => Some(fault.hint()),
            Self::TooManyRows { .. } => {
                Some("let its WHERE name the accounts in `:rows` alone, by a column that is unique")
            }
            Self::TooManySessions { .. } => {
                Some("let its WHERE name the accounts in `:rows` and live sessions only")
            }
            Self::ControlChanged { .. } => Some(
                "a statement reaches further than the accounts in `:rows`, or somebody changed that \
                 account: find out which before anything goes on",
            ),
            Self::NotCompareAndSet { .. } => {
                Some("add `AND password = r.value ->> 'current'` to the statement's WHERE")
            }
            Self::Archive { .. } => Some(
                "keep, read and forget work on one table, a row for each account and value; \
                 docs/directories.md has them for each engine",
            ),
            Self::Marker { .. } => {
                Some("one row, whose database_id is text; see `forthwith status`")
            }
            Self::BatchSize { .. } => Some("leave it out for 1000"),
            Self::NegativeLapse => Some("write how long a session lives at most, as in \"24h\""),
            Self::Open { .. } => Some("is it a SQLite file, and may forthwith read and write it?"),
            Self::ColumnMissing { .. } => {
                Some("name the column so with AS; docs/directories.md has examples")
            }
            Self::Database(_)
            | Self::Preset(_)
            | Self::Bind(_)
            | Self::BatchTooLarge { .. }
            | Self::NoValue { .. }
            | Self::NamedTwice { .. }
            | Self::NoChange { .. } => None,
        }
    }

    /// Whether a statement does something else than it was written for, or left something behind that
    /// no rollback took back: nothing may go on with it before somebody has looked. The next read of
    /// the control accounts would take what was left for what they ought to be.
    pub fn is_alarming(&self) -> bool {
        match self {
            Self::Ldap(fault) => fault.is_alarming(),
            Self::Http(fault) => fault.is_alarming(),
            other => matches!(
                other,
                Self::ControlChanged { .. }
                    | Self::TooManyRows { .. }
                    | Self::TooManySessions { .. }
                    | Self::NotCompareAndSet { .. }
                    | Self::NotRolledBack
            ),
        }
    }

    /// Whether it may be about some accounts of the call alone, so that others would be taken without
    /// them. Nothing was changed, or what was is known again as ours.
    pub fn is_of_rows(&self) -> bool {
        match self {
            Self::Ldap(fault) => fault.is_of_rows(),
            Self::Http(fault) => fault.is_of_rows(),
            Self::Rest(fault) => fault.is_of_rows(),
            other => matches!(other, Self::RowRefused { .. } | Self::Busy { of_rows: true, .. }),
        }
    }

    /// The error with its hint, for people.
    pub fn told(&self) -> String {
        self.hint().map_or_else(|| self.to_string(), |hint| format!("{self}; hint: {hint}"))
    }

    /// Whether the same call may succeed a little later with nothing mended.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Ldap(fault) => fault.is_transient(),
            Self::Http(fault) => fault.is_transient(),
            Self::Rest(fault) => fault.is_transient(),
            other => matches!(other, Self::Busy { .. }),
        }
    }
}

impl AnswerFault {
    fn hint(self) -> &'static str {
        match self {
            Self::AccountType => "select the column that the audience's account column holds",
            Self::Unasked => {
                "the account must come back byte for byte: a number compares equal to text with \
                 leading zeros or spaces, and NOCASE to another case"
            }
            Self::AnsweredTwice => "join on a unique account column",
            Self::TooManyValues => "select the values of these accounts alone",
            Self::ValueType => "store and compare it as text: CAST(… AS TEXT)",
            Self::SessionsType => "count(…) AS sessions",
            Self::ChangeTime => "with a zone: strftime('%Y-%m-%dT%H:%M:%SZ', …), or unixepoch(…)",
        }
    }
}
