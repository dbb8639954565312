//! The identifiers in a message: Message-ID, MIME boundary, envelope sender, reference number.
//!
//! All derived under the mail key, each with its own label, so that a re-send builds the same
//! bytes and nobody outside can make one up. It must not know domains or how mail is built.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::base32;
use super::digest::{Digest, LpBuilder, equal_in_constant_time};
use super::keys::{Key, KeyPurpose};

/// Campaign, number, generation.
const VERP_PAYLOAD: usize = 16 + 8 + 4;
/// 56 bits: nobody guesses one in as many mails as a server takes, and the text fills whole groups.
const VERP_MAC: usize = 7;
/// Length of a [`verp_tag`] in characters; 8 of a local part's 64 stay for a prefix.
pub const VERP_LENGTH: usize = (VERP_PAYLOAD + VERP_MAC) * 8 / 5;

/// The local part of the Message-ID of one notice: 32 lower-case hexadecimal digits.
pub fn message_id(mail_key: &Key, campaign: &Uuid, number: u64, generation: u32) -> String {
    hex::encode(notice(mail_key, "message-id", campaign, number, generation).truncated())
}

/// The local part of the Message-ID of an errand: the same however often it is sent, 32 hexadecimal digits.
pub fn errand_id(mail_key: &Key, campaign: &Uuid, errand: i64) -> String {
    let message =
        LpBuilder::new().lp(b"errand").lp(campaign.as_bytes()).lp(&errand.to_be_bytes()).finish();
    hex::encode(mail_key.mac(KeyPurpose::Mail, &[&message]).truncated())
}

/// What the MIME boundary of one notice is made from: letters and digits only; the message builder
/// puts `=_` before it, which no quoted-printable body can hold (RFC 2045 §6.7).
pub fn boundary_seed(mail_key: &Key, campaign: &Uuid, number: u64, generation: u32) -> String {
    let digest = notice(mail_key, "boundary", campaign, number, generation);
    format!("fw{}", hex::encode(&digest.as_bytes()[..12]))
}

/// An identifier for a message that is no notice and is never sent again: 32 hexadecimal digits.
pub fn random_id(rng: &mut impl rand::CryptoRng) -> String {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    hex::encode(bytes)
}

fn notice(mail_key: &Key, label: &str, campaign: &Uuid, number: u64, generation: u32) -> Digest {
    let message = LpBuilder::new()
        .lp(label.as_bytes())
        .lp(campaign.as_bytes())
        .lp_number(number)
        .lp_number(u64::from(generation));
    mail_key.mac(KeyPurpose::Mail, &[&message.finish()])
}

/// The notice an envelope sender was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VerpNotice {
    /// The campaign.
    pub campaign: Uuid,
    /// The recipient's number.
    pub number: u64,
    /// The generation.
    pub generation: u32,
}

/// Why a local part is no envelope sender of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailIdError {
    /// It has another form.
    #[error("not an envelope sender of ours: {VERP_LENGTH} characters in base 32 are expected")]
    VerpForm,
    /// The form is right, the signature is not.
    #[error("an envelope sender with a false signature: forged, or made under another mail key")]
    VerpSignature,
    /// The text has not the form of a reference number.
    #[error("a reference number looks like FW-7K2M-9QXT-41ZB")]
    ReferenceForm,
}

/// The local part of the envelope sender of one notice: signed, and unreadable without the key, so
/// that a bounce names its notice to us alone. Survives being folded to lower or upper case.
pub fn verp_tag(mail_key: &Key, campaign: &Uuid, number: u64, generation: u32) -> String {
    let mut payload = [0; VERP_PAYLOAD];
    payload[..16].copy_from_slice(campaign.as_bytes());
    payload[16..24].copy_from_slice(&number.to_be_bytes());
    payload[24..].copy_from_slice(&generation.to_be_bytes());
    let mac = verp_mac(mail_key, &payload);
    hide(mail_key, mac, &mut payload);
    let mut tag = mac.to_vec();
    tag.extend_from_slice(&payload);
    base32::encode(&tag)
}

