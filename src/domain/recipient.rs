//! The recipient: one sealed person, and the exact bytes a seal leaf is hashed over.
//!
//! Knows nothing of salts, hashes or encryption; those are laid around [`Recipient::canonical`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;

use super::address::{AddressReason, EmailAddress};
use super::field::{Name, is_bidi};

/// The version of the canonical row, its first byte, where the source knows no earlier address.
const VERSION: u8 = 1;
/// The version where it knows one.
const WITH_ADDRESS_BEFORE: u8 = 2;
/// The longest account reference, in bytes.
const ACCOUNT_BYTES: usize = 255;
/// The longest region, in characters.
const REGION_CHARS: usize = 64;

/// Why a text is no account reference. Never holds the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AccountError {
    /// Nothing but white space.
    #[error("the account reference is empty")]
    Empty,
    /// More than 255 bytes.
    #[error("the account reference is longer than 255 bytes")]
    TooLong,
    /// A control character.
    #[error("the account reference holds a control character")]
    Control,
}

/// What the company calls this account: the exact bytes after trimming, 1 to 255 of them, without
/// control characters. Unique in a seal, scoped by the directory's name. Often an address, so
/// `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountRef(String);

impl AccountRef {
    /// Reads an account reference; white space around it is dropped, nothing else is changed.
    pub fn parse(text: &str) -> Result<Self, AccountError> {
        let text = text.trim();
        if text.is_empty() {
            Err(AccountError::Empty)
        } else if text.len() > ACCOUNT_BYTES {
            Err(AccountError::TooLong)
        } else if text.contains(char::is_control) {
            Err(AccountError::Control)
        } else {
            Ok(Self(text.into()))
        }
    }

    /// The reference in clear.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountRef(..)")
    }
}

/// Whom the notice speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Addressee {
    /// The account's own person: `self`.
    #[default]
    SelfPerson,
    /// The guardian of a minor or of a person under care.
    Guardian,
    /// The estate of a person who died.
    Estate,
    /// An organisation.
    Organisation,
}

impl Addressee {
    /// Every addressee.
    pub const ALL: [Self; 4] = [Self::SelfPerson, Self::Guardian, Self::Estate, Self::Organisation];

    /// The word kept in seals and used in source files.
    pub fn word(self) -> &'static str {
        match self {
            Self::SelfPerson => "self",
            Self::Guardian => "guardian",
            Self::Estate => "estate",
            Self::Organisation => "organisation",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|addressee| addressee.word() == word)
    }
}

/// Reads a language tag (BCP 47: language, then script, region and variants) with `-` or `_`
/// between its parts, and writes it the usual way: `pt_br` becomes `pt-BR`.
pub fn parse_locale(text: &str) -> Option<String> {
    let mut tag = String::new();
    for (at, part) in text.trim().split(['-', '_']).enumerate() {
        let letters = part.bytes().all(|b| b.is_ascii_alphabetic());
        let part = match (at, part.len()) {
            (0, 2..=3) if letters => part.to_ascii_lowercase(),
            (0, _) => return None,
            (_, 2) if letters => part.to_ascii_uppercase(),
            (_, 4) if letters => {
                format!("{}{}", part[..1].to_ascii_uppercase(), part[1..].to_ascii_lowercase())
            }
            (_, 2..=8) if part.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                part.to_ascii_lowercase()
            }
            _ => return None,
        };
        if at > 0 {
            tag.push('-');
        }
        tag.push_str(&part);
    }
    (tag.len() <= 35).then_some(tag)
}

/// Reads a region as the source names it (`US-CA`, `Baden-Württemberg`): at most 64 characters,
/// none of them a control or bidi character. `None` where it is not such a text.
pub fn parse_region(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = !text.is_empty()
        && text.len() <= REGION_CHARS * 4
        && text.chars().count() <= REGION_CHARS
        && !text.chars().any(|c| c.is_control() || is_bidi(c));
    fits.then(|| text.into())
}

