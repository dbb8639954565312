//! Operators' Ed25519 keys: made once, sealed under the operator's password, and what they sign.
//!
//! Owns the sealed form and strict verification. It must not know what is signed: a message's
//! meaning and its separation from others is its caller's.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::digest::LpBuilder;
use super::password::{Params, Password, PasswordError, derive_key};

const SEAL_VERSION: u8 = 1;

/// Why a key could not be opened, or a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The password is wrong; an entry altered in the database looks the same.
    #[error("wrong password for operator {operator}")]
    WrongPassword {
        /// The operator whose key was to be opened.
        operator: String,
    },
    /// The sealed key opened, but it is not the one that belongs to the public key.
    #[error(
        "the stored keys of operator {operator} do not belong together: the operator table was altered; hint: compare it with a backup"
    )]
    OtherPublicKey {
        /// The operator whose key was opened.
        operator: String,
    },
    /// A sealed key in a form this program does not know.
    #[error("the sealed operator key is damaged: {0}")]
    SealedForm(&'static str),
    /// Argon2id could not give the wrapping key.
    #[error("cannot derive the key that opens the operator's key")]
    Derive(#[source] PasswordError),
    /// The text or the bytes are no usable public key.
    #[error("not an Ed25519 public key: 64 hexadecimal digits of a point that is not weak")]
    PublicKeyForm,
    /// The text is no signature.
    #[error("not an Ed25519 signature: 128 hexadecimal digits are expected")]
    SignatureForm,
    /// The signature is not of this message under this key.
    #[error("the signature does not hold under public key {public}")]
    Signature {
        /// The key it was checked with, in its text form.
        public: String,
    },
}

/// An operator's key in the open; wiped when dropped.
pub struct OperatorKey(SigningKey);

impl OperatorKey {
    /// Draws a new key.
    pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut seed[..]);
        Self(SigningKey::from_bytes(&seed))
    }

    /// The key others verify with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs `message` (RFC 8032, deterministic).
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }

    /// Encrypts the key under the operator's password, bound to their name. Computes Argon2id.
    pub fn seal(
        &self,
        operator: &str,
        password: &Password,
        params: Params,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<SealedOperatorKey, SigningError> {
        let (mut salt, mut nonce) = ([0; 16], [0; 24]);
        rng.fill_bytes(&mut salt);
        rng.fill_bytes(&mut nonce);
        let key = derive_key(password, params, &salt).map_err(SigningError::Derive)?;
        let mut ciphertext = [0; 48];
        let (text, tag) = ciphertext.split_at_mut(32);
        text.copy_from_slice(self.0.as_bytes());
        let sealed = XChaCha20Poly1305::new((&*key).into())
            .encrypt_in_place_detached(XNonce::from_slice(&nonce), &aad(operator), text)
            .map_err(|_| SigningError::SealedForm("too long to encrypt"))?;
        tag.copy_from_slice(&sealed);
        Ok(SealedOperatorKey { params, salt, nonce, ciphertext })
    }
}

impl fmt::Debug for OperatorKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorKey({}, redacted)", self.public())
    }
}

fn aad(operator: &str) -> Vec<u8> {
    LpBuilder::new().lp(b"forthwith operator key v1").lp(operator.as_bytes()).finish()
}

