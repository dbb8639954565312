//! Reads behind `Amendments`.

use std::collections::{BTreeMap, HashMap};

use crate::domain::amendment::AmendmentKind;
use crate::store::amendments::AmendmentRow;
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

impl SqliteStore {
    /// The amendments of some people, given as a JSON array of numbers.
    pub(super) async fn amendments_of(
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
