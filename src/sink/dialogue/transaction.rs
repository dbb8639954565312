//! The mail transaction: MAIL, RCPT, DATA and the body.

use std::borrow::Cow;

use smtp_proto::{
    MAIL_BODY_7BIT, MAIL_BODY_8BITMIME, MAIL_RET_FULL, MAIL_RET_HDRS, MAIL_SMTPUTF8, MailFrom,
    RCPT_NOTIFY_DELAY, RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER, RCPT_NOTIFY_SUCCESS, RcptTo,
};

use tokio::time::Instant;

use super::opening::STARTTLS_FIRST;
use super::{Dialogue, Message, Stage, Standing, Step, Verdict};
use crate::sink::body::BodyReader;
use crate::sink::fate::Strike;
use crate::sink::fault::Kind;
use crate::sink::greylist::GREYLISTED;
use crate::sink::offer::{Extension, Offers};
use crate::sink::phase::Phase;
use crate::sink::replies::Replies;
use crate::sink::reply::{Refusal, SIZE_LIMIT};

/// Most recipients of one message.
const RECIPIENT_LIMIT: usize = 1000;

/// MAIL parameters, each of the extension that brings it.
const MAIL_FLAGS: [(Extension, u64); 3] = [
    (Extension::EightBitMime, MAIL_BODY_7BIT | MAIL_BODY_8BITMIME),
    (Extension::Dsn, MAIL_RET_FULL | MAIL_RET_HDRS),
    (Extension::SmtpUtf8, MAIL_SMTPUTF8),
];

/// RCPT parameters of DSN.
const NOTIFY: u64 =
    RCPT_NOTIFY_SUCCESS | RCPT_NOTIFY_FAILURE | RCPT_NOTIFY_DELAY | RCPT_NOTIFY_NEVER;

/// The answer to a parameter nobody offered.
const NOT_OFFERED: &str = "555 5.5.4 Parameter of an extension not offered";

/// A message before its body.
pub(super) struct Envelope {
    from: String,
    to: Vec<String>,
    utf8: bool,
    /// The first recipient's fault that strikes after RCPT.
    pending: Option<Strike>,
}

impl Envelope {
    pub(super) fn first_recipient(&self) -> Option<&str> {
        self.to.first().map(String::as_str)
    }
}

impl Dialogue {
    pub(super) fn mail(
        &mut self,
        from: &MailFrom<Cow<'_, str>>,
        out: &mut Replies,
    ) -> Option<Step> {
        let utf8 = from.flags & MAIL_SMTPUTF8 != 0;
        if let Some(problem) = self.mail_problem(from, utf8) {
            return self.error(out, problem);
        }
        if self.conduct.messages_per_connection.is_some_and(|most| self.messages >= most) {
            self.conduct.tally.refused_limit.one();
            out.say("421 4.7.0 Too many messages in one connection");
            return Some(Step::Hangup);
        }
        let strike = self.conduct.fates.of_sender(&from.address);
        self.under_faults(strike, out, |dialogue, out| {
            let from = from.address.clone().into_owned();
            dialogue.envelope = Some(Envelope { from, to: Vec::new(), utf8, pending: None });
            out.say("250 2.1.0 Ok");
            None
        })
    }

