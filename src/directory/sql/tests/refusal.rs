//! What is refused: statements, calls, a database; and what that says.

use super::*;

#[tokio::test]
async fn no_failure_quotes_a_stored_value() {
    let shop = Shop::new().await;
    // In a column that is asked for: SQLite does not work out the others.
    let failing = "AS current, json_extract('{}', c.password_hash) AS changed_at";
    let nosy = READ.replace("AS current", failing);
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
        sqlite::connect(&shop.folder.path().join("shop.db"), Access::Write).await.unwrap().0;
    sqlx::raw_sql("PRAGMA busy_timeout = 1").execute(&mut conn).await.unwrap();
    let error = conn.begin_with("BEGIN IMMEDIATE").await.map(|_| ()).unwrap_err();
    let error = connection::failed("BEGIN", &error, sqlite::failed);
    assert!(matches!(error, DirectoryError::Busy { .. }) && error.is_transient(), "{error}");
    drop(directory);
    held.rollback().await.unwrap();
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
