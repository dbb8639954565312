//! How the database means to run a statement: for tests of cost, which must not grow with a campaign.

use std::sync::Arc;

use super::SqliteStore;
use crate::domain::clock::SystemClock;

/// The steps of a statement with three binds, the first a JSON array.
pub(super) async fn steps(sql: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.db");
    let clock = Arc::new(SystemClock);
    let store = SqliteStore::open(&path, true, clock, Arc::new(|_| {}), "test").await.unwrap();
    let sql = format!("EXPLAIN QUERY PLAN {sql}");
    let steps: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql))
        .bind("[]")
        .bind(1)
        .bind(1)
        .fetch_all(&store.reader)
        .await
        .unwrap();
    steps.into_iter().map(|(.., step)| step).collect()
}
