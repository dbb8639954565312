//! Errands: mail that is no notice, such as a test of one. Has its own tables and its own sums.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::domain::delivery::Outcome;

/// What an errand is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrandKind {
    /// A notice sent to an operator to be looked at.
    TestSend,
}

impl ErrandKind {
    /// The word of the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::TestSend => "test-send",
        }
    }
}

/// An errand about to be run, with its first intent.
#[derive(Debug, Clone)]
pub struct NewErrand {
    /// The campaign it belongs to.
    pub campaign: i64,
    /// What it is for.
    pub kind: ErrandKind,
    /// Who asked for it.
    pub requested_by: String,
    /// The message's Date.
    pub dated_at: Timestamp,
    /// SHA-256 of the message.
    pub content: [u8; 32],
}

/// Errands, apart from every notice.
#[async_trait]
pub trait Errands {
    /// Commits an errand and its first intent; returns its id.
    async fn begin_errand(&self, errand: NewErrand) -> Result<i64, StoreError>;

    /// Records how its attempt `n` ended.
    async fn end_errand(&self, errand: i64, n: u32, outcome: &Outcome) -> Result<(), StoreError>;

    /// `kind/result` → errands of a campaign; `kind/open` for those without an outcome: nobody knows
    /// whether they left.
    async fn errand_totals(&self, campaign: i64) -> Result<BTreeMap<String, u64>, StoreError>;
}
