//! Reads behind `Credentials`: sealed accounts with their class and our own writes, by keyset.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::super::{SqliteStore, StoreError, row};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::store::credentials::{Pick, SealedAccount};

/// A row of an answer: number, salt, body, class, when it changed, the delivery's class and reason.
#[derive(Deserialize)]
struct AccountColumns<'a>(
    i64,
    &'a str,
    Option<&'a str>,
    Option<&'a str>,
    Option<i64>,
    Option<&'a str>,
    Option<String>,
);

/// [`AccountColumns`] of recipients `r`, all of them as one JSON array: where they come from, how the
/// credential is joined, and which. A row of its own for each cost more on its way out of the driver than
/// to find it.
macro_rules! accounts {
    ($from:literal, $join:literal, $($picked:literal),+) => {
        concat!(
            "SELECT json_group_array(json_array(number, salt, body, class, changed_at,
                                                delivery_class, delivery_reason))
             FROM (
             SELECT r.number, hex(r.salt) AS salt, hex(r.body) AS body, c.class, c.changed_at,
                    d.class AS delivery_class, d.reason AS delivery_reason
             FROM ",
            $from,
            "\n",
            $join,
            " credential AS c ON c.campaign_id = $1 AND c.number = r.number AND c.kind = $3
             LEFT JOIN delivery AS d ON d.campaign_id = $1 AND d.number = r.number
             WHERE ",
            $($picked),+,
            ")"
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

/// The class alone, for whoever asks often.
const CLASSES: &str = "SELECT r.number, c.class, c.changed_at
     FROM json_each($4) AS j
     CROSS JOIN recipient AS r ON r.seal_id = $2 AND r.number = CAST(j.value AS INTEGER)
     LEFT JOIN credential AS c ON c.campaign_id = $1 AND c.number = r.number AND c.kind = $3
     WHERE r.copy_of IS NULL";

/// The numbers drive: without `CROSS` the planner walked every write of the campaign for each page.
const WRITTEN: &str = "SELECT json_group_array(json_array(w.number, hex(w.planned), hex(w.seen)))
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
        let rows: String = sqlx::query_scalar(sql)
            .bind(campaign)
            .bind(seal)
            .bind(kind.to_string())
            .bind(row::int(after))
            .bind(i64::from(limit))
            .fetch_one(&self.reader)
            .await
            .map_err(StoreError::on("find accounts to secure"))?;
        self.sealed(campaign, kind, &rows).await
    }

    /// The classes of a kind of these numbers' credentials.
    pub(super) async fn classes_among(
        &self,
        campaign: i64,
        kind: CredentialKind,
        numbers: &[u64],
    ) -> Result<Vec<Option<(CredentialClass, Timestamp)>>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<(i64, Option<String>, Option<i64>)> = sqlx::query_as(CLASSES)
            .bind(campaign)
            .bind(seal)
            .bind(kind.to_string())
            .bind(json!(numbers).to_string())
            .fetch_all(&self.reader)
            .await
            .map_err(StoreError::on("look a credential's class up"))?;
        rows.into_iter()
            .map(|(number, class, at)| {
                let class = class.map(|word| parse_class(&word, number)).transpose()?;
                Ok(class.zip(at.map(row::instant)))
            })
            .collect()
    }

    /// The accounts with these numbers.
    pub(super) async fn accounts_among(
        &self,
        campaign: i64,
        kind: CredentialKind,
        numbers: &[u64],
    ) -> Result<Vec<SealedAccount>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: String = sqlx::query_scalar(AMONG)
            .bind(campaign)
            .bind(seal)
            .bind(kind.to_string())
            .bind(json!(numbers).to_string())
            .fetch_one(&self.reader)
            .await
            .map_err(StoreError::on("find accounts by number"))?;
        self.sealed(campaign, kind, &rows).await
    }

    /// The accounts of an answer in the order of their numbers, each with our own writes.
    async fn sealed(
        &self,
        campaign: i64,
        kind: CredentialKind,
        rows: &str,
    ) -> Result<Vec<SealedAccount>, StoreError> {
        let mut rows: Vec<AccountColumns> = columns(rows, "recipient")?;
        rows.sort_unstable_by_key(|found| found.0);
        let mut written = self.own_writes(campaign, kind, &rows).await?;
        rows.into_iter()
            .map(|found| {
                let ours = written.remove(&found.0).unwrap_or_default();
                found.sealed(ours)
            })
            .collect()
    }

    async fn own_writes(
        &self,
        campaign: i64,
        kind: CredentialKind,
        rows: &[AccountColumns<'_>],
    ) -> Result<HashMap<i64, Written>, StoreError> {
        let mut written: HashMap<i64, Written> = HashMap::new();
        if rows.is_empty() {
            return Ok(written);
        }
        let numbers: Vec<i64> = rows.iter().map(|found| found.0).collect();
        let found: String = sqlx::query_scalar(WRITTEN)
            .bind(campaign)
            .bind(json!(numbers).to_string())
            .bind(kind.to_string())
            .fetch_one(&self.reader)
            .await
            .map_err(StoreError::on("read our own writes"))?;
        for (number, planned, seen) in columns::<(i64, &str, &str)>(&found, "credential_write")? {
            let of = written.entry(number).or_default();
            of.planned.push(digits(planned, "credential_write", "planned", number)?);
            of.seen.push(digits(seen, "credential_write", "seen", number)?);
        }
        Ok(written)
    }
}

impl AccountColumns<'_> {
    fn sealed(self, ours: Written) -> Result<SealedAccount, StoreError> {
        let Self(number, salt, body, class, changed_at, delivery_class, delivery_reason) = self;
        let class = match class {
            Some(word) => parse_class(word, number)?,
            None => CredentialClass::Pending,
        };
        let corrupt =
            |_| StoreError::Corrupt { table: "recipient", column: "body", row: number.to_string() };
        Ok(SealedAccount {
            number: row::uint(number),
            salt: digits(salt, "recipient", "salt", number)?,
            body: blob(body.unwrap_or_default()).map_err(corrupt)?,
            class,
            changed_at: changed_at.map(row::instant),
            planned: ours.planned,
            seen: ours.seen,
            delivery: (
                delivery_class.unwrap_or("queued").to_owned(),
                delivery_reason.unwrap_or_default(),
            ),
        })
    }
}

/// The rows of an answer that came as one JSON array.
fn columns<'a, T: Deserialize<'a>>(
    rows: &'a str,
    table: &'static str,
) -> Result<Vec<T>, StoreError> {
    serde_json::from_str(rows).map_err(|error| StoreError::Corrupt {
        table,
        column: "(any)",
        row: format!("at {} of the answer", error.column()),
    })
}

/// A blob as it came in hex; `hex::decode` grows what it returns byte by byte, which took a tenth of a pass.
fn blob(hex: &str) -> Result<Vec<u8>, hex::FromHexError> {
    let mut bytes = vec![0; hex.len() / 2];
    hex::decode_to_slice(hex, &mut bytes)?;
    Ok(bytes)
}

/// A blob of a fixed length, as it came in hex.
fn digits<const N: usize>(
    hex: &str,
    table: &'static str,
    column: &'static str,
    number: i64,
) -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    let corrupt = |_| StoreError::Corrupt { table, column, row: number.to_string() };
    hex::decode_to_slice(hex, &mut bytes).map_err(corrupt)?;
    Ok(bytes)
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
