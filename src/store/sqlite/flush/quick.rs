//! The recorder's transaction in few statements, for the flush in which nothing is out of the ordinary.
//!
//! Each statement costs a hop to the connection's thread and each returned row a copy, so a flush asks once
//! what holds, writes all at once and compares how many rows were written. Where anything is otherwise
//! (a fence, an amendment, a group, an outcome that was there), nothing is kept and the careful way decides.

use std::collections::HashMap;

use serde_json::json;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::{
    chunks_of, insert_intents_sql, insert_outcomes_sql, intent_rows, wire as outcome_rows,
};
use crate::domain::chunk::chunk_of;
use crate::domain::pace::day_of;
use crate::store::deliveries::{Claimant, Flush, Move};
use crate::store::sqlite::classes::{
    Counters, Moved, change_rows_sql, set_counters_sql, wire as move_rows,
};
use crate::store::sqlite::pace::{begun_rows, count_begun_sql};
use crate::store::sqlite::tokens::{issue_sql, token_rows};
use crate::store::sqlite::waves::moved::{keep_breaker_sql, note_permits_sql, permits};
use crate::store::sqlite::{SqliteStore, WriteTx, append_batch_sql, entries};
use crate::store::{LedgerMark, StoreError, row};

/// How the chunks stand that a flush touches, and whether any row it ends has followers.
const STANDING: &str = "SELECT c.seal_id, k.epoch, k.owner IS $3 AND k.incarnation = $4 AS is_held,
            EXISTS (SELECT 1 FROM follower WHERE campaign_id = $1)
            AND EXISTS (SELECT 1 FROM json_each($5) AS e
                        WHERE EXISTS (SELECT 1 FROM follower AS f
                                      WHERE f.campaign_id = $1 AND f.number = e.value)
                           OR EXISTS (SELECT 1 FROM follower AS f INDEXED BY follower_by_leader
                                      WHERE f.campaign_id = $1 AND f.leader = e.value)) AS is_grouped,
            k.number, k.queued, k.deferred, k.in_doubt, k.held, k.fallback, k.told, k.withdrawn,
            k.waived, k.in_flight_queued, k.in_flight_deferred, k.carried_queued, k.carried_deferred,
            k.reasons, k.credentials
     FROM campaign AS c
     CROSS JOIN json_each($2) AS j
     CROSS JOIN chunk AS k ON k.seal_id = c.seal_id AND k.number = j.value
     WHERE c.id = $1";

/// All that a flush writes; each of the first four tells how many rows it wrote.
const WRITE: &str = concat!(
    insert_outcomes_sql!("$2", "$1"),
    "; SELECT changes(); ",
    change_rows_sql!("$3", "$1", "$4"),
    "; SELECT changes(); ",
    insert_intents_sql!("$5", "$1", "$7", "$8", "$6"),
    "; SELECT changes(); ",
    issue_sql!("$9", "$1"),
    "; SELECT changes(); ",
    set_counters_sql!("$10", "$11"),
    "; ",
    count_begun_sql!("$12", "$13"),
    "; ",
    note_permits_sql!("$1", "$11", "$14", "$15"),
    "; ",
    keep_breaker_sql!("$1", "$16"),
    "; ",
    append_batch_sql!("$17", "$18", "$19", "$20", "$21"),
);

#[derive(sqlx::FromRow)]
struct Standing {
    seal_id: i64,
    epoch: i64,
    is_held: i64,
    is_grouped: i64,
    #[sqlx(flatten)]
    counters: Counters,
}

impl SqliteStore {
    /// Commits a flush if every row of it can be written as it is; else writes nothing.
    pub(super) async fn flush_quickly(
        &self,
        campaign: i64,
        claimant: &Claimant,
        flush: &Flush,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let Some((seal, chunks)) = self.ordinary(&mut write, campaign, claimant, flush).await?
        else {
            return Ok(false);
        };
        // A refused CHECK too: what is wrong, if anything is, the careful way tells row by row.
        let written = self.write_all(&mut write, campaign, claimant, flush, seal, &chunks).await;
        if matches!(written, Ok(true)) {
            self.commit(write).await?;
            return Ok(true);
        }
        // SQLite takes back by itself what a full disk stopped; then the first error is the one to tell.
        match write.tx.rollback().await.map_err(StoreError::on("take back a flush")) {
            Ok(()) => Ok(false),
            Err(error) => Err(written.err().unwrap_or(error)),
        }
    }

