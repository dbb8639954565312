//! `Tokens` on SQLite, and the token's part in the recorder's and the operator's transactions.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use sqlx::SqliteConnection;

use super::{SqliteStore, StoreError, row};
use crate::store::deliveries::{Move, NewIntent};
use crate::store::tokens::{StoredToken, TokenListing, TokenTotals, Tokens};

/// Inserts a generation's token with its first intent; later intents move its expiry, never
/// backwards. A row of another salt is left alone and not returned.
macro_rules! issue_sql {
    ($rows:literal, $campaign:literal) => {
        concat!(
            "INSERT INTO reset_token (campaign_id, number, generation, salt, digest, expires_at)
             SELECT ",
            $campaign,
            ", j.value ->> 0, j.value ->> 1, unhex(j.value ->> 2),
                    unhex(j.value ->> 3), j.value ->> 4
             FROM jsonb_each(",
            $rows,
            ") AS j
             WHERE true
             ON CONFLICT (campaign_id, number, generation) DO UPDATE
             SET expires_at = max(reset_token.expires_at, excluded.expires_at)
             WHERE reset_token.salt = excluded.salt AND reset_token.digest = excluded.digest"
        )
    };
}
pub(super) use issue_sql;

const ISSUE: &str = concat!(issue_sql!("$1", "$2"), " RETURNING number");

/// Takes back the tokens of generations that the delivery has left behind.
const REVOKE_OLDER: &str = "UPDATE reset_token
     SET revoked_at = $3
     WHERE campaign_id = $2
       AND number IN (SELECT value FROM json_each($1))
       AND revoked_at IS NULL
       AND generation < (SELECT d.generation FROM delivery AS d
                         WHERE d.campaign_id = $2 AND d.number = reset_token.number)";

/// Issues the tokens of intents that were inserted in this transaction.
pub(super) async fn issue(
    conn: &mut SqliteConnection,
    campaign: i64,
    started: impl Iterator<Item = &NewIntent>,
) -> Result<(), StoreError> {
    let (rows, wanted) = token_rows(started);
    if wanted == 0 {
        return Ok(());
    }
    let issued: Vec<i64> = sqlx::query_scalar(ISSUE)
        .bind(rows)
        .bind(campaign)
        .fetch_all(conn)
        .await
        .map_err(StoreError::on("issue tokens"))?;
    if issued.len() == wanted {
        return Ok(());
    }
    // A message would carry a token that no row knows: none of this may be sent.
    Err(StoreError::Conflict(
        "a stored reset token changed between loading its recipient and sending to them; \
         hint: nobody but this program may write to the database, restore it from a backup"
            .into(),
    ))
}

/// The tokens of intents as [`issue_sql`] reads them, and how many there are.
pub(super) fn token_rows<'i>(intents: impl Iterator<Item = &'i NewIntent>) -> (String, usize) {
    let mut count = 0;
    let rows = row::array(intents.filter_map(|intent| {
        let token = intent.token?;
        count += 1;
        Some((
            intent.key.number,
            intent.key.generation,
            hex::encode(token.stored.salt),
            hex::encode(token.stored.digest),
            row::micros(token.expires_at),
        ))
    }));
    (rows, count)
}

/// Revokes what these moves leave behind.
pub(super) async fn revoke_older(
    conn: &mut SqliteConnection,
    campaign: i64,
    moves: impl Iterator<Item = &Move>,
    now: i64,
) -> Result<(), StoreError> {
    let numbers: Vec<u64> =
        moves.filter(|change| change.state.generation > 1).map(|change| change.number).collect();
    if numbers.is_empty() {
        return Ok(());
    }
    sqlx::query(REVOKE_OLDER)
        .bind(json!(numbers).to_string())
        .bind(campaign)
        .bind(now)
        .execute(conn)
        .await
        .map_err(StoreError::on("revoke tokens"))?;
    Ok(())
}

/// Revokes every token of a campaign that still could be redeemed; how many.
pub(super) async fn revoke_all(
    conn: &mut SqliteConnection,
    campaign: i64,
    now: i64,
) -> Result<u64, StoreError> {
    let revoked = sqlx::query(
        "UPDATE reset_token SET revoked_at = $2
         WHERE campaign_id = $1 AND revoked_at IS NULL AND consumed_at IS NULL",
    )
    .bind(campaign)
    .bind(now)
    .execute(conn)
    .await
    .map_err(StoreError::on("revoke a campaign's tokens"))?;
    Ok(revoked.rows_affected())
}

