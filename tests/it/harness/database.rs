//! The company's database on each engine: a file, or a private server of Debian's. Statements and
//! settings are those of `docs/directories.md`.

use std::path::PathBuf;

use forthwith::directory::sql::SqlDirectorySettings;
use forthwith::sink::Certificates;
use forthwith::source::SqlSettings;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ColumnIndex, ConnectOptions as _, Row, ValueRef as _};
use tempfile::TempDir;

use super::confined::{Confined, Furnishing};
use super::tampering::query;
use super::{House, secret_file};

/// The documentation, whose statements are run.
const PAGE: &str = include_str!("../../../docs/directories.md");

/// The user's password, which must never be seen.
pub const PASSWORD: &str = "correct-horse-17";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
    MariaDb,
}

/// A database with the tables of the documentation, and a user who may do what it says.
pub struct Database {
    pub kind: Kind,
    server: Option<Confined>,
    pub folder: TempDir,
}

/// A connection of somebody who may do everything.
pub enum Admin {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
    MariaDb(MySqlConnection),
}

/// A row as text.
pub type Texts = Vec<Option<String>>;

macro_rules! on_each {
    ($admin:expr, $conn:ident => $body:expr) => {
        match $admin {
            Admin::Sqlite($conn) => $body,
            Admin::Postgres($conn) => $body,
            Admin::MariaDb($conn) => $body,
        }
    };
}

impl Kind {
    fn heading(self) -> &'static str {
        match self {
            Self::Sqlite => "### SQLite",
            Self::Postgres => "### PostgreSQL",
            Self::MariaDb => "### MariaDB",
        }
    }

    /// The documented statements, without the table of the API keys.
    pub fn statements(self) -> &'static str {
        self.documented().split("\n[directory.sql.api-key]").next().unwrap()
    }

    /// The documented table of replaced passwords, and its statements.
    pub fn archive(self) -> (&'static str, &'static str) {
        let section = PAGE.split_once("### What was replaced").unwrap().1;
        let place = [Self::Sqlite, Self::Postgres, Self::MariaDb].iter().position(|it| *it == self);
        let block = |fence| {
            let block = section.split(fence).nth(1 + place.unwrap()).unwrap();
            block.split_once("```").unwrap().0
        };
        (block("```sql\n"), block("```toml\n"))
    }

    /// All documented statements.
    pub fn documented(self) -> &'static str {
        let section = PAGE.split_once(self.heading()).unwrap().1;
        section.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0
    }
}

impl Database {
    /// A database with empty tables; `tls` is what its server shows, and then demands of `app`.
    pub async fn start(kind: Kind, tls: Option<&Certificates>) -> Self {
        let database = Self::empty(kind, tls).await;
        let id = if kind == Kind::Sqlite { "TEXT" } else { "VARCHAR(60)" };
        let key = match kind {
            Kind::Sqlite => "INTEGER PRIMARY KEY",
            Kind::Postgres => "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
            Kind::MariaDb => "BIGINT AUTO_INCREMENT PRIMARY KEY",
        };
        let tables = format!(
            "CREATE TABLE customer (id {id} PRIMARY KEY, name TEXT, email TEXT, password_hash TEXT); \
             CREATE TABLE session (id {key}, customer_id {id} NOT NULL); \
             CREATE INDEX session_by_customer ON session (customer_id); \
             CREATE TABLE api_key (customer_id {id} PRIMARY KEY, token TEXT); \
             CREATE TABLE forthwith_rehearsal (database_id TEXT)"
        );
        let admin = &mut database.admin().await;
        admin.execute(&tables).await;
        if kind != Kind::Sqlite {
            for grant in [
                "SELECT, UPDATE ON customer",
                "SELECT, DELETE ON session",
                "SELECT, UPDATE ON api_key",
                "SELECT ON forthwith_rehearsal",
            ] {
                let whom = if kind == Kind::Postgres { "app" } else { "app@'127.0.0.1'" };
                admin.execute(&format!("GRANT {grant} TO {whom}")).await;
            }
        }
        database
    }