    /// The seal and the chunks of a flush that this worker holds all of, and that moves no group.
    async fn ordinary(
        &self,
        write: &mut WriteTx,
        campaign: i64,
        claimant: &Claimant,
        flush: &Flush,
    ) -> Result<Option<(i64, Vec<Counters>)>, StoreError> {
        let wanted = chunks_of(flush);
        let ended: Vec<u64> = flush.ended.iter().map(|one| one.key.number).collect();
        let found: Vec<Standing> = sqlx::query_as(STANDING)
            .bind(campaign)
            .bind(json!(wanted).to_string())
            .bind(&claimant.worker)
            .bind(row::int(claimant.incarnation))
            .bind(json!(ended).to_string())
            .fetch_all(write.conn())
            .await
            .map_err(StoreError::on("look at a flush's chunks"))?;
        let held: HashMap<u64, u64> = found
            .iter()
            .filter(|chunk| chunk.is_held == 1)
            .map(|chunk| (row::uint(chunk.counters.number), row::uint(chunk.epoch)))
            .collect();
        let owns = |number: u64, epoch: u64| held.get(&chunk_of(number)) == Some(&epoch);
        let is_ordinary = found.iter().all(|chunk| chunk.is_grouped == 0)
            && flush.ended.iter().all(|one| owns(one.key.number, one.epoch))
            && flush.intents.iter().all(|one| owns(one.key.number, one.epoch));
        let seal = found.first().map(|chunk| chunk.seal_id).filter(|_| is_ordinary);
        Ok(seal.map(|seal| (seal, found.into_iter().map(|chunk| chunk.counters).collect())))
    }

    /// Writes all; tells whether that were as many rows as there are.
    async fn write_all(
        &self,
        write: &mut WriteTx,
        campaign: i64,
        claimant: &Claimant,
        flush: &Flush,
        seal: i64,
        chunks: &[Counters],
    ) -> Result<bool, StoreError> {
        let now = row::micros(claimant.now);
        let moves = || flush.ended.iter().filter_map(|one| one.change.as_ref());
        let moved = moved(flush, moves());
        let lines: Vec<&str> = moves().map(|change| change.line.as_str()).collect();
        let (entries, sha256) = entries(&lines);
        let (intents, contents) = intent_rows(flush.intents.iter());
        let (tokens, issued) = token_rows(flush.intents.iter());
        let (first_permit, begun) = permits(flush.ended.iter());
        let told: Vec<SqliteRow> = sqlx::query(WRITE)
            .bind(campaign)
            .bind(outcome_rows(flush.ended.iter()))
            .bind(move_rows(moves()))
            .bind(now)
            .bind(intents)
            .bind(contents)
            .bind(row::int(claimant.incarnation))
            .bind(&claimant.worker)
            .bind(tokens)
            .bind(moved.counters(chunks.iter())?)
            .bind(seal)
            .bind(begun_rows(&flush.begun))
            .bind(day_of(claimant.now).to_string())
            .bind(first_permit)
            .bind(begun)
            .bind(flush.breaker.as_deref())
            .bind(&self.writer_name)
            .bind(row::int(lines.len() as u64))
            .bind(&sha256[..])
            .bind(entries)
            .bind(row::micros(self.now()))
            .fetch_all(write.conn())
            .await
            .map_err(StoreError::on("write a flush"))?;
        let told: Vec<i64> = told
            .iter()
            .map(|row| row.try_get(0).map_err(StoreError::on("read what was written")))
            .collect::<Result<_, _>>()?;
        let wanted = [flush.ended.len(), lines.len(), flush.intents.len(), issued];
        let Some((written, batch)) = told.split_at_checked(wanted.len()) else { return Ok(false) };
        let is_all = wanted.iter().zip(written).all(|(want, got)| *want as u64 == row::uint(*got));
        write.mark = batch.first().map(|id| LedgerMark { batch_id: *id, sha256 });
        // A change of a class without its line in the ledger is nothing to commit.
        Ok(is_all && write.mark.is_some() != lines.is_empty())
    }
}

/// What moves if every row is written.
fn moved<'m>(flush: &Flush, moves: impl Iterator<Item = &'m Move>) -> Moved {
    let mut moved = Moved::default();
    for one in &flush.ended {
        moved.flight(one.key.number, &one.from, -1);
    }
    for change in moves {
        moved.class(change, false);
    }
    for intent in &flush.intents {
        moved.flight(intent.key.number, &intent.from, 1);
    }
    moved
}
