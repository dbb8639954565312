//! `Reports` on SQLite: sums over chunks, listings by keyset.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::load::StateColumns;
use super::{SqliteStore, StoreError, lanes::LaneColumns, row};
use crate::domain::delivery::{AttemptKey, AttemptResult};
use crate::domain::reply::ReplyClass;
use crate::domain::totals::{CopyTotals, DeliveryTotals};
use crate::store::deliveries::LaneRow;
use crate::store::reports::{AttemptListing, DeliveryFilter, DeliveryListing, Reached, Reports};

/// The counters of some chunks, summed.
#[derive(sqlx::FromRow)]
pub(super) struct TotalColumns {
    sealed: i64,
    queued: i64,
    deferred: i64,
    in_doubt: i64,
    held: i64,
    fallback: i64,
    told: i64,
    withdrawn: i64,
    waived: i64,
    in_flight_queued: i64,
    in_flight_deferred: i64,
}

impl TotalColumns {
    /// The sums with their reasons; what is in flight is taken out of the class its row keeps.
    pub(super) fn read(self, reasons: BTreeMap<String, u64>) -> DeliveryTotals {
        DeliveryTotals {
            sealed: row::uint(self.sealed),
            queued: row::uint(self.queued - self.in_flight_queued),
            in_flight: row::uint(self.in_flight_queued + self.in_flight_deferred),
            deferred: row::uint(self.deferred - self.in_flight_deferred),
            in_doubt: row::uint(self.in_doubt),
            held: row::uint(self.held),
            fallback: row::uint(self.fallback),
            told: row::uint(self.told),
            withdrawn: row::uint(self.withdrawn),
            waived: row::uint(self.waived),
            in_doubt_due: reasons.get("in-doubt/due").copied().unwrap_or(0),
            reasons,
            copies: CopyTotals::default(),
        }
    }
}

/// The sums of people, or of copies.
#[derive(sqlx::FromRow)]
struct PartColumns {
    is_copy: i64,
    #[sqlx(flatten)]
    totals: TotalColumns,
}

#[derive(sqlx::FromRow)]
struct ListingColumns {
    number: i64,
    salt: Vec<u8>,
    body: Option<Vec<u8>>,
    in_flight: i64,
    reached: i64,
    changed_at: Option<i64>,
    at_address: i64,
    carrier: Option<i64>,
    copy_of: Option<i64>,
    #[sqlx(flatten)]
    state: StateColumns,
}

#[derive(sqlx::FromRow)]
struct AttemptColumns {
    generation: i64,
    n: i64,
    dated_at: i64,
    content: Vec<u8>,
    relay: String,
    result: Option<String>,
    phase: Option<String>,
    code: Option<i64>,
    enhanced: Option<String>,
    reply_class: Option<String>,
    queue_id: Option<String>,
    reply: Option<Vec<u8>>,
    ended_at: Option<i64>,
}

type ResolutionColumns = (i64, i64, String, String, String, i64);

impl ListingColumns {
    fn read(self) -> Result<DeliveryListing, StoreError> {
        Ok(DeliveryListing {
            number: row::uint(self.number),
            salt: row::bytes(&self.salt, "recipient", "salt", self.number)?,
            body: self.body,
            state: self.state.read(self.number)?,
            is_in_flight: self.in_flight == 1,
            reached: match self.reached {
                0 => Reached::No,
                1 => Reached::Perhaps,
                _ => Reached::Yes,
            },
            at_address: row::uint(self.at_address),
            carrier: self.carrier.map(row::uint),
            copy_of: self.copy_of.map(row::uint),
            changed_at: self.changed_at.map(row::instant),
        })
    }
}

