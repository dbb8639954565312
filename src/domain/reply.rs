//! What an SMTP server answered, in which phase, and what that means for the person.
//!
//! The rules are those of `docs/protocol.md`, Replies: a table of data ([`ReplyRules`]) first, then
//! the general rules by code and status. Nothing here knows a socket, a file or a mail library. A
//! reply's text may hold an address: only [`SmtpReply::text`] gives it in clear.

mod class;
mod general;
mod masking;
mod queue_id;
mod rule;
mod rules;
mod status;
mod written;

use std::fmt;

pub use class::{Blame, ReplyClass};
pub use masking::mask_addresses;
pub use rule::{Action, After, Rule, Slow};
pub use rules::{Adapt, Reading, ReplyRules};
pub use status::{EnhancedStatus, NoEnhancedStatus};
pub use written::{RuleFault, RuleFile};

/// The longest reply text kept, in characters.
const MAX_TEXT: usize = 1000;

/// A step of the SMTP dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Opening the TCP connection.
    Connect,
    /// Waiting for the server's greeting.
    Greeting,
    /// EHLO.
    Ehlo,
    /// STARTTLS (RFC 3207), or the TLS handshake of a port that speaks TLS from the start.
    Tls,
    /// AUTH (RFC 4954).
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA, up to the server's 354.
    Data,
    /// The message with its final dot, up to the server's answer.
    Dot,
}

impl Phase {
    /// Every phase, in the order of a dialogue.
    pub const ALL: [Self; 9] = [
        Self::Connect,
        Self::Greeting,
        Self::Ehlo,
        Self::Tls,
        Self::Auth,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Dot,
    ];

    /// The stable word kept in outcomes and shown in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Greeting => "greeting",
            Self::Ehlo => "ehlo",
            Self::Tls => "tls",
            Self::Auth => "auth",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Dot => "dot",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.word() == word)
    }

    /// Whether nobody has been named yet: what is said now, the relay says of us.
    pub fn is_before_recipient(self) -> bool {
        !matches!(self, Self::Rcpt | Self::Data | Self::Dot)
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One reply of an SMTP server. Display and Debug mask whatever looks like an address.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpReply {
    code: u16,
    enhanced: Option<EnhancedStatus>,
    text: String,
}

impl SmtpReply {
    /// A reply of `code` with the words after it; several lines are given joined or with their
    /// line ends. The text is cut to one line of at most 1000 characters. An enhanced status is
    /// read from its start (RFC 2034 §4), or from its end in qmail's form `(#5.1.1)`, where its
    /// class agrees with the code.
    pub fn new(code: u16, words: &str) -> Self {
        let mut text = String::with_capacity(words.len().min(MAX_TEXT));
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        text.extend(words.trim().chars().map(visible).take(MAX_TEXT));
        let agrees = |status: &EnhancedStatus| u16::from(status.class) == code / 100;
        let mut all = text.split_whitespace();
        let first = all.next().and_then(EnhancedStatus::dressed).filter(agrees);
        let last = all.next_back().filter(|word| word.starts_with("(#"));
        let enhanced = first.or_else(|| last.and_then(EnhancedStatus::dressed).filter(agrees));
        Self { code, enhanced, text }
    }

    /// A whole reply as a log shows it, of one line or more: `550-5.1.1 No such` and
    /// `550 5.1.1 user`, on lines of their own or run together. None where it starts with no code.
    pub fn parse(lines: &str) -> Option<Self> {
        let lines = lines.trim_start();
        let digits = lines.get(..3).filter(|head| head.bytes().all(|b| b.is_ascii_digit()))?;
        let is_bounded = lines[3..].chars().next().is_none_or(|c| c == '-' || c.is_whitespace());
        let code = digits.parse().ok().filter(|code| is_bounded && (200..600).contains(code))?;
        let again = format!("{digits}-");
        let words: Vec<&str> = lines
            .split_whitespace()
            .filter_map(|word| match word.strip_prefix(&again) {
                Some(rest) => Some(rest).filter(|rest| !rest.is_empty()),
                None => Some(word).filter(|word| *word != digits),
            })
            .collect();
        Some(Self::new(code, &words.join(" ")))
    }

    /// The three-digit code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status, where the server gave one.
    pub fn enhanced(&self) -> Option<EnhancedStatus> {
        self.enhanced
    }

    /// The words in clear, enhanced status included. May name the recipient: to be encrypted
    /// before it is stored, and never logged.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The id under which the server queued the message, where its words tell one. Knows the
    /// forms of Postfix, Exim, Sendmail, OpenSMTPD, qmail, Courier, Exchange, Google, Amazon SES and
    /// `SendGrid`.
    pub fn queue_id(&self) -> Option<&str> {
        queue_id::read(&self.text)
    }

    /// The words as rules compare them: lower case, single blanks, without addresses (one may read
    /// like a reason), and a status that is repeated on each line of a long reply only once.
    fn comparable(&self) -> String {
        let lower = mask_addresses(&self.text).to_ascii_lowercase();
        let status = self.enhanced.map(|status| status.to_string());
        let mut words = Vec::new();
        for (place, word) in lower.split_whitespace().enumerate() {
            if place == 0 || Some(word) != status.as_deref() {
                words.push(word);
            }
        }
        words.join(" ")
    }
}

impl fmt::Display for SmtpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, mask_addresses(&self.text))
    }
}

