//! Values that are replaced with their sessions, or not at all, and read back.

use super::*;

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
    settings.sessions.end =
        Some(Statements::One("DELETE FROM session WHERE json_valid(:rows)".to_owned()));
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
