//! People from a CSV file: RFC 4180 with a header, in any encoding of [`super::Encoding`].

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use async_trait::async_trait;
use csv::{ByteRecord, ReaderBuilder, Terminator};

use super::header::{self, failed};
use super::mapping::{Mapping, Refusal};
use super::record::Records;
use super::{BATCH_BYTES, CsvSettings, Progress, Row, Source, SourceError, Tap, Unit};

/// A CSV file being read.
pub struct CsvSource {
    origin: String,
    records: Records<File>,
    values: Values,
    mapping: Mapping,
    total: Option<u64>,
    /// What was read to find the header; the first tap sees it.
    opening: Vec<u8>,
}

impl CsvSource {
    /// Opens the file, reads its header and finds the mapped columns in it. A relative path
    /// starts at `base`.
    pub fn open(settings: &CsvSettings, base: &Path) -> Result<Self, SourceError> {
        let path = base.join(&settings.path);
        let origin = format!("csv {}", path.display());
        let file = File::open(&path);
        let failed = |source| SourceError::Open { path: path.clone(), table: "csv", source };
        let file = file.map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mut opening = Vec::new();
        let mut records = Records::lines(file, settings.encoding);
        let tap: Tap<'_> = &mut |bytes| opening.extend_from_slice(bytes);
        let delimiter = header::delimiter(&origin, settings.delimiter, &mut records, tap)?;
        records.delimit(delimiter);
        let mut values = Values::new(delimiter);
        let names = header::read(&origin, &mut records, &mut values, tap)?;
        let other = header::other_delimiter(&names, delimiter);
        let mapping = Mapping::new(&origin, &settings.columns, names);
        Ok(Self {
            mapping: mapping.map_err(|error| header::hinting(error, other))?,
            total: metadata.is_file().then_some(metadata.len()),
            origin,
            records,
            values,
            opening,
        })
    }

    /// The next row; none at the end.
    fn next_row(&mut self, tap: Tap<'_>) -> Result<Option<Row>, SourceError> {
        let record = match self.records.next(tap) {
            Ok(Some(record)) => record,
            Ok(None) => return Ok(None),
            Err(error) => return Err(failed(&self.origin, self.records.line(), error)),
        };
        let line = record.line;
        let read = match record.fault {
            Some(reason) => Err(Refusal { column: None, reason }),
            None => self
                .values
                .of(self.records.raw())
                .map_err(|source| failed(&self.origin, line, source.into()))
                .map(|values| self.mapping.read(values))?,
        };
        Ok(Some(Row::of(line, read, || self.records.raw().to_vec())))
    }
}

#[async_trait]
impl Source for CsvSource {
    /// Reads the file in place: a batch is a few milliseconds of a local disk.
    async fn next_batch(&mut self, max: usize, tap: Tap<'_>) -> Result<Vec<Row>, SourceError> {
        if !self.opening.is_empty() {
            tap(&std::mem::take(&mut self.opening));
        }
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < max.max(1) && bytes < BATCH_BYTES {
            let Some(row) = self.next_row(tap)? else { break };
            rows.push(row);
            bytes += self.records.raw().len();
        }
        Ok(rows)
    }

    fn progress(&self) -> Progress {
        Progress { done: self.records.done(), total: self.total, unit: Unit::Bytes }
    }

    fn origin(&self) -> &str {
        &self.origin
    }
}

/// Splits whole raw rows into values. One reader of the `csv` crate serves the whole file, since
/// building one costs more than a row.
pub(super) struct Values {
    delimiter: u8,
    reader: ::csv::Reader<Feed>,
    record: ByteRecord,
}

impl Values {
    pub(super) fn new(delimiter: u8) -> Self {
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(Feed::default());
        Self { delimiter, reader, record: ByteRecord::new() }
    }

    /// The values of a row that [`Records`] found nothing wrong with.
    pub(super) fn of(&mut self, raw: &[u8]) -> io::Result<&ByteRecord> {
        if !raw.contains(&b'"') {
            self.record.clear();
            raw.split(|byte| *byte == self.delimiter)
                .for_each(|value| self.record.push_field(value));
            return Ok(&self.record);
        }
        self.reader.get_mut().load(raw);
        let read = self.reader.read_byte_record(&mut self.record).map_err(io::Error::other)?;
        // two cutters that disagree would mix two people's rows
        if !read || !self.reader.get_ref().is_spent() {
            return Err(io::Error::other("the row's values cannot be told apart"));
        }
        Ok(&self.record)
    }
}

/// One row and its line break, for a reader that never looks further.
#[derive(Default)]
struct Feed {
    bytes: Vec<u8>,
    next: usize,
}

impl Feed {
    fn load(&mut self, raw: &[u8]) {
        self.bytes.clear();
        self.bytes.extend_from_slice(raw);
        self.bytes.push(b'\n');
        self.next = 0;
    }

    fn is_spent(&self) -> bool {
        self.next == self.bytes.len()
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.bytes[self.next..]).read(buffer)?;
        self.next += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;
    use std::io::Cursor;

    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::super::{Encoding, Reject};
    use super::*;
    use crate::domain::address::AddressReason;
    use crate::domain::recipient::Recipient;