#[async_trait]
impl Reports for SqliteStore {
    async fn delivery_totals(&self, campaign: i64) -> Result<DeliveryTotals, StoreError> {
        let seal = self.seal_of(campaign).await?;
        // Both reads see one instant.
        let mut tx = self.reader.begin().await.map_err(StoreError::on("begin a report"))?;
        let mut sums: Vec<PartColumns> = sqlx::query_as(
            "SELECT is_copy,
                    SUM(size) AS sealed,
                    SUM(queued) AS queued,
                    SUM(deferred) AS deferred,
                    SUM(in_doubt) AS in_doubt,
                    SUM(held) AS held,
                    SUM(fallback) AS fallback,
                    SUM(told) AS told,
                    SUM(withdrawn) AS withdrawn,
                    SUM(waived) AS waived,
                    SUM(in_flight_queued) AS in_flight_queued,
                    SUM(in_flight_deferred) AS in_flight_deferred
             FROM chunk
             WHERE seal_id = $1
             GROUP BY is_copy",
        )
        .bind(seal)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::on("sum the chunks"))?;
        let reasons: Vec<(i64, String, i64)> = sqlx::query_as(
            "SELECT c.is_copy, j.key, SUM(j.value)
             FROM chunk AS c, json_each(c.reasons) AS j
             WHERE c.seal_id = $1
             GROUP BY c.is_copy, j.key",
        )
        .bind(seal)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::on("sum the reasons"))?;
        tx.commit().await.map_err(StoreError::on("end a report"))?;
        let mut part = |is_copy: i64| {
            let own = reasons.iter().filter(|(copy, ..)| *copy == is_copy);
            let reasons = own.map(|(_, key, count)| (key.clone(), row::uint(*count))).collect();
            let at = sums.iter().position(|sums| sums.is_copy == is_copy);
            at.map(|at| sums.swap_remove(at).totals.read(reasons)).unwrap_or_default()
        };
        let copies = CopyTotals::from(&part(1));
        Ok(DeliveryTotals { copies, ..part(0) })
    }

    async fn credential_totals(
        &self,
        campaign: i64,
        kinds: &[&str],
    ) -> Result<BTreeMap<String, u64>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let mut tx = self.reader.begin().await.map_err(StoreError::on("begin a report"))?;
        let sealed: i64 = sqlx::query_scalar(
            "SELECT COALESCE(SUM(size), 0) FROM chunk WHERE seal_id = $1 AND is_copy = 0",
        )
        .bind(seal)
        .fetch_one(&mut *tx)
        .await
        .map_err(StoreError::on("sum the chunks"))?;
        let settled: Vec<(String, i64)> = sqlx::query_as(
            "SELECT j.key, SUM(j.value)
             FROM chunk AS c, json_each(c.credentials) AS j
             WHERE c.seal_id = $1
             GROUP BY j.key",
        )
        .bind(seal)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::on("sum the credentials"))?;
        tx.commit().await.map_err(StoreError::on("end a report"))?;
        let mut totals: BTreeMap<String, u64> = BTreeMap::new();
        for kind in kinds {
            let prefix = format!("{kind}/");
            let known: i64 = settled
                .iter()
                .filter(|(key, _)| key.starts_with(&prefix))
                .map(|(_, count)| count)
                .sum();
            totals.insert(format!("{kind}/pending"), row::uint(sealed - known));
        }
        totals.extend(settled.into_iter().map(|(key, count)| (key, row::uint(count))));
        Ok(totals)
    }

    async fn list_deliveries(
        &self,
        campaign: i64,
        filter: &DeliveryFilter,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<DeliveryListing>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<ListingColumns> = sqlx::query_as(
            "SELECT r.number, r.salt, r.body, d.class, d.reason, d.generation, d.doubts, d.attempts,
                    d.first_attempt_at, d.due_at, d.changed_at, r.at_address, r.copy_of,
                    f.leader AS carrier,
                    EXISTS (SELECT 1 FROM intent AS i
                            LEFT JOIN outcome AS o USING (campaign_id, number, generation, n)
                            WHERE i.campaign_id = $1 AND i.number = r.number
                              AND o.number IS NULL) AS in_flight,
                    COALESCE((SELECT MAX(CASE o.result WHEN 'accepted' THEN 2 ELSE 1 END)
                              FROM outcome AS o
                              LEFT JOIN resolution AS s
                                ON s.campaign_id = o.campaign_id AND s.number = o.number
                               AND s.generation = o.generation AND s.n = o.n
                               AND s.result = 'not-sent'
                              WHERE o.campaign_id = $1 AND o.number = r.number
                                AND o.result IN ('accepted', 'in-doubt') AND s.number IS NULL),
                             0) AS reached
             FROM recipient AS r
             LEFT JOIN delivery AS d ON d.campaign_id = $1 AND d.number = r.number
             LEFT JOIN follower AS f
               ON f.campaign_id = $1 AND f.number = r.number AND f.kind = 'carried'
             WHERE r.seal_id = $2
               AND r.number > $3
               AND ($4 IS NULL OR COALESCE(d.class, 'queued') = $4)
               AND ($5 IS NULL OR COALESCE(d.reason, '') = $5)
               AND ($6 = 0 OR EXISTS (
                       SELECT 1 FROM outcome AS o
                       WHERE o.campaign_id = $1 AND o.number = r.number AND o.result = 'in-doubt'))
             ORDER BY r.number
             LIMIT $7",
        )
        .bind(campaign)
        .bind(seal)
        .bind(after.map_or(-1, row::int))
        .bind(&filter.class)
        .bind(&filter.reason)
        .bind(i64::from(filter.ever_in_doubt))
        .bind(i64::from(limit))
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list deliveries"))?;
        rows.into_iter().map(ListingColumns::read).collect()
    }

    async fn delivery(
        &self,
        campaign: i64,
        number: u64,
    ) -> Result<Option<DeliveryListing>, StoreError> {
        let Some(before) = number.checked_sub(1) else { return Ok(None) };
        let filter = DeliveryFilter::default();
        let found = self.list_deliveries(campaign, &filter, Some(before), 1).await?;
        Ok(found.into_iter().find(|listing| listing.number == number))
    }

    async fn find_numbers(&self, campaign: i64, digest: &[u8]) -> Result<Vec<u64>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT number FROM account_lookup WHERE seal_id = $1 AND digest = $2
             UNION
             SELECT number FROM address_lookup WHERE seal_id = $1 AND digest = $2
             UNION
             SELECT number FROM amendment WHERE campaign_id = $3 AND address = $2
             ORDER BY number",
        )
        .bind(seal)
        .bind(digest)
        .bind(campaign)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("look a person up"))?;
        Ok(rows.into_iter().map(row::uint).collect())
    }

    async fn attempts(
        &self,
        campaign: i64,
        number: u64,
    ) -> Result<Vec<AttemptListing>, StoreError> {
        let rows: Vec<AttemptColumns> = sqlx::query_as(
            "SELECT i.generation, i.n, i.dated_at, i.content, i.relay, o.result, o.phase, o.code,
                    o.enhanced, o.reply_class, o.queue_id, o.reply, o.ended_at
             FROM intent AS i
             LEFT JOIN outcome AS o USING (campaign_id, number, generation, n)
             WHERE i.campaign_id = $1 AND i.number = $2
             ORDER BY i.generation, i.n",
        )
        .bind(campaign)
        .bind(row::int(number))
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list attempts"))?;
        let resolutions: Vec<ResolutionColumns> = sqlx::query_as(
            "SELECT generation, n, result, resolved_by, reason, resolved_at
             FROM resolution
             WHERE campaign_id = $1 AND number = $2
             ORDER BY resolved_at",
        )
        .bind(campaign)
        .bind(row::int(number))
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list resolutions"))?;
        rows.into_iter().map(|found| attempt(number, found, &resolutions)).collect()
    }

    async fn lanes(&self, campaign: i64) -> Result<Vec<LaneRow>, StoreError> {
        let rows: Vec<LaneColumns> = sqlx::query_as(
            "SELECT wave, provider, send_window, suspended_at, suspended_until, cause, stood_still,
                    slowed_until, slowed_per_second, slowed_cause
             FROM lane
             WHERE campaign_id = $1
             ORDER BY wave, provider, send_window",
        )
        .bind(campaign)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list lanes"))?;
        Ok(rows.into_iter().map(LaneColumns::read).collect())
    }
}