/// One affected account, as its source row told of it and the seal keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The account at the company.
    pub account: AccountRef,
    /// Where the notice goes; absent exactly where the source had no usable address.
    pub address: Option<EmailAddress>,
    /// What the source said where it was no address; kept, encrypted, for the fallback.
    pub address_text: Option<String>,
    /// Whether the address can be mailed.
    pub reason: AddressReason,
    /// The language tag, see [`parse_locale`].
    pub locale: Option<String>,
    /// The region whose law applies, as the source names it.
    pub region: Option<String>,
    /// Whom the notice speaks to.
    pub addressee: Addressee,
    /// The name in the salutation; the neutral one is used where it is absent.
    pub name: Option<Name>,
    /// The source had a name and it may not stand in a notice.
    pub name_refused: bool,
    /// Merge fields that passed their type, by name.
    pub fields: BTreeMap<String, String>,
    /// Merge fields, `locale` and `region`, whose value was absent (merge fields) or refused.
    pub refused: BTreeSet<String>,
    /// When the source's address was last changed, as the source knows it.
    pub address_changed_at: Option<Timestamp>,
    /// The address before that change, as the source knows it. Where the seal sends the notice there
    /// instead, `address` is the same.
    pub address_before: Option<EmailAddress>,
    /// When the password was last changed, as the source knows it.
    pub password_changed_at: Option<Timestamp>,
    /// The day the address was last proved to be the person's.
    pub last_verified_on: Option<Date>,
}

