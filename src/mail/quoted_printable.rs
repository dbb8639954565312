//! Quoted-printable for message bodies (RFC 2045 §6.7).
//!
//! Ours because the mail library picks between 7bit, base64 and quoted-printable by content, while
//! a notice must always be built the same way, and its encoder is not public. A dot that begins a line is
//! encoded too, so that the wire form (RFC 5321 §4.5.2) has nothing to double.

use memchr::memchr2;

/// The longest line, without its CRLF.
const MAX_LINE: usize = 76;
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Encodes a text; its line ends, of whatever kind, become CRLF, and the last line gets one.
/// What is put at the end of `output` is ASCII, with no line over 76 octets.
pub(super) fn encode(text: &str, output: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        encode_line(&rest[..end], output);
        let line_end = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = rest.get(end + line_end..).unwrap_or_default();
    }
}

/// Encodes one line and ends it.
fn encode_line(line: &[u8], output: &mut Vec<u8>) {
    let mut column = 0;
    let mut at = 0;
    while at < line.len() {
        let rest = &line[at..];
        if column == 0 && rest.starts_with(b".") {
            output.extend_from_slice(b"=2E");
            column = 3;
            at += 1;
            continue;
        }
        // Most lines of a notice stand as they are, or are cut at the full width.
        if column == 0 && rest.len() <= MAX_LINE && all_stand(rest) && !rest.ends_with(b" ") {
            output.extend_from_slice(rest);
            break;
        }
        if column == 0 && rest.len() > MAX_LINE && all_stand(&rest[..MAX_LINE - 1]) {
            output.extend_from_slice(&rest[..MAX_LINE - 1]);
            output.extend_from_slice(b"=\r\n");
            at += MAX_LINE - 1;
            continue;
        }
        let run = line[at..].iter().take(MAX_LINE - 1 - column);
        let run = run.take_while(|byte| may_stand(**byte)).count();
        // White space at the very end of a line would be lost on the way.
        let run =
            run - usize::from(at + run == line.len() && matches!(line.last(), Some(b' ' | b'\t')));
        output.extend_from_slice(&line[at..at + run]);
        column += run;
        at += run;
        let Some(&byte) = line.get(at) else { break };
        let is_last = at + 1 == line.len();
        let stands = may_stand(byte) && !(is_last && matches!(byte, b' ' | b'\t'));
        let width = if stands { 1 } else { 3 };
        if column + width > MAX_LINE - usize::from(!is_last) {
            output.extend_from_slice(b"=\r\n");
            column = 0;
            continue;
        }
        if !stands {
            output.extend_from_slice(&[
                b'=',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
            column += 3;
            at += 1;
        } else if is_last {
            output.push(byte);
            at += 1;
        }
    }
    output.extend_from_slice(b"\r\n");
}

/// Whether all of these may stand for themselves; of a tab it says no, which costs time alone. Without a
/// branch, so that many bytes are judged at once.
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator would be the branch")]
fn all_stand(bytes: &[u8]) -> bool {
    !bytes.iter().fold(false, |bad, byte| bad | !matches!(byte, b' '..=b'~') | (*byte == b'='))
}

/// Whether a byte may stand for itself inside a line.
fn may_stand(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'!'..=b'<' | b'>'..=b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> String {
        let mut output = Vec::new();
        encode(text, &mut output);
        String::from_utf8(output).unwrap()
    }

    /// Decodes by the RFC's rules, apart from the encoder under test.
    fn decoded(text: &str) -> Vec<u8> {
        let joined = text.replace("=\r\n", "");
        let mut bytes = joined.bytes();
        let mut output = Vec::new();
        while let Some(byte) = bytes.next() {
            if byte == b'=' {
                let pair = [bytes.next().unwrap(), bytes.next().unwrap()];
                output.push(u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap());
            } else {
                output.push(byte);
            }
        }
        output
    }

    #[test]
    fn text_survives_the_way_there_and_back() {
        for width in 70..82 {
            for tail in ["", " ", "=", "é", "x", "\t", "=é ", "😀", ".", "..", " ..é", ".........."]
            {
                let text =
                    format!("{}{tail}\r\n.\r\n\r\nnext {}\r\n", "a".repeat(width), "é=".repeat(40));
                let encoded = encoded(&text);
                assert_eq!(decoded(&encoded), text.as_bytes());
                for line in encoded.split("\r\n") {
                    assert!(line.len() <= MAX_LINE, "{line}");
                    assert!(!line.ends_with([' ', '\t']), "{line:?}");
                    assert!(!line.starts_with('.'), "{line:?}");
                }
                assert!(encoded.is_ascii());
            }
        }
    }

    /// The same without the short cuts.
    fn step_by_step(line: &str) -> Vec<u8> {
        let mut output = Vec::new();
        let bytes = line.as_bytes();
        let mut column = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            let is_last = at + 1 == bytes.len();
            let stands = may_stand(byte) && !(is_last && matches!(byte, b' ' | b'\t'));
            let width = if stands { 1 } else { 3 };
            if column + width > MAX_LINE - usize::from(!is_last) {
                output.extend_from_slice(b"=\r\n");
                column = 0;
            }
            if stands && !(column == 0 && byte == b'.') {
                output.push(byte);
                column += 1;
            } else {
                output.extend_from_slice(format!("={byte:02X}").as_bytes());
                column += 3;
            }
        }
        output.extend_from_slice(b"\r\n");
        output
    }

    #[test]
    fn short_cuts_change_no_byte() {
        for width in [0, 1, 74, 75, 76, 77, 149, 150, 151, 152, 153, 226, 300] {
            for odd in ["", "=", " ", "\t", "é", "😀", ".", "...."] {
                for at in (0..=width).step_by(7).chain([width]) {
                    let line = format!("{}{odd}{}", "a".repeat(at), "b".repeat(width - at));
                    let expected = if line.is_empty() { Vec::new() } else { step_by_step(&line) };
                    assert_eq!(encoded(&line).as_bytes(), expected, "{line:?}");
                }
            }
        }
    }

    #[test]
    fn a_line_of_just_the_full_width_is_not_broken() {
        let full = "a".repeat(76);
        assert_eq!(encoded(&full), format!("{full}\r\n"));
        assert_eq!(encoded(&format!("{full}b")), format!("{}=\r\nab\r\n", &full[1..]));
    }

    #[test]
    fn every_kind_of_line_end_becomes_one_crlf() {
        assert_eq!(encoded("a\nb\r\nc\rd"), "a\r\nb\r\nc\r\nd\r\n");
        assert_eq!(encoded("a\n\n"), "a\r\n\r\n");
        assert_eq!(encoded(""), "");
    }

    #[test]
    fn a_dot_that_begins_a_line_is_encoded() {
        assert_eq!(encoded(".\n..a\nb.\n .\n"), "=2E\r\n=2E.a\r\nb.\r\n .\r\n");
        let at_the_cut = format!("{}.b", "a".repeat(75));
        assert_eq!(encoded(&at_the_cut), format!("{}=\r\n=2Eb\r\n", "a".repeat(75)));
    }

    #[test]
    fn control_characters_are_encoded() {
        assert_eq!(encoded("a\0b\u{1b}[0m"), "a=00b=1B[0m\r\n");
    }
}
