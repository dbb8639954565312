//! Base 32 in Crockford's alphabet: for text that mail servers may fold to lower case and that
//! people read aloud. Knows nothing of what the bytes mean.

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Writes `bytes` in lower case without padding; a last incomplete group is filled with zero bits.
pub fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0u32, 0u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(digit(held >> bits));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(digit(held << (5 - bits)));
    }
    out
}

fn digit(value: u32) -> char {
    char::from(ALPHABET[(value & 31) as usize])
}

/// Reads what [`encode`] wrote, in either case; `o` reads as 0, `i` and `l` as 1. `None` for any
/// other character, and for a length or left-over bits that no encoding has.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    let (mut held, mut bits) = (0u32, 0u32);
    for character in text.bytes() {
        held = (held << 5) | value(character)?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits).to_be_bytes()[3]);
        }
        held &= (1 << bits) - 1;
    }
    (bits < 5 && held == 0).then_some(out)
}

fn value(character: u8) -> Option<u32> {
    let folded = match character.to_ascii_lowercase() {
        b'o' => b'0',
        b'i' | b'l' => b'1',
        other => other,
    };
    ALPHABET.iter().zip(0..).find_map(|(known, value)| (*known == folded).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_comes_back_in_either_case() {
        let bytes: Vec<u8> = (0..=80u8).map(|n| n.wrapping_mul(37) ^ 0xa5).collect();
        for length in 0..=bytes.len() {
            let text = encode(&bytes[..length]);
            assert_eq!(decode(&text).as_deref(), Some(&bytes[..length]));
            assert_eq!(decode(&text.to_uppercase()).as_deref(), Some(&bytes[..length]));
        }
    }

    #[test]
    fn known_values_are_written_as_others_write_them() {
        assert_eq!(encode(b""), "");
        assert_eq!(encode(b"foobar"), "csqpyrk1e8");
        assert_eq!(encode(&[0xff; 5]), "zzzzzzzz");
    }

    #[test]
    fn letters_that_look_like_digits_are_read_as_digits() {
        assert_eq!(decode("oO0iIlL1"), decode("00011111"));
    }

    #[test]
    fn text_that_no_encoding_has_is_refused() {
        for bad in ["u", "0u", "00-0", "0", "000", "01", "0\u{e9}"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
