//! Email addresses: parsed once at the border, masked wherever they could be printed.
//!
//! The grammar is RFC 5321 §4.1.2 with the UTF-8 of RFC 6531, less what no customer database
//! means: address literals, quoted white space, hosts without a dot.

mod domain_list;
mod form;
mod reason;
mod role;

use std::fmt;

pub use self::domain_list::{DomainList, DomainListError};
pub use self::reason::{AddressFacts, AddressReason};
use super::field::{is_bidi, is_control};

/// The longest local part, in octets (RFC 5321 §4.5.3.1.1).
const LOCAL_OCTETS: usize = 64;
/// The longest address, in octets: a path of 256 less its two angle brackets (§4.5.3.1.3).
const ADDRESS_OCTETS: usize = 254;
/// The longest label of a domain, in octets (RFC 1035 §2.3.4).
const LABEL_OCTETS: usize = 63;

/// Why a text is no usable address. Never holds the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AddressError {
    /// Nothing but white space.
    #[error("the address is empty")]
    Empty,
    /// White space inside, also between quotes.
    #[error("the address holds white space")]
    Space,
    /// A control, invisible or direction-changing character.
    #[error("the address holds a control, invisible or direction-changing character")]
    Control,
    /// `Ada <ada@example.com>`: a name or angle brackets around an address.
    #[error("angle brackets or a name stand around the address")]
    Wrapped,
    /// `mailto:ada@example.com`.
    #[error("`mailto:` stands before the address")]
    Mailto,
    /// More than one address, parted by commas, semicolons, slashes or white space.
    #[error("more than one address stands here")]
    Several,
    /// `@relay.example:ada@example.com`, obsolete since RFC 5321.
    #[error("a route stands before the address")]
    Route,
    /// `ada(work)@example.com`: comments belong into headers (RFC 5322 §3.2.2).
    #[error("the address holds a comment in parentheses")]
    Comment,
    /// A full-width or small at sign where the `@` should be.
    #[error("a look-alike stands in place of the @")]
    LookAlike,
    /// No `@`.
    #[error("the address has no @")]
    NoAt,
    /// Nothing before the `@`.
    #[error("nothing stands before the @")]
    LocalEmpty,
    /// More than 64 octets before the `@`.
    #[error("more than 64 octets stand before the @")]
    LocalTooLong,
    /// Neither a dot-atom nor a quoted string.
    #[error("what stands before the @ is neither a dot-atom nor a quoted string (RFC 5321)")]
    LocalSyntax,
    /// `[192.0.2.1]` in place of a domain.
    #[error("an address literal stands in place of a domain")]
    AddressLiteral,
    /// A domain that ends in a dot.
    #[error("the domain ends in a dot")]
    TrailingDot,
    /// A host without a dot, such as `localhost`.
    #[error("the domain has no dot")]
    NoDot,
    /// No host name by the rules of IDNA and letters-digits-hyphen.
    #[error("the domain is no host name")]
    DomainSyntax,
    /// More than 254 octets in all, counted with the domain's A-label.
    #[error("the address is longer than 254 octets")]
    TooLong,
}

/// An address that can be mailed. `Display` and `Debug` are masked, `a***@e***.com`; whoever
/// needs it in full says so with [`EmailAddress::as_str`]. Two are equal only byte for byte;
/// whether they are one mailbox is asked of [`EmailAddress::canonical`].
#[derive(Clone, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct EmailAddress {
    full: String,
    at: usize,
}

