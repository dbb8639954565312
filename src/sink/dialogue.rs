//! The SMTP dialogue of one connection as a pure state machine: octets in, replies out.
//!
//! Knows RFC 5321 and the fates; neither sockets nor files. A pipelined group is answered in one
//! buffer, because [`Dialogue::advance`] returns only when it needs more input or a decision.

use std::borrow::Cow;
use std::sync::Arc;

use smtp_proto::{
    Error, MAIL_BODY_7BIT, MAIL_BODY_8BITMIME, MAIL_RET_FULL, MAIL_RET_HDRS, MAIL_SMTPUTF8,
    MailFrom, RCPT_NOTIFY_DELAY, RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER, RCPT_NOTIFY_SUCCESS,
    Request,
};

use super::body::BodyReader;
use super::counts::Tally;
use super::fate::Fates;
use super::fault::{Action, Phase};
use super::reply::{EHLO, Refusal, SIZE_LIMIT, say};

/// Longest command line, octets with CRLF.
const LINE_LIMIT: usize = 4096;

/// Most recipients of one message.
const RECIPIENT_LIMIT: usize = 1000;

/// MAIL parameters of the extensions that EHLO offers.
const OFFERED: u64 =
    MAIL_BODY_7BIT | MAIL_BODY_8BITMIME | MAIL_RET_FULL | MAIL_RET_HDRS | MAIL_SMTPUTF8;

/// RCPT parameters of the extensions that EHLO offers.
const NOTIFY: u64 =
    RCPT_NOTIFY_SUCCESS | RCPT_NOTIFY_FAILURE | RCPT_NOTIFY_DELAY | RCPT_NOTIFY_NEVER;

/// What the session must do next.
pub(super) enum Step {
    /// Send the replies, read more.
    Read,
    /// Act on a whole message, then go on.
    Message(Message),
    /// Send the replies, then close.
    Hangup,
    /// Close at once, in the middle of a body.
    Cut,
}

/// A message whose final dot has been read.
pub(super) struct Message {
    /// Reverse-path; empty for `<>`.
    pub(super) from: String,
    /// Recipients, at least one.
    pub(super) to: Vec<String>,
    /// The message as received, dots unstuffed.
    pub(super) body: Vec<u8>,
    /// What to do with it.
    pub(super) verdict: Verdict,
}

/// What becomes of a message at its dot.
pub(super) enum Verdict {
    Take,
    TakeInSilence,
    Refuse(Refusal),
}

struct Envelope {
    from: String,
    to: Vec<String>,
    utf8: bool,
    /// The first recipient's fault that strikes after RCPT.
    pending: Option<Action>,
}

enum Stage {
    Commands,
    /// In a line that was too long, up to its end.
    SkipLine,
    /// In the octets of a BDAT that was refused.
    SkipOctets(usize),
    Body {
        reader: BodyReader,
        body: Vec<u8>,
        too_big: bool,
    },
}

/// One connection's side of the dialogue.
pub(super) struct Dialogue {
    fates: Arc<Fates>,
    tally: Arc<Tally>,
    greeted: bool,
    envelope: Option<Envelope>,
    stage: Stage,
}

impl Dialogue {
    pub(super) fn new(fates: Arc<Fates>, tally: Arc<Tally>) -> Self {
        Self { fates, tally, greeted: false, envelope: None, stage: Stage::Commands }
    }

