//! What a person can do about what went wrong in a directory.

use super::DirectoryError;

impl DirectoryError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Ldap(fault) => fault.hint(),
            Self::Http(fault) => fault.hint(),
            Self::Rest(fault) => fault.hint(),
            Self::Answer { fault, .. } => Some(fault.hint()),
            other => other.setting_hint().or_else(|| other.statement_hint()),
        }
    }

    /// About settings, and the server behind them.
    fn setting_hint(&self) -> Option<&'static str> {
        match self {
            Self::NotPrimary { .. } => Some("name the primary in directory.sql.url"),
            Self::Slow { .. } => Some(
                "let an index serve the account column (EXPLAIN), make directory.sql.batch smaller, or \
                 directory.sql.timeout longer",
            ),
            Self::FileMissing { .. } => {
                Some("correct directory.sql.url; the file is never created by forthwith")
            }
            Self::NotSet { .. } => Some("set it in the directory's settings"),
            Self::Marker { .. } => {
                Some("one row, whose database_id is text; see `forthwith status`")
            }
            Self::BatchSize { .. } => Some("leave it out for 1000"),
            Self::NegativeLapse => Some("write how long a session lives at most, as in \"24h\""),
            Self::Open { .. } => Some("is it a SQLite file, and may forthwith read and write it?"),
            _ => None,
        }
    }

    /// About statements.
    fn statement_hint(&self) -> Option<&'static str> {
        match self {
            Self::NotTransactional { .. } => Some(
                "ALTER TABLE … ENGINE = InnoDB; a word of the statement that is only called like \
                      the table may be renamed",
            ),
            Self::HiddenView { .. } => Some("GRANT SHOW VIEW on it, or write to its table"),
            Self::NotRolledBack => Some("find the table, ALTER TABLE … ENGINE = InnoDB"),
            Self::Lost { .. } => {
                Some("run it again: what was written is read back first, and known again as ours")
            }
            Self::Busy { .. } => Some("run it again once they are done"),
            Self::Statement { .. } | Self::RowRefused { .. } | Self::Prepare { .. } => {
                Some("run `forthwith directory check`; it changes nothing")
            }
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
            Self::ColumnMissing { .. } => {
                Some("name the column so with AS; docs/directories.md has examples")
            }
            _ => None,
        }
    }
}
