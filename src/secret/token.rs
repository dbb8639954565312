//! Reset tokens: derived from a key outside the database and a salt inside it, so that neither
//! alone yields one and a re-send repeats the same bytes (`docs/protocol.md`, Token).
//!
//! Owns the token's form and that of the link it travels in. It must not know when a token expires
//! or whom it is for.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::digest::{Digest, LpBuilder};
use super::keys::{Key, KeyId, KeyPurpose};
use super::lookup::token_digest;

const PREFIX: &str = "fw1_";
/// Prefix, key id, 32 bytes in base64url without padding.
const LENGTH: usize = PREFIX.len() + 2 + 43;
/// What stands in previews: well-formed, and the output of no derivation anybody could find.
const SAMPLE: &str = "fw1_00SAMPLE-ONLY-THIS-LINK-OPENS-NOTHING-AT-ALLA";
const LIMIT_KEY: std::ops::Range<usize> = PREFIX.len() + 2..PREFIX.len() + 6;

/// Why a text is no token. Never holds any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It has another length or beginning.
    #[error("not a token: its length or its beginning is another")]
    Form,
    /// It has a character that no token has, or bits that no derivation gives.
    #[error("not a token: it holds characters that no token has")]
    Characters,
}

/// Draws the salt of a new token, 256 bits.
pub fn random_salt(rng: &mut (impl CryptoRng + ?Sized)) -> [u8; 32] {
    let mut salt = [0; 32];
    rng.fill_bytes(&mut salt);
    salt
}

/// A reset token in plain text. It shows itself only through [`PlainToken::expose`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct PlainToken(String);

impl PlainToken {
    /// `fw1_ ‖ key id ‖ base64url(HMAC(token key, lp(campaign) ‖ lp(number) ‖ lp(generation) ‖
    /// salt))`; the numbers are 8 bytes big-endian inside their `lp`.
    pub fn derive(
        token_key: &Key,
        campaign: &Uuid,
        number: u64,
        generation: u32,
        salt: &[u8; 32],
    ) -> Self {
        let message = LpBuilder::new()
            .lp(campaign.as_bytes())
            .lp_number(number)
            .lp_number(u64::from(generation))
            .raw(salt);
        let mac = token_key.mac(KeyPurpose::Token, &[&message.finish()]);
        let mut text = String::with_capacity(LENGTH);
        text.push_str(PREFIX);
        text.extend(token_key.id().as_bytes().map(char::from));
        URL_SAFE_NO_PAD.encode_string(mac.as_bytes(), &mut text);
        Self(text)
    }

    /// The token that previews and approved samples show in place of a real one: it was never
    /// issued, so it opens nothing.
    pub fn sample() -> Self {
        Self(SAMPLE.to_owned())
    }

    /// The link to `page` with this token in its fragment, which no browser sends: neither a
    /// server's log nor a Referer ever holds it. `page` has no fragment of its own.
    pub fn link(&self, page: &str) -> ResetLink {
        let mut text = String::with_capacity(page.len() + 1 + LENGTH);
        text.push_str(page);
        text.push('#');
        text.push_str(&self.0);
        ResetLink(text)
    }

    /// Checks the form of what somebody sent; says nothing of whether such a token was issued.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if text.len() != LENGTH || !text.starts_with(PREFIX) {
            return Err(TokenError::Form);
        }
        let (id, rest) = text[PREFIX.len()..].split_at_checked(2).ok_or(TokenError::Characters)?;
        id.parse::<KeyId>().map_err(|_| TokenError::Characters)?;
        // the decoder refuses left-over bits, so a token has one spelling only
        let decoded = URL_SAFE_NO_PAD.decode(rest).map(Zeroizing::new);
        decoded.map_err(|_| TokenError::Characters)?;
        Ok(Self(text.to_owned()))
    }

    /// The token's text: for the link in the notice, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What attempts are counted by: the first 4 characters after the key id.
    pub fn limit_key(&self) -> &str {
        &self.0[LIMIT_KEY]
    }

    /// The digest that is stored and looked up in place of the token.
    pub fn digest(&self, digest_key: &Key) -> Digest {
        token_digest(digest_key, &self.0)
    }
}

