//! Stored values behind LDAP's word for their scheme, as in `{SSHA}…` (RFC 3112 and what servers made
//! of it). Digest and salt are one run of base64 there, the salt last.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{BASE64, BCRYPT, Ending, Field, Layout, Part};

/// The schemes of one run of base64: their word, the digest's bytes, and whether a salt follows.
const DIGESTS: [(&str, usize, bool); 12] = [
    ("md5", 16, false),
    ("smd5", 16, true),
    ("sha", 20, false),
    ("ssha", 20, true),
    ("sha256", 32, false),
    ("ssha256", 32, true),
    ("sha384", 48, false),
    ("ssha384", 48, true),
    ("sha512", 64, false),
    ("ssha512", 64, true),
    ("sha-512", 64, false),
    ("ssha-512", 64, true),
];

/// DES crypt(3): two characters of salt, eleven of digest.
const DES: usize = 13;

/// The word of a value's scheme, without its braces, and the rest; `None` where it has none.
pub(in crate::secret::replacement) fn word(current: &str) -> Option<(&str, &str)> {
    current.strip_prefix('{')?.split_once('}')
}

/// The layout of a value behind such a word; of what stands there in crypt's or PHC's own form,
/// the caller knows more.
pub(super) fn layout(current: &str) -> Option<Layout> {
    let (word, rest) = word(current)?;
    let word = word.to_ascii_lowercase();
    let body = Part { at: current.len() - rest.len(), text: rest };
    if let Some((_, digest, is_salted)) = DIGESTS.iter().find(|(known, ..)| *known == word) {
        return digest_in_base64(body, *digest, *is_salted);
    }
    match (word.as_str(), body.split('$').as_slice()) {
        ("crypt", _) => des(body),
        (_, [_, salt, digest]) if word == "pbkdf2" || word.starts_with("pbkdf2-") => {
            let fields = vec![salt.base64(true)?, digest.base64_digest(true)?];
            Some(Layout { name: "ldap pbkdf2", fields })
        }
        _ => None,
    }
}

fn digest_in_base64(body: Part<'_>, digest: usize, is_salted: bool) -> Option<Layout> {
    let length = STANDARD.decode(body.text).ok()?.len();
    let fits = if is_salted { length > digest } else { length == digest };
    let bare = Part { text: body.text.trim_end_matches('='), ..body };
    let name = if is_salted { "ldap salted digest" } else { "ldap digest" };
    fits.then(|| Layout { name, fields: vec![bare.field(BASE64, Ending::HighBits)] })
}

fn des(body: Part<'_>) -> Option<Layout> {
    if body.text.len() != DES || !body.is_of(BCRYPT) {
        return None;
    }
    let salt = Part { text: &body.text[..2], ..body };
    let fields: [Field; 2] =
        [salt.field(BCRYPT, Ending::Free), body.from(2).field(BCRYPT, Ending::HighBits)];
    Some(Layout { name: "des-crypt", fields: fields.into() })
}
