//! `Seals` on SQLite.

use std::path::Path;

use async_trait::async_trait;

use super::staging::SqliteStaging;
use super::{SqliteStore, StoreError, row};
use crate::domain::totals::SourceTotals;
use crate::store::seals::{SealRow, Seals, Staging};

#[derive(sqlx::FromRow)]
pub(super) struct SealColumns {
    pub id: i64,
    root: Vec<u8>,
    source_kind: String,
    source_name: String,
    source_digest: Vec<u8>,
    as_of: i64,
    sealed_at: Option<i64>,
    source_rows: i64,
    sealed: i64,
    duplicates: i64,
    conflicts: i64,
    rejected: i64,
    names_refused: i64,
    copies: i64,
    rules: String,
    excluded: String,
}

impl SealColumns {
    pub(super) fn read(self) -> Result<SealRow, StoreError> {
        let excluded = serde_json::from_str(&self.excluded).map_err(|_| StoreError::Corrupt {
            table: "seal",
            column: "excluded",
            row: self.id.to_string(),
        })?;
        Ok(SealRow {
            id: self.id,
            root: row::bytes(&self.root, "seal", "root", self.id)?,
            source_kind: self.source_kind,
            source_name: self.source_name,
            source_digest: row::bytes(&self.source_digest, "seal", "source_digest", self.id)?,
            as_of: row::instant(self.as_of),
            sealed_at: self.sealed_at.map(row::instant),
            totals: SourceTotals {
                rows: row::uint(self.source_rows),
                sealed: row::uint(self.sealed),
                duplicates: row::uint(self.duplicates),
                conflicts: row::uint(self.conflicts),
                rejected: row::uint(self.rejected),
            },
            names_refused: row::uint(self.names_refused),
            copies: row::uint(self.copies),
            rules: self.rules,
            excluded,
        })
    }
}

impl SqliteStore {
    /// The live seal of a campaign: every read of people goes through it, so that nobody ever reads an
    /// unflipped seal.
    pub(super) async fn seal_of(&self, campaign: i64) -> Result<i64, StoreError> {
        let seal: Option<i64> = sqlx::query_scalar("SELECT seal_id FROM campaign WHERE id = $1")
            .bind(campaign)
            .fetch_one(&self.reader)
            .await
            .map_err(StoreError::on("find the seal"))?;
        seal.ok_or_else(|| {
            StoreError::Conflict(
                "this campaign has no sealed people yet; hint: run `forthwith audience seal`"
                    .into(),
            )
        })
    }
}

#[async_trait]
impl Seals for SqliteStore {
    async fn staging(&self, path: &Path) -> Result<Box<dyn Staging>, StoreError> {
        Ok(Box::new(SqliteStaging::open(self.clone(), path).await?))
    }

    async fn live_seal(&self, campaign: i64) -> Result<Option<SealRow>, StoreError> {
        let found: Option<SealColumns> = sqlx::query_as(
            "SELECT s.id, s.root, s.source_kind, s.source_name, s.source_digest, s.as_of, s.sealed_at,
                    s.source_rows, s.sealed, s.duplicates, s.conflicts, s.rejected, s.names_refused,
                    s.copies, s.rules, s.excluded
             FROM campaign AS c
             JOIN seal AS s ON s.id = c.seal_id
             WHERE c.id = $1",
        )
        .bind(campaign)
        .fetch_optional(&self.reader)
        .await
        .map_err(StoreError::on("read the seal"))?;
        found.map(SealColumns::read).transpose()
    }

    async fn suppressed(&self, campaign: &str) -> Result<Vec<[u8; 16]>, StoreError> {
        let rows: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT digest FROM suppression WHERE scope IN ('', $1)")
                .bind(campaign)
                .fetch_all(&self.reader)
                .await
                .map_err(StoreError::on("read suppressed addresses"))?;
        rows.iter().map(|digest| row::bytes(digest, "suppression", "digest", 0_i64)).collect()
    }

    async fn sample_numbers(&self, seal: i64, count: u32) -> Result<Vec<u64>, StoreError> {
        let chunks: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT first_number, last_number FROM chunk WHERE seal_id = $1 ORDER BY number",
        )
        .bind(seal)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list chunks"))?;
        let mut picked = Vec::new();
        if chunks.is_empty() || count == 0 {
            return Ok(picked);
        }
        let per_chunk = (count as usize).div_ceil(chunks.len()).max(1);
        let step = chunks.len().div_ceil(count as usize).max(1);
        for (first, last) in chunks.iter().step_by(step) {
            let numbers: Vec<i64> = sqlx::query_scalar(
                "SELECT number
                 FROM recipient
                 WHERE seal_id = $1 AND number BETWEEN $2 AND $3
                 ORDER BY number
                 LIMIT $4",
            )
            .bind(seal)
            .bind(first)
            .bind(last)
            .bind(row::int(per_chunk as u64))
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("pick samples"))?;
            picked.extend(numbers.into_iter().map(row::uint));
        }
        picked.truncate(count as usize);
        Ok(picked)
    }
}
