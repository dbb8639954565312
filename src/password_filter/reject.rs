//! Lines of a list that could not be used: counted, the first of them told by number, all of them kept. None is
//! ever printed: it may be a password.

use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::writer::keep;

/// Lines told one by one.
const TOLD: usize = 10;

/// Why a line was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RejectReason {
    /// Nothing on it.
    #[error("empty")]
    Empty,
    /// Longer than any.
    #[error("longer than 65536 bytes")]
    TooLong,
    /// No SHA-1.
    #[error("does not begin with 40 hexadecimal digits and end there or with `:` and a number")]
    NoHash,
    /// What follows the hash is no number.
    #[error("what follows the `:` is no number")]
    NoCount,
    /// Never seen: such lines fill up answers of the range interface.
    #[error("a count of 0, which is padding")]
    Padding,
    /// No password that anybody can type here.
    #[error("not UTF-8")]
    NotUtf8,
}

/// A line that was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reject {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub reason: RejectReason,
}

/// What became of lines that were not used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rejected {
    /// How many there are.
    pub total: u64,
    /// The first of them.
    pub first: Vec<Reject>,
    /// The file they are kept in; none where there are none.
    pub kept: Option<PathBuf>,
}

/// Rejects as they come; the file begins with the first of them, for its owner only.
pub struct Rejects<'a> {
    folder: &'a Path,
    file: Option<BufWriter<NamedTempFile>>,
    total: u64,
    first: Vec<Reject>,
}

impl<'a> Rejects<'a> {
    /// None so far.
    pub fn in_folder(folder: &'a Path) -> Self {
        Self { folder, file: None, total: 0, first: Vec::new() }
    }

    /// Keeps one: number, reason, and the line as it came.
    pub fn push(&mut self, reject: Reject, text: &[u8]) -> io::Result<()> {
        self.total += 1;
        if self.first.len() < TOLD {
            self.first.push(reject);
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = NamedTempFile::with_prefix_in(".password-filter-", self.folder)?;
                none.insert(BufWriter::new(file))
            }
        };
        write!(file, "{}\t{}\t", reject.line, reject.reason)?;
        file.write_all(text)?;
        file.write_all(b"\n")
    }

    /// Gives the file its name; one of an earlier build goes.
    pub fn finish(self, path: &Path) -> io::Result<Rejected> {
        let kept = match self.file {
            Some(file) => {
                let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                keep(file, path, self.folder)?;
                Some(path.to_owned())
            }
            None => {
                match std::fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                None
            }
        };
        Ok(Rejected { total: self.total, first: self.first, kept })
    }
}
