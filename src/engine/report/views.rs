//! The shapes that reports have: what the CLI prints and `--json` gives.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::totals::{DeliveryTotals, SourceTotals};
use crate::engine::amend::{AmendmentSum, AmendmentView};
use crate::engine::breaker::BreakerView;
use crate::engine::forecast::Forecast;
use crate::engine::gates::GateView;
use crate::engine::waves::WaveView;
use crate::store::events::WaitingEvents;
use crate::store::tokens::TokenTotals;

/// Where a campaign stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// How the database differs from the one this host saw last; absent where it is the same. While it
    /// differs nothing below is known to be true.
    pub rewound: Option<String>,
    /// The newest ledger batch: what a backup made now holds at least.
    pub ledger_batch: i64,
    /// People who certainly got the same notice twice, as a journal found later proves.
    pub second_copies: u64,
    /// `rehearsal` or `live`.
    pub environment: &'static str,
    /// State of the containment track.
    pub containment: &'static str,
    /// Why containment is paused.
    pub containment_cause: Option<&'static str>,
    /// In words.
    pub containment_note: Option<String>,
    /// The last re-check of what was expired.
    pub recheck: Option<RecheckView>,
    /// The last re-check is older than a day, and the campaign is not closed.
    pub recheck_overdue: bool,
    /// State of the notice track.
    pub notice: &'static str,
    /// Why it is paused.
    pub pause_cause: Option<&'static str>,
    /// In words.
    pub pause_note: Option<String>,
    /// First line of promise 1.
    pub source: SourceTotals,
    /// Rows left out before it, by the step that left them out.
    pub excluded: BTreeMap<String, u64>,
    /// When people were frozen.
    pub sealed_at: Option<String>,
    /// Names replaced by the neutral salutation.
    pub names_refused: u64,
    /// `kind/class` → accounts.
    pub credentials: BTreeMap<String, u64>,
    /// Second line of promise 1.
    pub deliveries: DeliveryTotals,
    /// Amendments by kind; empty where there are none.
    pub amendments: BTreeMap<&'static str, AmendmentSum>,
    /// Personal links; absent where none was issued, and while watching.
    pub tokens: Option<TokenTotals>,
    /// Events of resets that the company's endpoint has not taken yet; absent where none waits, and while
    /// watching.
    pub events: Option<WaitingEvents>,
    /// Providers that rest.
    pub suspended: Vec<SuspendedLane>,
    /// Providers that go on more slowly for a while.
    pub slowed: Vec<SlowedLane>,
    /// Waves in order, once the notice is approved.
    pub waves: Vec<WaveView>,
    /// Gates, with the evidence they were shown.
    pub gates: Vec<GateView>,
    /// How near the breaker is.
    pub breaker: Option<BreakerView>,
    /// When everybody will have been told; absent where nothing is left to send.
    pub forecast: Option<Forecast>,
    /// Who signed what.
    pub approvals: Vec<ApprovalView>,
    /// The process that works on this database now.
    pub worker: Option<u32>,
    /// When the machine has something to do next.
    pub next_due: Option<String>,
}

/// A re-check of what was expired.
#[derive(Debug, Clone, Serialize)]
pub struct RecheckView {
    /// When it began.
    pub started_at: String,
    /// When it had read everything.
    pub ended_at: Option<String>,
    /// Credentials read.
    pub checked: u64,
    /// Still our own value, or gone.
    pub fine: u64,
    /// What had come back.
    pub regressed: u64,
    /// What of that is expired again.
    pub mended: u64,
    /// Set anew elsewhere, with evidence.
    pub reset_elsewhere: u64,
}

/// A provider that rests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuspendedLane {
    /// Which.
    pub provider: String,
    /// The code and status that made it rest.
    pub cause: String,
    /// Until when.
    pub until: String,
}

/// A provider that goes on more slowly.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SlowedLane {
    /// Which.
    pub provider: String,
    /// Messages a minute.
    pub per_minute: f64,
    /// The rule or the share of refusals that slowed it.
    pub cause: String,
    /// Until when.
    pub until: String,
}