fn attempt(
    number: u64,
    found: AttemptColumns,
    resolutions: &[ResolutionColumns],
) -> Result<AttemptListing, StoreError> {
    let result = match found.result.as_deref() {
        None => None,
        Some(word) => Some(AttemptResult::parse(word).ok_or_else(|| StoreError::Corrupt {
            table: "outcome",
            column: "result",
            row: number.to_string(),
        })?),
    };
    Ok(AttemptListing {
        key: AttemptKey {
            number,
            generation: row::small(found.generation),
            n: row::small(found.n),
        },
        dated_at: row::instant(found.dated_at),
        content: row::bytes(&found.content, "intent", "content", number)?,
        relay: found.relay,
        result,
        phase: found.phase.unwrap_or_default(),
        code: found.code.and_then(|code| u16::try_from(code).ok()),
        enhanced: found.enhanced,
        class: found.reply_class.as_deref().and_then(ReplyClass::parse),
        queue_id: found.queue_id,
        reply: found.reply,
        ended_at: found.ended_at.map(row::instant),
        resolutions: resolutions
            .iter()
            .filter(|row| (row.0, row.1) == (found.generation, found.n))
            .map(|(_, _, result, by, reason, at)| {
                (result.clone(), by.clone(), reason.clone(), row::instant(*at))
            })
            .collect(),
    })
}
