//! The chunks of a seal, born with the counters of their people.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::Publisher;
use crate::domain::chunk::{CHUNK_SIZE, numbers_of};
use crate::store::{StoreError, row};

/// Where a chunk stands among the lanes.
#[derive(sqlx::FromRow)]
struct Place {
    number: i64,
    cohort: String,
    provider: String,
    zone: String,
    is_copy: i64,
}

/// People of a chunk born alike: with their label, and how many of them are carried.
struct Born {
    label: String,
    count: i64,
    carried: i64,
}

impl Publisher<'_> {
    pub(super) async fn chunks(
        &self,
        conn: &mut SqliteConnection,
        seal: i64,
    ) -> Result<(), StoreError> {
        let born: Vec<(i64, String, i64, i64)> = sqlx::query_as(
            "SELECT number / $1, label, COUNT(*),
                    COUNT(*) FILTER (WHERE carrier IS NOT NULL AND carrier <> number)
             FROM staging.born
             GROUP BY 1, 2
             ORDER BY 1",
        )
        .bind(row::int(CHUNK_SIZE))
        .fetch_all(&mut *conn)
        .await
        .map_err(StoreError::on("count chunks"))?;
        let places: Vec<Place> = sqlx::query_as(
            "SELECT number, cohort, provider, zone, is_copy FROM staging.chunk ORDER BY number",
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(StoreError::on("list chunks"))?;
        let mut counted: BTreeMap<i64, Vec<Born>> = BTreeMap::new();
        for (chunk, label, count, carried) in born {
            counted.entry(chunk).or_default().push(Born { label, count, carried });
        }
        let rows: Vec<Value> = places
            .into_iter()
            .filter_map(|place| {
                let born = counted.get(&place.number)?;
                let root = self.publication.chunk_roots.get(&row::uint(place.number))?;
                Some(chunk_row(&place, born, root))
            })
            .collect();
        for part in rows.chunks(1_000) {
            sqlx::query(
                "INSERT INTO chunk (seal_id, number, first_number, last_number, size, root, cohort,
                                    provider, zone, is_copy, queued, held, fallback, reasons,
                                    carried_queued)
                 SELECT $2, j.value ->> 'number', j.value ->> 'first', j.value ->> 'last',
                        j.value ->> 'size', unhex(j.value ->> 'root'), j.value ->> 'cohort',
                        j.value ->> 'provider', j.value ->> 'zone', j.value ->> 'copy',
                        j.value ->> 'queued', j.value ->> 'held', j.value ->> 'fallback',
                        j.value ->> 'reasons', j.value ->> 'carried'
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

fn chunk_row(place: &Place, born: &[Born], root: &[u8; 32]) -> Value {
    let (mut size, mut queued, mut held, mut fallback, mut carried) = (0, 0, 0, 0, 0);
    let mut reasons: BTreeMap<&str, i64> = BTreeMap::new();
    for Born { label, count, carried: of_them } in born {
        size += count;
        carried += of_them;
        match label.split_once('/') {
            None => queued += count,
            Some((class, _)) => {
                *if class == "held" { &mut held } else { &mut fallback } += count;
                *reasons.entry(label).or_default() += count;
            }
        }
    }
    let (first, last) = numbers_of(row::uint(place.number));
    json!({
        "number": place.number, "first": first, "last": last, "size": size,
        "root": hex::encode(root), "cohort": place.cohort, "provider": place.provider,
        "zone": place.zone, "copy": place.is_copy, "queued": queued, "held": held,
        "fallback": fallback, "reasons": json!(reasons).to_string(), "carried": carried,
    })
}
