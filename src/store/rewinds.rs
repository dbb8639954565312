//! Rewinds: the lives of workers, what journals tell of a restored database's lost attempts, and the new
//! incarnation that ends it. Also the gate that keeps a rewound database from being written to.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::deliveries::{DeliveryState, Lane, Move, Resolution};
use super::{LedgerMark, StoreError};
use crate::domain::delivery::{AttemptKey, AttemptResult, DeliveryClass, Outcome};

/// The newest life this database knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifeRow {
    /// Its place among all lives, from 1.
    pub ordinal: u64,
    /// The worker's id.
    pub worker: String,
    /// It came to a clean end.
    pub has_stopped: bool,
}

/// The lives of workers up to an instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LivesUntil {
    /// The newest life that had begun; 0 before the first.
    pub newest: u64,
    /// It had come to a clean end as well.
    pub has_stopped: bool,
}

/// How an intent came into the database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AttemptOrigin {
    /// Committed before its attempt.
    #[default]
    Own,
    /// A wire journal told of it.
    Journal,
    /// Nobody knows whether there was one.
    Rewind,
}

impl AttemptOrigin {
    /// The word of the column.
    pub fn word(self) -> &'static str {
        match self {
            Self::Own => "",
            Self::Journal => "journal",
            Self::Rewind => "rewind",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Own, Self::Journal, Self::Rewind].into_iter().find(|one| one.word() == word)
    }
}

/// An attempt that the database knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAttempt {
    /// Which.
    pub key: AttemptKey,
    /// Who made it; empty where nobody knows whether it was made.
    pub worker: String,
    /// How it came here.
    pub origin: AttemptOrigin,
    /// How it ended; none while it is in flight.
    pub result: Option<AttemptResult>,
    /// How a doubt about it was settled, each way once.
    pub settled: Vec<String>,
}

/// A recipient as a recovery must know them.
#[derive(Debug, Clone)]
pub struct RecoveringRow {
    /// Its number.
    pub number: u64,
    /// Row salt.
    pub salt: [u8; 16],
    /// The canonical row under the campaign's key.
    pub body: Vec<u8>,
    /// Its lane.
    pub lane: Lane,
    /// The delivery row.
    pub state: DeliveryState,
    /// Generations with a token whose salt is known.
    pub token_generations: Vec<u32>,
    /// Its attempts, oldest first.
    pub known: Vec<KnownAttempt>,
}

/// An attempt to be recorded after the fact, with its outcome.
#[derive(Debug, Clone)]
pub struct FoundAttempt {
    /// Which.
    pub key: AttemptKey,
    /// The message's Date.
    pub dated_at: Timestamp,
    /// SHA-256 of the message; zeros where it is not known.
    pub content: [u8; 32],
    /// The class the row left: queued or deferred.
    pub from: DeliveryClass,
    /// The worker that made it; empty where nobody knows.
    pub worker: String,
    /// The incarnation it ran under.
    pub incarnation: u64,
    /// The journal's segment.
    pub segment: u64,
    /// How it came to be known.
    pub origin: AttemptOrigin,
    /// How it ended.
    pub outcome: Outcome,
}

/// What is recorded in one transaction of a recovery.
#[derive(Debug, Clone, Default)]
pub struct RecoveryPage {
    /// Attempts in the order they were made.
    pub attempts: Vec<FoundAttempt>,
    /// The class each person comes to by them, one move a person.
    pub moves: Vec<Move>,
    /// Doubts that are settled by them.
    pub resolutions: Vec<Resolution>,
    /// By provider, how many of the attempts began today: the quotas of the day count them.
    pub begun_today: BTreeMap<String, i64>,
    /// Ledger lines besides those of the moves.
    pub lines: Vec<String>,
}

/// The act that ends a rewind.
#[derive(Debug, Clone)]
pub struct NewIncarnation {
    /// Its number.
    pub number: u64,
    /// Why, in words.
    pub cause: String,
    /// Who signed.
    pub operator_id: i64,
    /// The exact bytes signed.
    pub statement: Vec<u8>,
    /// Ed25519.
    pub signature: [u8; 64],
    /// The newest life the database knew before.
    pub after_life: u64,
    /// Whether the journals proved everything.
    pub is_proved: bool,
    /// When.
    pub at: Timestamp,
}

/// What a rewound database needs.
#[async_trait]
pub trait Rewinds {
    /// From here on every write is refused; reads go on.
    fn close_gate(&self);

    /// Lets writes in again: for whoever recovers, and holds the worker's lock.
    fn open_gate(&self);

    /// Notes a worker's life before its first intent.
    async fn note_life(&self, ordinal: u64, worker: &str) -> Result<(), StoreError>;

    /// The newest life this database knows; none before the first.
    async fn last_life(&self) -> Result<Option<LifeRow>, StoreError>;

    /// When a ledger batch was written; none where there is no such batch.
    async fn batch_written_at(&self, batch: i64) -> Result<Option<Timestamp>, StoreError>;

    /// The newest life that had begun by then, and whether it had ended too.
    async fn lives_until(&self, at: Timestamp) -> Result<LivesUntil, StoreError>;

    /// The recipients with these numbers; numbers that are nobody's are left out.
    async fn recovering(
        &self,
        campaign: i64,
        numbers: &[u64],
    ) -> Result<Vec<RecoveringRow>, StoreError>;

    /// Numbers after `after` of people the machine may send to by itself, in order: queued, deferred, in
    /// doubt (due), held for their credential. Who follows a carrier moves with them and is left out.
    async fn sendable(&self, campaign: i64, after: u64, limit: u32)
    -> Result<Vec<u64>, StoreError>;

    /// Records a page of a recovery; what is recorded already stays as it is. Tells how many people moved.
    async fn record(&self, campaign: i64, page: RecoveryPage) -> Result<u64, StoreError>;

    /// People of whom a journal proves that the same notice reached them twice.
    async fn second_copies(&self, campaign: i64) -> Result<u64, StoreError>;

    /// Draws a new incarnation: the last act of a recovery.
    async fn draw_incarnation(
        &self,
        new: NewIncarnation,
        lines: Vec<String>,
    ) -> Result<LedgerMark, StoreError>;
}
