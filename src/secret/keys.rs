//! One long-lived key: its purpose, its id and its fingerprint.
//!
//! It must not know what is derived from a key, where it is kept
//! ([`keyring`](super::keyring)), nor the table that fingerprints are compared with.

use std::fmt;
use std::str::FromStr;

use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::digest::{Digest, LpBuilder, MacKey, sha256};

const ID_ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// What a key is for. A key is never used for two things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyPurpose {
    /// Wraps the random key of each campaign.
    Data,
    /// Keyed digests of addresses, accounts, tokens and codes.
    Digest,
    /// Reset tokens.
    Token,
    /// Message-ID, MIME boundary, envelope sender and reference number.
    Mail,
    /// Checkpoints of the ledger.
    Ledger,
    /// Sessions and forms of the portal.
    Portal,
}

impl KeyPurpose {
    /// Every purpose, in the order they are shown in.
    pub const ALL: [Self; 6] =
        [Self::Data, Self::Digest, Self::Token, Self::Mail, Self::Ledger, Self::Portal];

    /// The word in the key file and in the file's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Digest => "digest",
            Self::Token => "token",
            Self::Mail => "mail",
            Self::Ledger => "ledger",
            Self::Portal => "portal",
        }
    }

    /// The name of this purpose's file, `<purpose>.key`.
    pub fn file_name(self) -> String {
        format!("{}.key", self.as_str())
    }

    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for KeyPurpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key's short public name: two characters of the base64url alphabet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; 2]);

/// The text is not two characters of the base64url alphabet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id is two characters of A-Z, a-z, 0-9, - and _")]
pub struct KeyIdError;

impl KeyId {
    fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut drawn = [0; 2];
        rng.fill_bytes(&mut drawn);
        Self(drawn.map(|byte| ID_ALPHABET[usize::from(byte % 64)]))
    }

    /// The two characters as bytes.
    pub const fn as_bytes(&self) -> &[u8; 2] {
        &self.0
    }

    /// The id in its stored form.
    pub fn from_bytes(bytes: [u8; 2]) -> Result<Self, KeyIdError> {
        if bytes.iter().all(|byte| ID_ALPHABET.contains(byte)) {
            Ok(Self(bytes))
        } else {
            Err(KeyIdError)
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", char::from(self.0[0]), char::from(self.0[1]))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = KeyIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_bytes(text.as_bytes().try_into().map_err(|_| KeyIdError)?)
    }
}

impl TryFrom<String> for KeyId {
    type Error = KeyIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}

/// One key of 256 bits with its purpose and id; wiped from memory when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Key {
    #[zeroize(skip)]
    purpose: KeyPurpose,
    #[zeroize(skip)]
    id: KeyId,
    bytes: [u8; 32],
    /// Ready for the several identifiers of each message; wipes itself.
    #[zeroize(skip)]
    mac: MacKey,
}

impl Key {
    /// Draws a new key with a new id.
    pub fn generate(purpose: KeyPurpose, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let id = KeyId::random(rng);
        let mut bytes = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut bytes[..]);
        Self::from_parts(purpose, id, *bytes)
    }

    /// What the key is for.
    pub const fn purpose(&self) -> KeyPurpose {
        self.purpose
    }

    /// The key's short public name.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// 32 hexadecimal digits that tell this key from any other and reveal nothing of it.
    pub fn fingerprint(&self) -> String {
        let labelled = LpBuilder::new()
            .lp(b"forthwith key fingerprint v1")
            .lp(self.purpose.as_str().as_bytes());
        hex::encode(sha256(&Zeroizing::new(labelled.raw(&self.bytes).finish())[..]).truncated())
    }

    /// HMAC-SHA-256 under this key. `purpose` is what the caller believes the key to be for.
    pub(super) fn mac(&self, purpose: KeyPurpose, parts: &[&[u8]]) -> Digest {
        debug_assert_eq!(self.purpose, purpose, "a key of another purpose was handed in");
        self.mac.mac(parts)
    }

    /// This key made ready for many messages.
    pub(super) fn mac_key(&self, purpose: KeyPurpose) -> MacKey {
        debug_assert_eq!(self.purpose, purpose, "a key of another purpose was handed in");
        self.mac.clone()
    }

    /// A key read from where it is kept.
    pub(super) fn from_parts(purpose: KeyPurpose, id: KeyId, bytes: [u8; 32]) -> Self {
        Self { purpose, id, bytes, mac: MacKey::new(&bytes) }
    }

    pub(super) const fn secret(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {}, redacted)", self.purpose, self.id)
    }
}

/// A key that is the same in every run, for tests that pin what is derived under it.
#[cfg(test)]
pub(crate) fn fixed_key(purpose: KeyPurpose) -> Key {
    Key::from_parts(purpose, KeyId(*b"k7"), [7; 32])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn the_fingerprint_depends_on_purpose_and_key_and_stays_the_same() {
        let token = fixed_key(KeyPurpose::Token);
        assert_eq!(token.fingerprint(), "0e8e850b59b240bdc71c902338c16c7e");
        assert_ne!(token.fingerprint(), fixed_key(KeyPurpose::Mail).fingerprint());
        let other = Key::from_parts(KeyPurpose::Token, token.id(), [8; 32]);
        assert_ne!(token.fingerprint(), other.fingerprint());
    }

    #[test]
    fn a_key_id_is_two_characters_of_its_alphabet() {
        assert_eq!("-_".parse::<KeyId>().unwrap().to_string(), "-_");
        for bad in ["", "a", "abc", "a b", "a+", "é"] {
            assert_eq!(bad.parse::<KeyId>(), Err(KeyIdError), "{bad:?}");
        }
    }

    #[test]
    fn new_keys_differ_and_debug_does_not_show_them() {
        let rng = &mut StdRng::seed_from_u64(1);
        let (one, two) =
            (Key::generate(KeyPurpose::Mail, rng), Key::generate(KeyPurpose::Mail, rng));
        assert_ne!(one.secret(), two.secret());
        assert_eq!(format!("{one:?}"), format!("Key(mail {}, redacted)", one.id()));
    }
}
