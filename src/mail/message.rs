//! Builds a notice's message: the same inputs give the same bytes, always.
//!
//! Pure ASCII whatever the content: names and subjects as encoded words, bodies always
//! quoted-printable, so that what a relay offers never changes the bytes
//! (`docs/protocol.md`, Same bytes).

use std::fmt;

use jiff::Timestamp;
use mail_builder::headers::{
    Header, address::Address, content_type::ContentType, date::Date, message_id::MessageId,
    raw::Raw, text::Text,
};

use super::address::Mailbox;
use super::quoted_printable;

/// What stands for a recipient whose address no plain header can show.
const UNSHOWN_RECIPIENT: &str = "undisclosed-recipients";

/// A name and an address, as in From.
#[derive(Debug, Clone, Copy)]
pub struct Party<'a> {
    /// The name to show, if any. Whatever it holds, it stays inside its header.
    pub name: Option<&'a str>,
    /// The address.
    pub address: &'a Mailbox,
}

/// The content of one part.
#[derive(Clone, Copy)]
pub enum Body<'a> {
    /// As a person reads it.
    Text(&'a str),
    /// As [`encode_body`] has it.
    Encoded(&'a [u8]),
}

impl Body<'_> {
    fn len(self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Encoded(bytes) => bytes.len(),
        }
    }
}

/// Puts a body at the end of `output` as messages carry it: quoted-printable, each line by itself, so that
/// lines may be encoded apart and put together afterwards.
pub fn encode_body(text: &str, output: &mut Vec<u8>) {
    quoted_printable::encode(text, output);
}

/// Everything a message is built from. Debug shows no content.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// Who sends it.
    pub from: Party<'a>,
    /// Who reads the answers, where that is another mailbox.
    pub reply_to: Option<Party<'a>>,
    /// The person told.
    pub to: Party<'a>,
    /// The subject.
    pub subject: &'a str,
    /// The plain text part.
    pub text: Body<'a>,
    /// The HTML part, if the template has one.
    pub html: Option<Body<'a>>,
    /// `left@right`, without angle brackets.
    pub message_id: &'a str,
    /// Shown in UTC, to the second.
    pub date: Timestamp,
    /// What the boundary between the parts is made from: 1 to 60 letters and digits, drawn for the
    /// intent.
    pub boundary: &'a str,
    /// The number the person can name to support; goes into `X-Notice-Reference`.
    pub reference: Option<&'a str>,
    /// Feedback-ID for aggregate feedback: never a value of one person.
    pub feedback_id: Option<&'a str>,
    /// The notice's language tag (RFC 5646).
    pub language: Option<&'a str>,
    /// A test for an operator's eyes: says so in `X-Forthwith-Test`.
    pub is_test: bool,
}

/// Why a draft makes no message. Names the input, never its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildFault {
    /// From or Reply-To has a non-ASCII local part, which no plain header can show.
    #[error("the address of {0} is not ASCII")]
    SenderNotAscii(&'static str),
    /// An input has a character or a length that its header does not allow.
    #[error("{0} has a character or a length that its header does not allow")]
    Malformed(&'static str),
}

impl fmt::Debug for Draft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("to", self.to.address)
            .field("date", &self.date)
            .finish_non_exhaustive()
    }
}