/// Marks a token as the one that set a password.
pub(super) async fn consume(
    conn: &mut SqliteConnection,
    campaign: i64,
    number: i64,
    generation: i64,
    now: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE reset_token SET consumed_at = $4
         WHERE campaign_id = $1 AND number = $2 AND generation = $3 AND consumed_at IS NULL",
    )
    .bind(campaign)
    .bind(number)
    .bind(generation)
    .bind(now)
    .execute(conn)
    .await
    .map_err(StoreError::on("consume a token"))?;
    Ok(())
}

impl SqliteStore {
    /// The tokens of a range of numbers, by (number, generation).
    pub(super) async fn stored_tokens(
        &self,
        campaign: i64,
        range: (i64, i64),
    ) -> Result<HashMap<(i64, i64), StoredToken>, StoreError> {
        type Columns = (i64, i64, Vec<u8>, Option<Vec<u8>>);
        let rows: Vec<Columns> = self
            .in_range(
                "SELECT number, generation, salt, digest
                 FROM reset_token
                 WHERE campaign_id = $1 AND number BETWEEN $2 AND $3",
                campaign,
                range,
                "load a chunk's tokens",
            )
            .await?;
        rows.into_iter()
            .map(|(number, generation, salt, digest)| {
                let token = StoredToken {
                    salt: row::bytes(&salt, "reset_token", "salt", number)?,
                    digest: row::bytes(
                        &digest.unwrap_or_default(),
                        "reset_token",
                        "digest",
                        number,
                    )?,
                };
                Ok(((number, generation), token))
            })
            .collect()
    }
}

#[async_trait]
impl Tokens for SqliteStore {
    async fn tokens(&self, campaign: i64, number: u64) -> Result<Vec<TokenListing>, StoreError> {
        type Columns = (i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>);
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT t.generation,
                    (SELECT MIN(i.dated_at) FROM intent AS i
                     WHERE i.campaign_id = t.campaign_id AND i.number = t.number
                       AND i.generation = t.generation),
                    t.expires_at, t.consumed_at, t.revoked_at
             FROM reset_token AS t
             WHERE t.campaign_id = $1 AND t.number = $2
             ORDER BY t.generation",
        )
        .bind(campaign)
        .bind(row::int(number))
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list tokens"))?;
        Ok(rows
            .into_iter()
            .map(|(generation, issued, expires, consumed, revoked)| TokenListing {
                generation: row::small(generation),
                issued_at: issued.map(row::instant),
                expires_at: expires.map(row::instant),
                consumed_at: consumed.map(row::instant),
                revoked_at: revoked.map(row::instant),
            })
            .collect())
    }

    async fn token_totals(&self, campaign: i64, now: Timestamp) -> Result<TokenTotals, StoreError> {
        let (issued, consumed, revoked, live): (i64, i64, i64, i64) = sqlx::query_as(
            "SELECT COUNT(*),
                    COALESCE(SUM(consumed_at IS NOT NULL), 0),
                    COALESCE(SUM(consumed_at IS NULL AND revoked_at IS NOT NULL), 0),
                    COALESCE(SUM(consumed_at IS NULL AND revoked_at IS NULL AND expires_at > $2), 0)
             FROM reset_token
             WHERE campaign_id = $1",
        )
        .bind(campaign)
        .bind(row::micros(now))
        .fetch_one(&self.reader)
        .await
        .map_err(StoreError::on("count tokens"))?;
        Ok(TokenTotals {
            issued: row::uint(issued),
            consumed: row::uint(consumed),
            revoked: row::uint(revoked),
            expired: row::uint(issued - consumed - revoked - live),
            live: row::uint(live),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn issuing_walks_the_flush_and_revoking_looks_tokens_up_by_key() {
        let issuing = steps(ISSUE).await;
        assert!(issuing.iter().all(|step| step.starts_with("SCAN j")), "{issuing:?}");
        let revoking = steps(REVOKE_OLDER).await;
        let by_key = "SEARCH reset_token USING PRIMARY KEY (campaign_id=? AND number=?";
        assert!(revoking.iter().any(|step| step.starts_with(by_key)), "{revoking:?}");
        assert!(!revoking.iter().any(|step| step.starts_with("SCAN reset_token")), "{revoking:?}");
        assert!(!revoking.iter().any(|step| step.starts_with("SCAN d")), "{revoking:?}");
    }
}
