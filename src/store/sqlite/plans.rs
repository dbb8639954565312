//! `Plans` on SQLite.

use async_trait::async_trait;
use sqlx::SqliteConnection;

use super::waves::moved::arrange;
use super::{SqliteStore, StoreError, row};
use crate::domain::track::{ContainmentPause, Track};
use crate::domain::{snapshot::Snapshot, wave::WavePlan};
use crate::store::plans::{ApprovalRow, Plans, SnapshotRow};

type Found = (Vec<u8>, String, i64);

fn read((digest, entries, planned_at): Found) -> Result<SnapshotRow, StoreError> {
    let corrupt =
        || StoreError::Corrupt { table: "snapshot", column: "entries", row: hex::encode(&digest) };
    Ok(SnapshotRow {
        snapshot: Snapshot(serde_json::from_str(&entries).map_err(|_| corrupt())?),
        planned_at: row::instant(planned_at),
        digest: row::bytes(&digest, "snapshot", "digest", "?")?,
    })
}

#[async_trait]
impl Plans for SqliteStore {
    async fn store_snapshot(
        &self,
        campaign: i64,
        track: Track,
        planned: SnapshotRow,
        blobs: Vec<([u8; 32], Vec<u8>)>,
        lines: Vec<String>,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        for (digest, bytes) in blobs {
            sqlx::query(
                "INSERT INTO plan_blob (digest, bytes) VALUES ($1, $2)
                 ON CONFLICT (digest) DO NOTHING",
            )
            .bind(&digest[..])
            .bind(bytes)
            .execute(write.conn())
            .await
            .map_err(StoreError::on("store planned bytes"))?;
        }
        // Planning the same bytes again makes that snapshot the latest one, whatever the clock says.
        sqlx::query(
            "INSERT INTO snapshot (digest, campaign_id, kind, entries, planned_at)
             SELECT $1, $2, $3, $4, MAX($5, COALESCE(MAX(planned_at) + 1, $5))
             FROM snapshot
             WHERE campaign_id = $2 AND kind = $3 AND digest <> $1
             ON CONFLICT (digest) DO UPDATE SET planned_at = excluded.planned_at",
        )
        .bind(&planned.digest[..])
        .bind(campaign)
        .bind(track.word())
        .bind(serde_json::to_string(&planned.snapshot.0).unwrap_or_default())
        .bind(row::micros(planned.planned_at))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("store a snapshot"))?;
        self.log(&mut write, &lines).await?;
        self.commit(write).await
    }

    async fn latest_snapshot(
        &self,
        campaign: i64,
        track: Track,
    ) -> Result<Option<SnapshotRow>, StoreError> {
        let found: Option<Found> = sqlx::query_as(
            "SELECT digest, entries, planned_at
             FROM snapshot
             WHERE campaign_id = $1 AND kind = $2
             ORDER BY planned_at DESC
             LIMIT 1",
        )
        .bind(campaign)
        .bind(track.word())
        .fetch_optional(&self.reader)
        .await
        .map_err(StoreError::on("find the latest snapshot"))?;
        found.map(read).transpose()
    }

    async fn snapshot(&self, digest: [u8; 32]) -> Result<Option<SnapshotRow>, StoreError> {
        let found: Option<Found> =
            sqlx::query_as("SELECT digest, entries, planned_at FROM snapshot WHERE digest = $1")
                .bind(&digest[..])
                .fetch_optional(&self.reader)
                .await
                .map_err(StoreError::on("find a snapshot"))?;
        found.map(read).transpose()
    }

    async fn blob(&self, digest: [u8; 32]) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar("SELECT bytes FROM plan_blob WHERE digest = $1")
            .bind(&digest[..])
            .fetch_optional(&self.reader)
            .await
            .map_err(StoreError::on("read planned bytes"))
    }

    async fn approvals(
        &self,
        campaign: i64,
        track: Track,
        snapshot: [u8; 32],
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let rows: Vec<(i64, Vec<u8>, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT operator_id, statement, signature, signed_at
             FROM approval
             WHERE campaign_id = $1 AND kind = $2 AND snapshot = $3
             ORDER BY signed_at, operator_id",
        )
        .bind(campaign)
        .bind(track.word())
        .bind(&snapshot[..])
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list approvals"))?;
        rows.into_iter()
            .map(|(operator_id, statement, signature, signed_at)| {
                Ok(ApprovalRow {
                    track,
                    snapshot,
                    operator_id,
                    statement,
                    signature: row::bytes(&signature, "approval", "signature", operator_id)?,
                    signed_at: row::instant(signed_at),
                })
            })
            .collect()
    }

    async fn add_approval(
        &self,
        campaign: i64,
        approval: ApprovalRow,
        beside: usize,
        settles: bool,
        waves: Option<WavePlan>,
        lines: Vec<String>,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let signed: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM approval WHERE campaign_id = $1 AND kind = $2 AND snapshot = $3",
        )
        .bind(campaign)
        .bind(approval.track.word())
        .bind(&approval.snapshot[..])
        .fetch_one(write.conn())
        .await
        .map_err(StoreError::on("count signatures"))?;
        if usize::try_from(signed) != Ok(beside) {
            return Err(StoreError::Conflict(format!(
                "somebody else signed the {} plan in the same moment; hint: sign again, and both count",
                approval.track
            )));
        }
        sqlx::query(
            "INSERT INTO approval (campaign_id, kind, snapshot, operator_id, statement, signature,
                                   signed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(campaign)
        .bind(approval.track.word())
        .bind(&approval.snapshot[..])
        .bind(approval.operator_id)
        .bind(&approval.statement)
        .bind(&approval.signature[..])
        .bind(row::micros(approval.signed_at))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("add an approval"))?;
        if settles {
            approve_track(write.conn(), campaign, &approval).await?;
        }
        if let Some(plan) = waves {
            arrange(write.conn(), campaign, &plan).await?;
        }
        self.log(&mut write, &lines).await?;
        self.commit(write).await
    }
}

