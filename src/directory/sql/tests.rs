//! The adapter against SQLite files of its own.

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
        password: Some(KindStatements {
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
            end: Some(END.to_owned()),
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
        assert_eq!(before.iter().map(|now| now.sessions).collect::<Vec<_>>(), [2, 1, 1]);

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
async fn a_value_that_moved_is_left_and_its_sessions_still_end() {
    let shop = Shop::new().await;
    let directory = shop.directory().await;
    let rows = [replacement("1", &hash(1)), replacement("2", &hash(9))];
    assert_eq!(directory.replace(PASSWORD, &rows, &Controls::none()).await.unwrap(), 1);
    assert_eq!(shop.password(1).await, rows[0].replacement.expose());
    assert_eq!(shop.password(2).await, hash(2));
    let ended = "SELECT count(*) FROM session WHERE customer_id IN (1, 2)";
    assert_eq!(shop.number(ended).await, 0);
}

#[tokio::test]
async fn a_value_and_its_sessions_change_together_or_not_at_all() {
    let shop = Shop::new().await;
    shop.run(
        "CREATE TRIGGER keep BEFORE DELETE ON session \
         BEGIN SELECT RAISE(ABORT, 'sessions are kept'); END",
    )
    .await;
    let directory = shop.directory().await;
    let error = directory
        .replace(PASSWORD, &[replacement("1", &hash(1))], &Controls::none())
        .await
        .unwrap_err();
    assert!(error.to_string().starts_with("directory.sql.sessions.end failed"), "{error}");
    assert_eq!(shop.password(1).await, hash(1), "the value went back with the sessions");
    assert_eq!(shop.number("SELECT count(*) FROM session").await, 5);
}

#[tokio::test]
async fn more_rows_than_asked_are_rolled_back() {
    let shop = Shop::new().await;
    let greedy = "UPDATE customer SET password_hash = r.value ->> 'replacement' \
                  FROM json_each(:rows) AS r WHERE r.value ->> 'account' <> ''";
    let directory = shop.open(&settings_with(READ, greedy)).await.unwrap();
    let rows = [replacement("1", &hash(1)), replacement("2", &hash(2))];
    let error = directory.replace(PASSWORD, &rows, &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::TooManyRows { changed: 4, asked: 2, .. }), "{error}");
    for id in 1..=3 {
        assert_eq!(shop.password(i64::from(id)).await, hash(id));
    }
    assert_eq!(shop.number("SELECT count(*) FROM session").await, 5);
}

#[tokio::test]
async fn more_sessions_than_counted_are_rolled_back_with_the_values() {
    let shop = Shop::new().await;
    let mut settings = settings();
    settings.sessions.end = Some("DELETE FROM session WHERE json_valid(:rows)".to_owned());
    let directory = shop.open(&settings).await.unwrap();
    let error = directory
        .replace(PASSWORD, &[replacement("1", &hash(1))], &Controls::none())
        .await
        .unwrap_err();
    assert!(
        matches!(error, DirectoryError::TooManySessions { ended: 5, counted: 2, .. }),
        "{error}"
    );
    assert_eq!(shop.password(1).await, hash(1));
    assert_eq!(shop.number("SELECT count(*) FROM session").await, 5);
    let error =
        directory.end_sessions(PASSWORD, &accounts(&["4"]), &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::TooManySessions { ended: 5, counted: 1, .. }));
    assert_eq!(shop.number("SELECT count(*) FROM session").await, 5);
}

