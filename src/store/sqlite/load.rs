//! Reads behind `Deliveries`: chunks with their people, unpaired intents.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use sqlx::FromRow;
use sqlx::sqlite::SqliteRow;

use super::{SqliteStore, StoreError, row};
use crate::domain::delivery::AttemptKey;
use crate::store::deliveries::{DeliveryState, Lane, LoadedRow, Unpaired};

/// The columns of a delivery row, absent where there is none.
#[derive(sqlx::FromRow)]
pub(super) struct StateColumns {
    pub class: Option<String>,
    pub reason: Option<String>,
    pub generation: Option<i64>,
    pub doubts: Option<i64>,
    pub attempts: Option<i64>,
    pub first_attempt_at: Option<i64>,
    pub due_at: Option<i64>,
}

impl StateColumns {
    pub(super) fn read(self, number: i64) -> Result<DeliveryState, StoreError> {
        let Some(class) = self.class else { return Ok(DeliveryState::default()) };
        Ok(DeliveryState {
            class: row::class(&class, self.reason.as_deref().unwrap_or_default(), number)?,
            generation: row::small(self.generation.unwrap_or(1)),
            doubts: row::small(self.doubts.unwrap_or(0)),
            attempts: row::small(self.attempts.unwrap_or(0)),
            first_attempt_at: self.first_attempt_at.map(row::instant),
            due_at: self.due_at.map(row::instant),
        })
    }
}

#[derive(sqlx::FromRow)]
struct PersonColumns {
    number: i64,
    salt: Vec<u8>,
    leaf: Vec<u8>,
    body: Option<Vec<u8>>,
    at_address: i64,
    copy_of: Option<i64>,
    carrier: Option<i64>,
    #[sqlx(flatten)]
    state: StateColumns,
}

#[derive(sqlx::FromRow)]
struct UnpairedColumns {
    number: i64,
    intent_generation: i64,
    n: i64,
    dated_at: i64,
    from_class: String,
    epoch: i64,
    worker: String,
    segment: i64,
    wave: i64,
    provider: String,
    send_window: String,
    salt: Vec<u8>,
    body: Option<Vec<u8>>,
    #[sqlx(flatten)]
    state: StateColumns,
}

/// Per recipient: generation → (largest n, Date and content of the last attempt in doubt).
type Tries = HashMap<(i64, i64), (u32, Option<(Timestamp, [u8; 32])>)>;

/// What became of the credentials of a range's rows (a copy's are its person's), and whose: nearly all people
/// share a few combinations, and a row each would cost more than all else of a load.
const CREDENTIAL_WORDS: &str = "SELECT classes, json_group_array(number)
     FROM (SELECT number, json_group_object(kind, class) AS classes
           FROM (SELECT number, kind, class
                 FROM credential
                 WHERE campaign_id = $1 AND number BETWEEN $2 AND $3
                 UNION ALL
                 SELECT f.number, c.kind, c.class
                 FROM follower AS f
                 CROSS JOIN credential AS c ON c.campaign_id = f.campaign_id AND c.number = f.leader
                 WHERE f.campaign_id = $1 AND f.number BETWEEN $2 AND $3 AND f.kind = 'copy')
           GROUP BY number)
     GROUP BY classes";

/// The accounts that carriers of a range stand for, with their credentials.
const CARRIED_WORDS: &str = "SELECT f.leader, f.number, c.kind, c.class
     FROM follower AS f INDEXED BY follower_by_leader
     LEFT JOIN credential AS c ON c.campaign_id = f.campaign_id AND c.number = f.number
     WHERE f.campaign_id = $1 AND f.leader BETWEEN $2 AND $3 AND f.kind = 'carried'
     ORDER BY f.leader, f.number";

