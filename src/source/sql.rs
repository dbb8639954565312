//! People from one SELECT over a company's database: an `SQLite` file, `PostgreSQL` or MariaDB.
//!
//! The database is the company's: the transaction that reads it cannot write, and what is not one
//! SELECT never reaches it.

mod rows;
mod select;

use std::path::Path;

use async_trait::async_trait;
use csv::ByteRecord;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::rows::{Fault, Reader};
use self::select::one_select;
use super::mapping::Mapping;
use super::{BATCH_BYTES, Progress, Row, Source, SourceError, SqlSettings, Tap, Unit};
use crate::database::{Database, Table};

/// Rows read ahead of whoever takes them: a row is as long as its values are, so they are few.
const READ_AHEAD: usize = 32;

/// A query being read.
pub struct SqlSource {
    origin: String,
    query: String,
    tapped: bool,
    mapping: Mapping,
    rows: mpsc::Receiver<Result<ByteRecord, sqlx::Error>>,
    /// Taken once it has been waited for.
    reader: Option<JoinHandle<()>>,
    total: Option<u64>,
    read: u64,
}

impl SqlSource {
    /// Opens the database for reading only, checks query and columns, and starts reading. A relative
    /// path starts at `base`.
    pub async fn open(settings: &SqlSettings, base: &Path) -> Result<Self, SourceError> {
        let database = Database::parse(Table::Audience, settings.database(), base)?;
        let engine = database.engine();
        let place = match &database {
            Database::File(path) => path.display().to_string(),
            Database::Server(login) => login.name(),
        };
        let origin = format!("{} {place}", engine.word());
        let query =
            one_select(&settings.query, engine).map_err(|problem| SourceError::Setting {
                origin: origin.clone(),
                key: "query".into(),
                problem: problem.into(),
            })?;
        let mut reader = Reader::open(&database).await.map_err(|fault| match fault {
            Fault::Connect(source) => SourceError::Connect { origin: origin.clone(), source },
            Fault::Database(error) => error.into(),
        })?;
        let refused = |source| SourceError::Query { origin: origin.clone(), source };
        let header = reader.columns(query).await.map_err(refused)?;
        let mapping = Mapping::new(&origin, &settings.columns, header)?;
        let total = reader.count(query).await;
        let (sender, rows) = mpsc::channel(READ_AHEAD);
        let reader = Some(tokio::spawn(reader.send(query.to_owned(), sender)));
        let (query, tapped, read) = (query.into(), false, 0);
        Ok(Self { origin, query, tapped, mapping, rows, reader, total, read })
    }

    /// What a closed channel means: the end only if the reader ended well.
    async fn ended(&mut self) -> Result<(), SourceError> {
        let Some(reader) = self.reader.take() else {
            return Ok(());
        };
        reader.await.map_err(|source| SourceError::Reader {
            origin: self.origin.clone(),
            rows: self.read,
            source,
        })
    }

    fn row(&self, values: &ByteRecord, tap: Tap<'_>) -> Row {
        let read = self.mapping.read(values);
        if let Ok(recipient) = &read {
            tap(&recipient.canonical());
        }
        Row::of(self.read, read, || {
            let raw = as_csv(values);
            tap(&raw);
            raw
        })
    }
}

impl Drop for SqlSource {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

#[async_trait]
impl Source for SqlSource {
    async fn next_batch(&mut self, max: usize, tap: Tap<'_>) -> Result<Vec<Row>, SourceError> {
        if !self.tapped {
            self.tapped = true;
            tap(self.query.as_bytes());
        }
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while rows.len() < max.max(1) && bytes < BATCH_BYTES {
            match self.rows.recv().await {
                Some(Ok(values)) => {
                    self.read += 1;
                    bytes += values.as_slice().len();
                    rows.push(self.row(&values, tap));
                }
                Some(Err(source)) => {
                    return Err(SourceError::Rows {
                        origin: self.origin.clone(),
                        rows: self.read,
                        source,
                    });
                }
                None => {
                    self.ended().await?;
                    break;
                }
            }
        }
        Ok(rows)
    }

    fn progress(&self) -> Progress {
        Progress { done: self.read, total: self.total, unit: Unit::Rows }
    }

