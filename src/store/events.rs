//! Resets of which the company is told: written with the reset itself, told until they are taken.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use super::StoreError;

/// An event about to be written, in the transaction that makes it true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What the company knows it by.
    pub event: String,
    /// What proved the person: `code` or `link`.
    pub proof: &'static str,
}

/// An event on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenEvent {
    /// Row id.
    pub id: i64,
    /// What the company knows it by.
    pub event: String,
    /// The recipient's number.
    pub number: u64,
    /// What proved them.
    pub proof: String,
    /// When the password was set.
    pub happened_at: Timestamp,
    /// How often it was tried, this time included.
    pub attempts: u32,
}

/// Events that the company's endpoint has not taken yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingEvents {
    /// How many.
    pub waiting: u64,
    /// When the oldest of them happened.
    pub since: String,
}

/// Events of resets.
#[async_trait]
pub trait Events {
    /// Takes a campaign's events that are due, oldest first, and makes them due again later: whoever dies with
    /// one on its way tells it once more.
    async fn take_events(
        &self,
        campaign: i64,
        limit: u32,
        again_at: Timestamp,
    ) -> Result<Vec<TakenEvent>, StoreError>;

    /// Notes events that were taken, and when the others are due again.
    async fn end_events(
        &self,
        told: Vec<i64>,
        put_off: Vec<(i64, Timestamp)>,
    ) -> Result<(), StoreError>;

    /// A campaign's events that still wait; nothing where none does.
    async fn waiting_events(&self, campaign: i64) -> Result<Option<WaitingEvents>, StoreError>;

    /// Forgets events that were taken before then, so many at most; how many.
    async fn forget_events(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
