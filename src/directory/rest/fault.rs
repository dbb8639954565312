//! What goes wrong with an identity server, in words that hold no stored value, account or URL.

use thiserror::Error;

use super::{LineError, MOST_BYTES, Trouble};
use crate::domain::credential::CredentialKind;
use crate::secret::secret_file::SecretFileError;

/// Why an identity server did not do what was asked of it.
#[derive(Debug, Error)]
pub enum RestFault {
    /// A setting makes no sense.
    #[error("{table}.{key} {said}")]
    Setting {
        /// The table in the settings.
        table: &'static str,
        /// The key.
        key: &'static str,
        /// What is wrong with it, and a hint.
        said: String,
    },
    /// The secret that we are known by.
    #[error(transparent)]
    Secret(#[from] SecretFileError),
    /// No line to the server can be set up.
    #[error("{0}")]
    Line(String),
    /// No answer.
    #[error(
        "{doing}: the server in {table}.url did not answer in {tries} tries: {cause}; whether this was \
         done is not known"
    )]
    Unreachable {
        /// The table in the settings.
        table: &'static str,
        /// What was asked.
        doing: &'static str,
        /// How often.
        tries: u32,
        /// What happened last.
        cause: String,
    },
    /// It asks for patience.
    #[error(
        "{doing}: the server in {table}.url was asked {tries} times and has no time (status {status})"
    )]
    Busy {
        /// The table in the settings.
        table: &'static str,
        /// What was asked.
        doing: &'static str,
        /// How often.
        tries: u32,
        /// Its status.
        status: u16,
    },
    /// It does not know us, or does not let us.
    #[error(
        "{doing}: the server in {table}.url does not let us (status {status}), with a secret read anew"
    )]
    Forbidden {
        /// The table in the settings.
        table: &'static str,
        /// What was asked.
        doing: &'static str,
        /// Its status: 401, 403, or 400 where a token was asked for.
        status: u16,
    },
    /// It refuses.
    #[error("{doing}: the server in {table}.url answers with status {status}")]
    Status {
        /// The table in the settings.
        table: &'static str,
        /// What was asked.
        doing: &'static str,
        /// Its status.
        status: u16,
    },
    /// An answer without end.
    #[error("{doing}: the answer has more than {} MiB", MOST_BYTES / 1_048_576)]
    TooLarge {
        /// What was asked.
        doing: &'static str,
    },
    /// An answer that is none.
    #[error(
        "{doing}: the answer of the server in {table}.url cannot be read as what its API promises"
    )]
    Unreadable {
        /// The table in the settings.
        table: &'static str,
        /// What was asked.
        doing: &'static str,
    },
    /// One account that is several of the server's users, or one user that is several accounts.
    #[error("{table}: account {place} of the call is not one user of its own there")]
    Ambiguous {
        /// The table in the settings.
        table: &'static str,
        /// Its place, from 1.
        place: usize,
    },
    /// Accounts were not done; the others of the call were.
    #[error(
        "{doing}: of {asked} accounts the server in {table}.url refuses {refused} (status {status})"
    )]
    Denied {
        /// The table in the settings.
        table: &'static str,
        /// What was asked.
        doing: &'static str,
        /// Accounts in the call.
        asked: usize,
        /// Accounts that were refused.
        refused: usize,
        /// Its status for the first of those.
        status: u16,
    },
    /// A kind that is not kept there.
    #[error("{table} holds passwords and sessions, and no credentials of kind {kind}")]
    Kind {
        /// The table in the settings.
        table: &'static str,
        /// The kind.
        kind: CredentialKind,
    },
    /// A marker that is not one text.
    #[error("{table}: the rehearsal marker is no text")]
    Marker {
        /// The table in the settings.
        table: &'static str,
    },
}

impl From<LineError> for RestFault {
    fn from(error: LineError) -> Self {
        Self::Line(error.to_string())
    }
}

impl RestFault {
    /// What was asked came to this.
    pub(in crate::directory) fn of(
        table: &'static str,
        doing: &'static str,
        trouble: Trouble,
    ) -> Self {
        match trouble {
            Trouble::Unreachable { tries, cause } => {
                Self::Unreachable { table, doing, tries, cause }
            }
            Trouble::Busy { tries, status } => Self::Busy { table, doing, tries, status },
            Trouble::Failed { status } => Self::Status { table, doing, status },
            Trouble::TooLarge => Self::TooLarge { doing },
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Setting { .. } | Self::Secret(_) | Self::Line(_) => return None,
            Self::Unreachable { .. } => {
                "is the server running, and is `url` right? Run it again: what was done is read back first, \
                 and known again as ours"
            }
            Self::Busy { .. } => {
                "run it again later, or set `per_second` and a smaller concurrency"
            }
            Self::Forbidden { .. } => {
                "is the secret in its file the right one, and has whoever it stands for the rights that \
                 docs/directories.md names?"
            }
            Self::Status { status: 300..=399, .. } => {
                "name the place it redirects to in `url`: nothing is redirected"
            }
            Self::Status { status: 404, .. } => "is `url`, up to where its API begins, right?",
            Self::Denied { status: 400, .. } => {
                "the server checks all of a user whenever it changes anything: its log says what of these \
                 it does not take, such as a profile that lacks what it now demands"
            }
            Self::Status { .. } | Self::Denied { .. } => "the server's own log says more",
            Self::TooLarge { .. } => "a smaller `batch`",
            Self::Unreadable { .. } => {
                "is `url` that of the server's admin API, and is its version one that \
                 docs/directories.md names?"
            }
            Self::Ambiguous { .. } => {
                "the audience's account column must hold what names one user, each once; see `account`"
            }
            Self::Kind { .. } => {
                "expire those elsewhere, and take them out of the incident's `credentials`"
            }
            Self::Marker { .. } => "docs/directories.md says how a copy is marked",
        })
    }

    /// Whether it may be about some accounts of the call alone. Others may have been changed, and are
    /// known again as ours.
    pub fn is_of_rows(&self) -> bool {
        matches!(self, Self::Denied { .. } | Self::Ambiguous { .. })
    }

    /// Whether the same call may succeed a little later with nothing mended.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}
