//! Whether a password is the one behind a value that a company's log-in page made, whatever its form: asked when
//! somebody chooses a new one, so that the stolen one is not chosen again.
//!
//! Every cost stands in the stored value, which is not ours: what asks for more than the bounds here is not
//! computed.

use argon2::{Algorithm, Argon2, Version};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use md5::{Digest as _, Md5};
use ring::{digest, pbkdf2};
use zeroize::Zeroizing;

use super::{Params, Password, form};
use crate::secret::digest::equal_in_constant_time;

/// The most that bcrypt may cost: 2^14 rounds, about a second.
const BCRYPT_MOST: u32 = 14;
/// The most rounds of PBKDF2, about a second.
const PBKDF2_MOST: u32 = 2_000_000;
/// The most that phpass may cost: 2^18 rounds.
const PHPASS_MOST: usize = 18;
/// phpass's own order of letters.
const PHPASS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Takes padding or leaves it, and bits that an encoder left behind the last byte.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Whether a password is the one behind a stored value; nothing where its form or its cost is not one that is
/// compared with here ([`is_checkable`]). Blocks for as long as a log-in takes.
pub fn is_behind(stored: &str, password: &Password) -> Option<bool> {
    Some(Stored::read(stored)?.fits(password.expose().as_bytes()))
}

/// Whether passwords can be compared with a stored value: Argon2, bcrypt, PBKDF2, phpass, and plain digests with
/// their salt beside them, as Django, Devise, Laravel, `WordPress`, Werkzeug, passlib, Spring and LDAP write them.
pub fn is_checkable(stored: &str) -> bool {
    Stored::read(stored).is_some()
}

/// A stored value taken apart.
enum Stored<'a> {
    Argon2 {
        algorithm: Algorithm,
        version: Version,
        params: Params,
        salt: Vec<u8>,
        known: Vec<u8>,
    },
    Bcrypt {
        before: Before,
        text: &'a str,
    },
    Pbkdf2 {
        algorithm: pbkdf2::Algorithm,
        rounds: std::num::NonZeroU32,
        salt: Vec<u8>,
        known: Vec<u8>,
    },
    Phpass {
        cost: usize,
        salt: &'a [u8],
        known: &'a [u8],
    },
    Digest {
        sort: Sort,
        before: &'a [u8],
        after: Vec<u8>,
        known: Vec<u8>,
    },
}

/// What bcrypt is given.
#[derive(Clone, Copy)]
enum Before {
    /// The password.
    Itself,
    /// Its SHA-256 in hex, as Django does.
    Sha256,
    /// What `WordPress` makes of it.
    Wordpress,
}

#[derive(Clone, Copy)]
enum Sort {
    Md5,
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl<'a> Stored<'a> {
    fn read(stored: &'a str) -> Option<Self> {
        if let Some((word, rest)) = stored.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            return Self::behind_word(&word.to_ascii_lowercase(), rest);
        }
        match stored.split_once('$') {
            Some(("", rest)) => Self::modular(stored, rest),
            Some((name, rest)) => Self::named(name, rest),
            None => hex_digest(b"", stored),
        }
    }

    /// LDAP's and Spring's word before the value.
    fn behind_word(word: &str, rest: &'a str) -> Option<Self> {
        let digest = |sort: Sort, is_salted: bool| {
            let mut known = LENIENT.decode(rest).ok()?;
            if known.len() < sort.length() {
                return None;
            }
            let after = known.split_off(sort.length());
            (after.is_empty() != is_salted).then_some(Self::Digest {
                sort,
                before: b"",
                after,
                known,
            })
        };
        match word {
            "md5" => digest(Sort::Md5, false),
            "smd5" => digest(Sort::Md5, true),
            "sha" => digest(Sort::Sha1, false),
            "ssha" => digest(Sort::Sha1, true),
            "sha256" => digest(Sort::Sha256, false),
            "ssha256" => digest(Sort::Sha256, true),
            "sha384" => digest(Sort::Sha384, false),
            "ssha384" => digest(Sort::Sha384, true),
            "sha512" | "sha-512" => digest(Sort::Sha512, false),
            "ssha512" | "ssha-512" => digest(Sort::Sha512, true),
            _ if word == "pbkdf2" || word.starts_with("pbkdf2-") => {
                let [rounds, salt, known] = parts(rest)?;
                pbkdf2(word, rounds, ab64(salt)?, ab64(known)?)
            }
            _ => Self::modular(rest, rest.strip_prefix('$')?),
        }
    }

