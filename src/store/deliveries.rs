//! Deliveries: leases on chunks, intents, outcomes, and the moves between classes.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use super::amendments::AmendmentRow;
use super::tokens::{NewToken, StoredToken};
use crate::domain::delivery::{AttemptKey, DeliveryClass, Outcome};

/// A lane: what is paced and suspended as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lane {
    /// Wave number.
    pub wave: u32,
    /// Mailbox provider.
    pub provider: String,
    /// Send window; empty = always.
    pub window: String,
}

/// How a lane stands.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneRow {
    /// Which lane.
    pub lane: Lane,
    /// Suspended since and until, and why.
    pub suspended: Option<Suspension>,
    /// Slowed until when and to which pace; it may be over by now.
    pub slowed: Option<Slowing>,
    /// Microseconds its retry windows have stood still in earlier suspensions.
    pub stood_still: i64,
}

/// A suspension for the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// Since when.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The peer's code and status, without its words.
    pub cause: String,
}

/// A slower pace for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct Slowing {
    /// Until when.
    pub until: Timestamp,
    /// Messages a second.
    pub per_second: f64,
    /// The rule, or the share of refusals that asked for less.
    pub cause: String,
}

/// Who claims, for how long.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// Worker id.
    pub worker: String,
    /// This database's incarnation.
    pub incarnation: u64,
    /// Now.
    pub now: Timestamp,
    /// Until when the lease holds unless renewed.
    pub until: Timestamp,
}

/// A leased chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Chunk number.
    pub chunk: u64,
    /// Fencing number of this lease.
    pub epoch: u64,
    /// Its sealed root.
    pub root: [u8; 32],
    /// Its lane.
    pub lane: Lane,
}

/// A recipient of a leased chunk with all that a worker must know.
#[derive(Debug, Clone)]
pub struct LoadedRow {
    /// Its number.
    pub number: u64,
    /// Row salt.
    pub salt: [u8; 16],
    /// Its sealed leaf.
    pub leaf: [u8; 32],
    /// The canonical row under the campaign's key.
    pub body: Vec<u8>,
    /// Its class and where it stands.
    pub state: DeliveryState,
    /// Largest n used so far in this generation.
    pub last_n: u32,
    /// Date and content digest of the attempt whose fate was in doubt, if one was.
    pub repeats: Option<(Timestamp, [u8; 32])>,
    /// `kind` word → `class` word of its credentials.
    pub credentials: BTreeMap<String, String>,
    /// The token of this generation, once one was issued.
    pub token: Option<StoredToken>,
    /// How many sealed accounts use this address, this one included.
    pub at_address: u64,
    /// The credentials, as above, of each account this row's notice stands for besides its own.
    pub carried: Vec<BTreeMap<String, String>>,
    /// The recipient whose notice names this account too: nothing is sent to this row.
    pub carrier: Option<u64>,
    /// The recipient of whom this row is a second address.
    pub copy_of: Option<u64>,
    /// Its amendments in their order.
    pub amendments: Vec<AmendmentRow>,
}

/// A delivery row, or what its absence implies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryState {
    /// Its class.
    pub class: DeliveryClass,
    /// Its generation.
    pub generation: u32,
    /// Outcomes of this generation in doubt so far.
    pub doubts: u32,
    /// Attempts that reached the wire.
    pub attempts: u32,
    /// When the first of them began, moved on by every wait for the sender's own fault: the start of
    /// the retry window.
    pub first_attempt_at: Option<Timestamp>,
    /// When the next is due.
    pub due_at: Option<Timestamp>,
}

impl Default for DeliveryState {
    fn default() -> Self {
        Self {
            class: DeliveryClass::Queued,
            generation: 1,
            doubts: 0,
            attempts: 0,
            first_attempt_at: None,
            due_at: None,
        }
    }
}

