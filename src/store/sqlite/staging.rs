//! A seal under construction: a SQLite file of its own beside the database, and three plain files beside it.
//!
//! What is little and asked for in many ways lies in SQLite: chunks, repeated accounts, shared and second
//! addresses, where the rows came from. What is much and only walked over lies in the plain files: the rows
//! (`-rows`), and the digests of accounts and addresses in their order (`-accounts`, `-addresses`).
//!
//! A load that was not finished counts for nothing: the row in `source` ends it, written once everything else
//! is, and it goes before anything is written anew. Nothing waits for the disk: what a process that dies has
//! written is all there, and what a machine that dies has written is not believed, since `source` names the
//! boot it was loaded in.

pub(super) mod births;
pub(super) mod digests;
mod groups;
mod intake;
mod noted;
pub(super) mod numbers;
pub(super) mod parts;
pub(super) mod rows;
mod sorter;
mod tables;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use tokio::task::JoinHandle;

use self::intake::Intake;
use self::numbers::Numbers;
use self::parts::Parts;
use self::rows::{Filling, RowsReader};
use super::publish::Publisher;
use super::{SqliteStore, StoreError, options, row};
use crate::domain::chunk::chunk_of;
use crate::domain::totals::SourceTotals;
use crate::store::seals::{
    Duplicate, Publication, SealRow, SharedLimits, StagedChunk, StagedRow, StagedSource, Staging,
    Unnamed,
};

/// Accounts or addresses walked over before what was found is written down.
const WALK: usize = 20_000;

/// The staging file and the store it will be published into.
pub(super) struct SqliteStaging {
    store: SqliteStore,
    parts: Parts,
    pool: SqlitePool,
    /// What takes rows in, on a thread of its own.
    intake: Option<JoinHandle<io::Result<Intake>>>,
    dropped: Option<Arc<Numbers>>,
    /// The rows, and the chunk whose leaves were given last.
    leaves: Option<RowsReader>,
}

impl SqliteStaging {
    pub(super) async fn open(store: SqliteStore, path: &Path) -> Result<Self, StoreError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options(path).create_if_missing(true).synchronous(SqliteSynchronous::Off))
            .await
            .map_err(|source| StoreError::Open {
                path: path.display().to_string(),
                hint: "is the folder writable, and is there space?".into(),
                source,
            })?;
        let parts = Parts::beside(path);
        tables::shape(&pool).await?;
        Ok(Self { store, parts, pool, intake: None, dropped: None, leaves: None })
    }

    async fn run(&self, what: &'static str, sql: &'static str) -> Result<(), StoreError> {
        sqlx::raw_sql(sql).execute(&self.pool).await.map_err(StoreError::on(what))?;
        Ok(())
    }

    /// What takes rows in, once it has taken in those before.
    async fn intake(&mut self) -> Result<Intake, StoreError> {
        let taken = match self.intake.take() {
            Some(taking) => taking.await.unwrap_or_else(|died| Err(io::Error::other(died))),
            None => Intake::create(&self.parts),
        };
        taken.map_err(self.parts.failed())
    }

    /// Numbers of rows that are not kept.
    async fn dropped(&mut self) -> Result<Arc<Numbers>, StoreError> {
        if let Some(dropped) = &self.dropped {
            return Ok(Arc::clone(dropped));
        }
        let dropped = Arc::new(noted::dropped(&self.pool).await?);
        self.dropped = Some(Arc::clone(&dropped));
        Ok(dropped)
    }

    /// Marks duplicates, conflicts and shared addresses; gives the lengths of the plain files.
    async fn compare(
        &mut self,
        limits: SharedLimits,
    ) -> Result<([u64; 3], Vec<Filling>), StoreError> {
        let failed = self.parts.failed();
        let intake = self.intake().await?;
        let (rows, chunks, mut twins, mut neighbours) =
            intake.finish(&self.parts).map_err(&failed)?;
        let mut found = Vec::new();
        loop {
            let is_more = twins.walk(WALK, &mut found).map_err(&failed)?;
            noted::keep(&self.pool, &found).await?;
            found.clear();
            if !is_more {
                break;
            }
        }
        groups::follow(&self.pool).await?;
        let dropped = self.dropped().await?;
        loop {
            let is_more = neighbours.walk(WALK, &dropped, &mut found).map_err(&failed)?;
            noted::keep(&self.pool, &found).await?;
            found.clear();
            if !is_more {
                break;
            }
        }
        groups::form(&self.pool, limits).await?;
        let accounts = twins.finish().map_err(&failed)?;
        let addresses = neighbours.finish().map_err(&failed)?;
        Ok(([rows, accounts, addresses], chunks))
    }

    /// The chunk behind that of a number: its own number, where it lies, its rows.
    async fn next_chunk(&self, after: u64) -> Result<Option<(u64, u64, u64)>, StoreError> {
        let found: Option<(i64, i64, i64)> = sqlx::query_as(
            "SELECT number, last, rows FROM chunk WHERE number >= $1 AND rows > 0 ORDER BY number LIMIT 1",
        )
        .bind(row::int(after))
        .fetch_optional(&self.pool)
        .await
        .map_err(StoreError::on("find the next chunk"))?;
        Ok(found.map(|(number, last, rows)| (row::uint(number), row::uint(last), row::uint(rows))))
    }
}

