//! Reports: totals, listings and one person's story. Read only.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use super::deliveries::{DeliveryState, LaneRow};
use crate::domain::delivery::{AttemptKey, AttemptResult};
use crate::domain::reply::ReplyClass;
use crate::domain::totals::DeliveryTotals;

/// Which deliveries to list.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Class word.
    pub class: Option<String>,
    /// Reason word.
    pub reason: Option<String>,
    /// Only people of whom some attempt was ever in doubt.
    pub ever_in_doubt: bool,
}

/// A delivery for listings.
#[derive(Debug, Clone)]
pub struct DeliveryListing {
    /// The recipient's number.
    pub number: u64,
    /// Row salt.
    pub salt: [u8; 16],
    /// The canonical row under the campaign's key; `None` after a purge.
    pub body: Option<Vec<u8>>,
    /// Where it stands.
    pub state: DeliveryState,
    /// An intent without outcome is open.
    pub is_in_flight: bool,
    /// What its attempts came to, those at an earlier address too.
    pub reached: Reached,
    /// When it got this class; `None` while nothing happened.
    pub changed_at: Option<Timestamp>,
    /// How many sealed accounts are told at its address, this one included.
    pub at_address: u64,
    /// The recipient whose notice names this account too, as it is now.
    pub carrier: Option<u64>,
    /// The recipient of whom this row is a second address.
    pub copy_of: Option<u64>,
}

/// Whether a notice ever left for good, wherever the delivery stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// None did.
    No,
    /// One may have: its answer was lost, and nobody knows that it was not sent.
    Perhaps,
    /// One was accepted.
    Yes,
}

/// One attempt of a person's story.
#[derive(Debug, Clone)]
pub struct AttemptListing {
    /// Which attempt.
    pub key: AttemptKey,
    /// The message's Date.
    pub dated_at: Timestamp,
    /// SHA-256 of the message.
    pub content: [u8; 32],
    /// Relay identity.
    pub relay: String,
    /// How it ended; `None` = in flight.
    pub result: Option<AttemptResult>,
    /// The phase it ended in.
    pub phase: String,
    /// The peer's code.
    pub code: Option<u16>,
    /// The peer's enhanced status.
    pub enhanced: Option<String>,
    /// What its refusal was read as.
    pub class: Option<ReplyClass>,
    /// The peer's queue id.
    pub queue_id: Option<String>,
    /// The peer's words under the campaign's key.
    pub reply: Option<Vec<u8>>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How its doubt was settled: (result, by, reason, when).
    pub resolutions: Vec<(String, String, String, Timestamp)>,
}

/// Totals and listings.
#[async_trait]
pub trait Reports {
    /// The second line of promise 1 at one instant.
    async fn delivery_totals(&self, campaign: i64) -> Result<DeliveryTotals, StoreError>;

    /// `kind/class` → people, pending included, for the kinds given.
    async fn credential_totals(
        &self,
        campaign: i64,
        kinds: &[&str],
    ) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Deliveries after `after`, by number.
    async fn list_deliveries(
        &self,
        campaign: i64,
        filter: &DeliveryFilter,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<DeliveryListing>, StoreError>;

    /// One delivery.
    async fn delivery(
        &self,
        campaign: i64,
        number: u64,
    ) -> Result<Option<DeliveryListing>, StoreError>;

    /// Numbers sealed under an address or account digest.
    async fn find_numbers(&self, campaign: i64, digest: &[u8]) -> Result<Vec<u64>, StoreError>;

    /// The attempts of one person, in order.
    async fn attempts(&self, campaign: i64, number: u64)
    -> Result<Vec<AttemptListing>, StoreError>;

    /// All lanes that ever stood out, with their suspensions.
    async fn lanes(&self, campaign: i64) -> Result<Vec<LaneRow>, StoreError>;
}
