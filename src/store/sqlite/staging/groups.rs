//! Groups in a staging file: accounts that share an address, and second addresses of one person.
//!
//! Found once after the load, among the rows that something is noted of: all that share their address with
//! another kept row are.

use serde_json::{Value, json};
use sqlx::sqlite::SqlitePool;

use crate::store::seals::{SharedLimits, StagedRow};
use crate::store::{StoreError, row};

/// Copies go the way of their persons, of whom something is noted only where it is not the usual.
const COPIES: &str = "UPDATE noted
     SET fate = COALESCE((SELECT 3 FROM noted AS p WHERE p.number = noted.copy_of AND p.fate <> 0), 0),
         held = (SELECT p.held FROM noted AS p WHERE p.number = noted.copy_of)
     WHERE copy_of IS NOT NULL;
     DELETE FROM follower
     WHERE number IN (SELECT f.number FROM follower AS f
                      CROSS JOIN noted AS r ON r.number = f.number
                      WHERE r.fate <> 0);";

/// The addresses that several rows have, and how many. `fate` is in the index so that an address of one row
/// is passed over without looking at the row.
const COUNT: &str = "CREATE INDEX noted_by_address ON noted (address, number, fate)
     WHERE address IS NOT NULL AND fate = 0;
     INSERT INTO place (address, accounts, plain, carrier)
     SELECT r.address, COUNT(*),
            COUNT(*) FILTER (WHERE r.address_reason = 'ok' AND r.held IS NULL AND r.copy_of IS NULL),
            MIN(r.number) FILTER (WHERE r.address_reason = 'ok' AND r.held IS NULL
                                    AND r.copy_of IS NULL)
     FROM (SELECT address
           FROM noted
           WHERE address IS NOT NULL AND fate = 0
           GROUP BY address
           HAVING COUNT(*) > 1) AS several
     CROSS JOIN noted AS r INDEXED BY noted_by_address ON r.address = several.address
     WHERE r.address IS NOT NULL AND r.fate = 0
       AND r.address_reason IN ('ok', 'suspect', 'dormant')
     GROUP BY r.address;";

/// Rows told at an address that several have: those that are mailed at all, whatever else they are.
macro_rules! met {
    () => {
        "SELECT r.number
         FROM place AS p
         CROSS JOIN noted AS r INDEXED BY noted_by_address ON r.address = p.address
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
            "UPDATE noted
             SET at_address = (SELECT p.accounts FROM place AS p WHERE p.address = noted.address)
             WHERE number IN (",
            met!(),
            ")"
        ),
    ),
    (
        "hold the accounts of crowded addresses",
        concat!(
            "UPDATE noted SET held = 'shared' WHERE held IS NULL AND number IN (",
            met!(),
            " AND p.accounts > $1)"
        ),
    ),
    (
        "choose carriers",
        concat!(
            "UPDATE noted
             SET carrier = (SELECT p.carrier FROM place AS p WHERE p.address = noted.address)
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
             FROM noted
             WHERE number IN (",
            grouped!(),
            ")"
        ),
    ),
];

/// Notes the second addresses among rows just staged.
pub(super) async fn stage_copies(pool: &SqlitePool, rows: &[StagedRow]) -> Result<(), StoreError> {
    let copies: Vec<Value> = rows
        .iter()
        .filter_map(|staged| {
            let copy = staged.copy_of.as_ref()?;
            let reason = staged.address_reason.word();
            Some(json!({ "n": staged.number, "l": copy.number, "p": copy.person, "r": reason,
                         "f": staged.name_refused }))
        })
        .collect();
    if copies.is_empty() {
        return Ok(());
    }
    let copies = Value::Array(copies).to_string();
    let mut tx = pool.begin().await.map_err(StoreError::on("begin a staging transaction"))?;
    for sql in [
        "INSERT INTO follower (number, leader, kind, person)
         SELECT j.value ->> 'n', j.value ->> 'l', 'copy', j.value ->> 'p' FROM json_each($1) AS j",
        "INSERT INTO noted (number, address_reason, name_refused, copy_of)
         SELECT j.value ->> 'n', j.value ->> 'r', j.value ->> 'f', j.value ->> 'l'
         FROM json_each($1) AS j",
    ] {
        sqlx::query(sql)
            .bind(&copies)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::on("stage second addresses"))?;
    }
    tx.commit().await.map_err(StoreError::on("commit second addresses"))
}

/// Lets copies go the way of their persons.
pub(super) async fn follow(pool: &SqlitePool) -> Result<(), StoreError> {
    sqlx::raw_sql(COPIES)
        .execute(pool)
        .await
        .map_err(StoreError::on("let second addresses follow their persons"))?;
    Ok(())
}

/// Counts the accounts at each address that several have, and says of those that share one which are told by
/// a notice of their own, which by a carrier's, and which are held.
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
const UNNAMED: &str = "SELECT f.number
     FROM follower AS f
     WHERE f.person IS NULL AND f.number > $1
     ORDER BY f.number
     LIMIT $2";

/// Numbers of rows of groups without a name, from one on.
pub(super) async fn unnamed(
    pool: &SqlitePool,
    after: u64,
    limit: u32,
) -> Result<Vec<u64>, StoreError> {
    let numbers: Vec<i64> = sqlx::query_scalar(UNNAMED)
        .bind(row::int(after))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await
        .map_err(StoreError::on("list the rows of groups"))?;
    Ok(numbers.into_iter().map(row::uint).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rows_of_groups_are_listed_from_a_number_on_and_those_named_are_not_walked_again() {
        let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
        sqlx::raw_sql(crate::store::sqlite::staging::tables::TABLES).execute(&pool).await.unwrap();
        let filled = "INSERT INTO follower (number, leader, kind)
            VALUES (1001, 1001, 'carrier'), (1002, 1001, 'carried'), (1003, 1001, 'carried'),
                   (1005, 1001, 'carried');
            UPDATE follower SET person = 'ann' WHERE number = 1002;";
        sqlx::raw_sql(filled).execute(&pool).await.unwrap();
        assert_eq!(unnamed(&pool, 0, 2).await.unwrap(), [1001, 1003]);
        assert_eq!(unnamed(&pool, 1003, 2).await.unwrap(), [1005]);
        let plan = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {UNNAMED}"));
        let steps: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(plan).bind(0).bind(1).fetch_all(&pool).await.unwrap();
        let steps: Vec<String> = steps.into_iter().map(|(.., step)| step).collect();
        assert_eq!(steps.len(), 1, "{steps:?}");
        assert!(steps[0].starts_with("SEARCH f USING INTEGER PRIMARY KEY"), "{steps:?}");
    }
}
