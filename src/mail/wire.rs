//! The form in which a message goes over the wire: dot-stuffed, CRLF throughout, with its final dot.

use std::fmt;

use memchr::memrchr;

use super::envelope::Offer;

/// The longest line RFC 5321 §4.5.3.1.6 lets through, without its CRLF.
const MAX_LINE: usize = 998;

/// A message ready to be written in one go after 354. ASCII, every line ended by CRLF, no line but
/// the last a lone dot. Debug shows its size only: it may hold a reset link.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Wire {
    text: String,
    message_size: usize,
}

/// Why a message cannot be sent as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireFault {
    /// A byte that is not 7-bit text.
    #[error("the message has byte {byte:#04x} at offset {offset}, which plain SMTP cannot carry")]
    NotSevenBit {
        /// Where, in octets from the start.
        offset: usize,
        /// The byte.
        byte: u8,
    },
    /// A line longer than 998 octets.
    #[error("line {0} of the message is longer than 998 octets")]
    LineTooLong(usize),
}

impl Wire {
    /// The text to write.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The bytes to write.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The same with what begins the next transaction, to be written in one go.
    pub(super) fn followed_by(&mut self, next: &Offer) -> &str {
        self.text.push_str(next.as_str());
        &self.text
    }

    /// The size to declare with SIZE (RFC 1870): without stuffed dots and final dot, in octets.
    pub fn message_size(&self) -> usize {
        self.message_size
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({} octets)", self.text.len())
    }
}

/// Brings a message into its wire form. A bare CR or LF becomes CRLF. Ours have neither, nor a line that begins
/// with a dot, and are kept as they are.
pub fn wire_form(message: impl Into<Vec<u8>>) -> Result<Wire, WireFault> {
    let mut bytes = message.into();
    if !stands(&bytes) {
        return stuffed(&bytes);
    }
    let message_size = bytes.len();
    bytes.extend_from_slice(b".\r\n");
    let text =
        String::from_utf8(bytes).map_err(|_| WireFault::NotSevenBit { offset: 0, byte: 0 })?;
    Ok(Wire { text, message_size })
}

/// Whether a message is its own wire form: 7-bit text without NUL, of lines that are short enough, are ended by
/// CRLF and do not begin with a dot. Looks at pairs of bytes without a branch, so that many are judged at once.
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator would be the branch")]
fn stands(message: &[u8]) -> bool {
    let Some((first, rest)) = message.split_first() else { return false };
    let is_odd = |byte: u8| (byte == 0) | (byte >= 0x80);
    let has_odd_pair = message.iter().zip(rest).fold(false, |odd, (&before, &byte)| {
        odd | is_odd(byte)
            | ((before == b'\r') != (byte == b'\n'))
            | ((before == b'\n') & (byte == b'.'))
    });
    !has_odd_pair
        && !is_odd(*first)
        && !matches!(first, b'\n' | b'.')
        && message.ends_with(b"\r\n")
        && has_short_lines(message)
}

/// Whether no line is too long, found in strides of a longest line.
fn has_short_lines(message: &[u8]) -> bool {
    let mut rest = message;
    while let Some(stride) = rest.get(..MAX_LINE + 2) {
        let Some(end) = memrchr(b'\n', stride) else { return false };
        rest = &rest[end + 1..];
    }
    true
}

fn stuffed(message: &[u8]) -> Result<Wire, WireFault> {
    let mut text = String::with_capacity(message.len() + message.len() / 64 + 8);
    let mut message_size = 0;
    let mut rest = message;
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
        let line = seven_bit(&rest[..end], message.len() - rest.len())?;
        if line.len() > MAX_LINE {
            return Err(WireFault::LineTooLong(number));
        }
        if line.starts_with('.') {
            text.push('.');
        }
        text.push_str(line);
        text.push_str("\r\n");
        message_size += line.len() + 2;
        let line_end = if rest[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = rest.get(end + line_end..).unwrap_or_default();
    }
    text.push_str(".\r\n");
    Ok(Wire { text, message_size })
}

/// The line as text, if every byte is 7-bit and not NUL.
fn seven_bit(line: &[u8], offset: usize) -> Result<&str, WireFault> {
    let bad = line.iter().position(|byte| *byte == 0 || *byte >= 0x80);
    if let Some(at) = bad {
        return Err(WireFault::NotSevenBit { offset: offset + at, byte: line[at] });
    }
    std::str::from_utf8(line).map_err(|_| WireFault::NotSevenBit { offset, byte: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_at_line_starts_are_doubled_and_the_final_dot_added() {
        let wire = wire_form(b"a\r\n.\r\n..b\r\nc.d\r\n").unwrap();
        assert_eq!(wire.as_str(), "a\r\n..\r\n...b\r\nc.d\r\n.\r\n");
        assert_eq!(wire.message_size(), "a\r\n.\r\n..b\r\nc.d\r\n".len());
    }

    #[test]
    fn a_message_that_needs_only_its_final_dot_is_the_same_either_way() {
        let full = [&[b'x'; 998][..], b"\r\n"].concat().repeat(3);
        for message in [&b"a\r\nb c\r\n\r\nd.\r\n"[..], b"\r\n", b"=2E\r\n", b"a\r\n .\r\n", &full]
        {
            assert!(stands(message));
            assert_eq!(wire_form(message), stuffed(message));
        }
        let long = [&full, &[b'x'; 999][..], b"\r\n"].concat();
        let others = [
            &b"a\n"[..],
            b"a\rb\r\n",
            b"a",
            b"",
            b"a\0\r\n",
            b"\0\r\n",
            b"\n\r\n",
            b"a\r\n\n",
            b".\r\n",
            b"a\r\n.\r\n",
            b"\x80\r\n",
            b"a\r\r\n",
            b"\r\r\n",
            b"\r",
            &long,
        ];
        assert!(others.into_iter().all(|message| !stands(message)));
    }

    #[test]
    fn no_bare_cr_or_lf_reaches_the_wire() {
        for message in [&b"a\n.\nb"[..], b"a\r.\rb", b"a\r\n.\r\r\nb\n", b"\n.\r\n.", b""] {
            let wire = wire_form(message).unwrap();
            let plain = wire.as_str().replace("\r\n", "");
            assert!(!plain.contains(['\r', '\n']), "{:?}", wire.as_str());
            assert_eq!(
                wire.as_str().matches("\r\n.\r\n").count(),
                usize::from(!message.is_empty())
            );
            assert!(wire.as_str().ends_with(".\r\n"));
        }
    }

    #[test]
    fn what_plain_smtp_cannot_carry_is_refused() {
        assert_eq!(
            wire_form("ok\r\né\r\n".as_bytes()),
            Err(WireFault::NotSevenBit { offset: 4, byte: 0xc3 })
        );
        assert_eq!(wire_form(b"a\0"), Err(WireFault::NotSevenBit { offset: 1, byte: 0 }));
        let long = format!("a\r\n{}\r\n", "b".repeat(999));
        assert_eq!(wire_form(long.as_bytes()), Err(WireFault::LineTooLong(2)));
    }

    #[test]
    fn debug_does_not_show_the_message() {
        assert_eq!(format!("{:?}", wire_form(b"secret").unwrap()), "Wire(11 octets)");
    }
}
