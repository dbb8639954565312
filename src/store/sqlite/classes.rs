//! The one function behind every change of a delivery's class (protocol §5, "Counters and fence").
//!
//! `BEGIN IMMEDIATE` holds the file's only write lock, so locking the chunk rows is implied; the order of
//! work is that of the Postgres twin: change guarded rows, then move the counters by what changed. Rows
//! that follow another's class (`followers`) move in the same call, whoever makes it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::followers::{Followers, hand_over, is_claimable, part};
use super::{StoreError, row};
use crate::domain::chunk::chunk_of;
use crate::domain::delivery::DeliveryClass;
use crate::store::deliveries::Move;

/// What moved in one transaction.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Numbers whose class changed.
    pub numbers: HashSet<u64>,
    /// Chunks that got a row to send: they must be claimable at once, whatever they waited for.
    pub woken: BTreeSet<u64>,
    deltas: BTreeMap<u64, Delta>,
}

/// The ledger lines of what changed, followers included; to be logged in the same transaction.
#[must_use = "every change of a class has its line in the ledger"]
#[derive(Debug, Default)]
pub(super) struct Lines(pub Vec<String>);

/// What one chunk's counters move by.
#[derive(Debug, Default)]
struct Delta {
    classes: HashMap<&'static str, i64>,
    reasons: BTreeMap<String, i64>,
    credentials: BTreeMap<String, i64>,
    in_flight_queued: i64,
    in_flight_deferred: i64,
    carried_queued: i64,
    carried_deferred: i64,
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

    /// A carried row that stands in `class` waits for nobody any longer.
    pub fn stands_alone(&mut self, number: u64, class: &DeliveryClass) {
        let chunk = chunk_of(number);
        self.deltas.entry(chunk).or_default().carried(class, -1);
        if is_claimable(class) {
            self.woken.insert(chunk);
        }
    }

    fn class(&mut self, change: &Move, is_carried: bool) {
        let chunk = chunk_of(change.number);
        let delta = self.deltas.entry(chunk).or_default();
        for (class, by) in [(&change.from, -1), (&change.to, 1)] {
            *delta.classes.entry(class.word()).or_default() += by;
            if !is_claimable(class) {
                *delta.reasons.entry(class.label()).or_default() += by;
            }
            if is_carried {
                delta.carried(class, by);
            }
        }
        if change.to == DeliveryClass::Queued && !is_carried {
            self.woken.insert(chunk);
        }
        self.numbers.insert(change.number);
    }
}

impl Delta {
    /// Carried rows among those that would be claimed.
    fn carried(&mut self, class: &DeliveryClass, by: i64) {
        match class {
            DeliveryClass::Queued => self.carried_queued += by,
            DeliveryClass::Deferred => self.carried_deferred += by,
            _ => {}
        }
    }
}

/// Changes rows guarded by the class they must have now, and inserts those that had no row.
const CHANGE_ROWS: &str =
    "INSERT INTO delivery (campaign_id, number, class, reason, generation, doubts, attempts,
                           first_attempt_at, due_at, changed_at)
     SELECT $2, j.value ->> 'n', j.value ->> 'c', j.value ->> 'r', j.value ->> 'g',
            j.value ->> 'd', j.value ->> 'a', j.value ->> 'f', j.value ->> 'u', $3
     FROM json_each($1) AS j
     LEFT JOIN delivery AS d
       ON d.campaign_id = $2 AND d.number = CAST(j.value ->> 'n' AS INTEGER)
     WHERE COALESCE(d.class, 'queued') = j.value ->> 'fc'
       AND COALESCE(d.reason, '') = j.value ->> 'fr'
     ON CONFLICT (campaign_id, number) DO UPDATE
     SET class = excluded.class,
         reason = excluded.reason,
         -- never lowered: whoever moves a row may have read it before it was re-addressed
         generation = max(delivery.generation, excluded.generation),
         doubts = excluded.doubts,
         attempts = excluded.attempts,
         first_attempt_at = excluded.first_attempt_at,
         due_at = excluded.due_at,
         changed_at = excluded.changed_at
     RETURNING number";

