//! An address in the one form that may stand in an SMTP command or a header.
//!
//! Only the syntax that keeps commands and headers whole is judged here; whether anybody reads
//! mail there is not.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address whose domain is ASCII; the local part may hold UTF-8 (RFC 6531). Display and Debug
/// mask it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    text: String,
    at: usize,
}

/// Why a text cannot be used as an address. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressFault {
    /// There is no `@` with something on both sides.
    #[error("the address has no local part or no domain")]
    Halves,
    /// The local part is neither plain words and dots nor a quoted string.
    #[error("the address's local part has a character that must not stand there")]
    LocalPart,
    /// The domain is neither ASCII labels nor an address literal.
    #[error(
        "the address's domain is no ASCII domain; hint: internationalised domains go in as A-labels"
    )]
    Domain,
    /// Longer than RFC 5321 §4.5.3.1 lets through (64 before the `@`, 254 in all), in octets.
    #[error("the address is longer than mail can carry")]
    TooLong,
}

impl Mailbox {
    /// The address in clear.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What stands before the `@`.
    pub fn local_part(&self) -> &str {
        &self.text[..self.at]
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }

    /// Whether the address can only be carried with SMTPUTF8.
    pub fn needs_smtputf8(&self) -> bool {
        !self.text.is_ascii()
    }
}

impl FromStr for Mailbox {
    type Err = AddressFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let at = text.rfind('@').ok_or(AddressFault::Halves)?;
        let (local, domain) = (&text[..at], &text[at + 1..]);
        if local.is_empty() || domain.is_empty() {
            return Err(AddressFault::Halves);
        }
        if local.len() > 64 || text.len() > 254 {
            return Err(AddressFault::TooLong);
        }
        if !is_local_part(local) {
            return Err(AddressFault::LocalPart);
        }
        if !is_domain(domain) {
            return Err(AddressFault::Domain);
        }
        Ok(Self { text: text.into(), at })
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = |text: &str| text.chars().next().unwrap_or('*');
        let last =
            self.domain().rsplit('.').next().filter(|label| label.len() < self.domain().len());
        write!(f, "{}***@{}***", head(self.local_part()), head(self.domain()))?;
        last.map_or(Ok(()), |label| write!(f, ".{label}"))
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Dots and atoms, or a quoted string (RFC 5321 §4.1.2). Dots may lie anywhere: some providers
/// gave out such addresses, and the relay is the one to judge them.
fn is_local_part(local: &str) -> bool {
    if let Some(inner) = local.strip_prefix('"') {
        let Some(inner) = inner.strip_suffix('"') else {
            return false;
        };
        let mut escaped = false;
        for c in inner.chars() {
            if c.is_control() || (c == '"' && !escaped) {
                return false;
            }
            escaped = c == '\\' && !escaped;
        }
        return !escaped;
    }
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    local.chars().all(|c| atom(c) || (!c.is_ascii() && !c.is_control() && !c.is_whitespace()))
}

/// ASCII labels (underscores let through, some hosts have them) or a literal of an IP address.
fn is_domain(domain: &str) -> bool {
    if let Some(literal) = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match literal.strip_prefix("IPv6:") {
            Some(six) => six.parse::<Ipv6Addr>().is_ok(),
            None => literal.parse::<Ipv4Addr>().is_ok(),
        };
    }
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    domain.split('.').all(|label| (1..=63).contains(&label.len()) && label.bytes().all(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_mail_can_carry_are_taken() {
        for text in [
            "ann@example.com",
            "a+b=c@x.example",
            "a..b@docomo.example",
            "\"a b\"@example.com",
            "\"a@b\\\"c\"@example.com",
            "ann@localhost",
            "ann@[192.0.2.1]",
            "ann@[IPv6:2001:db8::1]",
            "ann@xn--bcher-kva.example",
            "émile@example.com",
        ] {
            let mailbox: Mailbox = text.parse().unwrap();
            assert_eq!(format!("{}@{}", mailbox.local_part(), mailbox.domain()), text);
            assert_eq!(mailbox.needs_smtputf8(), text.starts_with('é'));
        }
    }

    #[test]
    fn nothing_that_could_break_a_command_or_a_header_is_taken() {
        for (text, fault) in [
            ("ann", AddressFault::Halves),
            ("@example.com", AddressFault::Halves),
            ("ann@", AddressFault::Halves),
            ("ann@example.com>\r\nRCPT TO:<eve@example.com", AddressFault::LocalPart),
            ("ann\r\nDATA@example.com", AddressFault::LocalPart),
            ("<ann@example.com>", AddressFault::LocalPart),
            ("a b@example.com", AddressFault::LocalPart),
            ("\"a\r\nb\"@example.com", AddressFault::LocalPart),
            ("\"a\"b\"@example.com", AddressFault::LocalPart),
            ("\"a\\\"@example.com", AddressFault::LocalPart),
            ("\"@example.com", AddressFault::LocalPart),
            ("a\u{85}b@example.com", AddressFault::LocalPart),
            ("ann@exa mple.com", AddressFault::Domain),
            ("ann@example..com", AddressFault::Domain),
            ("ann@bücher.example", AddressFault::Domain),
            ("ann@[300.0.0.1]", AddressFault::Domain),
            ("ann@example.com\0", AddressFault::Domain),
        ] {
            assert_eq!(text.parse::<Mailbox>(), Err(fault), "{text:?}");
        }
        let long = format!("{}@example.com", "a".repeat(65));
        assert_eq!(long.parse::<Mailbox>(), Err(AddressFault::TooLong));
    }

    #[test]
    fn an_address_prints_masked() {
        let mailbox: Mailbox = "ann@example.com".parse().unwrap();
        assert_eq!(mailbox.to_string(), "a***@e***.com");
        assert_eq!(format!("{mailbox:?}"), "a***@e***.com");
        assert_eq!("ann@localhost".parse::<Mailbox>().unwrap().to_string(), "a***@l***");
    }
}
