//! A browser's visit to the portal: the secret in its cookie, and the proofs its forms carry.
//!
//! All under the portal key, each with its own label. It must not know cookies or pages.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::digest::{LpBuilder, equal_in_constant_time};
use super::keys::{Key, KeyPurpose};

/// Bytes of a visit's secret.
const SECRET: usize = 32;
/// Characters of them in base64url.
const LENGTH: usize = 43;
/// Bytes of a form's proof: 128 bits.
const PROOF: usize = 16;

/// The secret that a browser's cookie holds. Shows itself only through [`Visit::expose`].
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Visit(String);

impl Visit {
    /// Draws a new one, 256 bits.
    pub fn draw(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let mut bytes = [0; SECRET];
        rng.fill_bytes(&mut bytes);
        let text = URL_SAFE_NO_PAD.encode(bytes);
        bytes.zeroize();
        Self(text)
    }

    /// Reads what a cookie holds; `None` where it is nothing we made.
    pub fn parse(text: &str) -> Option<Self> {
        let form = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (text.len() == LENGTH && text.bytes().all(form)).then(|| Self(text.to_owned()))
    }

    /// The text of the cookie.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the database knows the visit by.
    pub fn digest(&self, portal_key: &Key) -> [u8; 16] {
        labelled(portal_key, "visit", &[self.0.as_bytes()])
    }

    /// What a form of this visit carries, so that no other site can send it.
    pub fn form_proof(&self, portal_key: &Key, form: &str) -> String {
        hex::encode(labelled(portal_key, "form", &[self.0.as_bytes(), form.as_bytes()]))
    }

    /// Whether that is what came back.
    pub fn proves(&self, portal_key: &Key, form: &str, proof: &str) -> bool {
        let made = self.form_proof(portal_key, form);
        equal_in_constant_time(made.as_bytes(), proof.as_bytes())
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Visit(redacted)")
    }
}

/// What the database knows a network by: whoever asks for codes is counted, not remembered.
pub fn network_digest(portal_key: &Key, network: &str) -> [u8; 16] {
    labelled(portal_key, "network", &[network.as_bytes()])
}

/// What the database knows a typed reference number by.
pub fn reference_digest(portal_key: &Key, reference: &str) -> [u8; 16] {
    labelled(portal_key, "reference", &[reference.as_bytes()])
}

fn labelled(portal_key: &Key, label: &str, fields: &[&[u8]]) -> [u8; PROOF] {
    let message = fields
        .iter()
        .fold(LpBuilder::new().lp(label.as_bytes()), |message, field| message.lp(field));
    portal_key.mac(KeyPurpose::Portal, &[&message.finish()]).truncated()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;
    use crate::secret::keys::fixed_key;

    #[test]
    fn a_visit_is_read_back_and_other_texts_are_not() {
        let visit = Visit::draw(&mut StdRng::seed_from_u64(1));
        assert_eq!(Visit::parse(visit.expose()).unwrap(), visit);
        assert_ne!(Visit::draw(&mut StdRng::seed_from_u64(2)), visit);
        let text = visit.expose();
        for bad in ["", &text[1..], &format!("{text}A"), &format!("{}=", &text[1..])] {
            assert!(Visit::parse(bad).is_none(), "{bad}");
        }
        assert_eq!(format!("{visit:?}"), "Visit(redacted)");
    }

    #[test]
    fn a_proof_is_of_one_visit_and_one_form() {
        let key = fixed_key(KeyPurpose::Portal);
        let visit = Visit::draw(&mut StdRng::seed_from_u64(1));
        let other = Visit::draw(&mut StdRng::seed_from_u64(2));
        let proof = visit.form_proof(&key, "code");
        assert!(visit.proves(&key, "code", &proof));
        assert!(!visit.proves(&key, "password", &proof));
        assert!(!other.proves(&key, "code", &proof));
        assert!(!visit.proves(&key, "code", &proof[1..]));
        assert_ne!(visit.digest(&key), other.digest(&key));
        assert_ne!(network_digest(&key, "a"), reference_digest(&key, "a"));
    }
}
