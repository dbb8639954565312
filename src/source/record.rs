//! Cuts a file into raw rows: physical lines, or several where a quoted value holds line breaks.
//!
//! Knows where a row starts and ends, and nothing of its values. It exists beside the `csv` crate
//! because a quote that is never closed would let that crate swallow every row after it, people
//! and all: here such a quote costs its own line only, and reading goes on with the next.

use std::io::{Read, Seek};

use super::encoding::Encoding;
use super::input::{Input, InputError};
use super::{RejectReason, Tap};

/// The longest row that is kept, in bytes; longer ones are rejected and read past.
pub(super) const RECORD_BYTES: usize = 1024 * 1024;
/// How many bytes may be read again after quotes that are never closed, beside twice the file.
const REREAD_BYTES: u64 = 64 * 1024 * 1024;
const BOM: &[u8] = b"\xEF\xBB\xBF";
/// How far a line is looked at for whether it says `sep=;`, in bytes.
const SEPARATOR_BYTES: usize = 16;

/// A row as it stands in the file; its bytes are in [`Records::raw`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// The physical line it starts on, from 1.
    pub(super) line: u64,
    /// Why its values cannot be told apart.
    pub(super) fault: Option<RejectReason>,
}

/// Why no further row can be read.
#[derive(Debug)]
pub(super) enum RecordError {
    Input(InputError),
    /// Quotes that are never closed would make it read the file over and over.
    Quoting,
}

/// Where in a row the reader stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote inside a quoted value: a doubled one, or its end.
    QuoteInQuoted,
    /// Behind a closing quote and a carriage return: only a line feed may follow.
    QuotedCr,
    /// Text follows a closing quote.
    Broken,
}

/// The rows of a file.
pub(super) struct Records<R> {
    input: Input<R>,
    /// What stands between two values; none where quotes mean nothing and every line is a row.
    delimiter: Option<u8>,
    chunk: Vec<u8>,
    /// Where `chunk` starts in the text.
    chunk_start: u64,
    /// Where in `chunk` the next byte stands.
    next: usize,
    /// How much was read again.
    reread: u64,
    line: u64,
    raw: Vec<u8>,
}

impl<R: Read + Seek> Records<R> {
    /// The lines of `input`, which stands at its beginning, each a row.
    pub(super) fn lines(input: R, encoding: Encoding) -> Self {
        Self {
            input: Input::new(input, encoding),
            delimiter: None,
            chunk: Vec::new(),
            chunk_start: 0,
            next: 0,
            reread: 0,
            line: 1,
            raw: Vec::new(),
        }
    }

    /// From here on rows are those of a CSV file with this delimiter.
    pub(super) fn delimit(&mut self, delimiter: u8) {
        self.delimiter = Some(delimiter);
    }

    /// Bytes of text read into rows so far.
    pub(super) fn offset(&self) -> u64 {
        self.chunk_start + self.next as u64
    }

    /// Bytes of the file read so far.
    pub(super) fn done(&self) -> u64 {
        if self.input.is_plain() { self.offset() } else { self.input.tapped() }
    }

