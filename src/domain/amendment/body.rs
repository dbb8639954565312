//! The exact bytes of an amendment: what is signed by digest and kept under the campaign's key.

use super::{AmendmentKind, Change, Channel};
use crate::domain::address::EmailAddress;

/// The first byte.
const VERSION: u8 = 1;
/// The longest reason or evidence, in characters.
const TEXT_CHARS: usize = 1_000;

/// What an amendment sets, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// Drawn anew for each: the signed digest of a short text must not be found by trying.
    pub salt: [u8; 16],
    /// What it does.
    pub change: Change,
    /// Why.
    pub reason: String,
    /// What proves it, such as a ticket; empty where none is needed.
    pub evidence: String,
}

/// Why a text or bytes are no amendment. Never holds what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Nothing but white space.
    #[error("an amendment needs a reason; hint: `--reason TEXT`")]
    NoReason,
    /// Nothing that proves it.
    #[error("this needs evidence; hint: `--evidence TEXT`, such as the ticket it was asked in")]
    NoEvidence,
    /// Too much to read.
    #[error(
        "reason and evidence have at most 1,000 characters each; hint: name the ticket that has the rest"
    )]
    TooLong,
    /// Not what [`Amendment::canonical`] writes.
    #[error("the amendment does not read as one")]
    Unreadable,
}

impl Amendment {
    /// An amendment with its texts trimmed and checked; whether evidence is needed depends on the
    /// person, see [`AmendmentKind::needs_evidence`].
    pub fn new(
        salt: [u8; 16],
        change: Change,
        reason: &str,
        evidence: &str,
    ) -> Result<Self, BodyError> {
        let (reason, evidence) = (reason.trim(), evidence.trim());
        if reason.is_empty() {
            return Err(BodyError::NoReason);
        }
        if [reason, evidence].iter().any(|text| text.chars().count() > TEXT_CHARS) {
            return Err(BodyError::TooLong);
        }
        Ok(Self { salt, change, reason: reason.into(), evidence: evidence.into() })
    }

    /// The version byte 1, the salt, then kind, value, reason and evidence as UTF-8, each with its
    /// length in bytes before it (8 bytes, big-endian). The value is the address, or the channel's
    /// word, or empty.
    pub fn canonical(&self) -> Vec<u8> {
        let value = match &self.change {
            Change::ReplaceAddress(address) => address.as_str(),
            Change::ChangeChannel(channel) => channel.word(),
            _ => "",
        };
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.salt);
        for part in [self.change.kind().word(), value, &self.reason, &self.evidence] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }

    /// Reads [`Amendment::canonical`] back, to the last byte.
    pub fn decode(bytes: &[u8]) -> Result<Self, BodyError> {
        let broken = BodyError::Unreadable;
        let rest = bytes.strip_prefix(&[VERSION]).ok_or(broken)?;
        let (salt, mut rest) = rest.split_first_chunk::<16>().ok_or(broken)?;
        let mut part = || -> Result<String, BodyError> {
            let (length, after) = rest.split_first_chunk::<8>().ok_or(broken)?;
            let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| broken)?;
            let (text, after) = after.split_at_checked(length).ok_or(broken)?;
            rest = after;
            String::from_utf8(text.to_vec()).map_err(|_| broken)
        };
        let (kind, value, reason, evidence) = (part()?, part()?, part()?, part()?);
        let change = match AmendmentKind::parse(&kind).ok_or(broken)? {
            AmendmentKind::Withdraw => Change::Withdraw,
            // it passed when it was signed, and later rules must not unread it
            AmendmentKind::ReplaceAddress => {
                Change::ReplaceAddress(EmailAddress::from_sealed(&value).ok_or(broken)?)
            }
            AmendmentKind::ChangeChannel => {
                Change::ChangeChannel(Channel::parse(&value).ok_or(broken)?)
            }
            AmendmentKind::Hold => Change::Hold,
            AmendmentKind::Release => Change::Release,
            AmendmentKind::Waive => Change::Waive,
        };
        let amendment = Self { salt: *salt, change, reason, evidence };
        // one amendment has one form
        if amendment.canonical() == bytes { Ok(amendment) } else { Err(broken) }
    }
}
