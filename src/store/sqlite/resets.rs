//! `Resets` on SQLite.

use async_trait::async_trait;
use serde_json::json;
use sqlx::SqliteConnection;

use super::credentials::record_writes;
use super::{SqliteStore, StoreError, events, row, tokens};
use crate::domain::credential::CredentialKind;
use crate::store::resets::{
    Claimed, Finish, FoundToken, NewClaim, OpenClaim, Proof, Resets, Revocation,
};

const TOKEN_IS_LIVE: &str = "SELECT EXISTS (
         SELECT 1 FROM reset_token
         WHERE campaign_id = $1 AND number = $2 AND generation = $3
           AND consumed_at IS NULL AND revoked_at IS NULL AND expires_at > $4)";

const CODE_IS_PROVED: &str = "SELECT EXISTS (
         SELECT 1 FROM code_account AS a JOIN code_request AS r ON r.id = a.request_id
         WHERE a.request_id = $3 AND a.campaign_id = $1 AND a.number = $2
           AND r.proved_at IS NOT NULL AND r.proved_at <= $4)";

#[derive(sqlx::FromRow)]
struct TokenColumns {
    campaign_id: i64,
    number: i64,
    generation: i64,
    expires_at: Option<i64>,
    consumed_at: Option<i64>,
    revoked_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
struct ClaimColumns {
    id: i64,
    campaign_id: i64,
    number: i64,
    request_id: Option<i64>,
    generation: Option<i64>,
    planned: Vec<u8>,
    life: String,
    claimed_at: i64,
}

impl ClaimColumns {
    fn read(self) -> Result<OpenClaim, StoreError> {
        let proof = match (self.request_id, self.generation) {
            (Some(request), _) => Proof::Code { request },
            (None, generation) => {
                Proof::Token { generation: row::small(generation.unwrap_or_default()) }
            }
        };
        Ok(OpenClaim {
            id: self.id,
            campaign: self.campaign_id,
            number: row::uint(self.number),
            proof,
            planned: row::bytes(&self.planned, "reset", "planned", self.id)?,
            life: self.life,
            claimed_at: row::instant(self.claimed_at),
        })
    }
}

#[async_trait]
impl Resets for SqliteStore {
    async fn find_token(&self, digest: &[u8; 32]) -> Result<Option<FoundToken>, StoreError> {
        let found: Option<TokenColumns> = sqlx::query_as(
            "SELECT campaign_id, number, generation, expires_at, consumed_at, revoked_at
             FROM reset_token
             WHERE digest = $1",
        )
        .bind(&digest[..])
        .fetch_optional(&self.reader)
        .await
        .map_err(StoreError::on("find a token"))?;
        Ok(found.map(|found| FoundToken {
            campaign: found.campaign_id,
            number: row::uint(found.number),
            generation: row::small(found.generation),
            expires_at: found.expires_at.map(row::instant),
            consumed_at: found.consumed_at.map(row::instant),
            revoked_at: found.revoked_at.map(row::instant),
        }))
    }

    async fn claim_reset(&self, claim: NewClaim) -> Result<Claimed, StoreError> {
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        if !is_in_force(write.conn(), &claim, now).await? {
            return Ok(Claimed::Void);
        }
        let planned = claim.writes.first().map(|(_, own)| own.planned).unwrap_or_default();
        let (request, generation) = match claim.proof {
            Proof::Code { request } => (Some(request), None),
            Proof::Token { generation } => (None, Some(i64::from(generation))),
        };
        let id: Option<i64> = sqlx::query_scalar(
            "INSERT INTO reset (campaign_id, number, state, request_id, generation, planned, life,
                                claimed_at)
             VALUES ($1, $2, 'claimed', $3, $4, $5, $6, $7)
             ON CONFLICT DO NOTHING
             RETURNING id",
        )
        .bind(claim.campaign)
        .bind(row::int(claim.number))
        .bind(request)
        .bind(generation)
        .bind(&planned[..])
        .bind(&claim.life)
        .bind(now)
        .fetch_optional(write.conn())
        .await
        .map_err(StoreError::on("claim a reset"))?;
        let Some(id) = id else { return Ok(Claimed::Busy) };
        for (campaign, own) in claim.writes {
            let kind = CredentialKind::Password;
            record_writes(write.conn(), campaign, kind, &[own], now).await?;
        }
        self.commit(write).await?;
        Ok(Claimed::Yes(id))
    }

    async fn finish_reset(&self, finish: Finish) -> Result<bool, StoreError> {
        let mut seals = Vec::with_capacity(finish.settlements.len());
        for (campaign, _) in &finish.settlements {
            seals.push(self.seal_of(*campaign).await?);
        }
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        let Some(ended) = end_claim(write.conn(), finish.claim, "done", now).await? else {
            return Ok(false);
        };
        if let Some(generation) = ended.generation {
            tokens::consume(write.conn(), ended.campaign_id, ended.number, generation, now).await?;
        }
        take_back(write.conn(), &finish.persons, now).await?;
        for ((campaign, settlement), seal) in finish.settlements.into_iter().zip(seals) {
            let of = (campaign, seal);
            self.settle_in(&mut write, of, CredentialKind::Password, vec![settlement]).await?;
        }
        if finish.confirm {
            queue_confirmation(write.conn(), &ended, &finish.locale, now).await?;
        }
        if let Some(event) = &finish.event {
            let person = (ended.campaign_id, ended.number);
            events::insert(write.conn(), person, event, now).await?;
        }
        self.log(&mut write, &[finish.line]).await?;
        self.commit(write).await?;
        Ok(true)
    }

