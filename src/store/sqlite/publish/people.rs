//! Slices of people: rows as the staging file has them, and what is noted of some.
//!
//! A statement takes hundreds of rows: their salts, leaves and bodies each as one blob that SQL cuts up, since
//! binding a blob costs more than cutting one.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::{Value, json};
use sqlx::{SqliteConnection, SqlitePool};

use super::checkpoints::Checkpoints;
use super::{Publisher, begin_immediate};
use crate::domain::address::AddressReason;
use crate::domain::chunk::{chunk_of, numbers_of};
use crate::store::sqlite::staging::births::label;
use crate::store::sqlite::staging::rows::{RowRef, RowsReader};
use crate::store::{StoreError, row};

/// Chunks a slice: well under 100 ms of write transaction.
const SLICE: i64 = 5;
/// Rows a statement. One statement serves them all: what is left unbound is NULL, and passed over.
const ROWS: usize = 1_000;

/// The reasons by their place among all.
static REASONS: LazyLock<String> = LazyLock::new(|| {
    let when = |(at, reason): (usize, &AddressReason)| format!("WHEN {at} THEN '{reason}' ");
    AddressReason::ALL.iter().enumerate().map(when).collect()
});

/// What is noted of a row.
#[derive(sqlx::FromRow)]
struct Note {
    number: i64,
    fate: i64,
    held: Option<String>,
    at_address: i64,
    carrier: Option<i64>,
    copy_of: Option<i64>,
}

/// Rows of one statement: all of them usual ones, or all unusual.
#[derive(Default)]
struct Batch {
    salts: Vec<u8>,
    leaves: Vec<u8>,
    bodies: Vec<u8>,
    rows: Vec<Place>,
}

/// The statements for usual rows and for unusual ones: those with a carrier, of a second address, or at an
/// address that several have.
struct Statements {
    usual: Arc<str>,
    unusual: Arc<str>,
}

/// A row of a statement.
struct Place {
    number: i64,
    /// Counted from 1, as SQL does.
    start: i64,
    length: i64,
    reason: AddressReason,
    /// Carrier, person of whom it is a second address, accounts at its address.
    unusual: Option<(Option<i64>, Option<i64>, i64)>,
}

/// What a transaction copies.
struct Slice {
    /// The mark once it is copied.
    last: i64,
    usual: Vec<Batch>,
    unusual: Vec<Batch>,
    people: u64,
    /// Rows that are not born queued: number, class, reason.
    classes: Vec<Value>,
    /// Rows of groups: number, leader, kind, person.
    followers: Vec<Value>,
}

impl Publisher<'_> {
    /// Copies the people, from the mark on. The next slice is made while SQLite takes one in.
    pub(super) async fn people(
        &self,
        conn: &mut SqliteConnection,
        seal: i64,
        log: &mut Checkpoints,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), StoreError> {
        let statements = Statements::new(seal);
        let mut reader = self.parts.open_rows()?;
        let mark: i64 = sqlx::query_scalar("SELECT copied_number FROM seal WHERE id = $1")
            .bind(seal)
            .fetch_one(&mut *conn)
            .await
            .map_err(StoreError::on("find the slice mark"))?;
        let mut copied = 0;
        let mut next = self.slice(&mut reader, mark).await?;
        while let Some(slice) = next {
            let (last, people) = (slice.last, slice.people);
            let (made, done) = futures_util::future::join(
                self.slice(&mut reader, last),
                self.copy(&mut *conn, seal, &statements, slice),
            )
            .await;
            done?;
            next = made?;
            log.committed().await?;
            copied += people;
            progress(copied);
        }
        Ok(())
    }

    /// The rows behind a mark, a few chunks of them; none at the end.
    async fn slice(&self, reader: &mut RowsReader, mark: i64) -> Result<Option<Slice>, StoreError> {
        let chunks: Vec<(i64, i64, i64)> = sqlx::query_as(
            "SELECT number, last, rows
             FROM chunk
             WHERE number > $1 AND rows > 0
             ORDER BY number
             LIMIT $2",
        )
        .bind(if mark == 0 { 0 } else { row::int(chunk_of(row::uint(mark))) })
        .bind(SLICE)
        .fetch_all(self.staging)
        .await
        .map_err(StoreError::on("find the next slice"))?;
        let (Some(first), Some(end)) = (chunks.first(), chunks.last()) else { return Ok(None) };
        let from = row::int(numbers_of(row::uint(first.0)).0);
        let last = row::int(numbers_of(row::uint(end.0)).1);
        let notes = notes(self.staging, from, last).await?;
        let mut slice = Slice {
            last,
            usual: Vec::new(),
            unusual: Vec::new(),
            people: 0,
            classes: Vec::new(),
            followers: followers(self.staging, from, last).await?,
        };
        for (number, last, rows) in chunks {
            let (number, last, rows) = (row::uint(number), row::uint(last), row::uint(rows));
            reader.chunk(number, last, rows).map_err(self.parts.failed())?;
            let taken = reader.each(|row| {
                slice.take(&row, notes.get(&row.number));
                Ok(())
            });
            taken.map_err(self.parts.failed())?;
        }
        Ok(Some(slice))
    }

    async fn copy(
        &self,
        conn: &mut SqliteConnection,
        seal: i64,
        statements: &Statements,
        slice: Slice,
    ) -> Result<(), StoreError> {
        let campaign = self.publication.campaign;
        let mut tx = begin_immediate(conn).await?;
        for (batches, sql) in
            [(slice.usual, &statements.usual), (slice.unusual, &statements.unusual)]
        {
            for batch in batches {
                batch.insert(&mut tx, sql).await?;
            }
        }
        for (rows, what, sql) in [
            (
                slice.classes,
                "copy a slice of classes",
                "INSERT INTO delivery (campaign_id, number, class, reason, changed_at)
                 SELECT $1, j.value ->> 0, j.value ->> 1, j.value ->> 2, $2 FROM json_each($3) AS j",
            ),
            (
                slice.followers,
                "copy a slice of groups",
                "INSERT INTO follower (campaign_id, number, leader, kind, person)
                 SELECT $1, j.value ->> 0, j.value ->> 1, j.value ->> 2, j.value ->> 3
                 FROM json_each($3) AS j",
            ),
        ] {
            if !rows.is_empty() {
                sqlx::query(sql)
                    .bind(campaign)
                    .bind(row::micros(self.store.now()))
                    .bind(Value::Array(rows).to_string())
                    .execute(&mut *tx)
                    .await
                    .map_err(StoreError::on(what))?;
            }
        }
        sqlx::query("UPDATE seal SET copied_number = $2 WHERE id = $1")
            .bind(seal)
            .bind(slice.last)
            .execute(&mut *tx)
            .await
            .map_err(StoreError::on("move the slice mark"))?;
        tx.commit().await.map_err(StoreError::on("commit a slice"))
    }
}

