//! Passwords and Argon2id, of operators and of people choosing a new one.
//!
//! Owns the hash's form and the bounds on its parameters. Everything here computes for tens of
//! milliseconds and blocks: callers put it on a bounded pool. It must not know password policy.

mod form;
mod keycloak;
mod memory;
mod stored;

use std::fmt;

use argon2::password_hash::phc::{Ident, Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Version};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::digest::equal_in_constant_time;

pub use form::PasswordForm;
pub use memory::keep_memory;
pub use stored::{is_behind, is_checkable};

const SALT: usize = 16;
const OUTPUT: usize = 32;

/// What went wrong around a password. Never holds any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Parameters that Argon2 or our bounds do not allow.
    #[error(
        "Argon2id parameters out of bounds: {memory_kib} KiB, {passes} passes, {lanes} lanes (at most {}, {} and {})",
        Params::MAX_MEMORY_KIB,
        Params::MAX_PASSES,
        Params::MAX_LANES
    )]
    Params {
        /// Memory, in KiB.
        memory_kib: u32,
        /// Passes over it.
        passes: u32,
        /// Lanes.
        lanes: u32,
    },
    /// A version of the stored parameters that this program does not know.
    #[error("password parameters of version {0} are not known to this version of forthwith")]
    Version(u8),
    /// The stored text is no Argon2id hash.
    #[error("the stored password hash is not Argon2id version 19 in PHC form")]
    StoredForm,
    /// More than the form of the stored hash reads.
    #[error("a password of more than {most} bytes does not fit the form it is stored in")]
    TooLong {
        /// The most bytes.
        most: usize,
    },
    /// Argon2 could not run, mostly for want of memory.
    #[error("Argon2id could not run: {0}")]
    Compute(argon2::Error),
}

/// A password in plain text; wiped when dropped, never shown.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// Takes over a typed password, byte for byte.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The password's text: for checking it against policy and a directory, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(redacted)")
    }
}

/// The cost of one Argon2id hash. Bounded, so that a stored hash cannot make us compute for hours
/// or take all memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawParams", into = "RawParams")]
pub struct Params {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The stored form; version 1 is Argon2id, version 0x13 of the algorithm.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawParams {
    version: u8,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Default for Params {
    /// 19 MiB, 2 passes, 1 lane.
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1 }
    }
}

impl Params {
    /// The most memory one hash may take, in KiB (256 MiB).
    pub const MAX_MEMORY_KIB: u32 = 256 * 1024;
    /// The most passes.
    pub const MAX_PASSES: u32 = 16;
    /// The most lanes.
    pub const MAX_LANES: u32 = 16;

    /// Parameters within Argon2's own limits (at least 8 KiB a lane) and ours.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, PasswordError> {
        let refused = PasswordError::Params { memory_kib, passes, lanes };
        let bounded = memory_kib <= Self::MAX_MEMORY_KIB
            && passes <= Self::MAX_PASSES
            && lanes <= Self::MAX_LANES;
        let params = Self { memory_kib, passes, lanes };
        if !bounded || params.to_argon2(OUTPUT).is_err() {
            return Err(refused);
        }
        Ok(params)
    }

    /// Memory of one hash, in KiB.
    pub const fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    pub const fn passes(&self) -> u32 {
        self.passes
    }

    /// Lanes.
    pub const fn lanes(&self) -> u32 {
        self.lanes
    }

    fn to_argon2(self, output: usize) -> Result<argon2::Params, PasswordError> {
        argon2::Params::new(self.memory_kib, self.passes, self.lanes, Some(output))
            .map_err(PasswordError::Compute)
    }

    fn compute(
        self,
        password: &Password,
        salt: &[u8],
        out: &mut [u8],
    ) -> Result<(), PasswordError> {
        let params = self.to_argon2(out.len())?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        memory::compute(&argon2, password.0.as_bytes(), salt, out).map_err(PasswordError::Compute)
    }
}

impl TryFrom<RawParams> for Params {
    type Error = PasswordError;

    fn try_from(raw: RawParams) -> Result<Self, Self::Error> {
        match raw.version {
            1 => Self::new(raw.memory_kib, raw.passes, raw.lanes),
            other => Err(PasswordError::Version(other)),
        }
    }
}

impl From<Params> for RawParams {
    fn from(params: Params) -> Self {
        let Params { memory_kib, passes, lanes } = params;
        Self { version: 1, memory_kib, passes, lanes }
    }
}

/// Hashes a password under a new salt; gives a PHC string (`$argon2id$v=19$m=…,t=…,p=…$…$…`).
pub fn hash(
    password: &Password,
    params: Params,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<String, PasswordError> {
    let mut salt = [0; SALT];
    rng.fill_bytes(&mut salt);
    let mut out = [0; OUTPUT];
    params.compute(password, &salt, &mut out)?;
    let shown = params.to_argon2(OUTPUT)?;
    let phc = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&shown).map_err(|_| PasswordError::StoredForm)?,
        salt: Some(Salt::new(&salt).map_err(|_| PasswordError::StoredForm)?),
        hash: Some(Output::new(&out).map_err(|_| PasswordError::StoredForm)?),
    };
    Ok(phc.to_string())
}