    async fn release_claim(&self, claim: i64) -> Result<(), StoreError> {
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        end_claim(write.conn(), claim, "released", now).await?;
        self.commit(write).await
    }

    async fn open_claims(&self) -> Result<Vec<OpenClaim>, StoreError> {
        let rows: Vec<ClaimColumns> = sqlx::query_as(
            "SELECT id, campaign_id, number, request_id, generation, planned, life, claimed_at
             FROM reset
             WHERE state = 'claimed'
             ORDER BY id",
        )
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("find open claims"))?;
        rows.into_iter().map(ClaimColumns::read).collect()
    }

    async fn revoke_campaign(
        &self,
        campaign: i64,
        revocation: Revocation,
        lines: Vec<String>,
    ) -> Result<(u64, u64), StoreError> {
        let now = row::micros(self.now());
        let mut write = self.write().await?;
        let live = tokens::revoke_all(write.conn(), campaign, now).await?;
        let codes = sqlx::query("DELETE FROM code_account WHERE campaign_id = $1")
            .bind(campaign)
            .execute(write.conn())
            .await
            .map_err(StoreError::on("take back a campaign's codes"))?;
        let codes = codes.rows_affected();
        sqlx::query(
            "INSERT INTO revocation (campaign_id, operator_id, reason, statement, signature, tokens,
                                     codes, revoked_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(campaign)
        .bind(revocation.operator_id)
        .bind(&revocation.reason)
        .bind(&revocation.statement)
        .bind(&revocation.signature[..])
        .bind(row::int(live))
        .bind(row::int(codes))
        .bind(row::micros(revocation.at))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("keep a revocation"))?;
        self.log(&mut write, &lines).await?;
        self.commit(write).await?;
        Ok((live, codes))
    }
}

async fn is_in_force(
    conn: &mut SqliteConnection,
    claim: &NewClaim,
    now: i64,
) -> Result<bool, StoreError> {
    let (sql, proof) = match claim.proof {
        Proof::Code { request } => (CODE_IS_PROVED, request),
        Proof::Token { generation } => (TOKEN_IS_LIVE, i64::from(generation)),
    };
    sqlx::query_scalar(sql)
        .bind(claim.campaign)
        .bind(row::int(claim.number))
        .bind(proof)
        .bind(now)
        .fetch_one(conn)
        .await
        .map_err(StoreError::on("look whether a proof is in force"))
}

/// Ends a claim that stands; nothing where somebody ended it before.
async fn end_claim(
    conn: &mut SqliteConnection,
    claim: i64,
    state: &str,
    now: i64,
) -> Result<Option<ClaimColumns>, StoreError> {
    sqlx::query_as(
        "UPDATE reset SET state = $2, ended_at = $3
         WHERE id = $1 AND state = 'claimed'
         RETURNING id, campaign_id, number, request_id, generation, planned, life, claimed_at",
    )
    .bind(claim)
    .bind(state)
    .bind(now)
    .fetch_optional(conn)
    .await
    .map_err(StoreError::on("end a claim"))
}

/// Every other token and code of these people.
async fn take_back(
    conn: &mut SqliteConnection,
    persons: &[(i64, u64)],
    now: i64,
) -> Result<(), StoreError> {
    let persons = json!(persons).to_string();
    sqlx::query(
        "UPDATE reset_token SET revoked_at = $2
         WHERE (campaign_id, number) IN (SELECT j.value ->> 0, j.value ->> 1 FROM json_each($1) AS j)
           AND revoked_at IS NULL AND consumed_at IS NULL",
    )
    .bind(&persons)
    .bind(now)
    .execute(&mut *conn)
    .await
    .map_err(StoreError::on("take back a person's tokens"))?;
    sqlx::query(
        "DELETE FROM code_account
         WHERE (campaign_id, number) IN (SELECT j.value ->> 0, j.value ->> 1 FROM json_each($1) AS j)",
    )
    .bind(&persons)
    .execute(&mut *conn)
    .await
    .map_err(StoreError::on("take back a person's codes"))?;
    Ok(())
}

async fn queue_confirmation(
    conn: &mut SqliteConnection,
    ended: &ClaimColumns,
    locale: &str,
    now: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO errand (campaign_id, kind, number, state, due_at, locale)
         VALUES ($1, 'confirmation', $2, 'queued', $3, $4)",
    )
    .bind(ended.campaign_id)
    .bind(ended.number)
    .bind(now)
    .bind(locale)
    .execute(conn)
    .await
    .map_err(StoreError::on("queue a confirmation"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn a_proof_is_looked_up_by_key() {
        for sql in [TOKEN_IS_LIVE, CODE_IS_PROVED] {
            let steps = steps(sql).await;
            let walks = ["SCAN reset_token", "SCAN a", "SCAN r"];
            let is_walked = |step: &String| walks.iter().any(|walk| step.starts_with(walk));
            assert!(!steps.iter().any(is_walked), "{steps:?}");
        }
    }
}
