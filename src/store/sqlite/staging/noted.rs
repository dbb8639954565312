//! The rows of a staging file that there is more to say of, written many at a time.

use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use sqlx::sqlite::SqlitePool;

use super::intake::Noted;
use super::numbers::Numbers;
use crate::store::{StoreError, row};

/// Keeps what was found of rows; a row that is known already keeps the rest of what is known.
pub(super) async fn keep(pool: &SqlitePool, found: &[Noted]) -> Result<(), StoreError> {
    for part in found.chunks(5_000) {
        let rows: Vec<Value> = part
            .iter()
            .map(|one| {
                json!([
                    one.number,
                    one.facts.reason.word(),
                    i64::from(one.facts.name_refused),
                    one.address.map(hex::encode),
                    one.fate,
                    one.is_conflict.then_some("conflict"),
                ])
            })
            .collect();
        let twins: Vec<Value> = part
            .iter()
            .filter_map(|one| {
                let (of_line, of_number, line) = one.twin_of?;
                Some(json!([line, one.number, of_line, of_number, one.fate - 1]))
            })
            .collect();
        let mut tx = pool.begin().await.map_err(StoreError::on("begin a staging transaction"))?;
        for (rows, what, sql) in [
            (
                rows,
                "note rows",
                "INSERT INTO noted (number, address_reason, name_refused, address, fate, held)
                 SELECT j.value ->> 0, j.value ->> 1, j.value ->> 2, unhex(j.value ->> 3),
                        j.value ->> 4, j.value ->> 5
                 FROM json_each($1) AS j
                 WHERE true
                 ON CONFLICT (number) DO UPDATE SET address = excluded.address",
            ),
            (
                twins,
                "note duplicates",
                "INSERT INTO duplicate (line, number, of_line, of_number, is_conflict)
                 SELECT j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 3, j.value ->> 4
                 FROM json_each($1) AS j",
            ),
        ] {
            if !rows.is_empty() {
                sqlx::query(sql)
                    .bind(Value::Array(rows).to_string())
                    .execute(&mut *tx)
                    .await
                    .map_err(StoreError::on(what))?;
            }
        }
        tx.commit().await.map_err(StoreError::on("commit what is noted of rows"))?;
    }
    Ok(())
}

/// Numbers of rows that are not kept.
pub(super) async fn dropped(pool: &SqlitePool) -> Result<Numbers, StoreError> {
    let mut numbers = Numbers::default();
    let mut found =
        sqlx::query_scalar::<_, i64>("SELECT number FROM noted WHERE fate <> 0").fetch(pool);
    let next = |error| StoreError::on("list rows that are not kept")(error);
    while let Some(number) = found.try_next().await.map_err(next)? {
        numbers.add(row::uint(number));
    }
    Ok(numbers)
}
