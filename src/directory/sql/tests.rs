//! The adapter against SQLite files of its own.

mod answer;
mod check;
mod refusal;
mod replacement;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use super::*;
use crate::directory::{AnswerFault, Capabilities, CheckReport, Directory};
use crate::domain::database::DatabaseTls;
use crate::domain::duration::HumanDuration;
use crate::secret::replacement::{SecretValue, forge};

const READ: &str = "SELECT c.id AS account, c.password_hash AS current \
    FROM json_each(:rows) AS r JOIN customer AS c ON c.id = r.value ->> 'account'";
const EXPIRE: &str = "UPDATE customer SET password_hash = r.value ->> 'replacement' \
    FROM json_each(:rows) AS r WHERE customer.id = r.value ->> 'account' \
    AND customer.password_hash = r.value ->> 'current'";
const COUNT: &str = "SELECT r.value ->> 'account' AS account, count(s.id) AS sessions \
    FROM json_each(:rows) AS r LEFT JOIN session AS s \
    ON s.customer_id = r.value ->> 'account' GROUP BY 1";
const END: &str = "DELETE FROM session WHERE customer_id IN \
    (SELECT r.value ->> 'account' FROM json_each(:rows) AS r)";

/// A company's database: four customers, the last of whom logs in elsewhere.
struct Shop {
    folder: TempDir,
}

impl Shop {
    async fn with_ids(id_type: &str) -> Self {
        let shop = Self { folder: TempDir::new().unwrap() };
        shop.run(&format!(
            "CREATE TABLE customer (id {id_type} PRIMARY KEY, password_hash TEXT, changed_at); \
             CREATE TABLE session (id INTEGER PRIMARY KEY, customer_id {id_type}); \
             INSERT INTO customer (id, password_hash) VALUES \
             (1, '{one}'), (2, '{two}'), (3, '{three}'), (4, NULL); \
             INSERT INTO session (customer_id) VALUES (1), (1), (2), (3), (4);",
            one = hash(1),
            two = hash(2),
            three = hash(3),
        ))
        .await;
        shop
    }

    async fn new() -> Self {
        Self::with_ids("INTEGER").await
    }

    async fn connect(&self) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(self.folder.path().join("shop.db"))
            .create_if_missing(true)
            .connect()
            .await
            .unwrap()
    }

    async fn run(&self, sql: &str) {
        let mut conn = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    }

    async fn number(&self, sql: &str) -> i64 {
        let mut conn = self.connect().await;
        let number = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut conn).await;
        conn.close().await.unwrap();
        number.unwrap()
    }

    async fn password(&self, id: i64) -> String {
        let mut conn = self.connect().await;
        let found = sqlx::query_scalar("SELECT password_hash FROM customer WHERE id = ?1")
            .bind(id)
            .fetch_one(&mut conn)
            .await;
        conn.close().await.unwrap();
        found.unwrap()
    }

    async fn open(&self, settings: &SqlDirectorySettings) -> Result<SqlDirectory, DirectoryError> {
        SqlDirectory::open(settings, self.folder.path()).await
    }

    async fn directory(&self) -> SqlDirectory {
        self.open(&settings()).await.unwrap()
    }
}

fn settings() -> SqlDirectorySettings {
    SqlDirectorySettings {
        url: "sqlite:shop.db".to_owned(),
        user: None,
        password_file: None,
        tls: DatabaseTls::default(),
        authorities: None,
        timeout: HumanDuration::from_secs(30),
        batch: 500,
        preset: None,
        users: None,
        account: None,
        form: None,
        archive: None,
        password: Some(KindStatements {
            set: None,
            read: READ.to_owned(),
            expire: EXPIRE.to_owned(),
            scheme: Scheme::Detect,
        }),
        refresh_token: None,
        api_key: None,
        totp_seed: None,
        recovery_code: None,
        security_answer: None,
        sessions: SessionStatements {
            count: Some(COUNT.to_owned()),
            end: Some(Statements::One(END.to_owned())),
            end_with_password: false,
            lapse_within: None,
        },
    }
}

