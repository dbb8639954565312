//! Attempts that journals tell of and a restored database had lost.

use std::collections::HashSet;

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::{StoreError, row};
use crate::domain::chunk::chunk_of;
use crate::domain::delivery::{AttemptKey, DeliveryClass};
use crate::domain::reply::ReplyClass;
use crate::store::rewinds::FoundAttempt;

/// Inserts the intents that the database lacks; which those were.
pub(super) async fn insert_found(
    conn: &mut SqliteConnection,
    campaign: i64,
    attempts: &[FoundAttempt],
) -> Result<HashSet<AttemptKey>, StoreError> {
    let rows: Vec<Value> = attempts.iter().map(intent_row).collect();
    let inserted: Vec<(i64, i64, i64)> = sqlx::query_as(
        "INSERT INTO intent (campaign_id, number, generation, n, dated_at, content, from_class, chunk,
                             epoch, incarnation, worker, segment, relay, origin)
         SELECT $2, j.value ->> 'number', j.value ->> 'generation', j.value ->> 'n',
                j.value ->> 'dated_at', unhex(j.value ->> 'content'), j.value ->> 'from',
                j.value ->> 'chunk', 0, j.value ->> 'incarnation', j.value ->> 'worker',
                j.value ->> 'segment', '', j.value ->> 'origin'
         FROM json_each($1) AS j
         WHERE true
         ON CONFLICT DO NOTHING
         RETURNING number, generation, n",
    )
    .bind(Value::Array(rows).to_string())
    .bind(campaign)
    .fetch_all(conn)
    .await
    .map_err(StoreError::on("insert recovered intents"))?;
    Ok(inserted.into_iter().map(attempt_key).collect())
}

/// Inserts the outcomes that the database lacks; which those were.
pub(super) async fn insert_outcomes(
    conn: &mut SqliteConnection,
    campaign: i64,
    attempts: &[FoundAttempt],
) -> Result<HashSet<AttemptKey>, StoreError> {
    let rows: Vec<Value> = attempts.iter().map(outcome_row).collect();
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
    .bind(Value::Array(rows).to_string())
    .bind(campaign)
    .fetch_all(conn)
    .await
    .map_err(StoreError::on("insert recovered outcomes"))?;
    Ok(inserted.into_iter().map(attempt_key).collect())
}

/// An attempt by the columns of its key.
pub(super) fn attempt_key((number, generation, n): (i64, i64, i64)) -> AttemptKey {
    AttemptKey { number: row::uint(number), generation: row::small(generation), n: row::small(n) }
}

fn intent_row(found: &FoundAttempt) -> Value {
    let from = match found.from {
        DeliveryClass::Deferred => DeliveryClass::Deferred,
        _ => DeliveryClass::Queued,
    };
    json!({
        "number": found.key.number,
        "generation": found.key.generation,
        "n": found.key.n,
        "dated_at": row::micros(found.dated_at),
        "content": hex::encode(found.content),
        "from": from.word(),
        "chunk": chunk_of(found.key.number),
        "incarnation": found.incarnation,
        "worker": found.worker,
        "segment": found.segment,
        "origin": found.origin.word(),
    })
}

fn outcome_row(found: &FoundAttempt) -> Value {
    let outcome = &found.outcome;
    json!({
        "number": found.key.number,
        "generation": found.key.generation,
        "n": found.key.n,
        "result": outcome.result.word(),
        "phase": outcome.phase,
        "code": outcome.code,
        "enhanced": outcome.enhanced,
        "reply_class": outcome.class.map(ReplyClass::word),
        "queue_id": outcome.queue_id,
        "reply": outcome.reply.as_ref().map(hex::encode),
        "ended_at": row::micros(outcome.ended_at),
    })
}
