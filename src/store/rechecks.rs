//! Re-checks: what was expired is read again until the campaign is closed.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::domain::credential::CredentialKind;

/// What a re-check found so far. `checked` = fine + regressed + reset elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecheckCounts {
    /// Credentials read.
    pub checked: u64,
    /// Still our own value, or gone.
    pub fine: u64,
    /// Values that had come back, or changed without evidence, or sessions that had.
    pub regressed: u64,
    /// Those of them that are expired again.
    pub mended: u64,
    /// Set anew elsewhere, with evidence.
    pub reset_elsewhere: u64,
    /// Of the regressed, those of whom only sessions had come back.
    pub sessions: u64,
}

impl RecheckCounts {
    /// Adds another part's counts.
    pub fn add(&mut self, more: Self) {
        self.checked += more.checked;
        self.fine += more.fine;
        self.regressed += more.regressed;
        self.mended += more.mended;
        self.reset_elsewhere += more.reset_elsewhere;
        self.sessions += more.sessions;
    }
}

/// A re-check as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecheckRow {
    /// Its row.
    pub id: i64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it had read everything; `None` = it goes on, or was left behind.
    pub ended_at: Option<Timestamp>,
    /// The kind it reads; `None` before its first part.
    pub kind: Option<CredentialKind>,
    /// It goes on behind this number.
    pub after: u64,
    /// What it found so far.
    pub counts: RecheckCounts,
}

/// Re-checks of a campaign.
#[async_trait]
pub trait Rechecks {
    /// The newest re-check.
    async fn last_recheck(&self, campaign: i64) -> Result<Option<RecheckRow>, StoreError>;

    /// Begins one and returns its row.
    async fn begin_recheck(&self, campaign: i64) -> Result<i64, StoreError>;

    /// Stores how far it is, and what it found in all.
    async fn recheck_went_on(
        &self,
        id: i64,
        kind: CredentialKind,
        after: u64,
        counts: RecheckCounts,
    ) -> Result<(), StoreError>;

    /// Ends it, with its ledger line.
    async fn end_recheck(&self, id: i64, lines: Vec<String>) -> Result<(), StoreError>;
}
