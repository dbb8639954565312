//! `Errands` on SQLite.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::{SqliteStore, StoreError, row};
use crate::domain::delivery::Outcome;
use crate::store::codes::Answer;
use crate::store::errands::{ErrandKind, ErrandNext, Errands, NewErrand, TakenErrand};

/// The index holds what is not over; that term is said in its own words, or it does not serve.
const TAKE: &str = "UPDATE errand SET state = 'taken', life = $1
     WHERE id IN (SELECT id FROM errand
                  WHERE state IN ('queued', 'taken') AND state = 'queued' AND due_at <= $2
                  ORDER BY due_at LIMIT $3)
     RETURNING id, campaign_id, kind, number, request_id, locale, attempts, doubts, due_at, expires_at,
               (SELECT r.answer FROM code_request AS r WHERE r.id = request_id) AS answer,
               (SELECT r.salt FROM code_request AS r WHERE r.id = request_id) AS salt,
               (SELECT r.requested_at FROM code_request AS r WHERE r.id = request_id) AS requested_at";

/// An intent without outcome may have reached the wire.
const RESCUE: &str = "UPDATE errand
     SET state = CASE WHEN open AND doubts > 0 THEN 'ended' ELSE 'queued' END,
         doubts = doubts + open, due_at = $2
     FROM (SELECT e.id AS of, EXISTS (SELECT 1 FROM errand_intent AS i
                                      LEFT JOIN errand_outcome AS o USING (errand_id, n)
                                      WHERE i.errand_id = e.id AND i.n = e.attempts
                                        AND o.result IS NULL) AS open
           FROM errand AS e
           WHERE e.state IN ('queued', 'taken') AND e.state = 'taken' AND e.life <> $1)
     WHERE id = of AND state = 'taken'
     RETURNING state";

#[derive(sqlx::FromRow)]
struct TakenColumns {
    id: i64,
    campaign_id: i64,
    kind: String,
    number: i64,
    request_id: Option<i64>,
    locale: String,
    attempts: i64,
    doubts: i64,
    due_at: i64,
    expires_at: Option<i64>,
    answer: Option<String>,
    salt: Option<Vec<u8>>,
    requested_at: Option<i64>,
}

impl TakenColumns {
    fn read(self) -> Result<TakenErrand, StoreError> {
        let id = self.id;
        let corrupt = |column| StoreError::Corrupt { table: "errand", column, row: id.to_string() };
        let salt =
            self.salt.map(|salt| row::bytes(&salt, "code_request", "salt", id)).transpose()?;
        let answer =
            self.answer.as_deref().map(|word| Answer::parse(word).ok_or(corrupt("answer")));
        let answer = answer.transpose()?;
        Ok(TakenErrand {
            id,
            campaign: self.campaign_id,
            kind: ErrandKind::parse_waiting(&self.kind).ok_or(corrupt("kind"))?,
            number: row::uint(self.number),
            request: self.request_id.zip(answer).map(|(request, answer)| (request, answer, salt)),
            locale: self.locale,
            attempts: row::small(self.attempts),
            doubts: row::small(self.doubts),
            asked_at: row::instant(self.requested_at.unwrap_or(self.due_at)),
            expires_at: self.expires_at.map(row::instant),
        })
    }
}

