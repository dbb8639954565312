//! `Rewinds` on SQLite.

mod found;

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use self::found::{attempt_key, insert_found, insert_outcomes};
use super::classes::{Lines, Moved, change_rows, move_counters};
use super::deliveries::insert_resolutions;
use super::load::StateColumns;
use super::pace::count_begun;
use super::{SqliteStore, StoreError, append_batch, row};
use crate::domain::chunk::chunk_of;
use crate::domain::delivery::AttemptResult;
use crate::domain::pace::day_of;
use crate::store::LedgerMark;
use crate::store::deliveries::{Lane, Resolution};
use crate::store::rewinds::{
    AttemptOrigin, KnownAttempt, LifeRow, LivesUntil, NewIncarnation, RecoveringRow, RecoveryPage,
    Rewinds,
};

#[derive(sqlx::FromRow)]
struct RowColumns {
    number: i64,
    salt: Vec<u8>,
    body: Option<Vec<u8>>,
    wave: i64,
    provider: String,
    send_window: String,
    #[sqlx(flatten)]
    state: StateColumns,
}

/// The rows asked for, each looked up by key.
const ROWS: &str =
    "SELECT r.number, r.salt, r.body, c.wave, c.provider, c.send_window, d.class, d.reason,
            d.generation, d.doubts, d.attempts, d.first_attempt_at, d.due_at
     FROM json_each($1) AS j
     CROSS JOIN recipient AS r ON r.seal_id = $3 AND r.number = CAST(j.value ->> 'n' AS INTEGER)
     CROSS JOIN chunk AS c ON c.seal_id = $3 AND c.number = CAST(j.value ->> 'c' AS INTEGER)
     LEFT JOIN delivery AS d ON d.campaign_id = $2 AND d.number = r.number
     ORDER BY r.number";

/// Their attempts, oldest first.
const ATTEMPTS: &str = "SELECT i.number, i.generation, i.n, i.worker, i.origin, o.result,
            (SELECT json_group_array(s.result) FROM resolution AS s
             WHERE s.campaign_id = i.campaign_id AND s.number = i.number
               AND s.generation = i.generation AND s.n = i.n) AS settled
     FROM json_each($1) AS j
     CROSS JOIN intent AS i
       ON i.campaign_id = $2 AND i.number = CAST(j.value ->> 'n' AS INTEGER)
     LEFT JOIN outcome AS o USING (campaign_id, number, generation, n)
     ORDER BY i.number, i.generation, i.n";

/// Who could be sent to without anybody's word, after a number.
const SENDABLE: &str = "SELECT r.number
     FROM recipient AS r
     LEFT JOIN delivery AS d ON d.campaign_id = $1 AND d.number = r.number
     WHERE r.seal_id = $2 AND r.number > $3
       AND (d.class IS NULL OR d.class IN ('queued', 'deferred')
            OR (d.class = 'in-doubt' AND d.reason = 'due')
            OR (d.class = 'held' AND d.reason = 'credential'))
       AND NOT EXISTS (SELECT 1 FROM follower AS f
                       WHERE f.campaign_id = $1 AND f.number = r.number AND f.kind = 'carried')
     ORDER BY r.number
     LIMIT $4";

#[async_trait]
impl Rewinds for SqliteStore {
    fn close_gate(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    fn open_gate(&self) {
        self.is_closed.store(false, Ordering::Release);
    }

    async fn note_life(&self, ordinal: u64, worker: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("INSERT INTO life (ordinal, worker) VALUES ($1, $2)")
            .bind(row::int(ordinal))
            .bind(worker)
            .execute(write.conn())
            .await
            .map_err(StoreError::on("note a worker's life"))?;
        self.commit(write).await
    }

    async fn last_life(&self) -> Result<Option<LifeRow>, StoreError> {
        let found: Option<(i64, String, i64)> = sqlx::query_as(
            "SELECT l.ordinal, l.worker, w.stopped_at IS NOT NULL
             FROM life AS l
             LEFT JOIN worker AS w ON w.id = l.worker
             ORDER BY l.ordinal DESC
             LIMIT 1",
        )
        .fetch_optional(&self.reader)
        .await
        .map_err(StoreError::on("find the last life"))?;
        Ok(found.map(|(ordinal, worker, stopped)| LifeRow {
            ordinal: row::uint(ordinal),
            worker,
            has_stopped: stopped == 1,
        }))
    }

    async fn batch_written_at(&self, batch: i64) -> Result<Option<Timestamp>, StoreError> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT written_at FROM ledger_batch WHERE id = $1")
                .bind(batch)
                .fetch_optional(&self.reader)
                .await
                .map_err(StoreError::on("find a ledger batch"))?;
        Ok(found.map(row::instant))
    }

