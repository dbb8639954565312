//! People from one SELECT over an `SQLite` file.
//!
//! The file is the company's: it is opened read-only, `query_only` is set on top, and what is not
//! one SELECT never reaches it.

use std::path::Path;
use std::str::FromStr;

use async_trait::async_trait;
use csv::ByteRecord;
use futures_util::StreamExt;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Column, Connection, Executor, Row as _, SqlSafeStr, Statement};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::mapping::{FIELD_BYTES, Mapping};
use super::{Progress, Reject, Row, Source, SourceError, SqliteSettings, Tap, Unit};

/// Rows read ahead of whoever takes them.
const READ_AHEAD: usize = 256;
/// How much counting the rows for a progress bar may cost: this many steps of
/// [`COUNT_STEP`] instructions, well under a second.
const COUNT_STEPS: u32 = 200;
/// Instructions of the database's virtual machine between two looks at the budget.
const COUNT_STEP: i32 = 100_000;

/// A query being read.
pub struct SqliteSource {
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

impl SqliteSource {
    /// Opens the database read-only, checks query and columns, and starts reading. A relative
    /// path starts at `base`.
    pub async fn open(settings: &SqliteSettings, base: &Path) -> Result<Self, SourceError> {
        // another database's URL holds a password, so it is not repeated
        if !settings.url.starts_with("sqlite:") {
            return Err(SourceError::Setting {
                origin: "sqlite".into(),
                key: "url".into(),
                problem: "does not start with `sqlite:`".into(),
            });
        }
        let options = SqliteConnectOptions::from_str(&settings.url);
        let connect =
            |source| SourceError::Connect { origin: format!("sqlite {}", settings.url), source };
        let options = options.map_err(connect)?;
        let file = base.join(options.get_filename());
        let origin = format!("sqlite {}", file.display());
        let query = one_select(&settings.query).map_err(|problem| SourceError::Setting {
            origin: origin.clone(),
            key: "query".into(),
            problem: problem.into(),
        })?;
        let options = options
            .filename(file)
            .read_only(true)
            .create_if_missing(false)
            .pragma("query_only", "1");
        let mut connection = SqliteConnection::connect_with(&options).await.map_err(connect)?;
        let header = header(&origin, query, &mut connection).await?;
        let mapping = Mapping::new(&origin, &settings.columns, header)?;
        let total = count(query, &mut connection).await;
        let (sender, rows) = mpsc::channel(READ_AHEAD);
        let reader = Some(tokio::spawn(read(connection, query.to_owned(), sender)));
        Ok(Self {
            query: query.into(),
            tapped: false,
            origin,
            mapping,
            rows,
            reader,
            total,
            read: 0,
        })
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
        let line = self.read;
        match self.mapping.read(values) {
            Ok(recipient) => {
                tap(&recipient.canonical());
                Row::Good { line, recipient: Box::new(recipient) }
            }
            Err(refusal) => {
                let raw = as_csv(values);
                tap(&raw);
                Row::Rejected(Reject { line, column: refusal.column, reason: refusal.reason, raw })
            }
        }
    }
}

impl Drop for SqliteSource {
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

#[async_trait]
impl Source for SqliteSource {
    async fn next_batch(&mut self, max: usize, tap: Tap<'_>) -> Result<Vec<Row>, SourceError> {
        if !self.tapped {
            self.tapped = true;
            tap(self.query.as_bytes());
        }
        let mut rows = Vec::new();
        while rows.len() < max.max(1) {
            match self.rows.recv().await {
                Some(Ok(values)) => {
                    self.read += 1;
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

/// Sends every row of the query, and the error that ends it early.
async fn read(
    mut connection: SqliteConnection,
    query: String,
    sender: mpsc::Sender<Result<ByteRecord, sqlx::Error>>,
) {
    let mut rows = sqlx::query(AssertSqlSafe(query)).fetch(&mut connection);
    while let Some(row) = rows.next().await {
        let row = row.and_then(|row| values(&row));
        let failed = row.is_err();
        if sender.send(row).await.is_err() || failed {
            break;
        }
    }
}

/// The row's values as text: numbers as the database writes them, NULL as nothing. A value that
/// is refused for its length anyway is cut behind it.
fn values(row: &SqliteRow) -> Result<ByteRecord, sqlx::Error> {
    let mut values = ByteRecord::new();
    for at in 0..row.len() {
        let value: Option<&[u8]> = row.try_get_unchecked(at)?;
        let value = value.unwrap_or_default();
        values.push_field(&value[..value.len().min(FIELD_BYTES + 1)]);
    }
    Ok(values)
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

/// The names of the result's columns.
async fn header(
    origin: &str,
    query: &str,
    connection: &mut SqliteConnection,
) -> Result<Vec<String>, SourceError> {
    let query = AssertSqlSafe(query.to_owned()).into_sql_str();
    let statement = connection
        .prepare(query)
        .await
        .map_err(|source| SourceError::Query { origin: origin.into(), source })?;
    let parameters = match statement.parameters() {
        Some(sqlx::Either::Left(types)) => types.len(),
        Some(sqlx::Either::Right(count)) => count,
        None => 0,
    };
    // unbound parameters are NULL to the database: the query would quietly find nobody
    if parameters > 0 {
        return Err(SourceError::Setting {
            origin: origin.into(),
            key: "query".into(),
            problem: "has a parameter; hint: write the value into the query".into(),
        });
    }
    let columns = statement.columns().iter();
    Ok(columns.map(|column| column.name().to_owned()).collect())
}

/// How many rows there will be, for a progress bar, unless counting takes long.
async fn count(query: &str, connection: &mut SqliteConnection) -> Option<u64> {
    let mut steps = 0;
    connection.lock_handle().await.ok()?.set_progress_handler(COUNT_STEP, move || {
        steps += 1;
        steps < COUNT_STEPS
    });
    // the line break ends a comment that the query may end in
    let count = format!("SELECT COUNT(*) FROM (\n{query}\n)");
    let counted =
        sqlx::query_scalar::<_, i64>(AssertSqlSafe(count)).fetch_one(&mut *connection).await;
    connection.lock_handle().await.ok()?.remove_progress_handler();
    counted.ok().and_then(|count| u64::try_from(count).ok())
}

/// The query without its closing semicolon, if it is one SELECT, with or without a WITH.
fn one_select(query: &str) -> Result<&str, &'static str> {
    let (mut first_word, mut end) = (None, None);
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '-' if rest.starts_with("--") => through(rest, 2, "\n"),
            '/' if rest.starts_with("/*") => through(rest, 2, "*/"),
            ';' => {
                end.get_or_insert(query.len() - rest.len());
                1
            }
            white if white.is_ascii_whitespace() => 1,
            _ if end.is_some() => return Err("holds more than one statement"),
            '\'' => through(rest, 1, "'"),
            '"' => through(rest, 1, "\""),
            '`' => through(rest, 1, "`"),
            '[' => through(rest, 1, "]"),
            _ => {
                let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                let length = word.unwrap_or(rest.len()).max(first.len_utf8());
                first_word.get_or_insert(&rest[..length]);
                length
            }
        };
        rest = &rest[length..];
    }
    match first_word.map(str::to_ascii_lowercase).as_deref() {
        Some("select" | "with") => Ok(query[..end.unwrap_or(query.len())].trim()),
        _ => Err("is not a SELECT"),
    }
}

/// The length of `text` through the first `close` from `from` on; all of it where there is none.
fn through(text: &str, from: usize, close: &str) -> usize {
    text[from..].find(close).map_or(text.len(), |at| from + at + close.len())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;
    use crate::domain::address::AddressReason;

    const COLUMNS: &str = "account = \"CustomerId\"\naddress = \"Email\"\nname = \"FirstName\"";

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

    async fn open(dir: &TempDir, query: &str, columns: &str) -> Result<SqliteSource, SourceError> {
        let settings = SqliteSettings {
            url: "sqlite:shop.db".into(),
            query: query.into(),
            columns: toml::from_str(columns).unwrap(),
        };
        SqliteSource::open(&settings, dir.path()).await
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
    async fn the_url_of_another_database_is_refused_without_its_password() {
        let settings = SqliteSettings {
            url: "postgres://shop:secret@db/shop".into(),
            query: "SELECT 1".into(),
            columns: toml::from_str(COLUMNS).unwrap(),
        };
        let opened = SqliteSource::open(&settings, Path::new("/")).await;
        let error = opened.err().unwrap();
        assert!(matches!(error, SourceError::Setting { .. }));
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

    #[test]
    fn one_select_and_nothing_else() {
        for (query, taken) in [
            ("SELECT 1", Ok("SELECT 1")),
            (
                "  with x as (select 1) select * from x ;; ",
                Ok("with x as (select 1) select * from x"),
            ),
            ("-- a; b\nSELECT ';' /* ; */ -- ;", Ok("-- a; b\nSELECT ';' /* ; */ -- ;")),
            (
                "SELECT 'it''s; x', \"a;b\", [c;d], `e;f`",
                Ok("SELECT 'it''s; x', \"a;b\", [c;d], `e;f`"),
            ),
            ("SELECT é", Ok("SELECT é")),
            ("(SELECT 1)", Err("is not a SELECT")),
            ("SELECTED", Err("is not a SELECT")),
            ("-- SELECT 1", Err("is not a SELECT")),
            ("; SELECT 1", Err("holds more than one statement")),
            ("SELECT 1; 'x'", Err("holds more than one statement")),
            ("SELECT 'x\\'; DELETE FROM y --'", Err("holds more than one statement")),
        ] {
            assert_eq!(one_select(query), taken, "{query}");
        }
    }
}