/// An intent to be committed before its transaction starts.
#[derive(Debug, Clone)]
pub struct NewIntent {
    /// Which attempt.
    pub key: AttemptKey,
    /// The message's Date.
    pub dated_at: Timestamp,
    /// SHA-256 of the message.
    pub content: [u8; 32],
    /// The class the row keeps meanwhile: queued or deferred.
    pub from: DeliveryClass,
    /// Epoch of the lease.
    pub epoch: u64,
    /// Journal segment at the moment.
    pub segment: u64,
    /// Relay identity.
    pub relay: String,
    /// The token its message carries, if it carries one: committed with the intent.
    pub token: Option<NewToken>,
    /// How many amendments the row had when it was loaded: one more, and nothing starts.
    pub amendments: u32,
    /// How many accounts it stood for besides its own: one less, and nothing starts either.
    pub carried: u32,
}

/// A change of one recipient's class, guarded by the class it leaves.
#[derive(Debug, Clone)]
pub struct Move {
    /// The recipient's number.
    pub number: u64,
    /// The class it must have now.
    pub from: DeliveryClass,
    /// The class it gets.
    pub to: DeliveryClass,
    /// The rest of the row afterwards.
    pub state: DeliveryState,
    /// The ledger line of this change.
    pub line: String,
}

/// An outcome with the move it causes; no move where the row keeps its class (not started).
#[derive(Debug, Clone)]
pub struct Ended {
    /// Which attempt.
    pub key: AttemptKey,
    /// How it ended.
    pub outcome: Outcome,
    /// The class it left when it went in flight.
    pub from: DeliveryClass,
    /// Epoch of the lease it ran under.
    pub epoch: u64,
    /// What it means for the row.
    pub change: Option<Move>,
}

/// The end of a doubt.
#[derive(Debug, Clone)]
pub struct Resolution {
    /// The outcome it settles.
    pub key: AttemptKey,
    /// `accepted`, `not-sent`, `waived`, `re-sent`.
    pub result: &'static str,
    /// `policy`, or the operator's name.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The operator's signature.
    pub signature: Option<[u8; 64]>,
    /// When.
    pub at: Timestamp,
}

/// What a recorder commits at once.
#[derive(Debug, Clone, Default)]
pub struct Flush {
    /// Outcomes of ended attempts.
    pub ended: Vec<Ended>,
    /// Intents about to start.
    pub intents: Vec<NewIntent>,
    /// By provider, how many attempts begin with this, less those that did not start after all: what
    /// day quotas count.
    pub begun: BTreeMap<String, i64>,
    /// The breaker's window once these outcomes are in it; none where it did not change.
    pub breaker: Option<Vec<u8>>,
}

/// What became of a flush.
#[derive(Debug, Clone, Default)]
pub struct Flushed {
    /// Intents that were refused: fenced off, or the number was used. Nothing may be sent for them.
    pub refused: Vec<AttemptKey>,
    /// Outcomes that came too late and were kept as evidence only.
    pub late: Vec<AttemptKey>,
}

/// An intent without outcome.
#[derive(Debug, Clone)]
pub struct Unpaired {
    /// Which attempt.
    pub key: AttemptKey,
    /// The message's Date: about when it began.
    pub dated_at: Timestamp,
    /// The class the row kept.
    pub from: DeliveryClass,
    /// Epoch of the lease it ran under.
    pub epoch: u64,
    /// Worker that ran it.
    pub worker: String,
    /// Journal segment when it was committed.
    pub segment: u64,
    /// Its lane.
    pub lane: Lane,
    /// The delivery row.
    pub state: DeliveryState,
    /// Row salt.
    pub salt: [u8; 16],
    /// The canonical row under the campaign's key.
    pub body: Vec<u8>,
}

/// A recipient in doubt whose re-send is due.
#[derive(Debug, Clone)]
pub struct DueDoubt {
    /// The attempt whose outcome is in doubt.
    pub key: AttemptKey,
    /// Its message's Date.
    pub dated_at: Timestamp,
    /// Whether a token of this generation was issued.
    pub has_token: bool,
    /// The delivery row.
    pub state: DeliveryState,
    /// Row salt.
    pub salt: [u8; 16],
    /// The canonical row under the campaign's key.
    pub body: Vec<u8>,
}

