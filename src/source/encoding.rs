//! What the bytes of a file mean, and the same text as UTF-8.
//!
//! The byte order mark decides where there is one; a mark that contradicts the setting is an error,
//! since text read by the wrong table would be mailed as it was read.

use serde::{Deserialize, Serialize};

/// How a text file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
pub enum Encoding {
    /// With or without a byte order mark.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// What older Windows programs write in western Europe and America; ISO 8859-1 reads as it too.
    #[serde(rename = "windows-1252")]
    Windows1252,
    /// With a byte order mark, which says in which order its bytes stand.
    #[serde(rename = "utf-16")]
    Utf16,
}

impl Encoding {
    /// Reads the word it has in campaign files.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "utf-8" => Some(Self::Utf8),
            "windows-1252" => Some(Self::Windows1252),
            "utf-16" => Some(Self::Utf16),
            _ => None,
        }
    }
}

/// Why a file's bytes cannot be taken for text of the encoding set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodingFault {
    /// The mark of UTF-16, and another encoding is set.
    #[error("begins with the byte order mark of UTF-16; hint: `encoding = \"utf-16\"`")]
    IsUtf16,
    /// The mark of UTF-8, and another encoding is set.
    #[error("begins with the byte order mark of UTF-8; hint: leave `encoding` out")]
    IsUtf8,
    /// UTF-16 is set, and no mark says in which order its bytes stand.
    #[error(
        "`encoding` is \"utf-16\", but no byte order mark says in which order its bytes stand; \
         hint: save it with a mark, or as UTF-8"
    )]
    NoMark,
    /// Windows-1252 is set, and the text would make no sense but as UTF-8.
    #[error(
        "`encoding` is \"windows-1252\", but its letters beyond ASCII are UTF-8; \
         hint: leave `encoding` out"
    )]
    LooksLikeUtf8,
}

/// Windows-1252 from 0x80 to 0x9F (index-windows-1252 of the WHATWG Encoding Standard); every other
/// byte is the code point of its own number.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

/// What stands in the decoded bytes for what is no text: no UTF-8 holds this byte, so whoever reads
/// the value rejects it.
const NO_TEXT: u8 = 0xFF;

/// Turns the bytes of a file into UTF-8, piece by piece and without a state between two pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoder {
    Utf8,
    Windows1252,
    Utf16 { is_big_endian: bool },
}

impl Decoder {
    /// The decoder of a file by its first bytes, as many of them as there are at once.
    pub(super) fn of(encoding: Encoding, first: &[u8]) -> Result<Self, EncodingFault> {
        let marked_utf8 = first.starts_with(b"\xEF\xBB\xBF");
        let is_big_endian = first.starts_with(b"\xFE\xFF");
        let marked_utf16 = is_big_endian || first.starts_with(b"\xFF\xFE");
        match encoding {
            Encoding::Utf8 | Encoding::Windows1252 if marked_utf16 => Err(EncodingFault::IsUtf16),
            Encoding::Utf8 => Ok(Self::Utf8),
            Encoding::Windows1252 | Encoding::Utf16 if marked_utf8 => Err(EncodingFault::IsUtf8),
            Encoding::Windows1252 if is_utf8(first) => Err(EncodingFault::LooksLikeUtf8),
            Encoding::Windows1252 => Ok(Self::Windows1252),
            Encoding::Utf16 if marked_utf16 => Ok(Self::Utf16 { is_big_endian }),
            Encoding::Utf16 if first.is_empty() => Ok(Self::Utf8),
            Encoding::Utf16 => Err(EncodingFault::NoMark),
        }
    }

    /// Adds the text of `raw` to `out` and tells how many bytes it took; the rest, less than a
    /// character, waits for what follows unless nothing does.
    pub(super) fn decode(self, raw: &[u8], is_end: bool, out: &mut Vec<u8>) -> usize {
        match self {
            Self::Utf8 => {
                out.extend_from_slice(raw);
                raw.len()
            }
            Self::Windows1252 => {
                for byte in raw {
                    push(out, windows_1252(*byte));
                }
                raw.len()
            }
            Self::Utf16 { is_big_endian } => utf_16(raw, is_big_endian, is_end, out),
        }
    }
}

fn windows_1252(byte: u8) -> char {
    match byte {
        0x80..=0x9F => WINDOWS_1252[usize::from(byte - 0x80)],
        other => char::from(other),
    }
}

