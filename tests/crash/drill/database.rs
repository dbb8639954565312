//! What the database says, read between a death and the next start.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use anyhow::Result;
use sqlx::sqlite::SqliteConnection;

use super::shop::reading;

/// Where somebody stands, and what was tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    pub class: String,
    pub reason: String,
    /// SHA-256 of the message of each attempt, in hex.
    pub contents: Vec<String>,
    /// Attempts whose end nobody knew.
    pub doubts: u32,
}

/// Everybody of a campaign.
#[derive(Debug, Clone, Default)]
pub struct Everybody {
    pub notice: String,
    pub people: BTreeMap<u64, Standing>,
}

impl Everybody {
    /// Reads a campaign's people.
    pub async fn read(database: &Path, campaign: i64) -> Result<Self> {
        let mut conn = reading(database).await?;
        let (seal, notice): (i64, String) =
            sqlx::query_as("SELECT seal_id, notice_state FROM campaign WHERE id = $1")
                .bind(campaign)
                .fetch_one(&mut conn)
                .await?;
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT r.number, COALESCE(d.class, 'queued'), COALESCE(d.reason, '')
             FROM recipient AS r
             LEFT JOIN delivery AS d ON d.campaign_id = $1 AND d.number = r.number
             WHERE r.seal_id = $2",
        )
        .bind(campaign)
        .bind(seal)
        .fetch_all(&mut conn)
        .await?;
        let standing = |class, reason| Standing { class, reason, ..Standing::default() };
        let mut people: BTreeMap<u64, Standing> = rows
            .into_iter()
            .map(|(number, class, reason)| (number.unsigned_abs(), standing(class, reason)))
            .collect();
        let attempts: Vec<(i64, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT i.number, i.content, COALESCE(o.result = 'in-doubt', 0)
             FROM intent AS i
             LEFT JOIN outcome AS o USING (campaign_id, number, generation, n)
             WHERE i.campaign_id = $1
             ORDER BY i.number, i.generation, i.n",
        )
        .bind(campaign)
        .fetch_all(&mut conn)
        .await?;
        for (number, content, is_doubt) in attempts {
            let person = people.entry(number.unsigned_abs()).or_default();
            person.contents.push(hex::encode(content));
            person.doubts += u32::from(is_doubt == 1);
        }
        Ok(Self { notice, people })
    }

    /// How many stand in a class.
    pub fn in_class(&self, class: &str) -> u64 {
        self.people.values().filter(|person| person.class == class).count() as u64
    }

    /// Everybody of whom an attempt was ever in doubt.
    pub fn doubtful(&self) -> BTreeSet<u64> {
        let ever = self.people.iter().filter(|(_, person)| person.doubts > 0);
        ever.map(|(number, _)| *number).collect()
    }
}

/// Attempts without an end, by person: (generation, n).
pub async fn unpaired(
    conn: &mut SqliteConnection,
    campaign: i64,
) -> Result<HashMap<u64, Vec<(i64, i64)>>> {
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT i.number, i.generation, i.n
         FROM intent AS i
         LEFT JOIN outcome AS o USING (campaign_id, number, generation, n)
         WHERE i.campaign_id = $1 AND o.number IS NULL",
    )
    .bind(campaign)
    .fetch_all(conn)
    .await?;
    let mut open: HashMap<u64, Vec<(i64, i64)>> = HashMap::new();
    for (number, generation, n) in rows {
        open.entry(number.unsigned_abs()).or_default().push((generation, n));
    }
    Ok(open)
}

/// What a query that counts comes to; 0 where its table is not there yet.
pub async fn count(database: &Path, sql: &'static str) -> Result<i64> {
    if !database.exists() {
        return Ok(0);
    }
    let mut conn = reading(database).await?;
    match sqlx::query_scalar(sql).fetch_one(&mut conn).await {
        Err(sqlx::Error::Database(error)) if error.message().starts_with("no such table") => Ok(0),
        other => Ok(other?),
    }
}
