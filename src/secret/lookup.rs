//! Keyed digests that rows are found by without their plain text: addresses, accounts, tokens.
//!
//! All under the digest key, each with its own label, so that no digest of one sort can be
//! mistaken for another's. It must not canonicalise anything: it digests what it is given.

use std::fmt;

use super::digest::{Digest, LpBuilder, MacKey};
use super::keys::{Key, KeyPurpose};

/// The look-up digest of an address in its canonical form, cut to 16 bytes.
pub fn address_digest(digest_key: &Key, canonical_address: &str) -> [u8; 16] {
    labelled(digest_key, "address", &[canonical_address.as_bytes()]).truncated()
}

/// The look-up digest of an account reference (its exact bytes) in the directory of that name, cut
/// to 16 bytes.
pub fn account_digest(digest_key: &Key, directory: &str, account: &[u8]) -> [u8; 16] {
    labelled(digest_key, "account", &[directory.as_bytes(), account]).truncated()
}

/// The look-up digests of one directory's people, with everything that is the same for all of them hashed
/// already.
#[derive(Clone)]
pub struct Lookups {
    accounts: MacKey,
    addresses: MacKey,
}

impl Lookups {
    /// Those under the digest key, for accounts of the directory of that name.
    pub fn new(digest_key: &Key, directory: &str) -> Self {
        let key = digest_key.mac_key(KeyPurpose::Digest);
        Self {
            accounts: key.after(&LpBuilder::new().lp(b"account").lp(directory.as_bytes()).finish()),
            addresses: key.after(&LpBuilder::new().lp(b"address").finish()),
        }
    }

    /// What [`account_digest`] gives.
    pub fn account(&self, account: &[u8]) -> [u8; 16] {
        self.accounts.mac(&[&(account.len() as u64).to_be_bytes(), account]).truncated()
    }

    /// What [`address_digest`] gives.
    pub fn address(&self, canonical_address: &str) -> [u8; 16] {
        let address = canonical_address.as_bytes();
        self.addresses.mac(&[&(address.len() as u64).to_be_bytes(), address]).truncated()
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookups(redacted)")
    }
}

/// The stored digest of a reset token's whole text.
pub fn token_digest(digest_key: &Key, token: &str) -> Digest {
    labelled(digest_key, "token", &[token.as_bytes()])
}

fn labelled(digest_key: &Key, label: &str, fields: &[&[u8]]) -> Digest {
    let message = fields
        .iter()
        .fold(LpBuilder::new().lp(label.as_bytes()), |message, field| message.lp(field));
    digest_key.mac(KeyPurpose::Digest, &[&message.finish()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::keys::fixed_key;

    #[test]
    fn the_digests_never_change() {
        let key = fixed_key(KeyPurpose::Digest);
        assert_eq!(
            hex::encode(address_digest(&key, "a@b.example")),
            "54266b4b2bb8d4445237fc33ad3ba4f7"
        );
        assert_eq!(
            hex::encode(account_digest(&key, "main", b"user-17")),
            "b1480694653b30961c9a8fb579289502"
        );
        assert_eq!(
            token_digest(&key, "a@b.example").to_string(),
            "ea5d82a03b7762c99265483d32c3f257fb3994c63800f12943cefbede014caf4"
        );
    }

    #[test]
    fn what_is_hashed_beforehand_changes_no_digest() {
        let key = fixed_key(KeyPurpose::Digest);
        let lookups = Lookups::new(&key, "main");
        for text in ["", "user-17", "a@b.example"] {
            assert_eq!(
                lookups.account(text.as_bytes()),
                account_digest(&key, "main", text.as_bytes())
            );
            assert_eq!(lookups.address(text), address_digest(&key, text));
        }
        assert_eq!(format!("{lookups:?}"), "Lookups(redacted)");
    }

    #[test]
    fn each_sort_and_each_directory_has_its_own_digests() {
        let key = fixed_key(KeyPurpose::Digest);
        assert_ne!(address_digest(&key, "x"), token_digest(&key, "x").truncated());
        assert_ne!(account_digest(&key, "a", b"x"), account_digest(&key, "b", b"x"));
        assert_ne!(account_digest(&key, "ab", b"c"), account_digest(&key, "a", b"bc"));
    }
}
