//! Reads behind `Amendments`.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use crate::domain::amendment::AmendmentKind;
use crate::domain::delivery::AttemptKey;
use crate::store::amendments::{Amendable, AmendmentRow};
use crate::store::sqlite::load::StateColumns;
use crate::store::sqlite::{SqliteStore, StoreError, row};

#[derive(sqlx::FromRow)]
struct AmendmentColumns {
    number: i64,
    n: i64,
    kind: String,
    was: String,
    became: String,
    body: Option<Vec<u8>>,
    amended_at: i64,
}

#[derive(sqlx::FromRow)]
struct PageColumns {
    leaf: Vec<u8>,
    #[sqlx(flatten)]
    amendment: AmendmentColumns,
}

#[derive(sqlx::FromRow)]
struct PersonColumns {
    number: i64,
    salt: Vec<u8>,
    body: Option<Vec<u8>>,
    carrier: Option<i64>,
    has_token: i64,
    is_unsecured: i64,
    doubt: Option<i64>,
    #[sqlx(flatten)]
    state: StateColumns,
}

/// Amendments as a chunk is loaded with them.
pub(in crate::store::sqlite) struct AmendedRows {
    rows: HashMap<i64, Vec<AmendmentRow>>,
    at_address: HashMap<i64, u64>,
}

impl AmendedRows {
    /// Takes a person's amendments out.
    pub(in crate::store::sqlite) fn take(&mut self, number: i64) -> Vec<AmendmentRow> {
        self.rows.remove(&number).unwrap_or_default()
    }

    /// How many people use a person's address: the sealed one, of which `sealed` is known, or a new one.
    pub(in crate::store::sqlite) fn at_address(&self, number: i64, sealed: i64) -> u64 {
        self.at_address.get(&number).copied().unwrap_or_else(|| row::uint(sealed))
    }
}

/// The further addresses of `$1` (a JSON array of numbers). Left to itself SQLite would walk all the
/// followers of the campaign for each person.
const COPIES: &str = "SELECT f.leader, f.number
     FROM json_each($1) AS j
     CROSS JOIN follower AS f INDEXED BY follower_by_leader
       ON f.campaign_id = $2 AND f.leader = CAST(j.value AS INTEGER)
     WHERE f.kind = 'copy'";

/// Signatures by (number, n).
type Signatures = HashMap<(i64, i64), Vec<(i64, [u8; 64])>>;