    /// `$id$…`.
    fn modular(whole: &'a str, rest: &'a str) -> Option<Self> {
        let (id, tail) = rest.split_once('$')?;
        match id {
            "argon2id" => argon2(Algorithm::Argon2id, tail),
            "argon2i" => argon2(Algorithm::Argon2i, tail),
            "argon2d" => argon2(Algorithm::Argon2d, tail),
            "2a" | "2b" | "2y" => bcrypt(Before::Itself, whole),
            "wp" => bcrypt(Before::Wordpress, &whole["$wp".len()..]),
            "P" | "H" => phpass(tail),
            _ if id == "pbkdf2" || id.starts_with("pbkdf2-") => {
                let [rounds, salt, known] = parts(tail)?;
                let rounds =
                    rounds.split(',').find_map(|one| one.strip_prefix("i=")).unwrap_or(rounds);
                pbkdf2(id, rounds, ab64(salt)?, ab64(known)?)
            }
            _ => None,
        }
    }

    /// `name$…`, as Django and Werkzeug write it.
    fn named(name: &str, rest: &'a str) -> Option<Self> {
        match name {
            "argon2" => Self::modular(rest, rest),
            "bcrypt" => bcrypt(Before::Itself, rest),
            "bcrypt_sha256" => bcrypt(Before::Sha256, rest),
            "sha1" | "md5" => {
                let [salt, known] = parts(rest)?;
                hex_digest(salt.as_bytes(), known)
            }
            _ if name.starts_with("pbkdf2_") => {
                let [rounds, salt, known] = parts(rest)?;
                pbkdf2(name, rounds, salt.into(), LENIENT.decode(known).ok()?)
            }
            _ => {
                let [hash, rounds] =
                    name.strip_prefix("pbkdf2:")?.split(':').collect::<Vec<_>>()[..]
                else {
                    return None;
                };
                let [salt, known] = parts(rest)?;
                pbkdf2(hash, rounds, salt.into(), hex::decode(known).ok()?)
            }
        }
    }

    fn fits(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2 { algorithm, version, params, salt, known } => {
                let Ok(params) = params.to_argon2(known.len()) else { return false };
                let mut made = Zeroizing::new(vec![0; known.len()]);
                let hasher = Argon2::new(*algorithm, *version, params);
                hasher.hash_password_into(password, salt, &mut made).is_ok()
                    && equal_in_constant_time(&made, known)
            }
            Self::Bcrypt { before, text } => {
                let given = match before {
                    Before::Itself => Zeroizing::new(password.to_vec()),
                    Before::Sha256 => {
                        let digest = digest::digest(&digest::SHA256, password);
                        Zeroizing::new(hex::encode(digest).into_bytes())
                    }
                    Before::Wordpress => match form::wordpress(password) {
                        Ok(text) => Zeroizing::new(text.as_bytes().to_vec()),
                        Err(_) => return false,
                    },
                };
                bcrypt::verify(&*given, text).unwrap_or(false)
            }
            Self::Pbkdf2 { algorithm, rounds, salt, known } => {
                pbkdf2::verify(*algorithm, *rounds, salt, password, known).is_ok()
            }
            Self::Phpass { cost, salt, known } => {
                equal_in_constant_time(&phpass_of(*cost, salt, password), known)
            }
            Self::Digest { sort, before, after, known } => {
                let whole = Zeroizing::new([before, password, after].concat());
                equal_in_constant_time(&sort.of(&whole), known)
            }
        }
    }
}

