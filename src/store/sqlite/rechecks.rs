//! `Rechecks` on SQLite.

use async_trait::async_trait;

use super::{SqliteStore, StoreError, row};
use crate::domain::credential::CredentialKind;
use crate::store::rechecks::{RecheckCounts, RecheckRow, Rechecks};

#[derive(sqlx::FromRow)]
struct Columns {
    id: i64,
    started_at: i64,
    ended_at: Option<i64>,
    kind: String,
    after_number: i64,
    checked: i64,
    fine: i64,
    regressed: i64,
    mended: i64,
    reset_elsewhere: i64,
    sessions: i64,
}

impl From<Columns> for RecheckRow {
    fn from(found: Columns) -> Self {
        Self {
            id: found.id,
            started_at: row::instant(found.started_at),
            ended_at: found.ended_at.map(row::instant),
            kind: CredentialKind::parse(&found.kind),
            after: row::uint(found.after_number),
            counts: RecheckCounts {
                checked: row::uint(found.checked),
                fine: row::uint(found.fine),
                regressed: row::uint(found.regressed),
                mended: row::uint(found.mended),
                reset_elsewhere: row::uint(found.reset_elsewhere),
                sessions: row::uint(found.sessions),
            },
        }
    }
}

#[async_trait]
impl Rechecks for SqliteStore {
    async fn last_recheck(&self, campaign: i64) -> Result<Option<RecheckRow>, StoreError> {
        let found: Option<Columns> = sqlx::query_as(
            "SELECT id, started_at, ended_at, kind, after_number, checked, fine, regressed, mended,
                    reset_elsewhere, sessions
             FROM recheck
             WHERE campaign_id = $1
             ORDER BY id DESC
             LIMIT 1",
        )
        .bind(campaign)
        .fetch_optional(&self.reader)
        .await
        .map_err(StoreError::on("find the last re-check"))?;
        Ok(found.map(RecheckRow::from))
    }

    async fn begin_recheck(&self, campaign: i64) -> Result<i64, StoreError> {
        let mut write = self.write().await?;
        let id = sqlx::query_scalar(
            "INSERT INTO recheck (campaign_id, started_at) VALUES ($1, $2) RETURNING id",
        )
        .bind(campaign)
        .bind(row::micros(self.now()))
        .fetch_one(write.conn())
        .await
        .map_err(StoreError::on("begin a re-check"))?;
        self.commit(write).await?;
        Ok(id)
    }

    async fn recheck_went_on(
        &self,
        id: i64,
        kind: CredentialKind,
        after: u64,
        counts: RecheckCounts,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "UPDATE recheck
             SET kind = $2, after_number = $3, checked = $4, fine = $5, regressed = $6, mended = $7,
                 reset_elsewhere = $8, sessions = $9
             WHERE id = $1",
        )
        .bind(id)
        .bind(kind.word())
        .bind(row::int(after))
        .bind(row::int(counts.checked))
        .bind(row::int(counts.fine))
        .bind(row::int(counts.regressed))
        .bind(row::int(counts.mended))
        .bind(row::int(counts.reset_elsewhere))
        .bind(row::int(counts.sessions))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("note how far a re-check is"))?;
        self.commit(write).await
    }

    async fn end_recheck(&self, id: i64, lines: Vec<String>) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("UPDATE recheck SET ended_at = $2 WHERE id = $1")
            .bind(id)
            .bind(row::micros(self.now()))
            .execute(write.conn())
            .await
            .map_err(StoreError::on("end a re-check"))?;
        self.log(&mut write, &lines).await?;
        self.commit(write).await
    }
}
