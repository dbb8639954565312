//! Who is sealed in two campaigns, one of which was made of the other's classes.

use super::super::{SqliteStore, StoreError, row};
use crate::store::audiences::{LaterCampaign, SharedPage, Standing};

/// A page of the one's accounts in digest order, each looked up in the other by key.
const SHARED: &str = "WITH page (digest, number) AS MATERIALIZED (
         SELECT digest, number
         FROM account_lookup
         WHERE seal_id = $1 AND digest > $5
         ORDER BY digest
         LIMIT $6)
     SELECT COALESCE(d.class, 'queued'), COALESCE(d.reason, ''),
            COALESCE(e.class, 'queued'), COALESCE(e.reason, ''), COUNT(*)
     FROM page AS p
     CROSS JOIN account_lookup AS o ON o.seal_id = $2 AND o.digest = p.digest
     LEFT JOIN delivery AS d ON d.campaign_id = $3 AND d.number = p.number
     LEFT JOIN delivery AS e ON e.campaign_id = $4 AND e.number = o.number
     GROUP BY 1, 2, 3, 4";

/// The last digest of a page, and whether the page is full.
const LAST: &str = "SELECT MAX(digest), COUNT(*)
     FROM (SELECT digest
           FROM account_lookup
           WHERE seal_id = $1 AND digest > $2
           ORDER BY digest
           LIMIT $3)";

pub(super) async fn later(
    store: &SqliteStore,
    campaign: i64,
) -> Result<Vec<LaterCampaign>, StoreError> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT c.name, group_concat(q.step || ' ' || e.name || ' (' || q.classes || ')', ', ')
         FROM seal_reading AS q
         JOIN campaign AS c ON c.seal_id = q.seal_id
         JOIN campaign AS e ON e.id = q.campaign_id
         WHERE q.campaign_id = $1
         GROUP BY c.id
         ORDER BY c.name",
    )
    .bind(campaign)
    .fetch_all(&store.reader)
    .await
    .map_err(StoreError::on("find campaigns that were made of this one"))?;
    Ok(rows.into_iter().map(|(name, made_of)| LaterCampaign { name, made_of }).collect())
}

pub(super) async fn page(
    store: &SqliteStore,
    one: i64,
    other: i64,
    after: Option<[u8; 16]>,
    limit: u32,
) -> Result<SharedPage, StoreError> {
    type Columns = (String, String, String, String, i64);
    let (seal, other_seal) = (store.seal_of(one).await?, store.seal_of(other).await?);
    let after = after.map(|digest| digest.to_vec()).unwrap_or_default();
    let rows: Vec<Columns> = sqlx::query_as(SHARED)
        .bind(seal)
        .bind(other_seal)
        .bind(one)
        .bind(other)
        .bind(&after)
        .bind(i64::from(limit))
        .fetch_all(&store.reader)
        .await
        .map_err(StoreError::on("find people of two campaigns"))?;
    // A seal's accounts never change, so this is the same page.
    let (last, seen): (Option<Vec<u8>>, i64) = sqlx::query_as(LAST)
        .bind(seal)
        .bind(&after)
        .bind(i64::from(limit))
        .fetch_one(&store.reader)
        .await
        .map_err(StoreError::on("find the end of a page of accounts"))?;
    let last = last.filter(|_| seen == i64::from(limit));
    let people = rows.into_iter().map(|(class, reason, other_class, other_reason, people)| {
        let standing: Standing = (class, reason);
        (standing, (other_class, other_reason), row::uint(people))
    });
    Ok(SharedPage {
        people: people.collect(),
        last: last
            .map(|digest| row::bytes(&digest, "account_lookup", "digest", seal))
            .transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn both_campaigns_are_looked_up_by_key_from_one_page() {
        let steps = steps(SHARED).await;
        for table in ["o", "d", "e"] {
            let by_key = format!("SEARCH {table} USING PRIMARY KEY");
            assert!(steps.iter().any(|step| step.starts_with(&by_key)), "{table}: {steps:?}");
        }
        let whole = |step: &&String| step.starts_with("SCAN") && !step.starts_with("SCAN p");
        assert_eq!(steps.iter().find(whole), None, "{steps:?}");
    }
}