/// The signature that completes two: the track is approved, where it has not begun or stands still.
async fn approve_track(
    conn: &mut SqliteConnection,
    campaign: i64,
    approval: &ApprovalRow,
) -> Result<(), StoreError> {
    let (sql, hint) = match approval.track {
        // Approved anew after a pause: what the new statements do is looked at from the start.
        Track::Containment => (
            "UPDATE campaign
             SET containment_state = 'approved', containment_digest = $2,
                 containment_cause = NULL, containment_note = NULL,
                 first_batch_at = CASE containment_state WHEN 'paused' THEN NULL
                                                         ELSE first_batch_at END
             WHERE id = $1 AND notice_state NOT IN ('cancelled', 'closed')
               AND (containment_state IN ('none', 'approved')
                    OR containment_state = 'paused' AND containment_digest <> $2
                   AND containment_cause IN (SELECT value FROM json_each($3)))",
            "a pass that has paused itself may be planned and approved anew",
        ),
        Track::Notice => (
            "UPDATE campaign SET notice_state = 'approved', notice_digest = $2
             WHERE id = $1 AND notice_state IN ('draft', 'approved')",
            "see `forthwith campaign status`",
        ),
    };
    let mut update = sqlx::query(sql).bind(campaign).bind(&approval.snapshot[..]);
    if approval.track == Track::Containment {
        let causes = ContainmentPause::BY_ITSELF.map(ContainmentPause::word);
        update = update.bind(serde_json::to_string(&causes).unwrap_or_default());
    }
    let changed =
        update.execute(conn).await.map_err(StoreError::on("approve a track"))?.rows_affected();
    if changed == 1 {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "the {} track has begun; what runs was approved before and stays as it is; hint: {hint}",
        approval.track
    )))
}
