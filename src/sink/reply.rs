//! Texts of SMTP replies, with the enhanced status codes of RFC 3463. Knows no session state.

use std::fmt;
use std::sync::Arc;

use super::phase::Phase;

/// The size limit announced by SIZE (RFC 1870), octets.
pub(super) const SIZE_LIMIT: usize = 32 * 1024 * 1024;

/// Sent when a client connects.
pub(super) const GREETING: &str = "220 localhost ESMTP Forthwith sink";

/// The answer to an idle or open session when the sink stops.
pub(super) const STOPPING: &[u8] = b"421 4.3.2 The sink is stopping\r\n";

/// The answer to a session that said nothing for too long.
pub(super) const IDLE: &[u8] = b"421 4.4.2 Nothing heard for five minutes\r\n";

/// A refusal of one or more lines, without its last CRLF.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    text: Arc<str>,
    code: u16,
}

impl Refusal {
    /// A refusal with `code` (400 to 599); each line of `text` becomes a line of the reply.
    pub(super) fn new(code: u16, text: &str) -> Self {
        Self { text: reply(code, text).into(), code }
    }

    /// A refusal that is written out already: `text` is its whole reply without the last CRLF.
    pub(super) fn whole(code: u16, text: String) -> Self {
        Self { text: text.into(), code }
    }

    /// The reply, without its last CRLF.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn code(&self) -> u16 {
        self.code
    }

    /// 421 closes the channel (RFC 5321 section 3.8).
    pub(super) fn closes(&self) -> bool {
        self.code == 421
    }

    /// Whether it says that the command is not known (RFC 5321 section 4.2.4).
    pub(super) fn unknown_command(&self) -> bool {
        (500..=504).contains(&self.code)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A reply of RFC 5321 section 4.2.1: every line with the code, all but the last with a hyphen.
/// Without the last CRLF.
pub(super) fn reply(code: u16, text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let last = lines.len() - 1;
    let said = lines.iter().enumerate().map(|(place, line)| {
        let between = if place == last { ' ' } else { '-' };
        format!("{code}{between}{line}")
    });
    said.collect::<Vec<_>>().join("\r\n")
}

/// The enhanced code and text that suit `code` in `phase`.
pub(super) fn usual(code: u16, phase: Phase) -> (&'static str, &'static str) {
    match (code, phase) {
        (421, Phase::Greeting) => ("4.7.0", "Too many connections, try again later"),
        (421, _) => ("4.3.2", "Closing the channel, try again later"),
        (450, _) => ("4.2.1", "Mailbox busy, try again later"),
        (451, _) => ("4.7.1", "Try again later"),
        (452, _) => ("4.3.1", "Insufficient system storage"),
        (454, Phase::Tls) => ("4.7.0", "TLS not available for a while"),
        (454, Phase::Auth) => ("4.7.0", "Temporary failure of authentication"),
        (400..=499, _) => ("4.0.0", "Temporary failure, try again later"),
        (500..=504, _) => ("5.5.1", "Command not known here"),
        (530, _) => ("5.7.0", "Authentication required"),
        (534, _) => ("5.7.9", "This way to authenticate is too weak"),
        (535, _) => ("5.7.8", "User or secret is wrong"),
        (538, _) => ("5.7.11", "Encryption required for this way to authenticate"),
        (550, Phase::Mail) => ("5.7.1", "Sender refused"),
        (550, Phase::Rcpt) => ("5.1.1", "No such user here"),
        (550, Phase::Data | Phase::Dot) => ("5.7.1", "Message refused"),
        (551, _) => ("5.1.6", "User has moved"),
        (552, _) => ("5.2.2", "Mailbox full"),
        (553, _) => ("5.1.3", "Mailbox name not allowed"),
        (554, _) => ("5.7.1", "Refused by policy"),
        (556, _) => ("5.1.10", "The domain takes no mail"),
        _ => ("5.0.0", "Refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_text_has_the_class_of_its_code() {
        for code in 400..=599 {
            for phase in Phase::ALL {
                let (enhanced, text) = usual(code, phase);
                assert_eq!(enhanced[..1], (code / 100).to_string());
                assert!(!text.is_empty());
            }
        }
    }

    #[test]
    fn a_reply_of_lines_has_its_code_on_each() {
        assert_eq!(reply(421, "4.7.28 a\n4.7.28 b"), "421-4.7.28 a\r\n421 4.7.28 b");
        assert_eq!(Refusal::new(550, "No").text(), "550 No");
    }
}