/// Deliveries of a campaign.
#[async_trait]
pub trait Deliveries {
    /// Notes a worker that starts.
    async fn start_worker(
        &self,
        worker: &str,
        incarnation: u64,
        boot_id: &str,
        host: &str,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Notes that a worker stopped in good order.
    async fn stop_worker(&self, worker: &str, at: Timestamp) -> Result<(), StoreError>;

    /// Lanes of open waves that have something to send now, with how they stand, by deadline.
    async fn runnable_lanes(
        &self,
        campaign: i64,
        now: Timestamp,
    ) -> Result<Vec<LaneRow>, StoreError>;

    /// Claims up to `limit` chunks of a lane of an open wave that have something to do now.
    async fn claim(
        &self,
        campaign: i64,
        lane: &Lane,
        claimant: &Claimant,
        limit: u32,
    ) -> Result<Vec<Lease>, StoreError>;

    /// The people of a leased chunk, whatever their class (their leaves are re-hashed by the caller).
    async fn load(&self, campaign: i64, lease: &Lease) -> Result<Vec<LoadedRow>, StoreError>;

    /// One recipient as [`load`](Self::load) gives them, without any lease: to be looked at, not sent.
    async fn load_row(&self, campaign: i64, number: u64) -> Result<Option<LoadedRow>, StoreError>;

    /// Renews all leases of a worker in one statement; tells how many there are.
    async fn renew(&self, claimant: &Claimant) -> Result<u64, StoreError>;

    /// Gives a chunk back; it is claimable from `due_at` on.
    async fn release(
        &self,
        campaign: i64,
        lease: &Lease,
        worker: &str,
        due_at: Option<Timestamp>,
    ) -> Result<(), StoreError>;

    /// Commits outcomes and intents together (outcomes first).
    async fn flush(
        &self,
        campaign: i64,
        claimant: &Claimant,
        flush: Flush,
    ) -> Result<Flushed, StoreError>;

    /// Intents without outcome in chunks that a dead worker still owns.
    async fn unpaired(&self, campaign: i64) -> Result<Vec<Unpaired>, StoreError>;

    /// Takes every leased chunk from its dead owner (epoch + 1) and records what became of its
    /// intents, in one transaction (rule R1).
    async fn rescue(&self, campaign: i64, ended: Vec<Ended>) -> Result<u64, StoreError>;

    /// People whose automatic re-send is due.
    async fn due_doubts(
        &self,
        campaign: i64,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<DueDoubt>, StoreError>;

    /// Applies moves without attempts, with the resolutions that caused them, and revokes the tokens
    /// of generations a move leaves behind; returns the numbers that really changed.
    async fn apply(
        &self,
        campaign: i64,
        moves: Vec<Move>,
        resolutions: Vec<Resolution>,
    ) -> Result<Vec<u64>, StoreError>;

    /// Takes a row out of its group before its address is changed: a carrier hands its notice over to the
    /// lowest number of its group that is still to be told, a carried row is told by itself from now on.
    /// Gives back who carries instead, where somebody has to.
    async fn hand_over(&self, campaign: i64, number: u64) -> Result<Option<u64>, StoreError>;

    /// When the next released chunk or due doubt can run.
    async fn next_due(&self, campaign: i64) -> Result<Option<Timestamp>, StoreError>;

    /// Suspends a lane's provider, in every wave: an earlier suspension is prolonged, never shortened.
    /// Tells whether the lane was running before.
    async fn suspend_lane(
        &self,
        campaign: i64,
        lane: &Lane,
        suspension: &Suspension,
        lines: Vec<String>,
    ) -> Result<bool, StoreError>;

    /// Slows a lane; the latest slowing counts, with its pace and its end.
    async fn slow_lane(
        &self,
        campaign: i64,
        lane: &Lane,
        slowing: &Slowing,
        lines: Vec<String>,
    ) -> Result<(), StoreError>;

    /// Ends suspensions that are over; returns those lanes.
    async fn resume_lanes(&self, campaign: i64, now: Timestamp) -> Result<Vec<Lane>, StoreError>;
}