    /// A database without tables, and a user who may do nothing in it.
    pub async fn empty(kind: Kind, tls: Option<&Certificates>) -> Self {
        let database = Self::raw(kind, tls, "");
        match kind {
            Kind::Sqlite => {}
            Kind::Postgres => {
                let mut admin = database.admin_of("postgres").await;
                admin.execute(&format!("CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")).await;
                admin.execute("CREATE DATABASE shop").await;
            }
            Kind::MariaDb => {
                let user = format!(
                    "CREATE DATABASE shop; \
                     CREATE USER app@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'"
                );
                database.admin_of("mysql").await.execute(&user).await;
            }
        }
        database
    }

    /// A server as it starts, without anything in it.
    pub fn raw(kind: Kind, tls: Option<&Certificates>, mode: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        secret_file(&folder.path().join("password"), PASSWORD);
        let mut files = vec![("mode", mode.to_owned())];
        if let Some(made) = tls {
            files.push(("chain.pem", made.chain_pem.clone()));
            files.push(("key.pem", made.key_pem.clone()));
        }
        let (on, lines) = match tls {
            Some(_) => {
                ("on", "ssl-cert = /var/lib/mysql/chain.pem\nssl-key = /var/lib/mysql/key.pem")
            }
            None => ("off", "skip-ssl"),
        };
        let server = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(Confined::start(&Furnishing {
                server: "postgres",
                values: &[("TLS", on), ("HOST", if tls.is_some() { "hostssl" } else { "host" })],
                files: &files,
                ready: Some("ready"),
            })),
            Kind::MariaDb => Some(Confined::start(&Furnishing {
                server: "mariadb",
                values: &[("TLS", lines)],
                files: &files,
                ready: None,
            })),
        };
        Self { kind, server, folder }
    }

    pub fn port(&self) -> u16 {
        self.server.as_ref().unwrap().port()
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("shop.db")
    }

    /// The keys by which it is found and entered.
    pub fn access(&self) -> String {
        self.access_at(self.server.as_ref().map_or(0, Confined::port))
    }

    /// As [`Self::access`], its server found at this port.
    pub fn access_at(&self, port: u16) -> String {
        let scheme = match self.kind {
            Kind::Sqlite => return format!("url = \"sqlite:{}\"\n", self.file().display()),
            Kind::Postgres => "postgres",
            Kind::MariaDb => "mariadb",
        };
        format!(
            "url = \"{scheme}://127.0.0.1:{port}/shop\"\nuser = \"app\"\npassword_file = \"{}\"\n",
            self.folder.path().join("password").display()
        )
    }

    /// `[directory.sql]` with the documented statements.
    pub fn directory(&self) -> String {
        format!("[directory.sql]\n{}\n{}", self.access(), self.kind.statements())
    }

    /// The settings in `text`, which is `[directory.sql]` and what belongs to it.
    pub fn settings(text: &str) -> SqlDirectorySettings {
        toml::from_str(&text.replace("[directory.sql]\n", "").replace("[directory.sql.", "["))
            .unwrap()
    }

    /// An audience's settings.
    pub fn audience(&self, query: &str, columns: &str) -> SqlSettings {
        toml::from_str(&format!(
            "{}query = '''{query}'''\ncolumns = {{ {columns} }}",
            self.access()
        ))
        .unwrap()
    }

    pub async fn admin(&self) -> Admin {
        self.admin_of("shop").await
    }

    pub async fn admin_of(&self, name: &str) -> Admin {
        match self.kind {
            Kind::Sqlite => {
                let options = SqliteConnectOptions::new().filename(self.file());
                Admin::Sqlite(options.create_if_missing(true).connect().await.unwrap())
            }
            Kind::Postgres => {
                let options = PgConnectOptions::new_without_pgpass();
                let options = options.host("127.0.0.1").port(self.port()).username("postgres");
                Admin::Postgres(options.database(name).connect().await.unwrap())
            }
            Kind::MariaDb => {
                let options = MySqlConnectOptions::new().host("127.0.0.1").port(self.port());
                Admin::MariaDb(options.username("root").database(name).connect().await.unwrap())
            }
        }
    }

    /// Puts the house's shop into it, and marks it as the house's.
    pub async fn stock(&self, house: &House) {
        let customers: Vec<(String, String, String, Option<String>)> =
            query(&house.shop, "SELECT id, name, email, password_hash FROM customer").await;
        let sessions: Vec<(String,)> = query(&house.shop, "SELECT customer_id FROM session").await;
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let customers: Vec<String> = customers
            .iter()
            .map(|(id, name, email, hash)| {
                let hash = hash.as_deref().map_or("NULL".to_owned(), quoted);
                format!("({}, {}, {}, {hash})", quoted(id), quoted(name), quoted(email))
            })
            .collect();
        let sessions: Vec<String> =
            sessions.iter().map(|(id,)| format!("({})", quoted(id))).collect();
        let id = house.engine.marker().await.unwrap()[1].clone();
        self.admin()
            .await
            .execute(&format!(
                "INSERT INTO customer (id, name, email, password_hash) VALUES {}; \
                 INSERT INTO session (customer_id) VALUES {}; {id}",
                customers.join(", "),
                sessions.join(", ")
            ))
            .await;
    }

    /// Customers of these numbers, each with a hash and a session.
    pub async fn fill(&self, numbers: std::ops::RangeInclusive<u32>) {
        let each =
            |row: &dyn Fn(u32) -> String| numbers.clone().map(row).collect::<Vec<_>>().join(", ");
        self.admin()
            .await
            .execute(&format!(
                "INSERT INTO customer (id, name, email, password_hash) VALUES {}; \
                 INSERT INTO session (customer_id) VALUES {}",
                each(&|n| format!("('C{n}', 'N', 'c{n}@mail.example', '{}')", hash(n))),
                each(&|n| format!("('C{n}')")),
            ))
            .await;
    }

    /// Everybody's hash, by account.
    pub async fn hashes(&self) -> Vec<(String, Option<String>)> {
        let rows = self.admin().await.texts("SELECT id, password_hash FROM customer").await;
        let mut hashes: Vec<_> =
            rows.into_iter().map(|mut row| (row[0].take().unwrap(), row[1].take())).collect();
        hashes.sort();
        hashes
    }

    pub async fn number(&self, sql: &str) -> i64 {
        self.admin().await.texts(sql).await[0][0].as_ref().unwrap().parse().unwrap()
    }
}

