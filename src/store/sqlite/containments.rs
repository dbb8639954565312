//! `Containments` on SQLite.

use async_trait::async_trait;

use super::{SqliteStore, StoreError, row};
use crate::domain::track::ContainmentPause;
use crate::store::containments::{ContainmentStop, Containments, PassState};

#[async_trait]
impl Containments for SqliteStore {
    async fn pass_state(&self, campaign: i64) -> Result<PassState, StoreError> {
        let (began_at, first_batch_at): (Option<i64>, Option<i64>) =
            sqlx::query_as("SELECT secure_began_at, first_batch_at FROM campaign WHERE id = $1")
                .bind(campaign)
                .fetch_one(&self.reader)
                .await
                .map_err(StoreError::on("read how far the passes have come"))?;
        Ok(PassState {
            began_at: began_at.map(row::instant),
            first_batch_at: first_batch_at.map(row::instant),
        })
    }

    async fn begin_pass(&self, campaign: i64) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "UPDATE campaign SET secure_began_at = $2 WHERE id = $1 AND secure_began_at IS NULL",
        )
        .bind(campaign)
        .bind(row::micros(self.now()))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("note when the first pass began"))?;
        self.commit(write).await
    }

    async fn pause_containment(
        &self,
        campaign: i64,
        stop: ContainmentStop,
        lines: Vec<String>,
    ) -> Result<bool, StoreError> {
        let from: Vec<&str> = stop.from.iter().map(|state| state.word()).collect();
        let first_batch =
            (stop.cause == ContainmentPause::FirstBatch).then(|| row::micros(self.now()));
        let mut write = self.write().await?;
        let changed = sqlx::query(
            "UPDATE campaign
             SET containment_state = 'paused',
                 containment_cause = $2,
                 containment_note = $3,
                 first_batch_at = COALESCE(first_batch_at, $4)
             WHERE id = $1 AND containment_state IN (SELECT value FROM json_each($5))",
        )
        .bind(campaign)
        .bind(stop.cause.word())
        .bind(&stop.note)
        .bind(first_batch)
        .bind(serde_json::to_string(&from).unwrap_or_default())
        .execute(write.conn())
        .await
        .map_err(StoreError::on("pause the containment track"))?
        .rows_affected();
        if changed == 1 {
            self.log(&mut write, &lines).await?;
        }
        self.commit(write).await?;
        Ok(changed == 1)
    }
}
