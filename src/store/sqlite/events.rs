//! `Events` on SQLite.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use sqlx::SqliteConnection;

use super::{SqliteStore, StoreError, row};
use crate::store::events::{Events, NewEvent, TakenEvent, WaitingEvents};

const TAKE: &str = "UPDATE reset_event SET attempts = attempts + 1, due_at = $3
     WHERE id IN (SELECT id FROM reset_event
                  WHERE campaign_id = $1 AND told_at IS NULL AND due_at <= $2
                  ORDER BY due_at, id LIMIT $4)
     RETURNING id, event, number, proof, happened_at, attempts";

const WAITING: &str = "SELECT COUNT(*), MIN(happened_at) FROM reset_event
     WHERE campaign_id = $1 AND told_at IS NULL";

const FORGET: &str = "DELETE FROM reset_event
     WHERE id IN (SELECT id FROM reset_event
                  WHERE told_at IS NOT NULL AND told_at < $1
                  ORDER BY told_at LIMIT $2)";

#[async_trait]
impl Events for SqliteStore {
    async fn take_events(
        &self,
        campaign: i64,
        limit: u32,
        again_at: Timestamp,
    ) -> Result<Vec<TakenEvent>, StoreError> {
        let now = row::micros(self.now());
        // most looks find nothing, and a look alone asks for no lock
        let due: i64 = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM reset_event
                            WHERE campaign_id = $1 AND told_at IS NULL AND due_at <= $2)",
        )
        .bind(campaign)
        .bind(now)
        .fetch_one(&self.reader)
        .await
        .map_err(StoreError::on("look for events"))?;
        if due == 0 {
            return Ok(Vec::new());
        }
        let mut write = self.write().await?;
        let rows: Vec<(i64, String, i64, String, i64, i64)> = sqlx::query_as(TAKE)
            .bind(campaign)
            .bind(now)
            .bind(row::micros(again_at))
            .bind(i64::from(limit))
            .fetch_all(write.conn())
            .await
            .map_err(StoreError::on("take events"))?;
        self.commit(write).await?;
        let mut taken: Vec<TakenEvent> = rows
            .into_iter()
            .map(|(id, event, number, proof, happened_at, attempts)| TakenEvent {
                id,
                event,
                number: row::uint(number),
                proof,
                happened_at: row::instant(happened_at),
                attempts: row::small(attempts),
            })
            .collect();
        taken.sort_unstable_by_key(|one| one.id);
        Ok(taken)
    }

    async fn end_events(
        &self,
        told: Vec<i64>,
        put_off: Vec<(i64, Timestamp)>,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "UPDATE reset_event SET told_at = $2
             WHERE id IN (SELECT value FROM json_each($1)) AND told_at IS NULL",
        )
        .bind(json!(told).to_string())
        .bind(row::micros(self.now()))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("note events that were taken"))?;
        for (id, due_at) in put_off {
            sqlx::query("UPDATE reset_event SET due_at = $2 WHERE id = $1 AND told_at IS NULL")
                .bind(id)
                .bind(row::micros(due_at))
                .execute(write.conn())
                .await
                .map_err(StoreError::on("put an event off"))?;
        }
        self.commit(write).await
    }

    async fn waiting_events(&self, campaign: i64) -> Result<Option<WaitingEvents>, StoreError> {
        let (waiting, since): (i64, Option<i64>) = sqlx::query_as(WAITING)
            .bind(campaign)
            .fetch_one(&self.reader)
            .await
            .map_err(StoreError::on("count events that wait"))?;
        Ok(since.map(|since| WaitingEvents {
            waiting: row::uint(waiting),
            since: row::instant(since).to_string(),
        }))
    }

    async fn forget_events(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let mut write = self.write().await?;
        let gone = sqlx::query(FORGET)
            .bind(row::micros(before))
            .bind(i64::from(limit))
            .execute(write.conn())
            .await
            .map_err(StoreError::on("forget events"))?;
        self.commit(write).await?;
        Ok(gone.rows_affected())
    }
}

/// Writes an event within the transaction of what it tells.
pub(super) async fn insert(
    conn: &mut SqliteConnection,
    (campaign, number): (i64, i64),
    event: &NewEvent,
    now: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO reset_event (event, campaign_id, number, proof, happened_at, due_at)
         VALUES ($1, $2, $3, $4, $5, $5)",
    )
    .bind(&event.event)
    .bind(campaign)
    .bind(number)
    .bind(event.proof)
    .bind(now)
    .execute(conn)
    .await
    .map_err(StoreError::on("write an event"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn events_that_wait_and_old_ones_are_found_by_their_indexes() {
        for (sql, more, index) in [
            (TAKE, "", "reset_event_waiting (campaign_id=? AND due_at<?)"),
            (WAITING, "AND $3 = $3", "reset_event_waiting (campaign_id=?)"),
            (FORGET, "AND $3 = $3", "reset_event_told (told_at>? AND told_at<?)"),
        ] {
            let steps = steps(&format!("{sql} {more}")).await;
            let by_index = steps.iter().any(|step| step.contains(index));
            assert!(by_index, "{steps:?}");
        }
    }
}
