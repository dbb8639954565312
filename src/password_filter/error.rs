//! What can be wrong with a list or with a filter. Never holds a password.

use std::io;
use std::path::{Path, PathBuf};

/// Why a filter was not built or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// A file cannot be read or written.
    #[error("`{}`: {source}; hint: check the path, the space left, and who may use it", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A list of hashes that is not in their order.
    #[error(
        "line {line} of the list comes before the one above it; hint: `--unordered` sorts the list, which takes \
         some 80 MiB of memory"
    )]
    NotInOrder {
        /// The line.
        line: u64,
    },
    /// Nothing of the list could be used.
    #[error("none of the {lines} lines of the list holds {wanted}; hint: {hint}")]
    Nothing {
        /// Lines of the list.
        lines: u64,
        /// What was looked for.
        wanted: &'static str,
        /// What may be meant.
        hint: &'static str,
    },
    /// The file is no filter, or one of another version.
    #[error(
        "`{}` is no password filter of this version; hint: build it anew with `forthwith password filter build`",
        path.display()
    )]
    NoFilter {
        /// The file.
        path: PathBuf,
    },
    /// The file is a filter that was cut or altered.
    #[error(
        "the password filter `{}` is damaged: {what}; hint: copy it anew, or build it anew with `forthwith \
         password filter build`",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
}

impl FilterError {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}