/// An operator's key as it is stored: encrypted under Argon2id of their password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawSealed", into = "RawSealed")]
pub struct SealedOperatorKey {
    params: Params,
    salt: [u8; 16],
    nonce: [u8; 24],
    ciphertext: [u8; 48],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSealed {
    version: u8,
    argon2: Params,
    salt: String,
    nonce: String,
    ciphertext: String,
}

impl SealedOperatorKey {
    /// Opens the key and checks that it is the one behind `public`. Computes Argon2id.
    pub fn open(
        &self,
        password: &Password,
        operator: &str,
        public: &PublicKey,
    ) -> Result<OperatorKey, SigningError> {
        let key = derive_key(password, self.params, &self.salt).map_err(SigningError::Derive)?;
        let (text, tag) = self.ciphertext.split_at(32);
        let mut seed = Zeroizing::new([0; 32]);
        seed.copy_from_slice(text);
        let nonce = XNonce::from_slice(&self.nonce);
        XChaCha20Poly1305::new((&*key).into())
            .decrypt_in_place_detached(nonce, &aad(operator), &mut seed[..], tag.into())
            .map_err(|_| SigningError::WrongPassword { operator: operator.to_owned() })?;
        let opened = OperatorKey(SigningKey::from_bytes(&seed));
        if opened.public() != *public {
            return Err(SigningError::OtherPublicKey { operator: operator.to_owned() });
        }
        Ok(opened)
    }
}

impl TryFrom<RawSealed> for SealedOperatorKey {
    type Error = SigningError;

    fn try_from(raw: RawSealed) -> Result<Self, Self::Error> {
        if raw.version != SEAL_VERSION {
            return Err(SigningError::SealedForm("its version is not known to this program"));
        }
        Ok(Self {
            params: raw.argon2,
            salt: fixed(&raw.salt, SigningError::SealedForm("its salt"))?,
            nonce: fixed(&raw.nonce, SigningError::SealedForm("its nonce"))?,
            ciphertext: fixed(&raw.ciphertext, SigningError::SealedForm("its ciphertext"))?,
        })
    }
}

fn fixed<const N: usize>(text: &str, error: SigningError) -> Result<[u8; N], SigningError> {
    STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(error)
}

impl From<SealedOperatorKey> for RawSealed {
    fn from(sealed: SealedOperatorKey) -> Self {
        Self {
            version: SEAL_VERSION,
            argon2: sealed.params,
            salt: STANDARD.encode(sealed.salt),
            nonce: STANDARD.encode(sealed.nonce),
            ciphertext: STANDARD.encode(sealed.ciphertext),
        }
    }
}

/// An Ed25519 public key, not a weak one. In text and serde 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Checks that the bytes are a point under which a signature means something.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, SigningError> {
        match VerifyingKey::from_bytes(bytes) {
            Ok(key) if !key.is_weak() => Ok(Self(key)),
            _ => Err(SigningError::PublicKeyForm),
        }
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Verifies strictly: no second form of a signature and no weak point passes.
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SigningError> {
        self.0
            .verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0))
            .map_err(|_| SigningError::Signature { public: self.to_string() })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = SigningError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| SigningError::PublicKeyForm)?;
        Self::from_bytes(&bytes)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = SigningError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// An Ed25519 signature. In text and serde 128 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature([u8; 64]);

