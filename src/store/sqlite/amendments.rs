//! `Amendments` on SQLite: applied behind the guards of class, generation and open intents.

mod amendable;
mod read;

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::classes::{Lines, Moved, change_rows, move_counters};
use super::deliveries::insert_resolutions;
use super::followers::{Followers, leave};
use super::{SqliteStore, StoreError, row, tokens};
use crate::domain::delivery::DeliveryClass;
use crate::store::amendments::{Amendable, AmendmentRow, Amendments, Applied, NewAmendment};
use crate::store::deliveries::{Move, Resolution};

#[async_trait]
impl Amendments for SqliteStore {
    async fn amendable(
        &self,
        campaign: i64,
        numbers: &[u64],
    ) -> Result<Vec<Amendable>, StoreError> {
        self.read_amendable(campaign, numbers).await
    }

    async fn amend(
        &self,
        campaign: i64,
        amendments: Vec<NewAmendment>,
    ) -> Result<Vec<Applied>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        let fates = fates(write.conn(), campaign, &amendments).await?;
        let ready: Vec<&NewAmendment> = amendments
            .iter()
            .zip(&fates)
            .filter(|(_, fate)| **fate == Applied::Yes)
            .map(|(amendment, _)| amendment)
            .collect();
        if ready.is_empty() {
            return Ok(fates);
        }
        insert(write.conn(), campaign, &ready).await?;
        let mut moved = Moved::default();
        let Lines(mut lines) =
            leave_groups(write.conn(), campaign, &ready, now, &mut moved).await?;
        let moves: Vec<&Move> = ready.iter().map(|one| &one.change).collect();
        let Lines(made) = change_rows(write.conn(), campaign, &moves, now, &mut moved).await?;
        lines.extend(made);
        if moves.iter().any(|change| !moved.numbers.contains(&change.number)) {
            return Err(StoreError::Conflict(
                "an amendment's move was refused behind its own guard; nothing was changed".into(),
            ));
        }
        move_counters(write.conn(), seal, &moved).await?;
        tokens::revoke_older(write.conn(), campaign, moves.into_iter(), now).await?;
        let resolutions: Vec<&Resolution> =
            ready.iter().filter_map(|one| one.resolution.as_ref()).collect();
        insert_resolutions(write.conn(), campaign, &resolutions).await?;
        // Who may be queued again is claimable at once, whatever its chunk waited for.
        self.wake(&mut write, seal, &moved).await?;
        self.log(&mut write, &lines).await?;
        self.commit(write).await?;
        Ok(fates)
    }

    async fn amendments_between(
        &self,
        campaign: i64,
        first: u64,
        last: u64,
    ) -> Result<Vec<AmendmentRow>, StoreError> {
        self.read_between(campaign, first, last).await
    }

    async fn list_amendments(
        &self,
        campaign: i64,
        after: (u64, u32),
        limit: u32,
    ) -> Result<Vec<(AmendmentRow, [u8; 32])>, StoreError> {
        self.read_page(campaign, after, limit).await
    }

    async fn amendment_totals(
        &self,
        campaign: i64,
    ) -> Result<BTreeMap<String, (u64, u64)>, StoreError> {
        self.read_totals(campaign).await
    }
}

/// Whoever gets an address of their own is told by a notice of their own. A doubt over the notice they
/// carried so far is not settled by that: whom it named are held, all together.
async fn leave_groups(
    conn: &mut SqliteConnection,
    campaign: i64,
    ready: &[&NewAmendment],
    now: i64,
    moved: &mut Moved,
) -> Result<Lines, StoreError> {
    let mut lines = Lines::default();
    for one in ready.iter().filter(|one| one.address.is_some()) {
        let Some(next) = leave(conn, campaign, one.row.number, moved).await? else { continue };
        if !matches!(one.change.from, DeliveryClass::InDoubt(_)) {
            continue;
        }
        let group = Followers::about(conn, campaign, &[next], now).await?;
        if let Some(hold) = group.held(next) {
            let Lines(held) = change_rows(conn, campaign, &[&hold], now, moved).await?;
            lines.0.extend(held);
        }
    }
    Ok(lines)
}

/// Rows that still stand as they were read.
const AS_READ: &str = "SELECT CAST(j.value ->> 'number' AS INTEGER)
     FROM json_each($1) AS j
     LEFT JOIN delivery AS d
       ON d.campaign_id = $2 AND d.number = CAST(j.value ->> 'number' AS INTEGER)
     WHERE COALESCE(d.class, 'queued') = j.value ->> 'class'
       AND COALESCE(d.reason, '') = j.value ->> 'reason'
       AND COALESCE(d.generation, 1) = j.value ->> 'generation'";

