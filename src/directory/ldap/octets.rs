//! Values as octets and as text. LDAP's passwords are octets, mostly text; one that is none, in Latin-1
//! for instance, is carried in a text that no value looks like.

use crate::secret::replacement::SecretValue;

/// Before octets in hex; a character that nobody's keyboard has.
const MARK: char = '\u{f8ff}';

/// The value of these octets.
pub(super) fn value(octets: Vec<u8>) -> SecretValue {
    SecretValue::new(match String::from_utf8(octets) {
        Ok(text) if !text.starts_with(MARK) => text,
        Ok(text) => format!("{MARK}{}", hex::encode(text)),
        Err(other) => format!("{MARK}{}", hex::encode(other.into_bytes())),
    })
}

/// The octets of a value.
pub(super) fn octets(value: &SecretValue) -> Vec<u8> {
    let text = value.expose();
    let marked = text.strip_prefix(MARK).and_then(|digits| hex::decode(digits).ok());
    marked.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// Octets as a filter takes them, every one escaped.
pub(super) fn escaped(octets: &[u8]) -> String {
    use std::fmt::Write as _;
    octets.iter().fold(String::with_capacity(octets.len() * 3), |mut text, octet| {
        // Writing to a String cannot fail.
        let _ = write!(text, "\\{octet:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_as_it_was() {
        for octet in
            [&b"{SSHA}abc"[..], b"", b"p\xe4sswort", "päss".as_bytes(), "\u{f8ff}61".as_bytes()]
        {
            let value = value(octet.to_vec());
            assert_eq!(octets(&value), octet);
        }
        assert_ne!(value(b"a".to_vec()), value("\u{f8ff}61".into()));
        assert_eq!(escaped(b"a*)"), "\\61\\2a\\29");
    }
}
