//! The reasons of each wave, summed anew only once something moved: a wave that waits is looked at four times
//! a second, and this sum reads the JSON of every chunk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::SqliteConnection;

use crate::store::StoreError;
use crate::store::sqlite::row;

/// By wave and whether it is of copies: people by reason.
pub(super) type ByPlace = BTreeMap<(i64, i64), BTreeMap<String, u64>>;

/// A seal's reasons as of a ledger batch. A class and its reason never change without a line in the ledger,
/// whichever process changes them, so the same newest batch means the same sums.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct WaveReasons(Mutex<Option<(i64, i64, Arc<ByPlace>)>>);

impl WaveReasons {
    /// The reasons as the transaction that `conn` is in sees them.
    pub(super) async fn read(
        &self,
        conn: &mut SqliteConnection,
        seal: i64,
    ) -> Result<Arc<ByPlace>, StoreError> {
        let batch: i64 = sqlx::query_scalar("SELECT COALESCE(MAX(id), 0) FROM ledger_batch")
            .fetch_one(&mut *conn)
            .await
            .map_err(StoreError::on("find the newest ledger batch"))?;
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, _, sums)) = known.filter(|(of, at, _)| (*of, *at) == (seal, batch)) {
            return Ok(sums);
        }
        let sums = Arc::new(sum(conn, seal).await?);
        let known = Some((seal, batch, Arc::clone(&sums)));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(sums)
    }
}

async fn sum(conn: &mut SqliteConnection, seal: i64) -> Result<ByPlace, StoreError> {
    let rows: Vec<(i64, i64, String, i64)> = sqlx::query_as(
        "SELECT c.wave, c.is_copy, j.key, SUM(j.value)
         FROM chunk AS c, json_each(c.reasons) AS j
         WHERE c.seal_id = $1
         GROUP BY 1, 2, 3",
    )
    .bind(seal)
    .fetch_all(conn)
    .await
    .map_err(StoreError::on("sum the reasons by wave"))?;
    let mut sums = ByPlace::new();
    for (wave, is_copy, reason, count) in rows {
        sums.entry((wave, is_copy)).or_default().insert(reason, row::uint(count));
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::SystemClock;
    use crate::store::sqlite::SqliteStore;

    const CHUNK: &str =
        "INSERT INTO chunk (seal_id, number, first_number, last_number, size, root, cohort,
                            provider, zone, is_copy, queued, told, reasons)
         VALUES (7, 0, 0, 9, 10, zeroblob(32), '', 'other', '', 0, 8, 2, '{\"told/accepted\": 2}')";

    #[tokio::test]
    async fn reasons_are_summed_anew_once_the_ledger_has_a_further_batch_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let (path, clock) = (folder.path().join("waves.db"), Arc::new(SystemClock));
        let store = SqliteStore::open(&path, true, clock, Arc::new(|_| {}), "test").await.unwrap();
        let mut conn = store.writer.acquire().await.unwrap();
        let told = async |conn: &mut SqliteConnection, seal| {
            let sums = store.wave_reasons.read(conn, seal).await.unwrap();
            sums.get(&(1, 0)).and_then(|reasons| reasons.get("told/accepted").copied())
        };
        sqlx::raw_sql("PRAGMA foreign_keys = OFF").execute(&mut *conn).await.unwrap();
        sqlx::query(CHUNK).execute(&mut *conn).await.unwrap();
        assert_eq!(told(&mut conn, 7).await, Some(2));
        let more = "UPDATE chunk SET queued = 5, told = 5, reasons = '{\"told/accepted\": 5}'";
        sqlx::query(more).execute(&mut *conn).await.unwrap();
        assert_eq!(told(&mut conn, 7).await, Some(2), "no line, so nothing was read again");
        assert_eq!(told(&mut conn, 8).await, None, "another seal's are its own");
        assert_eq!(told(&mut conn, 7).await, Some(5));
        sqlx::query("UPDATE chunk SET queued = 4, told = 6, reasons = '{\"told/accepted\": 6}'")
            .execute(&mut *conn)
            .await
            .unwrap();
        sqlx::query(
            "INSERT INTO ledger_batch (writer, count, sha256, written_at)
             VALUES ('test', 1, zeroblob(32), 0)",
        )
        .execute(&mut *conn)
        .await
        .unwrap();
        assert_eq!(told(&mut conn, 7).await, Some(6), "a line, so they are summed anew");
    }
}