impl Signature {
    /// A signature read from where it is kept; whether it holds is for [`PublicKey::verify`].
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl FromStr for Signature {
    type Err = SigningError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 64];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| SigningError::SignatureForm)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Signature {
    type Error = SigningError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Signature> for String {
    fn from(signature: Signature) -> Self {
        signature.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn rng() -> StdRng {
        StdRng::seed_from_u64(1)
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    fn sealed(key: &OperatorKey) -> SealedOperatorKey {
        let cheap = Params::new(64, 1, 1).unwrap();
        key.seal("anna", &password("correct horse"), cheap, &mut rng()).unwrap()
    }

    #[test]
    fn the_first_rfc_8032_signature_is_made_and_verified() {
        let mut seed = [0; 32];
        hex::decode_to_slice(
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            &mut seed,
        )
        .unwrap();
        let key = OperatorKey(SigningKey::from_bytes(&seed));
        assert_eq!(
            key.public().to_string(),
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        let signature = key.sign(b"");
        assert_eq!(
            signature.to_string(),
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        );
        assert_eq!(key.public().verify(b"", &signature), Ok(()));
    }

    #[test]
    fn a_signature_of_another_message_or_key_does_not_hold() {
        let rng = &mut rng();
        let (key, other) = (OperatorKey::generate(rng), OperatorKey::generate(rng));
        let (public, signature) = (key.public(), key.sign(b"approve 1"));
        assert_eq!(public.verify(b"approve 1", &signature), Ok(()));
        let refused = Err(SigningError::Signature { public: public.to_string() });
        assert_eq!(public.verify(b"approve 2", &signature), refused);
        assert!(other.public().verify(b"approve 1", &signature).is_err());
        for at in 0..64 {
            let mut altered = signature;
            altered.0[at] ^= 1;
            assert_eq!(public.verify(b"approve 1", &altered), refused, "byte {at}");
        }
    }

    #[test]
    fn a_weak_public_key_is_refused() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert_eq!(PublicKey::from_bytes(&identity), Err(SigningError::PublicKeyForm));
        assert_eq!(PublicKey::from_bytes(&[0; 32]), Err(SigningError::PublicKeyForm));
    }

    #[test]
    fn a_sealed_key_opens_with_the_password_also_after_json() {
        let key = OperatorKey::generate(&mut rng());
        let json = serde_json::to_string(&sealed(&key)).unwrap();
        let back: SealedOperatorKey = serde_json::from_str(&json).unwrap();
        assert_eq!(back, sealed(&key));
        let opened = back.open(&password("correct horse"), "anna", &key.public()).unwrap();
        assert_eq!(opened.sign(b"x"), key.sign(b"x"));
    }

    #[test]
    fn a_wrong_password_and_another_operators_name_are_refused_as_such() {
        let key = OperatorKey::generate(&mut rng());
        let (sealed, public) = (sealed(&key), key.public());
        for (typed, operator) in [("correct horsE", "anna"), ("correct horse", "bert")] {
            assert_eq!(
                sealed.open(&password(typed), operator, &public).unwrap_err(),
                SigningError::WrongPassword { operator: operator.to_owned() }
            );
        }
        for at in 0..48 {
            let mut altered = sealed.clone();
            altered.ciphertext[at] ^= 1;
            assert!(altered.open(&password("correct horse"), "anna", &public).is_err());
        }
    }

    #[test]
    fn a_public_key_that_was_exchanged_is_noticed() {
        let rng = &mut rng();
        let (key, other) = (OperatorKey::generate(rng), OperatorKey::generate(rng));
        assert_eq!(
            sealed(&key).open(&password("correct horse"), "anna", &other.public()).unwrap_err(),
            SigningError::OtherPublicKey { operator: "anna".to_owned() }
        );
    }

    #[test]
    fn a_sealed_key_of_another_form_is_refused() {
        let json = serde_json::to_value(sealed(&OperatorKey::generate(&mut rng()))).unwrap();
        for (field, value) in [
            ("version", serde_json::json!(2)),
            ("salt", serde_json::json!("AAAA")),
            ("nonce", serde_json::json!("***")),
            ("ciphertext", serde_json::json!("")),
            ("extra", serde_json::json!(1)),
        ] {
            let mut altered = json.clone();
            altered[field] = value;
            assert!(serde_json::from_value::<SealedOperatorKey>(altered).is_err(), "{field}");
        }
    }

    #[test]
    fn keys_and_signatures_are_hex_and_the_secret_is_not_shown() {
        let key = OperatorKey::generate(&mut rng());
        let (public, signature) = (key.public(), key.sign(b"x"));
        assert_eq!(public.to_string().parse(), Ok(public));
        assert_eq!(signature.to_string().parse(), Ok(signature));
        let json = serde_json::to_string(&(public, signature)).unwrap();
        assert_eq!(json, format!("[\"{public}\",\"{signature}\"]"));
        assert_eq!(
            serde_json::from_str::<(PublicKey, Signature)>(&json).unwrap(),
            (public, signature)
        );
        assert_eq!("00".parse::<Signature>(), Err(SigningError::SignatureForm));
        assert_eq!("zz".parse::<PublicKey>(), Err(SigningError::PublicKeyForm));
        assert!(!format!("{key:?}").contains(&hex::encode(key.0.as_bytes())));
    }
}
