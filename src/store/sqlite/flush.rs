//! Outcomes and intents, committed together: the recorder's transaction and the rescue's.

mod quick;

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::json;
use sqlx::SqliteConnection;

use super::classes::{Lines, Moved, change_rows, move_counters};
use super::pace::count_begun;
use super::waves::moved::{keep_breaker, note_permits};
use super::{SqliteStore, StoreError, row, tokens};
use crate::domain::chunk::chunk_of;
use crate::domain::delivery::AttemptKey;
use crate::domain::pace::day_of;
use crate::domain::reply::ReplyClass;
use crate::store::deliveries::{Claimant, Ended, Flush, Flushed, NewIntent};

/// Chunks this worker may write to, by number: the epoch it holds them under.
type Held = HashMap<u64, u64>;

impl SqliteStore {
    /// The recorder's transaction: in few statements where all goes as nearly always, else step by step.
    /// The quick way writes all or nothing, so that the other one begins from the same database.
    pub(super) async fn flush_worker(
        &self,
        campaign: i64,
        claimant: &Claimant,
        flush: &Flush,
    ) -> Result<Flushed, StoreError> {
        if self.flush_quickly(campaign, claimant, flush).await? {
            return Ok(Flushed::default());
        }
        self.flush_carefully(campaign, claimant, flush).await
    }

    /// The same step by step: tells of each row whether it could be written.
    async fn flush_carefully(
        &self,
        campaign: i64,
        claimant: &Claimant,
        flush: &Flush,
    ) -> Result<Flushed, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let now = row::micros(claimant.now);
        let mut write = self.write().await?;
        let held = held(write.conn(), seal, claimant, flush).await?;
        let owns = |number: u64, epoch: u64| held.get(&chunk_of(number)) == Some(&epoch);

        let (fenced_in, mut late): (Vec<&Ended>, Vec<&Ended>) =
            flush.ended.iter().partition(|e| owns(e.key.number, e.epoch));
        let mut moved = Moved::default();
        let (lines, unpaired) =
            end_attempts(write.conn(), campaign, &fenced_in, now, &mut moved).await?;
        late.extend(unpaired);
        keep_late(write.conn(), campaign, claimant, &late, now).await?;

        let startable: Vec<&NewIntent> =
            flush.intents.iter().filter(|i| owns(i.key.number, i.epoch)).collect();
        let started =
            insert_intents(write.conn(), campaign, claimant, &startable, &mut moved).await?;
        move_counters(write.conn(), seal, &moved).await?;
        count_begun(write.conn(), day_of(claimant.now), &flush.begun).await?;
        note_permits(write.conn(), campaign, seal, &fenced_in).await?;
        if let Some(attempts) = &flush.breaker {
            keep_breaker(write.conn(), campaign, attempts).await?;
        }
        self.log(&mut write, &lines).await?;
        self.commit(write).await?;
        Ok(Flushed {
            refused: flush
                .intents
                .iter()
                .map(|intent| intent.key)
                .filter(|key| !started.contains(key))
                .collect(),
            late: late.iter().map(|ended| ended.key).collect(),
        })
    }

    /// Rule R1: take every leased chunk and pair its intents, at once.
    pub(super) async fn rescue_dead(
        &self,
        campaign: i64,
        ended: Vec<Ended>,
    ) -> Result<u64, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        let mut moved = Moved::default();
        let all: Vec<&Ended> = ended.iter().collect();
        let (lines, _) = end_attempts(write.conn(), campaign, &all, now, &mut moved).await?;
        move_counters(write.conn(), seal, &moved).await?;
        note_permits(write.conn(), campaign, seal, &all).await?;
        let taken = sqlx::query(
            "UPDATE chunk
             SET owner = NULL, epoch = epoch + 1, lease_until = NULL
             WHERE seal_id = $1 AND owner IS NOT NULL",
        )
        .bind(seal)
        .execute(write.conn())
        .await
        .map_err(StoreError::on("take a dead worker's chunks"))?
        .rows_affected();
        self.log(&mut write, &lines).await?;
        self.commit(write).await?;
        Ok(taken)
    }
}

/// The chunks that a flush touches.
fn chunks_of(flush: &Flush) -> BTreeSet<u64> {
    let ended = flush.ended.iter().map(|ended| ended.key);
    let begun = flush.intents.iter().map(|intent| intent.key);
    ended.chain(begun).map(|key| chunk_of(key.number)).collect()
}

