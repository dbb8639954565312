//! Requests for a code: each is kept, whoever asked; what becomes of it is decided outside of the request.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRequest {
    /// Digest of the browser's visit.
    pub visit: [u8; 16],
    /// Digest of the typed address.
    pub address: [u8; 16],
    /// Digest of the network it came from.
    pub network: [u8; 16],
    /// Digest of the reference number that came with it, where one did.
    pub reference: Option<[u8; 16]>,
    /// The language of the page it was asked on.
    pub locale: String,
}

/// A request nobody has looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRequest {
    /// Row id.
    pub id: i64,
    /// What was asked.
    pub request: NewRequest,
    /// When.
    pub requested_at: Timestamp,
}

/// What a request comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nobody who may be written to is known by that address.
    Unknown,
    /// Too many were asked for that address lately.
    Limited,
    /// A code goes to the sealed address.
    Code,
    /// No code may go there; how support helps does.
    Support,
    /// The account is still to be secured.
    NotYet,
    /// There is no password to set.
    NoPassword,
    /// The company's ordinary way serves.
    Ordinary,
}

impl Answer {
    const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Limited,
        Self::Code,
        Self::Support,
        Self::NotYet,
        Self::NoPassword,
        Self::Ordinary,
    ];

    /// The word of the table.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Limited => "limited",
            Self::Code => "code",
            Self::Support => "support",
            Self::NotYet => "not-yet",
            Self::NoPassword => "no-password",
            Self::Ordinary => "ordinary",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|answer| answer.word() == word)
    }

    /// Whether a mail goes out.
    pub const fn is_mailed(self) -> bool {
        !matches!(self, Self::Unknown | Self::Limited)
    }
}

/// A code as it is kept: neither part yields it.
#[derive(Clone, PartialEq, Eq)]
pub struct NewCode {
    /// What it is derived from, beside the token key.
    pub salt: [u8; 32],
    /// What it is recognised by.
    pub digest: [u8; 32],
    /// When it stops working.
    pub expires_at: Timestamp,
    /// The accounts it opens: campaign and recipient's number.
    pub accounts: Vec<(i64, u64)>,
}

impl fmt::Debug for NewCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewCode").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

/// A request answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Which.
    pub request: i64,
    /// To what.
    pub answer: Answer,
    /// The code, exactly where the answer is one.
    pub code: Option<NewCode>,
    /// Whom the mail goes to, where one does: campaign and recipient's number.
    pub mailed: Option<(i64, u64)>,
    /// After this the mail is worth nothing.
    pub expires_at: Timestamp,
}

/// A request of a visit whose code is being typed.
#[derive(Clone)]
pub struct TriedRequest {
    /// Row id.
    pub id: i64,
    /// The digest of its code, where it has a live one.
    pub code: Option<[u8; 32]>,
}

/// Whether what was typed is the code of a request.
pub type IsCode<'a> = dyn Fn(&TriedRequest) -> bool + Send + Sync + 'a;

/// What a try came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It is the code of one of the requests, whose mailbox is proved now.
    Right,
    /// It is none. For each campaign whose codes it could have been: how many wrong ones there were in this
    /// hour and the one before, this one included.
    Wrong(Vec<u64>),
}

/// An account whose mailbox a visit has proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProvedAccount {
    /// The campaign.
    pub campaign: i64,
    /// The recipient's number.
    pub number: u64,
    /// The request whose code proved it.
    pub request: i64,
}

/// How often a code may be typed, and until when.
#[derive(Debug, Clone, Copy)]
pub struct TryLimits {
    /// Requests from before this are over.
    pub asked_after: Timestamp,
    /// Tries of one request.
    pub tries: u32,
    /// Requests of one visit that are compared with, the newest.
    pub requests: u32,
}

/// What was asked for an address lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AskedLately {
    /// Mails without a reference number of theirs.
    pub without_reference: u64,
    /// Mails with one.
    pub with_reference: u64,
}

/// Codes by mail.
#[async_trait]
pub trait Codes {
    /// Keeps a request; the same work whoever asks.
    async fn request_code(&self, request: NewRequest) -> Result<(), StoreError>;

    /// The oldest requests that nobody has looked at.
    async fn unanswered(&self, limit: u32) -> Result<Vec<OpenRequest>, StoreError>;

    /// The mails that requests for this address led to since then.
    async fn asked_lately(
        &self,
        address: &[u8; 16],
        since: Timestamp,
    ) -> Result<AskedLately, StoreError>;

    /// Answers requests, in one transaction with the mail that goes out; one answered before stays as it
    /// is.
    async fn answer_requests(&self, answered: Vec<Answered>) -> Result<(), StoreError>;

    /// Counts a try against the visit's newest open requests, none where every try is spent, and asks of
    /// each whether what was typed is its code; also of those without one, so that all take the same time.
    /// The mailbox of a right one is proved and a wrong one is counted in the same transaction: nobody learns
    /// what a try came to that was not counted.
    async fn try_code(
        &self,
        visit: &[u8; 16],
        limits: TryLimits,
        is_code: &IsCode<'_>,
    ) -> Result<Tried, StoreError>;

    /// What a visit has proved since then and is not reset yet by that proof.
    async fn proved_accounts(
        &self,
        visit: &[u8; 16],
        since: Timestamp,
    ) -> Result<Vec<ProvedAccount>, StoreError>;

    /// Forgets requests from before then, oldest first and so many at most, with the codes and accounts that
    /// belong to them; how many.
    async fn forget_requests(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError>;
}
