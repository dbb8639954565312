//! The chunks of a seal, born with the counters of their people.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::Publisher;
use crate::domain::chunk::{CHUNK_SIZE, numbers_of};
use crate::store::{StoreError, row};

impl Publisher<'_> {
    pub(super) async fn chunks(
        &self,
        conn: &mut SqliteConnection,
        seal: i64,
    ) -> Result<(), StoreError> {
        let born: Vec<(i64, i64, String, i64)> = sqlx::query_as(
            "SELECT number / $1, is_held, address_reason, COUNT(*)
             FROM staging.row
             WHERE fate = 0
             GROUP BY 1, 2, 3
             ORDER BY 1",
        )
        .bind(row::int(CHUNK_SIZE))
        .fetch_all(&mut *conn)
        .await
        .map_err(StoreError::on("count chunks"))?;
        let places: Vec<(i64, String, String, String)> = sqlx::query_as(
            "SELECT number, cohort, provider, zone FROM staging.chunk ORDER BY number",
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(StoreError::on("list chunks"))?;
        let mut counted: BTreeMap<i64, Vec<(bool, String, i64)>> = BTreeMap::new();
        for (chunk, held, reason, count) in born {
            counted.entry(chunk).or_default().push((held == 1, reason, count));
        }
        let rows: Vec<Value> = places
            .into_iter()
            .filter_map(|place| {
                let born = counted.get(&place.0)?;
                let root = self.publication.chunk_roots.get(&row::uint(place.0))?;
                Some(chunk_row(place, born, root))
            })
            .collect();
        for part in rows.chunks(1_000) {
            sqlx::query(
                "INSERT INTO chunk (seal_id, number, first_number, last_number, size, root, cohort,
                                    provider, zone, is_copy, queued, held, fallback, reasons)
                 SELECT $2, j.value ->> 'number', j.value ->> 'first', j.value ->> 'last',
                        j.value ->> 'size', unhex(j.value ->> 'root'), j.value ->> 'cohort',
                        j.value ->> 'provider', j.value ->> 'zone', 0, j.value ->> 'queued',
                        j.value ->> 'held', j.value ->> 'fallback', j.value ->> 'reasons'
                 FROM json_each($1) AS j
                 WHERE true
                 ON CONFLICT DO NOTHING",
            )
            .bind(json!(part).to_string())
            .bind(seal)
            .execute(&mut *conn)
            .await
            .map_err(StoreError::on("insert chunks"))?;
        }
        Ok(())
    }
}

fn chunk_row(
    (number, cohort, provider, zone): (i64, String, String, String),
    born: &[(bool, String, i64)],
    root: &[u8; 32],
) -> Value {
    let (mut size, mut queued, mut held, mut fallback) = (0, 0, 0, 0);
    let mut reasons: BTreeMap<String, i64> = BTreeMap::new();
    for (is_held, reason, count) in born {
        size += count;
        if *is_held {
            held += count;
            *reasons.entry("held/conflict".into()).or_default() += count;
        } else if matches!(reason.as_str(), "ok" | "suspect" | "dormant") {
            queued += count;
        } else {
            fallback += count;
            *reasons.entry(format!("fallback/address:{reason}")).or_default() += count;
        }
    }
    let (first, last) = numbers_of(row::uint(number));
    json!({
        "number": number, "first": first, "last": last, "size": size, "root": hex::encode(root),
        "cohort": cohort, "provider": provider, "zone": zone,
        "queued": queued, "held": held, "fallback": fallback,
        "reasons": json!(reasons).to_string(),
    })
}
