//! What can go wrong in a use case, and whose it is to mend.

use crate::{directory, domain, journal, mail, render, secret, source, store};

/// Why a use case stopped.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Something the operator can mend; the text says what differs and ends with a hint.
    #[error("{0}")]
    Refused(String),
    /// The database is not the one this host saw last (rule R0).
    #[error(transparent)]
    Rewound(#[from] super::rewind::Rewound),
    /// The high-water mark.
    #[error(transparent)]
    HighWater(#[from] journal::HighWaterError),
    /// Files that an operator wrote, with all that is wrong with them.
    #[error(transparent)]
    Problems(#[from] domain::problem::ProblemList),
    /// The two-person rule.
    #[error(transparent)]
    Approval(#[from] domain::operator::ApprovalRefusal),
    /// The incident file.
    #[error(transparent)]
    Incident(#[from] domain::incident::IncidentError),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The directory.
    #[error("{}", .0.told())]
    Directory(#[from] directory::DirectoryError),
    /// The audience's source.
    #[error(transparent)]
    Source(#[from] source::SourceError),
    /// The rejects file.
    #[error(transparent)]
    Rejects(#[from] source::RejectError),
    /// Templates.
    #[error(transparent)]
    Render(#[from] render::RenderError),
    /// Key files.
    #[error(transparent)]
    Key(#[from] secret::key_file::KeyError),
    /// A campaign's key, or something sealed under it.
    #[error(transparent)]
    CampaignKey(#[from] secret::campaign_key::CampaignKeyError),
    /// An operator's key.
    #[error(transparent)]
    Signing(#[from] secret::signing::SigningError),
    /// A sealed row that does not open in its place.
    #[error(
        "recipient {number}: {source}; hint: the row was altered in the database; restore it from a \
         backup"
    )]
    Altered {
        /// Its number.
        number: u64,
        /// What does not fit.
        #[source]
        source: secret::campaign_key::CampaignKeyError,
    },
    /// A sealed row that no longer reads as one.
    #[error("recipient {number}: {source}")]
    Row {
        /// Its number.
        number: u64,
        /// What is wrong with it.
        #[source]
        source: domain::recipient::DecodeError,
    },
    /// The wire journal.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
    /// The wire journal takes no marks any more.
    #[error(
        "the wire journal in `{folder}` cannot be written, so nothing more was started: {cause}; hint: \
         `df -h {folder}` shows what is left there; free some, then the same command goes on",
        folder = folder.display()
    )]
    NoMarks {
        /// Where the journals are.
        folder: std::path::PathBuf,
        /// What happened first.
        cause: String,
    },
    /// A dead worker's journal.
    #[error(transparent)]
    JournalRead(#[from] journal::ReadError),
    /// Another re-check is at work in this workspace, of this campaign or of another.
    #[error("a re-check is under way{holder}; hint: wait for it, or stop it first")]
    Rechecking {
        /// Its process, in words; empty where it is not known.
        holder: String,
    },
    /// The worker's lock.
    #[error(transparent)]
    Lock(#[from] journal::LockError),
    /// A message that cannot be built.
    #[error("recipient {number}: {source}")]
    Build {
        /// Its number.
        number: u64,
        /// What is wrong with it.
        #[source]
        source: mail::message::BuildFault,
    },
    /// A file of the workspace.
    #[error("`{path}`: {source}")]
    File {
        /// Which.
        path: String,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// Something this program promises itself does not hold.
    #[error("{0}; this is a defect, please report it")]
    Broken(String),
}

impl EngineError {
    /// Whether the operator can mend it (exit 1) rather than us (exit 2).
    pub fn is_yours(&self) -> bool {
        !matches!(
            self,
            Self::Store(store::StoreError::Statement { .. } | store::StoreError::Corrupt { .. })
                | Self::Row { .. }
                | Self::NoMarks { .. }
                | Self::Broken(_)
        )
    }

    /// What the machine keeps the database or a file of the workspace from, where that is the reason.
    pub fn trouble(&self) -> Option<store::Trouble> {
        let is_full = |error: &std::io::Error| error.kind() == std::io::ErrorKind::StorageFull;
        match self {
            Self::Store(error) => error.trouble(),
            Self::File { source, .. } => is_full(source).then_some(store::Trouble::Full),
            _ => None,
        }
    }

    /// A refusal with its words.
    pub fn refused(text: impl Into<String>) -> Self {
        Self::Refused(text.into())
    }

    /// What is wrong with files, where that is the reason.
    pub fn problems(&self) -> Option<&domain::problem::ProblemList> {
        match self {
            Self::Problems(list)
            | Self::Incident(domain::incident::IncidentError::Problems(list)) => Some(list),
            _ => None,
        }
    }

    /// Wraps a file error with its path.
    pub fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.display().to_string();
        move |source| Self::File { path, source }
    }
}
