//! The one function behind every change of a delivery's class (protocol §5, "Counters and fence").
//!
//! `BEGIN IMMEDIATE` holds the file's only write lock, so locking the chunk rows is implied; the order of
//! work is that of the Postgres twin: change guarded rows, then move the counters by what changed.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::{StoreError, row};
use crate::domain::chunk::chunk_of;
use crate::domain::delivery::DeliveryClass;
use crate::store::deliveries::Move;

/// What moved in one transaction.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Numbers whose class changed.
    pub numbers: HashSet<u64>,
    deltas: BTreeMap<u64, Delta>,
}

/// What one chunk's counters move by.
#[derive(Debug, Default)]
struct Delta {
    classes: HashMap<&'static str, i64>,
    reasons: BTreeMap<String, i64>,
    credentials: BTreeMap<String, i64>,
    in_flight_queued: i64,
    in_flight_deferred: i64,
}

impl Moved {
    /// An intent was committed (+1) or paired with an outcome (−1).
    pub fn flight(&mut self, number: u64, from: &DeliveryClass, by: i64) {
        let delta = self.deltas.entry(chunk_of(number)).or_default();
        if *from == DeliveryClass::Deferred {
            delta.in_flight_deferred += by;
        } else {
            delta.in_flight_queued += by;
        }
    }

    /// A credential got a class; `None` stands for pending, which has no counter.
    pub fn credential(&mut self, number: u64, from: Option<String>, to: String) {
        let counts = &mut self.deltas.entry(chunk_of(number)).or_default().credentials;
        if let Some(from) = from {
            *counts.entry(from).or_default() -= 1;
        }
        *counts.entry(to).or_default() += 1;
    }

    fn class(&mut self, change: &Move) {
        let delta = self.deltas.entry(chunk_of(change.number)).or_default();
        for (class, by) in [(&change.from, -1), (&change.to, 1)] {
            *delta.classes.entry(class.word()).or_default() += by;
            if !matches!(class, DeliveryClass::Queued | DeliveryClass::Deferred) {
                *delta.reasons.entry(class.label()).or_default() += by;
            }
        }
        self.numbers.insert(change.number);
    }
}

/// Changes the guarded rows of `moves` and notes what really changed.
pub(super) async fn change_rows(
    conn: &mut SqliteConnection,
    campaign: i64,
    moves: &[&Move],
    now: i64,
    moved: &mut Moved,
) -> Result<(), StoreError> {
    if moves.is_empty() {
        return Ok(());
    }
    let rows = Value::Array(moves.iter().map(|change| wire(change)).collect()).to_string();
    let updated: Vec<i64> = sqlx::query_scalar(
        "UPDATE delivery
         SET class = j.value ->> 'c',
             reason = j.value ->> 'r',
             generation = j.value ->> 'g',
             doubts = j.value ->> 'd',
             attempts = j.value ->> 'a',
             first_attempt_at = j.value ->> 'f',
             due_at = j.value ->> 'u',
             changed_at = $3
         FROM json_each($1) AS j
         WHERE delivery.campaign_id = $2
           AND delivery.number = CAST(j.value ->> 'n' AS INTEGER)
           AND delivery.class = j.value ->> 'fc'
           AND delivery.reason = j.value ->> 'fr'
         RETURNING number",
    )
    .bind(&rows)
    .bind(campaign)
    .bind(now)
    .fetch_all(&mut *conn)
    .await
    .map_err(StoreError::on("change deliveries"))?;
    let inserted: Vec<i64> = if moves.iter().any(|m| m.from == DeliveryClass::Queued) {
        sqlx::query_scalar(
            "INSERT INTO delivery (campaign_id, number, class, reason, generation, doubts, attempts,
                                   first_attempt_at, due_at, changed_at)
             SELECT $2, j.value ->> 'n', j.value ->> 'c', j.value ->> 'r', j.value ->> 'g',
                    j.value ->> 'd', j.value ->> 'a', j.value ->> 'f', j.value ->> 'u', $3
             FROM json_each($1) AS j
             WHERE j.value ->> 'fc' = 'queued'
               AND NOT EXISTS (
                   SELECT 1 FROM delivery AS d
                   WHERE d.campaign_id = $2 AND d.number = CAST(j.value ->> 'n' AS INTEGER))
             RETURNING number",
        )
        .bind(&rows)
        .bind(campaign)
        .bind(now)
        .fetch_all(&mut *conn)
        .await
        .map_err(StoreError::on("insert deliveries"))?
    } else {
        Vec::new()
    };
    let changed: HashSet<u64> = updated.into_iter().chain(inserted).map(row::uint).collect();
    for change in moves.iter().filter(|change| changed.contains(&change.number)) {
        moved.class(change);
    }
    Ok(())
}

