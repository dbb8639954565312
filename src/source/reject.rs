//! Rows that cannot be sealed: why, and the file that keeps them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::domain::recipient::AccountError;

/// Why a row is not sealed. Never holds a value of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RejectReason {
    /// No usable account reference.
    #[error("{0}")]
    Account(#[from] AccountError),
    /// More or fewer values than the header has names.
    #[error("{found} values, the header has {expected}")]
    FieldCount {
        /// Values in the row.
        found: usize,
        /// Names in the header.
        expected: usize,
    },
    /// A value is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// A value holds a NUL byte.
    #[error("holds a NUL byte")]
    NulByte,
    /// A value is longer than 64 KiB.
    #[error("a value of {bytes} bytes, more than 65536")]
    FieldTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The row is longer than 1 MiB; only so much of it is kept.
    #[error("a row of {bytes} bytes; only the first 1048576 are kept here")]
    RowTooLong {
        /// Its length.
        bytes: u64,
    },
    /// A quote is opened and not closed before a comma or the end of a line; the lines after it
    /// were read as rows of their own.
    #[error("opens a quote that is not closed; the next line was read as a row of its own")]
    UnclosedQuote,
    /// Text follows a closing quote on the same line.
    #[error("text follows a closing quote")]
    TextAfterQuote,
    /// A line that is no JSON.
    #[error("no valid JSON")]
    Json,
    /// A line that is JSON, but no object.
    #[error("JSON, but no object")]
    NoObject,
    /// An object that names one key twice.
    #[error("names one key twice")]
    DuplicateKey,
    /// An object or a list where a value is wanted.
    #[error("an object or a list where a text, a number or true or false is wanted")]
    NoValue,
    /// Objects and lists inside each other, deeper than any record of a person goes.
    #[error("objects and lists nested more than 64 deep")]
    TooDeep,
    /// No addressee's word.
    #[error("not one of self, guardian, estate, organisation")]
    Addressee,
    /// No instant with a zone.
    #[error("not an instant with a zone, such as 2018-08-21T22:58Z or +01:00")]
    Instant,
    /// No day.
    #[error("not a date as YYYY-MM-DD")]
    Date,
}

impl RejectReason {
    /// The word that counts are kept by.
    pub fn word(self) -> &'static str {
        match self {
            Self::Account(AccountError::Empty) => "no-account",
            Self::Account(AccountError::TooLong) => "account-too-long",
            Self::Account(AccountError::Control) => "account-control",
            Self::FieldCount { .. } => "field-count",
            Self::NotUtf8 => "not-utf8",
            Self::NulByte => "nul-byte",
            Self::FieldTooLong { .. } => "field-too-long",
            Self::RowTooLong { .. } => "row-too-long",
            Self::UnclosedQuote => "unclosed-quote",
            Self::TextAfterQuote => "text-after-quote",
            Self::Json => "json",
            Self::NoObject => "no-object",
            Self::DuplicateKey => "duplicate-key",
            Self::NoValue => "no-value",
            Self::TooDeep => "too-deep",
            Self::Addressee => "addressee",
            Self::Instant => "instant",
            Self::Date => "date",
        }
    }

    /// What a person can do about such a row.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Account(AccountError::Empty) => {
                "nobody can be told or secured without an account; find it, or tell this person by hand"
            }
            Self::Account(_) => "write the account as the directory does",
            Self::FieldCount { .. } => {
                "quote a value that holds the delimiter, and write each value, if only as nothing"
            }
            Self::NotUtf8 => "`encoding` under [audience.csv] says how the file is written",
            Self::NulByte => "write the file again without NUL bytes, or say its `encoding`",
            Self::FieldTooLong { .. } | Self::RowTooLong { .. } => {
                "a quote that is never closed makes such rows; else leave the long column out"
            }
            Self::UnclosedQuote => "close the quote, and write one that belongs to the value twice",
            Self::TextAfterQuote => "write a quote that belongs to the value twice",
            Self::Json | Self::NoObject => "write one JSON object a line, as `jq -c .` does",
            Self::DuplicateKey => {
                "leave one of the two, since readers differ in which they believe"
            }
            Self::NoValue => "name the value inside it under `columns`, as in `contact.email`",
            Self::TooDeep => "write the person's own values near the top",
            Self::Addressee => "write one of these words, or nothing for the person themselves",
            Self::Instant => "write the zone, or leave the value out",
            Self::Date => "write the day so, or leave the value out",
        }
    }
}

/// A row that is not sealed, with everything needed to mend it.
#[derive(Clone, PartialEq, Eq)]
pub struct Reject {
    /// The physical line it starts on, counted from 1; a query's row by its ordinal.
    pub line: u64,
    /// The column at fault, where one is.
    pub column: Option<String>,
    /// Why.
    pub reason: RejectReason,
    /// The row as it was read, without its line break, in UTF-8 where the file has another encoding;
    /// a query's row written as CSV.
    pub raw: Vec<u8>,
}

