//! The company's own identity store: what a containment pass asks of it, whatever it runs on.
//!
//! An adapter reads, compares-and-sets, ends sessions and reads back. It decides nothing: who is
//! expired, what the replacement is and what a read-back proves is the engine's. Raw values pass
//! through memory only; no error and no log line ever holds one.

mod batch;
mod concurrent;
mod control;
mod error;
pub mod http;
mod kept;
pub mod keycloak;
pub mod kratos;
pub mod ldap;
mod rest;
pub mod shop;
pub mod sql;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::domain::credential::CredentialKind;
use crate::secret::password::PasswordForm;
use crate::secret::replacement::{Scheme, SecretValue, UnknownScheme};

pub use control::{ControlFault, Controls};
pub use error::{AnswerFault, DirectoryError};
pub use rest::RestFault;

/// An account's credential as the directory holds it now. Where an account may have several values of
/// a kind ([`CredentialKind::has_several`], and passwords in LDAP), each comes as a `Current` of its own
/// with the same account and sessions, and an account without any as one without a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The account reference, exactly as asked for.
    pub account: String,
    /// The stored value; `None` where the account has none of this kind.
    pub value: Option<SecretValue>,
    /// Live sessions; 0 where nobody asked for them ([`Directory::read`]) and where the directory can't
    /// count them ([`Capabilities::counts_sessions`]).
    pub sessions: u64,
    /// When the directory says the value changed last, if it says so.
    pub changed_at: Option<Timestamp>,
}

/// One compare-and-set of one value; an account with several values has one of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The account reference.
    pub account: String,
    /// The value it must still have.
    pub current: SecretValue,
    /// The value it gets.
    pub replacement: SecretValue,
}

/// A new password, hashed: as it is handed to [`Directory::set`], and as a read shows it afterwards. They
/// differ where a directory never gives a hash back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// What is set.
    pub written: SecretValue,
    /// What is read.
    pub shown: SecretValue,
}

impl Chosen {
    /// Set and read as it was hashed.
    pub fn as_it_is(hashed: SecretValue) -> Self {
        Self { shown: hashed.clone(), written: hashed }
    }
}

/// Makes the replacement of a stored value for [`Directory::check`].
pub type Forge<'a> = &'a (dyn Fn(&str) -> Result<SecretValue, UnknownScheme> + Sync);

/// What a check found. Nothing of it was kept: the directory is as before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Replacements were tried and taken back. `false` where a directory has no way to take them back: then
    /// nothing was written, and what follows from `changed` on is 0.
    pub was_tried: bool,
    /// Accounts asked for.
    pub asked: u64,
    /// Accounts the directory knows.
    pub read: u64,
    /// Of those, the ones without a value of this kind.
    pub without_value: u64,
    /// Of those, the ones whose value follows no known scheme.
    pub unknown_scheme: u64,
    /// Rows the directory says it changed.
    pub changed: u64,
    /// Accounts whose replacement was read back afterwards; what counts, not `changed`.
    pub read_back: u64,
    /// Sessions before.
    pub sessions: u64,
    /// Sessions the directory says it ended.
    pub sessions_ended: u64,
    /// Sessions counted afterwards.
    pub sessions_left: u64,
    /// Control accounts that were read afterwards and had not changed.
    pub controls: u64,
}

/// What becomes of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionEnd {
    /// They are ended in the transaction that replaces the value.
    Ended,
    /// They end by themselves when the password's stored value is replaced: they carry a part or a MAC of it.
    WithPassword,
    /// They can't be ended and live this long at the most.
    LapseWithin(SignedDuration),
    /// Nothing is known; a notice must not say that they ended.
    Unknown,
}

/// What a directory can do, as it is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The kinds it can expire.
    pub kinds: Vec<CredentialKind>,
    /// Of those, the ones whose read says when the value changed last.
    pub change_time: Vec<CredentialKind>,
    /// Whether it counts sessions; without that "no session is left" is never proved.
    pub counts_sessions: bool,
    /// What becomes of sessions.
    pub ends_sessions: SessionEnd,
    /// The most accounts it takes in one call, each with all its values.
    pub batch: usize,
}

