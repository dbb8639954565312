//! `Paces` on SQLite.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;
use sqlx::SqliteConnection;

use super::{SqliteStore, StoreError, row};
use crate::domain::pace::{ALL, PaceSetting};
use crate::store::deliveries::Lane;
use crate::store::pace::{PaceRow, Paces};

type PaceColumns = (String, Option<f64>, Option<i64>, String, i64);

#[async_trait]
impl Paces for SqliteStore {
    async fn paces(&self, campaign: i64) -> Result<Vec<PaceRow>, StoreError> {
        let rows: Vec<PaceColumns> = sqlx::query_as(
            "SELECT scope, per_second, per_day, set_by, set_at
             FROM pace
             WHERE campaign_id = $1
             ORDER BY scope",
        )
        .bind(campaign)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("read paces"))?;
        let read = |(scope, per_second, per_day, set_by, set_at): PaceColumns| PaceRow {
            scope,
            setting: PaceSetting { per_second, per_day: per_day.map(row::uint) },
            set_by,
            set_at: row::instant(set_at),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    async fn set_pace(
        &self,
        campaign: i64,
        row: PaceRow,
        lines: Vec<String>,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO pace (campaign_id, scope, per_second, per_day, set_by, set_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (campaign_id, scope) DO UPDATE
             SET per_second = excluded.per_second,
                 per_day = excluded.per_day,
                 set_by = excluded.set_by,
                 set_at = excluded.set_at",
        )
        .bind(campaign)
        .bind(&row.scope)
        .bind(row.setting.per_second)
        .bind(row.setting.per_day.map(row::int))
        .bind(&row.set_by)
        .bind(row::micros(row.set_at))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("set a pace"))?;
        self.log(&mut write, &lines).await?;
        self.commit(write).await
    }

    async fn reset_pace(
        &self,
        campaign: i64,
        scope: Option<&str>,
        lines: Vec<String>,
    ) -> Result<u64, StoreError> {
        let mut write = self.write().await?;
        let gone =
            sqlx::query("DELETE FROM pace WHERE campaign_id = $1 AND ($2 IS NULL OR scope = $2)")
                .bind(campaign)
                .bind(scope)
                .execute(write.conn())
                .await
                .map_err(StoreError::on("reset a pace"))?
                .rows_affected();
        if gone > 0 {
            self.log(&mut write, &lines).await?;
        }
        self.commit(write).await?;
        Ok(gone)
    }

    async fn used_on(&self, day: Date) -> Result<BTreeMap<String, u64>, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as("SELECT scope, used_today FROM rate_lease WHERE day >= $1")
                .bind(day.to_string())
                .fetch_all(&self.reader)
                .await
                .map_err(StoreError::on("read the day's counts"))?;
        Ok(rows.into_iter().map(|(scope, used)| (scope, row::uint(used))).collect())
    }

    async fn counted_day(&self) -> Result<Option<Date>, StoreError> {
        let day: Option<String> = sqlx::query_scalar("SELECT MAX(day) FROM rate_lease")
            .fetch_one(&self.reader)
            .await
            .map_err(StoreError::on("read the day that is counted"))?;
        Ok(day.and_then(|day| day.parse().ok()))
    }

    async fn end_suspensions(
        &self,
        campaign: i64,
        provider: &str,
        now: Timestamp,
        lines: Vec<String>,
    ) -> Result<Vec<Lane>, StoreError> {
        let mut write = self.write().await?;
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "UPDATE lane
             SET stood_still = stood_still + MAX(0, MIN(suspended_until, $3) - suspended_at),
                 suspended_at = NULL,
                 suspended_until = NULL
             WHERE campaign_id = $1 AND provider = $2 AND suspended_until IS NOT NULL
             RETURNING wave, provider, send_window",
        )
        .bind(campaign)
        .bind(provider)
        .bind(row::micros(now))
        .fetch_all(write.conn())
        .await
        .map_err(StoreError::on("end a suspension"))?;
        if !rows.is_empty() {
            self.log(&mut write, &lines).await?;
        }
        self.commit(write).await?;
        Ok(rows.into_iter().map(lane).collect())
    }

    async fn lanes_of(&self, campaign: i64, provider: &str) -> Result<Vec<Lane>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT DISTINCT wave, provider, send_window
             FROM chunk
             WHERE seal_id = $1 AND provider = $2
             ORDER BY wave, send_window",
        )
        .bind(seal)
        .bind(provider)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("find a provider's lanes"))?;
        Ok(rows.into_iter().map(lane).collect())
    }
}

fn lane((wave, provider, window): (i64, String, String)) -> Lane {
    Lane { wave: row::small(wave), provider, window }
}

/// Moves the day's counts. A new day starts at nothing.
macro_rules! count_begun_sql {
    ($rows:literal, $day:literal) => {
        concat!(
            "INSERT INTO rate_lease (scope, arrival_at, per_second, day, used_today)
             SELECT j.key, 0, 0.0, ",
            $day,
            ", j.value
             FROM json_each(",
            $rows,
            ") AS j
             WHERE true
             ON CONFLICT (scope) DO UPDATE
             SET used_today = MAX(0, excluded.used_today
                                     + CASE WHEN day >= excluded.day THEN used_today ELSE 0 END),
                 -- a clock that is set back begins no earlier day anew
                 day = MAX(day, excluded.day)"
        )
    };
}
pub(super) use count_begun_sql;

const COUNT_BEGUN: &str = count_begun_sql!("$1", "$2");

/// Moves the day's counts, in the recorder's transaction: by what was begun, less what turned out not
/// to have started.
pub(super) async fn count_begun(
    conn: &mut SqliteConnection,
    day: Date,
    begun: &BTreeMap<String, i64>,
) -> Result<(), StoreError> {
    sqlx::query(COUNT_BEGUN)
        .bind(begun_rows(begun))
        .bind(day.to_string())
        .execute(conn)
        .await
        .map_err(StoreError::on("count the day's notices"))?;
    Ok(())
}

/// By provider, and over all: as [`count_begun_sql`] reads it.
pub(super) fn begun_rows(begun: &BTreeMap<String, i64>) -> String {
    let mut rows: BTreeMap<&str, i64> = BTreeMap::new();
    for (scope, count) in begun.iter().filter(|(_, count)| **count != 0) {
        rows.insert(scope, *count);
        *rows.entry(ALL).or_default() += count;
    }
    json!(rows).to_string()
}