/// Changes the guarded rows of `moves` and those that follow them, notes what really changed, and gives
/// back its ledger lines. What is asked of a carried row and means its group is done to its carrier.
pub(super) async fn change_rows(
    conn: &mut SqliteConnection,
    campaign: i64,
    moves: &[&Move],
    now: i64,
    moved: &mut Moved,
) -> Result<Lines, StoreError> {
    let mut lines = Vec::new();
    let mut vacant = Vec::new();
    let mut wave: Vec<Cow<'_, Move>> = moves.iter().map(|change| Cow::Borrowed(*change)).collect();
    let mut is_asked = true;
    // At most three rounds: what is asked, the group, the second addresses of its people.
    while !wave.is_empty() {
        let numbers: Vec<u64> = wave.iter().map(|change| change.number).collect();
        let followers = Followers::about(conn, campaign, &numbers, now).await?;
        if is_asked {
            wave = followers.lead(wave);
        }
        let changed = change_wave(conn, campaign, &wave, now).await?;
        wave.retain(|change| changed.contains(&change.number));
        for change in &wave {
            let is_carried = followers.is_carried(change.number);
            moved.class(change, is_carried);
            lines.push(followers.line(change));
            if is_carried && is_asked {
                // One person's own end: the row follows nobody from here on.
                part(conn, campaign, change.number).await?;
                moved.stands_alone(change.number, &change.to);
            }
        }
        let (next, without) = followers.follow(&wave);
        vacant.extend(without);
        wave = next.into_iter().map(Cow::Owned).collect();
        is_asked = false;
    }
    for carrier in vacant {
        hand_over(conn, campaign, carrier, moved).await?;
    }
    Ok(Lines(lines))
}

/// Changes the rows that still stand where their moves leave from; tells which did.
async fn change_wave(
    conn: &mut SqliteConnection,
    campaign: i64,
    wave: &[Cow<'_, Move>],
    now: i64,
) -> Result<HashSet<u64>, StoreError> {
    if wave.is_empty() {
        return Ok(HashSet::new());
    }
    let rows = Value::Array(wave.iter().map(|change| wire(change)).collect()).to_string();
    // The JSON drives and each row is looked up by key. As `UPDATE … FROM json_each` the planner walked
    // every delivery of the campaign for each flush.
    let changed: Vec<i64> = sqlx::query_scalar(CHANGE_ROWS)
        .bind(&rows)
        .bind(campaign)
        .bind(now)
        .fetch_all(conn)
        .await
        .map_err(StoreError::on("change deliveries"))?;
    Ok(changed.into_iter().map(row::uint).collect())
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
    carried_queued: i64,
    carried_deferred: i64,
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
                in_flight_queued, in_flight_deferred, carried_queued, carried_deferred, reasons,
                credentials
         FROM chunk
         WHERE seal_id = $1 AND number IN (SELECT value FROM json_each($2))
         ORDER BY number",
    )
    .bind(seal)
    .bind(json!(numbers).to_string())
    .fetch_all(&mut *conn)
    .await
    .map_err(StoreError::on("read chunk counters"))?;
    // A flush touches few chunks, so a statement each, by key.
    for counters in &found {
        write_counters(conn, seal, counters, &moved.deltas).await?;
    }
    Ok(())
}

async fn write_counters(
    conn: &mut SqliteConnection,
    seal: i64,
    counters: &Counters,
    deltas: &BTreeMap<u64, Delta>,
) -> Result<(), StoreError> {
    let empty = Delta::default();
    let delta = deltas.get(&row::uint(counters.number)).unwrap_or(&empty);
    let sum = |word: &str, now: i64| now + delta.classes.get(word).copied().unwrap_or(0);
    let map = |stored: &str, by: &BTreeMap<String, i64>, column| {
        add_map(stored, by, column, counters.number)
    };
    sqlx::query(
        "UPDATE chunk
         SET queued = $3, deferred = $4, in_doubt = $5, held = $6, fallback = $7, told = $8,
             withdrawn = $9, waived = $10, in_flight_queued = $11, in_flight_deferred = $12,
             reasons = $13, credentials = $14, carried_queued = $15, carried_deferred = $16
         WHERE seal_id = $1 AND number = $2",
    )
    .bind(seal)
    .bind(counters.number)
    .bind(sum("queued", counters.queued))
    .bind(sum("deferred", counters.deferred))
    .bind(sum("in-doubt", counters.in_doubt))
    .bind(sum("held", counters.held))
    .bind(sum("fallback", counters.fallback))
    .bind(sum("told", counters.told))
    .bind(sum("withdrawn", counters.withdrawn))
    .bind(sum("waived", counters.waived))
    .bind(counters.in_flight_queued + delta.in_flight_queued)
    .bind(counters.in_flight_deferred + delta.in_flight_deferred)
    .bind(map(&counters.reasons, &delta.reasons, "reasons")?)
    .bind(map(&counters.credentials, &delta.credentials, "credentials")?)
    .bind(counters.carried_queued + delta.carried_queued)
    .bind(counters.carried_deferred + delta.carried_deferred)
    .execute(conn)
    .await
    .map_err(StoreError::on("move chunk counters"))?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn a_flush_looks_rows_up_by_key_and_never_walks_the_campaign() {
        let steps = steps(CHANGE_ROWS).await;
        let by_key = "SEARCH d USING PRIMARY KEY (campaign_id=? AND number=?)";
        assert!(steps.iter().any(|step| step.starts_with(by_key)), "{steps:?}");
        assert!(!steps.iter().any(|step| step.starts_with("SCAN d")), "{steps:?}");
    }
}