#[tokio::test]
async fn a_view_that_swallows_the_change_is_seen_by_confirm() {
    let shop = Shop::new().await;
    shop.run(
        "CREATE VIEW login AS SELECT id, password_hash FROM customer; \
         CREATE TRIGGER swallow INSTEAD OF UPDATE ON login BEGIN SELECT 1; END",
    )
    .await;
    let directory = shop
        .open(&settings_with(
            &READ.replace("customer AS c", "login AS c"),
            &EXPIRE.replace("customer", "login"),
        ))
        .await
        .unwrap();
    let rows = [replacement("1", &hash(1))];
    directory.replace(PASSWORD, &rows, &Controls::none()).await.unwrap();
    let after = directory.confirm(PASSWORD, &accounts(&["1"])).await.unwrap();
    assert_eq!(after[0].value, Some(secret(&hash(1))), "nothing was replaced");
    let report = directory
        .check(PASSWORD, &accounts(&["1"]), &|now| Ok(forged(now)), &Controls::none())
        .await;
    assert_eq!(report.unwrap().read_back, 0);
}

#[tokio::test]
async fn a_trigger_that_claims_success_and_puts_the_value_back_is_seen_by_confirm() {
    let shop = Shop::new().await;
    shop.run(
        "CREATE TRIGGER back AFTER UPDATE ON customer BEGIN \
         UPDATE customer SET password_hash = old.password_hash WHERE id = old.id; END",
    )
    .await;
    let directory = shop.directory().await;
    let changed = directory
        .replace(PASSWORD, &[replacement("1", &hash(1))], &Controls::none())
        .await
        .unwrap();
    assert_eq!(changed, 1, "the engine claims success");
    let after = directory.confirm(PASSWORD, &accounts(&["1"])).await.unwrap();
    assert_eq!(after[0].value, Some(secret(&hash(1))));
}

#[tokio::test]
async fn confirm_sees_a_file_that_was_restored_behind_our_back() {
    let shop = Shop::new().await;
    let file = shop.folder.path().join("shop.db");
    let backup = shop.folder.path().join("backup.db");
    std::fs::copy(&file, &backup).unwrap();
    let directory = shop.directory().await;
    assert_eq!(
        directory
            .replace(PASSWORD, &[replacement("1", &hash(1))], &Controls::none())
            .await
            .unwrap(),
        1
    );
    std::fs::rename(&backup, &file).unwrap();
    let after = directory.confirm(PASSWORD, &accounts(&["1"])).await.unwrap();
    assert_eq!(after[0].value, Some(secret(&hash(1))), "the old value came back");
}

#[tokio::test]
async fn check_runs_everything_and_leaves_nothing() {
    let shop = Shop::new().await;
    shop.run("UPDATE customer SET password_hash = 'letmein' WHERE id = 3").await;
    let directory = shop.directory().await;
    let asked = accounts(&["1", "2", "3", "4", "99"]);
    let report = directory
        .check(PASSWORD, &asked, &|now| forge(now, &mut |slice| slice.fill(7)), &Controls::none())
        .await
        .unwrap();
    let wanted = CheckReport {
        asked: 5,
        read: 4,
        without_value: 1,
        unknown_scheme: 1,
        changed: 2,
        read_back: 2,
        sessions: 5,
        sessions_ended: 5,
        sessions_left: 0,
        controls: 0,
    };
    assert_eq!(report, wanted);
    assert_eq!(shop.password(1).await, hash(1));
    assert_eq!(shop.password(2).await, hash(2));
    assert_eq!(shop.number("SELECT count(*) FROM session").await, 5);
}

#[tokio::test]
async fn check_refuses_a_statement_that_does_not_compare() {
    let shop = Shop::new().await;
    let blind = "UPDATE customer SET password_hash = r.value ->> 'replacement' \
                 FROM json_each(:rows) AS r WHERE customer.id = r.value ->> 'account'";
    let directory = shop.open(&settings_with(READ, blind)).await.unwrap();
    let error = directory
        .check(PASSWORD, &accounts(&["1"]), &|now| Ok(forged(now)), &Controls::none())
        .await;
    assert!(matches!(error, Err(DirectoryError::NotCompareAndSet { .. })), "{error:?}");
    assert_eq!(shop.password(1).await, hash(1));
}