/// Why bytes are no canonical row. Never holds their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The first byte is no version this build knows.
    #[error(
        "the sealed row has version {0}, this build reads 1 and 2; hint: a newer forthwith wrote it"
    )]
    Version(u8),
    /// The bytes end inside the named part.
    #[error("the sealed row ends inside its part `{0}`")]
    Truncated(&'static str),
    /// The named part does not read as what it is.
    #[error("the part `{0}` of the sealed row does not read as one")]
    Part(&'static str),
    /// Bytes follow the last part, or the row would be written in other bytes.
    #[error("the sealed row is not in its canonical form")]
    NotCanonical,
}

impl Recipient {
    /// The exact bytes a seal leaf is hashed over, and the plain text of the encrypted row.
    ///
    /// The version byte, 1, or 2 where there is part 15; then these parts, each with its length in bytes before it (8 bytes,
    /// big-endian). All parts are UTF-8 text; an absent value is an empty part:
    ///
    /// 1. account
    /// 2. address, the domain as lower-cased A-label
    /// 3. `address_text`
    /// 4. the address reason's word
    /// 5. locale
    /// 6. region
    /// 7. the addressee's word
    /// 8. name
    /// 9. `name_refused`: `1`, or empty
    /// 10. `address_changed_at`: RFC 3339 in UTC with `Z`, the fraction without trailing zeros
    /// 11. `password_changed_at`, likewise
    /// 12. `last_verified_on`: `YYYY-MM-DD`
    /// 13. the number of merge fields in decimal, then for each, ordered by the bytes of its
    ///     name: its name, its value
    /// 14. the number of refused columns in decimal, then, in the same order, their names
    /// 15. in version 2 only, and then never empty: `address_before`, like the address
    pub fn canonical(&self) -> Vec<u8> {
        let instant = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
        // A row without the newer part keeps the bytes, and so the leaf, that earlier seals gave it.
        let with_before = self.address_before.is_some();
        // the lengths of its parts take 112 bytes, and most people no more than as many again
        let mut row = Vec::with_capacity(256);
        row.push(if with_before { WITH_ADDRESS_BEFORE } else { VERSION });
        push(&mut row, self.account.as_str());
        push(&mut row, self.address.as_ref().map_or("", EmailAddress::as_str));
        push(&mut row, self.address_text.as_deref().unwrap_or_default());
        push(&mut row, self.reason.word());
        push(&mut row, self.locale.as_deref().unwrap_or_default());
        push(&mut row, self.region.as_deref().unwrap_or_default());
        push(&mut row, self.addressee.word());
        push(&mut row, self.name.as_ref().map_or("", Name::as_str));
        push(&mut row, if self.name_refused { "1" } else { "" });
        push(&mut row, &instant(self.address_changed_at));
        push(&mut row, &instant(self.password_changed_at));
        push(&mut row, &self.last_verified_on.map(|on| on.to_string()).unwrap_or_default());
        push(&mut row, &self.fields.len().to_string());
        for (name, value) in &self.fields {
            push(&mut row, name);
            push(&mut row, value);
        }
        push(&mut row, &self.refused.len().to_string());
        for name in &self.refused {
            push(&mut row, name);
        }
        if let Some(before) = &self.address_before {
            push(&mut row, before.as_str());
        }
        row
    }

    /// Whether the address this row's notice goes to was put there at or after an instant, as far as the
    /// source knows. An address from before the change was not.
    pub fn moved_since(&self, from: Timestamp) -> bool {
        self.address_changed_at.is_some_and(|at| at >= from)
            && (self.address.is_none() || self.address != self.address_before)
    }

    /// Reads [`Recipient::canonical`] back.
    ///
    /// Names and addresses are taken as they were sealed: the bytes are vouched for by the leaf
    /// and the encryption, and a rule made stricter later must not make a seal unreadable.
    pub fn decode(row: &[u8]) -> Result<Self, DecodeError> {
        let (&version, rest) = row.split_first().ok_or(DecodeError::Truncated("version"))?;
        if !(VERSION..=WITH_ADDRESS_BEFORE).contains(&version) {
            return Err(DecodeError::Version(version));
        }
        let mut parts = Parts(rest);
        let mut recipient = Self {
            account: AccountRef(parts.filled("account")?.into()),
            address: parts.read("address", EmailAddress::from_sealed)?,
            address_text: parts.read("address_text", |text| Some(text.into()))?,
            reason: parts.word("reason", AddressReason::parse)?,
            locale: parts.read("locale", |text| Some(text.into()))?,
            region: parts.read("region", |text| Some(text.into()))?,
            addressee: parts.word("addressee", Addressee::parse)?,
            name: parts.read("name", |text| Some(Name::from_sealed(text)))?,
            name_refused: parts.read("name_refused", |text| (text == "1").then_some(()))?.is_some(),
            address_changed_at: parts.read("address_changed_at", |text| text.parse().ok())?,
            password_changed_at: parts.read("password_changed_at", |text| text.parse().ok())?,
            last_verified_on: parts.read("last_verified_on", |text| text.parse().ok())?,
            fields: parts.list("fields", |parts| {
                Ok((parts.filled("field name")?.into(), parts.text("field value")?.into()))
            })?,
            refused: parts.list("refused", |parts| Ok(parts.filled("refused name")?.into()))?,
            address_before: None,
        };
        if version == WITH_ADDRESS_BEFORE {
            recipient.address_before = parts.read("address_before", EmailAddress::from_sealed)?;
        }
        // one row has one form: no second set of bytes may read as the same person
        if !parts.0.is_empty() || recipient.canonical() != row {
            return Err(DecodeError::NotCanonical);
        }
        Ok(recipient)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient")
            .field("address", &self.address)
            .field("reason", &self.reason)
            .field("locale", &self.locale)
            .field("addressee", &self.addressee)
            .field("named", &self.name.is_some())
            .field("fields", &self.fields.keys())
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

fn push(row: &mut Vec<u8>, part: &str) {
    row.extend_from_slice(&(part.len() as u64).to_be_bytes());
    row.extend_from_slice(part.as_bytes());
}

/// What is still to be read of a row.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn text(&mut self, part: &'static str) -> Result<&'a str, DecodeError> {
        let cut = || DecodeError::Truncated(part);
        let (length, rest) = self.0.split_first_chunk::<8>().ok_or_else(cut)?;
        let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| cut())?;
        let (bytes, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
        self.0 = rest;
        std::str::from_utf8(bytes).map_err(|_| DecodeError::Part(part))
    }

    /// A part that is never empty.
    fn filled(&mut self, part: &'static str) -> Result<&'a str, DecodeError> {
        self.text(part)
            .and_then(|text| if text.is_empty() { Err(DecodeError::Part(part)) } else { Ok(text) })
    }

    /// A part that is absent where it is empty.
    fn read<T>(
        &mut self,
        part: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, DecodeError> {
        match self.text(part)? {
            "" => Ok(None),
            text => parse(text).map(Some).ok_or(DecodeError::Part(part)),
        }
    }

    /// A part that is one of a few words.
    fn word<T>(
        &mut self,
        part: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, DecodeError> {
        parse(self.text(part)?).ok_or(DecodeError::Part(part))
    }

    /// A count, then as many items.
    fn list<T, C: FromIterator<T>>(
        &mut self,
        part: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<C, DecodeError> {
        let count: u64 = self.word(part, |text| text.parse().ok())?;
        (0..count).map(|_| item(self)).collect()
    }
}

#[cfg(test)]
mod tests;
