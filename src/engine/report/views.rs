//! The shapes that reports have: what the CLI prints and `--json` gives.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::totals::{DeliveryTotals, SourceTotals};
use crate::store::tokens::TokenTotals;

/// Where a campaign stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// `rehearsal` or `live`.
    pub environment: &'static str,
    /// State of the containment track.
    pub containment: &'static str,
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
    /// Personal links; absent where none was issued, and while watching.
    pub tokens: Option<TokenTotals>,
    /// Providers that rest.
    pub suspended: Vec<SuspendedLane>,
    /// Providers that go on more slowly for a while.
    pub slowed: Vec<SlowedLane>,
    /// Who signed what.
    pub approvals: Vec<ApprovalView>,
    /// The process that works on this database now.
    pub worker: Option<u32>,
    /// When the machine has something to do next.
    pub next_due: Option<String>,
}

/// A provider that rests.
#[derive(Debug, Clone, Serialize)]
pub struct SuspendedLane {
    /// Which.
    pub provider: String,
    /// The code and status that made it rest.
    pub cause: String,
    /// Until when.
    pub until: String,
}

/// A provider that goes on more slowly.
#[derive(Debug, Clone, Serialize)]
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
    /// Their credentials: (kind, class, since, reason).
    pub credentials: Vec<CredentialView>,
    /// Their attempts.
    pub attempts: Vec<AttemptView>,
    /// Their personal links.
    pub tokens: Vec<TokenView>,
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
