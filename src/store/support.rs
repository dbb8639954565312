//! What support looks up: kept, and counted a shift.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;

/// One look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookUp {
    /// Who looked.
    pub by: String,
    /// What was typed: `reference`, `account`, `address` or `number`; never the text.
    pub meant: &'static str,
    /// Whom it found: campaign and recipient's number; nobody where nobody was found.
    pub whom: Option<(i64, u64)>,
    /// `find`, `text` for the words of a notice, or `renotice` for a fresh copy of it.
    pub what: &'static str,
}

/// Look-ups by support.
#[async_trait]
pub trait Support {
    /// How many look-ups somebody made since then; one that found several people counts once for each.
    async fn look_ups(&self, by: &str, since: Timestamp) -> Result<u64, StoreError>;

    /// Keeps look-ups.
    async fn log_look_ups(&self, look_ups: Vec<LookUp>) -> Result<(), StoreError>;

    /// The blocks of numbers of a campaign's people, first and last of each, in order.
    async fn blocks(&self, campaign: i64) -> Result<Vec<(u64, u64)>, StoreError>;

    /// The wave a person is told in.
    async fn wave_of(&self, campaign: i64, number: u64) -> Result<Option<u32>, StoreError>;
}