#[tokio::test]
async fn a_number_that_only_compares_equal_is_not_the_account() {
    let shop = Shop::new().await;
    let directory = shop.directory().await;
    for padded in ["01", " 1", "1.0"] {
        let error = directory.read(PASSWORD, &accounts(&[padded])).await.unwrap_err();
        assert!(
            matches!(error, DirectoryError::Answer { fault: AnswerFault::Unasked, row: 1, .. }),
            "{padded}: {error}"
        );
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn an_expression_needs_a_cast_to_match_whole_numbers() {
    let shop = Shop::new().await;
    let bare = READ.replace("c.id = r", "+c.id = r");
    let directory = shop.open(&settings_with(&bare, EXPIRE)).await.unwrap();
    assert_eq!(directory.read(PASSWORD, &accounts(&["1"])).await.unwrap(), []);
    let cast = bare.replace("r.value ->> 'account'", "CAST(r.value ->> 'account' AS INTEGER)");
    let directory = shop.open(&settings_with(&cast, EXPIRE)).await.unwrap();
    assert_eq!(directory.read(PASSWORD, &accounts(&["1"])).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_that_names_an_account_twice_is_refused() {
    let shop = Shop::new().await;
    let joined = format!("{READ} JOIN session AS s ON s.customer_id = c.id");
    let directory = shop.open(&settings_with(&joined, EXPIRE)).await.unwrap();
    let error = directory.read(PASSWORD, &accounts(&["1"])).await.unwrap_err();
    assert!(matches!(
        error,
        DirectoryError::Answer { fault: AnswerFault::AnsweredTwice, row: 2, .. }
    ));
}

#[tokio::test]
async fn a_change_time_is_read_as_text_with_a_zone_or_as_seconds() {
    let shop = Shop::new().await;
    shop.run(
        "UPDATE customer SET changed_at = '2018-08-21T22:58:00+01:00' WHERE id = 1; \
         UPDATE customer SET changed_at = 1534888680 WHERE id = 2; \
         UPDATE customer SET changed_at = '2018-08-21 21:58:00' WHERE id = 3;",
    )
    .await;
    let read = READ.replace("AS current", "AS current, c.changed_at");
    let directory = shop.open(&settings_with(&read, EXPIRE)).await.unwrap();
    assert!(directory.capabilities().reads_change_time(PASSWORD));
    let found = directory.read(PASSWORD, &accounts(&["1", "2", "4"])).await.unwrap();
    let instant = "2018-08-21T21:58:00Z".parse().unwrap();
    let times: Vec<_> = found.iter().map(|now| now.changed_at).collect();
    assert_eq!(times, [Some(instant), Some(instant), None]);
    let error = directory.read(PASSWORD, &accounts(&["3"])).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Answer { fault: AnswerFault::ChangeTime, .. }));
}

#[tokio::test]
async fn a_value_that_is_not_text_is_refused_and_not_shown() {
    let shop = Shop::new().await;
    shop.run("UPDATE customer SET password_hash = x'68756e74657232' WHERE id = 1").await;
    let directory = shop.directory().await;
    let error = directory.read(PASSWORD, &accounts(&["1"])).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Answer { fault: AnswerFault::ValueType, .. }));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn no_failure_quotes_a_stored_value() {
    let shop = Shop::new().await;
    let nosy = READ.replace("AS current", "AS current, json_extract('{}', c.password_hash) AS x");
    let directory = shop.open(&settings_with(&nosy, EXPIRE)).await.unwrap();
    let error = directory.read(PASSWORD, &accounts(&["1"])).await.unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(said.contains("directory.sql.password.read"), "{said}");
    assert!(!said.contains("FLnHlmdwV7DRGELv"), "{said}");

    shop.run(
        "CREATE TRIGGER nosy BEFORE UPDATE ON customer \
         BEGIN SELECT RAISE(ABORT, 'no ' || new.password_hash); END",
    )
    .await;
    let row = replacement("1", &hash(1));
    let error = shop
        .directory()
        .await
        .replace(PASSWORD, std::slice::from_ref(&row), &Controls::none())
        .await;
    let error = error.unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(said.contains("a trigger refused it"), "{said}");
    assert!(!said.contains(row.replacement.expose()), "{said}");
}

#[tokio::test]
async fn a_read_statement_cannot_write() {
    let shop = Shop::new().await;
    let sly = "UPDATE customer SET password_hash = 'x' WHERE json_valid(:rows) \
               RETURNING id AS account, password_hash AS current";
    let directory = shop.open(&settings_with(sly, EXPIRE)).await.unwrap();
    let error = directory.read(PASSWORD, &accounts(&["1"])).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Statement { .. }), "{error}");
    assert_eq!(shop.password(1).await, hash(1));
}

