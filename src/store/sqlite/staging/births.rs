//! What people are born as, counted without reading a row: the kinds of rows each chunk took in, less the rows
//! that something is noted of, plus what became of those.

use std::collections::BTreeMap;

use sqlx::sqlite::SqlitePool;

use super::rows::Facts;
use crate::domain::address::AddressReason;
use crate::domain::chunk::CHUNK_SIZE;
use crate::domain::totals::SourceTotals;
use crate::store::seals::StagedSource;
use crate::store::{StoreError, row};

/// How a chunk's `born` names a kind of rows: the reason, and `+` where a name was refused.
pub(super) fn kind(facts: Facts) -> String {
    format!("{}{}", facts.reason.word(), if facts.name_refused { "+" } else { "" })
}

/// Rows born alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store::sqlite) struct Birth {
    pub(in crate::store::sqlite) chunk: i64,
    pub(in crate::store::sqlite) is_copy: bool,
    /// `queued`, `held/…` or `fallback/…`.
    pub(in crate::store::sqlite) label: String,
    pub(in crate::store::sqlite) reason: String,
    pub(in crate::store::sqlite) name_refused: bool,
    pub(in crate::store::sqlite) is_carried: bool,
}

/// The class of a row that nothing is noted of.
pub(in crate::store::sqlite) fn label(reason: AddressReason) -> String {
    if reason.is_mailed() { "queued".into() } else { format!("fallback/address:{reason}") }
}

/// Rows that something is noted of, alike in: chunk, copy, address reason, name refused, kept, label, carried;
/// and how many they are.
type NotedRow = (i64, bool, String, bool, bool, String, bool, i64);

/// The kept rows of chunks `from` to `to`, by how they are born.
pub(in crate::store::sqlite) async fn of_chunks(
    pool: &SqlitePool,
    from: i64,
    to: i64,
) -> Result<BTreeMap<Birth, i64>, StoreError> {
    let came: Vec<(i64, bool, String, i64)> = sqlx::query_as(
        "SELECT c.number, c.is_copy, j.key, j.value
         FROM chunk AS c
         CROSS JOIN json_each(c.born) AS j
         WHERE c.number BETWEEN $1 AND $2",
    )
    .bind(from)
    .bind(to)
    .fetch_all(pool)
    .await
    .map_err(StoreError::on("count the rows of chunks"))?;
    let noted: Vec<NotedRow> = sqlx::query_as(
        "SELECT n.number / $1, n.copy_of IS NOT NULL, n.address_reason, n.name_refused, n.fate = 0,
                COALESCE(b.label, ''), n.carrier IS NOT NULL AND n.carrier <> n.number, COUNT(*)
         FROM noted AS n
         LEFT JOIN born AS b ON b.number = n.number
         WHERE n.number BETWEEN $2 AND $3
         GROUP BY 1, 2, 3, 4, 5, 6, 7",
    )
    .bind(row::int(CHUNK_SIZE))
    .bind(from.saturating_mul(row::int(CHUNK_SIZE)))
    .bind(to.saturating_mul(row::int(CHUNK_SIZE)).saturating_add(row::int(CHUNK_SIZE) - 1))
    .fetch_all(pool)
    .await
    .map_err(StoreError::on("count the rows that something is noted of"))?;
    let mut births: BTreeMap<Birth, i64> = BTreeMap::new();
    let plain = |chunk: i64, is_copy, word: &str, name_refused| {
        let reason = AddressReason::parse(word).ok_or_else(|| StoreError::Corrupt {
            table: "chunk",
            column: "born",
            row: chunk.to_string(),
        })?;
        let reason = reason.word().to_owned();
        let label = label(AddressReason::parse(word).unwrap_or(AddressReason::Invalid));
        Ok::<_, StoreError>(Birth {
            chunk,
            is_copy,
            label,
            reason,
            name_refused,
            is_carried: false,
        })
    };
    for (chunk, is_copy, kind, count) in came {
        let word = kind.trim_end_matches('+');
        *births.entry(plain(chunk, is_copy, word, word.len() < kind.len())?).or_default() += count;
    }
    for (chunk, is_copy, word, name_refused, is_kept, label, is_carried, count) in noted {
        let birth = plain(chunk, is_copy, &word, name_refused)?;
        *births.entry(birth.clone()).or_default() -= count;
        if is_kept {
            *births.entry(Birth { label, is_carried, ..birth }).or_default() += count;
        }
    }
    births.retain(|_, count| *count != 0);
    Ok(births)
}

/// Counts for the seal's ledger entry.
pub(super) async fn counts(pool: &SqlitePool) -> Result<BTreeMap<String, u64>, StoreError> {
    let (chunks, canary): (i64, i64) = sqlx::query_as(
        "SELECT COALESCE(MAX(number), 0),
                COALESCE(SUM(rows - (SELECT COUNT(*) FROM noted AS n
                                     WHERE n.fate <> 0
                                       AND n.number BETWEEN c.number * 1000 AND c.number * 1000 + 999))
                         FILTER (WHERE cohort = 'canary'), 0)
         FROM chunk AS c",
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
    for from in (0..=chunks).step_by(PAGE) {
        for (birth, count) in of_chunks(pool, from, from + PAGE_END).await? {
            if birth.is_copy {
                add("copies".into(), count);
                continue;
            }
            if birth.label != "queued" {
                add(birth.label, count);
            }
            add(format!("address:{}", birth.reason), count);
            if birth.name_refused {
                add("names-refused".into(), count);
            }
            if birth.is_carried {
                add("carried".into(), count);
            }
        }
    }
    Ok(counts)
}

/// Chunks counted at a time.
const PAGE: usize = 1_000;
const PAGE_END: i64 = 999;

/// The first line of promise 1.
pub(super) async fn totals(
    pool: &SqlitePool,
    source: Option<&StagedSource>,
) -> Result<SourceTotals, StoreError> {
    let (staged, duplicates, conflicts): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT COALESCE(SUM(rows), 0) FROM chunk WHERE is_copy = 0),
                COUNT(*) FILTER (WHERE is_conflict = 0), COUNT(*) FILTER (WHERE is_conflict = 1)
         FROM duplicate",
    )
    .fetch_one(pool)
    .await
    .map_err(StoreError::on("count staged rows"))?;
    Ok(SourceTotals {
        rows: source.map_or(0, |source| source.rows),
        sealed: row::uint(staged - duplicates - conflicts),
        duplicates: row::uint(duplicates),
        conflicts: row::uint(conflicts),
        rejected: source.map_or(0, |source| source.rejected),
    })
}
