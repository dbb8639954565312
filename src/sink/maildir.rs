//! The Maildir an accepting sink fills, and its plain record of what it took.
//!
//! Owns files only. A message is whole in `new/`, and recorded, before its caller answers the
//! dot. It is not forced to disk: the record survives a crash of any process, not of the machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::dialogue::Message;
use super::message_id::message_id;

/// File in the Maildir with one line `queue-id TAB recipient TAB message-id` per recipient of
/// each message taken; `-` stands for a message without an id.
pub const ACCEPTED_LOG: &str = "accepted.log";

/// Why a Maildir could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum MaildirError {
    /// One of `tmp`, `new`, `cur` could not be made.
    #[error("cannot make {}; hint: name a directory this user may write to", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The record could not be opened for appending.
    #[error("cannot append to {}; hint: name a directory this user may write to", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}

/// An open Maildir.
#[derive(Debug)]
pub(super) struct Maildir {
    tmp: PathBuf,
    new: PathBuf,
    record: File,
}

impl Maildir {
    pub(super) fn open(root: &Path) -> Result<Self, MaildirError> {
        for name in ["tmp", "new", "cur"] {
            let path = root.join(name);
            fs::create_dir_all(&path).map_err(|source| MaildirError::Directory { path, source })?;
        }
        let path = root.join(ACCEPTED_LOG);
        let record = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|source| MaildirError::Record { path, source })?;
        Ok(Self { tmp: root.join("tmp"), new: root.join("new"), record })
    }

    /// Stores one file per recipient, then records them; all or, on an error, no mail. Blocks.
    pub(super) fn store(&self, id: &str, message: &Message) -> io::Result<()> {
        let names: Vec<String> =
            (1..=message.to.len()).map(|number| format!("{id}.{number}.sink")).collect();
        let stored = self.place(id, message, &names).and_then(|()| self.note(id, message));
        if stored.is_err() {
            for name in &names {
                // Whatever is left of a refused message; what is not there needs no removing.
                let _gone = fs::remove_file(self.tmp.join(name));
                let _gone = fs::remove_file(self.new.join(name));
            }
        }
        stored
    }

    fn place(&self, id: &str, message: &Message, names: &[String]) -> io::Result<()> {
        for (name, recipient) in names.iter().zip(&message.to) {
            let mut text = format!(
                "Return-Path: <{}>\r\nX-Original-To: {recipient}\r\nDelivered-To: {recipient}\r\n\
                 X-Sink-Queue-Id: {id}\r\n",
                message.from
            )
            .into_bytes();
            text.extend_from_slice(&message.body);
            File::create_new(self.tmp.join(name))?.write_all(&text)?;
        }
        names.iter().try_for_each(|name| fs::rename(self.tmp.join(name), self.new.join(name)))
    }

    /// One write to a file opened for appending: lines of concurrent sessions do not mix.
    fn note(&self, id: &str, message: &Message) -> io::Result<()> {
        let message_id = message_id(&message.body);
        let lines: Vec<String> =
            message.to.iter().map(|to| format!("{id}\t{to}\t{message_id}\n")).collect();
        (&self.record).write_all(lines.concat().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialogue::Verdict;
    use super::*;

    fn message(to: &[&str], body: &str) -> Message {
        Message {
            from: "bounce@example.net".into(),
            to: to.iter().map(ToString::to_string).collect(),
            body: body.into(),
            verdict: Verdict::Take,
        }
    }

    #[test]
    fn each_recipient_has_a_file_and_a_line() {
        let root = tempfile::tempdir().unwrap();
        let maildir = Maildir::open(root.path()).unwrap();
        let mail = message(&["a@example.org", "b@example.org"], "Message-ID: <1@x>\r\n\r\nhi\r\n");
        maildir.store("Q1", &mail).unwrap();
        assert_eq!(
            fs::read_to_string(root.path().join("new/Q1.2.sink")).unwrap(),
            "Return-Path: <bounce@example.net>\r\nX-Original-To: b@example.org\r\n\
             Delivered-To: b@example.org\r\nX-Sink-Queue-Id: Q1\r\n\
             Message-ID: <1@x>\r\n\r\nhi\r\n"
        );
        assert_eq!(
            fs::read_to_string(root.path().join(ACCEPTED_LOG)).unwrap(),
            "Q1\ta@example.org\t<1@x>\nQ1\tb@example.org\t<1@x>\n"
        );
        assert_eq!(fs::read_dir(root.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn a_message_that_cannot_be_stored_leaves_nothing_behind() {
        let root = tempfile::tempdir().unwrap();
        let maildir = Maildir::open(root.path()).unwrap();
        // A directory stands where the second file should be renamed to.
        fs::create_dir_all(root.path().join("new/Q1.2.sink/occupied")).unwrap();
        let mail = message(&["a@example.org", "b@example.org"], "hi\r\n");
        assert!(maildir.store("Q1", &mail).is_err());
        assert!(!root.path().join("new/Q1.1.sink").exists());
        assert_eq!(fs::read_dir(root.path().join("tmp")).unwrap().count(), 0);
        assert_eq!(fs::read(root.path().join(ACCEPTED_LOG)).unwrap(), b"");
    }

    #[test]
    fn a_record_opened_again_is_continued() {
        let root = tempfile::tempdir().unwrap();
        for id in ["Q1", "Q2"] {
            let maildir = Maildir::open(root.path()).unwrap();
            maildir.store(id, &message(&["a@example.org"], "hi\r\n")).unwrap();
        }
        let record = fs::read_to_string(root.path().join(ACCEPTED_LOG)).unwrap();
        assert_eq!(record, "Q1\ta@example.org\t-\nQ2\ta@example.org\t-\n");
    }
}
