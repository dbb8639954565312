//! Reset tokens as they are kept: a salt and a keyed digest, neither of which yields the token.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;

use super::StoreError;

/// The token of one generation, as a worker must know it to send the same again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoredToken {
    /// What it is derived from, beside the token key.
    pub salt: [u8; 32],
    /// What it is looked up by.
    pub digest: [u8; 32],
}

/// A token that goes out with an attempt. Its row is inserted with the first intent of its
/// generation; later ones keep the salt and move the expiry, forwards only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NewToken {
    /// What it is derived from, and what it is looked up by.
    pub stored: StoredToken,
    /// When it stops working.
    pub expires_at: Timestamp,
}

impl fmt::Debug for StoredToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoredToken(redacted)")
    }
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// A token in one person's story: when, and never what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenListing {
    /// The generation whose notice carries it.
    pub generation: u32,
    /// The Date of the first attempt of that generation.
    pub issued_at: Option<Timestamp>,
    /// When it stops working.
    pub expires_at: Option<Timestamp>,
    /// When it set a new password.
    pub consumed_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

/// How many tokens of a campaign stand how; each is counted once, in the first class that fits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TokenTotals {
    /// All that were ever issued.
    pub issued: u64,
    /// Set a new password.
    pub consumed: u64,
    /// Taken back.
    pub revoked: u64,
    /// Outlived.
    pub expired: u64,
    /// Work now.
    pub live: u64,
}

/// Reset tokens of a campaign.
#[async_trait]
pub trait Tokens {
    /// One person's tokens by generation.
    async fn tokens(&self, campaign: i64, number: u64) -> Result<Vec<TokenListing>, StoreError>;

    /// How the tokens of a campaign stand at `now`. Reads every one of them.
    async fn token_totals(&self, campaign: i64, now: Timestamp) -> Result<TokenTotals, StoreError>;
}
