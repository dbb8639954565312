//! People from NDJSON: one JSON object a line, in UTF-8.
//!
//! A key that an object lacks is an empty value. So that a misspelt one does not make everybody's
//! address empty in silence, each mapped key must stand in at least one of the first objects, be it
//! as null.

use std::collections::VecDeque;
use std::fs::File;
use std::path::Path;

use async_trait::async_trait;
use csv::ByteRecord;

use super::header::failed;
use super::json::{Fault, Keys};
use super::mapping::{Mapping, Refusal};
use super::record::Records;
use super::{BATCH_BYTES, Encoding, NdjsonSettings, Progress, Row, Source, SourceError, Tap, Unit};

/// Objects looked at for the mapped keys before the first row is given.
const LOOK_OBJECTS: usize = 1_000;
/// Bytes of them, if that is less.
const LOOK_BYTES: u64 = 4 * 1024 * 1024;

/// The values of a line, or why it has none.
type Values = Result<Vec<Option<String>>, Fault>;

/// An NDJSON file being read.
pub struct NdjsonSource {
    origin: String,
    lines: Records<File>,
    names: Vec<String>,
    keys: Keys,
    mapping: Mapping,
    total: Option<u64>,
    /// Rows read while the keys were looked for, and what the first tap sees for them.
    ahead: VecDeque<Row>,
    opening: Vec<u8>,
}

impl NdjsonSource {
    /// Opens the file and finds the mapped keys in its first objects. A relative path starts at
    /// `base`.
    pub fn open(settings: &NdjsonSettings, base: &Path) -> Result<Self, SourceError> {
        let path = base.join(&settings.path);
        let origin = format!("ndjson {}", path.display());
        let failed = |source| SourceError::Open { path: path.clone(), table: "ndjson", source };
        let file = File::open(&path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mapped = settings.columns.named();
        let mut names: Vec<String> = mapped.iter().map(|(_, column)| column.clone()).collect();
        names.sort_unstable();
        names.dedup();
        let mut source = Self {
            mapping: Mapping::new(&origin, &settings.columns, names.clone())?,
            total: metadata.is_file().then_some(metadata.len()),
            lines: Records::lines(file, Encoding::Utf8),
            keys: Keys::new(&names),
            names,
            origin,
            ahead: VecDeque::new(),
            opening: Vec::new(),
        };
        source.look(&mapped)?;
        Ok(source)
    }

    /// Reads the first objects and holds them back until every mapped key was seen in one.
    fn look(&mut self, mapped: &[(String, String)]) -> Result<(), SourceError> {
        let mut opening = Vec::new();
        let mut seen = vec![false; self.names.len()];
        let mut objects = 0;
        while objects < LOOK_OBJECTS && self.lines.offset() < LOOK_BYTES {
            let tap: Tap<'_> = &mut |bytes| opening.extend_from_slice(bytes);
            let Some((line, read)) = self.next_values(tap)? else { break };
            if self.ahead.is_empty() && self.lines.raw().trim_ascii_start().starts_with(b"[") {
                return Err(SourceError::JsonList { origin: self.origin.clone() });
            }
            if let Ok(values) = &read {
                objects += 1;
                for (seen, value) in seen.iter_mut().zip(values) {
                    *seen |= value.is_some();
                }
            }
            let row = self.row(line, read);
            self.ahead.push_back(row);
        }
        self.opening = opening;
        let is_missing =
            |column: &String| self.names.binary_search(column).is_ok_and(|at| !seen[at]);
        match mapped.iter().find(|(_, column)| objects > 0 && is_missing(column)) {
            Some((key, column)) => Err(SourceError::MissingKey {
                origin: self.origin.clone(),
                key: key.clone(),
                column: column.clone(),
                objects,
            }),
            None => Ok(()),
        }
    }

    /// The values of the next line that is not blank.
    fn next_values(&mut self, tap: Tap<'_>) -> Result<Option<(u64, Values)>, SourceError> {
        loop {
            let record = match self.lines.next(tap) {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(None),
                Err(error) => return Err(self.failed(error)),
            };
            if let Some(fault) = record.fault {
                return Ok(Some((record.line, Err(fault.into()))));
            }
            if !self.lines.raw().trim_ascii().is_empty() {
                return Ok(Some((record.line, self.keys.values(self.lines.raw()))));
            }
        }
    }

    fn failed(&self, error: super::record::RecordError) -> SourceError {
        use super::{EncodingFault, input::InputError, record::RecordError};
        if let RecordError::Input(InputError::Encoding(EncodingFault::IsUtf16)) = error {
            return SourceError::Setting {
                origin: self.origin.clone(),
                key: "path".into(),
                problem: "begins with the byte order mark of UTF-16, and NDJSON is UTF-8; hint: \
                          `iconv -f UTF-16 -t UTF-8` writes it so"
                    .into(),
            };
        }
        failed(&self.origin, self.lines.line(), error)
    }

    /// The row of the line that was read last.
    fn row(&self, line: u64, read: Values) -> Row {
        let read = match read {
            Ok(values) => {
                let values = values.into_iter().map(Option::unwrap_or_default);
                self.mapping.read(&ByteRecord::from(values.collect::<Vec<_>>()))
            }
            Err(Fault { place, reason }) => {
                let column = place.and_then(|place| self.names.get(place).cloned());
                Err(Refusal { column, reason })
            }
        };
        Row::of(line, read, || self.lines.raw().to_vec())
    }
}

#[async_trait]
impl Source for NdjsonSource {
    /// Reads the file in place: a batch is a few milliseconds of a local disk.
    async fn next_batch(&mut self, max: usize, tap: Tap<'_>) -> Result<Vec<Row>, SourceError> {
        if !self.opening.is_empty() {
            tap(&std::mem::take(&mut self.opening));
        }
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < max.max(1) && bytes < BATCH_BYTES {
            if let Some(row) = self.ahead.pop_front() {
                rows.push(row);
                continue;
            }
            let Some((line, read)) = self.next_values(tap)? else { break };
            rows.push(self.row(line, read));
            bytes += self.lines.raw().len();
        }
        Ok(rows)
    }