/// A signature.
#[derive(Debug, Clone, Serialize)]
pub struct ApprovalView {
    /// Which track.
    pub track: &'static str,
    /// Whose.
    pub operator: String,
    /// When.
    pub signed_at: String,
}

/// One delivery in a listing.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryView {
    /// The recipient's number.
    pub number: u64,
    /// The account, shortened.
    pub account: String,
    /// The address, masked.
    pub address: String,
    /// Class word.
    pub class: &'static str,
    /// Reason word.
    pub reason: String,
    /// An attempt is open.
    pub in_flight: bool,
    /// Attempts that reached the wire.
    pub attempts: u32,
    /// When the next is due.
    pub due_at: Option<String>,
    /// When the class last changed.
    pub changed_at: Option<String>,
    /// The number in the person's notice.
    pub reference: String,
}

/// An address that more accounts have than mail should serve unseen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CrowdedAddress {
    /// The address, masked.
    pub address: String,
    /// Accounts held at it.
    pub accounts: u64,
    /// The lowest of their numbers.
    pub first: u64,
}

/// One attempt in a story.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptView {
    /// Generation of the notice.
    pub generation: u32,
    /// Which attempt of it.
    pub n: u32,
    /// The message's Date.
    pub dated_at: String,
    /// SHA-256 of the message, hex.
    pub content: String,
    /// The relay.
    pub relay: String,
    /// How it ended; absent while in flight.
    pub result: Option<&'static str>,
    /// The phase it ended in.
    pub phase: String,
    /// The peer's code.
    pub code: Option<u16>,
    /// The peer's enhanced status.
    pub enhanced: Option<String>,
    /// What its refusal was read as.
    pub class: Option<&'static str>,
    /// The peer's queue id.
    pub queue_id: Option<String>,
    /// The peer's words, addresses masked.
    pub reply: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How its doubt ended.
    pub resolutions: Vec<ResolutionView>,
}

/// One personal link in a story: when, and never what.
#[derive(Debug, Clone, Serialize)]
pub struct TokenView {
    /// Generation of the notice that carries it.
    pub generation: u32,
    /// `live`, `expired`, `consumed` or `revoked`.
    pub state: &'static str,
    /// The Date of the generation's first attempt.
    pub issued_at: Option<String>,
    /// When it stops working.
    pub expires_at: Option<String>,
    /// When it set a new password.
    pub consumed_at: Option<String>,
    /// When it was taken back.
    pub revoked_at: Option<String>,
}

/// How a doubt ended.
#[derive(Debug, Clone, Serialize)]
pub struct ResolutionView {
    /// `accepted`, `not-sent`, `waived`, `re-sent`.
    pub result: String,
    /// `policy` or an operator.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: String,
}

/// One person's whole story.
#[derive(Debug, Clone, Serialize)]
pub struct Story {
    /// The delivery.
    pub delivery: DeliveryView,
    /// When the person was sealed.
    pub sealed_at: Option<String>,
    /// The seal's root, hex.
    pub seal_root: String,
    /// Their leaf's person id in the ledger, hex.
    pub person: String,
    /// Whether the address could be mailed.
    pub address_reason: &'static str,
    /// How many accounts are told at it.
    pub at_address: u64,
    /// The recipient whose notice names this account too.
    pub carrier: Option<u64>,
    /// The recipient of whom this is a second address.
    pub copy_of: Option<u64>,
    /// Their credentials: (kind, class, since, reason).
    pub credentials: Vec<CredentialView>,
    /// Their attempts.
    pub attempts: Vec<AttemptView>,
    /// Their personal links.
    pub tokens: Vec<TokenView>,
    /// What was changed about them since the seal.
    pub amendments: Vec<AmendmentView>,
}

/// One credential in a listing.
#[derive(Debug, Clone, Serialize)]
pub struct CredentialView {
    /// The recipient's number.
    pub number: u64,
    /// The account, shortened.
    pub account: String,
    /// Kind word.
    pub kind: &'static str,
    /// Class word.
    pub class: &'static str,
    /// In words, where it failed.
    pub reason: String,
    /// Since when.
    pub changed_at: String,
}
