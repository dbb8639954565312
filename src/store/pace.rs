//! Pace: what operators set at run time, and how many notices went out today.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;

use super::StoreError;
use super::deliveries::Lane;
use crate::domain::pace::PaceSetting;

/// One scope's pace as it was set.
#[derive(Debug, Clone, PartialEq)]
pub struct PaceRow {
    /// A provider's name; empty = over all.
    pub scope: String,
    /// The pace.
    pub setting: PaceSetting,
    /// Who set it.
    pub set_by: String,
    /// When.
    pub set_at: Timestamp,
}

/// Paces of a campaign, and the days' counts of the whole database: a quota is the relay's and the
/// provider's, whoever sends.
#[async_trait]
pub trait Paces {
    /// What is set, by scope.
    async fn paces(&self, campaign: i64) -> Result<Vec<PaceRow>, StoreError>;

    /// Sets one scope's pace, in place of what was set before.
    async fn set_pace(
        &self,
        campaign: i64,
        row: PaceRow,
        lines: Vec<String>,
    ) -> Result<(), StoreError>;

    /// Takes back what was set for a scope, or for every one (`None`); tells how many there were.
    async fn reset_pace(
        &self,
        campaign: i64,
        scope: Option<&str>,
        lines: Vec<String>,
    ) -> Result<u64, StoreError>;

    /// How many notices were begun on that day (UTC), by provider; the empty name is all of them.
    async fn used_on(&self, day: Date) -> Result<BTreeMap<String, u64>, StoreError>;

    /// The latest day that anything was counted for: later than today where the clock was set back.
    async fn counted_day(&self) -> Result<Option<Date>, StoreError>;

    /// Ends a provider's suspensions before their time; their retry windows have stood still until
    /// `now`. Returns the lanes that were suspended.
    async fn end_suspensions(
        &self,
        campaign: i64,
        provider: &str,
        now: Timestamp,
        lines: Vec<String>,
    ) -> Result<Vec<Lane>, StoreError>;

    /// The lanes of a provider that have people.
    async fn lanes_of(&self, campaign: i64, provider: &str) -> Result<Vec<Lane>, StoreError>;
}