#[async_trait]
impl Staging for SqliteStaging {
    async fn loaded(&mut self) -> Result<Option<StagedSource>, StoreError> {
        let found: Option<(Vec<u8>, i64, i64, i64, String, String, String)> =
            sqlx::query_as("SELECT digest, as_of, rows, rejected, rules, boot, bytes FROM source")
                .fetch_optional(&self.pool)
                .await
                .map_err(StoreError::on("read the staging file"))?;
        let Some((digest, as_of, rows, rejected, rules, boot, bytes)) = found else {
            return Ok(None);
        };
        // Somebody removed or cut one of its files.
        let lengths = self.parts.lengths().map(|lengths| json!(lengths).to_string());
        if lengths.is_none_or(|lengths| lengths != bytes) {
            return Ok(None);
        }
        Ok(Some(StagedSource {
            digest: row::bytes(&digest, "source", "digest", 1)?,
            as_of: row::instant(as_of),
            rows: row::uint(rows),
            rejected: row::uint(rejected),
            rules,
            boot,
        }))
    }

    async fn restart(&mut self) -> Result<(), StoreError> {
        // a thread that still writes for a load given up must have ended before its files are made anew
        if let Some(taking) = self.intake.take() {
            let _ = taking.await;
        }
        self.dropped = None;
        self.leaves = None;
        self.run(
            "empty the staging file",
            "DELETE FROM source;
             DROP INDEX IF EXISTS noted_by_address;
             DELETE FROM noted;
             DELETE FROM follower;
             DELETE FROM place;
             DELETE FROM chunk;
             DELETE FROM duplicate;",
        )
        .await
    }

    async fn append(&mut self, rows: Vec<StagedRow>) -> Result<(), StoreError> {
        groups::stage_copies(&self.pool, &rows).await?;
        let mut intake = self.intake().await?;
        self.intake = Some(tokio::task::spawn_blocking(move || {
            rows.iter().try_for_each(|staged| intake.push(staged))?;
            Ok(intake)
        }));
        Ok(())
    }