/// Whether `password` is the one behind a stored PHC string. Parameters over our bounds are
/// refused before anything is computed.
pub fn verify(password: &Password, stored: &str) -> Result<bool, PasswordError> {
    let (params, salt, known) = read(stored)?;
    let mut out = Zeroizing::new(vec![0; known.len()]);
    params.compute(password, &salt, &mut out)?;
    Ok(equal_in_constant_time(&out, known.as_bytes()))
}

/// The cost parameters of a stored PHC string: to tell whether it should be made again.
pub fn params_of(stored: &str) -> Result<Params, PasswordError> {
    read(stored).map(|(params, _, _)| params)
}

fn read(stored: &str) -> Result<(Params, Salt, Output), PasswordError> {
    let phc = PasswordHash::new(stored).map_err(|_| PasswordError::StoredForm)?;
    let known: [Ident; 3] = ["m", "t", "p"].map(Ident::new_unwrap);
    let named = |name: &str| phc.params.get_decimal(name).ok_or(PasswordError::StoredForm);
    let version = Some(u32::from(Version::V0x13));
    let only_known = phc.params.iter().all(|(name, _)| known.contains(&name));
    if phc.algorithm != ARGON2ID_IDENT || phc.version != version || !only_known {
        return Err(PasswordError::StoredForm);
    }
    let params = Params::new(named("m")?, named("t")?, named("p")?)?;
    let (salt, output) = phc.salt.zip(phc.hash).ok_or(PasswordError::StoredForm)?;
    Ok((params, salt, output))
}

/// Derives an encryption key from a password.
pub(super) fn derive_key(
    password: &Password,
    params: Params,
    salt: &[u8],
) -> Result<Zeroizing<[u8; 32]>, PasswordError> {
    let mut out = Zeroizing::new([0; 32]);
    params.compute(password, salt, &mut out[..])?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    fn cheap() -> Params {
        Params::new(64, 1, 1).unwrap()
    }

    #[test]
    fn the_right_password_verifies_and_no_other() {
        let rng = &mut StdRng::seed_from_u64(1);
        let stored = hash(&password("correct horse"), cheap(), rng).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        assert_eq!(verify(&password("correct horse"), &stored), Ok(true));
        for wrong in ["correct horsE", "", "correct horse "] {
            assert_eq!(verify(&password(wrong), &stored), Ok(false));
        }
        let again = hash(&password("correct horse"), cheap(), rng).unwrap();
        assert_ne!(stored, again, "each hash has its own salt");
    }

    #[test]
    fn the_hash_of_the_reference_implementation_verifies() {
        let known = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert_eq!(verify(&password("password"), known), Ok(true));
        assert_eq!(params_of(known), Params::new(65536, 2, 1));
    }

    #[test]
    fn the_default_is_19_mib_two_passes_and_one_lane() {
        assert_eq!(Params::default(), Params::new(19_456, 2, 1).unwrap());
        let json = serde_json::to_string(&Params::default()).unwrap();
        assert_eq!(json, r#"{"version":1,"memory_kib":19456,"passes":2,"lanes":1}"#);
        assert_eq!(serde_json::from_str::<Params>(&json).unwrap(), Params::default());
    }

    #[test]
    fn stored_parameters_over_our_bounds_are_refused_before_computing() {
        for cost in ["m=4194304,t=2,p=1", "m=64,t=4000000,p=1", "m=4096,t=1,p=64", "m=4,t=1,p=1"] {
            let stored = format!(
                "$argon2id$v=19${cost}$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
            );
            let refused = verify(&password("password"), &stored);
            assert!(matches!(refused, Err(PasswordError::Params { .. })), "{cost}: {refused:?}");
        }
        for json in [
            r#"{"version":2,"memory_kib":64,"passes":1,"lanes":1}"#,
            r#"{"version":1,"memory_kib":4194304,"passes":1,"lanes":1}"#,
        ] {
            assert!(serde_json::from_str::<Params>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn other_algorithms_and_broken_hashes_are_refused() {
        for stored in [
            "",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2i$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=16$m=64,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=64,t=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=64,t=1,p=1,keyid=aa$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
        ] {
            assert_eq!(verify(&password("x"), stored), Err(PasswordError::StoredForm), "{stored}");
        }
    }

    #[test]
    fn a_password_does_not_show_itself() {
        assert_eq!(format!("{:?}", password("hunter2")), "Password(redacted)");
        assert_eq!(password("hunter2").expose(), "hunter2");
    }
}