#[tokio::test]
async fn a_locked_database_is_busy_and_nothing_else() {
    let shop = Shop::new().await;
    let directory = shop.directory().await;
    let mut other = shop.connect().await;
    let held = other.begin_with("BEGIN EXCLUSIVE").await.unwrap();
    let mut conn =
        sqlite::connect(&shop.folder.path().join("shop.db"), Access::Write).await.unwrap();
    sqlx::raw_sql("PRAGMA busy_timeout = 1").execute(&mut conn).await.unwrap();
    let error = conn.begin_with("BEGIN IMMEDIATE").await.map(|_| ()).unwrap_err();
    let error = connection::failed("BEGIN", &error, sqlite::failed);
    assert!(matches!(error, DirectoryError::Busy { .. }) && error.is_transient(), "{error}");
    drop(directory);
    held.rollback().await.unwrap();
}

#[tokio::test]
async fn sessions_end_for_accounts_without_a_password() {
    let shop = Shop::new().await;
    let directory = shop.directory().await;
    assert_eq!(
        directory.end_sessions(PASSWORD, &accounts(&["4", "99"]), &Controls::none()).await.unwrap(),
        1
    );
    let left = directory.confirm(CredentialKind::Session, &accounts(&["1", "4"])).await.unwrap();
    let left: Vec<_> = left.iter().map(|now| (now.account.as_str(), now.sessions)).collect();
    assert_eq!(left, [("1", 2), ("4", 0)]);
    let error = directory
        .replace(CredentialKind::Session, &[replacement("1", "x")], &Controls::none())
        .await
        .unwrap_err();
    assert!(matches!(error, DirectoryError::NoValue { .. }));
}

#[tokio::test]
async fn the_rehearsal_marker_is_found_or_plainly_absent() {
    let shop = Shop::new().await;
    let directory = shop.directory().await;
    assert_eq!(directory.rehearsal_marker().await.unwrap(), None);
    shop.run("CREATE TABLE Forthwith_Rehearsal (database_id)").await;
    assert_eq!(directory.rehearsal_marker().await.unwrap().as_deref(), Some(""));
    shop.run("INSERT INTO forthwith_rehearsal VALUES ('0192-abc')").await;
    assert_eq!(directory.rehearsal_marker().await.unwrap().as_deref(), Some("0192-abc"));
    shop.run("INSERT INTO forthwith_rehearsal VALUES ('another')").await;
    assert!(matches!(directory.rehearsal_marker().await, Err(DirectoryError::Marker { .. })));
    shop.run("DELETE FROM forthwith_rehearsal; INSERT INTO forthwith_rehearsal VALUES (NULL)")
        .await;
    assert!(matches!(directory.rehearsal_marker().await, Err(DirectoryError::Marker { .. })));
}

#[tokio::test]
async fn a_missing_file_is_an_error_with_a_hint_and_is_not_created() {
    let folder = TempDir::new().unwrap();
    let error = SqlDirectory::open(&settings(), folder.path()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::FileMissing { .. }), "{error}");
    assert!(error.hint().unwrap().contains("directory.sql.url"));
    assert!(!folder.path().join("shop.db").exists());
}

