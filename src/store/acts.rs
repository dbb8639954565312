//! Acts upon a whole campaign: letting a live track loose, cancelling, closing.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use super::campaigns::NoticeMove;
use super::deliveries::Move;
use crate::domain::delivery::AttemptKey;
use crate::domain::track::Track;

/// A live track that was let loose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaunchRow {
    /// Which track.
    pub track: Track,
    /// The head count that was typed.
    pub head_count: u64,
    /// Who typed it.
    pub launched_by: String,
    /// When.
    pub launched_at: Timestamp,
}

/// What kind of act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActKind {
    /// Nobody more is told.
    Cancel,
    /// Nothing is left to do.
    Close,
}

impl ActKind {
    /// The word kept in the table and signed.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Close => "close",
        }
    }
}

/// An act to be recorded with the move it causes.
#[derive(Debug, Clone)]
pub struct NewAct {
    /// What kind.
    pub kind: ActKind,
    /// Who signed.
    pub operator_id: i64,
    /// Why, in the operator's words.
    pub reason: String,
    /// The exact bytes signed.
    pub statement: Vec<u8>,
    /// Ed25519.
    pub signature: [u8; 64],
    /// When.
    pub at: Timestamp,
}

/// An attempt whose fate is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubtful {
    /// Which attempt; of another recipient where their notice named the person.
    pub key: AttemptKey,
    /// The message's Date.
    pub dated_at: Timestamp,
    /// A journal told of it after the database had lost it.
    pub is_recovered: bool,
}

/// Acts of campaigns.
#[async_trait]
pub trait Acts {
    /// Notes that a track was let loose; a track that was before stays as it was noted.
    async fn launch(
        &self,
        campaign: i64,
        row: LaunchRow,
        lines: Vec<String>,
    ) -> Result<(), StoreError>;

    /// The tracks that were let loose.
    async fn launches(&self, campaign: i64) -> Result<Vec<LaunchRow>, StoreError>;

    /// Records an act and moves the notice track with it, in one transaction; closing revokes every
    /// token of the campaign. Tells whether the track stood where it could move.
    async fn act(
        &self,
        campaign: i64,
        act: NewAct,
        change: NoticeMove,
        lines: Vec<String>,
    ) -> Result<bool, StoreError>;

    /// Applies moves of people none of whose attempts is open; returns how many really changed. An
    /// attempt on its way ends as it ends, and its person is left to it.
    async fn apply_to_idle(&self, campaign: i64, moves: Vec<Move>) -> Result<u64, StoreError>;

    /// The attempts about a person whose fate is unknown: their own first, the newest first.
    async fn doubts_about(&self, campaign: i64, number: u64) -> Result<Vec<Doubtful>, StoreError>;

    /// Chunks of this campaign that a worker holds.
    async fn leased_chunks(&self, campaign: i64) -> Result<u64, StoreError>;

    /// People of whom a credential was expired and who were told nothing: neither told nor in doubt.
    async fn secured_untold(&self, campaign: i64) -> Result<u64, StoreError>;
}