impl Capabilities {
    /// Whether reads of this kind say when the value changed last.
    pub fn reads_change_time(&self, kind: CredentialKind) -> bool {
        self.change_time.contains(&kind)
    }
}

/// The company's identity store. No account may be named twice in one call, but for the values of one
/// that has several.
///
/// Whatever writes takes the control accounts: they are read in the transaction before its first
/// and after its last statement, and any change ([`Controls::check_values`],
/// [`Controls::check_sessions`]) is an error that rolls everything back.
#[async_trait]
pub trait Directory: Send + Sync {
    /// The database id in the rehearsal marker; `None` where there is no marker. A marker that
    /// names nobody is `Some("")`: neither a rehearsal nor a live campaign may go on with it.
    async fn rehearsal_marker(&self) -> Result<Option<String>, DirectoryError>;

    /// The accounts' values as they are now, without their sessions: to count those costs more than to
    /// read. An account the directory does not know is absent.
    ///
    /// For [`CredentialKind::Session`], which has no value, they are counted and every account asked for is answered.
    async fn read(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError>;

    /// Sets each replacement where the account still has `current`, and ends the sessions of all
    /// these accounts, in one transaction. Returns how many rows the directory says it changed:
    /// a bound, no proof; [`Self::confirm`] proves. More than asked, or more sessions ended than
    /// these accounts had, is rolled back and an error, and so is a control account that changed.
    async fn replace(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
    ) -> Result<u64, DirectoryError>;

    /// As [`Self::replace`], for a value that its owner chose: where the directory wants more done then
    /// than when one is expired, it is done here.
    async fn set(
        &self,
        kind: CredentialKind,
        rows: &[Replacement],
        controls: &Controls,
    ) -> Result<u64, DirectoryError>;

    /// Ends the sessions of accounts whose value of this kind stays, in one transaction; returns
    /// how many.
    async fn end_sessions(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        controls: &Controls,
    ) -> Result<u64, DirectoryError>;

    /// As [`Self::read`], with sessions, on a connection opened for this call, to where writes go.
    async fn confirm(
        &self,
        kind: CredentialKind,
        accounts: &[String],
    ) -> Result<Vec<Current>, DirectoryError>;

    /// Runs every statement of this kind on real accounts in one transaction, tries a
    /// compare-and-set that must not match, looks whether a control account changed, and rolls
    /// everything back.
    async fn check(
        &self,
        kind: CredentialKind,
        accounts: &[String],
        forge: Forge<'_>,
        controls: &Controls,
    ) -> Result<CheckReport, DirectoryError>;

    /// What this directory can do.
    fn capabilities(&self) -> Capabilities;

    /// How stored values of a kind are understood when replacements are forged.
    fn scheme(&self, kind: CredentialKind) -> Scheme;

    /// The form in which the directory's own log-in reads a password that we hash.
    fn password_form(&self) -> PasswordForm;

    /// A password that was hashed in [`Self::password_form`], made ready for [`Self::set`].
    fn chosen(&self, hashed: SecretValue) -> Chosen {
        Chosen::as_it_is(hashed)
    }

    /// Whether the company keeps the values that [`Self::replace`] replaces, where it was told to: nothing
    /// of them is ever kept by us (protocol §3).
    fn keeps_replaced(&self) -> bool {
        false
    }

    /// The password values that are kept of an account, so that nobody chooses the stolen one again.
    async fn replaced(&self, _account: &str) -> Result<Vec<SecretValue>, DirectoryError> {
        Ok(Vec::new())
    }

    /// Destroys what is kept of these accounts; how many values that were, by the directory's own count.
    async fn forget_replaced(&self, _accounts: &[String]) -> Result<u64, DirectoryError> {
        Ok(0)
    }

    /// The name this adapter logs in to the directory by, where it has one: it must never be one of
    /// the accounts to be expired.
    fn logs_in_as(&self) -> Option<String> {
        None
    }
}
