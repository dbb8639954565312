//! `Acts` on SQLite.

use std::collections::HashSet;

use async_trait::async_trait;
use serde_json::json;
use sqlx::SqliteConnection;

use super::campaigns::change_notice;
use super::classes::{Lines, Moved, change_rows, move_counters};
use super::{SqliteStore, StoreError, row, tokens};
use crate::domain::track::Track;
use crate::store::acts::{ActKind, Acts, LaunchRow, NewAct};
use crate::store::campaigns::NoticeMove;
use crate::store::deliveries::Move;

/// Those of `$1` (a JSON array of numbers) of whom an attempt is open.
const IN_FLIGHT: &str = "SELECT DISTINCT i.number
     FROM json_each($1) AS j
     CROSS JOIN intent AS i
       ON i.campaign_id = $2 AND i.number = CAST(j.value AS INTEGER)
     LEFT JOIN outcome AS o
       ON o.campaign_id = $2 AND o.number = i.number AND o.generation = i.generation AND o.n = i.n
     WHERE o.number IS NULL";

#[async_trait]
impl Acts for SqliteStore {
    async fn launch(
        &self,
        campaign: i64,
        launch: LaunchRow,
        lines: Vec<String>,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let noted = sqlx::query(
            "INSERT INTO launch (campaign_id, track, head_count, launched_by, launched_at)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT DO NOTHING",
        )
        .bind(campaign)
        .bind(launch.track.word())
        .bind(row::int(launch.head_count))
        .bind(&launch.launched_by)
        .bind(row::micros(launch.launched_at))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("note a launch"))?
        .rows_affected();
        if noted == 1 {
            self.log(&mut write, &lines).await?;
        }
        self.commit(write).await
    }

    async fn launches(&self, campaign: i64) -> Result<Vec<LaunchRow>, StoreError> {
        let rows: Vec<(String, i64, String, i64)> = sqlx::query_as(
            "SELECT track, head_count, launched_by, launched_at
             FROM launch
             WHERE campaign_id = $1
             ORDER BY launched_at",
        )
        .bind(campaign)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list launches"))?;
        rows.into_iter()
            .map(|(track, head_count, launched_by, at)| {
                let track = Track::parse(&track).ok_or(StoreError::Corrupt {
                    table: "launch",
                    column: "track",
                    row: campaign.to_string(),
                })?;
                Ok(LaunchRow {
                    track,
                    head_count: row::uint(head_count),
                    launched_by,
                    launched_at: row::instant(at),
                })
            })
            .collect()
    }

    async fn act(
        &self,
        campaign: i64,
        act: NewAct,
        change: NoticeMove,
        lines: Vec<String>,
    ) -> Result<bool, StoreError> {
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        if !change_notice(write.conn(), campaign, &change, now).await? {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO act (campaign_id, kind, operator_id, reason, statement, signature, acted_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(campaign)
        .bind(act.kind.word())
        .bind(act.operator_id)
        .bind(&act.reason)
        .bind(&act.statement)
        .bind(&act.signature[..])
        .bind(row::micros(act.at))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("record an act"))?;
        if act.kind == ActKind::Close {
            tokens::revoke_all(write.conn(), campaign, now).await?;
        }
        self.log(&mut write, &lines).await?;
        self.commit(write).await?;
        Ok(true)
    }

    async fn apply_to_idle(&self, campaign: i64, moves: Vec<Move>) -> Result<u64, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        let numbers: Vec<u64> = moves.iter().map(|change| change.number).collect();
        let busy = in_flight(write.conn(), campaign, &numbers).await?;
        let idle: Vec<&Move> = moves.iter().filter(|one| !busy.contains(&one.number)).collect();
        let mut moved = Moved::default();
        let Lines(lines) = change_rows(write.conn(), campaign, &idle, now, &mut moved).await?;
        move_counters(write.conn(), seal, &moved).await?;
        self.log(&mut write, &lines).await?;
        self.commit(write).await?;
        Ok(moved.numbers.len() as u64)
    }

    async fn leased_chunks(&self, campaign: i64) -> Result<u64, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let held: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM chunk WHERE seal_id = $1 AND owner IS NOT NULL",
        )
        .bind(seal)
        .fetch_one(&self.reader)
        .await
        .map_err(StoreError::on("count leased chunks"))?;
        Ok(row::uint(held))
    }

    async fn secured_untold(&self, campaign: i64) -> Result<u64, StoreError> {
        let people: i64 = sqlx::query_scalar(
            "SELECT COUNT(DISTINCT c.number)
             FROM credential AS c
             LEFT JOIN delivery AS d ON d.campaign_id = c.campaign_id AND d.number = c.number
             WHERE c.campaign_id = $1
               AND c.class IN ('expired', 'reset', 'reset-elsewhere', 'regressed')
               AND COALESCE(d.class, 'queued') NOT IN ('told', 'in-doubt')",
        )
        .bind(campaign)
        .fetch_one(&self.reader)
        .await
        .map_err(StoreError::on("count who was secured and not told"))?;
        Ok(row::uint(people))
    }
}

/// Those of whom an attempt is open.
pub(super) async fn in_flight(
    conn: &mut SqliteConnection,
    campaign: i64,
    numbers: &[u64],
) -> Result<HashSet<u64>, StoreError> {
    let busy: Vec<i64> = sqlx::query_scalar(IN_FLIGHT)
        .bind(json!(numbers).to_string())
        .bind(campaign)
        .fetch_all(conn)
        .await
        .map_err(StoreError::on("find open attempts"))?;
    Ok(busy.into_iter().map(row::uint).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn open_attempts_are_looked_up_by_key() {
        let plan = steps(IN_FLIGHT).await;
        assert!(plan.iter().any(|step| step.starts_with("SEARCH i USING PRIMARY KEY")), "{plan:?}");
        assert!(!plan.iter().any(|step| step.starts_with("SCAN i")), "{plan:?}");
    }
}