impl Sort {
    const fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    fn of(self, bytes: &[u8]) -> Vec<u8> {
        let algorithm = match self {
            Self::Md5 => return Md5::digest(bytes).to_vec(),
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(algorithm, bytes).as_ref().to_vec()
    }
}

/// So many parts between `$`, no more and no fewer.
fn parts<const N: usize>(text: &str) -> Option<[&str; N]> {
    text.split('$').collect::<Vec<_>>().try_into().ok()
}

/// Base64 that passlib writes with a dot for the plus sign.
fn ab64(text: &str) -> Option<Vec<u8>> {
    LENIENT.decode(text.replace('.', "+")).ok()
}

/// `[v=…$]m=…,t=…,p=…$salt$digest`.
fn argon2<'a>(algorithm: Algorithm, tail: &str) -> Option<Stored<'a>> {
    let (version, tail) = match tail.strip_prefix("v=") {
        Some(tail) => tail.split_once('$')?,
        None => ("16", tail),
    };
    let version = match version {
        "16" => Version::V0x10,
        "19" => Version::V0x13,
        _ => return None,
    };
    let [cost, salt, known] = parts(tail)?;
    let of = |name: &str| {
        let mut all = cost.split(',').filter_map(|one| one.strip_prefix(name));
        all.next()?.parse::<u32>().ok()
    };
    let params = Params::new(of("m=")?, of("t=")?, of("p=")?).ok()?;
    let (salt, known) = (LENIENT.decode(salt).ok()?, LENIENT.decode(known).ok()?);
    (known.len() >= 16).then_some(Stored::Argon2 { algorithm, version, params, salt, known })
}

/// `$2b$12$…`.
fn bcrypt(before: Before, text: &str) -> Option<Stored<'_>> {
    let [_, id, cost, tail] = parts(text)?;
    let is_known = matches!(id, "2a" | "2b" | "2y") && tail.len() == 53;
    let cost: u32 = cost.parse().ok()?;
    (is_known && (4..=BCRYPT_MOST).contains(&cost)).then_some(Stored::Bcrypt { before, text })
}

/// `name` says which hash it is made of; SHA-1 where it says nothing.
fn pbkdf2<'a>(name: &str, rounds: &str, salt: Vec<u8>, known: Vec<u8>) -> Option<Stored<'a>> {
    let algorithm = match name.trim_start_matches("pbkdf2").trim_start_matches(['-', '_']) {
        "" | "sha1" => pbkdf2::PBKDF2_HMAC_SHA1,
        "sha256" => pbkdf2::PBKDF2_HMAC_SHA256,
        "sha384" => pbkdf2::PBKDF2_HMAC_SHA384,
        "sha512" => pbkdf2::PBKDF2_HMAC_SHA512,
        _ => return None,
    };
    let rounds =
        rounds.parse().ok().filter(|rounds: &std::num::NonZeroU32| rounds.get() <= PBKDF2_MOST)?;
    (known.len() >= 16).then_some(Stored::Pbkdf2 { algorithm, rounds, salt, known })
}

/// One letter of cost, eight of salt, 22 of digest.
fn phpass(tail: &str) -> Option<Stored<'_>> {
    let tail = tail.as_bytes();
    let (cost, rest) = tail.split_first()?;
    let cost = PHPASS.iter().position(|letter| letter == cost)?;
    let (salt, known) = rest.split_at_checked(8)?;
    (known.len() == 22 && (7..=PHPASS_MOST).contains(&cost)).then_some(Stored::Phpass {
        cost,
        salt,
        known,
    })
}

fn phpass_of(cost: usize, salt: &[u8], password: &[u8]) -> Vec<u8> {
    let mut made = Md5::new().chain_update(salt).chain_update(password).finalize();
    for _ in 0..1_u64 << cost {
        made = Md5::new().chain_update(made).chain_update(password).finalize();
    }
    let mut text = Vec::with_capacity(22);
    for three in made.chunks(3) {
        // its letters take the low bits first
        let bits = three.iter().rev().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        text.extend((0..=three.len()).map(|at| PHPASS[bits >> (6 * at) & 63]));
    }
    text
}

