//! The forms in which companies' own log-in pages read a password that somebody else hashed.
//!
//! Everything here computes for tens to hundreds of milliseconds and blocks, like the rest of this module.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::{CryptoRng, RngExt as _};
use serde::{Deserialize, Serialize};
use sha2::Sha384;
use zeroize::Zeroizing;

use super::{Params, Password, PasswordError, hash, keycloak};
use crate::secret::replacement::SecretValue;

/// Cost of bcrypt: 2^12 rounds.
const BCRYPT_COST: u32 = 12;
/// bcrypt reads 72 bytes, a closing zero among them, and no log-in page should take half a password for a whole
/// one.
const BCRYPT_BYTES: usize = 71;
/// Django 5.2's own `PBKDF2PasswordHasher.iterations`.
const DJANGO_ITERATIONS: u32 = 1_000_000;
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// How a new password is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PasswordForm {
    /// A PHC string, `$argon2id$…`.
    #[default]
    Argon2id,
    /// Django's `argon2$argon2id$…`; its site needs `argon2-cffi`.
    DjangoArgon2,
    /// Django's `pbkdf2_sha256$…`, which every Django site reads.
    DjangoPbkdf2,
    /// `$2y$…`: Laravel, Devise, PHP's `password_verify`, `WordPress` before 6.8.
    Bcrypt,
    /// `$wp$2y$…`, as `WordPress` writes it from 6.8 on.
    Wordpress,
    /// `{ARGON2}$argon2id$…`, which `OpenLDAP` reads with its module `argon2`.
    LdapArgon2,
    /// `{CRYPT}$2y$…`, which LDAP servers read wherever the system's crypt(3) knows bcrypt.
    LdapCrypt,
    /// The two texts that Keycloak keeps of a password, with Argon2id: from Keycloak 25 on, but not in its FIPS mode.
    KeycloakArgon2,
    /// The same with PBKDF2-HMAC-SHA-512, which every Keycloak reads.
    KeycloakPbkdf2,
}

impl PasswordForm {
    /// The most bytes of a password that this form reads, where there is a bound of its own.
    pub const fn longest(self) -> Option<usize> {
        match self {
            Self::Bcrypt | Self::LdapCrypt => Some(BCRYPT_BYTES),
            _ => None,
        }
    }

    /// Whether it is one of LDAP's, with the word of its scheme before it: without one an LDAP server
    /// takes a hash for a password in clear.
    pub const fn is_for_ldap(self) -> bool {
        matches!(self, Self::LdapArgon2 | Self::LdapCrypt)
    }

    /// Whether it is one of Keycloak's.
    pub const fn is_for_keycloak(self) -> bool {
        matches!(self, Self::KeycloakArgon2 | Self::KeycloakPbkdf2)
    }

    /// Hashes a password; `params` are those of Argon2id, where it is used.
    pub fn hash(
        self,
        password: &Password,
        params: Params,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<SecretValue, PasswordError> {
        let text = match self {
            Self::Argon2id => hash(password, params, rng)?,
            Self::DjangoArgon2 => format!("argon2{}", hash(password, params, rng)?),
            Self::DjangoPbkdf2 => django_pbkdf2(password, rng),
            Self::Bcrypt => bcrypt(password.expose().as_bytes(), rng)?,
            Self::LdapArgon2 => format!("{{ARGON2}}{}", hash(password, params, rng)?),
            Self::LdapCrypt => format!("{{CRYPT}}{}", bcrypt(password.expose().as_bytes(), rng)?),
            Self::Wordpress => {
                let text = wordpress(password.expose().as_bytes())?;
                format!("$wp{}", bcrypt(text.as_bytes(), rng)?)
            }
            Self::KeycloakArgon2 => keycloak::argon2(password, params, rng)?,
            Self::KeycloakPbkdf2 => keycloak::pbkdf2(password, rng),
        };
        Ok(SecretValue::new(text))
    }
}

fn bcrypt(password: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> Result<String, PasswordError> {
    let mut salt = [0; 16];
    rng.fill_bytes(&mut salt);
    let made = bcrypt::non_truncating_hash_with_salt(password, BCRYPT_COST, salt);
    let parts = made.map_err(|_| PasswordError::TooLong { most: BCRYPT_BYTES })?;
    Ok(parts.format_for_version(bcrypt::Version::TwoY))
}

/// What `WordPress` 6.8 gives to bcrypt instead of the password, so that its length does not matter:
/// base64 of HMAC-SHA-384 under the key `wp-sha384`, of the password without white space around it.
pub(super) fn wordpress(password: &[u8]) -> Result<Zeroizing<String>, PasswordError> {
    let is_around = |byte: &u8| b" \t\n\r\0\x0b".contains(byte);
    let from = password.iter().position(|byte| !is_around(byte)).unwrap_or(password.len());
    let until = password.iter().rposition(|byte| !is_around(byte)).map_or(from, |last| last + 1);
    let mut mac =
        Hmac::<Sha384>::new_from_slice(b"wp-sha384").map_err(|_| PasswordError::StoredForm)?;
    mac.update(&password[from..until]);
    Ok(Zeroizing::new(STANDARD.encode(mac.finalize().into_bytes())))
}

fn django_pbkdf2(password: &Password, rng: &mut (impl CryptoRng + ?Sized)) -> String {
    let salt: String =
        (0..22).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect();
    let mut out = Zeroizing::new([0; 32]);
    let rounds = std::num::NonZeroU32::new(DJANGO_ITERATIONS).unwrap_or(std::num::NonZeroU32::MIN);
    let text = password.expose().as_bytes();
    ring::pbkdf2::derive(
        ring::pbkdf2::PBKDF2_HMAC_SHA256,
        rounds,
        salt.as_bytes(),
        text,
        &mut *out,
    );
    format!("pbkdf2_sha256${DJANGO_ITERATIONS}${salt}${}", STANDARD.encode(*out))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::secret::replacement::scheme_name;

    fn made(form: PasswordForm, text: &str) -> Result<SecretValue, PasswordError> {
        let params = Params::new(8, 1, 1).unwrap();
        form.hash(&Password::new(text.to_owned()), params, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn each_form_is_one_that_a_kill_knows_again() {
        for (form, scheme, start) in [
            (PasswordForm::Argon2id, "argon2id", "$argon2id$v=19$"),
            (PasswordForm::DjangoArgon2, "django argon2", "argon2$argon2id$v=19$"),
            (PasswordForm::DjangoPbkdf2, "django pbkdf2", "pbkdf2_sha256$1000000$"),
            (PasswordForm::Bcrypt, "bcrypt", "$2y$12$"),
            (PasswordForm::Wordpress, "wordpress bcrypt", "$wp$2y$12$"),
            (PasswordForm::LdapArgon2, "argon2id", "{ARGON2}$argon2id$v=19$"),
            (PasswordForm::LdapCrypt, "bcrypt", "{CRYPT}$2y$12$"),
        ] {
            let value = made(form, "a word and another").unwrap();
            assert_eq!(scheme_name(value.expose()), scheme);
            assert!(value.expose().starts_with(start), "{form:?}");
        }
    }

    #[test]
    fn bcrypt_refuses_what_it_would_cut() {
        assert!(made(PasswordForm::Bcrypt, &"a".repeat(71)).is_ok());
        let refused = made(PasswordForm::Bcrypt, &"ä".repeat(36)).unwrap_err();
        assert_eq!(refused, PasswordError::TooLong { most: 71 });
        assert!(made(PasswordForm::Wordpress, &"ä".repeat(100)).is_ok());
        assert_eq!(PasswordForm::Bcrypt.longest(), Some(71));
    }
}