/// One person's link to a new password, `<page>#<token>`. As secret as its token: it shows itself
/// only through [`ResetLink::expose`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ResetLink(String);

impl ResetLink {
    /// The link's text: for the notice, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ResetLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetLink(redacted)")
    }
}

impl fmt::Debug for PlainToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainToken(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::keys::fixed_key;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const CAMPAIGN: Uuid = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);
    const SALT: [u8; 32] = [3; 32];

    fn token() -> PlainToken {
        PlainToken::derive(&fixed_key(KeyPurpose::Token), &CAMPAIGN, 42, 1, &SALT)
    }

    #[test]
    fn a_token_never_changes() {
        assert_eq!(token().expose(), "fw1_k7GO71iwnM42xp1iYAbBbLx-m3FyLgI0r1ghPOK4e9Sbo");
        assert_eq!(
            token().digest(&fixed_key(KeyPurpose::Digest)).to_string(),
            "165e75375301c21746b55ac39abbf7f4287daf37730c9e0af997610f9a7df4a0"
        );
        assert_eq!(token().limit_key(), &token().expose()[6..10]);
    }

    #[test]
    fn every_part_changes_the_token() {
        let rng = &mut StdRng::seed_from_u64(1);
        let key = fixed_key(KeyPurpose::Token);
        let derive = |campaign, number, generation, salt| {
            PlainToken::derive(&key, campaign, number, generation, salt).expose().to_owned()
        };
        let tokens = [
            derive(&CAMPAIGN, 42, 1, &SALT),
            derive(&Uuid::nil(), 42, 1, &SALT),
            derive(&CAMPAIGN, 43, 1, &SALT),
            derive(&CAMPAIGN, 42, 2, &SALT),
            derive(&CAMPAIGN, 1, 42, &SALT),
            derive(&CAMPAIGN, 42, 1, &random_salt(rng)),
            PlainToken::derive(&Key::generate(KeyPurpose::Token, rng), &CAMPAIGN, 42, 1, &SALT)
                .expose()
                .to_owned(),
        ];
        let distinct: std::collections::HashSet<_> = tokens.iter().collect();
        assert_eq!(distinct.len(), tokens.len());
    }

    #[test]
    fn a_token_is_read_back_and_other_texts_are_refused() {
        let text = token().expose().to_owned();
        assert_eq!(PlainToken::parse(&text).unwrap().expose(), text);
        let other = |from: usize, with: &str| {
            let mut text = text.clone();
            text.replace_range(from..from + with.len(), with);
            text
        };
        // the last character of 43 carries two bits that must be zero: only every fourth occurs
        let spelled_otherwise = format!("{}B", &text[..text.len() - 1]);
        for bad in [String::new(), text[1..].to_owned(), format!("{text}A"), other(0, "fw2_")] {
            assert_eq!(PlainToken::parse(&bad).unwrap_err(), TokenError::Form, "{bad}");
        }
        for bad in [other(4, "+"), other(5, "é"), other(9, "/"), other(20, "="), spelled_otherwise]
        {
            assert_eq!(PlainToken::parse(&bad).unwrap_err(), TokenError::Characters, "{bad}");
        }
    }

    #[test]
    fn a_link_carries_its_token_in_the_fragment_alone() {
        let link = token().link("https://www.northwind.example/reset");
        let url = url::Url::parse(link.expose()).unwrap();
        assert_eq!(url.fragment(), Some(token().expose()));
        assert_eq!((url.path(), url.query()), ("/reset", None));
    }

    #[test]
    fn the_sample_reads_as_a_token_and_as_nobodys() {
        let sample = PlainToken::sample();
        assert_eq!(PlainToken::parse(sample.expose()).unwrap().expose(), sample.expose());
        assert!(sample.expose().contains("SAMPLE-ONLY"));
    }

    #[test]
    fn neither_debug_nor_an_error_shows_a_token() {
        assert_eq!(format!("{:?}", token()), "PlainToken(redacted)");
        let link = token().link("https://www.northwind.example/reset");
        assert_eq!(format!("{link:?}"), "ResetLink(redacted)");
        let bad = format!("{}+", &token().expose()[..LENGTH - 1]);
        let error = PlainToken::parse(&bad).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(&bad[6..20]));
    }
}
