//! From the staging file into the database: slices, digest look-ups in digest order, chunks, the flip.
//!
//! Every slice moves its high-water mark in its own transaction, so a process may die anywhere: the next
//! one continues a copy of the same root, or deletes the slices of a dead one.

mod chunks;
mod lookup;

use std::path::Path;

use sqlx::{Sqlite, SqliteConnection, pool::PoolConnection};

use self::lookup::Lookup;
use super::seals::SealColumns;
use super::{SqliteStore, StoreError, row};
use crate::domain::totals::SourceTotals;
use crate::store::LedgerMark;
use crate::store::seals::{Publication, SealRow, StagedSource};

/// Rows a slice: well under 100 ms of write transaction.
const SLICE: i64 = 5_000;

/// What a slice copies, the people first: binds are seal, after, last, campaign, now.
const SLICE_OF_PEOPLE: [(&str, &str); 3] = [
    (
        "INSERT INTO recipient (seal_id, number, salt, leaf, body, address_reason, carrier, copy_of,
                                at_address)
         SELECT $1, number, salt, leaf, body, address_reason, NULLIF(carrier, number), copy_of,
                at_address
         FROM staging.row
         WHERE fate = 0 AND number > $2 AND number <= $3
         ORDER BY number",
        "copy a slice of people",
    ),
    (
        "INSERT INTO delivery (campaign_id, number, class, reason, changed_at)
         SELECT $4, number, substr(label, 1, instr(label, '/') - 1),
                substr(label, instr(label, '/') + 1), $5
         FROM staging.born
         WHERE number > $2 AND number <= $3 AND label <> 'queued'
         ORDER BY number",
        "copy a slice of classes",
    ),
    (
        "INSERT INTO follower (campaign_id, number, leader, kind, person)
         SELECT $4, number, leader, kind, person
         FROM staging.follower
         WHERE number > $2 AND number <= $3
         ORDER BY number",
        "copy a slice of groups",
    ),
];

