//! The chunks of a seal, born with the counters of their people.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sqlx::SqliteConnection;

use super::Publisher;
use crate::domain::chunk::numbers_of;
use crate::store::sqlite::staging::births::{Birth, of_chunks};
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
        let places: Vec<Place> = sqlx::query_as(
            "SELECT number, cohort, provider, zone, is_copy FROM chunk ORDER BY number",
        )
        .fetch_all(self.staging)
        .await
        .map_err(StoreError::on("list chunks"))?;
        for part in places.chunks(1_000) {
            self.some_chunks(conn, seal, part).await?;
        }
        Ok(())
    }

    async fn some_chunks(
        &self,
        conn: &mut SqliteConnection,
        seal: i64,
        places: &[Place],
    ) -> Result<(), StoreError> {
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return Ok(()) };
        let mut counted: BTreeMap<i64, Vec<Born>> = BTreeMap::new();
        for (birth, count) in of_chunks(self.staging, first.number, last.number).await? {
            let Birth { chunk, label, is_carried, .. } = birth;
            let carried = if is_carried { count } else { 0 };
            counted.entry(chunk).or_default().push(Born { label, count, carried });
        }
        let rows: Vec<Value> = places
            .iter()
            .filter_map(|place| {
                let born = counted.get(&place.number)?;
                let root = self.publication.chunk_roots.get(&row::uint(place.number))?;
                Some(chunk_row(place, born, root))
            })
            .collect();
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
        .bind(Value::Array(rows).to_string())
        .bind(seal)
        .execute(&mut *conn)
        .await
        .map_err(StoreError::on("insert chunks"))?;
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