/// Some well-formed hash of a customer's.
pub fn hash(number: u32) -> String {
    format!("$2b$12$FLnHlmdwV7DRGELvOWHtXeqmvNgwjKAcbxAOCEdB5lBX1HX{number:06}")
}

impl Admin {
    pub async fn execute(&mut self, sql: &str) {
        self.try_execute(sql).await.unwrap();
    }

    pub async fn try_execute(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        on_each!(self, conn => sqlx::raw_sql(sql).execute(conn).await.map(|_| ()))
    }

    /// Every row, each value as text.
    pub async fn texts(&mut self, sql: &str) -> Vec<Texts> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Postgres(conn) => sql
                .fetch_all(conn)
                .await
                .unwrap()
                .iter()
                .map(|row| {
                    let value = |at| row.try_get_raw(at).unwrap();
                    let text =
                        |at| (!value(at).is_null()).then(|| value(at).as_str().unwrap().into());
                    (0..row.len()).map(text).collect()
                })
                .collect(),
            Self::MariaDb(conn) => plain(&sql.fetch_all(conn).await.unwrap()),
            Self::Sqlite(conn) => plain(&sql.fetch_all(conn).await.unwrap()),
        }
    }
}

/// Rows whose driver gives any value as text.
fn plain<R: Row>(rows: &[R]) -> Vec<Texts>
where
    usize: ColumnIndex<R>,
    for<'r> Option<String>: sqlx::Decode<'r, R::Database>,
{
    let text = |row: &R, at| row.try_get_unchecked(at).unwrap();
    rows.iter().map(|row| (0..row.len()).map(|at| text(row, at)).collect()).collect()
}
