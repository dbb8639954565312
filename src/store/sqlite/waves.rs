//! `Waves` on SQLite.

pub(super) mod moved;
pub(super) mod reasons;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;

use super::reports::TotalColumns;
use super::{SqliteStore, StoreError, row};
use crate::store::waves::{CanaryFigures, CanaryGo, GateEvidence, Place, WaveRow, WaveSums, Waves};

type WaveColumns = (i64, String, i64, Option<i64>, Option<i64>, Option<i64>);

#[derive(sqlx::FromRow)]
struct SumColumns {
    wave: i64,
    is_copy: i64,
    carried_queued: i64,
    carried_deferred: i64,
    #[sqlx(flatten)]
    totals: TotalColumns,
}

#[derive(sqlx::FromRow)]
struct GoColumns {
    told: i64,
    bounced: i64,
    deferred: i64,
    complaints: i64,
    operator_id: i64,
    signature: Vec<u8>,
    gone_at: i64,
}

/// A chunk of the wave whose lane is not suspended, with people queued or in flight. Who is carried waits
/// for their carrier, who may be in a later wave.
const IS_GOING: &str = "SELECT EXISTS (
         SELECT 1
         FROM chunk AS c
         LEFT JOIN lane AS l
           ON l.campaign_id = $1 AND l.wave = c.wave AND l.provider = c.provider
          AND l.send_window = c.send_window
         WHERE c.seal_id = $2 AND c.wave = $3
           AND c.queued - c.carried_queued + c.in_flight_deferred > 0
           AND (l.suspended_until IS NULL OR l.suspended_until <= $4))";

#[async_trait]
impl Waves for SqliteStore {
    async fn waves(&self, campaign: i64) -> Result<Vec<WaveRow>, StoreError> {
        let rows: Vec<WaveColumns> = sqlx::query_as(
            "SELECT number, name, is_canary, deadline, opened_at, first_permit_at
             FROM wave
             WHERE campaign_id = $1
             ORDER BY number",
        )
        .bind(campaign)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list waves"))?;
        let read = |(number, name, is_canary, deadline, opened, permit): WaveColumns| WaveRow {
            number: row::small(number),
            name,
            is_canary: is_canary == 1,
            deadline: deadline.map(row::instant),
            opened_at: opened.map(row::instant),
            first_permit_at: permit.map(row::instant),
        };
        Ok(rows.into_iter().map(read).collect())
    }

