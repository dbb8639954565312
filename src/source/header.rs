//! The first line of a CSV file: what stands between its values, and what its columns are called.

use std::fs::File;
use std::io;

use super::csv::Values;
use super::input::InputError;
use super::record::{RecordError, Records};
use super::{SourceError, Tap};

/// The most columns a file may have: more are a file that is no table of people.
const MOST_COLUMNS: usize = 10_000;

/// Characters that stand between values where `delimiter` says another.
const DELIMITERS: [char; 4] = [';', '\t', ',', '|'];

/// What stands between two values: what the file's own first line says (`sep=;`, as Excel writes it),
/// else what is set, else a comma.
pub(super) fn delimiter(
    origin: &str,
    set: Option<char>,
    records: &mut Records<File>,
    tap: Tap<'_>,
) -> Result<u8, SourceError> {
    let wrong = |problem: String| SourceError::Setting {
        origin: origin.into(),
        key: "delimiter".into(),
        problem,
    };
    let usable = |delimiter: u8| delimiter.is_ascii() && !b"\"\r\n\0".contains(&delimiter);
    let set = match set.map(|set| u8::try_from(set).ok().filter(|set| usable(*set))) {
        Some(None) => {
            return Err(wrong(
                "must be one ASCII character other than a quote or a line break; hint: `,`, `;`, \
                 `\\t` or `|`"
                    .into(),
            ));
        }
        Some(set) => set,
        None => None,
    };
    let said = records.separator(tap).map_err(|error| failed(origin, 1, error))?;
    match (set, said) {
        (_, Some(said)) if !usable(said) => {
            Err(wrong("is a quote by the file's own first line; hint: remove that line".into()))
        }
        (Some(set), Some(said)) if set != said => Err(wrong(format!(
            "is `{}`, but the file's own first line says `sep={}`; hint: leave `delimiter` out, the \
             line is read",
            set.escape_ascii(),
            said.escape_ascii()
        ))),
        (set, said) => Ok(said.or(set).unwrap_or(b',')),
    }
}

/// The column names, trimmed.
pub(super) fn read(
    origin: &str,
    records: &mut Records<File>,
    values: &mut Values,
    tap: Tap<'_>,
) -> Result<Vec<String>, SourceError> {
    let wrong = |line, reason: String| SourceError::Header { origin: origin.into(), line, reason };
    let record = match records.next(tap) {
        Ok(Some(record)) => record,
        Ok(None) => return Err(wrong(1, format!("the file is empty; hint: {FIRST_LINE}"))),
        Err(error) => return Err(failed(origin, records.line(), error)),
    };
    let raw = records.raw();
    if raw.contains(&0) {
        let hint = "hint: is it UTF-16? then `encoding = \"utf-16\"`";
        return Err(wrong(record.line, format!("it holds NUL bytes; {hint}")));
    }
    if raw.iter().zip(raw.iter().skip(1)).any(|(byte, next)| *byte == b'\r' && *next != b'\n') {
        let hint = "hint: `tr '\\r' '\\n'` writes it with line feeds";
        return Err(wrong(
            record.line,
            format!("the file's lines end in carriage returns alone; {hint}"),
        ));
    }
    if let Some(fault) = record.fault {
        return Err(wrong(record.line, format!("{fault}; hint: {FIRST_LINE}")));
    }
    let names = values.of(raw).map_err(|source| failed(origin, record.line, source.into()))?;
    if names.len() > MOST_COLUMNS {
        return Err(wrong(
            record.line,
            format!("{} columns, more than {MOST_COLUMNS}; hint: {FIRST_LINE}", names.len()),
        ));
    }
    let name = |name: &[u8]| std::str::from_utf8(name).ok().map(|name| name.trim().to_owned());
    names.iter().map(name).collect::<Option<Vec<_>>>().ok_or_else(|| {
        let hint = "hint: `encoding = \"windows-1252\"`, where an older Windows program wrote it";
        wrong(record.line, format!("it is not UTF-8; {hint}"))
    })
}

/// What every header has to be.
const FIRST_LINE: &str = "the first line must name the columns";

/// The character that a header of one column seems to have between its columns.
pub(super) fn other_delimiter(names: &[String], delimiter: u8) -> Option<char> {
    let [only] = names else { return None };
    DELIMITERS.into_iter().find(|other| *other != char::from(delimiter) && only.contains(*other))
}

/// The error of a header, with the delimiter that seems to be meant.
pub(super) fn hinting(error: SourceError, other: Option<char>) -> SourceError {
    match (error, other) {
        (SourceError::MissingColumn { origin, key, column, .. }, Some(other)) => {
            let hint = format!(
                "the header is one column with `{0}` in it: `delimiter = \"{0}\"`",
                other.escape_default()
            );
            SourceError::MissingColumn { origin, key, column, hint }
        }
        (error, _) => error,
    }
}

/// What stopped the reading of a file at a line.
pub(super) fn failed(origin: &str, line: u64, error: RecordError) -> SourceError {
    let origin = origin.into();
    match error {
        RecordError::Input(InputError::Read(source)) => SourceError::Read { origin, line, source },
        RecordError::Input(InputError::Encoding(fault)) => SourceError::Encoding { origin, fault },
        RecordError::Quoting => SourceError::Quoting { origin, line },
    }
}

impl From<io::Error> for RecordError {
    fn from(error: io::Error) -> Self {
        Self::Input(error.into())
    }
}
