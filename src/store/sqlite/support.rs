//! `Support` on SQLite.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{SqliteStore, StoreError, row};
use crate::store::support::{LookUp, Support};

#[async_trait]
impl Support for SqliteStore {
    async fn look_ups(&self, by: &str, since: Timestamp) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM support_look_up WHERE looked_up_by = $1 AND looked_up_at > $2",
        )
        .bind(by)
        .bind(row::micros(since))
        .fetch_one(&self.reader)
        .await
        .map_err(StoreError::on("count look-ups"))?;
        Ok(row::uint(count))
    }

    async fn log_look_ups(&self, look_ups: Vec<LookUp>) -> Result<(), StoreError> {
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        for one in look_ups {
            sqlx::query(
                "INSERT INTO support_look_up (looked_up_by, meant, campaign_id, number, what, looked_up_at)
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(&one.by)
            .bind(one.meant)
            .bind(one.whom.map(|(campaign, _)| campaign))
            .bind(one.whom.map(|(_, number)| row::int(number)))
            .bind(one.what)
            .bind(now)
            .execute(write.conn())
            .await
            .map_err(StoreError::on("keep a look-up"))?;
        }
        self.commit(write).await
    }

    async fn blocks(&self, campaign: i64) -> Result<Vec<(u64, u64)>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let blocks: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT first_number, last_number FROM chunk WHERE seal_id = $1 ORDER BY number",
        )
        .bind(seal)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list blocks of numbers"))?;
        let block = |(first, last)| (row::uint(first), row::uint(last));
        Ok(blocks.into_iter().map(block).collect())
    }

    async fn wave_of(&self, campaign: i64, number: u64) -> Result<Option<u32>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let wave: Option<i64> =
            sqlx::query_scalar("SELECT wave FROM chunk WHERE seal_id = $1 AND number = $2")
                .bind(seal)
                .bind(row::int(crate::domain::chunk::chunk_of(number)))
                .fetch_optional(&self.reader)
                .await
                .map_err(StoreError::on("find a person's wave"))?;
        Ok(wave.map(row::small))
    }
}
