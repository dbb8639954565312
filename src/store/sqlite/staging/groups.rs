//! Groups in a staging file: accounts that share an address, and second addresses of one person.
//!
//! Found once after the load. An index over the kept rows' addresses gives the few that several rows
//! have; only their rows are looked at.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePool;

use crate::store::seals::{SharedLimits, StagedRow, Unnamed};
use crate::store::{StoreError, row};

/// Copies go the way of their persons; then the addresses that several rows have, and how many. `fate` is
/// in the index so that the many addresses of one row are passed over without looking at the row.
const COUNT: &str = "UPDATE row
     SET fate = (SELECT CASE p.fate WHEN 0 THEN 0 ELSE 3 END FROM row AS p
                 WHERE p.number = row.copy_of),
         held = (SELECT p.held FROM row AS p WHERE p.number = row.copy_of)
     WHERE number IN (SELECT number FROM follower);
     DELETE FROM follower
     WHERE number IN (SELECT f.number FROM follower AS f
                      CROSS JOIN row AS r ON r.number = f.number
                      WHERE r.fate <> 0);
     CREATE INDEX row_by_address ON row (address, number, fate)
     WHERE address IS NOT NULL AND fate = 0;
     INSERT INTO place (address, accounts, plain, carrier)
     SELECT r.address, COUNT(*),
            COUNT(*) FILTER (WHERE r.address_reason = 'ok' AND r.held IS NULL AND r.copy_of IS NULL),
            MIN(r.number) FILTER (WHERE r.address_reason = 'ok' AND r.held IS NULL
                                    AND r.copy_of IS NULL)
     FROM (SELECT address
           FROM row
           WHERE address IS NOT NULL AND fate = 0
           GROUP BY address
           HAVING COUNT(*) > 1) AS several
     CROSS JOIN row AS r INDEXED BY row_by_address ON r.address = several.address
     WHERE r.address IS NOT NULL AND r.fate = 0
       AND r.address_reason IN ('ok', 'suspect', 'dormant')
     GROUP BY r.address;";

/// Rows told at an address that several have: those that are mailed at all, whatever else they are.
macro_rules! met {
    () => {
        "SELECT r.number
         FROM place AS p
         CROSS JOIN row AS r INDEXED BY row_by_address ON r.address = p.address
         WHERE r.address IS NOT NULL AND r.fate = 0
           AND r.address_reason IN ('ok', 'suspect', 'dormant')"
    };
}

/// Those that one notice may stand for: binds are `worklist_above`, `combine_above`.
macro_rules! grouped {
    () => {
        concat!(
            met!(),
            " AND p.accounts <= $1 AND p.plain > $2 AND r.address_reason = 'ok'
              AND r.held IS NULL AND r.copy_of IS NULL"
        )
    };
}

