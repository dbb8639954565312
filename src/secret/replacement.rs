//! Replacements for stored credential hashes: well-formed in the store's own scheme, known to
//! nobody, never computed as a hash of anything.
//!
//! A scheme is described by where its salt and digest lie in the stored text and which characters
//! they may have; everything else (scheme, version, cost) stays as it is, so that the company's
//! own log-in and reset code goes on working: it parses the value, and no password fits it. Where
//! the bytes come from is the caller's business.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

mod keycloak;
mod layout;

use layout::{last_segment, layout, ldap};

pub use keycloak::Version;

/// A raw credential value. It lives in memory only, is wiped when dropped, shows nothing of
/// itself in Debug, and compares in constant time.
#[derive(Clone)]
pub struct SecretValue(Zeroizing<String>);

impl SecretValue {
    /// Takes a value over.
    pub fn new(value: String) -> Self {
        Self(Zeroizing::new(value))
    }

    /// The value itself; whoever calls this keeps it out of logs, errors and files.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(***)")
    }
}

impl PartialEq for SecretValue {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for SecretValue {}

/// What a directory gives as the value of an account whose password is kept in a store behind it. No stored
/// text begins so.
pub const KEPT_ELSEWHERE: &str = "\0kept elsewhere";

/// A stored value that nothing can be forged for. It carries the length at most, never the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnknownScheme {
    /// It follows no known scheme.
    #[error(
        "a stored value of {length} bytes follows no password scheme known here; hint: where its last \
         part is the digest, set scheme = \"last-segment\" for its kind in the directory's settings"
    )]
    Value {
        /// Length of the stored value in bytes.
        length: usize,
    },
    /// The directory only passes log-ins on.
    #[error(
        "the password is kept in another store behind this directory; hint: a campaign over that store \
         secures it"
    )]
    Elsewhere,
}

/// How a stored value is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Known schemes only; anything else is an error.
    #[default]
    Detect,
    /// As [`Scheme::Detect`]; of an unknown value the letters and digits behind its last
    /// separator (`$ : } | ,` or a space) are replaced, each by one of its own sort.
    LastSegment,
    /// As [`Scheme::Detect`]; a value without the word of a scheme before it (`{SSHA}`) is a password in
    /// clear, as LDAP has it, and is replaced by one in `CLEAR_BECOMES`, whatever it looks like.
    Ldap,
    /// What Keycloak tells of a password instead of its hash ([`Version`]). It comes with the adapter.
    #[serde(skip)]
    Keycloak,
}

/// What replaces a password in clear: the one scheme that every LDAP server reads. Digest and salt are
/// drawn, so that nobody knows a password that fits, however fast the scheme may be tried.
const CLEAR_BECOMES: &str = "{SSHA}";

/// The bytes of digest and salt there.
const SSHA_BYTES: usize = 36;

/// Makes the replacement of a known scheme.
///
/// `derive` fills the slices it is given with the next bytes of one derived stream; the same
/// stream gives the same replacement. Length and parameters stay, and the result never equals
/// `current`.
pub fn forge(
    current: &str,
    derive: &mut dyn FnMut(&mut [u8]),
) -> Result<SecretValue, UnknownScheme> {
    forge_as(Scheme::Detect, current, derive)
}

/// As [`forge`], with the operator's word on values whose scheme is not known.
pub fn forge_as(
    scheme: Scheme,
    current: &str,
    derive: &mut dyn FnMut(&mut [u8]),
) -> Result<SecretValue, UnknownScheme> {
    if current == KEPT_ELSEWHERE {
        return Err(UnknownScheme::Elsewhere);
    }
    let unknown = UnknownScheme::Value { length: current.len() };
    if scheme == Scheme::Keycloak {
        return Version::parse(current).map(|now| now.next(derive).shown()).ok_or(unknown);
    }
    if scheme == Scheme::Ldap && is_in_clear(current) {
        let mut drawn = Zeroizing::new([0; SSHA_BYTES]);
        derive(&mut drawn[..]);
        return Ok(SecretValue::new(format!("{CLEAR_BECOMES}{}", STANDARD.encode(&drawn[..]))));
    }
    let layout = layout(current).or_else(|| match scheme {
        Scheme::Detect | Scheme::Ldap | Scheme::Keycloak => None,
        Scheme::LastSegment => last_segment(current),
    });
    let fields = layout.ok_or(unknown)?.fields;
    let mut forged = Zeroizing::new(current.as_bytes().to_vec());
    for field in &fields {
        let drawn = &mut forged[field.range.clone()];
        derive(drawn);
        field.spell(drawn);
    }
    if *forged == current.as_bytes() {
        // One in 2^96 at the most, but "never" is the promise: turn one character on.
        let digest = fields.last().ok_or(unknown)?;
        let first = &mut forged[digest.range.start];
        let place = digest.alphabet.iter().position(|letter| letter == first).unwrap_or(0);
        *first = digest.alphabet[(place + 1) % digest.alphabet.len()];
    }
    let text = std::str::from_utf8(&forged).map_err(|_| unknown)?;
    Ok(SecretValue::new(text.to_owned()))
}