    const COLUMNS: &str = "account = \"id\"\naddress = \"email\"\nname = \"first\"\n\
        address_changed_at = \"moved\"\nfields = { product = \"text\" }";
    const HEADER: &str = "id,email,first,moved,product\n";

    fn open(bytes: &[u8]) -> (tempfile::TempDir, Result<CsvSource, SourceError>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("people.csv"), bytes).unwrap();
        let settings = CsvSettings {
            path: "people.csv".into(),
            delimiter: None,
            encoding: Encoding::Utf8,
            columns: toml::from_str(COLUMNS).unwrap(),
        };
        let source = CsvSource::open(&settings, dir.path());
        (dir, source)
    }

    /// All rows in batches of 7; checks that the tap saw the file, and that all of it was read.
    async fn rows(bytes: &[u8]) -> (BTreeMap<u64, Recipient>, Vec<Reject>) {
        let (_dir, source) = open(bytes);
        let mut source = source.unwrap();
        let (mut good, mut rejects, mut tapped) = (BTreeMap::new(), Vec::new(), Vec::new());
        loop {
            let batch =
                source.next_batch(7, &mut |bytes| tapped.extend_from_slice(bytes)).await.unwrap();
            assert!(batch.len() <= 7);
            if batch.is_empty() {
                break;
            }
            for row in batch {
                match row {
                    Row::Good { line, recipient } => {
                        assert!(good.insert(line, *recipient).is_none());
                    }
                    Row::Rejected(reject) => rejects.push(reject),
                }
            }
        }
        assert!(tapped == bytes);
        let progress = source.progress();
        assert_eq!((progress.done, progress.total), (bytes.len() as u64, Some(progress.done)));
        (good, rejects)
    }

    /// Line, word, column, row. The last quote meets no other: no line follows it.
    const DEFECTS: [(u64, &str, &str, &[u8]); 11] = [
        (10, "no-account", "id", b",a@x.org,Ada,,x"),
        (20, "no-account", "id", b"\" \",a@x.org,Ada,,x"),
        (30, "account-control", "id", b"a\tb,a@x.org,Ada,,x"),
        (50, "field-count", "", b"50,a@x.org"),
        (60, "field-count", "", b"60,a@x.org,Ada,,x,y"),
        (70, "not-utf8", "first", b"70,a@x.org,Ad\xE9,,x"),
        (80, "nul-byte", "first", b"80,a@x.org,A\0da,,x"),
        (110, "unclosed-quote", "", b"110,a@x.org,\"Ada,,x"),
        (120, "text-after-quote", "", b"120,a@x.org,\"Ada\"x,,x"),
        (130, "instant", "moved", b"130,,,2018-08-21 22:58,x"),
        (1_001, "unclosed-quote", "", b"1001,\"a@x.org"),
    ];

    /// A row for each line from 2 to 1,001, defects among them.
    fn thousand_rows() -> BTreeMap<u64, Vec<u8>> {
        let mut rows: BTreeMap<u64, Vec<u8>> = (2..=1_001)
            .map(|id| (id, format!("{id},p{id}@x.org,\"Ada \"\"\"\"\",,x").into()))
            .collect();
        for (line, .., row) in DEFECTS {
            rows.insert(line, row.into());
        }
        rows.insert(40, format!("{},,,,x", "y".repeat(256)).into());
        rows.insert(90, format!("90,,,,{}", "x".repeat(64 * 1024 + 1)).into());
        rows.insert(100, vec![b'z'; 2 * 1024 * 1024]);
        rows.insert(300, b"300,,Ada,,x".into());
        rows.insert(301, b"301, n/a ,Ada,,x".into());
        rows.insert(302, b"302,a@x.org,x.yz,,\"\"".into());
        rows
    }

    #[tokio::test]
    async fn a_thousand_rows_with_every_defect_lose_nobody() {
        let source = thousand_rows();
        let mut file = HEADER.as_bytes().to_vec();
        for row in source.values() {
            file.extend_from_slice(row);
            file.push(b'\n');
        }
        let (good, rejects) = rows(&file).await;
        assert_eq!((good.len(), rejects.len()), (986, 14));
        let mut expected = DEFECTS.map(|(line, word, column, _)| (line, word, column)).to_vec();
        expected.push((40, "account-too-long", "id"));
        expected.push((90, "field-too-long", "product"));
        expected.push((100, "row-too-long", ""));
        expected.sort_unstable();
        for (reject, expected) in rejects.iter().zip(expected) {
            let column = reject.column.as_deref().unwrap_or_default();
            assert_eq!((reject.line, reject.reason.word(), column), expected);
            let row = &source[&reject.line];
            assert!(reject.raw == row[..row.len().min(1024 * 1024)], "{}", reject.line);
        }
        for (line, recipient) in &good {
            assert_eq!(recipient.account.as_str(), line.to_string());
        }
        assert_eq!(good[&300].reason, AddressReason::Missing);
        assert_eq!(good[&301].reason, AddressReason::Invalid);
        assert_eq!(good[&301].address_text.as_deref(), Some("n/a"));
        assert!(good[&302].name_refused && good[&302].refused.contains("product"));
        assert_eq!(good[&999].address.as_ref().unwrap().as_str(), "p999@x.org");
        assert!(good[&999].name_refused && good[&999].reason == AddressReason::Ok);
    }

    #[tokio::test]
    async fn a_byte_order_mark_and_quoted_line_breaks_keep_the_line_numbers_right() {
        let mut file = String::from("\u{FEFF}\"id\",email ,first,moved,product\r\n");
        for id in 0..50 {
            write!(file, "{id},a@example.com,Ada,,\"two\r\nlines\"\r\n\r\n").unwrap();
        }
        file.push_str("last,a@example.com,Ada,,x");
        let (good, rejects) = rows(file.as_bytes()).await;
        assert!(rejects.is_empty());
        assert_eq!(good.len(), 51);
        for id in 0..50 {
            assert_eq!(good[&(2 + 3 * id)].account.as_str(), id.to_string());
        }
        assert_eq!(good[&152].account.as_str(), "last");
    }

    #[test]
    fn whatever_the_bytes_a_whole_row_splits_into_its_own_values_only() {
        let mut rng = SmallRng::seed_from_u64(5);
        let letters = b"a,\"\n\r \0\xEF\xBB\xBF";
        let mut values = Values::new(b',');
        let mut split = 0;
        for _ in 0..10_000 {
            let bytes: Vec<u8> = (0..rng.random_range(0..24))
                .map(|_| letters[rng.random_range(0..letters.len())])
                .collect();
            let mut records = Records::lines(Cursor::new(&bytes), Encoding::Utf8);
            records.delimit(b',');
            while let Some(record) = records.next(&mut |_| {}).unwrap() {
                if record.fault.is_some() {
                    continue;
                }
                split += 1;
                let raw = records.raw();
                let read = values.of(raw).unwrap();
                if !raw.contains(&b'"') {
                    assert!(read.iter().eq(raw.split(|b| *b == b',')), "{raw:?}");
                }
                let quoted = read.iter().map(|value| {
                    let value: Vec<_> =
                        value.split(|b| *b == b'"').collect::<Vec<_>>().join(&b"\"\""[..]);
                    [b"\"", &value[..], b"\""].concat()
                });
                let again = quoted.collect::<Vec<_>>().join(&b',');
                let first = read.clone();
                assert!(first == *values.of(&again).unwrap(), "{raw:?}");
            }
        }
        assert!(split > 10_000, "{split}");
    }

    #[tokio::test]
    async fn rows_longer_than_a_read_are_whole() {
        let mut file = String::from(HEADER);
        for id in 0..200 {
            let product = "lorem, \"\"ipsum\"\"\n".repeat(id * 20);
            writeln!(file, "{id},a@example.com,Ada,,\"{product}\"").unwrap();
        }
        let (good, rejects) = rows(file.as_bytes()).await;
        let too_long: Vec<_> = rejects.iter().map(|reject| reject.reason.word()).collect();
        assert_eq!(good.len() + too_long.len(), 200);
        assert!(too_long.iter().all(|word| *word == "field-too-long") && too_long.len() < 30);
    }

    #[test]
    fn a_header_that_cannot_be_used_is_an_error_without_its_content() {
        for (file, part) in [
            (&b""[..], "the file is empty"),
            (b"\n\r\n", "the file is empty"),
            (b"\xFF\xFEi\0d\0,\0e\0\n\0", "hint: `encoding = \"utf-16\"`"),
            (b"id,\"email\n", "not closed"),
            (b"7,secret@example.com,Ada,,x\n", "no column `id`, which `columns.account` names"),
            (b"id,email,first,moved,product,email\n", "two columns are called `email`"),
        ] {
            let error = open(file).1.err().unwrap().to_string();
            assert!(error.contains(part) && error.contains("people.csv"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[tokio::test]
    async fn other_delimiters_are_taken_and_a_quote_is_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("p"), "id;mail\n7;\"a@example.com\"\n").unwrap();
        let mut settings = CsvSettings {
            path: "p".into(),
            delimiter: Some(';'),
            encoding: Encoding::Utf8,
            columns: toml::from_str("account = \"id\"\naddress = \"mail\"").unwrap(),
        };
        let mut source = CsvSource::open(&settings, dir.path()).unwrap();
        let rows = source.next_batch(0, &mut |_| {}).await.unwrap();
        assert!(matches!(&rows[..], [Row::Good { line: 2, recipient }]
            if recipient.reason == AddressReason::Ok));
        settings.delimiter = Some('"');
        assert!(CsvSource::open(&settings, dir.path()).is_err());
        settings.path = "nowhere".into();
        settings.delimiter = None;
        let error = CsvSource::open(&settings, dir.path()).err().unwrap();
        assert!(matches!(error, SourceError::Open { .. }));
    }
}
