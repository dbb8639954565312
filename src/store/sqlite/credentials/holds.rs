//! Holds and releases of notices that go with a credential's class, as their rows stand in the transaction.

use std::collections::HashMap;

use serde_json::json;
use sqlx::SqliteConnection;

use super::super::acts::in_flight;
use super::super::load::StateColumns;
use super::super::{StoreError, row};
use crate::domain::delivery::DeliveryClass;
use crate::store::deliveries::{DeliveryState, Move};

#[derive(sqlx::FromRow)]
struct Columns {
    number: i64,
    #[sqlx(flatten)]
    state: StateColumns,
}

/// The moves that apply, each with its row's own attempts and doubts. An attempt on its way ends as it ends:
/// its person is not held meanwhile. Who has another credential that is not secured stays held.
pub(super) async fn that_apply(
    conn: &mut SqliteConnection,
    campaign: i64,
    mut moves: Vec<&Move>,
) -> Result<Vec<Move>, StoreError> {
    if moves.is_empty() {
        return Ok(Vec::new());
    }
    keep_held(conn, campaign, &mut moves).await?;
    let to_hold = |change: &&&Move| change.to != DeliveryClass::Queued;
    let held: Vec<u64> = moves.iter().filter(to_hold).map(|change| change.number).collect();
    let busy = in_flight(conn, campaign, &held).await?;
    moves.retain(|change| !busy.contains(&change.number));
    let mut states = states(conn, campaign, &moves).await?;
    let with_state = |change: &Move| {
        let now = states.remove(&change.number).unwrap_or_default();
        // Whoever waited for a credential does not find their retry window over.
        let first_attempt_at = now.first_attempt_at.filter(|_| change.to != DeliveryClass::Queued);
        let class = change.to.clone();
        let state = DeliveryState { class, due_at: None, first_attempt_at, ..now };
        Move { state, ..change.clone() }
    };
    Ok(moves.into_iter().map(with_state).collect())
}

async fn states(
    conn: &mut SqliteConnection,
    campaign: i64,
    moves: &[&Move],
) -> Result<HashMap<u64, DeliveryState>, StoreError> {
    let numbers: Vec<u64> = moves.iter().map(|change| change.number).collect();
    let rows: Vec<Columns> = sqlx::query_as(
        "SELECT d.number, d.class, d.reason, d.generation, d.doubts, d.attempts, d.first_attempt_at,
                d.due_at
         FROM json_each($1) AS j
         CROSS JOIN delivery AS d
           ON d.campaign_id = $2 AND d.number = CAST(j.value AS INTEGER)",
    )
    .bind(json!(numbers).to_string())
    .bind(campaign)
    .fetch_all(conn)
    .await
    .map_err(StoreError::on("read rows to hold or release"))?;
    rows.into_iter()
        .map(|found| Ok((row::uint(found.number), found.state.read(found.number)?)))
        .collect()
}

/// Takes out releases of people of whom another kind of credential is not secured, or of whose group another
/// account's is not: they stay held.
async fn keep_held(
    conn: &mut SqliteConnection,
    campaign: i64,
    moves: &mut Vec<&Move>,
) -> Result<(), StoreError> {
    let released: Vec<u64> = moves
        .iter()
        .filter(|change| change.to == DeliveryClass::Queued)
        .map(|change| change.number)
        .collect();
    if released.is_empty() {
        return Ok(());
    }
    let unsecured: Vec<i64> = sqlx::query_scalar(
        "SELECT j.value
         FROM json_each($2) AS j
         CROSS JOIN credential AS c ON c.campaign_id = $1 AND c.number = j.value
         WHERE c.class IN ('failed', 'regressed')
         UNION
         SELECT j.value
         FROM json_each($2) AS j
         CROSS JOIN follower AS own ON own.campaign_id = $1 AND own.number = j.value
         CROSS JOIN follower AS f INDEXED BY follower_by_leader
           ON f.campaign_id = $1 AND f.leader = own.leader
         CROSS JOIN credential AS c ON c.campaign_id = $1 AND c.number = f.number
         WHERE c.class IN ('failed', 'regressed') AND f.kind <> 'copy'",
    )
    .bind(campaign)
    .bind(json!(released).to_string())
    .fetch_all(conn)
    .await
    .map_err(StoreError::on("find credentials that are not secured"))?;
    moves.retain(|change| {
        change.to != DeliveryClass::Queued || !unsecured.contains(&row::int(change.number))
    });
    Ok(())
}