    fn mail_problem(&self, from: &MailFrom<Cow<'_, str>>, utf8: bool) -> Option<&'static str> {
        let conduct = &self.conduct;
        if self.standing < Standing::Greeted {
            Some("503 5.5.1 Say EHLO first")
        } else if conduct.tls_required && !self.secure {
            Some(STARTTLS_FIRST)
        } else if self.wants_auth() {
            Some("530 5.7.0 Authentication required")
        } else if self.envelope.is_some() {
            Some("503 5.5.1 A message is already begun")
        } else if asks_too_much(from, &conduct.offers) {
            Some(NOT_OFFERED)
        } else if from.size > SIZE_LIMIT {
            Some("552 5.3.4 Message too big")
        } else if from.address.ends_with('@') {
            Some("501 5.1.7 The sender has no domain")
        } else if !utf8 && !from.address.is_ascii() {
            Some("553 5.6.7 The sender needs SMTPUTF8")
        } else {
            None
        }
    }

    fn wants_auth(&self) -> bool {
        let required = self.conduct.auth.as_ref().is_some_and(|auth| auth.required);
        required && self.standing < Standing::Authenticated
    }

    pub(super) fn rcpt(
        &mut self,
        to: &RcptTo<Cow<'_, str>>,
        line: &[u8],
        out: &mut Replies,
    ) -> Option<Step> {
        let asks_dsn = to.flags & NOTIFY != 0 || to.orcpt.is_some();
        let offers_dsn = self.conduct.offers.lists(Extension::Dsn);
        if to.flags & !NOTIFY != 0 || to.rrvs != 0 || (asks_dsn && !offers_dsn) {
            return self.error(out, NOT_OFFERED);
        }
        let postmaster = to.address.is_empty() && names_postmaster(line);
        let address: &str = if postmaster { "postmaster" } else { &to.address };
        let Some(envelope) = &self.envelope else {
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
        let greylist = self.conduct.greylist.as_ref();
        if greylist.is_some_and(|list| list.defers(&envelope.from, address, Instant::now())) {
            self.conduct.tally.greylisted.one();
            out.say(GREYLISTED);
            return None;
        }
        self.take_recipient(address, out)
    }

    fn take_recipient(&mut self, address: &str, out: &mut Replies) -> Option<Step> {
        let strike = self.conduct.fates.of_recipient(address);
        let now = strike.filter(|strike| self.conduct.fates.phase(*strike) == Phase::Rcpt);
        self.under_faults(now, out, |dialogue, out| {
            if let Some(envelope) = &mut dialogue.envelope {
                if now.is_none() {
                    envelope.pending = envelope.pending.or(strike);
                }
                envelope.to.push(address.to_owned());
            }
            out.say("250 2.1.5 Ok");
            None
        })
    }

    pub(super) fn data(&mut self, out: &mut Replies) -> Option<Step> {
        let Some(envelope) = &self.envelope else {
            return self.error(out, "503 5.5.1 MAIL comes first");
        };
        if envelope.to.is_empty() {
            return self.error(out, "554 5.5.1 No valid recipients");
        }
        let strike = self.pending(Phase::Data);
        let step = self.under_faults(strike, out, |dialogue, out| {
            out.say("354 End with a dot on a line by itself");
            let (reader, body) = (BodyReader::new(), Vec::new());
            dialogue.stage = Stage::Body { reader, body, too_big: false };
            None
        });
        if !matches!(self.stage, Stage::Body { .. }) {
            self.envelope = None;
        }
        step
    }

    /// The fault that waits for this phase of the message.
    fn pending(&self, phase: Phase) -> Option<Strike> {
        let pending = self.envelope.as_ref().and_then(|envelope| envelope.pending);
        pending.filter(|strike| self.conduct.fates.phase(*strike) == phase)
    }

    pub(super) fn body(&mut self, input: &mut &[u8], out: &Replies) -> Step {
        let strike = self.pending(Phase::Dot);
        if !input.is_empty() {
            self.note_pipelining(out);
            let dropped = strike.map(|strike| self.conduct.fates.kind(strike));
            if dropped == Some(&Kind::DropBeforeDot) {
                self.conduct.tally.dropped_before_dot.one();
                return Step::Cut;
            }
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
        self.messages += 1;
        let kind = strike.map(|strike| self.conduct.fates.kind(strike));
        let verdict = match kind {
            _ if too_big => Verdict::Refuse(Refusal::new(552, "5.3.4 Message too big")),
            _ if !self.takes_octets(&body) => {
                self.conduct.tally.protocol_errors.one();
                Verdict::Refuse(Refusal::new(554, "5.6.3 8-bit octets, and 8BITMIME not offered"))
            }
            Some(Kind::Cut) => {
                self.conduct.tally.cut.one();
                return Step::Cut;
            }
            Some(Kind::Silent) => {
                self.conduct.tally.silenced.one();
                return Step::Silence;
            }
            Some(Kind::Refuse(refusal)) => Verdict::Refuse(refusal.clone()),
            Some(Kind::DropAfterDot) => Verdict::TakeInSilence,
            Some(Kind::Spoil(spoil)) => Verdict::TakeSpoilt(spoil.clone()),
            Some(Kind::DropBeforeDot | Kind::Handshake(_)) | None => Verdict::Take,
        };
        let Some(Envelope { from, to, .. }) = self.envelope.take() else {
            return Step::Read;
        };
        Step::Message(Message { from, to, body, verdict })
    }

    fn takes_octets(&self, body: &[u8]) -> bool {
        self.conduct.offers.lists(Extension::EightBitMime) || body.is_ascii()
    }
}

/// The parser gives the bare local part `<postmaster>`, and `<>`, as an empty address.
fn names_postmaster(line: &[u8]) -> bool {
    let wanted = b"<postmaster>";
    line.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
}

fn asks_too_much<T>(from: &MailFrom<T>, offers: &Offers) -> bool {
    let offered = MAIL_FLAGS.iter().filter(|(extension, _)| offers.lists(*extension));
    let flags = offered.fold(0, |flags, (_, more)| flags | more);
    from.flags & !flags != 0
        || (from.size > 0 && !offers.lists(Extension::Size))
        || (from.env_id.is_some() && !offers.lists(Extension::Dsn))
        || from.trans_id.is_some()
        || from.solicit.is_some()
        || from.mtrk.is_some()
        || from.auth.is_some()
        || [from.hold_for, from.hold_until] != [0, 0]
        || [from.by, from.mt_priority] != [0, 0]
}