/// What is then decided of the rows at each such address, in this order.
const DECIDE: [(&str, &str); 4] = [
    (
        "note the accounts at each address",
        concat!(
            "UPDATE row
             SET at_address = (SELECT p.accounts FROM place AS p WHERE p.address = row.address)
             WHERE number IN (",
            met!(),
            ")"
        ),
    ),
    (
        "hold the accounts of crowded addresses",
        concat!(
            "UPDATE row SET held = 'shared' WHERE held IS NULL AND number IN (",
            met!(),
            " AND p.accounts > $1)"
        ),
    ),
    (
        "choose carriers",
        concat!(
            "UPDATE row
             SET carrier = (SELECT p.carrier FROM place AS p WHERE p.address = row.address)
             WHERE number IN (",
            grouped!(),
            ")"
        ),
    ),
    (
        "note who is carried",
        concat!(
            "INSERT INTO follower (number, leader, kind)
             SELECT number, carrier, CASE WHEN number = carrier THEN 'carrier' ELSE 'carried' END
             FROM row
             WHERE number IN (",
            grouped!(),
            ")"
        ),
    ),
];

/// Notes the second addresses among rows just staged.
pub(super) async fn stage_copies(
    conn: &mut SqliteConnection,
    rows: &[StagedRow],
) -> Result<(), StoreError> {
    let copies: Vec<Value> = rows
        .iter()
        .filter_map(|staged| {
            let copy = staged.copy_of.as_ref()?;
            Some(json!({ "n": staged.number, "l": copy.number, "p": copy.person }))
        })
        .collect();
    if copies.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO follower (number, leader, kind, person)
         SELECT j.value ->> 'n', j.value ->> 'l', 'copy', j.value ->> 'p' FROM json_each($1) AS j",
    )
    .bind(Value::Array(copies).to_string())
    .execute(conn)
    .await
    .map_err(StoreError::on("stage second addresses"))?;
    Ok(())
}

/// Lets copies go the way of their persons, counts the accounts at each address, and says of those that
/// share one which are told by a notice of their own, which by a carrier's, and which are held.
pub(super) async fn form(pool: &SqlitePool, limits: SharedLimits) -> Result<(), StoreError> {
    sqlx::raw_sql(COUNT)
        .execute(pool)
        .await
        .map_err(StoreError::on("count the accounts at each address"))?;
    for (what, sql) in DECIDE {
        sqlx::query(sql)
            .bind(row::int(limits.worklist_above))
            .bind(row::int(limits.combine_above))
            .execute(pool)
            .await
            .map_err(StoreError::on(what))?;
    }
    Ok(())
}

/// From a number on: those that have their names would be read past again for each page.
const UNNAMED: &str = "SELECT r.number, r.salt, r.body
     FROM follower AS f
     CROSS JOIN row AS r ON r.number = f.number
     WHERE f.person IS NULL AND f.number > $1
     ORDER BY f.number
     LIMIT $2";

pub(super) async fn unnamed(
    pool: &SqlitePool,
    after: u64,
    limit: u32,
) -> Result<Vec<Unnamed>, StoreError> {
    let rows: Vec<(i64, Vec<u8>, Vec<u8>)> = sqlx::query_as(UNNAMED)
        .bind(row::int(after))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await
        .map_err(StoreError::on("list the rows of groups"))?;
    rows.into_iter()
        .map(|(number, salt, body)| {
            let salt = row::bytes(&salt, "row", "salt", number)?;
            Ok(Unnamed { number: row::uint(number), salt, body })
        })
        .collect()
}

pub(super) async fn name(pool: &SqlitePool, named: Vec<(u64, String)>) -> Result<(), StoreError> {
    let rows: Vec<Value> =
        named.into_iter().map(|(number, person)| json!({ "n": number, "p": person })).collect();
    sqlx::query(
        "INSERT INTO follower (number, leader, kind, person)
         SELECT j.value ->> 'n', 0, '', j.value ->> 'p' FROM json_each($1) AS j WHERE true
         ON CONFLICT (number) DO UPDATE SET person = excluded.person",
    )
    .bind(Value::Array(rows).to_string())
    .execute(pool)
    .await
    .map_err(StoreError::on("name the rows of groups"))?;
    Ok(())
}

/// What people are born as, in one pass over the file.
pub(super) async fn births(pool: &SqlitePool) -> Result<BTreeMap<String, u64>, StoreError> {
    let rows: Vec<(bool, String, String, bool, i64, i64)> = sqlx::query_as(
        "SELECT copy_of IS NOT NULL, label, address_reason,
                carrier IS NOT NULL AND carrier <> number, COUNT(*), SUM(name_refused)
         FROM born
         GROUP BY 1, 2, 3, 4",
    )
    .fetch_all(pool)
    .await
    .map_err(StoreError::on("count the classes people are born into"))?;
    let canary: i64 = sqlx::query_scalar(
        "SELECT COUNT(*)
         FROM chunk AS c
         CROSS JOIN row AS r ON r.number BETWEEN c.number * 1000 AND c.number * 1000 + 999
         WHERE c.cohort = 'canary' AND +r.fate = 0",
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::on("count the canary"))?;
    let mut counts = BTreeMap::new();
    let mut add = |key: String, count: i64| *counts.entry(key).or_default() += row::uint(count);
    for key in ["copies", "carried", "names-refused"] {
        add(key.into(), 0);
    }
    add("canary".into(), canary);
    for (is_copy, label, reason, is_carried, count, refused) in rows {
        if is_copy {
            add("copies".into(), count);
            continue;
        }
        if label != "queued" {
            add(label, count);
        }
        add(format!("address:{reason}"), count);
        add("names-refused".into(), refused);
        if is_carried {
            add("carried".into(), count);
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rows_of_groups_are_listed_from_a_number_on_and_those_named_are_not_walked_again() {
        let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(crate::store::sqlite::staging::TABLES).execute(&pool).await.unwrap();
        let filled = "WITH n (number) AS (VALUES (1001), (1002), (1003), (1005))
            INSERT INTO row (number, line, salt, leaf, body, row_digest, account, address_reason,
                             name_refused)
            SELECT number, number, zeroblob(16), zeroblob(32), x'01', x'02', x'03', 'ok', 0 FROM n;
            INSERT INTO follower (number, leader, kind) SELECT number, 1001, 'carried' FROM row;
            UPDATE follower SET person = 'ann' WHERE number = 1002;";
        sqlx::raw_sql(filled).execute(&pool).await.unwrap();
        let numbers = async |after, limit| -> Vec<u64> {
            let page = unnamed(&pool, after, limit).await.unwrap();
            page.into_iter().map(|one| one.number).collect()
        };
        assert_eq!(numbers(0, 2).await, [1001, 1003]);
        assert_eq!(numbers(1003, 2).await, [1005]);
        let plan = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {UNNAMED}"));
        let steps: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(plan).bind(0).bind(1).fetch_all(&pool).await.unwrap();
        let steps: Vec<String> = steps.into_iter().map(|(.., step)| step).collect();
        let expected = ["f", "r"].map(|table| format!("SEARCH {table} USING INTEGER PRIMARY KEY"));
        assert_eq!(steps.len(), 2, "{steps:?}");
        for (step, expected) in steps.iter().zip(expected) {
            assert!(step.starts_with(&expected), "{steps:?}");
        }
    }
}
