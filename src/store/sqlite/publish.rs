//! From the staging file into the database: slices, digest look-ups in digest order, chunks, the flip.
//!
//! Every slice moves its high-water mark in its own transaction, so a process may die anywhere: the next
//! one continues a copy of the same root, or deletes the slices of a dead one. Slices go over a connection of
//! their own that waits for the disk only where the log is moved into the file: what nobody sees before
//! the flip need not be durable before it, and the flip's commit makes the whole log durable up to itself.

mod bury;
mod checkpoints;
mod chunks;
mod lookup;
mod people;

use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Sqlite};

use self::checkpoints::Checkpoints;
use self::lookup::Lookup;
use super::seals::SealColumns;
use super::staging::parts::Parts;
use super::{SqliteStore, StoreError, options, row};
use crate::domain::totals::SourceTotals;
use crate::store::LedgerMark;
use crate::store::seals::{Publication, SealRow, StagedSource};

pub(super) struct Publisher<'a> {
    pub store: &'a SqliteStore,
    /// The staging file, and the plain files beside it.
    pub staging: &'a SqlitePool,
    pub parts: &'a Parts,
    pub publication: &'a Publication,
    pub source: &'a StagedSource,
    pub totals: SourceTotals,
    pub names_refused: u64,
    pub copies: u64,
}

impl Publisher<'_> {
    pub(super) async fn run(
        &self,
        lines: Vec<String>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<SealRow, StoreError> {
        let mut conn = self.connect().await?;
        self.refuse_sealed(&mut conn).await?;
        self.bury_others(&mut conn).await?;
        let seal = self.begin(&mut conn).await?;
        let mut log = Checkpoints::new(self.store).await?;
        self.people(&mut conn, seal, &mut log, progress).await?;
        self.look_ups(&mut conn, seal, &mut log, Lookup::Account).await?;
        self.look_ups(&mut conn, seal, &mut log, Lookup::Address).await?;
        log.close().await?;
        self.chunks(&mut conn, seal).await?;
        conn.close().await.map_err(StoreError::on("end the copying"))?;
        let (row, mark) = self.flip(seal, lines).await?;
        if let Some(mark) = mark {
            (self.store.on_batch)(mark);
        }
        Ok(row)
    }

    async fn connect(&self) -> Result<SqliteConnection, StoreError> {
        options(&self.store.path)
            .synchronous(SqliteSynchronous::Normal)
            // a slice fits
            .pragma("cache_size", "-4096")
            .pragma("wal_autocheckpoint", "0")
            .pragma("journal_size_limit", "67108864")
            .connect()
            .await
            .map_err(StoreError::on("open the database for copying"))
    }

    /// Refuses before the first slice: what is written for a campaign whose people are sealed would stand
    /// among the living rows.
    async fn refuse_sealed(&self, conn: &mut SqliteConnection) -> Result<(), StoreError> {
        let live: Option<i64> = sqlx::query_scalar("SELECT seal_id FROM campaign WHERE id = $1")
            .bind(self.publication.campaign)
            .fetch_one(conn)
            .await
            .map_err(StoreError::on("look for a live seal"))?;
        live.map_or(Ok(()), |_| Err(sealed_already()))
    }

    async fn begin(&self, conn: &mut SqliteConnection) -> Result<i64, StoreError> {
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM seal WHERE campaign_id = $1 AND state = 'copying' AND root = $2",
        )
        .bind(self.publication.campaign)
        .bind(&self.publication.root[..])
        .fetch_optional(&mut *conn)
        .await
        .map_err(StoreError::on("find an unfinished copy"))?;
        if let Some(seal) = found {
            return Ok(seal);
        }
        // Read to its end: where the disk is full, it is only there that the row is not kept after all.
        let begun: Vec<i64> = sqlx::query_scalar(
            "INSERT INTO seal (campaign_id, state, root, source_kind, source_name, source_digest, as_of,
                               source_rows, sealed, duplicates, conflicts, rejected, names_refused,
                               copies, rules, excluded)
             VALUES ($1, 'copying', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
             RETURNING id",
        )
        .bind(self.publication.campaign)
        .bind(&self.publication.root[..])
        .bind(&self.publication.source_kind)
        .bind(&self.publication.source_name)
        .bind(&self.source.digest[..])
        .bind(row::micros(self.source.as_of))
        .bind(row::int(self.totals.rows))
        .bind(row::int(self.totals.sealed))
        .bind(row::int(self.totals.duplicates))
        .bind(row::int(self.totals.conflicts))
        .bind(row::int(self.totals.rejected))
        .bind(row::int(self.names_refused))
        .bind(row::int(self.copies))
        .bind(&self.source.rules)
        .bind(serde_json::json!(self.publication.excluded).to_string())
        .fetch_all(conn)
        .await
        .map_err(StoreError::on("begin a seal"))?;
        let none = || StoreError::on("begin a seal")(sqlx::Error::RowNotFound);
        begun.first().copied().ok_or_else(none)
    }

    /// Of which earlier campaigns it was made: from the flip on they may not tell its people as well.
    async fn keep_readings(
        &self,
        conn: &mut SqliteConnection,
        seal: i64,
    ) -> Result<(), StoreError> {
        for reading in &self.publication.readings {
            sqlx::query(
                "INSERT INTO seal_reading (seal_id, campaign_id, step, classes)
                 VALUES ($1, $2, $3, $4)
                 ON CONFLICT DO NOTHING",
            )
            .bind(seal)
            .bind(reading.campaign)
            .bind(reading.step)
            .bind(&reading.classes)
            .execute(&mut *conn)
            .await
            .map_err(StoreError::on("keep what a seal was made of"))?;
        }
        Ok(())
    }

    /// One row decides: before it nobody sees the seal, after it everybody does.
    async fn flip(
        &self,
        seal: i64,
        lines: Vec<String>,
    ) -> Result<(SealRow, Option<LedgerMark>), StoreError> {
        let mut write = self.store.write().await?;
        let tx = &mut write.tx;
        let flipped =
            sqlx::query("UPDATE campaign SET seal_id = $2 WHERE id = $1 AND seal_id IS NULL")
                .bind(self.publication.campaign)
                .bind(seal)
                .execute(&mut **tx)
                .await
                .map_err(StoreError::on("flip the seal"))?
                .rows_affected();
        if flipped != 1 {
            return Err(sealed_already());
        }
        sqlx::query("UPDATE seal SET state = 'live', sealed_at = $2 WHERE id = $1")
            .bind(seal)
            .bind(row::micros(self.store.now()))
            .execute(&mut **tx)
            .await
            .map_err(StoreError::on("flip the seal"))?;
        self.keep_readings(tx, seal).await?;
        let now = row::micros(self.store.now());
        let mark = super::append_batch(tx, &self.store.writer_name, &lines, now).await?;
        let found: SealColumns = sqlx::query_as("SELECT * FROM seal WHERE id = $1")
            .bind(seal)
            .fetch_one(&mut **tx)
            .await
            .map_err(StoreError::on("read the seal"))?;
        write.tx.commit().await.map_err(StoreError::on("commit the flip"))?;
        Ok((found.read()?, mark))
    }
}

fn sealed_already() -> StoreError {
    StoreError::Conflict("this campaign's people are sealed already".into())
}

async fn begin_immediate(
    conn: &mut SqliteConnection,
) -> Result<sqlx::Transaction<'_, Sqlite>, StoreError> {
    conn.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::on("begin a write transaction"))
}

#[cfg(test)]
mod tests;
