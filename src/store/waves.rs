//! Waves: how far each has come, what its gates were shown, the canary's go, the breaker's window.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::domain::totals::DeliveryTotals;

/// A wave as the notice approval made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveRow {
    /// Its place, from 1.
    pub number: u32,
    /// What it is called.
    pub name: String,
    /// The canary.
    pub is_canary: bool,
    /// Its own deadline, else the campaign's.
    pub deadline: Option<Timestamp>,
    /// When it opened.
    pub opened_at: Option<Timestamp>,
    /// When the first transaction of one of its people had ended.
    pub first_permit_at: Option<Timestamp>,
}

/// Where the people of a wave stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaveSums {
    /// Its people.
    pub people: DeliveryTotals,
    /// The second addresses of some of them.
    pub copies: DeliveryTotals,
    /// Its people who are queued until another's notice names them.
    pub carried_queued: u64,
    /// The same of those deferred.
    pub carried_deferred: u64,
}

impl WaveSums {
    /// Notices the machine will still move.
    pub fn machine_open(&self) -> u64 {
        self.people.machine_open() + self.copies.machine_open()
    }

    /// Notices that are queued or on their way; who is carried has none of their own.
    pub fn going(&self) -> u64 {
        let of = |totals: &DeliveryTotals| totals.queued + totals.in_flight;
        (of(&self.people) + of(&self.copies)).saturating_sub(self.carried_queued)
    }

    /// Its people who wait for another's notice, which may be of a later wave.
    pub fn carried(&self) -> u64 {
        self.carried_queued + self.carried_deferred
    }
}

/// Notices still to be sent to the people of a cohort at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Their cohort.
    pub cohort: String,
    /// Their wave, once the notice is approved.
    pub wave: u32,
    /// Their provider.
    pub provider: String,
    /// How many are queued, in flight or deferred.
    pub notices: u64,
}

/// Evidence given for a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateEvidence {
    /// The gate's name.
    pub gate: String,
    /// SHA-256 of the gate's words.
    pub text_digest: [u8; 32],
    /// The operator's words under the campaign's key.
    pub evidence: Vec<u8>,
    /// Who gave it.
    pub operator_id: i64,
    /// Their signature.
    pub signature: [u8; 64],
    /// When.
    pub passed_at: Timestamp,
}

/// How a canary went, in people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct CanaryFigures {
    /// Told.
    pub told: u64,
    /// At addresses that do not exist.
    pub bounced: u64,
    /// To be tried again.
    pub deferred: u64,
    /// Who complained.
    pub complaints: u64,
}

/// An operator's go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CanaryGo {
    /// What the operator saw.
    pub figures: CanaryFigures,
    /// Who.
    pub operator_id: i64,
    /// Their signature.
    pub signature: [u8; 64],
    /// When.
    pub gone_at: Timestamp,
}

/// Waves of a campaign.
#[async_trait]
pub trait Waves {
    /// Its waves in order; none before the notice is approved.
    async fn waves(&self, campaign: i64) -> Result<Vec<WaveRow>, StoreError>;

    /// Opens a wave; tells whether it was closed.
    async fn open_wave(
        &self,
        campaign: i64,
        number: u32,
        at: Timestamp,
        lines: Vec<String>,
    ) -> Result<bool, StoreError>;

    /// Where the people of each wave stand, all at one instant.
    async fn wave_sums(
        &self,
        campaign: i64,
    ) -> Result<std::collections::BTreeMap<u32, WaveSums>, StoreError>;

    /// Whether a lane of the wave that is not suspended has people queued or in flight.
    async fn is_going(&self, campaign: i64, wave: u32, now: Timestamp) -> Result<bool, StoreError>;

    /// The cohorts that were sealed.
    async fn cohorts(&self, campaign: i64) -> Result<BTreeSet<String>, StoreError>;

    /// Notices still to be sent, by cohort, wave and provider, from the chunks alone.
    async fn places(&self, campaign: i64) -> Result<Vec<Place>, StoreError>;

    /// Everything that gates were shown.
    async fn gate_evidence(&self, campaign: i64) -> Result<Vec<GateEvidence>, StoreError>;

    /// Keeps evidence; tells whether the gate had none for these words.
    async fn pass_gate(
        &self,
        campaign: i64,
        evidence: GateEvidence,
        lines: Vec<String>,
    ) -> Result<bool, StoreError>;

    /// The canary's go.
    async fn canary_go(&self, campaign: i64) -> Result<Option<CanaryGo>, StoreError>;

    /// Keeps the canary's go; tells whether there was none.
    async fn go(&self, campaign: i64, go: CanaryGo, lines: Vec<String>)
    -> Result<bool, StoreError>;

    /// The breaker's window as the recorder left it; none since a paused track went on.
    async fn breaker(&self, campaign: i64) -> Result<Option<Vec<u8>>, StoreError>;
}
