//! `Audiences` on SQLite.

mod shared;

use std::collections::HashMap;
use std::path::Path;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::comparison::SqliteComparison;
use super::reached::reached;
use super::{SqliteStore, StoreError, row};
use crate::domain::class_selector::ClassSelector;
use crate::store::audiences::{
    Audiences, Comparison, LaterCampaign, SealedPerson, SharedPage, Standing,
};

/// The class and reason of `d`, but for whom a notice reached or may have reached, whatever class they came
/// to since: they are told, or in doubt. Nobody is told twice by another campaign, nor missed by a
/// correction.
macro_rules! standing {
    () => {
        concat!(
            "CASE WHEN d.class IN ('told', 'in-doubt') THEN d.class || '/' || d.reason
                  ELSE COALESCE(
                      CASE ",
            reached!("d.campaign_id", "d.number"),
            "          WHEN 'accepted' THEN 'told/accepted'
                       WHEN 'in-doubt' THEN
                           CASE WHEN d.class IN ('queued', 'deferred') THEN 'in-doubt/due'
                                ELSE 'in-doubt/held' END
                       END,
                      COALESCE(d.class, 'queued') || '/' || COALESCE(d.reason, '')) END"
        )
    };
}

// Who is held, for post or let go is found by that class, too: whoever names it means those whom the first
// campaign counts in it.
const PEOPLE: &str = concat!(
    "SELECT number, body FROM (
         SELECT r.number, r.body, ",
    standing!(),
    " AS standing,
                CASE WHEN d.class NOT IN ('queued', 'deferred')
                     THEN d.class || '/' || d.reason ELSE '' END AS counted
         FROM recipient AS r
         LEFT JOIN delivery AS d ON d.campaign_id = $2 AND d.number = r.number
         WHERE r.seal_id = $3 AND r.number > $4 AND r.copy_of IS NULL)
     WHERE $1 = '[]' OR EXISTS (
               SELECT 1 FROM json_each($1) AS j
               WHERE (j.value ->> 'r' IS NOT NULL
                      AND (j.value ->> 'c') || '/' || (j.value ->> 'r') IN (standing, counted))
                  OR (j.value ->> 'r' IS NULL
                      AND (j.value ->> 'c') || '/'
                          IN (substr(standing, 1, length(j.value ->> 'c') + 1),
                              substr(counted, 1, length(j.value ->> 'c') + 1))))
     ORDER BY number
     LIMIT $5"
);

// CROSS JOIN keeps the planner to the order written: from the digests asked for to their rows by key.
const STANDINGS: &str = concat!(
    "SELECT a.digest, ",
    standing!(),
    "
    FROM json_each($1) AS j
    CROSS JOIN account_lookup AS a ON a.seal_id = $2 AND a.digest = unhex(j.value)
    CROSS JOIN recipient AS r ON r.seal_id = a.seal_id AND r.number = a.number
    LEFT JOIN delivery AS d ON d.campaign_id = $3 AND d.number = a.number
    WHERE r.copy_of IS NULL"
);

#[async_trait]
impl Audiences for SqliteStore {
    async fn sealed_people(
        &self,
        campaign: i64,
        classes: &[ClassSelector],
        after: u64,
        limit: u32,
    ) -> Result<Vec<SealedPerson>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let classes: Vec<Value> = classes
            .iter()
            .map(|class| json!({ "c": class.class(), "r": class.reason() }))
            .collect();
        let rows: Vec<(i64, Option<Vec<u8>>)> = sqlx::query_as(PEOPLE)
            .bind(json!(classes).to_string())
            .bind(campaign)
            .bind(seal)
            .bind(row::int(after))
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("read sealed people"))?;
        let read = |(number, body)| SealedPerson { number: row::uint(number), body };
        Ok(rows.into_iter().map(read).collect())
    }

    async fn standings(
        &self,
        campaign: i64,
        accounts: &[[u8; 16]],
    ) -> Result<HashMap<[u8; 16], Standing>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let digests: Vec<String> = accounts.iter().map(hex::encode).collect();
        let rows: Vec<(Vec<u8>, String)> = sqlx::query_as(STANDINGS)
            .bind(json!(digests).to_string())
            .bind(seal)
            .bind(campaign)
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("look accounts up"))?;
        rows.into_iter()
            .map(|(digest, standing)| {
                let (class, reason) = standing.split_once('/').unwrap_or((&standing, ""));
                let digest = row::bytes(&digest, "account_lookup", "digest", seal)?;
                Ok((digest, (class.to_owned(), reason.to_owned())))
            })
            .collect()
    }

    async fn later_campaigns(&self, campaign: i64) -> Result<Vec<LaterCampaign>, StoreError> {
        shared::later(self, campaign).await
    }

    async fn shared_people(
        &self,
        one: i64,
        other: i64,
        after: Option<[u8; 16]>,
        limit: u32,
    ) -> Result<SharedPage, StoreError> {
        shared::page(self, one, other, after, limit).await
    }

    async fn comparison(&self, path: &Path) -> Result<Box<dyn Comparison>, StoreError> {
        Ok(Box::new(SqliteComparison::open(path).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn accounts_are_looked_up_by_key_and_never_walked() {
        let steps = steps(STANDINGS).await;
        for table in ["a", "r", "d", "b"] {
            let by_key = format!("SEARCH {table} USING PRIMARY KEY");
            assert!(steps.iter().any(|step| step.starts_with(&by_key)), "{table}: {steps:?}");
        }
    }
}