    async fn lives_until(&self, at: Timestamp) -> Result<LivesUntil, StoreError> {
        let found: Option<(i64, i64)> = sqlx::query_as(
            "SELECT l.ordinal, COALESCE(w.stopped_at < $1, 0)
             FROM life AS l
             JOIN worker AS w ON w.id = l.worker
             WHERE w.started_at < $1
             ORDER BY l.ordinal DESC
             LIMIT 1",
        )
        .bind(row::micros(at))
        .fetch_optional(&self.reader)
        .await
        .map_err(StoreError::on("find the lives until a batch"))?;
        Ok(found.map_or_else(LivesUntil::default, |(newest, stopped)| LivesUntil {
            newest: row::uint(newest),
            has_stopped: stopped == 1,
        }))
    }

    async fn recovering(
        &self,
        campaign: i64,
        numbers: &[u64],
    ) -> Result<Vec<RecoveringRow>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let asked: Vec<Value> =
            numbers.iter().map(|number| json!({ "n": number, "c": chunk_of(*number) })).collect();
        let asked = Value::Array(asked).to_string();
        let rows: Vec<RowColumns> = sqlx::query_as(ROWS)
            .bind(&asked)
            .bind(campaign)
            .bind(seal)
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("load people to recover"))?;
        let mut known = self.known(campaign, &asked).await?;
        let mut tokens = self.token_generations(campaign, &asked).await?;
        rows.into_iter()
            .map(|found| {
                let number = found.number;
                Ok(RecoveringRow {
                    number: row::uint(number),
                    salt: row::bytes(&found.salt, "recipient", "salt", number)?,
                    body: found.body.unwrap_or_default(),
                    lane: Lane {
                        wave: row::small(found.wave),
                        provider: found.provider,
                        window: found.send_window,
                    },
                    state: found.state.read(number)?,
                    token_generations: tokens.remove(&number).unwrap_or_default(),
                    known: known.remove(&number).unwrap_or_default(),
                })
            })
            .collect()
    }

    async fn sendable(
        &self,
        campaign: i64,
        after: u64,
        limit: u32,
    ) -> Result<Vec<u64>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let numbers: Vec<i64> = sqlx::query_scalar(SENDABLE)
            .bind(campaign)
            .bind(seal)
            .bind(row::int(after))
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("find who may have been told"))?;
        Ok(numbers.into_iter().map(row::uint).collect())
    }

    async fn record(&self, campaign: i64, page: RecoveryPage) -> Result<u64, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        let mut moved = Moved::default();
        let new = insert_found(write.conn(), campaign, &page.attempts).await?;
        let ended = insert_outcomes(write.conn(), campaign, &page.attempts).await?;
        for found in page.attempts.iter().filter(|found| ended.contains(&found.key)) {
            if !new.contains(&found.key) {
                // it was in flight when the backup was made
                moved.flight(found.key.number, &found.from, -1);
            }
        }
        let moves: Vec<_> = page.moves.iter().collect();
        let Lines(mut lines) = change_rows(write.conn(), campaign, &moves, now, &mut moved).await?;
        move_counters(write.conn(), seal, &moved).await?;
        count_begun(write.conn(), day_of(self.now()), &page.begun_today).await?;
        let resolutions: Vec<&Resolution> = page.resolutions.iter().collect();
        insert_resolutions(write.conn(), campaign, &resolutions).await?;
        self.wake(&mut write, seal, &moved).await?;
        lines.extend(page.lines);
        self.log(&mut write, &lines).await?;
        self.commit(write).await?;
        Ok(moved.numbers.len() as u64)
    }

    async fn second_copies(&self, campaign: i64) -> Result<u64, StoreError> {
        let people: i64 = sqlx::query_scalar(
            "SELECT COUNT(DISTINCT number) FROM resolution
             WHERE campaign_id = $1 AND result = 'second-copy-certain'",
        )
        .bind(campaign)
        .fetch_one(&self.reader)
        .await
        .map_err(StoreError::on("count second copies"))?;
        Ok(row::uint(people))
    }

    async fn draw_incarnation(
        &self,
        new: NewIncarnation,
        lines: Vec<String>,
    ) -> Result<LedgerMark, StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO incarnation (number, drawn_at, cause, operator_id, statement, signature,
                                      after_life, is_proved)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(row::int(new.number))
        .bind(row::micros(new.at))
        .bind(&new.cause)
        .bind(new.operator_id)
        .bind(&new.statement)
        .bind(&new.signature[..])
        .bind(row::int(new.after_life))
        .bind(i64::from(new.is_proved))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("draw an incarnation"))?;
        sqlx::query("UPDATE database_identity SET incarnation = $1")
            .bind(row::int(new.number))
            .execute(write.conn())
            .await
            .map_err(StoreError::on("begin an incarnation"))?;
        let now = row::micros(new.at);
        let mark = append_batch(write.conn(), &self.writer_name, &lines, now).await?;
        self.commit(write).await?;
        mark.ok_or_else(|| StoreError::Conflict("an incarnation was drawn without a line".into()))
    }
}