    /// Takes what it can from `input`, appends replies to `out`.
    pub(super) fn advance(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Step {
        loop {
            match &mut self.stage {
                Stage::Commands => {
                    let Some(end) = input.iter().position(|octet| *octet == b'\n') else {
                        if input.len() >= LINE_LIMIT {
                            self.error(out, "500 5.5.2 Line too long");
                            self.stage = Stage::SkipLine;
                            continue;
                        }
                        return Step::Read;
                    };
                    let (line, rest) = input.split_at(end + 1);
                    *input = rest;
                    if let Some(step) = self.command(line, out) {
                        return step;
                    }
                }
                Stage::SkipLine => {
                    let Some(end) = input.iter().position(|octet| *octet == b'\n') else {
                        *input = &[];
                        return Step::Read;
                    };
                    *input = &input[end + 1..];
                    self.stage = Stage::Commands;
                }
                Stage::SkipOctets(left) => {
                    let skipped = input.len().min(*left);
                    *input = &input[skipped..];
                    *left -= skipped;
                    if *left > 0 {
                        return Step::Read;
                    }
                    self.stage = Stage::Commands;
                }
                Stage::Body { .. } => return self.body(input),
            }
        }
    }

    fn body(&mut self, input: &mut &[u8]) -> Step {
        let pending = self.envelope.as_ref().and_then(|envelope| envelope.pending.as_ref());
        if !input.is_empty() && matches!(pending, Some(Action::DropBeforeDot)) {
            return Step::Cut;
        }
        let Stage::Body { reader, body, too_big } = &mut self.stage else {
            return Step::Read;
        };
        let ended = reader.take(input, body);
        if body.len() > SIZE_LIMIT {
            *too_big = true;
            body.clear();
        }
        if !ended {
            return Step::Read;
        }
        let (body, too_big) = (std::mem::take(body), *too_big);
        self.stage = Stage::Commands;
        let Some(Envelope { from, to, pending, .. }) = self.envelope.take() else {
            return Step::Read;
        };
        let verdict = match pending {
            _ if too_big => Verdict::Refuse(Refusal::new(552, "5.3.4 Message too big")),
            Some(Action::Refuse(_, refusal)) => Verdict::Refuse(refusal),
            Some(Action::DropAfterDot) => Verdict::TakeInSilence,
            Some(Action::DropBeforeDot) | None => Verdict::Take,
        };
        Step::Message(Message { from, to, body, verdict })
    }

    fn command(&mut self, line: &[u8], out: &mut Vec<u8>) -> Option<Step> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if line.len() > LINE_LIMIT {
            return self.error(out, "500 5.5.2 Line too long");
        }
        // Control characters would be skipped by the parser, and end up in header fields.
        if text.iter().any(u8::is_ascii_control) || std::str::from_utf8(text).is_err() {
            return self.error(out, "501 5.5.2 Control characters or broken UTF-8");
        }
        let request = match Request::parse(&mut line.iter()) {
            Ok(request) => request,
            Err(error) => return self.error(out, unread(&error)),
        };
        match request {
            Request::Ehlo { .. } | Request::Helo { .. } => {
                self.greeted = true;
                self.envelope = None;
                let extended = matches!(request, Request::Ehlo { .. });
                say(out, if extended { EHLO } else { "250 localhost at your service" });
            }
            Request::Mail { from } => return self.mail(&from, out),
            Request::Rcpt { to } => {
                if to.flags & !NOTIFY != 0 {
                    return self.error(out, "555 5.5.4 Parameter of an extension not offered");
                }
                let postmaster = to.address.is_empty() && names_postmaster(text);
                return self.rcpt(if postmaster { "postmaster" } else { &to.address }, out);
            }
            Request::Data => return self.data(out),
            Request::Rset => {
                self.envelope = None;
                say(out, "250 2.0.0 Ok");
            }
            Request::Noop { .. } => say(out, "250 2.0.0 Ok"),
            Request::Vrfy { .. } => say(out, "252 2.0.0 Not verified; send mail and see"),
            Request::Help { .. } => say(out, "214 2.0.0 EHLO MAIL RCPT DATA RSET NOOP VRFY QUIT"),
            Request::Quit => {
                say(out, "221 2.0.0 Bye");
                return Some(Step::Hangup);
            }
            Request::Bdat { chunk_size, .. } => {
                self.stage = Stage::SkipOctets(chunk_size);
                return self.error(out, "502 5.5.1 BDAT is not offered");
            }
            _ => return self.error(out, "502 5.5.1 Not offered here"),
        }
        None
    }