    async fn finish_loading(
        &mut self,
        chunks: Vec<StagedChunk>,
        source: StagedSource,
        limits: SharedLimits,
    ) -> Result<(), StoreError> {
        let (bytes, filled) = self.compare(limits).await?;
        let mut tx =
            self.pool.begin().await.map_err(StoreError::on("begin a staging transaction"))?;
        for part in chunks.chunks(1_000) {
            let rows: Vec<Value> = part.iter().map(|chunk| chunk_row(chunk, &filled)).collect();
            sqlx::query(
                "INSERT INTO chunk (number, cohort, provider, zone, is_copy, last, rows, born)
                 SELECT j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 3, j.value ->> 4,
                        j.value ->> 5, j.value ->> 6, j.value ->> 7
                 FROM json_each($1) AS j",
            )
            .bind(json!(rows).to_string())
            .execute(&mut *tx)
            .await
            .map_err(StoreError::on("stage chunks"))?;
        }
        sqlx::query(
            "INSERT INTO source (one, digest, as_of, rows, rejected, rules, boot, bytes)
             VALUES (1, $1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&source.digest[..])
        .bind(row::micros(source.as_of))
        .bind(row::int(source.rows))
        .bind(row::int(source.rejected))
        .bind(source.rules)
        .bind(source.boot)
        .bind(json!(bytes).to_string())
        .execute(&mut *tx)
        .await
        .map_err(StoreError::on("note the staged source"))?;
        tx.commit().await.map_err(StoreError::on("commit the staged source"))
    }

    async fn duplicates(
        &mut self,
        after_line: u64,
        limit: u32,
    ) -> Result<Vec<Duplicate>, StoreError> {
        let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT line, of_line, of_number, is_conflict
             FROM duplicate
             WHERE line > $1
             ORDER BY line
             LIMIT $2",
        )
        .bind(row::int(after_line))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::on("list duplicates"))?;
        let read = |(line, of_line, of_number, is_conflict)| Duplicate {
            line: row::uint(line),
            of_line: row::uint(of_line),
            of_number: row::uint(of_number),
            is_conflict: is_conflict == 1,
        };
        Ok(rows.into_iter().map(read).collect())
    }

    async fn leaves(&mut self, after: Option<u64>) -> Result<Vec<(u64, [u8; 32])>, StoreError> {
        let dropped = self.dropped().await?;
        let mut after = after.map_or(0, |number| chunk_of(number) + 1);
        loop {
            let Some((chunk, last, rows)) = self.next_chunk(after).await? else {
                return Ok(Vec::new());
            };
            let reader = match &mut self.leaves {
                Some(reader) => reader,
                None => self.leaves.insert(self.parts.open_rows()?),
            };
            reader.chunk(chunk, last, rows).map_err(self.parts.failed())?;
            let mut leaves = Vec::new();
            let kept = reader.each(|row| {
                if !dropped.has(row.number) {
                    leaves.push((row.number, *row.leaf));
                }
                Ok(())
            });
            kept.map_err(self.parts.failed())?;
            if !leaves.is_empty() {
                return Ok(leaves);
            }
            after = chunk + 1;
        }
    }

    async fn totals(&mut self) -> Result<(SourceTotals, u64), StoreError> {
        let source = self.loaded().await?;
        let totals = births::totals(&self.pool, source.as_ref()).await?;
        let names = births::counts(&self.pool).await?.remove("names-refused").unwrap_or(0);
        Ok((totals, names))
    }

    async fn births(&mut self) -> Result<BTreeMap<String, u64>, StoreError> {
        births::counts(&self.pool).await
    }

    async fn unnamed(&mut self, after: u64, limit: u32) -> Result<Vec<Unnamed>, StoreError> {
        let numbers = groups::unnamed(&self.pool, after, limit).await?;
        let mut reader = self.parts.open_rows()?;
        let mut found = Vec::with_capacity(numbers.len());
        let mut left = &numbers[..];
        while let Some(first) = left.first() {
            let number = chunk_of(*first);
            let here = left.iter().take_while(|one| chunk_of(**one) == number).count();
            let (wanted, behind) = left.split_at(here);
            left = behind;
            let Some((chunk, last, rows)) = self.next_chunk(number).await? else { break };
            reader.chunk(chunk, last, rows).map_err(self.parts.failed())?;
            let walked = reader.each(|row| {
                if wanted.binary_search(&row.number).is_ok() {
                    let (number, salt, body) = (row.number, *row.salt, row.body.to_vec());
                    found.push(Unnamed { number, salt, body });
                }
                Ok(())
            });
            walked.map_err(self.parts.failed())?;
        }
        Ok(found)
    }

    async fn name(&mut self, named: Vec<(u64, String)>) -> Result<(), StoreError> {
        groups::name(&self.pool, named).await
    }

    async fn publish(
        &mut self,
        publication: Publication,
        lines: Vec<String>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<SealRow, StoreError> {
        let source = self.loaded().await?.ok_or_else(|| {
            StoreError::Conflict("the staging file was not loaded to its end".into())
        })?;
        let (totals, names_refused) = self.totals().await?;
        let copies: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM follower WHERE kind = 'copy'")
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::on("count second addresses"))?;
        Publisher {
            store: &self.store,
            staging: &self.pool,
            parts: &self.parts,
            publication: &publication,
            source: &source,
            totals,
            names_refused,
            copies: row::uint(copies),
        }
        .run(lines, progress)
        .await
    }
}

fn chunk_row(chunk: &StagedChunk, filled: &[Filling]) -> Value {
    let nothing = Filling::default();
    let filling = usize::try_from(chunk.number).ok().and_then(|at| filled.get(at));
    let filling = filling.unwrap_or(&nothing);
    let born: BTreeMap<String, u64> =
        filling.born.iter().map(|(facts, count)| (births::kind(*facts), *count)).collect();
    let key = &chunk.key;
    json!([
        chunk.number,
        key.cohort,
        key.provider,
        key.zone,
        i64::from(key.is_copy),
        filling.last,
        filling.rows,
        json!(born).to_string()
    ])
}