    fn origin(&self) -> &str {
        &self.origin
    }
}

/// The row as a line of CSV, for the file of rejected rows.
fn as_csv(values: &ByteRecord) -> Vec<u8> {
    let quoted = values.iter().map(|value| {
        let mut quoted = vec![b'"'];
        for &byte in value {
            quoted.push(byte);
            if byte == b'"' {
                quoted.push(byte);
            }
        }
        quoted.push(b'"');
        quoted
    });
    quoted.collect::<Vec<_>>().join(&b',')
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use sqlx::Connection as _;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
    use tempfile::TempDir;

    use super::*;
    use crate::domain::address::AddressReason;
    use crate::domain::database::DatabaseTls;

    const COLUMNS: &str = "account = \"CustomerId\"\naddress = \"Email\"\nname = \"FirstName\"";

    fn reading(url: &str, query: &str, columns: &str) -> SqlSettings {
        SqlSettings {
            url: url.into(),
            user: None,
            password_file: None,
            tls: DatabaseTls::default(),
            authorities: None,
            query: query.into(),
            columns: toml::from_str(columns).unwrap(),
        }
    }

    /// A music shop of `customers` customers, in the shape of the Chinook database.
    async fn shop(customers: u32) -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop.db");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let schema = "CREATE TABLE Customer (CustomerId INTEGER PRIMARY KEY, \
            FirstName NVARCHAR(40) NOT NULL, Email NVARCHAR(60), Total NUMERIC(10,2), Note BLOB)";
        sqlx::query(schema).execute(&mut connection).await.unwrap();
        let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) \
            INSERT INTO Customer SELECT i, 'Luís', 'luis' || i || '@example.com', i + 0.5, NULL \
            FROM n";
        sqlx::query(fill).bind(customers).execute(&mut connection).await.unwrap();
        let odd = "INSERT INTO Customer VALUES (-1, 'see evil.com', NULL, 1, x'FF00'), \
            (-2, 'Ada', 'n/a', 2, x'FF')";
        sqlx::query(odd).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        (dir, path)
    }

    async fn open(dir: &TempDir, query: &str, columns: &str) -> Result<SqlSource, SourceError> {
        SqlSource::open(&reading("sqlite:shop.db", query, columns), dir.path()).await
    }

    async fn refusal(dir: &TempDir, query: &str, columns: &str) -> String {
        match open(dir, query, columns).await {
            Ok(_) => panic!("`{query}` was taken"),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn every_row_of_the_query_is_read_once_with_its_ordinal() {
        let (dir, _) = shop(1_000).await;
        let query = " SELECT CustomerId, Email, FirstName, Total FROM Customer \
            ORDER BY CustomerId DESC; -- the newest first";
        let columns = format!("{COLUMNS}\nfields = {{ Total = \"number\" }}");
        let mut source = open(&dir, query, &columns).await.unwrap();
        assert_eq!((source.progress().done, source.progress().total), (0, Some(1_002)));
        let (mut rows, mut tapped) = (Vec::new(), Vec::new());
        loop {
            let batch =
                source.next_batch(300, &mut |bytes| tapped.push(bytes.to_vec())).await.unwrap();
            assert!(batch.len() <= 300);
            if batch.is_empty() {
                break;
            }
            rows.extend(batch);
        }
        assert_eq!((rows.len(), source.progress().done), (1_002, 1_002));
        assert!(source.next_batch(9, &mut |_| {}).await.unwrap().is_empty());
        assert_eq!(tapped.len(), 1_003);
        assert!(tapped[0].starts_with(b"SELECT") && tapped[0].ends_with(b"DESC"));
        let mut people = Vec::new();
        for (at, row) in (1..).zip(rows) {
            let Row::Good { line, recipient } = row else { panic!("{row:?}") };
            assert_eq!(line, at);
            assert_eq!(tapped[usize::try_from(at).unwrap()], recipient.canonical());
            people.push(recipient);
        }
        assert_eq!((people[0].account.as_str(), &*people[0].fields["Total"]), ("1000", "1000.5"));
        assert_eq!(people[0].name.as_ref().unwrap().as_str(), "Luís");
        assert_eq!(
            (people[1_000].reason, people[1_000].name_refused),
            (AddressReason::Missing, true)
        );
        assert_eq!(people[1_001].reason, AddressReason::Invalid);
        assert_eq!(people[1_001].address_text.as_deref(), Some("n/a"));
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_read_is_rejected_and_the_next_one_is_read() {
        let (dir, _) = shop(1).await;
        let query = "SELECT Note AS CustomerId, Email, FirstName FROM Customer ORDER BY 1 DESC";
        let mut source = open(&dir, query, COLUMNS).await.unwrap();
        let mut tapped = Vec::new();
        let rows = source.next_batch(9, &mut |bytes| tapped.push(bytes.to_vec())).await.unwrap();
        let read: Vec<_> = rows
            .into_iter()
            .map(|row| match row {
                Row::Rejected(reject) => (reject.line, reject.reason.word(), reject.raw),
                Row::Good { .. } => panic!("a row without an account was taken"),
            })
            .collect();
        let expected: [(u64, &str, &[u8]); 3] = [
            (1, "nul-byte", b"\"\xFF\0\",\"\",\"see evil.com\""),
            (2, "not-utf8", b"\"\xFF\",\"n/a\",\"Ada\""),
            (3, "no-account", "\"\",\"luis1@example.com\",\"Luís\"".as_bytes()),
        ];
        assert_eq!(read, expected.map(|(line, word, raw)| (line, word, raw.to_vec())));
        assert_eq!(tapped[3], read[2].2);
    }

    #[tokio::test]
    async fn the_companys_database_is_never_written() {
        let (dir, path) = shop(1).await;
        let before = std::fs::read(&path).unwrap();
        for query in [
            "DELETE FROM Customer",
            "PRAGMA query_only = 0",
            "ATTACH 'other.db' AS other",
            "SELECT 1; DELETE FROM Customer",
            "SELECT 1; SELECT 2",
            "/* SELECT */ DROP TABLE Customer",
            "",
        ] {
            let error = refusal(&dir, query, COLUMNS).await;
            assert!(error.contains("`query` "), "{error}");
        }
        let query =
            "WITH x AS (SELECT 1) DELETE FROM Customer RETURNING CustomerId, Email, FirstName";
        if let Ok(mut source) = open(&dir, query, COLUMNS).await {
            assert!(source.next_batch(9, &mut |_| {}).await.is_err());
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert!(!dir.path().join("other.db").exists());
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_refused_before_the_first_row() {
        let (dir, _) = shop(1).await;
        let select = "SELECT CustomerId, Email, FirstName FROM Customer";
        for (query, columns, part) in [
            ("SELECT 1 FROM Nobody", COLUMNS, "refuses `query`"),
            ("SELECT CustomerId, Email FROM Customer", COLUMNS, "no column `FirstName`"),
            ("SELECT *, 1 AS Email FROM Customer", COLUMNS, "two columns are called `Email`"),
            (&format!("{select} WHERE CustomerId > ?"), COLUMNS, "has a parameter"),
            (&format!("{select} WHERE CustomerId > :id"), COLUMNS, "has a parameter"),
        ] {
            let error = refusal(&dir, query, columns).await;
            assert!(error.contains(part), "{error}");
        }
        std::fs::remove_file(dir.path().join("shop.db")).unwrap();
        let error = refusal(&dir, select, COLUMNS).await;
        assert!(error.contains("cannot be opened read-only"), "{error}");
        assert!(!dir.path().join("shop.db").exists());
    }

    #[tokio::test]
    async fn a_password_in_the_url_is_refused_and_not_repeated() {
        let settings = reading("postgres://shop:secret@db/shop", "SELECT 1", COLUMNS);
        let opened = SqlSource::open(&settings, Path::new("/")).await;
        let error = opened.err().unwrap();
        assert!(matches!(error, SourceError::Database(_)));
        assert!(!format!("{error} {error:?}").contains("secret"));
    }

    #[tokio::test]
    async fn an_error_in_the_middle_is_no_end() {
        let (dir, _) = shop(300).await;
        // the sum overflows behind the last good row
        let query = "SELECT CustomerId, Email, FirstName FROM Customer \
            WHERE CASE WHEN CustomerId < 300 THEN 1 ELSE abs(-9223372036854775808) END";
        let mut source = open(&dir, query, COLUMNS).await.unwrap();
        assert_eq!(source.progress().total, None);
        let mut read = 0;
        let error = loop {
            match source.next_batch(64, &mut |_| {}).await {
                Ok(rows) if rows.is_empty() => panic!("ended after {read} rows"),
                Ok(rows) => read += rows.len(),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, SourceError::Rows { rows: 301, .. }), "{error}");
    }

    #[tokio::test]
    async fn counting_for_a_progress_bar_is_given_up_when_it_takes_long() {
        let (dir, _) = shop(1).await;
        let query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
            SELECT i AS CustomerId, '' AS Email, '' AS FirstName FROM n";
        let mut source = open(&dir, query, COLUMNS).await.unwrap();
        assert_eq!(source.progress().total, None);
        assert_eq!(source.next_batch(5, &mut |_| {}).await.unwrap().len(), 5);
    }
}