#[async_trait]
impl Errands for SqliteStore {
    async fn begin_errand(&self, errand: NewErrand) -> Result<i64, StoreError> {
        let mut write = self.write().await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO errand (campaign_id, kind, state, due_at, attempts, requested_by)
             VALUES ($1, $2, 'open', $3, 1, $4)
             RETURNING id",
        )
        .bind(errand.campaign)
        .bind(errand.kind.word())
        .bind(row::micros(errand.dated_at))
        .bind(&errand.requested_by)
        .fetch_one(write.conn())
        .await
        .map_err(StoreError::on("begin an errand"))?;
        insert_intent(write.conn(), id, 1, errand.dated_at, &errand.content).await?;
        self.commit(write).await?;
        Ok(id)
    }

    async fn end_errand(&self, errand: i64, n: u32, outcome: &Outcome) -> Result<(), StoreError> {
        self.end_attempt(errand, Some((n, outcome.clone())), ErrandNext::Ended).await
    }

    async fn take_errands(&self, life: &str, limit: u32) -> Result<Vec<TakenErrand>, StoreError> {
        let mut write = self.write().await?;
        let rows: Vec<TakenColumns> = sqlx::query_as(TAKE)
            .bind(life)
            .bind(row::micros(self.now()))
            .bind(i64::from(limit))
            .fetch_all(write.conn())
            .await
            .map_err(StoreError::on("take errands"))?;
        self.commit(write).await?;
        rows.into_iter().map(TakenColumns::read).collect()
    }

    async fn begin_attempt(
        &self,
        errand: i64,
        dated_at: Timestamp,
        content: &[u8; 32],
    ) -> Result<u32, StoreError> {
        let mut write = self.write().await?;
        let n: i64 = sqlx::query_scalar(
            "UPDATE errand SET attempts = attempts + 1 WHERE id = $1 RETURNING attempts",
        )
        .bind(errand)
        .fetch_one(write.conn())
        .await
        .map_err(StoreError::on("begin an errand's attempt"))?;
        insert_intent(write.conn(), errand, n, dated_at, content).await?;
        self.commit(write).await?;
        Ok(row::small(n))
    }

    async fn end_attempt(
        &self,
        errand: i64,
        outcome: Option<(u32, Outcome)>,
        next: ErrandNext,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        if let Some((n, outcome)) = &outcome {
            insert_outcome(write.conn(), errand, *n, outcome).await?;
        }
        let (state, due_at, doubts) = match next {
            ErrandNext::Ended => ("ended", None, 0),
            ErrandNext::Again { due_at, in_doubt } => {
                ("queued", Some(row::micros(due_at)), i64::from(in_doubt))
            }
        };
        sqlx::query(
            "UPDATE errand
             SET state = $2, due_at = COALESCE($3, due_at), doubts = doubts + $4
             WHERE id = $1",
        )
        .bind(errand)
        .bind(state)
        .bind(due_at)
        .bind(doubts)
        .execute(write.conn())
        .await
        .map_err(StoreError::on("end an errand's attempt"))?;
        self.commit(write).await
    }

    async fn rescue_errands(&self, life: &str) -> Result<u64, StoreError> {
        let mut write = self.write().await?;
        let states: Vec<String> = sqlx::query_scalar(RESCUE)
            .bind(life)
            .bind(row::micros(self.now()))
            .fetch_all(write.conn())
            .await
            .map_err(StoreError::on("give errands back"))?;
        self.commit(write).await?;
        Ok(states.iter().filter(|state| *state == "queued").count() as u64)
    }

    async fn errand_totals(&self, campaign: i64) -> Result<BTreeMap<String, u64>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT e.kind || '/' || CASE WHEN e.state = 'queued' THEN 'queued'
                                          ELSE COALESCE(o.result, 'open') END, COUNT(*)
             FROM errand AS e
             LEFT JOIN errand_outcome AS o ON o.errand_id = e.id AND o.n = e.attempts
             WHERE e.campaign_id = $1
             GROUP BY 1",
        )
        .bind(campaign)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("count errands"))?;
        Ok(rows.into_iter().map(|(label, count)| (label, row::uint(count))).collect())
    }
}

async fn insert_intent(
    conn: &mut SqliteConnection,
    errand: i64,
    n: i64,
    dated_at: Timestamp,
    content: &[u8; 32],
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO errand_intent (errand_id, n, dated_at, content) VALUES ($1, $2, $3, $4)",
    )
    .bind(errand)
    .bind(n)
    .bind(row::micros(dated_at))
    .bind(&content[..])
    .execute(conn)
    .await
    .map_err(StoreError::on("record an errand's intent"))?;
    Ok(())
}

async fn insert_outcome(
    conn: &mut SqliteConnection,
    errand: i64,
    n: u32,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO errand_outcome (errand_id, n, result, code, enhanced, queue_id, ended_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT DO NOTHING",
    )
    .bind(errand)
    .bind(i64::from(n))
    .bind(outcome.result.word())
    .bind(outcome.code.map(i64::from))
    .bind(&outcome.enhanced)
    .bind(&outcome.queue_id)
    .bind(row::micros(outcome.ended_at))
    .execute(conn)
    .await
    .map_err(StoreError::on("record an errand's outcome"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn waiting_errands_are_found_by_their_index() {
        for sql in [TAKE, RESCUE] {
            let steps = steps(sql).await;
            let by_index = steps.iter().any(|step| step.contains("errand_waiting"));
            assert!(by_index, "{steps:?}");
        }
    }
}