/// Reads and verifies what [`verp_tag`] made.
pub fn parse_verp_tag(mail_key: &Key, tag: &str) -> Result<VerpNotice, MailIdError> {
    if tag.len() != VERP_LENGTH {
        return Err(MailIdError::VerpForm);
    }
    let bytes = base32::decode(tag).ok_or(MailIdError::VerpForm)?;
    let (&mac, rest) = bytes.split_first_chunk::<VERP_MAC>().ok_or(MailIdError::VerpForm)?;
    let mut payload: [u8; VERP_PAYLOAD] = rest.try_into().map_err(|_| MailIdError::VerpForm)?;
    hide(mail_key, mac, &mut payload);
    if !equal_in_constant_time(&mac, &verp_mac(mail_key, &payload)) {
        return Err(MailIdError::VerpSignature);
    }
    let mut campaign = [0; 16];
    campaign.copy_from_slice(&payload[..16]);
    let number = payload[16..24].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let generation = payload[24..].iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
    Ok(VerpNotice { campaign: Uuid::from_bytes(campaign), number, generation })
}

fn verp_mac(mail_key: &Key, payload: &[u8; VERP_PAYLOAD]) -> [u8; VERP_MAC] {
    let mac =
        mail_key.mac(KeyPurpose::Mail, &[&LpBuilder::new().lp(b"verp").raw(payload).finish()]);
    let mut out = [0; VERP_MAC];
    out.copy_from_slice(&mac.as_bytes()[..VERP_MAC]);
    out
}

/// Adds a stream that depends on the MAC (as SIV does, RFC 5297), so equal notices give equal tags
/// and no nonce has to be carried. Twice is back.
fn hide(mail_key: &Key, mac: [u8; VERP_MAC], payload: &mut [u8; VERP_PAYLOAD]) {
    let message = LpBuilder::new().lp(b"verp-stream").raw(&mac).finish();
    let stream = mail_key.mac(KeyPurpose::Mail, &[&message]);
    for (byte, mask) in payload.iter_mut().zip(stream.as_bytes()) {
        *byte ^= mask;
    }
}

/// The number a person reads out to support: 60 bits as `FW-XXXX-XXXX-XXXX` in Crockford's base
/// 32. It holds nothing; it is checked by deriving it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reference([u8; 12]);

impl Reference {
    /// Whether this is the reference of that recipient under that key.
    pub fn is_for(&self, mail_key: &Key, campaign: &Uuid, number: u64) -> bool {
        equal_in_constant_time(&self.0, &reference(mail_key, campaign, number).0)
    }
}