impl Slice {
    fn take(&mut self, row: &RowRef<'_>, note: Option<&Note>) {
        if note.is_some_and(|note| note.fate != 0) {
            return;
        }
        let number = row::int(row.number);
        let label = match note.and_then(|note| note.held.as_deref()) {
            Some(held) => format!("held/{held}"),
            None if row.facts.reason.is_mailed() => String::new(),
            None => label(row.facts.reason),
        };
        if let Some((class, reason)) = label.split_once('/') {
            self.classes.push(json!([number, class, reason]));
        }
        let unusual = note.map(|note| {
            let carrier = note.carrier.filter(|carrier| *carrier != number);
            (carrier, note.copy_of, note.at_address)
        });
        let batches = if unusual.is_some() { &mut self.unusual } else { &mut self.usual };
        if batches.last().is_none_or(|batch| batch.rows.len() == ROWS) {
            batches.push(Batch::default());
        }
        let Some(batch) = batches.last_mut() else { return };
        batch.rows.push(Place {
            number,
            start: row::int(batch.bodies.len() as u64 + 1),
            length: row::int(row.body.len() as u64),
            reason: row.facts.reason,
            unusual,
        });
        batch.salts.extend_from_slice(row.salt);
        batch.leaves.extend_from_slice(row.leaf);
        batch.bodies.extend_from_slice(row.body);
        self.people += 1;
    }
}

impl Batch {
    async fn insert(self, conn: &mut SqliteConnection, sql: &Arc<str>) -> Result<(), StoreError> {
        let query = sqlx::query(sqlx::AssertSqlSafe(Arc::clone(sql)));
        let mut query = query.bind(self.salts).bind(self.leaves).bind(self.bodies);
        for place in self.rows {
            query = query
                .bind(place.number)
                .bind(place.start)
                .bind(place.length)
                .bind(place.reason as i64);
            if let Some((carrier, copy_of, at_address)) = place.unusual {
                query = query.bind(carrier).bind(copy_of).bind(at_address);
            }
        }
        query.execute(conn).await.map_err(StoreError::on("copy a slice of people"))?;
        Ok(())
    }
}

impl Statements {
    fn new(seal: i64) -> Self {
        Self {
            usual: Self::of(seal, "?,?,?,?", "", ""),
            unusual: Self::of(
                seal,
                "?,?,?,?,?,?,?",
                ", carrier, copy_of, at_address",
                ", column6, column7, column8",
            ),
        }
    }

    /// `places` are a row's number, where its body lies, bytes of it, its reason, then what `more` columns get.
    fn of(seal: i64, places: &str, more: &str, values: &str) -> Arc<str> {
        let rows: Vec<String> = (0..ROWS).map(|at| format!("({at},{places})")).collect();
        format!(
            "INSERT INTO recipient (seal_id, number, salt, leaf, body, address_reason{more})
             SELECT {seal}, column2, substr(?, column1 * 16 + 1, 16), substr(?, column1 * 32 + 1, 32),
                    substr(?, column3, column4), CASE column5 {}END{values}
             FROM (VALUES {})
             WHERE column2 IS NOT NULL",
            *REASONS,
            rows.join(",")
        )
        .into()
    }
}

async fn notes(pool: &SqlitePool, from: i64, to: i64) -> Result<HashMap<u64, Note>, StoreError> {
    let notes: Vec<Note> = sqlx::query_as(
        "SELECT number, fate, held, at_address, carrier, copy_of
         FROM noted
         WHERE number BETWEEN $1 AND $2",
    )
    .bind(from)
    .bind(to)
    .fetch_all(pool)
    .await
    .map_err(StoreError::on("read what is noted of rows"))?;
    Ok(notes.into_iter().map(|note| (row::uint(note.number), note)).collect())
}

async fn followers(pool: &SqlitePool, from: i64, to: i64) -> Result<Vec<Value>, StoreError> {
    let rows: Vec<(i64, i64, String, Option<String>)> = sqlx::query_as(
        "SELECT number, leader, kind, person FROM follower WHERE number BETWEEN $1 AND $2 ORDER BY number",
    )
    .bind(from)
    .bind(to)
    .fetch_all(pool)
    .await
    .map_err(StoreError::on("read the rows of groups"))?;
    let row = |(number, leader, kind, person)| json!([number, leader, kind, person]);
    Ok(rows.into_iter().map(row).collect())
}