fn settings_with(read: &str, expire: &str) -> SqlDirectorySettings {
    let mut settings = settings();
    let password = settings.password.as_mut().unwrap();
    password.read = read.to_owned();
    password.expire = expire.to_owned();
    settings
}

/// A stored hash of customer `n`.
fn hash(n: u8) -> String {
    format!("$2b$12$FLnHlmdwV7DRGELvOWHtXeqmvNgwjKAcbxAOCEdB5lBX1HXMyxrH{n}")
}

fn secret(text: &str) -> SecretValue {
    SecretValue::new(text.to_owned())
}

fn forged(current: &str) -> SecretValue {
    let mut next = 0_u8;
    forge(current, &mut |slice| {
        slice.fill_with(|| {
            next = next.wrapping_mul(5).wrapping_add(77);
            next
        });
    })
    .unwrap()
}

fn accounts(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|&id| id.to_owned()).collect()
}

fn replacement(account: &str, current: &str) -> Replacement {
    Replacement {
        account: account.to_owned(),
        current: secret(current),
        replacement: forged(&hash(0)),
    }
}

const PASSWORD: CredentialKind = CredentialKind::Password;

#[tokio::test]
async fn whole_number_and_text_ids_are_read_replaced_and_confirmed_alike() {
    for id_type in ["INTEGER", "TEXT"] {
        let shop = Shop::with_ids(id_type).await;
        let directory = shop.directory().await;
        let asked = accounts(&["1", "2", "4", "99"]);
        let before = directory.read(PASSWORD, &asked).await.unwrap();
        let seen: Vec<_> = before
            .iter()
            .map(|now| (now.account.as_str(), now.value.as_ref().map(SecretValue::expose)))
            .collect();
        assert_eq!(
            seen,
            [("1", Some(hash(1).as_str())), ("2", Some(hash(2).as_str())), ("4", None)],
            "{id_type}: 4 has no password, 99 is not known"
        );
        let counted = directory.confirm(PASSWORD, &asked).await.unwrap();
        assert_eq!(counted.iter().map(|now| now.sessions).collect::<Vec<_>>(), [2, 1, 1]);

        let rows = [replacement("1", &hash(1)), replacement("2", &hash(2))];
        assert_eq!(
            directory.replace(PASSWORD, &rows, &Controls::none()).await.unwrap(),
            2,
            "{id_type}"
        );
        let after = directory.confirm(PASSWORD, &asked).await.unwrap();
        for (now, row) in after.iter().zip(&rows) {
            assert_eq!(now.value.as_ref(), Some(&row.replacement));
            assert_eq!(now.sessions, 0);
        }
        assert_eq!(shop.password(3).await, hash(3));
        assert_eq!(shop.number("SELECT count(*) FROM session").await, 2, "3 and 4 keep theirs");
    }
}

#[tokio::test]
async fn capabilities_follow_the_settings() {
    let shop = Shop::new().await;
    let wanted = Capabilities {
        kinds: vec![PASSWORD, CredentialKind::Session],
        change_time: Vec::new(),
        counts_sessions: true,
        ends_sessions: SessionEnd::Ended,
        batch: 500,
    };
    assert_eq!(shop.directory().await.capabilities(), wanted);
    let mut lapsing = settings();
    let hours = jiff::SignedDuration::from_hours(12);
    lapsing.sessions =
        SessionStatements { lapse_within: Some(hours), ..SessionStatements::default() };
    let capabilities = shop.open(&lapsing).await.unwrap().capabilities();
    assert_eq!(capabilities.ends_sessions, SessionEnd::LapseWithin(hours));
    assert!(!capabilities.counts_sessions);
    assert_eq!(capabilities.kinds, vec![PASSWORD]);
    lapsing.sessions.lapse_within = None;
    let capabilities = shop.open(&lapsing).await.unwrap().capabilities();
    assert_eq!(capabilities.ends_sessions, SessionEnd::Unknown);
}
