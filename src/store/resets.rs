//! Passwords on their way into the directory: claimed before, done after, released where nothing came of it.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use super::credentials::{OwnWrite, Settlement};
use super::events::NewEvent;

/// What proved the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The code of a request.
    Code {
        /// The request.
        request: i64,
    },
    /// The token of a link.
    Token {
        /// The generation it was issued with.
        generation: u32,
    },
}

/// A token as the portal finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundToken {
    /// The campaign.
    pub campaign: i64,
    /// The recipient's number.
    pub number: u64,
    /// The generation it was issued with.
    pub generation: u32,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it set a password.
    pub consumed_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// A claim about to be made.
#[derive(Debug, Clone)]
pub struct NewClaim {
    /// The campaign.
    pub campaign: i64,
    /// The recipient's number.
    pub number: u64,
    /// By what right.
    pub proof: Proof,
    /// The life of the portal that claims.
    pub life: String,
    /// What is about to be written, by campaign: an account may be sealed in several.
    pub writes: Vec<(i64, OwnWrite)>,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// It stands, under this id.
    Yes(i64),
    /// Another one for the same person is under way.
    Busy,
    /// The proof is spent, taken back or over.
    Void,
}

/// A claim that nobody ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenClaim {
    /// Row id.
    pub id: i64,
    /// The campaign.
    pub campaign: i64,
    /// The recipient's number.
    pub number: u64,
    /// By what right.
    pub proof: Proof,
    /// HMAC of the value that was to be set.
    pub planned: [u8; 32],
    /// The life of the portal that claimed.
    pub life: String,
    /// When.
    pub claimed_at: Timestamp,
}

/// How a claim ended well: all of it in one transaction.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The claim.
    pub claim: i64,
    /// The person in every campaign that sealed the account: campaign and recipient's number.
    pub persons: Vec<(i64, u64)>,
    /// The credential's change of class in each campaign that sealed the account, where it changes.
    pub settlements: Vec<(i64, Settlement)>,
    /// The ledger line of the reset itself.
    pub line: String,
    /// Whether the person is told by mail.
    pub confirm: bool,
    /// The language of the page.
    pub locale: String,
    /// What the company is told of it, where it is.
    pub event: Option<NewEvent>,
}

/// The signature under which a campaign's links and codes are taken back.
#[derive(Debug, Clone)]
pub struct Revocation {
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

/// Sets of passwords by their owners.
#[async_trait]
pub trait Resets {
    /// The token with this digest.
    async fn find_token(&self, digest: &[u8; 32]) -> Result<Option<FoundToken>, StoreError>;

    /// Claims a person for one new value, in one transaction with what is about to be written. At most one
    /// claim stands for a person at a time; the proof must be unspent and in force.
    async fn claim_reset(&self, claim: NewClaim) -> Result<Claimed, StoreError>;

    /// Ends a claim that reached the directory: token or code spent, all others of this person taken back,
    /// classes and ledger, confirmation queued, event written. Tells whether the claim still stood.
    async fn finish_reset(&self, finish: Finish) -> Result<bool, StoreError>;

    /// Ends a claim of which nothing reached the directory: its proof is as good as before.
    async fn release_claim(&self, claim: i64) -> Result<(), StoreError>;

    /// Claims that nobody ended, oldest first.
    async fn open_claims(&self) -> Result<Vec<OpenClaim>, StoreError>;

    /// Takes back every token and code of a campaign, with the signature for it; how many of each still
    /// worked.
    async fn revoke_campaign(
        &self,
        campaign: i64,
        revocation: Revocation,
        lines: Vec<String>,
    ) -> Result<(u64, u64), StoreError>;
}
