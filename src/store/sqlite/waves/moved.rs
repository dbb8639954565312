//! What moves waves inside other transactions: the approval's, the recorder's, the rescue's.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::SqliteConnection;

use crate::domain::chunk::chunk_of;
use crate::domain::delivery::AttemptResult;
use crate::domain::wave::WavePlan;
use crate::store::deliveries::Ended;
use crate::store::{StoreError, row};

/// Puts a campaign's chunks into the waves of an approved plan, in the approving transaction. A provider
/// that is suspended stays so in its new lanes.
pub(in crate::store::sqlite) async fn arrange(
    conn: &mut SqliteConnection,
    campaign: i64,
    plan: &WavePlan,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM wave WHERE campaign_id = $1")
        .bind(campaign)
        .execute(&mut *conn)
        .await
        .map_err(StoreError::on("forget waves"))?;
    for wave in &plan.waves {
        sqlx::query(
            "INSERT INTO wave (campaign_id, number, name, is_canary, deadline)
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(campaign)
        .bind(i64::from(wave.number))
        .bind(&wave.name)
        .bind(i64::from(wave.is_canary))
        .bind(wave.deadline.map(row::micros))
        .execute(&mut *conn)
        .await
        .map_err(StoreError::on("add a wave"))?;
    }
    sqlx::query(
        "UPDATE chunk
         SET wave = COALESCE((SELECT j.value FROM json_each($2) AS j WHERE j.key = chunk.cohort), $3)
         WHERE seal_id = (SELECT seal_id FROM campaign WHERE id = $1)",
    )
    .bind(campaign)
    .bind(json!(plan.by_cohort).to_string())
    .bind(i64::from(plan.rest))
    .execute(&mut *conn)
    .await
    .map_err(StoreError::on("put chunks into waves"))?;
    sqlx::query(
        "INSERT INTO lane (campaign_id, wave, provider, send_window, suspended_at, suspended_until,
                           cause)
         SELECT $1, k.wave, k.provider, k.send_window, MIN(l.suspended_at), MAX(l.suspended_until),
                MAX(l.cause)
         FROM campaign AS c
         JOIN chunk AS k ON k.seal_id = c.seal_id
         JOIN lane AS l ON l.campaign_id = c.id AND l.provider = k.provider
         WHERE c.id = $1 AND l.suspended_until IS NOT NULL
         GROUP BY k.wave, k.provider, k.send_window
         ON CONFLICT (campaign_id, wave, provider, send_window) DO UPDATE
         SET suspended_at = COALESCE(lane.suspended_at, excluded.suspended_at),
             suspended_until = COALESCE(lane.suspended_until, excluded.suspended_until),
             cause = COALESCE(lane.cause, excluded.cause)",
    )
    .bind(campaign)
    .execute(&mut *conn)
    .await
    .map_err(StoreError::on("keep suspensions over new waves"))?;
    Ok(())
}

/// Notes the first permit of the waves that some chunks are in, where none is noted.
macro_rules! note_permits_sql {
    ($campaign:literal, $seal:literal, $at:literal, $chunks:literal) => {
        concat!(
            "UPDATE wave
             SET first_permit_at = ",
            $at,
            "
             WHERE campaign_id = ",
            $campaign,
            "
               AND first_permit_at IS NULL
               AND ",
            $at,
            " IS NOT NULL
               AND number IN (SELECT wave FROM chunk
                              WHERE seal_id = ",
            $seal,
            "
                                AND number IN (SELECT value FROM json_each(",
            $chunks,
            ")))"
        )
    };
}
pub(in crate::store::sqlite) use note_permits_sql;

const NOTE_PERMITS: &str = note_permits_sql!("$1", "$2", "$3", "$4");

/// Notes when the first transaction of a wave's people had ended: it had a permit before.
pub(in crate::store::sqlite) async fn note_permits(
    conn: &mut SqliteConnection,
    campaign: i64,
    seal: i64,
    ended: &[&Ended],
) -> Result<(), StoreError> {
    let (first, chunks) = permits(ended.iter().copied());
    if first.is_none() {
        return Ok(());
    }
    sqlx::query(NOTE_PERMITS)
        .bind(campaign)
        .bind(seal)
        .bind(first)
        .bind(chunks)
        .execute(conn)
        .await
        .map_err(StoreError::on("note a wave's first permit"))?;
    Ok(())
}

/// When the first of these transactions had ended, and the chunks of all that began: as
/// [`note_permits_sql`] reads them.
pub(in crate::store::sqlite) fn permits<'e>(
    ended: impl Iterator<Item = &'e Ended>,
) -> (Option<i64>, String) {
    let mut chunks = BTreeSet::new();
    let begun = ended.filter(|one| one.outcome.result != AttemptResult::NotStarted);
    let first = begun
        .map(|one| {
            chunks.insert(chunk_of(one.key.number));
            row::micros(one.outcome.ended_at)
        })
        .min();
    (first, json!(chunks).to_string())
}

/// Keeps the breaker's window; none where it did not change.
macro_rules! keep_breaker_sql {
    ($campaign:literal, $attempts:literal) => {
        concat!(
            "INSERT INTO breaker (campaign_id, attempts)
             SELECT ",
            $campaign,
            ", ",
            $attempts,
            " WHERE ",
            $attempts,
            " IS NOT NULL
             ON CONFLICT (campaign_id) DO UPDATE SET attempts = excluded.attempts"
        )
    };
}
pub(in crate::store::sqlite) use keep_breaker_sql;

const KEEP_BREAKER: &str = keep_breaker_sql!("$1", "$2");

/// Keeps the breaker's window as of the outcomes of this transaction.
pub(in crate::store::sqlite) async fn keep_breaker(
    conn: &mut SqliteConnection,
    campaign: i64,
    attempts: &[u8],
) -> Result<(), StoreError> {
    sqlx::query(KEEP_BREAKER)
        .bind(campaign)
        .bind(attempts)
        .execute(conn)
        .await
        .map_err(StoreError::on("keep the breaker's window"))?;
    Ok(())
}

/// A paused track goes on: the breaker begins anew.
pub(in crate::store::sqlite) async fn forget_breaker(
    conn: &mut SqliteConnection,
    campaign: i64,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM breaker WHERE campaign_id = $1")
        .bind(campaign)
        .execute(conn)
        .await
        .map_err(StoreError::on("begin the breaker's window anew"))?;
    Ok(())
}