fn wire(change: &Move) -> Value {
    json!({
        "n": change.number,
        "fc": change.from.word(),
        "fr": change.from.reason(),
        "c": change.to.word(),
        "r": change.to.reason(),
        "g": change.state.generation,
        "d": change.state.doubts,
        "a": change.state.attempts,
        "f": change.state.first_attempt_at.map(row::micros),
        "u": change.state.due_at.map(row::micros),
    })
}

#[derive(sqlx::FromRow)]
struct Counters {
    number: i64,
    queued: i64,
    deferred: i64,
    in_doubt: i64,
    held: i64,
    fallback: i64,
    told: i64,
    withdrawn: i64,
    waived: i64,
    in_flight_queued: i64,
    in_flight_deferred: i64,
    reasons: String,
    credentials: String,
}

/// Moves the counters of every chunk touched. The table's CHECKs refuse a sum that does not hold.
pub(super) async fn move_counters(
    conn: &mut SqliteConnection,
    seal: i64,
    moved: &Moved,
) -> Result<(), StoreError> {
    if moved.deltas.is_empty() {
        return Ok(());
    }
    let numbers: Vec<u64> = moved.deltas.keys().copied().collect();
    let found: Vec<Counters> = sqlx::query_as(
        "SELECT number, queued, deferred, in_doubt, held, fallback, told, withdrawn, waived,
                in_flight_queued, in_flight_deferred, reasons, credentials
         FROM chunk
         WHERE seal_id = $1 AND number IN (SELECT value FROM json_each($2))
         ORDER BY number",
    )
    .bind(seal)
    .bind(json!(numbers).to_string())
    .fetch_all(&mut *conn)
    .await
    .map_err(StoreError::on("read chunk counters"))?;
    let rows: Vec<Value> =
        found.iter().map(|counters| add(counters, &moved.deltas)).collect::<Result<_, _>>()?;
    sqlx::query(
        "UPDATE chunk
         SET queued = j.value ->> 'queued',
             deferred = j.value ->> 'deferred',
             in_doubt = j.value ->> 'in-doubt',
             held = j.value ->> 'held',
             fallback = j.value ->> 'fallback',
             told = j.value ->> 'told',
             withdrawn = j.value ->> 'withdrawn',
             waived = j.value ->> 'waived',
             in_flight_queued = j.value ->> 'fq',
             in_flight_deferred = j.value ->> 'fd',
             reasons = j.value ->> 'reasons',
             credentials = j.value ->> 'credentials'
         FROM json_each($1) AS j
         WHERE chunk.seal_id = $2 AND chunk.number = CAST(j.value ->> 'number' AS INTEGER)",
    )
    .bind(Value::Array(rows).to_string())
    .bind(seal)
    .execute(conn)
    .await
    .map_err(StoreError::on("move chunk counters"))?;
    Ok(())
}

fn add(counters: &Counters, deltas: &BTreeMap<u64, Delta>) -> Result<Value, StoreError> {
    let empty = Delta::default();
    let delta = deltas.get(&row::uint(counters.number)).unwrap_or(&empty);
    let sum = |word: &str, now: i64| now + delta.classes.get(word).copied().unwrap_or(0);
    Ok(json!({
        "number": counters.number,
        "queued": sum("queued", counters.queued),
        "deferred": sum("deferred", counters.deferred),
        "in-doubt": sum("in-doubt", counters.in_doubt),
        "held": sum("held", counters.held),
        "fallback": sum("fallback", counters.fallback),
        "told": sum("told", counters.told),
        "withdrawn": sum("withdrawn", counters.withdrawn),
        "waived": sum("waived", counters.waived),
        "fq": counters.in_flight_queued + delta.in_flight_queued,
        "fd": counters.in_flight_deferred + delta.in_flight_deferred,
        "reasons": add_map(&counters.reasons, &delta.reasons, "reasons", counters.number)?,
        "credentials":
            add_map(&counters.credentials, &delta.credentials, "credentials", counters.number)?,
    }))
}

fn add_map(
    stored: &str,
    delta: &BTreeMap<String, i64>,
    column: &'static str,
    row: i64,
) -> Result<String, StoreError> {
    let corrupt = || StoreError::Corrupt { table: "chunk", column, row: row.to_string() };
    let mut map: BTreeMap<String, i64> = serde_json::from_str(stored).map_err(|_| corrupt())?;
    for (key, by) in delta {
        *map.entry(key.clone()).or_default() += by;
    }
    if map.values().any(|count| *count < 0) {
        return Err(corrupt());
    }
    map.retain(|_, count| *count != 0);
    Ok(json!(map).to_string())
}
