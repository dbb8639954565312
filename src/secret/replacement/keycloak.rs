//! What Keycloak tells of a stored password. Its hash never leaves the server, so that a password is known by
//! when it was made and by the label beside it: both are set anew with every password, and stay when
//! Keycloak hashes the same one again at a log-in (`PasswordCredentialProvider` of Keycloak 26).

use super::SecretValue;

/// How [`Version::shown`] begins.
const MARK: &str = "keycloak:";
/// How our own labels begin.
const LABEL: &str = "forthwith-";
/// Bytes drawn for a label.
const DRAWN: usize = 16;
/// The furthest that a replacement is made later than what it replaces, in milliseconds.
const FURTHEST: u16 = 1_000;

/// A stored password, as far as Keycloak tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// When it was made, in milliseconds since 1970; 0 where Keycloak does not know.
    pub created: i64,
    /// The label beside it; empty where there is none.
    pub label: String,
}

impl Version {
    /// A version in one text, as it is compared.
    pub fn shown(&self) -> SecretValue {
        SecretValue::new(format!("{MARK}{}:{}", self.created, self.label))
    }

    /// Reads what [`Self::shown`] made.
    pub fn parse(text: &str) -> Option<Self> {
        let (created, label) = text.strip_prefix(MARK)?.split_once(':')?;
        Some(Self { created: created.parse().ok()?, label: label.to_owned() })
    }

    /// The version that replaces this one: made a little later, since the time of somebody's own password
    /// must go on telling when they set it; under a label that nobody can know before.
    pub(super) fn next(&self, derive: &mut dyn FnMut(&mut [u8])) -> Self {
        let mut drawn = [0; DRAWN];
        derive(&mut drawn);
        let mut later = [0; 2];
        derive(&mut later);
        let later = 1 + i64::from(u16::from_be_bytes(later) % FURTHEST);
        Self { created: self.created.saturating_add(later), ..Self::labelled(0, &drawn) }
    }

    /// A version of ours with a label of these bytes.
    pub fn labelled(created: i64, bytes: &[u8]) -> Self {
        Self { created, label: format!("{LABEL}{}", hex::encode(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Scheme, UnknownScheme, forge_as};
    use super::*;

    #[test]
    fn a_version_comes_back_whatever_its_label() {
        for label in ["", "my: password", "keycloak:1:"] {
            let version = Version { created: 1_700_000_000_123, label: label.to_owned() };
            assert_eq!(Version::parse(version.shown().expose()), Some(version));
        }
        for text in ["", "keycloak:", "keycloak:x:", "keycloak:1", "1:x"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_replacement_is_the_same_for_the_same_bytes_and_never_what_it_replaces() {
        let forged = |text: &str, seed: u8| {
            forge_as(Scheme::Keycloak, text, &mut |out| out.fill(seed))
                .map(|made| made.expose().to_owned())
        };
        let now = "keycloak:1700000000123:my password";
        let made = forged(now, 7).unwrap();
        assert_eq!(made, forged(now, 7).unwrap());
        assert_ne!(made, forged(now, 8).unwrap());
        assert_ne!(made, now);
        let version = Version::parse(&made).unwrap();
        assert!((1..=1_000).contains(&(version.created - 1_700_000_000_123)), "{made}");
        assert_ne!(forged(&made, 7).unwrap(), made, "not even from the same bytes");
        assert_eq!(forged("$2b$12$x", 7), Err(UnknownScheme::Value { length: 8 }));
        let elsewhere = forged(super::super::KEPT_ELSEWHERE, 7);
        assert_eq!(elsewhere, Err(UnknownScheme::Elsewhere));
    }
}
