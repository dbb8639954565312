//! A database of an earlier version is brought to this one with everything in it.

use std::borrow::Cow;
use std::sync::Arc;

use sqlx::migrate::Migrator;

use super::{SqliteStore, options};
use crate::domain::clock::SystemClock;
use crate::store::{Audiences as _, Campaigns as _, Reports as _};

#[tokio::test]
async fn a_database_of_the_first_version_keeps_its_outcomes_and_lanes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    let mut first = sqlx::migrate!("migrations/sqlite");
    let all: Migrator = sqlx::migrate!("migrations/sqlite");
    first.migrations = Cow::Owned(all.migrations.iter().take(1).cloned().collect());
    let pool =
        sqlx::SqlitePool::connect_with(options(&path).create_if_missing(true)).await.unwrap();
    first.run(&pool).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO intent VALUES
             (1, 7, 1, 1, 0, zeroblob(32), 'queued', 0, 1, 1, 'w', 1, 'relay');
         INSERT INTO outcome VALUES (1, 7, 1, 1, 'policy', 'dot', 554, '5.7.1', NULL, NULL, 60000000);
         INSERT INTO late_outcome VALUES
             (1, 1, 8, 1, 1, 1, 1, 'w', 'deferred', 'rcpt', 450, NULL, NULL, NULL, 0, 0);
         INSERT INTO lane VALUES (1, 1, 'gmail', '', 0, 60000000, '554 5.7.1 at dot', 5);",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;

    for _ in 0..2 {
        let clock = Arc::new(SystemClock);
        let store = SqliteStore::open(&path, false, clock, Arc::new(|_| {}), "test").await.unwrap();
        let attempts = store.attempts(1, 7).await.unwrap();
        assert_eq!((attempts[0].code, attempts[0].class), (Some(554), None));
        let lanes = store.lanes(1).await.unwrap();
        assert_eq!((lanes[0].stood_still, lanes[0].slowed.clone()), (5, None));
        assert_eq!(lanes[0].suspended.as_ref().unwrap().cause, "554 5.7.1 at dot");
        let late: Option<String> = sqlx::query_scalar("SELECT reply_class FROM late_outcome")
            .fetch_one(&store.reader)
            .await
            .unwrap();
        assert_eq!(late, None);
        assert!(store.campaigns().await.unwrap().is_empty());
        store.close().await;
    }
}

#[tokio::test]
async fn a_seal_of_before_keeps_which_campaigns_it_was_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    let mut before = sqlx::migrate!("migrations/sqlite");
    before.migrations = Cow::Owned(before.migrations.iter().take(9).cloned().collect());
    let pool =
        sqlx::SqlitePool::connect_with(options(&path).create_if_missing(true)).await.unwrap();
    before.run(&pool).await.unwrap();
    for (id, name, kind, source, excluded) in [
        (1, "first_wave", "csv", "affected.csv", "{}"),
        (2, "firstXwave", "csv", "affected.csv", "{}"),
        (
            3,
            "second",
            "csv",
            "affected.csv",
            r#"{"minus first_wave (told)":5,"intersect firstXwave (queued)":1}"#,
        ),
        (4, "third", "campaign", "first_wave (told, in-doubt)", "{}"),
    ] {
        let sql = format!(
            "INSERT INTO campaign (id, uuid, name, incident, directory, environment, key_ids,
                                   containment_state, notice_state, created_at)
             VALUES ({id}, randomblob(16), '{name}', 'i', 'd', 'live', '{{}}', 'none', 'draft', 0);
             INSERT INTO seal (id, campaign_id, state, root, source_kind, source_name, source_digest,
                               as_of, source_rows, sealed, duplicates, conflicts, rejected,
                               names_refused, excluded)
             VALUES (1{id}, {id}, 'live', zeroblob(32), '{kind}', '{source}', zeroblob(32), 0, 1, 1, 0,
                     0, 0, 0, '{excluded}');
             UPDATE campaign SET seal_id = 1{id} WHERE id = {id};"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    }
    pool.close().await;

    let clock = Arc::new(SystemClock);
    let store = SqliteStore::open(&path, false, clock, Arc::new(|_| {}), "test").await.unwrap();
    let made_of = async |campaign| -> Vec<(String, String)> {
        let later = store.later_campaigns(campaign).await.unwrap();
        later.into_iter().map(|one| (one.name, one.made_of)).collect()
    };
    let pair = |name: &str, made_of: &str| (name.to_owned(), made_of.to_owned());
    assert_eq!(
        made_of(1).await,
        [
            pair("second", "minus first_wave (told)"),
            pair("third", "from first_wave (told, in-doubt)")
        ]
    );
    assert_eq!(made_of(2).await, [pair("second", "intersect firstXwave (queued)")]);
    assert_eq!(made_of(3).await, []);
}