/// Whether an LDAP server takes the value for the password itself.
fn is_in_clear(current: &str) -> bool {
    ldap::word(current).is_none_or(|(word, _)| word.eq_ignore_ascii_case("cleartext"))
}

/// The name of a stored value's scheme for messages; `unknown` where it has none.
pub fn scheme_name(current: &str) -> &'static str {
    layout(current).map_or("unknown", |layout| layout.name)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::PasswordVerifier;
    use argon2::password_hash::phc::PasswordHash;
    use argon2::{Argon2, PasswordHasher};
    use base64::Engine as _;

    use super::*;

    /// A stream that is the same for the same seed and differs along its way.
    fn stream(seed: u8) -> impl FnMut(&mut [u8]) {
        let mut state = u32::from(seed).wrapping_mul(2_654_435_761).wrapping_add(1);
        move |slice| {
            for byte in slice {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = state.to_be_bytes()[0];
            }
        }
    }

    fn forged(current: &str, seed: u8) -> String {
        forge(current, &mut stream(seed)).unwrap().expose().to_owned()
    }

    /// Scheme, a sample, and the part that must stay as it is (`_` = any character).
    const SAMPLES: &[(&str, &str, &str)] = &[
        (
            "argon2id",
            "$argon2id$v=19$m=65536,t=3,p=4$gZiV/M1gPc22ElAH/Jh1Hw$CWOrkoo7oJBQ/iyh7uJ0LO2aLEfrHwTWllSAxT0zRno",
            "$argon2id$v=19$m=65536,t=3,p=4$______________________$___________________________________________",
        ),
        (
            "argon2i",
            "$argon2i$m=4096,t=3,p=1$c29tZXNhbHQ$iWh06vD8Fy27wf9npn6FXWiCX4K6pW6Ue1Bnzz07Z8A",
            "$argon2i$m=4096,t=3,p=1$___________$___________________________________________",
        ),
        (
            "argon2d",
            "$argon2d$v=19$m=16,t=2,p=1$MTIzNDU2Nzg$6qXsn5s1RXwO1yQIXhlJxg",
            "$argon2d$v=19$m=16,t=2,p=1$___________$______________________",
        ),
        (
            "scrypt",
            "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E",
            "$scrypt$ln=16,r=8,p=1$______________________$___________________________________________",
        ),
        (
            "pbkdf2",
            "$pbkdf2-sha256$i=600000,l=32$NU5ONGd5ZkZQM0RTcGdVQg$3cpwTbVkoTwWWtWkjGzuN46kMvqBIEoXIXvQm0r2lNk",
            "$pbkdf2-sha256$i=600000,l=32$______________________$___________________________________________",
        ),
        (
            "pbkdf2",
            "$pbkdf2-sha256$29000$N2YMIWQsBWBMae09x1jrPQ$1t8iyB2A.WF/Z5JZv.lfCIhXXN33N23OSgQYThBYRfk",
            "$pbkdf2-sha256$29000$______________________$___________________________________________",
        ),
        (
            "django pbkdf2",
            "pbkdf2_sha256$870000$b3WkGQYmTzvzJkQmZ8Tx0A$Q8hKxUXS6bqpSgTUBgrhjBvC3QzT+BqGwQrmRUXK2tY=",
            "pbkdf2_sha256$870000$______________________$___________________________________________=",
        ),
        (
            "django pbkdf2",
            "pbkdf2_sha1$10000$seasalt2$oBOW1dD+GGYaCUXs3ynQ9KzRLN0=",
            "pbkdf2_sha1$10000$________$___________________________=",
        ),
        (
            "django argon2",
            "argon2$argon2id$v=19$m=102400,t=2,p=8$c29tZXNhbHRmb3JkamFuZ28$YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE",
            "argon2$argon2id$v=19$m=102400,t=2,p=8$_______________________$___________________________________________",
        ),
        (
            "django bcrypt",
            "bcrypt_sha256$$2b$12$FLnHlmdwV7DRGELvOWHtXeqmvNgwjKAcbxAOCEdB5lBX1HXMyxrHi",
            "bcrypt_sha256$$2b$12$_____________________________________________________",
        ),
        (
            "django bcrypt",
            "bcrypt$$2b$12$FLnHlmdwV7DRGELvOWHtXeqmvNgwjKAcbxAOCEdB5lBX1HXMyxrHi",
            "bcrypt$$2b$12$_____________________________________________________",
        ),
        (
            "django scrypt",
            "scrypt$16384$seasalt$8$5$ECMIUp+LMxMSK8xB/IVyba+KYGTI7FTnet025q/1f/vBAVnnP3hdYqJuRi+mJn6ji6ze3Fbb7JEFPKGpuEf5vw==",
            "scrypt$16384$_______$8$5$______________________________________________________________________________________==",
        ),
        (
            "bcrypt",
            "$2a$05$LhayLxezLhK1LhWvKxCyLOj0j1u.Kj0jZ0pEmm134uzrQlFvQJLF6",
            "$2a$05$_____________________________________________________",
        ),
        (
            "bcrypt",
            "{bcrypt}$2y$10$LhayLxezLhK1LhWvKxCyLOj0j1u.Kj0jZ0pEmm134uzrQlFvQJLF6",
            "{bcrypt}$2y$10$_____________________________________________________",
        ),
        (
            "wordpress bcrypt",
            "$wp$2y$10$LhayLxezLhK1LhWvKxCyLOj0j1u.Kj0jZ0pEmm134uzrQlFvQJLF6",
            "$wp$2y$10$_____________________________________________________",
        ),
        (
            "sha256-crypt",
            "$5$rounds=10000$saltstringsaltst$3xv.VbSCBX41eDL9L3voZredtBVVMhRSbYyVHcMtkZ2",
            "$5$rounds=10000$________________$___________________________________________",
        ),
        (
            "sha512-crypt",
            "$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.",
            "$6$__________$______________________________________________________________________________________",
        ),
        ("md5-crypt", "$1$3azHgidD$SrJPt7B.9rekpmwJwtON31", "$1$________$______________________"),
        (
            "yescrypt",
            "$y$j9T$LdJMENpBABJJ3hIHjB1Bi.$HboGM6qPrsK.StKYGt6KErmUYtioHreJd98oIugoNB6",
            "$y$j9T$______________________$___________________________________________",
        ),
        ("phpass", "$P$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0", "$P$9______________________________"),
        ("phpass", "$H$9IQRaTwmfeRo7ud9Fh4E2PdI0S3r.L0", "$H$9______________________________"),
        ("hex digest", "5f4dcc3b5aa765d61d8327deb882cf99", "________________________________"),
        (
            "hex digest",
            "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8",
            "________________________________________",
        ),
        (
            "salted hex digest",
            "5f4dcc3b5aa765d61d8327deb882cf99:9fQ",
            "________________________________:___",
        ),
        (
            "salted hex digest",
            "9fQx:5f4dcc3b5aa765d61d8327deb882cf99",
            "____:________________________________",
        ),
        (
            "salted hex digest",
            "9fQx$5f4dcc3b5aa765d61d8327deb882cf99",
            "____$________________________________",
        ),
        (
            "salted hex digest",
            "sha1$a1976$a36cc8cbf81742a8fb52e221aaeab48ed7f58ab4",
            "sha1$_____$________________________________________",
        ),
        (
            "ldap salted digest",
            "{SSHA}af780KSruqc4ODyUNs4cWaw+HRbM+0gn",
            "{SSHA}________________________________",
        ),
        (
            "ldap salted digest",
            "{ssha256}47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUBAgMEBQYHCA==",
            "{ssha256}______________________________________________________==",
        ),
        ("ldap digest", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "{SHA}___________________________="),
        ("ldap digest", "{MD5}X03MO1qnZdYdgyfeuILPmQ==", "{MD5}______________________=="),
        ("des-crypt", "{CRYPT}abJnggxhB/yWI", "{CRYPT}_____________"),
        (
            "sha512-crypt",
            "{CRYPT}$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz.",
            "{CRYPT}$6$__________$______________________________________________________________________________________",
        ),
        (
            "argon2id",
            "{ARGON2}$argon2id$v=19$m=7168,t=5,p=1$BWkIEoi8tFXFv/At+goKrg$OQ438wlPIv/Hyhw9Em4WaIBk3UpqTqzY+Z3p00dCiPw",
            "{ARGON2}$argon2id$v=19$m=7168,t=5,p=1$______________________$___________________________________________",
        ),
        (
            "ldap pbkdf2",
            "{PBKDF2-SHA256}10000$jq40F11vDxm5.jD6VyZgNQ$3cpwTbVkoTwWWtWkjGzuN46kMvqBIEoXIXvQm0r2lNk",
            "{PBKDF2-SHA256}10000$______________________$___________________________________________",
        ),
        (
            "salted hex digest",
            "5f4dcc3b5aa765d61d8327deb882cf99:Xw7yGq0Zk2LmN4pR:0",
            "________________________________:________________:0",
        ),
    ];

    #[test]
    fn every_scheme_keeps_its_parameters_and_length_and_changes_salt_and_digest() {
        for (name, sample, mask) in SAMPLES {
            let made = forged(sample, 1);
            assert_eq!(scheme_name(sample), *name, "{sample}");
            assert_eq!(scheme_name(&made), *name, "the forged value is of another scheme");
            assert_eq!(made.len(), sample.len(), "{sample}");
            assert_ne!(made, *sample);
            for ((kept, new), rule) in sample.bytes().zip(made.bytes()).zip(mask.bytes()) {
                assert!(rule == b'_' || (rule == kept && new == kept), "{sample}\n{made}");
            }
            let same = sample.bytes().zip(made.bytes()).zip(mask.bytes());
            let same = same.filter(|((old, new), rule)| *rule == b'_' && old == new).count();
            assert!(same * 2 < mask.matches('_').count(), "salt or digest stayed: {sample} {made}");
        }
    }

    #[test]
    fn the_same_stream_makes_the_same_value_and_another_one_another() {
        for (_, sample, _) in SAMPLES {
            assert_eq!(forged(sample, 7), forged(sample, 7));
            assert_ne!(forged(sample, 7), forged(sample, 8));
        }
    }

    #[test]
    fn a_replacement_never_equals_what_it_replaces() {
        let zeros = "0".repeat(64);
        let made = forge(&zeros, &mut |slice| slice.fill(0)).unwrap();
        assert_eq!(made.expose(), format!("1{}", "0".repeat(63)));
        for (_, sample, _) in SAMPLES {
            let once = forged(sample, 3);
            let twice = forged(&once, 3);
            assert_ne!(once, twice, "the stream spells the current value");
            assert_eq!(once.len(), twice.len());
        }
    }

    #[test]
    fn the_last_characters_carry_no_stray_bits() {
        let bcrypt = SAMPLES.iter().find(|(name, ..)| *name == "bcrypt").unwrap().1;
        let sha256 = SAMPLES.iter().find(|(name, ..)| *name == "sha256-crypt").unwrap().1;
        let sha512 = SAMPLES.iter().find(|(name, ..)| *name == "sha512-crypt").unwrap().1;
        let yescrypt = SAMPLES.iter().find(|(name, ..)| *name == "yescrypt").unwrap().1;
        let django = SAMPLES.iter().find(|(name, ..)| *name == "django pbkdf2").unwrap().1;
        for seed in 0..=255 {
            let made = forged(bcrypt, seed);
            assert!(".Oeu".contains(&made[28..29]), "16 salt bytes end on two bits: {made}");
            let end = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                .find(&made[59..])
                .unwrap();
            assert_eq!(end % 4, 0, "23 digest bytes end on four bits: {made}");
            assert!("./0123456789ABCD".contains(&forged(sha256, seed)[76..]));
            assert!("./01".contains(&forged(sha512, seed)[100..]));
            assert!("./0123456789ABCD".contains(&forged(yescrypt, seed)[72..]));
            let made = forged(django, seed);
            let digest = made.rsplit('$').next().unwrap();
            let bytes = base64::engine::general_purpose::STANDARD.decode(digest).unwrap();
            assert_eq!(bytes.len(), 32);
        }
    }

    #[test]
    fn argon2_reads_the_replacement_and_refuses_the_old_password() {
        let old = b"correct horse battery staple";
        let hasher = Argon2::new(
            argon2::Algorithm::Argon2id,
            argon2::Version::V0x13,
            argon2::Params::new(64, 1, 1, Some(32)).unwrap(),
        );
        let stored = hasher.hash_password_with_salt(old, b"sixteen bytes of").unwrap().to_string();
        assert!(hasher.verify_password(old, &PasswordHash::new(&stored).unwrap()).is_ok());
        let made = forged(&stored, 5);
        let read = PasswordHash::new(&made).unwrap();
        assert_eq!(read.params, PasswordHash::new(&stored).unwrap().params);
        assert_eq!(
            hasher.verify_password(old, &read),
            Err(argon2::password_hash::Error::PasswordInvalid),
            "a plain refusal, not a fault in the value"
        );
    }

    #[test]
    fn upper_case_hex_stays_upper_case() {
        let made = forged("5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8", 2);
        assert!(made.bytes().all(|byte| b"0123456789ABCDEF".contains(&byte)), "{made}");
        let made = forged("5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8", 2);
        assert!(made.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{made}");
    }

    #[test]
    fn an_unknown_value_is_refused_and_never_shown() {
        for value in [
            "",
            "hunter2",
            "$argon2id$v=19$m=64$short$abc",
            "$2b$12$tooshort",
            "$5$3xv.VbSCBX41eDL9L3voZredtBVVMhRSbYyVHcMtkZ2",
            "5f4dcc3b5aa765d61d8327deb882cf9",
            "pbkdf2_sha256$870000$salt$not base64 at all, is it",
            "päßwort:5f4dcc3b5aa765d61d8327deb882cf99",
        ] {
            let error = forge(value, &mut stream(1)).unwrap_err();
            assert_eq!(error, UnknownScheme::Value { length: value.len() });
            assert_eq!(scheme_name(value), "unknown");
            let text = format!("{error} {error:?}");
            assert!(value.is_empty() || !text.contains(value), "{text}");
            assert!(text.contains("scheme = \"last-segment\""));
        }
    }

    #[test]
    fn a_password_in_clear_becomes_a_hash_that_nothing_fits() {
        for value in ["hunter2", "5f4dcc3b5aa765d61d8327deb882cf99", "{", "{cleartext}p", "$6$a$b"]
        {
            let made = forge_as(Scheme::Ldap, value, &mut stream(1)).unwrap();
            assert_eq!(scheme_name(made.expose()), "ldap salted digest", "{value}");
            assert_eq!(made.expose().len(), "{SSHA}".len() + 48);
        }
        let hashed = "{SSHA}af780KSruqc4ODyUNs4cWaw+HRbM+0gn";
        let made = forge_as(Scheme::Ldap, hashed, &mut stream(1)).unwrap();
        assert_eq!(made.expose(), forged(hashed, 1), "what is hashed keeps its scheme");
        // A password that is checked elsewhere, and a digest that is none.
        for value in
            ["{SASL}ann@REALM.EXAMPLE", "{SSHA}hunter2", "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="]
        {
            assert!(forge_as(Scheme::Ldap, value, &mut stream(1)).is_err(), "{value}");
        }
    }

    #[test]
    fn an_operator_may_vouch_for_the_last_segment() {
        let value = "acme.v3|pepper=2|qLk3Zz0aT9-xYw21_MnOpQrStU=";
        assert!(forge(value, &mut stream(1)).is_err());
        let made = forge_as(Scheme::LastSegment, value, &mut stream(1)).unwrap();
        assert_eq!(made.expose().len(), value.len());
        assert!(made.expose().starts_with("acme.v3|pepper=2|"));
        assert!(made.expose().ends_with("U="), "padding bits of the last character stay");
        assert_ne!(made.expose(), value);
        let short = forge_as(Scheme::LastSegment, "acme|hunter2", &mut stream(1));
        assert_eq!(short, Err(UnknownScheme::Value { length: 12 }));
    }

    #[test]
    fn a_secret_shows_nothing_in_debug_and_compares_by_value() {
        let secret = SecretValue::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?}"), "SecretValue(***)");
        assert_eq!(secret, SecretValue::new("hunter2".to_owned()));
        assert_ne!(secret, SecretValue::new("hunter3".to_owned()));
        assert_ne!(secret, SecretValue::new("hunter22".to_owned()));
    }
}
