//! How the fake hashes and verifies, by the algorithm that stands beside the hash.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What is kept of a password, by what the realm says now: as cheap as Argon2id can be.
pub fn encode(word: &str) -> (String, String) {
    encode_with(word, 64, 1)
}

/// What is kept of it where the realm says so otherwise.
pub fn encode_with(word: &str, memory: u32, passes: u32) -> (String, String) {
    let salt: [u8; 16] = rand::random();
    let mut out = [0; 32];
    let params = Params::new(memory, passes, 1, Some(32)).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(word.as_bytes(), &salt, &mut out).unwrap();
    let data = json!({
        "hashIterations": passes, "algorithm": "argon2",
        "additionalParameters": {
            "hashLength": ["32"], "memory": [memory.to_string()], "type": ["id"],
            "version": ["1.3"], "parallelism": ["1"],
        },
    });
    let secret = json!({
        "value": STANDARD.encode(out), "salt": STANDARD.encode(salt), "additionalParameters": {},
    });
    (data.to_string(), secret.to_string())
}

/// Whether the word is the one that was hashed.
pub fn verify(word: &str, data: &str, secret: &str) -> bool {
    let (data, secret): (Value, Value) =
        (serde_json::from_str(data).unwrap(), serde_json::from_str(secret).unwrap());
    let bytes = |key: &str| STANDARD.decode(secret[key].as_str().unwrap()).unwrap();
    let (salt, value) = (bytes("salt"), bytes("value"));
    let rounds = u32::try_from(data["hashIterations"].as_u64().unwrap()).unwrap();
    match data["algorithm"].as_str().unwrap() {
        "argon2" => {
            let of = |key: &str| data["additionalParameters"][key][0].as_str().unwrap().to_owned();
            let number = |key: &str| of(key).parse::<u32>().unwrap();
            assert_eq!((of("type"), of("version")), ("id".to_owned(), "1.3".to_owned()));
            let length = number("hashLength") as usize;
            let params =
                Params::new(number("memory"), rounds, number("parallelism"), Some(length)).unwrap();
            let mut out = vec![0; length];
            let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            argon2.hash_password_into(word.as_bytes(), &salt, &mut out).unwrap();
            out == value
        }
        "pbkdf2-sha512" => {
            let rounds = std::num::NonZeroU32::new(rounds).unwrap();
            let sha512 = ring::pbkdf2::PBKDF2_HMAC_SHA512;
            ring::pbkdf2::verify(sha512, rounds, &salt, word.as_bytes(), &value).is_ok()
        }
        other => panic!("no hash provider {other}"),
    }
}
