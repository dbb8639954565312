//! SHA-256, HMAC-SHA-256, HKDF-SHA-256 and the one length-prefixed encoding they are fed with.
//!
//! Knows bytes only: what a digest stands for is said by the label its caller puts first.

use std::fmt;
use std::str::FromStr;

use hkdf::{Hkdf, HmacImpl};
use hmac::Hmac;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// The longest output of one HKDF-SHA-256 expansion, in bytes (RFC 5869 §2.3).
pub const HKDF_MAX: usize = 255 * 32;

/// What can be wrong with a digest in text, or with a derivation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// The text is not 64 hexadecimal digits.
    #[error("a digest is 64 hexadecimal digits")]
    NotHex,
    /// More bytes were asked for than one expansion gives.
    #[error("cannot derive {0} bytes at once, HKDF-SHA-256 gives at most {HKDF_MAX}")]
    TooLong(usize),
}

/// A 256-bit digest or MAC. Its text form, also in serde, is lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// A digest computed elsewhere, such as one read from a database column.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 16 bytes, for look-ups where 128 bits are enough.
    pub fn truncated(&self) -> [u8; 16] {
        let mut out = [0; 16];
        out.copy_from_slice(&self.0[..16]);
        out
    }

    /// Equality in constant time: for a MAC that came from outside. Plain `==` is for digests of
    /// data that both sides may know.
    pub fn matches(&self, other: &Self) -> bool {
        equal_in_constant_time(&self.0, &other.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Into an array: a person of each ledger line passes here.
        let mut digits = [0; 64];
        hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError::NotHex)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Compares two MACs without telling by its running time where they differ; lengths are public.
pub fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// SHA-256 over bytes that come in pieces.
#[derive(Debug, Clone, Default)]
pub struct Sha256Stream(Sha256);

impl Sha256Stream {
    /// A stream that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything read.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Builds the byte strings that are hashed, signed or bound as associated data. Fields of
/// variable length carry their length, so no two different lists of fields give the same bytes.
#[derive(Debug, Clone)]
pub struct LpBuilder(Vec<u8>);

impl Default for LpBuilder {
    fn default() -> Self {
        // most of these strings fit: they are built millions of times
        Self(Vec::with_capacity(96))
    }
}

impl LpBuilder {
    /// An empty string.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `lp(bytes)`: the length as 8 bytes, big-endian, then the bytes.
    #[must_use]
    pub fn lp(mut self, bytes: &[u8]) -> Self {
        // usize is at most 64 bits on every platform Rust has
        self.0.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds `lp` of a number written as 8 bytes, big-endian.
    #[must_use]
    pub fn lp_number(self, number: u64) -> Self {
        self.lp(&number.to_be_bytes())
    }

    /// Adds a number as 8 bytes, big-endian, without a length.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Adds bytes as they are: for labels and for fields of fixed length.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The finished string.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// `lp(bytes)` alone: an 8-byte big-endian length, then the bytes.
pub fn lp(bytes: &[u8]) -> Vec<u8> {
    LpBuilder::new().lp(bytes).finish()
}

/// HMAC-SHA-256 over the parts as if they were one string; whoever calls makes them unambiguous.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Digest {
    MacKey::new(key).mac(parts)
}

/// HKDF-SHA-256 (RFC 5869) without salt: fills `out` from `key` for the purpose in `info`.
pub fn hkdf_sha256(key: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), DigestError> {
    Expander::new(key).fill(info, out)
}

/// An HMAC key whose padding is already hashed, for keys used millions of times.
#[derive(Clone)]
pub(crate) struct MacKey(Hmac<Sha256>);

impl MacKey {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(HmacImpl::new_from_slice(key))
    }

    /// The same key, every message of which begins with these bytes.
    pub(crate) fn after(&self, beginning: &[u8]) -> Self {
        let mut mac = self.0.clone();
        HmacImpl::update(&mut mac, beginning);
        Self(mac)
    }

    pub(crate) fn mac(&self, parts: &[&[u8]]) -> Digest {
        let mut mac = self.0.clone();
        for part in parts {
            HmacImpl::update(&mut mac, part);
        }
        Digest(HmacImpl::finalize(mac).into())
    }
}

/// HKDF after its extract step, for keys that many sub-keys are drawn from.
#[derive(Clone)]
pub(crate) struct Expander(Hkdf<Sha256>);

impl Expander {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(Hkdf::new(None, key))
    }

    pub(crate) fn fill(&self, info: &[u8], out: &mut [u8]) -> Result<(), DigestError> {
        self.0.expand(info, out).map_err(|_| DigestError::TooLong(out.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_gives_the_published_digest_whole_and_in_pieces() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc").to_string(), known);
        let mut stream = Sha256Stream::new();
        stream.update(b"a");
        stream.update(b"bc");
        assert_eq!(stream.finish().to_string(), known);
    }

    #[test]
    fn hmac_gives_the_rfc_4231_value_however_the_message_is_cut() {
        let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hmac_sha256(b"Jefe", &[b"what do ya want for nothing?"]).to_string(), known);
        assert_eq!(
            hmac_sha256(b"Jefe", &[b"what do ya ", b"", b"want for nothing?"]).to_string(),
            known
        );
    }

    #[test]
    fn hkdf_gives_the_rfc_5869_value_without_salt() {
        let mut out = [0; 42];
        hkdf_sha256(&[0x0b; 22], b"", &mut out).unwrap();
        assert_eq!(
            hex::encode(out),
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
        );
    }

    #[test]
    fn hkdf_refuses_more_than_one_expansion_gives() {
        let mut out = vec![0; HKDF_MAX + 1];
        assert_eq!(hkdf_sha256(b"key", b"", &mut out), Err(DigestError::TooLong(HKDF_MAX + 1)));
        assert_eq!(hkdf_sha256(b"key", b"", &mut out[..HKDF_MAX]), Ok(()));
    }

    #[test]
    fn a_length_before_each_field_keeps_neighbours_apart() {
        assert_eq!(lp(b"ab"), [0, 0, 0, 0, 0, 0, 0, 2, b'a', b'b']);
        assert_ne!(
            LpBuilder::new().lp(b"ab").lp(b"c").finish(),
            LpBuilder::new().lp(b"a").lp(b"bc").finish()
        );
        assert_eq!(LpBuilder::new().lp_number(7).finish(), lp(&7u64.to_be_bytes()));
        assert_eq!(LpBuilder::new().number(7).raw(b"x").finish(), [0, 0, 0, 0, 0, 0, 0, 7, b'x']);
    }

    #[test]
    fn a_digest_is_hex_in_text_and_in_json() {
        let digest = sha256(b"abc");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        for bad in ["", "ba78", &"g".repeat(64), &"0".repeat(66)] {
            assert_eq!(bad.parse::<Digest>(), Err(DigestError::NotHex), "{bad:?}");
        }
        assert!(serde_json::from_str::<Digest>("\"00\"").is_err());
    }

    #[test]
    fn constant_time_equality_agrees_with_plain_equality() {
        let digest = sha256(b"abc");
        let mut other = *digest.as_bytes();
        other[31] ^= 1;
        assert!(digest.matches(&sha256(b"abc")));
        assert!(!digest.matches(&Digest::from_bytes(other)));
        assert!(!equal_in_constant_time(b"abc", b"ab"));
        assert_eq!(digest.truncated()[..], digest.as_bytes()[..16]);
    }
}