    fn mail(&mut self, from: &MailFrom<Cow<'_, str>>, out: &mut Vec<u8>) -> Option<Step> {
        let utf8 = from.flags & MAIL_SMTPUTF8 != 0;
        let problem = if !self.greeted {
            Some("503 5.5.1 Say EHLO first")
        } else if self.envelope.is_some() {
            Some("503 5.5.1 A message is already begun")
        } else if from.size > SIZE_LIMIT {
            Some("552 5.3.4 Message too big")
        } else if asks_too_much(from) {
            Some("555 5.5.4 Parameter of an extension not offered")
        } else if from.address.ends_with('@') {
            Some("501 5.1.7 The sender has no domain")
        } else if !utf8 && !from.address.is_ascii() {
            Some("553 5.6.7 The sender needs SMTPUTF8")
        } else {
            None
        };
        if let Some(problem) = problem {
            return self.error(out, problem);
        }
        if let Some(refusal) = self.fates.of_sender(&from.address) {
            return refuse(&self.tally, Phase::Mail, refusal, out);
        }
        let from = from.address.clone().into_owned();
        self.envelope = Some(Envelope { from, to: Vec::new(), utf8, pending: None });
        say(out, "250 2.1.0 Ok");
        None
    }

    fn rcpt(&mut self, address: &str, out: &mut Vec<u8>) -> Option<Step> {
        let Some(envelope) = &mut self.envelope else {
            return self.error(out, "503 5.5.1 MAIL comes first");
        };
        let problem = if address.is_empty() || address.ends_with('@') {
            Some("501 5.1.3 The recipient is not whole")
        } else if !envelope.utf8 && !address.is_ascii() {
            Some("553 5.6.7 The recipient needs SMTPUTF8")
        } else if envelope.to.len() >= RECIPIENT_LIMIT {
            Some("452 4.5.3 Too many recipients")
        } else {
            None
        };
        if let Some(problem) = problem {
            return self.error(out, problem);
        }
        match self.fates.of_recipient(address) {
            Some(Action::Refuse(Phase::Rcpt, refusal)) => {
                return refuse(&self.tally, Phase::Rcpt, refusal, out);
            }
            Some(later) => {
                envelope.pending.get_or_insert_with(|| later.clone());
            }
            None => {}
        }
        envelope.to.push(address.to_owned());
        say(out, "250 2.1.5 Ok");
        None
    }

    fn data(&mut self, out: &mut Vec<u8>) -> Option<Step> {
        let Some(envelope) = &self.envelope else {
            return self.error(out, "503 5.5.1 MAIL comes first");
        };
        if envelope.to.is_empty() {
            return self.error(out, "554 5.5.1 No valid recipients");
        }
        if let Some(Action::Refuse(Phase::Data, refusal)) = &envelope.pending {
            let step = refuse(&self.tally, Phase::Data, refusal, out);
            self.envelope = None;
            return step;
        }
        say(out, "354 End with a dot on a line by itself");
        self.stage = Stage::Body { reader: BodyReader::new(), body: Vec::new(), too_big: false };
        None
    }

    fn error(&self, out: &mut Vec<u8>, line: &str) -> Option<Step> {
        self.tally.protocol_errors.one();
        say(out, line);
        None
    }
}

fn refuse(tally: &Tally, phase: Phase, refusal: &Refusal, out: &mut Vec<u8>) -> Option<Step> {
    tally.refused(phase).one();
    say(out, refusal.line());
    refusal.closes().then_some(Step::Hangup)
}

/// The reply to a line the parser refused. Never repeats the line: it may hold an address.
fn unread(error: &Error) -> &'static str {
    match error {
        Error::UnknownCommand => "500 5.5.2 Unknown command",
        Error::InvalidSenderAddress => "501 5.1.7 Malformed sender",
        Error::InvalidRecipientAddress => "501 5.1.3 Malformed recipient",
        Error::InvalidParameter { .. } => "501 5.5.4 Malformed parameter",
        Error::UnsupportedParameter { .. } => "555 5.5.4 Unknown parameter",
        // The whole line was there, so "more data" is a line that stops in the middle.
        _ => "501 5.5.2 Malformed command",
    }
}

/// The parser gives the bare local part `<postmaster>`, and `<>`, as an empty address.
fn names_postmaster(line: &[u8]) -> bool {
    let wanted = b"<postmaster>";
    line.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
}

fn asks_too_much<T>(from: &MailFrom<T>) -> bool {
    from.flags & !OFFERED != 0
        || from.trans_id.is_some()
        || from.solicit.is_some()
        || from.mtrk.is_some()
        || from.auth.is_some()
        || [from.hold_for, from.hold_until] != [0, 0]
        || [from.by, from.mt_priority] != [0, 0]
}

#[cfg(test)]
#[path = "dialogue_tests.rs"]
mod tests;