impl Draft<'_> {
    /// The message's bytes: ASCII, CRLF, no line over 998 octets, body lines within 76.
    pub fn build(&self) -> Result<Vec<u8>, BuildFault> {
        self.check()?;
        let content = self.text.len() + self.html.map_or(0, Body::len);
        let mut bytes = Vec::with_capacity(content + content / 8 + 2048);
        put(&mut bytes, "Date", &Date::new(self.date.as_second()));
        put(&mut bytes, "From", &sender(self.from));
        if let Some(reply_to) = self.reply_to {
            put(&mut bytes, "Reply-To", &sender(reply_to));
        }
        put(&mut bytes, "To", &recipient(self.to));
        put(&mut bytes, "Subject", &Text::new(one_line(self.subject)));
        put(&mut bytes, "Message-ID", &MessageId::new(self.message_id));
        put(&mut bytes, "MIME-Version", &Raw::new("1.0"));
        put(&mut bytes, "Auto-Submitted", &Raw::new("auto-generated"));
        put(&mut bytes, "X-Auto-Response-Suppress", &Raw::new("All"));
        for (name, value) in [
            ("Content-Language", self.language),
            ("Feedback-ID", self.feedback_id),
            ("X-Notice-Reference", self.reference),
            ("X-Forthwith-Test", self.is_test.then_some("yes")),
        ] {
            if let Some(value) = value {
                put(&mut bytes, name, &Raw::new(value));
            }
        }
        self.put_content(&mut bytes);
        Ok(bytes)
    }

    /// Refuses what a header could not carry as it is.
    fn check(&self) -> Result<(), BuildFault> {
        if self.from.address.needs_smtputf8() {
            return Err(BuildFault::SenderNotAscii("From"));
        }
        if self.reply_to.is_some_and(|party| party.address.needs_smtputf8()) {
            return Err(BuildFault::SenderNotAscii("Reply-To"));
        }
        let token = |value: &str, most: usize| {
            (1..=most).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let inner = |half: &str| !half.is_empty() && !half.contains(['<', '>', '@', '(', ')', '"']);
        let halves = self.message_id.split_once('@');
        let is_id =
            token(self.message_id, 250) && halves.is_some_and(|(l, r)| inner(l) && inner(r));
        let is_seed =
            token(self.boundary, 60) && self.boundary.bytes().all(|b| b.is_ascii_alphanumeric());
        let is_tag = |tag: &str| {
            token(tag, 35) && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        for (name, holds) in [
            ("the Message-ID", is_id),
            ("the boundary", is_seed),
            ("the language", self.language.is_none_or(is_tag)),
            ("the Feedback-ID", self.feedback_id.is_none_or(|id| token(id, 200))),
            ("the reference number", self.reference.is_none_or(|number| token(number, 60))),
        ] {
            if !holds {
                return Err(BuildFault::Malformed(name));
            }
        }
        Ok(())
    }

    /// The text alone, or text and HTML as alternatives (RFC 2046 §5.1.4).
    fn put_content(&self, bytes: &mut Vec<u8>) {
        let Some(html) = self.html else { return put_part(bytes, "text/plain", self.text) };
        // `=_` can stand in no quoted-printable line, so no part can hold the boundary.
        let boundary = format!("=_{}", self.boundary);
        let kind = ContentType::new("multipart/alternative").attribute("boundary", &*boundary);
        put(bytes, "Content-Type", &kind);
        for (kind, content) in [("text/plain", self.text), ("text/html", html)] {
            for piece in ["\r\n--", &boundary, "\r\n"] {
                bytes.extend_from_slice(piece.as_bytes());
            }
            put_part(bytes, kind, content);
        }
        for piece in ["\r\n--", &boundary, "--\r\n"] {
            bytes.extend_from_slice(piece.as_bytes());
        }
    }
}

/// One header, written and folded by the mail library. Each by itself: its builder collects them first, which
/// took as long as all the writing.
fn put(bytes: &mut Vec<u8>, name: &str, value: &impl Header) {
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend_from_slice(b": ");
    value.write_header(bytes, name.len() + 2);
}

/// One part, always quoted-printable.
fn put_part(bytes: &mut Vec<u8>, kind: &'static str, content: Body<'_>) {
    put(bytes, "Content-Type", &ContentType::new(kind).attribute("charset", "utf-8"));
    bytes.extend_from_slice(b"Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    match content {
        Body::Text(text) => encode_body(text, bytes),
        Body::Encoded(encoded) => bytes.extend_from_slice(encoded),
    }
}

/// From or Reply-To.
fn sender(party: Party<'_>) -> Address<'_> {
    Address::new_address(shown_name(party), party.address.as_str())
}

/// To. An address with a non-ASCII local part cannot stand in a plain header: an empty group with
/// the person's name does (the way of RFC 6857), so that the bytes need no 8-bit relay.
fn recipient(party: Party<'_>) -> Address<'_> {
    if party.address.needs_smtputf8() {
        let name = shown_name(party).unwrap_or_else(|| UNSHOWN_RECIPIENT.into());
        return Address::new_group(Some(name), Vec::new());
    }
    sender(party)
}

/// The party's name, if anything of it is left on one line.
fn shown_name(party: Party<'_>) -> Option<String> {
    party.name.map(one_line).filter(|name| !name.is_empty())
}

/// The text on one line: control characters, line separators and whatever reorders the text on
/// screen become blanks, and nothing in it can be taken for an encoded word.
fn one_line(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if is_plain && text.trim().len() == text.len() && !text.contains("  ") && !text.contains("=?") {
        return text.to_owned();
    }
    let blank = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let spaced: String = text.chars().map(|c| if blank(c) { ' ' } else { c }).collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    words.join(" ").replace("=?", "= ?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_builder::MessageBuilder;
    use mail_builder::mime::{BodyPart, MimePart};
    use mail_parser::{Message, MessageParser, MimeHeaders};

    const NASTY: &str = "Eve\r\nBcc: x@example.com";

    fn mailbox(text: &str) -> Mailbox {
        text.parse().unwrap()
    }

    /// Builds with `change` applied to a plain draft to `to`.
    fn built(
        to: &str,
        change: impl for<'a> FnOnce(Draft<'a>) -> Draft<'a>,
    ) -> Result<Vec<u8>, BuildFault> {
        let (from, to) = (mailbox("notice@brand.example"), mailbox(to));
        change(Draft {
            from: Party { name: Some("Brand, Privacy"), address: &from },
            reply_to: Some(Party { name: None, address: &from }),
            to: Party { name: Some("Ann"), address: &to },
            subject: "About your account",
            text: Body::Text("Dear Ann,\n\n.\nyour e-mail address was taken. é\n"),
            html: Some(Body::Text(
                "<p>Dear Ann, <a href=\"https://brand.example/?a=b\">more</a></p>\n",
            )),
            message_id: "0123abcd.1@brand.example",
            date: Timestamp::from_second(1_534_888_680).unwrap(),
            boundary: "a1b2c3",
            reference: Some("7KQ2-M4XD"),
            feedback_id: Some("c1:w1:notice:brand"),
            language: Some("en-GB"),
            is_test: false,
        })
        .build()
    }

    fn parsed(bytes: &[u8]) -> Message<'_> {
        MessageParser::new().parse(bytes).unwrap()
    }

    fn assert_carriable(bytes: &[u8]) {
        let text = std::str::from_utf8(bytes).unwrap();
        assert!(text.is_ascii());
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "bare CR or LF");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.split("\r\n").all(|line| line.len() <= 998 && !line.trim().is_empty()));
        assert!(body.split("\r\n").all(|line| line.len() <= 76));
    }

    #[test]
    fn a_message_reads_back_as_it_was_meant() {
        let bytes = built("ann@example.com", |draft| draft).unwrap();
        assert_carriable(&bytes);
        let message = parsed(&bytes);
        assert_eq!(message.date().unwrap().to_rfc822(), "Tue, 21 Aug 2018 21:58:00 +0000");
        assert_eq!(message.message_id(), Some("0123abcd.1@brand.example"));
        assert_eq!(message.from().unwrap().first().unwrap().name(), Some("Brand, Privacy"));
        assert_eq!(message.to().unwrap().first().unwrap().address(), Some("ann@example.com"));
        assert_eq!(message.header_raw("Auto-Submitted").unwrap().trim(), "auto-generated");
        assert_eq!(message.content_type().unwrap().subtype(), Some("alternative"));
        let text = message.body_text(0).unwrap();
        assert_eq!(
            text.replace("\r\n", "\n"),
            "Dear Ann,\n\n.\nyour e-mail address was taken. é\n"
        );
        assert!(message.body_html(0).unwrap().contains("https://brand.example/?a=b"));
        assert!(message.parts[1].content_type().unwrap().subtype() == Some("plain"), "text first");
    }

    #[test]
    fn the_headers_are_these_and_no_others() {
        let bytes = built("ann@example.com", |draft| draft).unwrap();
        let message = parsed(&bytes);
        let names: Vec<_> =
            message.headers().iter().map(|header| header.name().to_owned()).collect();
        assert_eq!(
            names,
            [
                "Date",
                "From",
                "Reply-To",
                "To",
                "Subject",
                "Message-ID",
                "MIME-Version",
                "Auto-Submitted",
                "X-Auto-Response-Suppress",
                "Content-Language",
                "Feedback-ID",
                "X-Notice-Reference",
                "Content-Type",
            ]
        );
    }

    /// The same message by the mail library's own builder.
    fn by_the_library(draft: &Draft<'_>) -> Vec<u8> {
        let part = |kind, content| {
            let Body::Text(text) = content else { panic!("a text") };
            let mut encoded = Vec::new();
            encode_body(text, &mut encoded);
            let kind = ContentType::new(kind).attribute("charset", "utf-8");
            MimePart::new(kind, BodyPart::Binary(encoded.into()))
                .transfer_encoding("quoted-printable")
        };
        let boundary = format!("=_{}", draft.boundary);
        let kind = ContentType::new("multipart/alternative").attribute("boundary", boundary);
        let parts = vec![part("text/plain", draft.text), part("text/html", draft.html.unwrap())];
        MessageBuilder::new()
            .header("Date", Date::new(draft.date.as_second()))
            .header("From", sender(draft.from))
            .header("Reply-To", sender(draft.reply_to.unwrap()))
            .header("To", recipient(draft.to))
            .header("Subject", Text::new(draft.subject))
            .header("Message-ID", MessageId::new(draft.message_id))
            .header("MIME-Version", Raw::new("1.0"))
            .header("Auto-Submitted", Raw::new("auto-generated"))
            .header("X-Auto-Response-Suppress", Raw::new("All"))
            .header("Content-Language", Raw::new(draft.language.unwrap()))
            .header("X-Notice-Reference", Raw::new(draft.reference.unwrap()))
            .body(MimePart::new(kind, parts))
            .write_to_vec()
            .unwrap()
    }

    #[test]
    fn it_is_byte_for_byte_what_the_mail_library_builds() {
        for (name, subject) in
            [("Ann", "About your account"), ("Zoë Müller", "Über Ihr Konto 漢字")]
        {
            let mut expected = Vec::new();
            let bytes = built("ann@example.com", |draft| {
                let draft = Draft {
                    subject,
                    to: Party { name: Some(name), ..draft.to },
                    feedback_id: None,
                    ..draft
                };
                expected = by_the_library(&draft);
                draft
            });
            assert_eq!(bytes.unwrap(), expected);
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes() {
        let once = built("ann@example.com", |draft| draft).unwrap();
        assert_eq!(built("ann@example.com", |draft| draft).unwrap(), once);
        let other = built("ann@example.com", |draft| Draft { boundary: "zz", ..draft }).unwrap();
        assert_ne!(other, once);
    }

    #[test]
    fn both_parts_are_quoted_printable_even_where_plain_or_base64_would_do() {
        let bytes = built("ann@example.com", |draft| Draft {
            text: Body::Text("plain"),
            html: Some(Body::Text("漢字漢字")),
            ..draft
        });
        let text = String::from_utf8(bytes.unwrap()).unwrap();
        assert_eq!(text.matches("Content-Transfer-Encoding: quoted-printable\r\n").count(), 2);
        assert_eq!(text.matches("Content-Transfer-Encoding").count(), 2);
        let alone = built("ann@example.com", |draft| Draft { html: None, ..draft }).unwrap();
        assert_carriable(&alone);
        assert_eq!(parsed(&alone).content_type().unwrap().subtype(), Some("plain"));
        assert!(alone.ends_with(b"taken. =C3=A9\r\n"));
    }

    #[test]
    fn no_value_can_add_a_header() {
        let plain = built("ann@example.com", |draft| draft).unwrap();
        let count = parsed(&plain).headers().len();
        let bytes = built("ann@example.com", |draft| Draft {
            subject: NASTY,
            from: Party { name: Some(NASTY), ..draft.from },
            to: Party { name: Some(NASTY), ..draft.to },
            ..draft
        })
        .unwrap();
        assert_carriable(&bytes);
        let message = parsed(&bytes);
        assert_eq!(message.headers().len(), count);
        assert!(message.bcc().is_none());
        assert_eq!(message.subject(), Some("Eve Bcc: x@example.com"));
        let to = message.to().unwrap().first().unwrap();
        assert_eq!(to.name(), Some("Eve Bcc: x@example.com"));
        assert_eq!(to.address(), Some("ann@example.com"));
        for (name, bytes) in [
            (
                "the Message-ID",
                built("ann@example.com", |d| Draft { message_id: "a@b>\r\nBcc: x", ..d }),
            ),
            (
                "the boundary",
                built("ann@example.com", |d| Draft { boundary: "a\"\r\nBcc: x", ..d }),
            ),
            (
                "the language",
                built("ann@example.com", |d| Draft { language: Some("en\r\nBcc: x"), ..d }),
            ),
            (
                "the Feedback-ID",
                built("ann@example.com", |d| Draft { feedback_id: Some("a\nB: x"), ..d }),
            ),
            (
                "the reference number",
                built("ann@example.com", |d| Draft { reference: Some(NASTY), ..d }),
            ),
        ] {
            assert_eq!(bytes, Err(BuildFault::Malformed(name)));
        }
    }

    #[test]
    fn names_and_subjects_of_every_kind_stay_on_their_line() {
        for (written, shown) in [
            ("Zoë \"Z\" \\ Müller", "Zoë \"Z\" \\ Müller"),
            ("漢字", "漢字"),
            ("a\u{202e}gpj.exe\u{2028}b\u{85}c\0d", "a gpj.exe b c d"),
            ("=?utf-8?Q?Support?=", "= ?utf-8?Q?Support?="),
        ] {
            let bytes = built("ann@example.com", |draft| Draft {
                subject: written,
                to: Party { name: Some(written), ..draft.to },
                ..draft
            })
            .unwrap();
            assert_carriable(&bytes);
            let message = parsed(&bytes);
            assert_eq!(message.subject(), Some(shown));
            assert_eq!(message.to().unwrap().first().unwrap().name(), Some(shown));
        }
        let subjects = ["word ".repeat(300), "é".repeat(900), "x".repeat(3000), String::new()];
        for subject in &subjects {
            let bytes = built("ann@example.com", |draft| Draft { subject: kept(subject), ..draft });
            assert_carriable(&bytes.unwrap());
        }
        let nameless =
            built("ann@example.com", |d| Draft { to: Party { name: Some(" \r\n"), ..d.to }, ..d });
        assert_eq!(parsed(&nameless.unwrap()).to().unwrap().first().unwrap().name(), None);
    }

    #[test]
    fn an_address_that_no_plain_header_can_show_is_left_out_of_it() {
        let bytes = built("émile@example.com", |draft| draft).unwrap();
        assert_carriable(&bytes);
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.contains("\r\nTo: \"Ann\": ;\r\n") || text.contains("\r\nTo: \"Ann\":;\r\n"),
            "{text}"
        );
        let from = mailbox("é@brand.example");
        let fault = built("ann@example.com", |d| Draft {
            from: Party { address: kept(&from), ..d.from },
            ..d
        });
        assert_eq!(fault, Err(BuildFault::SenderNotAscii("From")));
    }

    /// A value that outlives the draft under test.
    fn kept<T: ToOwned + ?Sized>(value: &T) -> &'static T::Owned {
        Box::leak(Box::new(value.to_owned()))
    }

    #[test]
    fn debug_shows_no_content() {
        let (from, to) = (mailbox("notice@brand.example"), mailbox("ann@example.com"));
        let party = |address| Party { name: None, address };
        let draft = Draft {
            from: party(&from),
            reply_to: None,
            to: party(&to),
            subject: "s3cret",
            text: Body::Text("s3cret"),
            html: Some(Body::Text("s3cret")),
            message_id: "a@b",
            date: Timestamp::UNIX_EPOCH,
            boundary: "x",
            reference: None,
            feedback_id: None,
            language: None,
            is_test: false,
        };
        let shown = format!("{draft:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("ann@"), "{shown}");
    }
}
