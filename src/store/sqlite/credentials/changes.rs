//! What writes credentials: what is about to be written to them, and how it ended.
//!
//! Of a thousand accounts only the numbers travel as JSON. What is the same for all of them is bound once,
//! and digests go as one blob from which each row cuts its own: an object a row cost more to parse than
//! to store, and a row back for each one more than both.

use std::collections::{BTreeMap, HashSet};

use serde_json::json;
use sqlx::SqliteConnection;

use super::super::StoreError;
use crate::domain::credential::CredentialKind;
use crate::store::credentials::{OwnWrite, Settlement};

/// A write has 64 bytes of the blob: planned, then seen.
const RECORD: &str =
    "INSERT INTO credential_write (campaign_id, number, kind, planned, seen, written_at)
     SELECT $2, j.value, $3, substr($5, j.key * 64 + 1, 32), substr($5, j.key * 64 + 33, 32), $4
     FROM json_each($1) AS j
     WHERE true
     ON CONFLICT DO NOTHING";

/// Which of them stand in the class they are to leave; pending is no row.
const STANDING: &str = "SELECT json_group_array(j.value)
     FROM json_each($1) AS j
     LEFT JOIN credential AS c
       ON c.campaign_id = $2 AND c.number = j.value AND c.kind = $3
     WHERE COALESCE(c.class, 'pending') = $4";

const CHANGE: &str = "INSERT INTO credential (campaign_id, number, kind, class, reason, changed_at)
     SELECT $2, j.value, $3, $5, $6, $4
     FROM json_each($1) AS j
     WHERE true
     ON CONFLICT (campaign_id, number, kind) DO UPDATE
     SET class = excluded.class, reason = excluded.reason, changed_at = excluded.changed_at";

/// Notes what is about to be written; a write noted before stays as it is.
pub(in crate::store::sqlite) async fn record(
    conn: &mut SqliteConnection,
    campaign: i64,
    kind: CredentialKind,
    writes: &[OwnWrite],
    now: i64,
) -> Result<(), StoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    let numbers: Vec<u64> = writes.iter().map(|own| own.number).collect();
    let mut digests = Vec::with_capacity(writes.len() * 64);
    for own in writes {
        digests.extend_from_slice(&own.planned);
        digests.extend_from_slice(&own.seen);
    }
    sqlx::query(RECORD)
        .bind(json!(numbers).to_string())
        .bind(campaign)
        .bind(kind.word())
        .bind(now)
        .bind(digests)
        .execute(conn)
        .await
        .map_err(StoreError::on("record what is about to be written"))?;
    Ok(())
}

/// Changes the guarded credential rows and returns the numbers that really changed.
pub(super) async fn settle(
    conn: &mut SqliteConnection,
    campaign: i64,
    kind: CredentialKind,
    settlements: &[Settlement],
    now: i64,
) -> Result<HashSet<i64>, StoreError> {
    // Nearly always one: from pending to expired.
    let mut alike: BTreeMap<(&str, &str, &str), Vec<u64>> = BTreeMap::new();
    for settled in settlements {
        let what = (settled.from.word(), settled.to.word(), settled.reason.as_str());
        alike.entry(what).or_default().push(settled.number);
    }
    let mut changed = HashSet::with_capacity(settlements.len());
    for ((from, to, reason), numbers) in alike {
        let standing: String = sqlx::query_scalar(STANDING)
            .bind(json!(numbers).to_string())
            .bind(campaign)
            .bind(kind.word())
            .bind(from)
            .fetch_one(&mut *conn)
            .await
            .map_err(StoreError::on("find the credentials to settle"))?;
        // Nobody else writes meanwhile: the transaction holds the file's only write lock.
        sqlx::query(CHANGE)
            .bind(&standing)
            .bind(campaign)
            .bind(kind.word())
            .bind(now)
            .bind(to)
            .bind(reason)
            .execute(&mut *conn)
            .await
            .map_err(StoreError::on("settle credentials"))?;
        changed.extend(serde_json::from_str::<Vec<i64>>(&standing).unwrap_or_default());
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn a_batch_looks_its_rows_up_by_key_and_never_walks_the_campaign() {
        let steps = steps(STANDING).await;
        let by_key = "SEARCH c USING PRIMARY KEY (campaign_id=? AND number=? AND kind=?)";
        assert!(steps.iter().any(|step| step.starts_with(by_key)), "{steps:?}");
    }
}
