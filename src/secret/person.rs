//! How a person appears in a seal and in the ledger: under a salt of their own row.
//!
//! Dropping the salt makes both digests meaningless, which is how erasure is honoured without
//! breaking a tree. It must not know what a canonical row holds.

use std::fmt;

use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::digest::{Digest, LpBuilder, Sha256Stream, hmac_sha256};

/// The 128-bit salt of one sealed row. It is kept as secret as the row: with it, an account can be
/// found in the ledger by trying.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct RowSalt([u8; 16]);

impl RowSalt {
    /// Draws a new salt.
    pub fn random(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut salt = Self([0; 16]);
        rng.fill_bytes(&mut salt.0);
        salt
    }

    /// A salt read from where it is kept.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The raw bytes, for storing.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for RowSalt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RowSalt(redacted)")
    }
}

/// The person's name in the ledger: `HMAC(salt, 'person' ‖ lp(account))`. `account` is the exact
/// bytes of the account reference.
pub fn person(salt: &RowSalt, account: &[u8]) -> Digest {
    hmac_sha256(&salt.0, &[&LpBuilder::new().raw(b"person").lp(account).finish()])
}

/// The leaf hash of a sealed row: `SHA-256(0x00 ‖ salt ‖ canonical row)`, 0x00 being what RFC 6962
/// §2.1 puts before every leaf.
pub fn leaf_hash(salt: &RowSalt, canonical_row: &[u8]) -> Digest {
    let mut stream = Sha256Stream::new();
    stream.update(&[0]);
    stream.update(&salt.0);
    stream.update(canonical_row);
    stream.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    #[test]
    fn a_person_and_a_leaf_never_change() {
        let salt = RowSalt::from_bytes([5; 16]);
        assert_eq!(
            person(&salt, b"user-17").to_string(),
            "4453e53d7b2af7bcbd46e0b4d3701605bc9bcf268e8def87e0013a9d288797a9"
        );
        assert_eq!(
            leaf_hash(&salt, b"user-17|a@b.example").to_string(),
            "325bd52eff9a52b5956500b356303c68f3d5430be68e4252118649ee29d896f1"
        );
    }

    #[test]
    fn another_salt_or_account_gives_another_person() {
        let rng = &mut StdRng::seed_from_u64(1);
        let (one, two) = (RowSalt::random(rng), RowSalt::random(rng));
        assert_ne!(one, two);
        assert_ne!(person(&one, b"a"), person(&two, b"a"));
        assert_ne!(person(&one, b"a"), person(&one, b"b"));
        assert_ne!(leaf_hash(&one, b"a"), leaf_hash(&two, b"a"));
    }

    #[test]
    fn a_salt_does_not_show_itself() {
        assert_eq!(format!("{:?}", RowSalt::from_bytes([5; 16])), "RowSalt(redacted)");
    }
}
