//! The SMTP dialogue of one connection as a pure state machine: octets in, replies out.
//!
//! Knows RFC 5321 and the conduct of this sink; neither sockets nor files. A pipelined group is
//! answered in one buffer, because [`Dialogue::advance`] returns only when it needs more input or a
//! decision. `opening` holds what comes before mail, `transaction` the mail itself.

mod opening;
mod step;
mod transaction;

use std::sync::Arc;

use smtp_proto::{Error, Request};

use super::auth::Exchange;
use super::body::BodyReader;
use super::conduct::{Conduct, spoil};
use super::fate::Strike;
use super::fault::Kind;
use super::offer::Extension;
use super::phase::Phase;
use super::replies::Replies;
use super::spoil::Spoil;

pub(super) use step::{Message, Step, Verdict};

use transaction::Envelope;

/// Longest command line, octets with CRLF: that of AUTH (RFC 4954 section 4).
const LINE_LIMIT: usize = 12_288;

enum Stage {
    Commands,
    /// In a line that was too long, up to its end.
    SkipLine,
    /// In the octets of a BDAT that was refused.
    SkipOctets(usize),
    /// In an AUTH exchange, whose end a rule may strike.
    Auth(Exchange, Option<Strike>),
    Body {
        reader: BodyReader,
        body: Vec<u8>,
        too_big: bool,
    },
}

/// How far the client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Refused at the greeting: only QUIT is left.
    TurnedAway,
    /// Before EHLO.
    Stranger,
    /// After EHLO.
    Greeted,
    /// After AUTH.
    Authenticated,
}

/// One connection's side of the dialogue.
pub(super) struct Dialogue {
    conduct: Arc<Conduct>,
    /// The connection's number at this sink, from 0.
    number: u64,
    /// What the connection meets at each phase it has come to.
    met: Vec<(Phase, Option<Strike>)>,
    standing: Standing,
    secure: bool,
    /// Octets were sent behind the reply to STARTTLS.
    injected: bool,
    messages: u64,
    envelope: Option<Envelope>,
    stage: Stage,
}

/// What a rule makes of a command before it is carried out.
enum Met {
    /// It is carried out; the reply may be spoilt.
    Go(Option<Spoil>),
    /// It is not.
    Done(Option<Step>),
}

impl Dialogue {
    pub(super) fn new(conduct: Arc<Conduct>, number: u64) -> Self {
        Self {
            conduct,
            number,
            met: Vec::new(),
            standing: Standing::Stranger,
            secure: false,
            injected: false,
            messages: 0,
            envelope: None,
            stage: Stage::Commands,
        }
    }