fn utf_16(raw: &[u8], is_big_endian: bool, is_end: bool, out: &mut Vec<u8>) -> usize {
    let unit = |pair: &[u8]| {
        let pair = [pair[0], pair[1]];
        if is_big_endian { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    };
    let mut whole = raw.len() / 2 * 2;
    // the first half of a character outside the basic plane waits for its second
    if !is_end && whole > 0 && matches!(unit(&raw[whole - 2..whole]), 0xD800..=0xDBFF) {
        whole -= 2;
    }
    for read in char::decode_utf16(raw[..whole].chunks_exact(2).map(unit)) {
        match read {
            Ok(letter) => push(out, letter),
            Err(_) => out.push(NO_TEXT),
        }
    }
    if is_end && raw.len() % 2 == 1 {
        out.push(NO_TEXT);
        return raw.len();
    }
    whole
}

fn push(out: &mut Vec<u8>, letter: char) {
    out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Whether text that is said to be something else would be UTF-8 as well, piece by piece: letters beyond
/// ASCII stand in it, and all of them are. By chance that is next to impossible.
#[derive(Debug, Default)]
pub(super) struct Utf8Watch {
    /// Letters beyond ASCII were seen.
    has_letters: bool,
    /// Bytes were seen that no UTF-8 has in their place.
    is_other: bool,
    /// The first bytes of a letter whose others come with the next piece.
    cut: Vec<u8>,
}

impl Utf8Watch {
    /// Looks at the next bytes of the text.
    pub(super) fn see(&mut self, piece: &[u8]) {
        if self.is_other {
            return;
        }
        let whole = (!self.cut.is_empty()).then(|| [&self.cut[..], piece].concat());
        let bytes = whole.as_deref().unwrap_or(piece);
        let valid = match std::str::from_utf8(bytes) {
            Ok(_) => bytes.len(),
            Err(error) => {
                self.is_other = error.error_len().is_some();
                error.valid_up_to()
            }
        };
        self.has_letters |= !bytes[..valid].is_ascii();
        self.cut = bytes[valid..].to_vec();
    }

    /// Whether what was seen is UTF-8; the last letter may be cut short.
    pub(super) fn is_utf8_so_far(&self) -> bool {
        self.has_letters && !self.is_other
    }

    /// Whether all of the text was UTF-8.
    pub(super) fn is_utf8(&self) -> bool {
        self.is_utf8_so_far() && self.cut.is_empty()
    }
}

/// Whether there are letters beyond ASCII, and all of them are UTF-8; the last may be cut short.
fn is_utf8(first: &[u8]) -> bool {
    let mut watch = Utf8Watch::default();
    watch.see(first);
    watch.is_utf8_so_far()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(decoder: Decoder, raw: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        assert_eq!(decoder.decode(raw, true, &mut out), raw.len());
        out
    }

    #[test]
    fn windows_1252_is_read_letter_by_letter() {
        let raw = b"Stra\xDFe \x80 \x84x\x93 Fran\xE7ois \x81";
        assert_eq!(text(Decoder::Windows1252, raw), "Straße € „x“ François \u{81}".as_bytes());
    }

    #[test]
    fn utf_16_is_read_in_both_orders_and_wherever_it_is_cut() {
        let letters = "Żółć 🎁 王";
        for is_big_endian in [false, true] {
            let raw: Vec<u8> = letters
                .encode_utf16()
                .flat_map(
                    |unit| if is_big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() },
                )
                .collect();
            let decoder = Decoder::Utf16 { is_big_endian };
            assert_eq!(text(decoder, &raw), letters.as_bytes());
            for cut in 0..raw.len() {
                let mut out = Vec::new();
                let taken = decoder.decode(&raw[..cut], false, &mut out);
                assert!(cut - taken < 4);
                decoder.decode(&raw[taken..], true, &mut out);
                assert_eq!(out, letters.as_bytes(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn utf_8_is_known_wherever_it_is_cut_and_one_other_letter_is_enough_against_it() {
        let seen = |pieces: &[&[u8]]| {
            let mut watch = Utf8Watch::default();
            for piece in pieces {
                watch.see(piece);
            }
            watch.is_utf8()
        };
        let letters = "Straße, 🎁 and more".as_bytes();
        for cut in 0..=letters.len() {
            assert!(seen(&[&letters[..cut], &letters[cut..]]), "cut at {cut}");
            assert!(!seen(&[&letters[..cut], b"\xE9", &letters[cut..]]), "cut at {cut}");
        }
        assert!(!seen(&[b"plain", b"text"]) && !seen(&[]));
        assert!(!seen(&[letters, b"caf\xC3"]), "half a letter at the end is none");
        let one_by_one: Vec<&[u8]> = letters.chunks(1).collect();
        assert!(seen(&one_by_one));
    }

    #[test]
    fn what_is_no_character_stays_visible_as_what_is_no_text() {
        let decoder = Decoder::Utf16 { is_big_endian: false };
        assert_eq!(text(decoder, b"\x00\xD8a\0"), b"\xFFa");
        assert_eq!(text(decoder, b"a\0b"), b"a\xFF");
    }

    #[test]
    fn a_mark_that_contradicts_the_setting_is_an_error_with_a_hint() {
        use Encoding::{Utf8, Utf16, Windows1252};
        for (encoding, first, fault) in [
            (Utf8, &b"\xFF\xFEi\0"[..], EncodingFault::IsUtf16),
            (Utf8, b"\xFE\xFF\0i", EncodingFault::IsUtf16),
            (Windows1252, b"\xFF\xFEi\0", EncodingFault::IsUtf16),
            (Windows1252, b"\xEF\xBB\xBFid", EncodingFault::IsUtf8),
            (Windows1252, "id\nß".as_bytes(), EncodingFault::LooksLikeUtf8),
            (Utf16, b"\xEF\xBB\xBFid", EncodingFault::IsUtf8),
            (Utf16, b"i\0d\0", EncodingFault::NoMark),
        ] {
            assert_eq!(Decoder::of(encoding, first), Err(fault), "{encoding:?} {first:?}");
            assert!(fault.to_string().contains("; hint: "));
        }
        assert_eq!(Decoder::of(Windows1252, b"Stra\xDFe"), Ok(Decoder::Windows1252));
        assert_eq!(Decoder::of(Windows1252, b"plain"), Ok(Decoder::Windows1252));
    }
}
