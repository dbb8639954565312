//! What an SMTP server answered, in which phase, and what that means for the person.
//!
//! The rules are those of `docs/protocol.md`, Replies. Nothing here knows a socket or a mail
//! library. A reply's text may hold an address: only [`SmtpReply::text`] gives it in clear.

use std::fmt;
use std::str::FromStr;

use super::delivery::AttemptResult;

/// The longest reply text kept, in characters.
const MAX_TEXT: usize = 1000;
/// The longest queue id believed.
const MAX_QUEUE_ID: usize = 128;

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
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// An enhanced status code, `class.subject.detail` (RFC 3463).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedStatus {
    /// 2 success, 4 persistent transient failure, 5 permanent failure.
    pub class: u8,
    /// 1 address, 2 mailbox, 3 system, 4 network, 5 protocol, 6 content, 7 policy.
    pub subject: u16,
    /// What exactly, by subject.
    pub detail: u16,
}

/// A text that is no enhanced status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no enhanced status code (RFC 3463)")]
pub struct NoEnhancedStatus;

impl EnhancedStatus {
    /// Whether the code speaks of the recipient's address: X.1.*, but for 7 and 8, which blame the
    /// sender's.
    fn blames_recipient_address(self) -> bool {
        self.subject == 1 && !matches!(self.detail, 7 | 8)
    }
}