impl fmt::Debug for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reject")
            .field("line", &self.line)
            .field("column", &self.column)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// Why a rejected row could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum RejectError {
    /// The file cannot be made, or is there already.
    #[error(
        "{}: cannot be created; hint: a reject file is never overwritten, move an old one away",
        path.display()
    )]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The row cannot be written.
    #[error(
        "{}: the rejected row of line {line} cannot be written; hint: is the disk full? then seal again",
        path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// The row's line in its source.
        line: u64,
        /// What the writer said.
        #[source]
        source: ::csv::Error,
    },
    /// The rows written do not reach the disk.
    #[error(
        "{}: the rejected rows do not reach the disk; hint: is it full? then seal again",
        path.display()
    )]
    Finish {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What a [`RejectFile`] ended with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RejectSummary {
    /// The file; none where nothing was rejected.
    pub path: Option<PathBuf>,
    /// Rows by [`RejectReason::word`].
    pub counts: BTreeMap<&'static str, u64>,
}

impl RejectSummary {
    /// All rejected rows.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }
}

/// A CSV file of rejected rows (`line,column,reason,row`), mode 0600, made with the first of them.
#[derive(Debug)]
pub struct RejectFile {
    path: PathBuf,
    writer: Option<::csv::Writer<File>>,
    counts: BTreeMap<&'static str, u64>,
}

impl RejectFile {
    /// Will write to `path`; touches nothing yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), writer: None, counts: BTreeMap::new() }
    }

    /// Keeps one row.
    pub fn push(&mut self, reject: &Reject) -> Result<(), RejectError> {
        let failed =
            |source| RejectError::Write { path: self.path.clone(), line: reject.line, source };
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let mut writer = ::csv::Writer::from_writer(create(&self.path)?);
                writer.write_record(["line", "column", "reason", "row"]).map_err(failed)?;
                none.insert(writer)
            }
        };
        let line = reject.line.to_string();
        let Reject { reason, .. } = reject;
        let reason = format!("{}: {reason}; hint: {}", reason.word(), reason.hint());
        let column = reject.column.as_deref().unwrap_or_default();
        writer
            .write_record([line.as_bytes(), column.as_bytes(), reason.as_bytes(), &reject.raw])
            .map_err(failed)?;
        *self.counts.entry(reject.reason.word()).or_default() += 1;
        Ok(())
    }

    /// Rows kept so far, by [`RejectReason::word`].
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    /// Brings file and directory entry to the disk.
    pub fn finish(self) -> Result<RejectSummary, RejectError> {
        let Self { path, writer, counts } = self;
        let Some(writer) = writer else {
            return Ok(RejectSummary::default());
        };
        let synced = writer
            .into_inner()
            .map_err(::csv::IntoInnerError::into_error)
            .and_then(|file| file.sync_all())
            .and_then(|()| match path.parent().filter(|p| *p != Path::new("")) {
                Some(parent) => File::open(parent)?.sync_all(),
                None => File::open(".")?.sync_all(),
            });
        match synced {
            Ok(()) => Ok(RejectSummary { path: Some(path), counts }),
            Err(source) => Err(RejectError::Finish { path, source }),
        }
    }
}

fn create(path: &Path) -> Result<File, RejectError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| RejectError::Create { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn reject(line: u64, raw: &[u8]) -> Reject {
        Reject {
            line,
            column: Some("email".into()),
            reason: RejectReason::NotUtf8,
            raw: raw.into(),
        }
    }

    #[test]
    fn rejected_rows_are_kept_byte_for_byte_in_a_file_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rejects.csv");
        let mut file = RejectFile::at(&path);
        assert!(!path.exists());
        let rows: [&[u8]; 2] = [b"7,\"a\nb\",\xFF\0", b"8,=cmd"];
        file.push(&reject(7, rows[0])).unwrap();
        file.push(&reject(9, rows[1])).unwrap();
        let summary = file.finish().unwrap();
        assert_eq!(summary.total(), 2);
        assert_eq!(summary.counts["not-utf8"], 2);
        assert_eq!(summary.path.as_deref(), Some(path.as_path()));
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut read = ::csv::Reader::from_path(&path).unwrap();
        let kept: Vec<_> = read.byte_records().map(Result::unwrap).collect();
        assert_eq!((&kept[0][0], &kept[0][1]), (&b"7"[..], &b"email"[..]));
        assert_eq!(
            &kept[0][2],
            b"not-utf8: not UTF-8; hint: `encoding` under [audience.csv] says how the file is written"
        );
        assert_eq!((&kept[0][3], &kept[1][3]), (rows[0], rows[1]));
    }

    #[test]
    fn nothing_rejected_leaves_no_file_and_an_old_one_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rejects.csv");
        let summary = RejectFile::at(&path).finish().unwrap();
        assert_eq!((summary, path.exists()), (RejectSummary::default(), false));
        std::fs::write(&path, "old").unwrap();
        let error = RejectFile::at(&path).push(&reject(1, b"x")).unwrap_err();
        assert!(matches!(error, RejectError::Create { .. }));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn debug_output_holds_no_row() {
        assert!(!format!("{:?}", reject(1, b"secret")).contains("115"));
    }
}
