//! `Errands` on SQLite.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{SqliteStore, StoreError, row};
use crate::domain::delivery::Outcome;
use crate::store::errands::{Errands, NewErrand};

#[async_trait]
impl Errands for SqliteStore {
    async fn begin_errand(&self, errand: NewErrand) -> Result<i64, StoreError> {
        let mut write = self.write().await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO errand (campaign_id, kind, state, due_at, attempts, requested_by)
             VALUES ($1, $2, 'open', $3, 1, $4)
             RETURNING id",
        )
        .bind(errand.campaign)
        .bind(errand.kind.word())
        .bind(row::micros(errand.dated_at))
        .bind(&errand.requested_by)
        .fetch_one(write.conn())
        .await
        .map_err(StoreError::on("begin an errand"))?;
        sqlx::query(
            "INSERT INTO errand_intent (errand_id, n, dated_at, content) VALUES ($1, 1, $2, $3)",
        )
        .bind(id)
        .bind(row::micros(errand.dated_at))
        .bind(&errand.content[..])
        .execute(write.conn())
        .await
        .map_err(StoreError::on("record an errand's intent"))?;
        self.commit(write).await?;
        Ok(id)
    }

    async fn end_errand(&self, errand: i64, n: u32, outcome: &Outcome) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO errand_outcome (errand_id, n, result, code, enhanced, queue_id, ended_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT DO NOTHING",
        )
        .bind(errand)
        .bind(i64::from(n))
        .bind(outcome.result.word())
        .bind(outcome.code.map(i64::from))
        .bind(&outcome.enhanced)
        .bind(&outcome.queue_id)
        .bind(row::micros(outcome.ended_at))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("record an errand's outcome"))?;
        sqlx::query("UPDATE errand SET state = 'ended' WHERE id = $1")
            .bind(errand)
            .execute(write.conn())
            .await
            .map_err(StoreError::on("end an errand"))?;
        self.commit(write).await
    }

    async fn errand_totals(&self, campaign: i64) -> Result<BTreeMap<String, u64>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT e.kind || '/' || COALESCE(o.result, 'open'), COUNT(*)
             FROM errand AS e
             LEFT JOIN errand_outcome AS o ON o.errand_id = e.id AND o.n = e.attempts
             WHERE e.campaign_id = $1
             GROUP BY 1",
        )
        .bind(campaign)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("count errands"))?;
        Ok(rows.into_iter().map(|(label, count)| (label, row::uint(count))).collect())
    }
}