impl SqliteStore {
    async fn known(
        &self,
        campaign: i64,
        asked: &str,
    ) -> Result<HashMap<i64, Vec<KnownAttempt>>, StoreError> {
        type Columns = (i64, i64, i64, String, String, Option<String>, String);
        let rows: Vec<Columns> = sqlx::query_as(ATTEMPTS)
            .bind(asked)
            .bind(campaign)
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("load attempts to recover"))?;
        let mut known: HashMap<i64, Vec<KnownAttempt>> = HashMap::new();
        for (number, generation, n, worker, origin, result, settled) in rows {
            let corrupt =
                |table, column| StoreError::Corrupt { table, column, row: number.to_string() };
            known.entry(number).or_default().push(KnownAttempt {
                key: attempt_key((number, generation, n)),
                worker,
                origin: AttemptOrigin::parse(&origin).ok_or_else(|| corrupt("intent", "origin"))?,
                result: result
                    .map(|word| {
                        AttemptResult::parse(&word).ok_or_else(|| corrupt("outcome", "result"))
                    })
                    .transpose()?,
                settled: serde_json::from_str(&settled).unwrap_or_default(),
            });
        }
        Ok(known)
    }

    async fn token_generations(
        &self,
        campaign: i64,
        asked: &str,
    ) -> Result<HashMap<i64, Vec<u32>>, StoreError> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT t.number, t.generation
             FROM json_each($1) AS j
             CROSS JOIN reset_token AS t
               ON t.campaign_id = $2 AND t.number = CAST(j.value ->> 'n' AS INTEGER)",
        )
        .bind(asked)
        .bind(campaign)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("load tokens to recover"))?;
        let mut found: HashMap<i64, Vec<u32>> = HashMap::new();
        for (number, generation) in rows {
            found.entry(number).or_default().push(row::small(generation));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn people_to_recover_are_looked_up_by_key() {
        for (sql, tables) in [(ROWS, &["r", "c", "d"][..]), (ATTEMPTS, &["i", "o", "s"])] {
            let steps = steps(sql).await;
            for table in tables {
                let scan = format!("SCAN {table}");
                let is_walk =
                    |step: &String| *step == scan || step.starts_with(&format!("{scan} "));
                assert!(!steps.iter().any(is_walk), "{table}: {steps:?}");
            }
        }
    }
}
