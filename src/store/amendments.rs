//! Amendments beside the seal: read with the people they speak of, applied in one transaction each.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use super::deliveries::{DeliveryState, Move, Resolution};
use crate::domain::amendment::AmendmentKind;
use crate::domain::delivery::AttemptKey;

/// An amendment as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmendmentRow {
    /// The recipient's number.
    pub number: u64,
    /// Which of the recipient's amendments, from 1 without gaps.
    pub n: u32,
    /// What it does.
    pub kind: AmendmentKind,
    /// The class it left, `class/reason`.
    pub was: String,
    /// The class it came to, `class/reason`.
    pub became: String,
    /// What it sets and why, under the campaign's key; `None` after a purge.
    pub body: Option<Vec<u8>>,
    /// When it was signed and applied.
    pub at: Timestamp,
    /// Who signed it: operator and signature.
    pub signatures: Vec<(i64, [u8; 64])>,
}

/// A person with all that decides what an amendment does to them.
#[derive(Debug, Clone)]
pub struct Amendable {
    /// The recipient's number.
    pub number: u64,
    /// Row salt.
    pub salt: [u8; 16],
    /// The canonical row under the campaign's key; `None` after a purge.
    pub body: Option<Vec<u8>>,
    /// Where the notice stands.
    pub state: DeliveryState,
    /// A token of this generation was issued.
    pub has_token: bool,
    /// A credential of theirs could not be expired.
    pub is_unsecured: bool,
    /// One of somebody could not be expired whom the same notice names.
    pub is_group_unsecured: bool,
    /// The newest attempt of this generation whose fate is unknown.
    pub doubt: Option<AttemptKey>,
    /// The recipient whose notice names this account too, as long as it does.
    pub carrier: Option<u64>,
    /// The rows of this recipient's further addresses.
    pub copies: Vec<u64>,
    /// The amendments so far, in their order.
    pub amendments: Vec<AmendmentRow>,
}

impl Amendable {
    /// A notice that goes to them waits for a credential: theirs, or that of somebody it names.
    pub fn waits_for_credential(&self) -> bool {
        self.is_unsecured || self.is_group_unsecured
    }
}

/// An amendment with everything it changes: all of it, or nothing.
#[derive(Debug, Clone)]
pub struct NewAmendment {
    /// The amendment.
    pub row: AmendmentRow,
    /// Keyed digest of the address it brings.
    pub address: Option<[u8; 16]>,
    /// The person's move; who is carried, and further addresses, follow by themselves.
    pub change: Move,
    /// The generation the row must have before it.
    pub generation: u32,
    /// Rows that must have no open attempt either: they are told with this one, or follow it.
    pub along: Vec<u64>,
    /// How the doubt over an attempt ended by it.
    pub resolution: Option<Resolution>,
}

/// What became of an amendment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// It holds.
    Yes,
    /// An attempt is open: its outcome comes first.
    InFlight,
    /// Somebody else moved or amended the person since they were read.
    Changed,
}

/// Amendments of a campaign.
#[async_trait]
pub trait Amendments {
    /// People as an amendment must know them, by number; who is not sealed is absent.
    async fn amendable(&self, campaign: i64, numbers: &[u64])
    -> Result<Vec<Amendable>, StoreError>;

    /// Applies amendments in one transaction with their signatures, moves, counters, resolutions,
    /// revoked tokens and ledger lines. Tells of each, in their order, what became of it.
    async fn amend(
        &self,
        campaign: i64,
        amendments: Vec<NewAmendment>,
    ) -> Result<Vec<Applied>, StoreError>;

    /// Amendments of the recipients from `first` to `last`, by number and n.
    async fn amendments_between(
        &self,
        campaign: i64,
        first: u64,
        last: u64,
    ) -> Result<Vec<AmendmentRow>, StoreError>;

    /// A page of amendments after a (number, n), with the sealed leaves they were signed over.
    async fn list_amendments(
        &self,
        campaign: i64,
        after: (u64, u32),
        limit: u32,
    ) -> Result<Vec<(AmendmentRow, [u8; 32])>, StoreError>;

    /// By kind word: how many were made, and for how many people one is in force. A replaced address
    /// is in force until the next; of the others a person's newest amendment is.
    async fn amendment_totals(
        &self,
        campaign: i64,
    ) -> Result<BTreeMap<String, (u64, u64)>, StoreError>;
}