async fn held(
    conn: &mut SqliteConnection,
    seal: i64,
    claimant: &Claimant,
    flush: &Flush,
) -> Result<Held, StoreError> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT number, epoch
         FROM chunk
         WHERE seal_id = $1
           AND owner = $2
           AND incarnation = $3
           AND number IN (SELECT value FROM json_each($4))",
    )
    .bind(seal)
    .bind(&claimant.worker)
    .bind(row::int(claimant.incarnation))
    .bind(json!(chunks_of(flush)).to_string())
    .fetch_all(conn)
    .await
    .map_err(StoreError::on("check the fence"))?;
    Ok(rows.into_iter().map(|(chunk, epoch)| (row::uint(chunk), row::uint(epoch))).collect())
}

/// An outcome a row; one whose attempt has one already is passed over.
macro_rules! insert_outcomes_sql {
    ($rows:literal, $campaign:literal) => {
        concat!(
            "INSERT INTO outcome (campaign_id, number, generation, n, result, phase, code, enhanced,
                                  reply_class, queue_id, reply, ended_at)
             SELECT ", $campaign, ", j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 4,
                    j.value ->> 5, j.value ->> 6, j.value ->> 7, j.value ->> 8, j.value ->> 9,
                    unhex(j.value ->> 10), j.value ->> 11
             FROM jsonb_each(", $rows, ") AS j
             WHERE true
             ON CONFLICT DO NOTHING"
        )
    };
}
pub(super) use insert_outcomes_sql;

const INSERT_OUTCOMES: &str =
    concat!(insert_outcomes_sql!("$1", "$2"), " RETURNING number, generation, n");

/// Inserts outcomes, changes the rows they move; returns ledger lines of what changed, and the outcomes
/// whose attempt had one already.
async fn end_attempts<'a>(
    conn: &mut SqliteConnection,
    campaign: i64,
    ended: &[&'a Ended],
    now: i64,
    moved: &mut Moved,
) -> Result<(Vec<String>, Vec<&'a Ended>), StoreError> {
    if ended.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let inserted: Vec<(i64, i64, i64)> = sqlx::query_as(INSERT_OUTCOMES)
        .bind(wire(ended.iter().copied()))
        .bind(campaign)
        .fetch_all(&mut *conn)
        .await
        .map_err(StoreError::on("insert outcomes"))?;
    let paired: HashSet<AttemptKey> = inserted.into_iter().map(key).collect();
    let mut moves = Vec::new();
    for one in ended.iter().filter(|one| paired.contains(&one.key)) {
        moved.flight(one.key.number, &one.from, -1);
        moves.extend(one.change.as_ref());
    }
    let Lines(lines) = change_rows(conn, campaign, &moves, now, moved).await?;
    let late = ended.iter().copied().filter(|one| !paired.contains(&one.key)).collect();
    Ok((lines, late))
}

fn key((number, generation, n): (i64, i64, i64)) -> AttemptKey {
    AttemptKey { number: row::uint(number), generation: row::small(generation), n: row::small(n) }
}

/// Outcomes as [`insert_outcomes_sql`] reads them, each with the epoch of its lease.
fn wire<'e>(ended: impl Iterator<Item = &'e Ended>) -> String {
    row::array(ended.map(|ended| {
        let outcome = &ended.outcome;
        (
            ended.key.number,
            ended.key.generation,
            ended.key.n,
            ended.epoch,
            outcome.result.word(),
            &outcome.phase,
            outcome.code,
            &outcome.enhanced,
            outcome.class.map(ReplyClass::word),
            &outcome.queue_id,
            outcome.reply.as_ref().map(hex::encode),
            row::micros(outcome.ended_at),
        )
    }))
}

async fn keep_late(
    conn: &mut SqliteConnection,
    campaign: i64,
    claimant: &Claimant,
    late: &[&Ended],
    now: i64,
) -> Result<(), StoreError> {
    if late.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO late_outcome (campaign_id, number, generation, n, epoch, incarnation, worker,
                                   result, phase, code, enhanced, reply_class, queue_id, reply,
                                   ended_at, received_at)
         SELECT $2, j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 3, $3, $4,
                j.value ->> 4, j.value ->> 5, j.value ->> 6, j.value ->> 7, j.value ->> 8,
                j.value ->> 9, unhex(j.value ->> 10), j.value ->> 11, $5
         FROM jsonb_each($1) AS j",
    )
    .bind(wire(late.iter().copied()))
    .bind(campaign)
    .bind(row::int(claimant.incarnation))
    .bind(&claimant.worker)
    .bind(now)
    .execute(conn)
    .await
    .map_err(StoreError::on("keep late outcomes"))?;
    Ok(())
}