impl FromStr for EnhancedStatus {
    type Err = NoEnhancedStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.').map(|part| {
            let is_number =
                (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u16>().ok().filter(|_| is_number)
        });
        let mut next = || parts.next().flatten().ok_or(NoEnhancedStatus);
        let (class, subject, detail) = (next()?, next()?, next()?);
        let class = u8::try_from(class).map_err(|_| NoEnhancedStatus)?;
        if parts.next().is_some() || !matches!(class, 2 | 4 | 5) {
            return Err(NoEnhancedStatus);
        }
        Ok(Self { class, subject, detail })
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl fmt::Debug for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
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
    /// read from its start where its class agrees with the code (RFC 2034 §4).
    pub fn new(code: u16, words: &str) -> Self {
        let mut text = String::with_capacity(words.len().min(MAX_TEXT));
        let visible = |c: char| if c.is_control() { ' ' } else { c };
        text.extend(words.trim().chars().map(visible).take(MAX_TEXT));
        let enhanced = text
            .split_whitespace()
            .next()
            .and_then(|word| word.parse().ok())
            .filter(|status: &EnhancedStatus| u16::from(status.class) == code / 100);
        Self { code, enhanced, text }
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
    /// forms of Postfix, Exim, Sendmail, OpenSMTPD, qmail and Exchange.
    pub fn queue_id(&self) -> Option<&str> {
        let words = || self.text.split_whitespace();
        let following = |a: &str, b: &str| {
            let mut pairs = words().zip(words().skip(1)).zip(words().skip(2));
            pairs.find(|((x, y), _)| same(x, a) && same(y, b)).map(|(_, id)| id)
        };
        let found = following("queued", "as")
            .or_else(|| words().find_map(|word| after_key(word, "id=")))
            .or_else(|| words().find_map(|word| after_key(word, "[InternalId=")))
            .or_else(|| self.before_accepted())
            .or_else(|| {
                let mut pairs = words().zip(words().skip(1));
                pairs.find(|(word, _)| *word == "qp").map(|(_, id)| id)
            });
        found.map(|id| id.trim_end_matches([',', ';', '.', ']', ')'])).filter(|id| is_queue_id(id))
    }

    /// `2.0.0 v1ABCd99 Message accepted for delivery`: the word before the phrase.
    fn before_accepted(&self) -> Option<&str> {
        let at = self.text.find("Message accepted for delivery")?;
        let id = self.text[..at].split_whitespace().next_back()?;
        (EnhancedStatus::from_str(id).is_err() && !same(id, "ok")).then_some(id)
    }

    /// Whether a 5yz given in `phase` says that the recipient's address does not exist: by its
    /// enhanced status, or without one by its code at RCPT.
    fn blames_recipient(&self, phase: Phase) -> bool {
        match self.enhanced {
            Some(status) => status.blames_recipient_address(),
            None => {
                phase == Phase::Rcpt
                    && matches!(self.code, 550 | 551 | 553)
                    && !self.speaks_of_policy()
            }
        }
    }

    /// Whether the words speak of the sender, the path or a list, and not of the mailbox. Many
    /// servers give such a refusal as a bare 550 at RCPT; taking it for a dead address would lose
    /// everyone at once.
    fn speaks_of_policy(&self) -> bool {
        const WORDS: [&str; 15] = [
            "relay",
            "spam",
            "policy",
            "reputation",
            "blacklist",
            "blocklist",
            "block list",
            "blocked",
            "denylist",
            "dnsbl",
            "spf",
            "dkim",
            "dmarc",
            "sender",
            "authenticat",
        ];
        let text = self.text.to_ascii_lowercase();
        WORDS.iter().any(|word| text.contains(word))
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

/// What a reply means for the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReplyClass {
    /// The server took responsibility for the notice.
    Accepted,
    /// Try again later.
    Deferred,
    /// The address does not exist: another channel has to reach the person.
    AddressDead,
    /// Refused for a reason that is not the person's: stays deferred, the lane is suspended and
    /// the cause shown.
    Policy,
}

impl ReplyClass {
    /// Reads `reply`, given in `phase`. A code that is no answer to that phase at all (a 2yz
    /// before the dot, a 3yz) says nothing final and counts as deferred.
    pub fn of(phase: Phase, reply: &SmtpReply) -> Self {
        match (reply.code / 100, phase) {
            (2, Phase::Dot) => Self::Accepted,
            (
                5,
                Phase::Connect
                | Phase::Greeting
                | Phase::Ehlo
                | Phase::Tls
                | Phase::Auth
                | Phase::Mail,
            ) => Self::Policy,
            (5, _) if reply.blames_recipient(phase) => Self::AddressDead,
            (5, _) => Self::Policy,
            _ => Self::Deferred,
        }
    }

    /// The attempt's result that this class makes.
    pub fn result(self) -> AttemptResult {
        match self {
            Self::Accepted => AttemptResult::Accepted,
            Self::Deferred => AttemptResult::Deferred,
            Self::AddressDead => AttemptResult::Refused,
            Self::Policy => AttemptResult::Policy,
        }
    }
}

/// The text with everything that looks like an address replaced by `***@***`.
pub fn mask_addresses(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "<>()[],;:\"".contains(c);
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let before = &rest[..at];
        let start = match before.strip_suffix('"') {
            Some(quoted) => quoted.rfind('"').unwrap_or(0),
            None => before
                .rfind(ends)
                .map_or(0, |i| i + before[i..].chars().next().map_or(1, char::len_utf8)),
        };
        let domain = &rest[at + 1..];
        let end = match domain.strip_prefix('[').and_then(|literal| literal.find(']')) {
            Some(close) => at + close + 3,
            None => domain.find(ends).map_or(rest.len(), |i| at + 1 + i),
        };
        masked.push_str(&rest[..start]);
        masked.push_str("***@***");
        rest = &rest[end..];
    }
    masked.push_str(rest);
    masked
}

/// Equal but for ASCII case and a final colon.
fn same(word: &str, wanted: &str) -> bool {
    word.trim_end_matches(':').eq_ignore_ascii_case(wanted)
}

/// The rest of a word that starts with `key`.
fn after_key<'a>(word: &'a str, key: &str) -> Option<&'a str> {
    word.get(..key.len()).filter(|head| head.eq_ignore_ascii_case(key)).map(|_| &word[key.len()..])
}

