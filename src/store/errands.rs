//! Errands: mail that is no notice, such as a code, a confirmation or a test. Has its own tables and its
//! own sums.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use super::codes::Answer;
use crate::domain::delivery::Outcome;

/// What an errand is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrandKind {
    /// A notice sent to an operator to be looked at.
    TestSend,
    /// What somebody who asked for a code is written.
    Code,
    /// Word that a password was set.
    Confirmation,
}

impl ErrandKind {
    /// The word of the table.
    pub fn word(self) -> &'static str {
        match self {
            Self::TestSend => "test-send",
            Self::Code => "code",
            Self::Confirmation => "confirmation",
        }
    }

    /// Reads the word back, of those kinds that wait for a mail.
    pub fn parse_waiting(word: &str) -> Option<Self> {
        [Self::Code, Self::Confirmation].into_iter().find(|kind| kind.word() == word)
    }
}

/// An errand taken to be run.
#[derive(Clone)]
pub struct TakenErrand {
    /// Row id.
    pub id: i64,
    /// The campaign it belongs to.
    pub campaign: i64,
    /// What it is for.
    pub kind: ErrandKind,
    /// Whom it goes to.
    pub number: u64,
    /// The request it answers, with the answer and, for a code, the salt.
    pub request: Option<(i64, Answer, Option<[u8; 32]>)>,
    /// The language it is written in.
    pub locale: String,
    /// Attempts so far.
    pub attempts: u32,
    /// Of those, the ones that may have arrived.
    pub doubts: u32,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// After this it is worth nothing.
    pub expires_at: Option<Timestamp>,
}

/// What becomes of an errand after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrandNext {
    /// It is over.
    Ended,
    /// It is tried again.
    Again {
        /// When.
        due_at: Timestamp,
        /// The attempt may have arrived.
        in_doubt: bool,
    },
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

    /// Takes errands that are due for this life of the portal, oldest first.
    async fn take_errands(&self, life: &str, limit: u32) -> Result<Vec<TakenErrand>, StoreError>;

    /// Commits an attempt's intent; returns its n.
    async fn begin_attempt(
        &self,
        errand: i64,
        dated_at: Timestamp,
        content: &[u8; 32],
    ) -> Result<u32, StoreError>;

    /// Records how attempt `n` ended, where there was one, and what becomes of the errand.
    async fn end_attempt(
        &self,
        errand: i64,
        outcome: Option<(u32, Outcome)>,
        next: ErrandNext,
    ) -> Result<(), StoreError>;

    /// Gives back what earlier lives took and never ended. One whose attempt may have arrived is sent once
    /// more, no oftener. Returns how many go out again.
    async fn rescue_errands(&self, life: &str) -> Result<u64, StoreError>;

    /// `kind/result` → errands of a campaign; `kind/open` for those without an outcome: nobody knows
    /// whether they left; `kind/queued` for those that wait.
    async fn errand_totals(&self, campaign: i64) -> Result<BTreeMap<String, u64>, StoreError>;
}