impl fmt::Debug for SmtpReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpReply({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enhanced_status_counts_only_where_its_class_agrees_with_the_code() {
        assert_eq!(SmtpReply::new(550, "5.1.1 x").enhanced().unwrap().to_string(), "5.1.1");
        assert_eq!(SmtpReply::new(550, "2.1.1 x").enhanced(), None);
        assert_eq!(SmtpReply::new(354, "3.0.0 x").enhanced(), None);
        let dressed = |words| SmtpReply::new(550, words).enhanced().map(|s| s.to_string());
        assert_eq!(dressed("#5.7.1 no").as_deref(), Some("5.7.1"));
        assert_eq!(dressed("no mailbox here (#5.1.1)").as_deref(), Some("5.1.1"));
        assert_eq!(dressed("see 5.1.1"), None);
    }

    #[test]
    fn a_reply_is_read_as_a_log_shows_it() {
        let lines = "550-5.1.1 The account\r\n550-5.1.1 <a@b.example> is not\n550 5.1.1 here";
        for text in [lines, &lines.replace("\r\n", " ").replace('\n', " ")] {
            let reply = SmtpReply::parse(text).unwrap();
            assert_eq!(reply.code(), 550);
            assert_eq!(reply.comparable(), "5.1.1 the account <***@***> is not here");
        }
        assert_eq!(SmtpReply::parse("421").unwrap().text(), "");
        for text in ["", "ok", "55", "5500 no", "999 no", "550x"] {
            assert_eq!(SmtpReply::parse(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_are_masked_wherever_a_reply_is_printed() {
        let text =
            "5.1.1 <ann.b+c@example.com>: \"x y\"@[192.0.2.1] rejected, (émile@bücher.example)";
        let reply = SmtpReply::new(550, text);
        for printed in [reply.to_string(), format!("{reply:?}")] {
            for word in ["ann", "example", "x y", "192", "mile", "cher"] {
                assert!(!printed.contains(word), "{word} in {printed}");
            }
            assert!(printed.contains("550 5.1.1 <***@***>: ***@*** rejected, (***@***)"));
        }
        assert_eq!(reply.text(), text);
        assert_eq!(mask_addresses("@@ a@b@c @"), "***@*** ***@*** ***@***");
    }

    #[test]
    fn the_text_is_one_line_of_bounded_length() {
        let reply = SmtpReply::new(450, &format!("4.2.0 a\r\nb\u{1b}[31m {}", "é".repeat(3000)));
        assert!(reply.text().starts_with("4.2.0 a  b [31m "));
        assert_eq!(reply.text().chars().count(), MAX_TEXT);
    }
}
