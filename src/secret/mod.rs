//! Cryptography, all of it: digests, MACs, keys, encryption, tokens, passwords and signatures.
//!
//! Nothing outside this module names a cryptographic primitive. It must not know any store, mail
//! or directory, and reads no file but its own key files ([`keyring`]). Randomness is handed in.

pub mod base32;
pub mod breached;
pub mod campaign_key;
pub mod code;
pub mod database;
pub mod digest;
pub mod directory;
pub mod key_file;
pub mod keyring;
pub mod keys;
pub mod lookup;
pub mod mail;
pub mod password;
pub mod person;
pub mod relay;
pub mod replacement;
pub mod secret_file;
pub mod signing;
pub mod token;
pub mod visit;
pub mod webhook;
mod xchacha;

pub use campaign_key::{Aad, CampaignKey, CampaignKeyError};
pub use digest::{Digest, Sha256Stream, sha256};
pub use key_file::KeyError;
pub use keyring::Keyring;
pub use keys::{Key, KeyId, KeyPurpose};
pub use password::{Params, Password, PasswordError};
pub use person::RowSalt;
pub use signing::{OperatorKey, PublicKey, SealedOperatorKey, Signature, SigningError};
pub use token::{PlainToken, TokenError};