    /// Reads past a first line that says `sep=;`, as Excel writes and reads it, and tells what it
    /// names.
    pub(super) fn separator(&mut self, tap: Tap<'_>) -> Result<Option<u8>, RecordError> {
        if self.chunk.is_empty() {
            self.fill(tap)?;
        }
        let rest = &self.chunk[self.next..];
        let near = &rest[..rest.len().min(SEPARATOR_BYTES)];
        let end = near.iter().position(|byte| *byte == b'\n');
        let line = near[..end.unwrap_or(near.len())].trim_ascii_end();
        let bare = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\""));
        let named = match bare.unwrap_or(&near[..end.unwrap_or(near.len())]) {
            [s, e, p, b'=', named] | [s, e, p, b'=', named, b'\r']
                if *named != b'\r' && [*s, *e, *p].eq_ignore_ascii_case(b"sep") =>
            {
                *named
            }
            _ => return Ok(None),
        };
        self.next += end.map_or(near.len(), |end| end + 1);
        self.line += 1;
        Ok(Some(named))
    }

    /// The physical line the next row starts on.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The bytes of the last row, without its line break; cut at [`RECORD_BYTES`].
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// The next row that is not an empty line; none at the end.
    pub(super) fn next(&mut self, tap: Tap<'_>) -> Result<Option<Record>, RecordError> {
        loop {
            let (line, start) = (self.line, self.offset());
            let fault = self.scan(tap)?;
            if fault.is_some() || !self.raw.is_empty() {
                return Ok(Some(Record { line, fault }));
            }
            if self.offset() == start {
                return Ok(None);
            }
        }
    }

    /// Reads one row into `raw` and says what is wrong with it.
    fn scan(&mut self, tap: Tap<'_>) -> Result<Option<RejectReason>, RecordError> {
        self.raw.clear();
        if self.plain_line() {
            return Ok(None);
        }
        let first_line = self.line;
        let mut state = State::FieldStart;
        let mut size: u64 = 0;
        // where the row's second line starts in the file, and how long its first is
        let mut second: Option<(u64, u64)> = None;
        while let Some(byte) = self.byte(tap)? {
            if byte == b'\n' {
                self.line += 1;
                if state != State::Quoted {
                    break;
                }
                second.get_or_insert((self.offset(), size));
            }
            size += 1;
            if self.raw.len() < RECORD_BYTES {
                self.raw.push(byte);
            }
            state = self.delimiter.map_or(State::Plain, |delimiter| step(state, byte, delimiter));
            if state == State::Broken && second.is_some() {
                break;
            }
        }
        let fault = match state {
            State::Quoted => Some(RejectReason::UnclosedQuote),
            State::Broken if second.is_some() => Some(RejectReason::UnclosedQuote),
            State::Broken => Some(RejectReason::TextAfterQuote),
            _ if size > RECORD_BYTES as u64 => Some(RejectReason::RowTooLong { bytes: size }),
            _ => None,
        };
        if let (State::Quoted | State::Broken, Some((offset, length))) = (state, second) {
            self.raw.truncate(usize::try_from(length).unwrap_or(RECORD_BYTES));
            self.rewind(offset)?;
            self.line = first_line + 1;
        }
        if self.raw.last() == Some(&b'\r') {
            self.raw.pop();
        }
        Ok(fault)
    }

    /// Reads a line without a quote that lies in one piece, as nearly all do, without looking at what each
    /// byte means; false where the row is another one.
    fn plain_line(&mut self) -> bool {
        let rest = &self.chunk[self.next..];
        let near = &rest[..rest.len().min(RECORD_BYTES)];
        let Some(end) = near.iter().position(|byte| *byte == b'\n') else { return false };
        let line = &near[..end];
        if self.delimiter.is_some() && line.contains(&b'"') {
            return false;
        }
        self.raw.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        self.next += end + 1;
        self.line += 1;
        true
    }

    fn byte(&mut self, tap: Tap<'_>) -> Result<Option<u8>, RecordError> {
        while self.next == self.chunk.len() {
            if !self.fill(tap)? {
                return Ok(None);
            }
        }
        self.next += 1;
        Ok(Some(self.chunk[self.next - 1]))
    }

    /// Reads the next chunk; false at the end of the file.
    fn fill(&mut self, tap: Tap<'_>) -> Result<bool, RecordError> {
        self.chunk_start += self.chunk.len() as u64;
        self.next = 0;
        self.input.fill(&mut self.chunk, tap).map_err(RecordError::Input)?;
        if self.chunk_start == 0 && self.chunk.starts_with(BOM) {
            self.next = BOM.len();
        }
        Ok(!self.chunk.is_empty())
    }

    /// Goes back to `offset`, so that what a bad quote swallowed is read again.
    fn rewind(&mut self, offset: u64) -> Result<(), RecordError> {
        self.reread += self.offset() - offset;
        if self.reread > REREAD_BYTES.saturating_add(self.input.tapped().saturating_mul(2)) {
            return Err(RecordError::Quoting);
        }
        if offset < self.chunk_start {
            self.input.go_back(offset).map_err(|error| RecordError::Input(error.into()))?;
            self.chunk_start = offset;
            self.chunk.clear();
        }
        self.next = usize::try_from(offset - self.chunk_start).unwrap_or(usize::MAX);
        Ok(())
    }
}

fn step(state: State, byte: u8, delimiter: u8) -> State {
    match (state, byte) {
        (State::FieldStart | State::QuoteInQuoted, b'"') => State::Quoted,
        (State::FieldStart | State::Plain | State::QuoteInQuoted, byte) if byte == delimiter => {
            State::FieldStart
        }
        (State::FieldStart | State::Plain, _) => State::Plain,
        (State::Quoted, b'"') => State::QuoteInQuoted,
        (State::Quoted, _) => State::Quoted,
        (State::QuoteInQuoted, b'\r') => State::QuotedCr,
        (State::QuoteInQuoted | State::QuotedCr | State::Broken, _) => State::Broken,
    }
}

#[cfg(test)]
mod tests;