    async fn open_wave(
        &self,
        campaign: i64,
        number: u32,
        at: Timestamp,
        lines: Vec<String>,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let opened = sqlx::query(
            "UPDATE wave SET opened_at = $3
             WHERE campaign_id = $1 AND number = $2 AND opened_at IS NULL",
        )
        .bind(campaign)
        .bind(i64::from(number))
        .bind(row::micros(at))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("open a wave"))?
        .rows_affected();
        if opened == 1 {
            self.log(&mut write, &lines).await?;
        }
        self.commit(write).await?;
        Ok(opened == 1)
    }

    async fn wave_sums(&self, campaign: i64) -> Result<BTreeMap<u32, WaveSums>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        // Both reads see one instant.
        let mut tx = self.reader.begin().await.map_err(StoreError::on("begin a report"))?;
        let sums: Vec<SumColumns> = sqlx::query_as(
            "SELECT wave, is_copy, SUM(size) AS sealed, SUM(queued) AS queued,
                    SUM(deferred) AS deferred, SUM(in_doubt) AS in_doubt, SUM(held) AS held,
                    SUM(fallback) AS fallback, SUM(told) AS told, SUM(withdrawn) AS withdrawn,
                    SUM(waived) AS waived, SUM(in_flight_queued) AS in_flight_queued,
                    SUM(in_flight_deferred) AS in_flight_deferred,
                    SUM(carried_queued) AS carried_queued,
                    SUM(carried_deferred) AS carried_deferred
             FROM chunk
             WHERE seal_id = $1
             GROUP BY wave, is_copy",
        )
        .bind(seal)
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::on("sum the chunks by wave"))?;
        let by_place = self.wave_reasons.read(&mut tx, seal).await?;
        tx.commit().await.map_err(StoreError::on("end a report"))?;
        let mut waves: BTreeMap<u32, WaveSums> = BTreeMap::new();
        for SumColumns { wave, is_copy, carried_queued, carried_deferred, totals } in sums {
            let reasons = by_place.get(&(wave, is_copy)).cloned().unwrap_or_default();
            let sums = waves.entry(row::small(wave)).or_default();
            sums.carried_queued += row::uint(carried_queued);
            sums.carried_deferred += row::uint(carried_deferred);
            let place = if is_copy == 1 { &mut sums.copies } else { &mut sums.people };
            *place = totals.read(reasons);
        }
        Ok(waves)
    }

    async fn is_going(&self, campaign: i64, wave: u32, now: Timestamp) -> Result<bool, StoreError> {
        let seal = self.seal_of(campaign).await?;
        sqlx::query_scalar(IS_GOING)
            .bind(campaign)
            .bind(seal)
            .bind(i64::from(wave))
            .bind(row::micros(now))
            .fetch_one(&self.reader)
            .await
            .map_err(StoreError::on("look whether a wave still goes"))
    }

    async fn cohorts(&self, campaign: i64) -> Result<BTreeSet<String>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let found: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT cohort FROM chunk WHERE seal_id = $1")
                .bind(seal)
                .fetch_all(&self.reader)
                .await
                .map_err(StoreError::on("list cohorts"))?;
        Ok(found.into_iter().collect())
    }

    async fn places(&self, campaign: i64) -> Result<Vec<Place>, StoreError> {
        let seal = self.seal_of(campaign).await?;
        let rows: Vec<(String, i64, String, i64)> = sqlx::query_as(
            "SELECT cohort, wave, provider, SUM(queued + deferred - carried_queued - carried_deferred)
             FROM chunk
             WHERE seal_id = $1
             GROUP BY cohort, wave, provider
             ORDER BY wave, cohort, provider",
        )
        .bind(seal)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("count what is left to send"))?;
        let place = |(cohort, wave, provider, notices)| Place {
            cohort,
            wave: row::small(wave),
            provider,
            notices: row::uint(notices),
        };
        Ok(rows.into_iter().map(place).collect())
    }

    async fn gate_evidence(&self, campaign: i64) -> Result<Vec<GateEvidence>, StoreError> {
        let rows: Vec<(String, Vec<u8>, Vec<u8>, i64, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT gate, text_digest, evidence, operator_id, signature, passed_at
             FROM gate_evidence
             WHERE campaign_id = $1
             ORDER BY passed_at, gate",
        )
        .bind(campaign)
        .fetch_all(&self.reader)
        .await
        .map_err(StoreError::on("list gates' evidence"))?;
        rows.into_iter()
            .map(|(gate, digest, evidence, operator_id, signature, passed_at)| {
                Ok(GateEvidence {
                    text_digest: row::bytes(&digest, "gate_evidence", "text_digest", &gate[..])?,
                    signature: row::bytes(&signature, "gate_evidence", "signature", &gate[..])?,
                    gate,
                    evidence,
                    operator_id,
                    passed_at: row::instant(passed_at),
                })
            })
            .collect()
    }

    async fn pass_gate(
        &self,
        campaign: i64,
        evidence: GateEvidence,
        lines: Vec<String>,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let kept = sqlx::query(
            "INSERT INTO gate_evidence (campaign_id, gate, text_digest, evidence, operator_id,
                                        signature, passed_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT DO NOTHING",
        )
        .bind(campaign)
        .bind(&evidence.gate)
        .bind(&evidence.text_digest[..])
        .bind(&evidence.evidence)
        .bind(evidence.operator_id)
        .bind(&evidence.signature[..])
        .bind(row::micros(evidence.passed_at))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("keep a gate's evidence"))?
        .rows_affected();
        if kept == 1 {
            self.log(&mut write, &lines).await?;
        }
        self.commit(write).await?;
        Ok(kept == 1)
    }

    async fn canary_go(&self, campaign: i64) -> Result<Option<CanaryGo>, StoreError> {
        let found: Option<GoColumns> = sqlx::query_as(
            "SELECT told, bounced, deferred, complaints, operator_id, signature, gone_at
             FROM canary_go
             WHERE campaign_id = $1",
        )
        .bind(campaign)
        .fetch_optional(&self.reader)
        .await
        .map_err(StoreError::on("read the canary's go"))?;
        found
            .map(|go| {
                Ok(CanaryGo {
                    figures: CanaryFigures {
                        told: row::uint(go.told),
                        bounced: row::uint(go.bounced),
                        deferred: row::uint(go.deferred),
                        complaints: row::uint(go.complaints),
                    },
                    operator_id: go.operator_id,
                    signature: row::bytes(&go.signature, "canary_go", "signature", campaign)?,
                    gone_at: row::instant(go.gone_at),
                })
            })
            .transpose()
    }

    async fn go(
        &self,
        campaign: i64,
        go: CanaryGo,
        lines: Vec<String>,
    ) -> Result<bool, StoreError> {
        let mut write = self.write().await?;
        let kept = sqlx::query(
            "INSERT INTO canary_go (campaign_id, told, bounced, deferred, complaints, operator_id,
                                    signature, gone_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT DO NOTHING",
        )
        .bind(campaign)
        .bind(row::int(go.figures.told))
        .bind(row::int(go.figures.bounced))
        .bind(row::int(go.figures.deferred))
        .bind(row::int(go.figures.complaints))
        .bind(go.operator_id)
        .bind(&go.signature[..])
        .bind(row::micros(go.gone_at))
        .execute(write.conn())
        .await
        .map_err(StoreError::on("keep the canary's go"))?
        .rows_affected();
        if kept == 1 {
            self.log(&mut write, &lines).await?;
        }
        self.commit(write).await?;
        Ok(kept == 1)
    }

    async fn breaker(&self, campaign: i64) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar("SELECT attempts FROM breaker WHERE campaign_id = $1")
            .bind(campaign)
            .fetch_optional(&self.reader)
            .await
            .map_err(StoreError::on("read the breaker's window"))
    }
}