/// An intent a row that may start; guards by key, and by leader: left to itself SQLite would walk all the
/// followers of the campaign for each intent. The digests of their messages lie in one blob, in order.
macro_rules! insert_intents_sql {
    ($rows:literal, $campaign:literal, $incarnation:literal, $worker:literal, $contents:literal) => {
        concat!(
            "INSERT INTO intent (campaign_id, number, generation, n, dated_at, content, from_class,
                                 chunk, epoch, incarnation, worker, segment, relay)
             SELECT ",
            $campaign,
            ", j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 3,
                    substr(",
            $contents,
            ", j.key * 32 + 1, 32), j.value ->> 4, j.value ->> 5,
                    j.value ->> 6, ",
            $incarnation,
            ", ",
            $worker,
            ", j.value ->> 7, j.value ->> 8
             FROM jsonb_each(",
            $rows,
            ") AS j
             LEFT JOIN delivery AS d
               ON d.campaign_id = ",
            $campaign,
            " AND d.number = CAST(j.value ->> 0 AS INTEGER)
             WHERE COALESCE(d.class, 'queued') = j.value ->> 4
               AND COALESCE(d.generation, 1) = j.value ->> 1
               AND j.value ->> 9 = COALESCE((
                       SELECT MAX(a.n) FROM amendment AS a
                       WHERE a.campaign_id = ",
            $campaign,
            "
                         AND a.number = CAST(j.value ->> 0 AS INTEGER)), 0)
               AND j.value ->> 10 = (
                       SELECT COUNT(*) FROM follower AS f INDEXED BY follower_by_leader
                       WHERE f.campaign_id = ",
            $campaign,
            " AND f.kind = 'carried'
                         AND f.leader = CAST(j.value ->> 0 AS INTEGER))
               AND NOT EXISTS (SELECT 1 FROM follower AS f
                               WHERE f.campaign_id = ",
            $campaign,
            " AND f.kind = 'carried'
                                 AND f.number = CAST(j.value ->> 0 AS INTEGER))
             ON CONFLICT DO NOTHING"
        )
    };
}
pub(super) use insert_intents_sql;

const INSERT_INTENTS: &str =
    concat!(insert_intents_sql!("$1", "$2", "$3", "$4", "$5"), " RETURNING number, generation, n");

/// Inserts intents with their tokens; the key is the gate against double sends, and a row that is no
/// longer in the class and generation it was loaded in, that another carries, or that was amended since
/// as those it carries were, starts nothing.
async fn insert_intents(
    conn: &mut SqliteConnection,
    campaign: i64,
    claimant: &Claimant,
    intents: &[&NewIntent],
    moved: &mut Moved,
) -> Result<HashSet<AttemptKey>, StoreError> {
    if intents.is_empty() {
        return Ok(HashSet::new());
    }
    let (rows, contents) = intent_rows(intents.iter().copied());
    let inserted: Vec<(i64, i64, i64)> = sqlx::query_as(INSERT_INTENTS)
        .bind(rows)
        .bind(campaign)
        .bind(row::int(claimant.incarnation))
        .bind(&claimant.worker)
        .bind(contents)
        .fetch_all(&mut *conn)
        .await
        .map_err(StoreError::on("insert intents"))?;
    let started: HashSet<AttemptKey> = inserted.into_iter().map(key).collect();
    let begun = || intents.iter().copied().filter(|intent| started.contains(&intent.key));
    for intent in begun() {
        moved.flight(intent.key.number, &intent.from, 1);
    }
    tokens::issue(conn, campaign, begun()).await?;
    Ok(started)
}

/// Intents as [`insert_intents_sql`] reads them: their rows, and the digests of their messages.
fn intent_rows<'i>(intents: impl Iterator<Item = &'i NewIntent>) -> (String, Vec<u8>) {
    let mut contents = Vec::new();
    let rows = row::array(intents.map(|intent| {
        contents.extend_from_slice(&intent.content);
        (
            intent.key.number,
            intent.key.generation,
            intent.key.n,
            row::micros(intent.dated_at),
            intent.from.word(),
            chunk_of(intent.key.number),
            intent.epoch,
            intent.segment,
            &intent.relay,
            intent.amendments,
            intent.carried,
        )
    }));
    (rows, contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn an_intent_is_guarded_by_key_and_never_by_walking_the_campaign() {
        let steps = steps(INSERT_INTENTS).await;
        let by_leader = "follower_by_leader (campaign_id=? AND leader=?)";
        assert!(steps.iter().any(|step| step.contains(by_leader)), "{steps:?}");
        assert!(steps.iter().all(|step| !step.ends_with("(campaign_id=?)")), "{steps:?}");
    }
}