#[tokio::test]
async fn statements_are_proved_when_the_directory_is_opened() {
    let shop = Shop::new().await;
    let said = async |settings: &SqlDirectorySettings| {
        shop.open(settings).await.map(|_| ()).unwrap_err().to_string()
    };
    let error = said(&settings_with(&READ.replace("customer", "costumer"), EXPIRE)).await;
    assert!(error.starts_with("directory.sql.password.read was not accepted"), "{error}");
    assert!(error.contains("costumer"), "{error}");
    let error = said(&settings_with(&READ.replace("AS current", ""), EXPIRE)).await;
    assert_eq!(error, "directory.sql.password.read returns no column `current`");
    let error = said(&settings_with(READ, &EXPIRE.replace(":rows", "?1"))).await;
    assert!(error.starts_with("directory.sql.password.expire, line 1, column "), "{error}");
    let mut unproved = settings();
    unproved.sessions.count = None;
    assert_eq!(said(&unproved).await, "directory.sql.sessions.count is not set");
    let mut empty = settings();
    empty.batch = 0;
    assert!(said(&empty).await.starts_with("directory.sql.batch is 0"));
}

#[tokio::test]
async fn a_call_is_refused_before_it_touches_anything() {
    let shop = Shop::new().await;
    let mut small = settings();
    small.batch = 2;
    let directory = shop.open(&small).await.unwrap();
    let error = directory.read(PASSWORD, &accounts(&["1", "2", "3"])).await.unwrap_err();
    assert!(matches!(error, DirectoryError::BatchTooLarge { rows: 3, batch: 2 }));
    let twice = [replacement("1", &hash(1)), replacement("1", &hash(1))];
    let error = directory.replace(PASSWORD, &twice, &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::NamedTwice { place: 2 }));
    let mut same = replacement("1", &hash(1));
    same.replacement = same.current.clone();
    let error = directory.replace(PASSWORD, &[same], &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::NoChange { place: 1 }));
    let error = directory.read(CredentialKind::ApiKey, &accounts(&["1"])).await.unwrap_err();
    assert_eq!(error.to_string(), "directory.sql.api-key.read is not set");
    assert_eq!(shop.number("SELECT count(*) FROM session").await, 5);
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
    lapsing.sessions = SessionStatements { count: None, end: None, lapse_within: Some(hours) };
    let capabilities = shop.open(&lapsing).await.unwrap().capabilities();
    assert_eq!(capabilities.ends_sessions, SessionEnd::LapseWithin(hours));
    assert!(!capabilities.counts_sessions);
    assert_eq!(capabilities.kinds, vec![PASSWORD]);
    lapsing.sessions.lapse_within = None;
    let capabilities = shop.open(&lapsing).await.unwrap().capabilities();
    assert_eq!(capabilities.ends_sessions, SessionEnd::Unknown);
}

#[tokio::test]
async fn values_with_quotes_and_other_tongues_pass_unharmed() {
    let shop = Shop::with_ids("TEXT").await;
    let odd = "a'b\"c\\ ü\u{1F510}\n:rows ?1";
    let mut conn = shop.connect().await;
    sqlx::query("INSERT INTO customer (id, password_hash) VALUES (?1, ?2)")
        .bind(odd)
        .bind(odd)
        .execute(&mut conn)
        .await
        .unwrap();
    conn.close().await.unwrap();
    let directory = shop.directory().await;
    let asked = accounts(&[odd]);
    let before = directory.read(PASSWORD, &asked).await.unwrap();
    assert_eq!(before[0].value, Some(secret(odd)));
    let row = replacement(odd, odd);
    assert_eq!(
        directory.replace(PASSWORD, std::slice::from_ref(&row), &Controls::none()).await.unwrap(),
        1
    );
    let after = directory.confirm(PASSWORD, &asked).await.unwrap();
    assert_eq!(after[0].value, Some(row.replacement));
}