    fn progress(&self) -> Progress {
        Progress { done: self.lines.done(), total: self.total, unit: Unit::Bytes }
    }

    fn origin(&self) -> &str {
        &self.origin
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::domain::address::AddressReason;

    const COLUMNS: &str = "account = \"id\"\naddress = \"contact.email\"\nname = \"contact.name\"\n\
        fields = { product = \"text\" }";

    fn open(bytes: &[u8]) -> (tempfile::TempDir, Result<NdjsonSource, SourceError>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("people.ndjson"), bytes).unwrap();
        let settings = NdjsonSettings {
            path: "people.ndjson".into(),
            columns: toml::from_str(COLUMNS).unwrap(),
        };
        let source = NdjsonSource::open(&settings, dir.path());
        (dir, source)
    }

    /// All rows in batches of 7; checks that the tap saw the file, and that all of it was read.
    async fn rows(bytes: &[u8]) -> Vec<Row> {
        let (_dir, source) = open(bytes);
        let mut source = source.unwrap();
        let (mut all, mut tapped) = (Vec::new(), Vec::new());
        loop {
            let batch =
                source.next_batch(7, &mut |bytes| tapped.extend_from_slice(bytes)).await.unwrap();
            assert!(batch.len() <= 7);
            if batch.is_empty() {
                break;
            }
            all.extend(batch);
        }
        assert!(tapped == bytes);
        assert_eq!(source.progress().done, bytes.len() as u64);
        all
    }

    #[tokio::test]
    async fn every_line_is_a_person_or_a_reject_with_its_line() {
        let mut file =
            "\u{FEFF}{\"id\": 7, \"contact\": {\"email\": \"a@x.org\", \"name\": \"Ada\"}, \
                        \"product\": \"Opera\"}\r\n\n  \n{\"id\": 8}\nnot json\n[]\n\
                        {\"id\": 1, \"id\": 2}\n{\"id\": \"\\u0000\"}\n\
                        {\"id\": 9, \"contact\": {\"email\": [\"a@x.org\"]}}\n{\"contact\": null}\n"
                .to_owned();
        writeln!(file, "{{\"id\": \"{}\"}}", "x".repeat(2 * 1024 * 1024)).unwrap();
        file.push_str("{\"id\": true, \"contact\": {\"email\": \"n/a\"}}");
        let read: Vec<(u64, String)> = rows(file.as_bytes())
            .await
            .into_iter()
            .map(|row| match row {
                Row::Good { line, recipient } => {
                    (line, format!("{} {:?}", recipient.account.as_str(), recipient.reason))
                }
                Row::Rejected(reject) => {
                    let column = reject.column.unwrap_or_default();
                    (reject.line, format!("{} {column}", reject.reason.word()))
                }
            })
            .collect();
        let expected = [
            (1, format!("7 {:?}", AddressReason::Ok)),
            (4, format!("8 {:?}", AddressReason::Missing)),
            (5, "json ".into()),
            (6, "no-object ".into()),
            (7, "duplicate-key ".into()),
            (8, "nul-byte id".into()),
            (9, "no-value contact.email".into()),
            (10, "no-account id".into()),
            (11, "row-too-long ".into()),
            (12, format!("true {:?}", AddressReason::Invalid)),
        ];
        assert_eq!(read, expected);
    }

    #[tokio::test]
    async fn a_mapped_key_that_stands_nowhere_is_an_error_unless_it_is_there_as_null() {
        let line = "{\"id\": 1, \"contact\": {\"email\": \"a@x.org\"}, \"product\": \"x\"}\n";
        let error = open(line.repeat(3).as_bytes()).1.err().unwrap().to_string();
        assert!(
            error.ends_with(
                "people.ndjson: no key `contact.name`, which `columns.name` names, in the first 3 \
                 objects; hint: keys are compared letter by letter, nested ones are written `a.b`, \
                 and a rare one counts as there where the first object has it as null"
            ),
            "{error}"
        );
        let named = line.replace("{\"email\"", "{\"name\": null, \"email\"");
        assert_eq!(rows(format!("{named}{}", line.repeat(3_000)).as_bytes()).await.len(), 3_001);
        // where no line is an object there is nothing to say of keys: each is a reject
        assert_eq!(rows(b"x\ny\n").await.len(), 2);
        assert!(rows(b"").await.is_empty());
    }

    #[test]
    fn a_json_list_and_utf_16_are_refused_with_the_command_that_mends_them() {
        for (bytes, hint) in [
            (&b"[\n{\"id\": 1}\n]"[..], "hint: `jq -c '.[]'` writes it so"),
            (b"[{\"id\": 1}]", "hint: `jq -c '.[]'` writes it so"),
            (b"\xFF\xFE{\0}\0", "hint: `iconv -f UTF-16 -t UTF-8` writes it so"),
        ] {
            let error = open(bytes).1.err().unwrap().to_string();
            assert!(error.ends_with(hint), "{error}");
        }
    }
}
