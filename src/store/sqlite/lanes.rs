//! Lanes: suspension for the sender's fault, while retry windows stand still; a slower pace.

use jiff::Timestamp;

use super::{SqliteStore, StoreError, row};
use crate::store::deliveries::{Lane, LaneRow, Slowing, Suspension};

/// A lane with its row, absent where nothing ever happened to it.
#[derive(sqlx::FromRow)]
pub(super) struct LaneColumns {
    wave: i64,
    provider: String,
    send_window: String,
    suspended_at: Option<i64>,
    suspended_until: Option<i64>,
    cause: Option<String>,
    stood_still: Option<i64>,
    slowed_until: Option<i64>,
    slowed_per_second: Option<f64>,
    slowed_cause: Option<String>,
}

impl LaneColumns {
    pub(super) fn read(self) -> LaneRow {
        let suspension = |(since, until): (i64, i64)| Suspension {
            since: row::instant(since),
            until: row::instant(until),
            cause: self.cause.unwrap_or_default(),
        };
        let slowing = |(until, per_second): (i64, f64)| Slowing {
            until: row::instant(until),
            per_second,
            cause: self.slowed_cause.unwrap_or_default(),
        };
        LaneRow {
            suspended: self.suspended_at.zip(self.suspended_until).map(suspension),
            slowed: self.slowed_until.zip(self.slowed_per_second).map(slowing),
            stood_still: self.stood_still.unwrap_or(0),
            lane: Lane {
                wave: row::small(self.wave),
                provider: self.provider,
                window: self.send_window,
            },
        }
    }
}

impl SqliteStore {
    pub(super) async fn suspend(
        &self,
        campaign: i64,
        lane: &Lane,
        suspension: &Suspension,
        lines: Vec<String>,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let was_running: bool = sqlx::query_scalar(
            "SELECT NOT EXISTS (
                 SELECT 1 FROM lane
                 WHERE campaign_id = $1 AND wave = $2 AND provider = $3 AND send_window = $4
                   AND suspended_until IS NOT NULL)",
        )
        .bind(campaign)
        .bind(i64::from(lane.wave))
        .bind(&lane.provider)
        .bind(&lane.window)
        .fetch_one(write.conn())
        .await
        .map_err(StoreError::on("look at a lane"))?;
        sqlx::query(
            "INSERT INTO lane (campaign_id, wave, provider, send_window, suspended_at, suspended_until,
                               cause)
             SELECT $1, $2, $3, $4, $5, $6, $7
             UNION
             SELECT c.id, k.wave, k.provider, k.send_window, $5, $6, $7
             FROM campaign AS c JOIN chunk AS k ON k.seal_id = c.seal_id
             WHERE c.id = $1 AND k.provider = $3
             ON CONFLICT (campaign_id, wave, provider, send_window) DO UPDATE
             SET suspended_at = COALESCE(suspended_at, excluded.suspended_at),
                 suspended_until = MAX(COALESCE(suspended_until, 0), excluded.suspended_until),
                 cause = excluded.cause",
        )
        .bind(campaign)
        .bind(i64::from(lane.wave))
        .bind(&lane.provider)
        .bind(&lane.window)
        .bind(row::micros(suspension.since))
        .bind(row::micros(suspension.until))
        .bind(&suspension.cause)
        .execute(write.conn())
        .await
        .map_err(StoreError::on("suspend a lane"))?;
        if was_running {
            self.log(&mut write, &lines).await?;
        }
        self.commit(write).await?;
        Ok(was_running)
    }

    pub(super) async fn slow(
        &self,
        campaign: i64,
        lane: &Lane,
        slowing: &Slowing,
        lines: Vec<String>,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO lane (campaign_id, wave, provider, send_window, slowed_until,
                               slowed_per_second, slowed_cause)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (campaign_id, wave, provider, send_window) DO UPDATE
             SET slowed_until = excluded.slowed_until,
                 slowed_per_second = excluded.slowed_per_second,
                 slowed_cause = excluded.slowed_cause",
        )
        .bind(campaign)
        .bind(i64::from(lane.wave))
        .bind(&lane.provider)
        .bind(&lane.window)
        .bind(row::micros(slowing.until))
        .bind(slowing.per_second)
        .bind(&slowing.cause)
        .execute(write.conn())
        .await
        .map_err(StoreError::on("slow a lane"))?;
        self.log(&mut write, &lines).await?;
        self.commit(write).await
    }

    pub(super) async fn resume_over(
        &self,
        campaign: i64,
        now: Timestamp,
    ) -> Result<Vec<Lane>, StoreError> {
        let due: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM lane WHERE campaign_id = $1 AND suspended_until <= $2 LIMIT 1",
        )
        .bind(campaign)
        .bind(row::micros(now))
        .fetch_optional(&self.reader)
        .await
        .map_err(StoreError::on("look for suspensions that are over"))?;
        if due.is_none() {
            return Ok(Vec::new());
        }
        let mut write = self.write().await?;
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "UPDATE lane
             SET stood_still = stood_still + (suspended_until - suspended_at),
                 suspended_at = NULL,
                 suspended_until = NULL
             WHERE campaign_id = $1 AND suspended_until <= $2
             RETURNING wave, provider, send_window",
        )
        .bind(campaign)
        .bind(row::micros(now))
        .fetch_all(write.conn())
        .await
        .map_err(StoreError::on("resume lanes"))?;
        self.commit(write).await?;
        let lane = |(wave, provider, window)| Lane { wave: row::small(wave), provider, window };
        Ok(rows.into_iter().map(lane).collect())
    }
}
