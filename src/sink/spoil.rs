//! Replies that arrive otherwise than they should. Works on octets already said; knows no phases.

use std::sync::Arc;
use std::time::Duration;

use super::replies::Replies;

/// Octets of a `huge` reply, at least.
const HUGE: usize = 100_000;

/// What a server says that has lost its mind: no code in front, control characters, octets with the
/// high bit that are no UTF-8.
pub(super) const GARBAGE: &[u8] = b"\xff\xfe\x00\x01garbage \x80\x9f\xc3\x28\x07\x1b[2J \x7f\r\n";

/// How a reply is spoilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Spoil {
    /// [`GARBAGE`] in its place.
    Garbage,
    /// Half of its first line, then the connection is closed.
    Half,
    /// Another code on each of its lines.
    Wrong(u16),
    /// These lines in its place, without the last CRLF.
    Instead(Arc<str>),
    /// The same again, unasked.
    Twice,
    /// Lines of the same code before its last, [`HUGE`] octets of them.
    Huge,
    /// One octet at a time.
    Bytewise,
    /// So much later.
    Slow(Duration),
    /// This line behind it, unasked and in the same write, without its CRLF.
    Behind(Arc<str>),
}

impl Spoil {
    /// Spoils the one reply that waits from `from` on. True when the connection is to be closed
    /// behind it.
    pub(super) fn apply(&self, replies: &mut Replies, from: usize) -> bool {
        let said = replies.since(from).to_vec();
        match self {
            Self::Garbage => replies.replace(from, GARBAGE),
            Self::Half => replies.replace(from, half(&said)),
            Self::Wrong(code) => replies.replace(from, &recoded(&said, *code)),
            Self::Instead(text) => replies.replace(from, format!("{text}\r\n").as_bytes()),
            Self::Twice => replies.replace(from, &[said.as_slice(), &said].concat()),
            Self::Huge => replies.replace(from, &huge(&said)),
            Self::Bytewise => replies.bytewise(from),
            Self::Slow(wait) => replies.wait(from, *wait),
            Self::Behind(text) => {
                replies.replace(from, &[said.as_slice(), text.as_bytes(), b"\r\n"].concat());
            }
        }
        *self == Self::Half
    }
}

/// At least the code and its space, so that a client which takes the end of the stream for the end
/// of a line would read a good reply.
fn half(said: &[u8]) -> &[u8] {
    let line = said.split(|octet| *octet == b'\r').next().unwrap_or_default();
    &line[..line.len().min((line.len() / 2).max(4))]
}

fn recoded(said: &[u8], code: u16) -> Vec<u8> {
    let mut recoded = Vec::with_capacity(said.len());
    for line in said.split_inclusive(|octet| *octet == b'\n') {
        recoded.extend_from_slice(code.to_string().as_bytes());
        recoded.extend_from_slice(line.get(3..).unwrap_or_default());
    }
    recoded
}

fn huge(said: &[u8]) -> Vec<u8> {
    let body = said.strip_suffix(b"\r\n").unwrap_or(said);
    let last = body.iter().rposition(|octet| *octet == b'\n').map_or(0, |end| end + 1);
    let (before, last) = said.split_at(last);
    let code = last.get(..3).unwrap_or_default();
    let filler = [code, b"-more of the same, and no end of it is in sight yet\r\n"].concat();
    let fillers = HUGE.div_ceil(filler.len());
    [before, &filler.repeat(fillers), last].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoilt(spoil: &Spoil, said: &str) -> (Vec<u8>, bool) {
        let mut replies = Replies::default();
        replies.say("250 before");
        let from = replies.len();
        replies.say(said);
        let closes = spoil.apply(&mut replies, from);
        (replies.since(from).to_vec(), closes)
    }

    #[test]
    fn each_way_to_spoil_a_reply_touches_that_reply_alone() {
        for (spoil, spoilt_so) in [
            (Spoil::Half, &b"250 2.0"[..]),
            (Spoil::Wrong(354), b"354 2.0.0 Okay\r\n"),
            (Spoil::Instead("250-a\r\n250 b".into()), b"250-a\r\n250 b\r\n"),
            (Spoil::Twice, b"250 2.0.0 Okay\r\n250 2.0.0 Okay\r\n"),
            (Spoil::Behind("250 more".into()), b"250 2.0.0 Okay\r\n250 more\r\n"),
            (Spoil::Garbage, GARBAGE),
        ] {
            let (octets, closes) = spoilt(&spoil, "250 2.0.0 Okay");
            assert_eq!(octets, spoilt_so, "{spoil:?}");
            assert_eq!(closes, spoil == Spoil::Half);
        }
    }

    #[test]
    fn a_huge_reply_keeps_its_first_and_last_line_and_its_code() {
        let (octets, _) = spoilt(&Spoil::Huge, "250-host\r\n250 DSN");
        let text = String::from_utf8(octets).unwrap();
        assert!(text.len() >= HUGE);
        assert!(text.starts_with("250-host\r\n250-more") && text.ends_with("\r\n250 DSN\r\n"));
        assert!(text.lines().all(|line| line.starts_with("250")));
        let (octets, _) = spoilt(&Spoil::Huge, "354 Go");
        assert!(octets.starts_with(b"354-more") && octets.ends_with(b"\r\n354 Go\r\n"));
    }

    #[test]
    fn a_short_reply_is_halved_behind_its_code() {
        assert_eq!(spoilt(&Spoil::Half, "250 OK").0, b"250 ");
        assert_eq!(spoilt(&Spoil::Half, "250").0, b"250");
        assert_eq!(spoilt(&Spoil::Half, "250-localhost\r\n250 DSN").0, b"250-lo");
    }

    #[test]
    fn garbage_is_no_reply_and_no_text() {
        assert!(String::from_utf8(GARBAGE.to_vec()).is_err());
        assert!(!GARBAGE[0].is_ascii_digit());
        assert!(GARBAGE.iter().any(u8::is_ascii_control));
    }
}
