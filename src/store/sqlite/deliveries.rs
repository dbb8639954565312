//! `Deliveries` on SQLite.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::classes::{Lines, Moved, change_rows, move_counters};
use super::followers::leave;
use super::lanes::LaneColumns;
use super::{SqliteStore, StoreError, row, tokens};
use crate::domain::chunk::numbers_of;
use crate::store::deliveries::{
    Claimant, Deliveries, DueDoubt, Ended, Flush, Flushed, Lane, LaneRow, Lease, LoadedRow, Move,
    Resolution, Slowing, Suspension, Unpaired,
};

/// At most this many chunks are open in all (protocol §4).
const OPEN_CHUNKS: i64 = 64;

#[async_trait]
impl Deliveries for SqliteStore {
    async fn start_worker(
        &self,
        worker: &str,
        incarnation: u64,
        boot_id: &str,
        host: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO worker (id, incarnation, host, pid, boot_id, started_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(worker)
        .bind(row::int(incarnation))
        .bind(host)
        .bind(i64::from(std::process::id()))
        .bind(boot_id)
        .bind(row::micros(at))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("note a worker"))?;
        self.commit(write).await
    }

    async fn stop_worker(&self, worker: &str, at: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("UPDATE worker SET stopped_at = $2 WHERE id = $1")
            .bind(worker)
            .bind(row::micros(at))
            .execute(write.conn())
            .await
            .map_err(StoreError::on("note a worker's stop"))?;
        self.commit(write).await
    }

    async fn runnable_lanes(
        &self,
        campaign: i64,
        now: Timestamp,
    ) -> Result<Vec<LaneRow>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<LaneColumns> = sqlx::query_as(
            "SELECT c.wave, c.provider, c.send_window, l.suspended_at, l.suspended_until, l.cause,
                    l.stood_still, l.slowed_until, l.slowed_per_second, l.slowed_cause
             FROM (SELECT DISTINCT wave, provider, send_window
                   FROM chunk
                   WHERE seal_id = $1
                     AND owner IS NULL
                     AND queued + deferred > carried_queued + carried_deferred
                     AND (due_at IS NULL OR due_at <= $3)) AS c
             LEFT JOIN lane AS l
               ON l.campaign_id = $2
              AND l.wave = c.wave
              AND l.provider = c.provider
              AND l.send_window = c.send_window
             JOIN wave AS w ON w.campaign_id = $2 AND w.number = c.wave
             WHERE w.opened_at IS NOT NULL
               AND (l.suspended_until IS NULL OR l.suspended_until <= $3)
             ORDER BY w.deadline IS NULL, w.deadline, c.wave, c.provider, c.send_window",
        )
        .bind(seal)
        .bind(campaign)
        .bind(row::micros(now))
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("find runnable lanes"))?;
        Ok(rows.into_iter().map(LaneColumns::read).collect())
    }

    async fn claim(
        &self,
        campaign: i64,
        lane: &Lane,
        claimant: &Claimant,
        limit: u32,
    ) -> Result<Vec<Lease>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let mut write = self.write().await?;
        let rows: Vec<(i64, i64, Vec<u8>)> = sqlx::query_as(
            "UPDATE chunk
             SET owner = $2, incarnation = $3, epoch = epoch + 1, lease_until = $4
             WHERE seal_id = $1
               AND number IN (
                   SELECT number FROM chunk
                   WHERE seal_id = $1
                     AND wave = $6
                     AND provider = $7
                     AND send_window = $8
                     AND owner IS NULL
                     AND queued + deferred > carried_queued + carried_deferred
                     AND (due_at IS NULL OR due_at <= $5)
                     AND EXISTS (SELECT 1 FROM wave AS w
                                 WHERE w.campaign_id = $11 AND w.number = $6
                                   AND w.opened_at IS NOT NULL)
                   ORDER BY number
                   LIMIT MIN($9, MAX(0, $10 - (SELECT COUNT(*) FROM chunk
                                               WHERE seal_id = $1 AND owner IS NOT NULL))))
             RETURNING number, epoch, root",
        )
        .bind(seal)
        .bind(&claimant.worker)
        .bind(row::int(claimant.incarnation))
        .bind(row::micros(claimant.until))
        .bind(row::micros(claimant.now))
        .bind(i64::from(lane.wave))
        .bind(&lane.provider)
        .bind(&lane.window)
        .bind(i64::from(limit))
        .bind(OPEN_CHUNKS)
        .bind(campaign)
        .fetch_all(write.conn())
        .await
        .map_err(StoreError::on("claim chunks"))?;
        self.commit(write).await?;
        rows.into_iter()
            .map(|(chunk, epoch, root)| {
                Ok(Lease {
                    chunk: row::uint(chunk),
                    epoch: row::uint(epoch),
                    root: row::bytes(&root, "chunk", "root", chunk)?,
                    lane: lane.clone(),
                })
            })
            .collect()
    }

    async fn load(&self, campaign: i64, lease: &Lease) -> Result<Vec<LoadedRow>, StoreError> {
        let (first, last) = numbers_of(lease.chunk);
        self.load_range(campaign, (row::int(first), row::int(last))).await
    }

    async fn load_row(&self, campaign: i64, number: u64) -> Result<Option<LoadedRow>, StoreError> {
        let number = row::int(number);
        Ok(self.load_range(campaign, (number, number)).await?.pop())
    }

    async fn renew(&self, claimant: &Claimant) -> Result<u64, StoreError> {
        let mut write = self.write().await?;
        let renewed =
            sqlx::query("UPDATE chunk SET lease_until = $3 WHERE owner = $1 AND incarnation = $2")
                .bind(&claimant.worker)
                .bind(row::int(claimant.incarnation))
                .bind(row::micros(claimant.until))
                .execute(write.conn())
                .await
                .map_err(StoreError::on("renew leases"))?
                .rows_affected();
        self.commit(write).await?;
        Ok(renewed)
    }

    async fn release(
        &self,
        campaign: i64,
        lease: &Lease,
        worker: &str,
        due_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let seal = self.seal_of(campaign).await?;
        let mut write = self.write().await?;
        sqlx::query(
            "UPDATE chunk
             SET owner = NULL,
                 lease_until = NULL,
                 due_at = CASE WHEN queued > carried_queued THEN NULL ELSE $5 END
             WHERE seal_id = $1 AND number = $2 AND owner = $3 AND epoch = $4",
        )
        .bind(seal)
        .bind(row::int(lease.chunk))
        .bind(worker)
        .bind(row::int(lease.epoch))
        .bind(due_at.map(row::micros))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("release a chunk"))?;
        self.commit(write).await
    }

    async fn flush(
        &self,
        campaign: i64,
        claimant: &Claimant,
        flush: Flush,
    ) -> Result<Flushed, StoreError> {
        self.flush_worker(campaign, claimant, &flush).await
    }

    async fn unpaired(&self, campaign: i64) -> Result<Vec<Unpaired>, StoreError> {
        self.load_unpaired(campaign).await
    }

    async fn rescue(&self, campaign: i64, ended: Vec<Ended>) -> Result<u64, StoreError> {
        self.rescue_dead(campaign, ended).await
    }

    async fn due_doubts(
        &self,
        campaign: i64,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueDoubt>, StoreError> {
        self.load_due_doubts(campaign, now, limit).await
    }

    async fn apply(
        &self,
        campaign: i64,
        moves: Vec<Move>,
        resolutions: Vec<Resolution>,
    ) -> Result<Vec<u64>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        let mut moved = Moved::default();
        let all: Vec<&Move> = moves.iter().collect();
        let Lines(lines) = change_rows(write.conn(), campaign, &all, now, &mut moved).await?;
        move_counters(write.conn(), seal, &moved).await?;
        let changed = moves.iter().filter(|change| moved.numbers.contains(&change.number));
        tokens::revoke_older(write.conn(), campaign, changed, now).await?;
        let kept: Vec<&Resolution> = resolutions
            .iter()
            .filter(|resolution| moved.numbers.contains(&resolution.person))
            .collect();
        insert_resolutions(write.conn(), campaign, &kept).await?;
        // A row that may be queued again must be claimable at once, whatever its chunk waited for.
        self.wake(&mut write, seal, &moved).await?;
        self.log(&mut write, &lines).await?;
        self.commit(write).await?;
        Ok(moved.numbers.into_iter().collect())
    }

    async fn hand_over(&self, campaign: i64, number: u64) -> Result<Option<u64>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let mut write = self.write().await?;
        let mut moved = Moved::default();
        let next = leave(write.conn(), campaign, number, &mut moved).await?;
        move_counters(write.conn(), seal, &moved).await?;
        self.wake(&mut write, seal, &moved).await?;
        self.commit(write).await?;
        Ok(next)
    }

    async fn next_due(&self, campaign: i64) -> Result<Option<Timestamp>, StoreError> {
        self.earliest_due(campaign).await
    }

    async fn suspend_lane(
        &self,
        campaign: i64,
        lane: &Lane,
        suspension: &Suspension,
        lines: Vec<String>,
    ) -> Result<bool, StoreError> {
        self.suspend(campaign, lane, suspension, lines).await
    }

    async fn slow_lane(
        &self,
        campaign: i64,
        lane: &Lane,
        slowing: &Slowing,
        lines: Vec<String>,
    ) -> Result<(), StoreError> {
        self.slow(campaign, lane, slowing, lines).await
    }

    async fn resume_lanes(&self, campaign: i64, now: Timestamp) -> Result<Vec<Lane>, StoreError> {
        self.resume_over(campaign, now).await
    }
}