/// Whether a word may be a queue id.
fn is_queue_id(word: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=MAX_QUEUE_ID).contains(&word.len()) && word.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(phase: Phase, code: u16, words: &str) -> ReplyClass {
        ReplyClass::of(phase, &SmtpReply::new(code, words))
    }

    #[test]
    fn replies_mean_what_the_protocol_says() {
        use Phase::{Connect, Data, Dot, Ehlo, Greeting, Mail, Rcpt};
        use ReplyClass::{Accepted, AddressDead, Deferred, Policy};
        for (phase, code, words, expected) in [
            (Dot, 250, "2.0.0 Ok: queued as 4Q", Accepted),
            (Rcpt, 450, "4.2.1 slow down", Deferred),
            (Rcpt, 452, "4.2.2 over quota", Deferred),
            (Mail, 421, "try later", Deferred),
            (Rcpt, 550, "5.1.1 no such user", AddressDead),
            (Dot, 550, "5.1.1 no such user", AddressDead),
            (Rcpt, 556, "5.1.10 null MX", AddressDead),
            (Rcpt, 550, "no such user", AddressDead),
            (Rcpt, 551, "user not local", AddressDead),
            (Rcpt, 553, "mailbox name not allowed", AddressDead),
            (Rcpt, 554, "no such user", Policy),
            (Rcpt, 552, "5.2.2 mailbox full", Policy),
            (Rcpt, 550, "5.7.1 relay access denied", Policy),
            (Rcpt, 553, "5.7.1 [BL21] blocked", Policy),
            (Dot, 550, "no such user", Policy),
            (Dot, 554, "5.7.1 spam", Policy),
            (Data, 503, "5.5.1 no valid recipients", Policy),
            (Mail, 550, "5.1.1 no such user", Policy),
            (Mail, 553, "5.1.8 sender domain", Policy),
            (Ehlo, 550, "go away", Policy),
            (Greeting, 554, "no service here", Policy),
            (Connect, 554, "no", Policy),
        ] {
            assert_eq!(class(phase, code, words), expected, "{phase} {code} {words}");
        }
    }

    #[test]
    fn a_refusal_at_rcpt_that_blames_the_sender_kills_no_address() {
        for words in [
            "5.1.8 <n@brand.example>: Sender address rejected: Domain not found",
            "5.1.7 bad sender syntax",
            "relay not permitted",
            "Sender verify failed",
            "blocked using zen.example",
            "Message refused: SPF check failed",
        ] {
            assert_eq!(class(Phase::Rcpt, 550, words), ReplyClass::Policy, "{words}");
        }
    }

    #[test]
    fn a_code_out_of_place_is_never_acceptance() {
        assert_eq!(class(Phase::Dot, 354, "go on"), ReplyClass::Deferred);
        assert_eq!(class(Phase::Rcpt, 250, "ok"), ReplyClass::Deferred);
        assert_eq!(ReplyClass::AddressDead.result(), AttemptResult::Refused);
    }

    #[test]
    fn an_enhanced_status_counts_only_where_its_class_agrees_with_the_code() {
        assert_eq!(SmtpReply::new(550, "5.1.1 x").enhanced().unwrap().to_string(), "5.1.1");
        assert_eq!(SmtpReply::new(550, "2.1.1 x").enhanced(), None);
        assert_eq!(SmtpReply::new(354, "3.0.0 x").enhanced(), None);
        for text in ["5.1", "5.1.1.1", "5..1", "5.1.1000", "a.b.c", "3.0.0", "+5.1.1", ""] {
            assert_eq!(text.parse::<EnhancedStatus>(), Err(NoEnhancedStatus), "{text}");
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

    #[test]
    fn queue_ids_of_the_common_servers_are_read() {
        for (words, id) in [
            ("2.0.0 Ok: queued as 4QYZ1c2mXzz9v", Some("4QYZ1c2mXzz9v")),
            ("Ok: queued as ABC", Some("ABC")),
            ("OK id=1rXabc-0001Ab-2C", Some("1rXabc-0001Ab-2C")),
            ("2.0.0 1a2b3c4d Message accepted for delivery", Some("1a2b3c4d")),
            ("2.0.0 v1ABCd99012345 Message accepted for delivery", Some("v1ABCd99012345")),
            ("2.0.0 Message accepted for delivery", None),
            ("ok 1700000000 qp 12345", Some("12345")),
            (
                "2.6.0 <m@x.example> [InternalId=123, Hostname=h] Queued mail for delivery",
                Some("123"),
            ),
            ("OK", None),
            ("2.0.0 Ok: queued", None),
            ("Ok: queued as <script>", None),
            ("", None),
        ] {
            assert_eq!(SmtpReply::new(250, words).queue_id(), id, "{words}");
        }
    }
}
