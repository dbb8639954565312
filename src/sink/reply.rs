//! SMTP replies as lines, with the enhanced status codes of RFC 3463. Knows no session state.

use std::fmt;
use std::sync::Arc;

use super::fault::Phase;

/// The size limit announced by SIZE (RFC 1870), octets.
pub(super) const SIZE_LIMIT: usize = 32 * 1024 * 1024;

/// Sent when a client connects.
pub(super) const GREETING: &[u8] = b"220 localhost ESMTP Forthwith sink\r\n";

/// The answer to EHLO.
pub(super) const EHLO: &str = "250-localhost at your service\r\n250-PIPELINING\r\n\
    250-SIZE 33554432\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES";

/// The answer to an idle or open session when the sink stops.
pub(super) const STOPPING: &[u8] = b"421 4.3.2 The sink is stopping\r\n";

/// The answer to a session that said nothing for too long.
pub(super) const IDLE: &[u8] = b"421 4.4.2 Nothing heard for five minutes\r\n";

/// A one-line refusal, without its CRLF.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    line: Arc<str>,
    code: u16,
}

impl Refusal {
    /// A refusal with `code` (400 to 599) and `text`, which opens with an enhanced code.
    pub(super) fn new(code: u16, text: &str) -> Self {
        Self { line: format!("{code} {text}").into(), code }
    }

    /// The line, without CRLF.
    pub(super) fn line(&self) -> &str {
        &self.line
    }

    /// 421 closes the channel (RFC 5321 section 3.8).
    pub(super) fn closes(&self) -> bool {
        self.code == 421
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line)
    }
}

/// Appends one reply line.
pub(super) fn say(out: &mut Vec<u8>, line: &str) {
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The enhanced code and text that suit `code` in `phase`.
pub(super) fn usual(code: u16, phase: Phase) -> (&'static str, &'static str) {
    match (code, phase) {
        (421, _) => ("4.3.2", "Closing the channel, try again later"),
        (450, _) => ("4.2.1", "Mailbox busy, try again later"),
        (451, _) => ("4.7.1", "Try again later"),
        (452, _) => ("4.3.1", "Insufficient system storage"),
        (400..=499, _) => ("4.0.0", "Temporary failure, try again later"),
        (550, Phase::Mail) => ("5.7.1", "Sender refused"),
        (550, Phase::Rcpt) => ("5.1.1", "No such user here"),
        (550, Phase::Data | Phase::Dot) => ("5.7.1", "Message refused"),
        (551, _) => ("5.1.6", "User has moved"),
        (552, _) => ("5.2.2", "Mailbox full"),
        (553, _) => ("5.1.3", "Mailbox name not allowed"),
        (554, _) => ("5.7.1", "Refused by policy"),
        _ => ("5.0.0", "Refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announced_size_is_the_limit() {
        assert!(EHLO.contains(&format!("SIZE {SIZE_LIMIT}\r\n")));
    }

    #[test]
    fn every_usual_text_has_the_class_of_its_code() {
        for code in 400..=599 {
            for phase in [Phase::Mail, Phase::Rcpt, Phase::Data, Phase::Dot] {
                let (enhanced, text) = usual(code, phase);
                assert_eq!(enhanced[..1], (code / 100).to_string());
                assert!(!text.is_empty());
            }
        }
    }
}