/// Inserts how doubts ended; what was said of an attempt before may be said again.
pub(super) async fn insert_resolutions(
    conn: &mut SqliteConnection,
    campaign: i64,
    resolutions: &[&Resolution],
) -> Result<(), StoreError> {
    if resolutions.is_empty() {
        return Ok(());
    }
    let rows: Vec<Value> = resolutions.iter().map(|one| resolution_row(one)).collect();
    sqlx::query(
        "INSERT INTO resolution (campaign_id, number, generation, n, result, resolved_by, reason,
                                 signature, resolved_at)
         SELECT $2, j.value ->> 'number', j.value ->> 'generation', j.value ->> 'n',
                j.value ->> 'result', j.value ->> 'by', j.value ->> 'reason',
                unhex(j.value ->> 'signature'), j.value ->> 'at'
         FROM json_each($1) AS j
         WHERE true
         ON CONFLICT DO NOTHING",
    )
    .bind(Value::Array(rows).to_string())
    .bind(campaign)
    .execute(conn)
    .await
    .map_err(StoreError::on("insert resolutions"))?;
    Ok(())
}

fn resolution_row(resolution: &Resolution) -> Value {
    json!({
        "number": resolution.key.number,
        "generation": resolution.key.generation,
        "n": resolution.key.n,
        "result": resolution.result,
        "by": resolution.by,
        "reason": resolution.reason,
        "signature": resolution.signature.map(hex::encode),
        "at": row::micros(resolution.at),
    })
}