/// The reference number of one recipient; the same in every generation.
pub fn reference(mail_key: &Key, campaign: &Uuid, number: u64) -> Reference {
    let message = LpBuilder::new().lp(b"reference").lp(campaign.as_bytes()).lp_number(number);
    let mac = mail_key.mac(KeyPurpose::Mail, &[&message.finish()]);
    let text = base32::encode(&mac.as_bytes()[..8]).to_ascii_uppercase();
    let mut out = [0; 12];
    out.copy_from_slice(&text.as_bytes()[..12]);
    Reference(out)
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FW")?;
        for (at, character) in self.0.iter().enumerate() {
            if at % 4 == 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*character))?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = MailIdError;

    /// Reads a number as people type it: in either case, with or without `FW` and hyphens, with
    /// spaces, with `O` for 0 and `I` or `L` for 1.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kept = text.chars().filter(|character| !matches!(character, '-' | ' '));
        let typed = kept.collect::<String>().to_ascii_uppercase();
        // 14 characters with FW, 12 without: a number of 12 may begin with FW itself
        let digits = match typed.len() {
            14 => typed.strip_prefix("FW").ok_or(MailIdError::ReferenceForm)?,
            _ => &typed,
        };
        let digits: [u8; 12] =
            digits.as_bytes().try_into().map_err(|_| MailIdError::ReferenceForm)?;
        let digits = digits.map(|character| match character {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            other => other,
        });
        let known = |character: &u8| character.is_ascii_alphanumeric() && *character != b'U';
        if digits.iter().all(known) { Ok(Self(digits)) } else { Err(MailIdError::ReferenceForm) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::keys::fixed_key;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const CAMPAIGN: Uuid = Uuid::from_u128(0x0198_0000_0000_7000_8000_0000_0000_0001);

    fn key() -> Key {
        fixed_key(KeyPurpose::Mail)
    }

    #[test]
    fn the_identifiers_of_a_notice_never_change() {
        let key = key();
        assert_eq!(message_id(&key, &CAMPAIGN, 42, 1), "c1e8dfc9531589f7fefb71bec3a3a26c");
        assert_eq!(boundary_seed(&key, &CAMPAIGN, 42, 1), "fwf12cf24403b2877594b2494f");
        assert_eq!(
            verp_tag(&key, &CAMPAIGN, 42, 1),
            "h68zb1k5rv2p2vgasstqpcwwdxbsns16psa22vpgrwtgrbzazcewafjf"
        );
        assert_eq!(reference(&key, &CAMPAIGN, 42).to_string(), "FW-R6E1-EJTD-3F05");
    }

    #[test]
    fn each_notice_has_its_own() {
        let key = key();
        for other in [(CAMPAIGN, 43, 1), (CAMPAIGN, 42, 2), (CAMPAIGN, 1, 42), (Uuid::nil(), 42, 1)]
        {
            let (campaign, number, generation) = other;
            for derive in [message_id, boundary_seed, verp_tag] {
                assert_ne!(
                    derive(&key, &campaign, number, generation),
                    derive(&key, &CAMPAIGN, 42, 1)
                );
            }
        }
        assert_ne!(reference(&key, &CAMPAIGN, 43), reference(&key, &CAMPAIGN, 42));
        assert_ne!(reference(&key, &Uuid::nil(), 42), reference(&key, &CAMPAIGN, 42));
    }

    #[test]
    fn an_envelope_sender_names_its_notice_in_either_case() {
        let key = key();
        for (number, generation) in [(0, 0), (42, 1), (u64::MAX, u32::MAX)] {
            let tag = verp_tag(&key, &CAMPAIGN, number, generation);
            assert_eq!(tag.len(), VERP_LENGTH);
            let notice = VerpNotice { campaign: CAMPAIGN, number, generation };
            assert_eq!(parse_verp_tag(&key, &tag), Ok(notice));
            assert_eq!(parse_verp_tag(&key, &tag.to_uppercase()), Ok(notice));
        }
    }

    #[test]
    fn a_forged_or_foreign_envelope_sender_is_refused() {
        let key = key();
        let tag = verp_tag(&key, &CAMPAIGN, 42, 1);
        for at in 0..tag.len() {
            let with = if &tag[at..=at] == "0" { "z" } else { "0" };
            let mut altered = tag.clone();
            altered.replace_range(at..=at, with);
            assert_eq!(
                parse_verp_tag(&key, &altered),
                Err(MailIdError::VerpSignature),
                "character {at}"
            );
        }
        let other = Key::generate(KeyPurpose::Mail, &mut StdRng::seed_from_u64(1));
        assert_eq!(parse_verp_tag(&other, &tag), Err(MailIdError::VerpSignature));
        for bad in ["", "postmaster", &tag[1..], &format!("{}u", &tag[1..])] {
            assert_eq!(parse_verp_tag(&key, bad), Err(MailIdError::VerpForm), "{bad}");
        }
    }

    #[test]
    fn an_envelope_sender_does_not_show_whose_it_is() {
        let tag = base32::decode(&verp_tag(&key(), &CAMPAIGN, 42, 1)).unwrap();
        assert!(!tag.windows(8).any(|window| window == 42u64.to_be_bytes()));
        assert!(!tag.windows(4).any(|window| window == &CAMPAIGN.as_bytes()[..4]));
    }

    #[test]
    fn a_reference_is_understood_as_people_type_it() {
        let key = key();
        let reference = reference(&key, &CAMPAIGN, 42);
        let text = reference.to_string();
        let typed = [
            text.clone(),
            text.to_lowercase(),
            text[3..].replace('-', " "),
            text.replace('-', "").replace('0', "o").replace('1', "l"),
        ];
        for typed in typed {
            let parsed: Reference = typed.parse().unwrap();
            assert_eq!(parsed, reference, "{typed}");
            assert!(parsed.is_for(&key, &CAMPAIGN, 42));
            assert!(!parsed.is_for(&key, &CAMPAIGN, 43));
            assert!(!parsed.is_for(&key, &Uuid::nil(), 42));
        }
        for bad in ["", "FW-", "FW-7K2M-9QXT", "FW-7K2M-9QXT-41ZU", "XX-7K2M-9QXT-41ZB", "é"] {
            assert_eq!(bad.parse::<Reference>(), Err(MailIdError::ReferenceForm), "{bad}");
        }
    }
}