pub(super) struct Publisher<'a> {
    pub store: &'a SqliteStore,
    pub path: &'a Path,
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
        let mut conn =
            self.store.writer.acquire().await.map_err(StoreError::on("take the writer"))?;
        // A copy whose future was dropped left its file attached to this connection.
        let _ = sqlx::query("DETACH DATABASE staging").execute(&mut *conn).await;
        sqlx::query("ATTACH DATABASE $1 AS staging")
            .bind(self.path.display().to_string())
            .execute(&mut *conn)
            .await
            .map_err(StoreError::on("attach the staging file"))?;
        let result = self.copy(&mut conn, lines, progress).await;
        let detached = sqlx::query("DETACH DATABASE staging").execute(&mut *conn).await;
        let (row, mark) = result?;
        detached.map_err(StoreError::on("detach the staging file"))?;
        drop(conn);
        if let Some(mark) = mark {
            (self.store.on_batch)(mark);
        }
        Ok(row)
    }

    async fn copy(
        &self,
        conn: &mut PoolConnection<Sqlite>,
        lines: Vec<String>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(SealRow, Option<LedgerMark>), StoreError> {
        self.refuse_sealed(conn).await?;
        self.bury_others(conn).await?;
        let seal = self.begin(conn).await?;
        let mut copied = 0;
        while let Some(rows) = self.slice_of_people(conn, seal).await? {
            copied += rows;
            progress(copied);
        }
        while self.slice_of_lookups(conn, seal, Lookup::Account).await? {}
        while self.slice_of_lookups(conn, seal, Lookup::Address).await? {}
        self.chunks(conn, seal).await?;
        self.flip(conn, seal, lines).await
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

    /// Deletes the slices of copies that will never go live, by keyset.
    async fn bury_others(&self, conn: &mut SqliteConnection) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE seal SET state = 'dead'
             WHERE campaign_id = $1 AND state = 'copying' AND root <> $2",
        )
        .bind(self.publication.campaign)
        .bind(&self.publication.root[..])
        .execute(&mut *conn)
        .await
        .map_err(StoreError::on("give up an older copy"))?;
        let dead: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM seal WHERE campaign_id = $1 AND state = 'dead'")
                .bind(self.publication.campaign)
                .fetch_all(&mut *conn)
                .await
                .map_err(StoreError::on("find dead copies"))?;
        for seal in dead {
            for sql in [
                "DELETE FROM recipient WHERE (seal_id, number) IN
                     (SELECT seal_id, number FROM recipient WHERE seal_id = $1 LIMIT 5000)",
                "DELETE FROM account_lookup WHERE (seal_id, digest, number) IN
                     (SELECT seal_id, digest, number FROM account_lookup WHERE seal_id = $1 LIMIT 5000)",
                "DELETE FROM address_lookup WHERE (seal_id, digest, number) IN
                     (SELECT seal_id, digest, number FROM address_lookup WHERE seal_id = $1 LIMIT 5000)",
                "DELETE FROM chunk WHERE (seal_id, number) IN
                     (SELECT seal_id, number FROM chunk WHERE seal_id = $1 LIMIT 5000)",
            ] {
                while execute(conn, "delete a dead copy", sql, seal).await? > 0 {}
            }
            // No seal of this campaign is live yet, so every delivery row it has was born by a dead one.
            let campaign = self.publication.campaign;
            for born in [
                "DELETE FROM delivery WHERE (campaign_id, number) IN
                     (SELECT campaign_id, number FROM delivery WHERE campaign_id = $1 LIMIT 5000)",
                "DELETE FROM follower WHERE (campaign_id, number) IN
                     (SELECT campaign_id, number FROM follower WHERE campaign_id = $1 LIMIT 5000)",
            ] {
                while execute(conn, "delete a dead copy's classes", born, campaign).await? > 0 {}
            }
            execute(conn, "delete a dead seal", "DELETE FROM seal WHERE id = $1", seal).await?;
        }
        Ok(())
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

    async fn slice_of_people(
        &self,
        conn: &mut SqliteConnection,
        seal: i64,
    ) -> Result<Option<u64>, StoreError> {
        let mut tx = begin_immediate(conn).await?;
        let (after, last): (i64, Option<i64>) = sqlx::query_as(
            "SELECT s.copied_number,
                    (SELECT MAX(number) FROM (
                         SELECT number FROM staging.row
                         WHERE fate = 0 AND number > s.copied_number
                         ORDER BY number LIMIT $2))
             FROM seal AS s
             WHERE s.id = $1",
        )
        .bind(seal)
        .bind(SLICE)
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::on("find the next slice"))?;
        let Some(last) = last else { return Ok(None) };
        let mut people = 0;
        for (place, (sql, what)) in SLICE_OF_PEOPLE.into_iter().enumerate() {
            let rows = sqlx::query(sql)
                .bind(seal)
                .bind(after)
                .bind(last)
                .bind(self.publication.campaign)
                .bind(row::micros(self.store.now()))
                .execute(&mut *tx)
                .await
                .map_err(StoreError::on(what))?
                .rows_affected();
            if place == 0 {
                people = rows;
            }
        }
        sqlx::query("UPDATE seal SET copied_number = $2 WHERE id = $1")
            .bind(seal)
            .bind(last)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::on("move the slice mark"))?;
        tx.commit().await.map_err(StoreError::on("commit a slice"))?;
        Ok(Some(people))
    }

    async fn slice_of_lookups(
        &self,
        conn: &mut SqliteConnection,
        seal: i64,
        lookup: Lookup,
    ) -> Result<bool, StoreError> {
        let (bound, insert, advance) = lookup.statements();
        let mut tx = begin_immediate(conn).await?;
        let (after, last): (Vec<u8>, Option<Vec<u8>>) = sqlx::query_as(bound)
            .bind(seal)
            .bind(SLICE)
            .fetch_one(&mut *tx)
            .await
            .map_err(StoreError::on("find the next slice of digests"))?;
        let Some(last) = last else { return Ok(false) };
        for (sql, what) in [(insert, "copy a slice of digests"), (advance, "move the digest mark")]
        {
            sqlx::query(sql)
                .bind(seal)
                .bind(&after)
                .bind(&last)
                .execute(&mut *tx)
                .await
                .map_err(StoreError::on(what))?;
        }
        tx.commit().await.map_err(StoreError::on("commit a slice"))?;
        Ok(true)
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
        conn: &mut PoolConnection<Sqlite>,
        seal: i64,
        lines: Vec<String>,
    ) -> Result<(SealRow, Option<LedgerMark>), StoreError> {
        let mut tx = begin_immediate(conn).await?;
        let flipped =
            sqlx::query("UPDATE campaign SET seal_id = $2 WHERE id = $1 AND seal_id IS NULL")
                .bind(self.publication.campaign)
                .bind(seal)
                .execute(&mut *tx)
                .await
                .map_err(StoreError::on("flip the seal"))?
                .rows_affected();
        if flipped != 1 {
            return Err(sealed_already());
        }
        sqlx::query("UPDATE seal SET state = 'live', sealed_at = $2 WHERE id = $1")
            .bind(seal)
            .bind(row::micros(self.store.now()))
            .execute(&mut *tx)
            .await
            .map_err(StoreError::on("flip the seal"))?;
        self.keep_readings(&mut tx, seal).await?;
        let mark = super::append_batch(
            &mut tx,
            &self.store.writer_name,
            &lines,
            row::micros(self.store.now()),
        )
        .await?;
        let found: SealColumns = sqlx::query_as("SELECT * FROM seal WHERE id = $1")
            .bind(seal)
            .fetch_one(&mut *tx)
            .await
            .map_err(StoreError::on("read the seal"))?;
        tx.commit().await.map_err(StoreError::on("commit the flip"))?;
        Ok((found.read()?, mark))
    }
}

fn sealed_already() -> StoreError {
    StoreError::Conflict("this campaign's people are sealed already".into())
}

async fn begin_immediate(
    conn: &mut SqliteConnection,
) -> Result<sqlx::Transaction<'_, Sqlite>, StoreError> {
    use sqlx::Connection as _;
    conn.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::on("begin a write transaction"))
}

async fn execute(
    conn: &mut SqliteConnection,
    what: &'static str,
    sql: &'static str,
    bind: i64,
) -> Result<u64, StoreError> {
    let done = sqlx::query(sql).bind(bind).execute(conn).await.map_err(StoreError::on(what))?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests;
