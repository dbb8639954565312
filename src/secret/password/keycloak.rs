//! What Keycloak keeps of a password: `credentialData` (how it was hashed) and `secretData` (salt and digest),
//! each JSON in a text, as its `PasswordCredentialModel` reads them; names of Argon2's parameters as in its
//! `Argon2PasswordHashProviderFactory`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::CryptoRng;
use serde_json::json;
use zeroize::Zeroizing;

use super::{OUTPUT, Params, Password, PasswordError, SALT};

/// Rounds of PBKDF2-HMAC-SHA-512, Keycloak's own default for it.
const ROUNDS: u32 = 210_000;
/// Octets of its digest.
const DIGEST: usize = 64;

/// With Argon2id.
pub(super) fn argon2(
    password: &Password,
    params: Params,
    rng: &mut (impl CryptoRng + ?Sized),
) -> Result<String, PasswordError> {
    let mut salt = [0; SALT];
    rng.fill_bytes(&mut salt);
    let mut out = Zeroizing::new([0; OUTPUT]);
    params.compute(password, &salt, &mut out[..])?;
    let how = json!({
        "hashIterations": params.passes(),
        "algorithm": "argon2",
        "additionalParameters": {
            "hashLength": [OUTPUT.to_string()],
            "memory": [params.memory_kib().to_string()],
            "type": ["id"],
            "version": ["1.3"],
            "parallelism": [params.lanes().to_string()],
        },
    });
    Ok(both(&how, &salt, &out[..]))
}

/// With PBKDF2-HMAC-SHA-512.
pub(super) fn pbkdf2(password: &Password, rng: &mut (impl CryptoRng + ?Sized)) -> String {
    let mut salt = [0; SALT];
    rng.fill_bytes(&mut salt);
    let mut out = Zeroizing::new([0; DIGEST]);
    let rounds = std::num::NonZeroU32::new(ROUNDS).unwrap_or(std::num::NonZeroU32::MIN);
    let text = password.expose().as_bytes();
    ring::pbkdf2::derive(ring::pbkdf2::PBKDF2_HMAC_SHA512, rounds, &salt, text, &mut *out);
    let how = json!({
        "hashIterations": ROUNDS, "algorithm": "pbkdf2-sha512", "additionalParameters": {},
    });
    both(&how, &salt, &out[..])
}

fn both(how: &serde_json::Value, salt: &[u8], digest: &[u8]) -> String {
    let secret = json!({
        "value": STANDARD.encode(digest), "salt": STANDARD.encode(salt), "additionalParameters": {},
    });
    json!({ "credentialData": how.to_string(), "secretData": secret.to_string() }).to_string()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;
    use serde_json::Value;

    use super::*;

    fn parts(text: &str) -> (Value, Value) {
        let both: Value = serde_json::from_str(text).unwrap();
        let of = |key: &str| serde_json::from_str(both[key].as_str().unwrap()).unwrap();
        (of("credentialData"), of("secretData"))
    }

    #[test]
    fn what_is_kept_says_how_it_was_hashed_and_its_digest_is_that_hash() {
        let (password, rng) = (Password::new("a word".into()), &mut StdRng::seed_from_u64(1));
        let params = Params::new(64, 2, 1).unwrap();
        let (how, secret) = parts(&argon2(&password, params, rng).unwrap());
        assert_eq!(
            (how["algorithm"].as_str(), &how["hashIterations"]),
            (Some("argon2"), &json!(2))
        );
        assert_eq!(how["additionalParameters"]["memory"], json!(["64"]));
        let salt = STANDARD.decode(secret["salt"].as_str().unwrap()).unwrap();
        let mut out = [0; OUTPUT];
        params.compute(&password, &salt, &mut out).unwrap();
        assert_eq!(secret["value"], json!(STANDARD.encode(out)));

        let (how, secret) = parts(&pbkdf2(&password, rng));
        assert_eq!(how["algorithm"], json!("pbkdf2-sha512"));
        let [salt, digest] =
            ["salt", "value"].map(|key| STANDARD.decode(secret[key].as_str().unwrap()).unwrap());
        let rounds = std::num::NonZeroU32::new(ROUNDS).unwrap();
        let sha512 = ring::pbkdf2::PBKDF2_HMAC_SHA512;
        assert!(ring::pbkdf2::verify(sha512, rounds, &salt, b"a word", &digest).is_ok());
    }
}
