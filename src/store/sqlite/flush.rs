//! Outcomes and intents, committed together: the recorder's transaction and the rescue's.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
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
    pub(super) async fn flush_worker(
        &self,
        campaign: i64,
        claimant: &Claimant,
        flush: Flush,
    ) -> Result<Flushed, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let now = row::micros(claimant.now);
        let mut write = self.write().await?;
        let held = held(write.conn(), seal, claimant, &flush).await?;
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

async fn held(
    conn: &mut SqliteConnection,
    seal: i64,
    claimant: &Claimant,
    flush: &Flush,
) -> Result<Held, StoreError> {
    let chunks: HashSet<u64> = flush
        .ended
        .iter()
        .map(|ended| chunk_of(ended.key.number))
        .chain(flush.intents.iter().map(|intent| chunk_of(intent.key.number)))
        .collect();
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
    .bind(json!(chunks).to_string())
    .fetch_all(conn)
    .await
    .map_err(StoreError::on("check the fence"))?;
    Ok(rows.into_iter().map(|(chunk, epoch)| (row::uint(chunk), row::uint(epoch))).collect())
}

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
    let rows = Value::Array(ended.iter().map(|e| wire(e)).collect()).to_string();
    let inserted: Vec<(i64, i64, i64)> = sqlx::query_as(
        "INSERT INTO outcome (campaign_id, number, generation, n, result, phase, code, enhanced,
                              reply_class, queue_id, reply, ended_at)
         SELECT $2, j.value ->> 'number', j.value ->> 'generation', j.value ->> 'n',
                j.value ->> 'result', j.value ->> 'phase', j.value ->> 'code',
                j.value ->> 'enhanced', j.value ->> 'reply_class', j.value ->> 'queue_id',
                unhex(j.value ->> 'reply'), j.value ->> 'ended_at'
         FROM json_each($1) AS j
         WHERE true
         ON CONFLICT DO NOTHING
         RETURNING number, generation, n",
    )
    .bind(&rows)
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

fn wire(ended: &Ended) -> Value {
    json!({
        "number": ended.key.number,
        "generation": ended.key.generation,
        "n": ended.key.n,
        "epoch": ended.epoch,
        "result": ended.outcome.result.word(),
        "phase": ended.outcome.phase,
        "code": ended.outcome.code,
        "enhanced": ended.outcome.enhanced,
        "reply_class": ended.outcome.class.map(ReplyClass::word),
        "queue_id": ended.outcome.queue_id,
        "reply": ended.outcome.reply.as_ref().map(hex::encode),
        "ended_at": row::micros(ended.outcome.ended_at),
    })
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
         SELECT $2, j.value ->> 'number', j.value ->> 'generation', j.value ->> 'n',
                j.value ->> 'epoch', $3, $4, j.value ->> 'result', j.value ->> 'phase',
                j.value ->> 'code', j.value ->> 'enhanced', j.value ->> 'reply_class',
                j.value ->> 'queue_id', unhex(j.value ->> 'reply'), j.value ->> 'ended_at', $5
         FROM json_each($1) AS j",
    )
    .bind(Value::Array(late.iter().map(|e| wire(e)).collect()).to_string())
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
/// followers of the campaign for each intent.
const INSERT_INTENTS: &str =
    "INSERT INTO intent (campaign_id, number, generation, n, dated_at, content, from_class, chunk,
                         epoch, incarnation, worker, segment, relay)
     SELECT $2, j.value ->> 'number', j.value ->> 'generation', j.value ->> 'n',
            j.value ->> 'dated_at', unhex(j.value ->> 'content'), j.value ->> 'from',
            j.value ->> 'chunk', j.value ->> 'epoch', $3, $4, j.value ->> 'segment',
            j.value ->> 'relay'
     FROM json_each($1) AS j
     LEFT JOIN delivery AS d
       ON d.campaign_id = $2 AND d.number = CAST(j.value ->> 'number' AS INTEGER)
     WHERE COALESCE(d.class, 'queued') = j.value ->> 'from'
       AND COALESCE(d.generation, 1) = j.value ->> 'generation'
       AND j.value ->> 'amendments' = COALESCE((
               SELECT MAX(a.n) FROM amendment AS a
               WHERE a.campaign_id = $2
                 AND a.number = CAST(j.value ->> 'number' AS INTEGER)), 0)
       AND j.value ->> 'carried' = (
               SELECT COUNT(*) FROM follower AS f INDEXED BY follower_by_leader
               WHERE f.campaign_id = $2 AND f.kind = 'carried'
                 AND f.leader = CAST(j.value ->> 'number' AS INTEGER))
       AND NOT EXISTS (SELECT 1 FROM follower AS f
                       WHERE f.campaign_id = $2 AND f.kind = 'carried'
                         AND f.number = CAST(j.value ->> 'number' AS INTEGER))
     ON CONFLICT DO NOTHING
     RETURNING number, generation, n";

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
    let rows: Vec<Value> = intents.iter().map(|intent| intent_row(intent)).collect();
    let inserted: Vec<(i64, i64, i64)> = sqlx::query_as(INSERT_INTENTS)
        .bind(Value::Array(rows).to_string())
        .bind(campaign)
        .bind(row::int(claimant.incarnation))
        .bind(&claimant.worker)
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

fn intent_row(intent: &NewIntent) -> Value {
    json!({
        "number": intent.key.number,
        "generation": intent.key.generation,
        "n": intent.key.n,
        "dated_at": row::micros(intent.dated_at),
        "content": hex::encode(intent.content),
        "from": intent.from.word(),
        "chunk": chunk_of(intent.key.number),
        "epoch": intent.epoch,
        "segment": intent.segment,
        "relay": intent.relay,
        "amendments": intent.amendments,
        "carried": intent.carried,
    })
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
