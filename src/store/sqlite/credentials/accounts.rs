//! Reads behind `Credentials`: sealed accounts with their class and our own writes, by keyset.

use std::collections::HashMap;

use serde_json::json;

use super::super::{SqliteStore, StoreError, row};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::store::credentials::{Pick, SealedAccount};

#[derive(sqlx::FromRow)]
struct AccountColumns {
    number: i64,
    salt: Vec<u8>,
    body: Option<Vec<u8>>,
    class: Option<String>,
    changed_at: Option<i64>,
    delivery_class: Option<String>,
    delivery_reason: Option<String>,
}

/// [`AccountColumns`] of recipients `r`: where they come from, how the credential is joined, and which.
macro_rules! accounts {
    ($from:literal, $join:literal, $($picked:literal),+) => {
        concat!(
            "SELECT r.number, r.salt, r.body, c.class, c.changed_at, d.class AS delivery_class,
                    d.reason AS delivery_reason
             FROM ",
            $from,
            "\n",
            $join,
            " credential AS c ON c.campaign_id = $1 AND c.number = r.number AND c.kind = $3
             LEFT JOIN delivery AS d ON d.campaign_id = $1 AND d.number = r.number
             WHERE ",
            $($picked),+
        )
    };
}

/// The next of them after a number.
macro_rules! page {
    ($join:literal, $picked:literal) => {
        accounts!(
            "recipient AS r",
            $join,
            "r.seal_id = $2 AND r.number > $4 AND ",
            $picked,
            " ORDER BY r.number LIMIT $5"
        )
    };
}

const PENDING: &str = page!("LEFT JOIN", "r.copy_of IS NULL AND c.class IS NULL");

const FAILED: &str = page!("JOIN", "c.class IN ('failed', 'regressed')");

const EXPIRED: &str =
    page!("JOIN", "c.class IN ('expired', 'regressed', 'reset', 'reset-elsewhere')");

const EVERYBODY: &str = page!("LEFT JOIN", "r.copy_of IS NULL");

const AMONG: &str = accounts!(
    "json_each($4) AS j CROSS JOIN recipient AS r ON r.seal_id = $2 AND r.number = j.value",
    "LEFT JOIN",
    "r.copy_of IS NULL ORDER BY r.number"
);

/// The numbers drive: without `CROSS` the planner walked every write of the campaign for each page.
const WRITTEN: &str = "SELECT w.number, w.planned, w.seen
     FROM json_each($2) AS j
     CROSS JOIN credential_write AS w
       ON w.campaign_id = $1 AND w.number = j.value AND w.kind = $3";

/// Our own writes of one account.
#[derive(Default)]
struct Written {
    planned: Vec<[u8; 32]>,
    seen: Vec<[u8; 32]>,
}

/// The statement that picks accounts.
pub(super) fn of(pick: Pick) -> &'static str {
    match pick {
        Pick::Pending => PENDING,
        Pick::Failed => FAILED,
        Pick::Expired => EXPIRED,
        Pick::Everybody => EVERYBODY,
    }
}

pub(super) fn parse_class(word: &str, number: i64) -> Result<CredentialClass, StoreError> {
    word.parse().map_err(|_| StoreError::Corrupt {
        table: "credential",
        column: "class",
        row: number.to_string(),
    })
}

impl SqliteStore {
    /// The next accounts that `sql` picks after a number.
    pub(super) async fn accounts(
        &self,
        sql: &'static str,
        campaign: i64,
        kind: CredentialKind,
        after: u64,
        limit: u32,
    ) -> Result<Vec<SealedAccount>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<AccountColumns> = sqlx::query_as(sql)
            .bind(campaign)
            .bind(seal)
            .bind(kind.to_string())
            .bind(row::int(after))
            .bind(i64::from(limit))
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("find accounts to secure"))?;
        let written = self.own_writes(campaign, kind, &rows).await?;
        sealed(rows, written)
    }

    /// The accounts with these numbers.
    pub(super) async fn accounts_among(
        &self,
        campaign: i64,
        kind: CredentialKind,
        numbers: &[u64],
    ) -> Result<Vec<SealedAccount>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<AccountColumns> = sqlx::query_as(AMONG)
            .bind(campaign)
            .bind(seal)
            .bind(kind.to_string())
            .bind(json!(numbers).to_string())
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("find accounts by number"))?;
        let written = self.own_writes(campaign, kind, &rows).await?;
        sealed(rows, written)
    }

    async fn own_writes(
        &self,
        campaign: i64,
        kind: CredentialKind,
        rows: &[AccountColumns],
    ) -> Result<HashMap<i64, Written>, StoreError> {
        let numbers: Vec<i64> = rows.iter().map(|found| found.number).collect();
        let found: Vec<(i64, Vec<u8>, Vec<u8>)> = sqlx::query_as(WRITTEN)
            .bind(campaign)
            .bind(json!(numbers).to_string())
            .bind(kind.to_string())
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("read our own writes"))?;
        let mut written: HashMap<i64, Written> = HashMap::new();
        for (number, planned, seen) in found {
            let of = written.entry(number).or_default();
            of.planned.push(row::bytes(&planned, "credential_write", "planned", number)?);
            of.seen.push(row::bytes(&seen, "credential_write", "seen", number)?);
        }
        Ok(written)
    }
}

fn sealed(
    rows: Vec<AccountColumns>,
    mut written: HashMap<i64, Written>,
) -> Result<Vec<SealedAccount>, StoreError> {
    let read = |found: AccountColumns| {
        let class = match &found.class {
            Some(word) => parse_class(word, found.number)?,
            None => CredentialClass::Pending,
        };
        let ours = written.remove(&found.number).unwrap_or_default();
        Ok(SealedAccount {
            number: row::uint(found.number),
            salt: row::bytes(&found.salt, "recipient", "salt", found.number)?,
            body: found.body.unwrap_or_default(),
            class,
            changed_at: found.changed_at.map(row::instant),
            planned: ours.planned,
            seen: ours.seen,
            delivery: (
                found.delivery_class.unwrap_or_else(|| "queued".into()),
                found.delivery_reason.unwrap_or_default(),
            ),
        })
    };
    rows.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::query_plan::steps;

    #[tokio::test]
    async fn our_own_writes_are_looked_up_by_key() {
        let steps = steps(WRITTEN).await;
        let by_key = "SEARCH w USING PRIMARY KEY (campaign_id=? AND number=? AND kind=?)";
        assert!(steps.iter().any(|step| step.starts_with(by_key)), "{steps:?}");
    }

    #[tokio::test]
    async fn every_page_is_a_range_of_numbers_with_look_ups_by_key() {
        for sql in [PENDING, FAILED, EXPIRED, EVERYBODY, AMONG] {
            let steps = steps(sql).await;
            let scans = ["r", "c", "d"].map(|table| format!("SCAN {table}"));
            assert!(
                steps.iter().all(|step| scans.iter().all(|scan| !step.starts_with(scan.as_str()))),
                "{steps:?}"
            );
            assert!(
                !steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY")) || sql == AMONG
            );
        }
    }
}