/// A digest in hex by its length, of a salt and the password.
fn hex_digest<'a>(before: &'a [u8], known: &str) -> Option<Stored<'a>> {
    let known = hex::decode(known).ok()?;
    let all = [Sort::Md5, Sort::Sha1, Sort::Sha256, Sort::Sha384, Sort::Sha512];
    let sort = all.into_iter().find(|sort| sort.length() == known.len())?;
    Some(Stored::Digest { sort, before, after: Vec::new(), known })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::secret::password::PasswordForm;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    /// Values of other systems' own making, with the password behind each.
    const KNOWN: &[(&str, &str)] = &[
        ("café au lait", "pbkdf2_sha256$1000$seasalt$w7zErs0MNnGIcVebgPuLn1QQSgzd9SCTYdRCFkEcd0w="),
        ("café au lait", "pbkdf2_sha1$1000$seasalt2$Px4LFlWMFfgiWrtCF8SryjIkvJs="),
        (
            "café au lait",
            "argon2$argon2id$v=19$m=64,t=1,p=2$c29tZXNhbHRmb3JkamFuZ28$KAv8vFKfmn75QOlnPln4Xx5M2guGsGPcPsVjNl/z11Q",
        ),
        (
            "café au lait",
            "bcrypt_sha256$$2b$04$57iItbzDXKlFJy5Fixd7b.kmGM7.5xeBBUSichuqEqiLWUuQy0NHC",
        ),
        ("café au lait", "bcrypt$$2b$04$fI3eEYvEVdHmgEtN3mFe5uVw.VdRSD2nfFnYI7n7151GaazZM6Zh2"),
        ("café au lait", "md5$seasalt$fd4e36c57b7b9759286c441793cc0b9e"),
        ("café au lait", "sha1$a1976$7387383d27867538c66be8fa34a21dff99ac5221"),
        ("café au lait", "{bcrypt}$2a$04$mb.qBVJZnucfm1xwbYvMM.EQWmxa7hdnXjZzgVlIkKs4YPgfatCba"),
        ("café au lait", "{CRYPT}$2y$04$mb.qBVJZnucfm1xwbYvMM.EQWmxa7hdnXjZzgVlIkKs4YPgfatCba"),
        ("café au lait", "$wp$2y$04$GlMUx4HGKzB6MXU./Na41OxMxIX0LsaiQTxODeLr.SDfH/rWtV6km"),
        (
            "café au lait",
            "$argon2i$v=19$m=64,t=1,p=1$j9+7QrLxKCXO6OYW+4GCwA$SxeKpZiz6f+E2W4kHJRWLk3onz5mPfT3AjC0eLn5WsM",
        ),
        (
            "café au lait",
            "$argon2d$v=19$m=64,t=1,p=1$HJJqY8Rr5yIg6hsPWvS8Zg$0vpEfuOIRy6a2mGcIKVNgOQnC/b2P0UGXijZTTtSQIM",
        ),
        (
            "café au lait",
            "$argon2id$v=19$m=64,t=1,p=1$w4pJJuTPQKgExrvUkEYV+A$lgv1gyONNeLN45waTWjRKtW+S/2WwfCgSe7Pq74iYV0",
        ),
        (
            "café au lait",
            "$argon2i$v=16$m=64,t=1,p=1$c2l4dGVlbiBieXRlcyBzbw$uh8uKCxgEEqI+S/CSUlAWJFtg7KxaUTs",
        ),
        (
            "café au lait",
            "{ARGON2}$argon2id$v=19$m=64,t=1,p=1$Z+c8XcRlrCW81ampd1o4tw$TtJxBb5In+manAFp/yW54DR3JMy3vx6z07Y7KBNHEgI",
        ),
        ("café au lait", "$pbkdf2$1200$....IHNhbHQgc2FsdA$OlamLeP7lNtDNGvrwBSDbJ0Bh00"),
        (
            "café au lait",
            "$pbkdf2-sha256$1200$....IHNhbHQgc2FsdA$.5Augig.Kt2RPt0T43Ajd2XB7XwXgVI9FBFCWMw4arg",
        ),
        (
            "café au lait",
            "$pbkdf2-sha512$1200$....IHNhbHQgc2FsdA$cbiKsSFplhYvHqgfgUiyanJGi37Fj3G04sJrXEjzPxfe6SDyMff2aU3i60fb43pvo3rlqENKesg2e.DlC2ihgg",
        ),
        (
            "café au lait",
            "$pbkdf2-sha256$i=1200,l=32$++++IHNhbHQgc2FsdA$+5Augig+Kt2RPt0T43Ajd2XB7XwXgVI9FBFCWMw4arg",
        ),
        (
            "café au lait",
            "{PBKDF2-SHA512}1200$....IHNhbHQgc2FsdA$cbiKsSFplhYvHqgfgUiyanJGi37Fj3G04sJrXEjzPxfe6SDyMff2aU3i60fb43pvo3rlqENKesg2e.DlC2ihgg",
        ),
        (
            "café au lait",
            "pbkdf2:sha256:1200$aXb9$65588ba384e004bd58931700124d7553ad25c60afcaba9607eea695250c813ff",
        ),
        ("café au lait", "{SSHA}l34HMorAPhscCIdUqJkIgLnHzBj7774gc2FsdCBzYWx0"),
        ("café au lait", "{SSHA256}GZgbM8RAR2+kGtfgBL61Cms+kLbCE/OxsfxSKTNAhCD7774gc2FsdCBzYWx0"),
        (
            "café au lait",
            "{SSHA512}0moxwlxT62zScFbr+Ep2GERMqfHTnxfPp0xYqp7Z8+MzhgXmNuNHRCKdtxRG7iUSWtFBt/IbZqq0vXTPAPV3IfvvviBzYWx0IHNhbHQ=",
        ),
        ("café au lait", "{SMD5}z//ENOnKnfymri6E9SZeCPvvviBzYWx0IHNhbHQ="),
        ("café au lait", "{SHA}lsDMDbufZGLVYoFmblksHN/HcJw="),
        ("café au lait", "{MD5}/Fy5p1Xm7BTDO9qNnLRC+g=="),
        (
            "café au lait",
            "{SHA384}2WPYslgUBcLJ8zO+K8+DUCS50hhCaPt6Ec41yiV6LOGzPTmgOn4Z5EdGyIYOXgkn",
        ),
        ("password", "5f4dcc3b5aa765d61d8327deb882cf99"),
        ("password", "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8"),
        ("café au lait", "7c413039fbb2248e2b18b98e7a8d4d85bdcac7cd79b9477a0923f97e3a1f2b50"),
        ("test12345", "$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0"),
        ("test12345", "$H$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0"),
    ];

    #[test]
    fn values_of_other_systems_are_read_as_they_read_them() {
        for (text, stored) in KNOWN {
            assert_eq!(is_behind(stored, &password(text)), Some(true), "{stored}");
            assert_eq!(is_behind(stored, &password("another one")), Some(false), "{stored}");
            assert!(is_checkable(stored));
        }
    }

    #[test]
    fn every_form_that_is_written_here_is_one() {
        let word = password("harbour lantern fig");
        for form in [
            PasswordForm::Argon2id,
            PasswordForm::DjangoArgon2,
            PasswordForm::DjangoPbkdf2,
            PasswordForm::Bcrypt,
            PasswordForm::Wordpress,
            PasswordForm::LdapArgon2,
            PasswordForm::LdapCrypt,
        ] {
            let params = Params::new(8, 1, 1).unwrap();
            let made = form.hash(&word, params, &mut StdRng::seed_from_u64(1)).unwrap();
            assert_eq!(is_behind(made.expose(), &word), Some(true), "{form:?}");
        }
    }

    #[test]
    fn what_costs_too_much_or_is_of_no_known_form_is_not_computed() {
        for stored in [
            "",
            "hunter2",
            "$2b$15$FLnHlmdwV7DRGELvOWHtXeqmvNgwjKAcbxAOCEdB5lBX1HXMyxrHi",
            "$argon2id$v=19$m=4194304,t=3,p=4$gZiV/M1gPc22ElAH/Jh1Hw$CWOrkoo7oJBQ/iyh7uJ0LO2aLEfrHwTWllSAxT0zRno",
            "$argon2id$v=19$m=65536,t=3000,p=4$gZiV/M1gPc22ElAH/Jh1Hw$CWOrkoo7oJBQ/iyh7uJ0LO2aLEfrHwTWllSAxT0zRno",
            "pbkdf2_sha256$900000000$b3WkGQYmTzvzJkQmZ8Tx0A$Q8hKxUXS6bqpSgTUBgrhjBvC3QzT+BqGwQrmRUXK2tY=",
            "$P$SIQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0",
            "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
            "$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.",
            "!unusable",
        ] {
            assert_eq!(is_behind(stored, &password("hunter2")), None, "{stored}");
        }
    }
}