impl AmendmentColumns {
    fn read(self, signatures: &mut Signatures) -> Result<AmendmentRow, StoreError> {
        let kind = AmendmentKind::parse(&self.kind).ok_or_else(|| StoreError::Corrupt {
            table: "amendment",
            column: "kind",
            row: self.number.to_string(),
        })?;
        Ok(AmendmentRow {
            number: row::uint(self.number),
            n: row::small(self.n),
            kind,
            was: self.was,
            became: self.became,
            body: self.body,
            at: row::instant(self.amended_at),
            signatures: signatures.remove(&(self.number, self.n)).unwrap_or_default(),
        })
    }
}

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
        let people: Vec<PersonColumns> = sqlx::query_as(
            "SELECT r.number, r.salt, r.body, f.leader AS carrier, d.class, d.reason,
                    d.generation, d.doubts, d.attempts, d.first_attempt_at, d.due_at,
                    EXISTS (SELECT 1 FROM reset_token AS t
                            WHERE t.campaign_id = $1 AND t.number = r.number
                              AND t.generation = COALESCE(d.generation, 1)) AS has_token,
                    EXISTS (SELECT 1 FROM credential AS k
                            WHERE k.campaign_id = $1 AND k.number = r.number
                              AND k.class IN ('failed', 'regressed')) AS is_unsecured,
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
             ORDER BY r.number",
        )
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

    /// The amendments of some people, given as a JSON array of numbers.
    async fn amendments_of(
        &self,
        campaign: i64,
        numbers: &str,
    ) -> Result<HashMap<i64, Vec<AmendmentRow>>, StoreError> {
        let rows: Vec<AmendmentColumns> = sqlx::query_as(
            "SELECT a.number, a.n, a.kind, a.was, a.became, a.body, a.amended_at
             FROM json_each($2) AS j
             CROSS JOIN amendment AS a
               ON a.campaign_id = $1 AND a.number = CAST(j.value AS INTEGER)
             ORDER BY a.number, a.n",
        )
        .bind(campaign)
        .bind(numbers)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("read amendments"))?;
        let mut found: HashMap<i64, Vec<AmendmentRow>> = HashMap::new();
        if rows.is_empty() {
            return Ok(found);
        }
        let signatures: Vec<(i64, i64, i64, Vec<u8>)> = sqlx::query_as(
            "SELECT s.number, s.n, s.operator_id, s.signature
             FROM json_each($2) AS j
             CROSS JOIN amendment_signature AS s
               ON s.campaign_id = $1 AND s.number = CAST(j.value AS INTEGER)
             ORDER BY s.number, s.n, s.operator_id",
        )
        .bind(campaign)
        .bind(numbers)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("read signatures of amendments"))?;
        let mut signatures = by_amendment(signatures)?;
        for columns in rows {
            found.entry(columns.number).or_default().push(columns.read(&mut signatures)?);
        }
        Ok(found)
    }

    pub(in crate::store::sqlite) async fn read_between(
        &self,
        campaign: i64,
        first: u64,
        last: u64,
    ) -> Result<Vec<AmendmentRow>, StoreError> {
        let rows: Vec<AmendmentColumns> = self
            .in_range(
                "SELECT number, n, kind, was, became, body, amended_at
                 FROM amendment
                 WHERE campaign_id = $1 AND number BETWEEN $2 AND $3
                 ORDER BY number, n",
                campaign,
                (row::int(first), row::int(last)),
                "read amendments",
            )
            .await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let mut signatures = self.signatures_between(campaign, first, last).await?;
        rows.into_iter().map(|columns| columns.read(&mut signatures)).collect()
    }

    /// What the amendments of a range of people say: theirs by number, and how many people use the
    /// address that was brought by the newest replacement of each.
    pub(in crate::store::sqlite) async fn amended_rows(
        &self,
        campaign: i64,
        seal: i64,
        range: (i64, i64),
    ) -> Result<AmendedRows, StoreError> {
        let mut rows: HashMap<i64, Vec<AmendmentRow>> = HashMap::new();
        let (first, last) = (row::uint(range.0), row::uint(range.1));
        for amendment in self.read_between(campaign, first, last).await? {
            rows.entry(row::int(amendment.number)).or_default().push(amendment);
        }
        let at_address = if rows.is_empty() {
            HashMap::new()
        } else {
            self.at_amended_addresses(campaign, seal, range).await?
        };
        Ok(AmendedRows { rows, at_address })
    }

    async fn signatures_between(
        &self,
        campaign: i64,
        first: u64,
        last: u64,
    ) -> Result<Signatures, StoreError> {
        let signatures: Vec<(i64, i64, i64, Vec<u8>)> = self
            .in_range(
                "SELECT number, n, operator_id, signature
                 FROM amendment_signature
                 WHERE campaign_id = $1 AND number BETWEEN $2 AND $3
                 ORDER BY number, n, operator_id",
                campaign,
                (row::int(first), row::int(last)),
                "read signatures of amendments",
            )
            .await?;
        by_amendment(signatures)
    }

    pub(super) async fn read_page(
        &self,
        campaign: i64,
        after: (u64, u32),
        limit: u32,
    ) -> Result<Vec<(AmendmentRow, [u8; 32])>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<PageColumns> = sqlx::query_as(
            "SELECT a.number, a.n, a.kind, a.was, a.became, a.body, a.amended_at, r.leaf
             FROM amendment AS a
             JOIN recipient AS r ON r.seal_id = $2 AND r.number = a.number
             WHERE a.campaign_id = $1 AND (a.number, a.n) > ($3, $4)
             ORDER BY a.number, a.n
             LIMIT $5",
        )
        .bind(campaign)
        .bind(seal)
        .bind(row::int(after.0))
        .bind(i64::from(after.1))
        .bind(i64::from(limit))
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list amendments"))?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
            return Ok(Vec::new());
        };
        let (first, last) = (row::uint(first.amendment.number), row::uint(last.amendment.number));
        let mut signatures = self.signatures_between(campaign, first, last).await?;
        rows.into_iter()
            .map(|found| {
                let number = found.amendment.number;
                let leaf = row::bytes(&found.leaf, "recipient", "leaf", number)?;
                Ok((found.amendment.read(&mut signatures)?, leaf))
            })
            .collect()
    }

    pub(super) async fn read_totals(
        &self,
        campaign: i64,
    ) -> Result<BTreeMap<String, (u64, u64)>, StoreError> {
        let rows: Vec<(String, i64, i64)> = sqlx::query_as(
            "SELECT a.kind, COUNT(*),
                    COUNT(DISTINCT CASE
                        WHEN a.kind = 'replace-address' OR NOT EXISTS (
                            SELECT 1 FROM amendment AS later
                            WHERE later.campaign_id = a.campaign_id
                              AND later.number = a.number AND later.n > a.n)
                        THEN a.number END)
             FROM amendment AS a
             WHERE a.campaign_id = $1
             GROUP BY a.kind",
        )
        .bind(campaign)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("count amendments"))?;
        Ok(rows
            .into_iter()
            .map(|(kind, made, force)| (kind, (row::uint(made), row::uint(force))))
            .collect())
    }

    /// By number: how many people use the address that the newest replacement of each brought.
    async fn at_amended_addresses(
        &self,
        campaign: i64,
        seal: i64,
        range: (i64, i64),
    ) -> Result<HashMap<i64, u64>, StoreError> {
        let rows: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT a.number,
                    (SELECT COUNT(*) FROM address_lookup AS l
                     WHERE l.seal_id = $2 AND l.digest = a.address AND l.number <> a.number)
                    + (SELECT COUNT(DISTINCT o.number) FROM amendment AS o
                       WHERE o.campaign_id = $1 AND o.address = a.address)
             FROM amendment AS a
             WHERE a.campaign_id = $1 AND a.number BETWEEN $3 AND $4 AND a.address IS NOT NULL
             ORDER BY a.number, a.n",
        )
        .bind(campaign)
        .bind(seal)
        .bind(range.0)
        .bind(range.1)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("count who uses a new address"))?;
        // a later replacement of the same person comes after, and counts
        Ok(rows.into_iter().map(|(number, count)| (number, row::uint(count))).collect())
    }
}

fn by_amendment(rows: Vec<(i64, i64, i64, Vec<u8>)>) -> Result<Signatures, StoreError> {
    let mut signatures = Signatures::new();
    for (number, n, operator, signature) in rows {
        let signature = row::bytes(&signature, "amendment_signature", "signature", number)?;
        signatures.entry((number, n)).or_default().push((operator, signature));
    }
    Ok(signatures)
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