impl EmailAddress {
    /// Reads an address. White space around it is dropped, the local part kept byte for byte,
    /// the domain kept as lower-cased A-label.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if let Some(plain) = Self::plain(text) {
            return Ok(plain);
        }
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if let Some(error) = form::more_than_an_address(text) {
            return Err(error);
        }
        if text.contains(char::is_whitespace) {
            return Err(AddressError::Space);
        }
        if text.chars().any(|c| is_control(c) || is_bidi(c)) {
            return Err(AddressError::Control);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::NoAt)?;
        check_local(local)?;
        let domain = ascii_domain(domain)?;
        let full = format!("{local}@{domain}");
        if full.len() > ADDRESS_OCTETS {
            return Err(AddressError::TooLong);
        }
        Ok(Self { full, at: local.len() })
    }

    /// An address of ASCII letters, digits and the signs of a dot-atom, as nearly all are: read in one pass.
    /// `None` says nothing; whatever is unusual is read by all the rules.
    fn plain(text: &str) -> Option<Self> {
        let (local, domain) = text.split_once('@')?;
        let fits = !local.is_empty()
            && local.len() <= LOCAL_OCTETS
            && text.len() <= ADDRESS_OCTETS
            && is_dotted(local, |b| b.is_ascii() && is_atext(char::from(b)))
            && is_dotted(domain, |b| b.is_ascii_alphanumeric() || b == b'-');
        // `--` may be the mark of a coded label, which has rules of its own
        if !fits || domain.contains("--") {
            return None;
        }
        let mut labels = 0;
        let is_label = |label: &str| {
            labels += 1;
            label.len() <= LABEL_OCTETS && !label.starts_with('-') && !label.ends_with('-')
        };
        let last = domain.rsplit('.').next()?;
        if !domain.split('.').all(is_label)
            || labels < 2
            || last.bytes().all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let mut full = String::with_capacity(text.len());
        full.push_str(text);
        full[local.len()..].make_ascii_lowercase();
        Some(Self { full, at: local.len() })
    }

    /// The address a seal holds: it passed when it was sealed, and later rules must not unread it.
    pub(super) fn from_sealed(text: &str) -> Option<Self> {
        let at = text.rfind('@').filter(|at| *at > 0 && at + 1 < text.len())?;
        Some(Self { full: text.into(), at })
    }

    /// The whole address in clear, its domain as A-label: for the envelope, the encrypted column
    /// and keyed digests.
    pub fn as_str(&self) -> &str {
        &self.full
    }

    /// What stands before the `@`, as it was given, quotes included.
    pub fn local_part(&self) -> &str {
        &self.full[..self.at]
    }

    /// The domain as lower-cased A-label.
    pub fn domain(&self) -> &str {
        &self.full[self.at + 1..]
    }

    /// The domain for people's eyes: U-labels where it has them.
    pub fn display_domain(&self) -> String {
        match idna::domain_to_unicode(self.domain()) {
            (unicode, Ok(())) => unicode,
            (_, Err(_)) => self.domain().into(),
        }
    }

    /// The form look-ups and keyed digests are taken of: the domain as lower-cased A-label and the
    /// local part with its ASCII letters lower-cased.
    ///
    /// RFC 5321 lets a host tell `Ada` from `ada`; none that we mail does, while exports and
    /// bounces change the case at will. Other letters stay as they are, since their lower case
    /// depends on the language; dots and `+tags` stay, since only some providers ignore them.
    pub fn canonical(&self) -> String {
        let mut canonical = self.full.clone();
        canonical[..self.at].make_ascii_lowercase();
        canonical
    }

    /// Whether it belongs to a role (`info@`, `postmaster@`) and so to whoever holds it, rather than to
    /// one person: the local part up to a `+`, by the list of `config/roles.txt`.
    pub fn is_role(&self) -> bool {
        role::is_role(self.local_part())
    }

    /// Whether only a relay with SMTPUTF8 (RFC 6531) can carry it. A domain never needs that.
    pub fn needs_smtputf8(&self) -> bool {
        !self.local_part().is_ascii()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = |text: &str| text.chars().find(|c| c.is_alphanumeric()).map(String::from);
        let local = first(self.local_part()).unwrap_or_default();
        let (name, last) = self.domain().rsplit_once('.').unwrap_or((self.domain(), ""));
        write!(f, "{local}***@{}***.{last}", first(name).unwrap_or_default())
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for EmailAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

fn check_local(local: &str) -> Result<(), AddressError> {
    if local.is_empty() {
        return Err(AddressError::LocalEmpty);
    }
    if local.len() > LOCAL_OCTETS {
        return Err(AddressError::LocalTooLong);
    }
    let fits = match local.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').is_some_and(is_quoted_content),
        None => local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext)),
    };
    if fits { Ok(()) } else { Err(AddressError::LocalSyntax) }
}

/// Whether a text is of such bytes, with single dots between some of them.
fn is_dotted(text: &str, fits: impl Fn(u8) -> bool) -> bool {
    let mut before = b'.';
    let is_fit = text.bytes().all(|byte| {
        let is_fit = if byte == b'.' { before != b'.' } else { fits(byte) };
        before = byte;
        is_fit
    });
    is_fit && before != b'.'
}

/// RFC 5322 §3.2.3 atext, with the UTF-8 of RFC 6531.
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
}

/// What may stand between the quotes: every quote and backslash has a backslash before it.
fn is_quoted_content(content: &str) -> bool {
    let mut escaped = false;
    for c in content.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return false,
            _ => {}
        }
    }
    !escaped && !content.is_empty()
}

fn ascii_domain(domain: &str) -> Result<String, AddressError> {
    if domain.starts_with('[') {
        return Err(AddressError::AddressLiteral);
    }
    let domain = idna::domain_to_ascii(domain).map_err(|_| AddressError::DomainSyntax)?;
    if domain.ends_with('.') {
        return Err(AddressError::TrailingDot);
    }
    let is_label = |label: &str| {
        (1..=LABEL_OCTETS).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if !domain.split('.').all(is_label) {
        return Err(AddressError::DomainSyntax);
    }
    let (_, last) = domain.rsplit_once('.').ok_or(AddressError::NoDot)?;
    // an all-numeric last label is an IPv4 address, not a host name (RFC 3696 §2)
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddressError::DomainSyntax);
    }
    Ok(domain)
}

#[cfg(test)]
mod tests;
