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

    /// A row changed its class; `is_carried` = another's notice names it.
    pub fn class(&mut self, change: &Move, is_carried: bool) {
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

impl Moved {
    /// What these counters come to, as [`set_counters_sql`] reads them.
    pub fn counters<'c>(
        &self,
        found: impl Iterator<Item = &'c Counters>,
    ) -> Result<String, StoreError> {
        let empty = Delta::default();
        let of = |chunk: &Counters| self.deltas.get(&row::uint(chunk.number)).unwrap_or(&empty);
        let rows: Vec<Value> =
            found.map(|chunk| of(chunk).add_to(chunk)).collect::<Result<_, StoreError>>()?;
        Ok(Value::Array(rows).to_string())
    }
}

impl Delta {
    /// The counters afterwards.
    fn add_to(&self, now: &Counters) -> Result<Value, StoreError> {
        let sum = |word: &str, now: i64| now + self.classes.get(word).copied().unwrap_or(0);
        Ok(json!([
            now.number,
            sum("queued", now.queued),
            sum("deferred", now.deferred),
            sum("in-doubt", now.in_doubt),
            sum("held", now.held),
            sum("fallback", now.fallback),
            sum("told", now.told),
            sum("withdrawn", now.withdrawn),
            sum("waived", now.waived),
            now.in_flight_queued + self.in_flight_queued,
            now.in_flight_deferred + self.in_flight_deferred,
            now.carried_queued + self.carried_queued,
            now.carried_deferred + self.carried_deferred,
            add_map(&now.reasons, &self.reasons, "reasons", now.number)?,
            add_map(&now.credentials, &self.credentials, "credentials", now.number)?,
        ]))
    }

    /// Carried rows among those that would be claimed.
    fn carried(&mut self, class: &DeliveryClass, by: i64) {
        match class {
            DeliveryClass::Queued => self.carried_queued += by,
            DeliveryClass::Deferred => self.carried_deferred += by,
            _ => {}
        }
    }
}

/// Changes rows guarded by the class they must have now, and inserts those that had no row. The JSON drives
/// and each row is looked up by key: as `UPDATE … FROM json_each` the planner walked every delivery of the
/// campaign for each flush.
macro_rules! change_rows_sql {
    ($rows:literal, $campaign:literal, $now:literal) => {
        concat!(
            "INSERT INTO delivery (campaign_id, number, class, reason, generation, doubts, attempts,
                                   first_attempt_at, due_at, changed_at)
             SELECT ", $campaign, ", j.value ->> 0, j.value ->> 3, j.value ->> 4, j.value ->> 5,
                    j.value ->> 6, j.value ->> 7, j.value ->> 8, j.value ->> 9, ", $now, "
             FROM jsonb_each(", $rows, ") AS j
             LEFT JOIN delivery AS d
               ON d.campaign_id = ", $campaign, " AND d.number = CAST(j.value ->> 0 AS INTEGER)
             WHERE COALESCE(d.class, 'queued') = j.value ->> 1
               AND COALESCE(d.reason, '') = j.value ->> 2
             ON CONFLICT (campaign_id, number) DO UPDATE
             SET class = excluded.class,
                 reason = excluded.reason,
                 -- never lowered: whoever moves a row may have read it before it was re-addressed
                 generation = max(delivery.generation, excluded.generation),
                 doubts = excluded.doubts,
                 attempts = excluded.attempts,
                 first_attempt_at = excluded.first_attempt_at,
                 due_at = excluded.due_at,
                 changed_at = excluded.changed_at"
        )
    };
}
pub(super) use change_rows_sql;

const CHANGE_ROWS: &str = concat!(change_rows_sql!("$1", "$2", "$3"), " RETURNING number");

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
    let changed: Vec<i64> = sqlx::query_scalar(CHANGE_ROWS)
        .bind(wire(wave.iter().map(|change| &**change)))
        .bind(campaign)
        .bind(now)
        .fetch_all(conn)
        .await
        .map_err(StoreError::on("change deliveries"))?;
    Ok(changed.into_iter().map(row::uint).collect())
}

/// Moves as [`change_rows_sql`] reads them.
pub(super) fn wire<'m>(moves: impl Iterator<Item = &'m Move>) -> String {
    let rows = moves.map(|change| {
        let state = &change.state;
        (
            change.number,
            change.from.word(),
            change.from.reason(),
            change.to.word(),
            change.to.reason(),
            state.generation,
            state.doubts,
            state.attempts,
            state.first_attempt_at.map(row::micros),
            state.due_at.map(row::micros),
        )
    });
    row::array(rows)
}

/// A chunk's counters.
#[derive(sqlx::FromRow)]
pub(super) struct Counters {
    pub number: i64,
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

/// Sets the counters of some chunks, each found by key; they are few.
macro_rules! set_counters_sql {
    ($rows:literal, $seal:literal) => {
        concat!(
            "UPDATE chunk
             SET (queued, deferred, in_doubt, held, fallback, told, withdrawn, waived,
                  in_flight_queued, in_flight_deferred, carried_queued, carried_deferred, reasons,
                  credentials) =
                 (SELECT j.value ->> 1, j.value ->> 2, j.value ->> 3, j.value ->> 4, j.value ->> 5,
                         j.value ->> 6, j.value ->> 7, j.value ->> 8, j.value ->> 9, j.value ->> 10,
                         j.value ->> 11, j.value ->> 12, j.value ->> 13, j.value ->> 14
                  FROM jsonb_each(", $rows, ") AS j
                  WHERE j.value ->> 0 = chunk.number)
             WHERE seal_id = ", $seal, "
               AND number IN (SELECT j.value ->> 0 FROM jsonb_each(", $rows, ") AS j)"
        )
    };
}
pub(super) use set_counters_sql;

const SET_COUNTERS: &str = set_counters_sql!("$1", "$2");

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
    sqlx::query(SET_COUNTERS)
        .bind(moved.counters(found.iter())?)
        .bind(seal)
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
    async fn counters_are_set_by_key() {
        let steps = steps(&format!("{SET_COUNTERS} AND $3 = $3")).await;
        let by_key = "SEARCH chunk USING PRIMARY KEY (seal_id=? AND number=?)";
        assert!(steps.iter().any(|step| step.starts_with(by_key)), "{steps:?}");
    }

    #[tokio::test]
    async fn a_flush_looks_rows_up_by_key_and_never_walks_the_campaign() {
        let steps = steps(CHANGE_ROWS).await;
        let by_key = "SEARCH d USING PRIMARY KEY (campaign_id=? AND number=?)";
        assert!(steps.iter().any(|step| step.starts_with(by_key)), "{steps:?}");
        assert!(!steps.iter().any(|step| step.starts_with("SCAN d")), "{steps:?}");
    }
}
