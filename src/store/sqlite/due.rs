//! Reads behind `Deliveries`: doubts that are due, and when something is; and the waking of chunks.

use jiff::Timestamp;
use serde_json::json;

use super::classes::Moved;
use super::load::StateColumns;
use super::{SqliteStore, StoreError, WriteTx, row};
use crate::domain::delivery::AttemptKey;
use crate::store::deliveries::DueDoubt;

#[derive(sqlx::FromRow)]
struct DoubtColumns {
    number: i64,
    n: i64,
    dated_at: i64,
    has_token: i64,
    salt: Vec<u8>,
    body: Option<Vec<u8>>,
    #[sqlx(flatten)]
    state: StateColumns,
}

impl SqliteStore {
    pub(super) async fn load_due_doubts(
        &self,
        campaign: i64,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueDoubt>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<DoubtColumns> = sqlx::query_as(
            "SELECT d.number, r.salt, r.body, d.class, d.reason, d.generation, d.doubts, d.attempts,
                    d.first_attempt_at, d.due_at, i.n, i.dated_at,
                    EXISTS (SELECT 1 FROM reset_token AS t
                            WHERE t.campaign_id = d.campaign_id AND t.number = d.number
                              AND t.generation = d.generation) AS has_token
             FROM chunk AS c
             CROSS JOIN delivery AS d
               ON d.campaign_id = $1 AND d.number BETWEEN c.first_number AND c.last_number
             JOIN recipient AS r ON r.seal_id = c.seal_id AND r.number = d.number
             JOIN intent AS i
               ON i.campaign_id = d.campaign_id AND i.number = d.number
              AND i.generation = d.generation
              AND i.n = (SELECT MAX(o.n) FROM outcome AS o
                         WHERE o.campaign_id = d.campaign_id AND o.number = d.number
                           AND o.generation = d.generation AND o.result = 'in-doubt')
             WHERE c.seal_id = $2 AND c.in_doubt > 0
               AND d.class = 'in-doubt' AND d.reason = 'due' AND d.due_at <= $3
             LIMIT $4",
        )
        .bind(campaign)
        .bind(seal)
        .bind(row::micros(now))
        .bind(i64::from(limit))
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("find due doubts"))?;
        rows.into_iter()
            .map(|found| {
                let state = found.state.read(found.number)?;
                Ok(DueDoubt {
                    key: AttemptKey {
                        number: row::uint(found.number),
                        generation: state.generation,
                        n: row::small(found.n),
                    },
                    dated_at: row::instant(found.dated_at),
                    has_token: found.has_token == 1,
                    state,
                    salt: row::bytes(&found.salt, "recipient", "salt", found.number)?,
                    body: found.body.unwrap_or_default(),
                })
            })
            .collect()
    }

    /// When something can run next: a released chunk, a doubt, or a suspended lane.
    pub(super) async fn earliest_due(
        &self,
        campaign: i64,
    ) -> Result<Option<Timestamp>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT MIN(due) FROM (
                 SELECT MAX(COALESCE(c.due_at, 0), COALESCE(l.suspended_until, 0)) AS due
                 FROM chunk AS c
                 LEFT JOIN lane AS l
                   ON l.campaign_id = $1 AND l.wave = c.wave AND l.provider = c.provider
                  AND l.send_window = c.send_window
                 WHERE c.seal_id = $2
                   AND c.queued + c.deferred > c.carried_queued + c.carried_deferred
                 UNION ALL
                 SELECT d.due_at
                 FROM chunk AS c
                 CROSS JOIN delivery AS d
                   ON d.campaign_id = $1 AND d.number BETWEEN c.first_number AND c.last_number
                 WHERE c.seal_id = $2 AND c.in_doubt > 0
                   AND d.class = 'in-doubt' AND d.reason = 'due')",
        )
        .bind(campaign)
        .bind(seal)
        .fetch_one(&self.reader)
        .await
        .map_err(StoreError::on("find what is due next"))?;
        // 0 = a chunk nobody has begun: it is due whenever somebody runs
        Ok(due.filter(|due| *due > 0).map(row::instant))
    }

    /// Makes the chunks of rows that were queued again claimable now.
    pub(super) async fn wake(
        &self,
        write: &mut WriteTx,
        seal: i64,
        moved: &Moved,
    ) -> Result<(), StoreError> {
        if moved.woken.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "UPDATE chunk
             SET due_at = NULL
             WHERE seal_id = $1 AND number IN (SELECT value FROM json_each($2))",
        )
        .bind(seal)
        .bind(json!(moved.woken).to_string())
        .execute(write.conn())
        .await
        .map_err(StoreError::on("wake chunks"))?;
        Ok(())
    }
}
