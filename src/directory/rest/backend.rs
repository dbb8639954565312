//! What an identity server's own adapter does; all else is the same for each ([`super::Served`]).

use async_trait::async_trait;
use reqwest::Client;

use super::{Line, RestFault};
use crate::directory::{Chosen, Current, Replacement, SessionEnd};
use crate::domain::credential::CredentialKind;
use crate::secret::password::PasswordForm;
use crate::secret::replacement::{Scheme, SecretValue};

/// How much is asked at once.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The most accounts in one call.
    pub batch: usize,
    /// The most accounts under way at once.
    pub concurrency: usize,
}

/// An account that the server knows.
pub struct Found {
    /// The server's own name for the user.
    pub id: String,
    /// What it holds.
    pub current: Current,
}

/// What became of one account's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It has the replacement.
    Done,
    /// It no longer had what was read, has no password, or is gone.
    Moved,
    /// The server refuses, with this status.
    Refused(u16),
}

/// What came of trying, without leaving anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// Nothing speaks against the change.
    Well,
    /// The server replaced a value that was not the one it was told to expect.
    NotCompared,
    /// It would refuse, as if with this status.
    Refused(u16),
}

/// An identity server.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Its table in the settings.
    const TABLE: &'static str;
    /// Whether it says when a password changed last.
    const TELLS_CHANGE_TIME: bool;
    /// What becomes of sessions.
    const ENDS_SESSIONS: SessionEnd = SessionEnd::Ended;

    /// The line to it.
    fn line(&self) -> &Line;

    /// How much may be asked at once.
    fn bounds(&self) -> Bounds;

    /// These accounts as they are, those that it knows, in the order asked; with their sessions if wanted.
    async fn found(
        &self,
        client: &Client,
        accounts: &[String],
        with_sessions: bool,
    ) -> Result<Vec<Found>, RestFault>;

    /// Replaces a password that still is what was read; `is_chosen` where its owner chose the new one.
    async fn change(
        &self,
        client: &Client,
        row: &Replacement,
        is_chosen: bool,
    ) -> Result<Written, RestFault>;

    /// Ends the sessions of an account, whether it has any or not.
    async fn end(&self, client: &Client, account: &str) -> Result<Written, RestFault>;

    /// Tries a change as far as the server lets one be tried.
    async fn rehearse(&self, client: &Client, row: &Replacement) -> Result<Trial, RestFault>;

    /// The database id in the rehearsal marker.
    async fn marker(&self, client: &Client) -> Result<Option<String>, RestFault>;

    /// How stored values are understood.
    fn scheme(&self) -> Scheme;

    /// How a new password is written.
    fn form(&self) -> PasswordForm;

    /// A new password's value as it is set, and as it is read.
    fn chosen(&self, hashed: SecretValue) -> Chosen {
        Chosen::as_it_is(hashed)
    }

    /// The account that we are ourselves.
    fn own_account(&self) -> Option<String> {
        None
    }
}

/// Whether a kind is kept by an identity server.
pub(super) fn knows(table: &'static str, kind: CredentialKind) -> Result<(), RestFault> {
    match kind {
        CredentialKind::Password | CredentialKind::Session => Ok(()),
        kind => Err(RestFault::Kind { table, kind }),
    }
}
