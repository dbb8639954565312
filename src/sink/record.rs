//! The sink's own record of what it took and what its clients left open: what a database is compared with
//! after crashes.
//!
//! One write a message to a file opened for appending, before the dot is answered: the line is there
//! whatever becomes of any process. It is not forced to disk. Lines hold addresses in clear, so the file is
//! its owner's alone.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::dialogue::Message;
use super::message_id::message_id;
use crate::domain::clock::{Clock as _, SystemClock};
use crate::secret::digest::{Digest, sha256};

/// Why the record could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot append to {}; hint: name a file this user may write to", path.display())]
pub struct RecordError {
    /// The record.
    path: PathBuf,
    /// What the operating system said.
    #[source]
    source: io::Error,
}

/// How far a transaction was that its client left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Behind MAIL, before the 354 to DATA.
    BeforeBody,
    /// Behind the 354, before the final dot.
    InBody,
    /// Behind the final dot, before its answer.
    AtReply,
}

impl Left {
    fn word(self) -> &'static str {
        match self {
            Self::BeforeBody => "mail",
            Self::InBody => "data",
            Self::AtReply => "reply",
        }
    }
}

/// What is recorded of a message.
#[derive(Debug)]
pub(super) struct Kept {
    to: Vec<String>,
    message_id: String,
    digest: Digest,
}

impl Kept {
    pub(super) fn of(message: &Message) -> Self {
        Self {
            to: message.to.clone(),
            message_id: message_id(&message.body),
            digest: sha256(&message.body),
        }
    }
}

/// An open record.
#[derive(Debug)]
pub(super) struct Record(File);

impl Record {
    pub(super) fn open(path: &Path) -> Result<Self, RecordError> {
        let failed = |source| RecordError { path: path.to_owned(), source };
        let open = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
        open.map(Self).map_err(failed)
    }

    /// Notes each recipient of a message that was taken.
    pub(super) fn accepted(&self, connection: u64, kept: &Kept) -> io::Result<()> {
        let now = SystemClock.now();
        let mut lines = String::new();
        for to in &kept.to {
            // Writing to a String cannot fail.
            let Kept { message_id, digest, .. } = kept;
            let _ = writeln!(lines, "accepted\t{now}\t{to}\t{message_id}\t{digest}\t{connection}");
        }
        (&self.0).write_all(lines.as_bytes())
    }

    /// Notes a transaction that was left open; its first recipient, where one was named.
    pub(super) fn cut(&self, connection: u64, to: Option<&str>, left: Left) -> io::Result<()> {
        let (now, to, left) = (SystemClock.now(), to.unwrap_or("-"), left.word());
        (&self.0).write_all(format!("cut\t{now}\t{to}\t{left}\t-\t{connection}\n").as_bytes())
    }
}
