//! What goes wrong with a company's own endpoint, in words that hold no stored value, account or URL.

use thiserror::Error;

use crate::directory::rest::{LineError, MOST_BYTES, Trouble};
use crate::domain::credential::CredentialKind;
use crate::secret::webhook::WebhookKeyError;

/// Why an endpoint did not do what was asked of it.
#[derive(Debug, Error)]
pub enum HttpFault {
    /// A setting makes no sense.
    #[error("directory.http.{key} {said}")]
    Setting {
        /// The key.
        key: &'static str,
        /// What is wrong with it, and a hint.
        said: String,
    },
    /// The shared key.
    #[error(transparent)]
    Key(#[from] WebhookKeyError),
    /// No line to the endpoint can be set up.
    #[error("{0}")]
    Line(String),
    /// No answer.
    #[error(
        "{verb}: the endpoint in directory.http.url did not answer in {tries} tries: {cause}; whether this \
         was done is not known"
    )]
    Unreachable {
        /// What was asked.
        verb: &'static str,
        /// How often.
        tries: u32,
        /// What happened last.
        cause: String,
    },
    /// It asks for patience.
    #[error("{verb}: the endpoint was asked {tries} times and has no time (status {status})")]
    Busy {
        /// What was asked.
        verb: &'static str,
        /// How often.
        tries: u32,
        /// Its status.
        status: u16,
    },
    /// It refuses.
    #[error("{verb}: the endpoint answers with status {status}")]
    Status {
        /// What was asked.
        verb: &'static str,
        /// Its status.
        status: u16,
    },
    /// Nobody vouches for an answer.
    #[error(
        "{verb}: the answer is not signed by the key in directory.http.key_file, for this request"
    )]
    Unsigned {
        /// What was asked.
        verb: &'static str,
    },
    /// An answer without end.
    #[error("{verb}: the answer has more than {} MiB", MOST_BYTES / 1_048_576)]
    TooLarge {
        /// What was asked.
        verb: &'static str,
    },
    /// An answer that is none.
    #[error("{verb}: the answer cannot be read as what was agreed")]
    Unreadable {
        /// What was asked.
        verb: &'static str,
    },
    /// What the endpoint says of itself makes no sense.
    #[error("the endpoint's `{key}` {said}")]
    Capability {
        /// The field.
        key: &'static str,
        /// What is wrong with it.
        said: &'static str,
    },
    /// A row that is not as agreed.
    #[error("{verb}, row {row} of the answer {fault}")]
    Row {
        /// What was asked.
        verb: &'static str,
        /// The row, from 1.
        row: usize,
        /// What is wrong with it.
        fault: RowFault,
    },
    /// Accounts were not done; the others of the call were.
    #[error("{verb}: of {asked} accounts the endpoint refuses {refused}: {why}")]
    Denied {
        /// What was asked.
        verb: &'static str,
        /// Accounts in the call.
        asked: usize,
        /// Accounts that were refused.
        refused: usize,
        /// Its word for the first of those.
        why: String,
    },
    /// More was changed than was asked for.
    #[error("{verb}: the endpoint says it changed {changed} rows for {asked}")]
    TooMany {
        /// What was asked.
        verb: &'static str,
        /// Rows changed.
        changed: u64,
        /// Rows asked for.
        asked: u64,
    },
    /// A kind that it has nothing of.
    #[error("the endpoint says that it has no credentials of kind {0}")]
    Kind(CredentialKind),
}

/// What is wrong with a row of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RowFault {
    /// An account nobody asked for.
    #[error("is of an account that was not asked for")]
    Unasked,
    /// An account that was answered before.
    #[error("is of an account that was answered before")]
    AnsweredTwice,
    /// A count that is needed is missing.
    #[error("has no `sessions`")]
    NoSessions,
}

impl From<LineError> for HttpFault {
    fn from(error: LineError) -> Self {
        Self::Line(error.to_string())
    }
}

impl HttpFault {
    /// What was asked came to this.
    pub(super) fn of(verb: &'static str, trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unreachable { tries, cause } => Self::Unreachable { verb, tries, cause },
            Trouble::Busy { tries, status } => Self::Busy { verb, tries, status },
            Trouble::Failed { status } => Self::Status { verb, status },
            Trouble::TooLarge => Self::TooLarge { verb },
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Setting { .. } | Self::Key(_) | Self::Line(_) => return None,
            Self::Unreachable { .. } => {
                "is the endpoint running, and is directory.http.url right? Run it again: what was done is \
                 read back first, and known again as ours"
            }
            Self::Busy { .. } => {
                "run it again later, or set directory.http.per_second and a smaller concurrency"
            }
            Self::Status { status: 300..=399, .. } => {
                "name the place it redirects to in directory.http.url: nothing is redirected"
            }
            Self::Status { status: 401 | 403, .. } => {
                "both sides must have the same key, and clocks that are right to within five minutes"
            }
            Self::Unsigned { .. } => {
                "either somebody on the way answers for it, or it signs otherwise than docs/directories.md \
                 says"
            }
            Self::TooLarge { .. } => "a smaller directory.http.rows_per_request",
            Self::Unreadable { .. } | Self::Capability { .. } | Self::Row { .. } => {
                "docs/directories.md says what an answer holds"
            }
            Self::Status { .. } | Self::Denied { .. } => "the endpoint's own log says more",
            Self::TooMany { .. } => "it may change the accounts in `rows` alone, each once",
            Self::Kind(_) => "let it name that kind in `kinds`, or expire those elsewhere",
        })
    }

    /// Whether nothing may go on before somebody has looked.
    pub fn is_alarming(&self) -> bool {
        matches!(self, Self::TooMany { .. })
    }

    /// Whether it may be about some accounts of the call alone. Others may have been changed, and are
    /// known again as ours.
    pub fn is_of_rows(&self) -> bool {
        matches!(self, Self::Denied { .. })
    }

    /// Whether the same call may succeed a little later with nothing mended.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }
}