impl SqliteStore {
    /// The recipients with these numbers, first and last, whoever leases their chunk.
    pub(super) async fn load_range(
        &self,
        campaign: i64,
        range: (i64, i64),
    ) -> Result<Vec<LoadedRow>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let people: Vec<PersonColumns> = sqlx::query_as(
            "SELECT r.number, r.salt, r.leaf, r.body, r.at_address, r.copy_of, f.leader AS carrier,
                    d.class, d.reason, d.generation, d.doubts, d.attempts, d.first_attempt_at, d.due_at
             FROM recipient AS r
             LEFT JOIN delivery AS d ON d.campaign_id = $1 AND d.number = r.number
             LEFT JOIN follower AS f
               ON f.campaign_id = $1 AND f.number = r.number AND f.kind = 'carried'
             WHERE r.seal_id = $2 AND r.number BETWEEN $3 AND $4
             ORDER BY r.number",
        )
        .bind(campaign)
        .bind(seal)
        .bind(range.0)
        .bind(range.1)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("load a chunk"))?;
        let tries = self.tries(campaign, range).await?;
        let mut credentials = self.credential_words(campaign, range).await?;
        let mut carried = self.carried_words(campaign, range).await?;
        let tokens = self.stored_tokens(campaign, range).await?;
        let mut amended = self.amended_rows(campaign, seal, range).await?;
        people
            .into_iter()
            .map(|person| {
                let number = person.number;
                let state = person.state.read(number)?;
                let generation = (number, i64::from(state.generation));
                let tried = tries.get(&generation);
                Ok(LoadedRow {
                    number: row::uint(number),
                    salt: row::bytes(&person.salt, "recipient", "salt", number)?,
                    leaf: row::bytes(&person.leaf, "recipient", "leaf", number)?,
                    body: person.body.unwrap_or_default(),
                    last_n: tried.map_or(0, |(n, _)| *n),
                    repeats: tried.and_then(|(_, repeats)| *repeats),
                    credentials: credentials.remove(&number).unwrap_or_default(),
                    token: tokens.get(&generation).copied(),
                    at_address: amended.at_address(number, person.at_address),
                    carried: carried.remove(&number).unwrap_or_default(),
                    carrier: person.carrier.map(row::uint),
                    copy_of: person.copy_of.map(row::uint),
                    amendments: amended.take(number),
                    state,
                })
            })
            .collect()
    }

    /// What a statement finds of a campaign's rows from one number to another.
    pub(super) async fn in_range<T>(
        &self,
        sql: &'static str,
        campaign: i64,
        (first, last): (i64, i64),
        doing: &'static str,
    ) -> Result<Vec<T>, StoreError>
    where
        T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
    {
        sqlx::query_as(sql)
            .bind(campaign)
            .bind(first)
            .bind(last)
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on(doing))
    }

    async fn tries(&self, campaign: i64, range: (i64, i64)) -> Result<Tries, StoreError> {
        type Columns = (i64, i64, i64, i64, Vec<u8>, Option<String>);
        let rows: Vec<Columns> = self
            .in_range(
                "SELECT i.number, i.generation, i.n, i.dated_at, i.content, o.result
                 FROM intent AS i
                 LEFT JOIN outcome AS o USING (campaign_id, number, generation, n)
                 WHERE i.campaign_id = $1 AND i.number BETWEEN $2 AND $3
                 ORDER BY i.number, i.generation, i.n",
                campaign,
                range,
                "load a chunk's attempts",
            )
            .await?;
        let mut tries = Tries::new();
        for (number, generation, n, dated_at, content, result) in rows {
            let entry = tries.entry((number, generation)).or_default();
            entry.0 = entry.0.max(row::small(n));
            if result.as_deref() == Some("in-doubt") {
                let content = row::bytes(&content, "intent", "content", number)?;
                // of a doubt that a rewind left nobody knows the bytes, so there are none to repeat
                entry.1 = (content != [0; 32]).then(|| (row::instant(dated_at), content));
            }
        }
        Ok(tries)
    }

    /// The credentials of a chunk's rows; a copy's are its person's.
    async fn credential_words(
        &self,
        campaign: i64,
        range: (i64, i64),
    ) -> Result<HashMap<i64, BTreeMap<String, String>>, StoreError> {
        let rows: Vec<(String, String)> =
            self.in_range(CREDENTIAL_WORDS, campaign, range, "load a chunk's credentials").await?;
        let mut words: HashMap<i64, BTreeMap<String, String>> = HashMap::new();
        for (words_of, numbers) in rows {
            let corrupt = || StoreError::Corrupt {
                table: "credential",
                column: "class",
                row: words_of.clone(),
            };
            let classes: BTreeMap<String, String> =
                serde_json::from_str(&words_of).map_err(|_| corrupt())?;
            let numbers: Vec<i64> = serde_json::from_str(&numbers).map_err(|_| corrupt())?;
            words.extend(numbers.into_iter().map(|number| (number, classes.clone())));
        }
        Ok(words)
    }

    /// The credentials of each account that a chunk's carriers stand for besides their own.
    async fn carried_words(
        &self,
        campaign: i64,
        range: (i64, i64),
    ) -> Result<HashMap<i64, Vec<BTreeMap<String, String>>>, StoreError> {
        let rows: Vec<(i64, i64, Option<String>, Option<String>)> = self
            .in_range(CARRIED_WORDS, campaign, range, "load the accounts that are carried")
            .await?;
        let mut words: HashMap<i64, Vec<BTreeMap<String, String>>> = HashMap::new();
        let mut last = None;
        for (leader, number, kind, class) in rows {
            let accounts = words.entry(leader).or_default();
            if last.replace(number) != Some(number) {
                accounts.push(BTreeMap::new());
            }
            if let (Some(account), Some((kind, class))) = (accounts.last_mut(), kind.zip(class)) {
                account.insert(kind, class);
            }
        }
        Ok(words)
    }

    // CROSS JOIN keeps SQLite's planner to the order written: from the few open chunks to their rows,
    // never over all rows of a campaign.
    pub(super) async fn load_unpaired(&self, campaign: i64) -> Result<Vec<Unpaired>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<UnpairedColumns> = sqlx::query_as(
            "SELECT i.number, i.generation AS intent_generation, i.n, i.dated_at, i.from_class, i.epoch,
                    i.worker, i.segment, c.wave, c.provider, c.send_window, r.salt, r.body, d.class, d.reason, d.generation, d.doubts,
                    d.attempts, d.first_attempt_at, d.due_at
             FROM chunk AS c
             CROSS JOIN intent AS i
               ON i.campaign_id = $1 AND i.number BETWEEN c.first_number AND c.last_number
             JOIN recipient AS r ON r.seal_id = c.seal_id AND r.number = i.number
             LEFT JOIN outcome AS o
               ON o.campaign_id = $1 AND o.number = i.number AND o.generation = i.generation
              AND o.n = i.n
             LEFT JOIN delivery AS d ON d.campaign_id = $1 AND d.number = i.number
             WHERE c.seal_id = $2 AND c.owner IS NOT NULL AND o.number IS NULL
             ORDER BY i.number",
        )
        .bind(campaign)
        .bind(seal)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("find unpaired intents"))?;
        rows.into_iter()
            .map(|found| {
                Ok(Unpaired {
                    key: AttemptKey {
                        number: row::uint(found.number),
                        generation: row::small(found.intent_generation),
                        n: row::small(found.n),
                    },
                    dated_at: row::instant(found.dated_at),
                    from: row::class(&found.from_class, "", found.number)?,
                    epoch: row::uint(found.epoch),
                    worker: found.worker,
                    segment: row::uint(found.segment),
                    lane: Lane {
                        wave: row::small(found.wave),
                        provider: found.provider,
                        window: found.send_window,
                    },
                    state: found.state.read(found.number)?,
                    salt: row::bytes(&found.salt, "recipient", "salt", found.number)?,
                    body: found.body.unwrap_or_default(),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn the_accounts_a_chunk_carries_are_found_by_their_carriers() {
        let steps = steps(CARRIED_WORDS).await;
        let by_leader = "follower_by_leader (campaign_id=? AND leader>? AND leader<?)";
        assert!(steps.iter().any(|step| step.contains(by_leader)), "{steps:?}");
    }
}