    /// Takes what it can from `input`, appends replies to `out`.
    pub(super) fn advance(&mut self, input: &mut &[u8], out: &mut Replies) -> Step {
        loop {
            match &mut self.stage {
                Stage::Commands | Stage::Auth(..) => {
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
                    if let Some(step) = self.line(line, out) {
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
                Stage::Body { .. } => return self.body(input, out),
            }
        }
    }

    /// The transaction that has begun and whose message is not whole: its first recipient, where one
    /// was named, and whether its body had begun.
    pub(super) fn begun(&self) -> Option<(Option<&str>, bool)> {
        let envelope = self.envelope.as_ref()?;
        Some((envelope.first_recipient(), matches!(self.stage, Stage::Body { .. })))
    }

    fn line(&mut self, line: &[u8], out: &mut Replies) -> Option<Step> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        self.note_pipelining(out);
        if let Stage::Auth(exchange, strike) = self.stage {
            self.stage = Stage::Commands;
            return self.auth_line(exchange, strike, text, out);
        }
        self.conduct.tally.commands.one();
        if self.injected {
            self.conduct.tally.commands_after_injection.one();
        }
        if line.len() > LINE_LIMIT {
            return self.error(out, "500 5.5.2 Line too long");
        }
        // Control characters would be skipped by the parser, and end up in header fields.
        if text.iter().any(u8::is_ascii_control) || std::str::from_utf8(text).is_err() {
            return self.error(out, "501 5.5.2 Control characters or broken UTF-8");
        }
        match Request::parse(&mut line.iter()) {
            Ok(request) => self.command(request, text, out),
            Err(error) => self.error(out, unread(&error)),
        }
    }

    fn command(
        &mut self,
        request: Request<std::borrow::Cow<'_, str>>,
        text: &[u8],
        out: &mut Replies,
    ) -> Option<Step> {
        if self.standing == Standing::TurnedAway && !matches!(request, Request::Quit) {
            return self.error(out, "503 5.5.1 Nothing but QUIT is heard here");
        }
        match request {
            Request::Ehlo { .. } => return self.hello(true, out),
            Request::Helo { .. } => return self.hello(false, out),
            Request::StartTls => return self.starttls(out),
            Request::Auth { mechanism, initial_response } => {
                return self.auth(mechanism, &initial_response, out);
            }
            Request::Mail { from } => return self.mail(&from, out),
            Request::Rcpt { to } => return self.rcpt(&to, text, out),
            Request::Data => return self.data(out),
            Request::Rset => return self.rset(out),
            Request::Noop { .. } => out.say("250 2.0.0 Ok"),
            Request::Vrfy { .. } => out.say("252 2.0.0 Not verified; send mail and see"),
            Request::Help { .. } => out.say("214 2.0.0 EHLO MAIL RCPT DATA RSET NOOP VRFY QUIT"),
            Request::Quit => return self.quit(out),
            Request::Bdat { chunk_size, .. } => {
                self.stage = Stage::SkipOctets(chunk_size);
                return self.error(out, "502 5.5.1 BDAT is not offered");
            }
            _ => return self.error(out, "502 5.5.1 Not offered here"),
        }
        None
    }

    fn rset(&mut self, out: &mut Replies) -> Option<Step> {
        let strike = self.of_connection(Phase::Rset);
        self.under_faults(strike, out, |dialogue, out| {
            dialogue.envelope = None;
            out.say("250 2.0.0 Ok");
            None
        })
    }

    fn quit(&mut self, out: &mut Replies) -> Option<Step> {
        let strike = self.of_connection(Phase::Quit);
        self.under_faults(strike, out, |_, out| {
            out.say("221 2.0.0 Bye");
            Some(Step::Hangup)
        })
    }

    /// What this connection meets at a phase that is decided for it as a whole; drawn once.
    fn of_connection(&mut self, phase: Phase) -> Option<Strike> {
        if let Some((_, strike)) = self.met.iter().find(|(known, _)| *known == phase) {
            return *strike;
        }
        let strike = self.conduct.fates.of_connection(self.number, phase);
        self.met.push((phase, strike));
        strike
    }

    /// Carries a command out as the rule that strikes it allows. `act` says exactly one reply.
    fn under_faults(
        &mut self,
        strike: Option<Strike>,
        out: &mut Replies,
        act: impl FnOnce(&mut Self, &mut Replies) -> Option<Step>,
    ) -> Option<Step> {
        let spoil = match self.meet(strike, out) {
            Met::Go(spoil) => spoil,
            Met::Done(step) => return step,
        };
        let from = out.len();
        let step = act(self, out);
        let Some(spoil) = spoil else {
            return step;
        };
        self.conduct.tally.spoilt.one();
        if matches!(spoil, Spoil::Behind(_)) {
            self.conduct.tally.injected.one();
            self.injected = true;
        }
        if spoil.apply(out, from) { Some(Step::Cut) } else { step }
    }

    fn meet(&self, strike: Option<Strike>, out: &mut Replies) -> Met {
        let Some(strike) = strike else {
            return Met::Go(None);
        };
        let (fates, tally) = (&self.conduct.fates, &self.conduct.tally);
        match fates.kind(strike) {
            Kind::Refuse(refusal) => {
                tally.refused(fates.phase(strike)).one();
                out.say(refusal.text());
                Met::Done(refusal.closes().then_some(Step::Hangup))
            }
            Kind::Cut => {
                tally.cut.one();
                Met::Done(Some(Step::Cut))
            }
            Kind::Silent => {
                tally.silenced.one();
                Met::Done(Some(Step::Silence))
            }
            kind => Met::Go(spoil(kind)),
        }
    }

    /// A line that came before the reply to the one before is an error unless it was offered.
    fn note_pipelining(&self, out: &Replies) {
        if !out.is_empty() && !self.conduct.offers.lists(Extension::Pipelining) {
            self.conduct.tally.pipelined.one();
            self.conduct.tally.protocol_errors.one();
        }
    }

    fn error(&self, out: &mut Replies, line: &str) -> Option<Step> {
        self.conduct.tally.protocol_errors.one();
        out.say(line);
        None
    }
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

#[cfg(test)]
mod tests;
