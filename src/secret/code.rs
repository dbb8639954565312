//! Codes by mail: 12 digits that prove a mailbox, good for an hour and for the browser that asked.
//!
//! Derived like tokens, from a key outside the database and a salt inside it, so that a mail sent again
//! carries the same code and the database alone yields none. It must not know when a code expires.

use std::fmt;

use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::digest::{Digest, LpBuilder};
use super::keys::{Key, KeyPurpose};

/// Digits of a code: what nobody guesses in five tries, and people still copy from one screen to another.
pub const DIGITS: usize = 12;
/// Codes there are.
const SPACE: u128 = 1_000_000_000_000;

/// The text is no code: it has not 12 digits. Never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code is {DIGITS} digits")]
pub struct CodeError;

/// A code in plain text. It shows itself only through [`ResetCode::expose`] and [`ResetCode::grouped`].
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ResetCode(String);

impl ResetCode {
    /// `HMAC(token key, lp("code") ‖ lp(request) ‖ salt)` as a number below 10^12. Of 128 bits, so no code is
    /// likelier than another by more than 2^-88.
    pub fn derive(token_key: &Key, request: i64, salt: &[u8; 32]) -> Self {
        let message = labelled(request).raw(salt).finish();
        let mac = token_key.mac(KeyPurpose::Token, &[&message]);
        let number = mac.truncated().iter().fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
        Self(format!("{:012}", number % SPACE))
    }

    /// Reads a code as people type it: digits of any script, with spaces, hyphens or dots between them.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let mut digits = String::with_capacity(DIGITS);
        for character in text.chars() {
            match digit(character) {
                Some(digit) if digits.len() < DIGITS => digits.push(digit),
                None if is_between(character) => {}
                _ => {
                    digits.zeroize();
                    return Err(CodeError);
                }
            }
        }
        if digits.len() == DIGITS { Ok(Self(digits)) } else { Err(CodeError) }
    }

    /// The digits: for comparing, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The code as it stands in a mail, `1234-5678-9012`.
    pub fn grouped(&self) -> String {
        format!("{}-{}-{}", &self.0[..4], &self.0[4..8], &self.0[8..])
    }

    /// The digest that is stored in place of the code: bound to its request.
    pub fn digest(&self, digest_key: &Key, request: i64) -> Digest {
        let message = labelled(request).lp(self.0.as_bytes()).finish();
        digest_key.mac(KeyPurpose::Digest, &[&message])
    }
}

impl fmt::Debug for ResetCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResetCode(redacted)")
    }
}

/// Draws the salt of a new code, 256 bits.
pub fn random_salt(rng: &mut (impl CryptoRng + ?Sized)) -> [u8; 32] {
    super::token::random_salt(rng)
}

fn labelled(request: i64) -> LpBuilder {
    LpBuilder::new().lp(b"code").lp(&request.to_be_bytes())
}

fn is_between(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '-' | '.' | '\u{2010}'..='\u{2015}' | '\u{200e}' | '\u{200f}')
}

/// The decimal digits that keyboards of our languages and of right-to-left ones write.
fn digit(character: char) -> Option<char> {
    let value = match character {
        '0'..='9' => return Some(character),
        '\u{660}'..='\u{669}' => u32::from(character) - 0x660,
        '\u{6f0}'..='\u{6f9}' => u32::from(character) - 0x6f0,
        '\u{966}'..='\u{96f}' => u32::from(character) - 0x966,
        '\u{ff10}'..='\u{ff19}' => u32::from(character) - 0xff10,
        _ => return None,
    };
    char::from_digit(value, 10)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::secret::keys::fixed_key;

    fn code(request: i64) -> ResetCode {
        ResetCode::derive(&fixed_key(KeyPurpose::Token), request, &[3; 32])
    }

    #[test]
    fn a_code_never_changes_and_each_request_has_another() {
        assert_eq!(code(7).expose(), code(7).expose());
        let all: HashSet<String> = (0..1_000).map(|at| code(at).expose().to_owned()).collect();
        assert_eq!(all.len(), 1_000);
        assert!(all.iter().all(|code| code.len() == DIGITS));
        let salted = ResetCode::derive(&fixed_key(KeyPurpose::Token), 7, &[4; 32]);
        assert_ne!(salted.expose(), code(7).expose());
    }

    #[test]
    fn a_code_is_read_however_people_type_it() {
        let plain = "123456789012";
        for typed in [
            "1234-5678-9012",
            " 1234 5678 9012 ",
            "1234\u{a0}5678\u{2011}9012",
            "\u{661}\u{662}\u{663}\u{664}-\u{665}\u{666}\u{667}\u{668}-\u{669}\u{660}\u{661}\u{662}",
        ] {
            assert_eq!(ResetCode::parse(typed).unwrap().expose(), plain, "{typed}");
        }
        for bad in ["", "1234-5678-901", "1234-5678-90123", "1234-5678-901a", "1234,5678,9012"] {
            assert_eq!(ResetCode::parse(bad).unwrap_err(), CodeError, "{bad}");
        }
        assert_eq!(code(7).grouped().len(), 14);
        assert_eq!(ResetCode::parse(&code(7).grouped()).unwrap().expose(), code(7).expose());
    }

    #[test]
    fn a_digest_is_bound_to_its_request_and_debug_shows_nothing() {
        let key = fixed_key(KeyPurpose::Digest);
        assert_eq!(code(7).digest(&key, 7), code(7).digest(&key, 7));
        assert_ne!(code(7).digest(&key, 7), code(7).digest(&key, 8));
        assert_eq!(format!("{:?}", code(7)), "ResetCode(redacted)");
    }
}
