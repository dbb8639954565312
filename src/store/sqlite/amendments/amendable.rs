//! People as an amendment must know them.

use std::collections::HashMap;

use serde_json::json;

use crate::domain::delivery::AttemptKey;
use crate::store::amendments::Amendable;
use crate::store::sqlite::load::StateColumns;
use crate::store::sqlite::{SqliteStore, StoreError, row};

#[derive(sqlx::FromRow)]
struct PersonColumns {
    number: i64,
    salt: Vec<u8>,
    body: Option<Vec<u8>>,
    carrier: Option<i64>,
    has_token: i64,
    is_unsecured: i64,
    is_group_unsecured: i64,
    doubt: Option<i64>,
    #[sqlx(flatten)]
    state: StateColumns,
}

/// A person with all that decides. A second address has no credential of its own but its person's;
/// a notice for several accounts speaks of all of theirs.
const AMENDABLE: &str = "SELECT r.number, r.salt, r.body, f.leader AS carrier, d.class, d.reason,
            d.generation, d.doubts, d.attempts, d.first_attempt_at, d.due_at,
            EXISTS (SELECT 1 FROM reset_token AS t
                    WHERE t.campaign_id = $1 AND t.number = r.number
                      AND t.generation = COALESCE(d.generation, 1)) AS has_token,
            EXISTS (SELECT 1 FROM credential AS k
                    WHERE k.campaign_id = $1 AND k.number = COALESCE(r.copy_of, r.number)
                      AND k.class IN ('failed', 'regressed')) AS is_unsecured,
            EXISTS (SELECT 1
                    FROM follower AS own
                    CROSS JOIN follower AS g INDEXED BY follower_by_leader
                      ON g.campaign_id = $1 AND g.leader = own.leader
                    CROSS JOIN credential AS k ON k.campaign_id = $1 AND k.number = g.number
                    WHERE own.campaign_id = $1 AND own.number = r.number AND own.kind <> 'copy'
                      AND g.kind <> 'copy' AND k.class IN ('failed', 'regressed')) AS is_group_unsecured,
            (SELECT MAX(o.n) FROM outcome AS o
             WHERE o.campaign_id = $1 AND o.number = r.number
               AND o.generation = COALESCE(d.generation, 1)
               AND o.result = 'in-doubt') AS doubt
     FROM json_each($3) AS j
     CROSS JOIN recipient AS r
       ON r.seal_id = $2 AND r.number = CAST(j.value AS INTEGER)
     LEFT JOIN delivery AS d ON d.campaign_id = $1 AND d.number = r.number
     LEFT JOIN follower AS f
       ON f.campaign_id = $1 AND f.number = r.number AND f.kind = 'carried'
     ORDER BY r.number";

/// The further addresses of `$1` (a JSON array of numbers). Left to itself SQLite would walk all the
/// followers of the campaign for each person.
const COPIES: &str = "SELECT f.leader, f.number
     FROM json_each($1) AS j
     CROSS JOIN follower AS f INDEXED BY follower_by_leader
       ON f.campaign_id = $2 AND f.leader = CAST(j.value AS INTEGER)
     WHERE f.kind = 'copy'";

impl PersonColumns {
    /// The person, without their amendments and further addresses.
    fn read(self) -> Result<Amendable, StoreError> {
        let number = row::uint(self.number);
        let state = self.state.read(self.number)?;
        let generation = state.generation;
        Ok(Amendable {
            number,
            salt: row::bytes(&self.salt, "recipient", "salt", self.number)?,
            body: self.body,
            state,
            has_token: self.has_token == 1,
            is_unsecured: self.is_unsecured == 1,
            is_group_unsecured: self.is_group_unsecured == 1,
            doubt: self.doubt.map(|n| AttemptKey { number, generation, n: row::small(n) }),
            carrier: self.carrier.map(row::uint),
            copies: Vec::new(),
            amendments: Vec::new(),
        })
    }
}

impl SqliteStore {
    pub(super) async fn read_amendable(
        &self,
        campaign: i64,
        numbers: &[u64],
    ) -> Result<Vec<Amendable>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let wanted = json!(numbers).to_string();
        let people: Vec<PersonColumns> = sqlx::query_as(AMENDABLE)
            .bind(campaign)
            .bind(seal)
            .bind(&wanted)
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("read whom to amend"))?;
        let mut copies = self.copies_of(campaign, &wanted).await?;
        let mut amendments = self.amendments_of(campaign, &wanted).await?;
        people
            .into_iter()
            .map(|person| {
                let number = person.number;
                let mut amendable = person.read()?;
                amendable.copies = copies.remove(&number).unwrap_or_default();
                amendable.amendments = amendments.remove(&number).unwrap_or_default();
                Ok(amendable)
            })
            .collect()
    }

    /// The rows of further addresses of some people, given as a JSON array of numbers.
    async fn copies_of(
        &self,
        campaign: i64,
        numbers: &str,
    ) -> Result<HashMap<i64, Vec<u64>>, StoreError> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(COPIES)
            .bind(numbers)
            .bind(campaign)
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("find further addresses"))?;
        let mut copies: HashMap<i64, Vec<u64>> = HashMap::new();
        for (person, copy) in rows {
            copies.entry(person).or_default().push(row::uint(copy));
        }
        Ok(copies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn further_addresses_are_found_by_their_person() {
        let steps = steps(&format!("{COPIES} AND $3 = $3")).await;
        let by_leader = "follower_by_leader (campaign_id=? AND leader=?)";
        assert!(steps.iter().any(|step| step.contains(by_leader)), "{steps:?}");
    }
}
