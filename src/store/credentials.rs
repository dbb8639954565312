//! Credentials: which accounts are still pending, what we wrote, how each was settled.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use super::deliveries::Move;
use crate::domain::credential::{CredentialClass, CredentialKind};

/// A sealed account on its way through the secure pass.
#[derive(Debug, Clone)]
pub struct SealedAccount {
    /// The recipient's number.
    pub number: u64,
    /// Row salt.
    pub salt: [u8; 16],
    /// The canonical row under the campaign's key.
    pub body: Vec<u8>,
    /// Its class now.
    pub class: CredentialClass,
    /// When it got this class; `None` while pending.
    pub changed_at: Option<Timestamp>,
    /// `HMAC(replacement)` of each of our own writes.
    pub planned: Vec<[u8; 32]>,
    /// `HMAC(current)` of each value that such a write was to replace.
    pub seen: Vec<[u8; 32]>,
    /// The delivery's class and reason words now.
    pub delivery: (String, String),
}

/// One of our own writes, committed before it is tried.
#[derive(Debug, Clone)]
pub struct OwnWrite {
    /// The recipient's number.
    pub number: u64,
    /// `HMAC(replacement)`.
    pub planned: [u8; 32],
    /// `HMAC(current)` as read.
    pub seen: [u8; 32],
}

/// How one credential was settled.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The recipient's number.
    pub number: u64,
    /// The class it must have now.
    pub from: CredentialClass,
    /// The class it gets.
    pub to: CredentialClass,
    /// In words, where it failed.
    pub reason: String,
    /// The ledger line of this change.
    pub line: String,
    /// A hold or release of the delivery that goes with it.
    pub delivery: Option<Move>,
}

/// A credential for listings.
#[derive(Debug, Clone)]
pub struct CredentialListing {
    /// The recipient's number.
    pub number: u64,
    /// The canonical row under the campaign's key.
    pub body: Option<Vec<u8>>,
    /// Its kind.
    pub kind: CredentialKind,
    /// Its class.
    pub class: CredentialClass,
    /// In words, where it failed.
    pub reason: String,
    /// When it got this class.
    pub changed_at: Timestamp,
}

/// Which accounts a pass takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// Those without a class yet.
    Pending,
    /// Those that failed before, or came back and could not be expired again.
    Failed,
    /// Those that were ever expired, whatever became of them since: what a re-check reads.
    Expired,
    /// Everybody, whatever their class: what a dry run reads.
    Everybody,
}

/// The signature beside a credential that is exempted.
#[derive(Debug, Clone)]
pub struct Exemption {
    /// Why, in the operator's words.
    pub reason: String,
    /// The operator's name.
    pub by: String,
    /// Their signature.
    pub signature: [u8; 64],
}

/// Credentials of sealed accounts.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// The next accounts after `after` in number order.
    async fn next_accounts(
        &self,
        campaign: i64,
        kind: CredentialKind,
        pick: Pick,
        after: u64,
        limit: u32,
    ) -> Result<Vec<SealedAccount>, StoreError>;

    /// These accounts, where sealed, in number order.
    async fn accounts_of(
        &self,
        campaign: i64,
        kind: CredentialKind,
        numbers: &[u64],
    ) -> Result<Vec<SealedAccount>, StoreError>;

    /// The class of each of these recipients' credential of a kind, and since when: `None` while pending.
    /// Rows of second addresses have none of their own and are left out.
    async fn classes_of(
        &self,
        campaign: i64,
        kind: CredentialKind,
        numbers: &[u64],
    ) -> Result<Vec<Option<(CredentialClass, Timestamp)>>, StoreError>;

    /// Any sealed accounts, for `directory check`.
    async fn some_accounts(
        &self,
        campaign: i64,
        limit: u32,
    ) -> Result<Vec<SealedAccount>, StoreError>;

    /// Commits what is about to be written.
    async fn record_writes(
        &self,
        campaign: i64,
        kind: CredentialKind,
        writes: Vec<OwnWrite>,
    ) -> Result<(), StoreError> {
        self.record_and_settle(campaign, kind, writes, Vec::new()).await.map(drop)
    }

    /// Settles classes with their holds, counters and ledger lines; returns how many changed.
    async fn settle(
        &self,
        campaign: i64,
        kind: CredentialKind,
        settlements: Vec<Settlement>,
    ) -> Result<u64, StoreError> {
        self.record_and_settle(campaign, kind, Vec::new(), settlements).await
    }

    /// Both in one transaction, none where there is nothing to do: what is about to be written to some
    /// accounts, and how others ended. Returns how many classes changed.
    async fn record_and_settle(
        &self,
        campaign: i64,
        kind: CredentialKind,
        writes: Vec<OwnWrite>,
        settlements: Vec<Settlement>,
    ) -> Result<u64, StoreError>;

    /// Settles one credential as exempt, with the signature for it; tells whether it did.
    async fn exempt(
        &self,
        campaign: i64,
        kind: CredentialKind,
        settlement: Settlement,
        exemption: Exemption,
    ) -> Result<bool, StoreError>;

    /// Credentials of one class (all where `None`) after `after`, by number.
    async fn list_credentials(
        &self,
        campaign: i64,
        class: Option<CredentialClass>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<CredentialListing>, StoreError>;
}
