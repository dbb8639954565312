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
mod tests {
    use std::io::Cursor;

    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn records(bytes: &[u8]) -> Records<Cursor<&[u8]>> {
        let mut records = Records::lines(Cursor::new(bytes), Encoding::Utf8);
        records.delimit(b',');
        records
    }

    /// (line, raw row, fault) of every row, and what the tap saw.
    type Cut = Vec<(u64, Vec<u8>, Option<RejectReason>)>;

    fn cut(bytes: &[u8]) -> (Cut, Vec<u8>) {
        let (mut rows, mut seen) = (Vec::new(), Vec::new());
        let mut records = records(bytes);
        let tap: Tap<'_> = &mut |bytes| seen.extend_from_slice(bytes);
        while let Some(record) = records.next(tap).unwrap() {
            rows.push((record.line, records.raw().to_vec(), record.fault));
        }
        assert_eq!(records.offset(), bytes.len() as u64);
        (rows, seen)
    }

    fn lines(text: &str) -> Vec<(u64, String, Option<RejectReason>)> {
        let rows = cut(text.as_bytes()).0.into_iter();
        rows.map(|(line, raw, fault)| (line, String::from_utf8(raw).unwrap(), fault)).collect()
    }

    #[test]
    fn rows_are_lines_and_quoted_line_breaks_count() {
        let text = "\u{FEFF}a,b\r\n1,\"x\r\ny\"\r\n\n\r\n2,\"\"\"\n\"\n3,5\"x\n4,z";
        let rows: Vec<_> = lines(text)
            .into_iter()
            .map(|(line, raw, fault)| {
                assert_eq!(fault, None);
                (line, raw)
            })
            .collect();
        let expected =
            [(1, "a,b"), (2, "1,\"x\r\ny\""), (6, "2,\"\"\"\n\""), (8, "3,5\"x"), (9, "4,z")];
        assert_eq!(rows, expected.map(|(line, raw)| (line, raw.to_owned())));
        assert!(lines("").is_empty() && lines("\u{FEFF}").is_empty() && lines("\n\r\n").is_empty());
    }

    #[test]
    fn where_quotes_mean_nothing_every_line_is_a_row() {
        let text = b"{\"a\": \"\n\"b\n\n\r\nc\"";
        let mut lines = Records::lines(Cursor::new(&text[..]), Encoding::Utf8);
        for (line, raw) in [(1, "{\"a\": \""), (2, "\"b"), (5, "c\"")] {
            assert_eq!(lines.next(&mut |_| {}).unwrap(), Some(Record { line, fault: None }));
            assert_eq!(lines.raw(), raw.as_bytes());
        }
        assert_eq!(lines.next(&mut |_| {}).unwrap(), None);
    }

    #[test]
    fn a_line_that_names_the_separator_is_read_past() {
        for (text, named, line) in [
            ("sep=;\r\na;b\n", Some(b';'), 2),
            ("\u{FEFF}SEP=\t\na\tb", Some(b'\t'), 2),
            ("\"sep=|\"\na|b", Some(b'|'), 2),
            ("sep=;", Some(b';'), 2),
            ("sep=\r\na,b", None, 1),
            ("sep=;;\na,b", None, 1),
            ("separator\na", None, 1),
            ("", None, 1),
        ] {
            let mut records = records(text.as_bytes());
            assert_eq!(records.separator(&mut |_| {}).unwrap(), named, "{text:?}");
            assert_eq!(records.line(), line, "{text:?}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_its_own_line_only() {
        let unclosed = Some(RejectReason::UnclosedQuote);
        let text = "a,b\n1,\"Joe\r\n2,Ann\n3,\"\"\n4,\"open";
        let expected = [
            (1, "a,b", None),
            (2, "1,\"Joe", unclosed),
            (3, "2,Ann", None),
            (4, "3,\"\"", None),
            (5, "4,\"open", unclosed),
        ];
        assert_eq!(lines(text), expected.map(|(l, raw, fault)| (l, raw.to_owned(), fault)));
    }

    #[test]
    fn text_after_a_closing_quote_gives_the_swallowed_lines_back() {
        let broken = Some(RejectReason::TextAfterQuote);
        let unclosed = Some(RejectReason::UnclosedQuote);
        let text = "1,\"Joe\n2,Ann\n3,\"Bob\"\n4,\"x\"y,z\n5,\"x\"\r6\n7,w";
        let expected = [
            (1, "1,\"Joe", unclosed),
            (2, "2,Ann", None),
            (3, "3,\"Bob\"", None),
            (4, "4,\"x\"y,z", broken),
            (5, "5,\"x\"\r6", broken),
            (6, "7,w", None),
        ];
        assert_eq!(lines(text), expected.map(|(l, raw, fault)| (l, raw.to_owned(), fault)));
    }

    #[test]
    fn a_row_of_any_length_takes_bounded_memory_and_the_next_one_is_read() {
        let huge = 3 * RECORD_BYTES;
        for quote in ["", "\""] {
            let text = format!("1,{quote}{}{quote}\n2,x\n", "y".repeat(huge));
            let (rows, seen) = cut(text.as_bytes());
            let bytes = (2 + huge + 2 * quote.len()) as u64;
            assert_eq!((rows[0].0, rows[0].1.len()), (1, RECORD_BYTES));
            assert_eq!(rows[0].2, Some(RejectReason::RowTooLong { bytes }));
            assert_eq!(rows[1], (2, b"2,x".to_vec(), None));
            assert!(seen == text.as_bytes());
        }
        let text = format!("1,\"{}\n2,x\n", "y\n".repeat(huge));
        let (rows, seen) = cut(text.as_bytes());
        assert!(seen == text.as_bytes());
        assert_eq!(rows[0], (1, b"1,\"y".to_vec(), Some(RejectReason::UnclosedQuote)));
        assert_eq!(rows.last(), Some(&(huge as u64 + 2, b"2,x".to_vec(), None)));
    }

    #[test]
    fn a_file_of_unclosed_quotes_ends_in_an_error_and_not_in_hours() {
        // every row leaves a quote open up to the end of the file
        let text = "a\",\"\"\"\n".repeat(60_000);
        let mut records = records(text.as_bytes());
        let end = loop {
            match records.next(&mut |_| {}) {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        assert!(matches!(end, Err(RecordError::Quoting)));
    }

    #[test]
    fn any_bytes_are_cut_as_the_csv_crate_cuts_them_where_the_quotes_are_whole() {
        let mut rng = SmallRng::seed_from_u64(3);
        let letters = b"a,\"\n\r ";
        let mut whole = 0;
        for _ in 0..20_000 {
            let length = rng.random_range(0..24);
            let bytes: Vec<u8> =
                (0..length).map(|_| letters[rng.random_range(0..letters.len())]).collect();
            let (rows, seen) = cut(&bytes);
            assert_eq!(seen, bytes);
            let kept: usize = rows.iter().map(|(_, raw, _)| raw.len()).sum();
            let breaks = bytes.iter().filter(|b| b"\r\n".contains(b)).count();
            assert!(kept <= bytes.len() && kept + breaks >= bytes.len(), "{bytes:?}");
            if rows.iter().any(|(.., fault)| fault.is_some()) || bytes.contains(&b'\r') {
                continue;
            }
            whole += 1;
            let mut reader = ::csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(bytes.as_slice());
            assert_eq!(reader.byte_records().count(), rows.len(), "{bytes:?}");
        }
        assert!(whole > 1_000, "{whole}");
    }
}
