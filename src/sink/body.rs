//! The body of a message between 354 and its final dot (RFC 5321 section 4.5.2).
//!
//! Knows octets only. `smtp_proto`'s own receiver is not used here: it also ends a message at
//! `CR LF . CR CR LF`, and does not see a dot in the very first line.

use std::io::BufRead;

/// Where in a line the next octet stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    /// After the dot that opens a line.
    Dot,
    /// After that dot and a CR.
    DotCr,
    Inside {
        after_cr: bool,
    },
}

/// Finds `CRLF . CRLF`, and nothing else, across any split of the stream.
#[derive(Debug)]
pub(super) struct BodyReader {
    at: At,
}

impl BodyReader {
    /// A reader for the first octet after the 354: the start of a line.
    pub(super) fn new() -> Self {
        Self { at: At::LineStart }
    }

    /// Moves octets from `input` to `body`, stuffed dots removed, and returns true once the final
    /// dot was read. What stays in `input` then follows the message; before, nothing stays.
    pub(super) fn take(&mut self, input: &mut &[u8], body: &mut Vec<u8>) -> bool {
        while let Some((&octet, tail)) = input.split_first() {
            match (self.at, octet) {
                (At::LineStart, b'.') => {
                    *input = tail;
                    self.at = At::Dot;
                }
                (At::Dot, b'\r') => {
                    *input = tail;
                    self.at = At::DotCr;
                }
                (At::DotCr, b'\n') => {
                    *input = tail;
                    return true;
                }
                (At::DotCr, _) => {
                    body.push(b'\r');
                    self.at = At::Inside { after_cr: true };
                }
                (At::LineStart | At::Dot, _) => self.at = At::Inside { after_cr: false },
                (At::Inside { after_cr }, _) => self.at = take_line(after_cr, input, body),
            }
        }
        false
    }
}

/// Takes up to and with the next LF; only CRLF ends a line.
fn take_line(after_cr: bool, input: &mut &[u8], body: &mut Vec<u8>) -> At {
    let before = body.len();
    // Reading from memory cannot fail; this is the standard library's fast search for one octet.
    let _taken = input.read_until(b'\n', body);
    match &body[before..] {
        [.., b'\r', b'\n'] => At::LineStart,
        [b'\n'] if after_cr => At::LineStart,
        [.., last] => At::Inside { after_cr: *last == b'\r' },
        [] => At::Inside { after_cr },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> (Vec<u8>, bool, Vec<u8>) {
        let (mut reader, mut body) = (BodyReader::new(), Vec::new());
        for (index, piece) in pieces.iter().enumerate() {
            let mut input = *piece;
            if reader.take(&mut input, &mut body) {
                let mut rest = input.to_vec();
                rest.extend(pieces[index + 1..].concat());
                return (body, true, rest);
            }
            assert!(input.is_empty());
        }
        (body, false, Vec::new())
    }

    #[test]
    fn every_split_of_the_stream_gives_the_same_body() {
        let wire = b"..a\r\n.\r\r\nb\n.\nc\r.\r\n...\r\n.x\r\n\r\n.\r\nQUIT\r\n";
        let plain = b".a\r\n\r\r\nb\n.\nc\r.\r\n..\r\nx\r\n\r\n";
        for first in 0..wire.len() {
            for second in first..wire.len() {
                let pieces = [&wire[..first], &wire[first..second], &wire[second..]];
                let (body, ended, rest) = read(&pieces);
                assert!(ended, "split at {first} and {second}");
                assert_eq!(body, plain, "split at {first} and {second}");
                assert_eq!(rest, b"QUIT\r\n");
            }
        }
    }

    #[test]
    fn nothing_but_a_dot_between_two_line_ends_is_the_end() {
        for wire in [
            &b"a\n.\nMAIL FROM:<x@example.org>\r\n"[..],
            b"a\n.\r\nMAIL\r\n",
            b"a\r.\r\nMAIL\r\n",
            b"a\r\n.\nMAIL\r\n",
            b"a\r\n.\rMAIL\r\n",
            b"a\r\n.\r\r\nMAIL\r\n",
            b"a\r.\rMAIL\r\n",
            b"a\r\n. \r\nMAIL\r\n",
        ] {
            let (_, ended, _) = read(&[wire]);
            assert!(!ended, "{:?}", String::from_utf8_lossy(wire));
        }
    }

    #[test]
    fn a_dot_in_the_first_line_ends_an_empty_message() {
        assert_eq!(read(&[b".\r\n"]), (Vec::new(), true, Vec::new()));
    }
}