/// Rows with an intent that has no outcome yet.
const IN_FLIGHT: &str = "SELECT DISTINCT i.number
     FROM json_each($1) AS j
     CROSS JOIN intent AS i
       ON i.campaign_id = $2 AND i.number = CAST(j.value ->> 'number' AS INTEGER)
     LEFT JOIN outcome AS o
       ON o.campaign_id = i.campaign_id AND o.number = i.number
      AND o.generation = i.generation AND o.n = i.n
     WHERE o.number IS NULL";

/// The newest amendment of each person, none being 0.
const NEWEST: &str = "SELECT CAST(j.value ->> 'number' AS INTEGER),
            COALESCE((SELECT MAX(a.n) FROM amendment AS a
                      WHERE a.campaign_id = $2
                        AND a.number = CAST(j.value ->> 'number' AS INTEGER)), 0)
     FROM json_each($1) AS j";

/// What stands in the way of each amendment, seen under the file's only write lock.
async fn fates(
    conn: &mut SqliteConnection,
    campaign: i64,
    amendments: &[NewAmendment],
) -> Result<Vec<Applied>, StoreError> {
    let guards = Value::Array(amendments.iter().map(guard).collect()).to_string();
    let open = amendments.iter().flat_map(|one| one.along.iter().copied().chain([one.row.number]));
    let open = Value::Array(open.map(|number| json!({ "number": number })).collect()).to_string();
    let numbers = async |conn: &mut SqliteConnection, sql: &'static str, rows: &str| {
        let found: Vec<i64> = sqlx::query_scalar(sql)
            .bind(rows)
            .bind(campaign)
            .fetch_all(conn)
            .await
            .map_err(StoreError::on("check what is amended"))?;
        Ok::<HashSet<u64>, StoreError>(found.into_iter().map(row::uint).collect())
    };
    let as_read = numbers(&mut *conn, AS_READ, &guards).await?;
    let in_flight = numbers(&mut *conn, IN_FLIGHT, &open).await?;
    let newest: Vec<(i64, i64)> = sqlx::query_as(NEWEST)
        .bind(&guards)
        .bind(campaign)
        .fetch_all(conn)
        .await
        .map_err(StoreError::on("find the newest amendments"))?;
    let newest: BTreeMap<u64, u32> =
        newest.into_iter().map(|(number, n)| (row::uint(number), row::small(n))).collect();
    Ok(amendments
        .iter()
        .map(|one| {
            let number = one.row.number;
            let is_next = newest.get(&number).is_some_and(|n| n + 1 == one.row.n);
            if in_flight.contains(&number) || one.along.iter().any(|row| in_flight.contains(row)) {
                Applied::InFlight
            } else if is_next && as_read.contains(&number) {
                Applied::Yes
            } else {
                Applied::Changed
            }
        })
        .collect())
}

fn guard(one: &NewAmendment) -> Value {
    json!({
        "number": one.row.number,
        "class": one.change.from.word(),
        "reason": one.change.from.reason(),
        "generation": one.generation,
    })
}

/// Inserts the amendments with their signatures.
async fn insert(
    conn: &mut SqliteConnection,
    campaign: i64,
    ready: &[&NewAmendment],
) -> Result<(), StoreError> {
    let rows: Vec<Value> = ready
        .iter()
        .map(|one| {
            let row = &one.row;
            json!({
                "number": row.number,
                "n": row.n,
                "kind": row.kind.word(),
                "was": row.was,
                "became": row.became,
                "body": row.body.as_ref().map(hex::encode),
                "at": row::micros(row.at),
                "address": one.address.map(hex::encode),
                "signatures": row.signatures.iter().map(|(operator, signature)| {
                    json!({ "operator": operator, "signature": hex::encode(signature) })
                }).collect::<Vec<_>>(),
            })
        })
        .collect();
    let rows = Value::Array(rows).to_string();
    for sql in [
        "INSERT INTO amendment (campaign_id, number, n, kind, was, became, body, address, amended_at)
         SELECT $2, j.value ->> 'number', j.value ->> 'n', j.value ->> 'kind', j.value ->> 'was',
                j.value ->> 'became', unhex(j.value ->> 'body'), unhex(j.value ->> 'address'),
                j.value ->> 'at'
         FROM json_each($1) AS j",
        "INSERT INTO amendment_signature (campaign_id, number, n, operator_id, signature)
         SELECT $2, j.value ->> 'number', j.value ->> 'n', s.value ->> 'operator',
                unhex(s.value ->> 'signature')
         FROM json_each($1) AS j, json_each(j.value, '$.signatures') AS s",
    ] {
        sqlx::query(sql)
            .bind(&rows)
            .bind(campaign)
            .execute(&mut *conn)
            .await
            .map_err(StoreError::on("insert amendments"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn people_are_looked_up_by_key() {
        for sql in [AS_READ, IN_FLIGHT, NEWEST] {
            let steps = steps(sql).await;
            let scans: Vec<_> = steps.iter().filter(|step| step.starts_with("SCAN")).collect();
            assert!(scans.iter().all(|step| step.starts_with("SCAN j")), "{steps:?}");
        }
    }
}
