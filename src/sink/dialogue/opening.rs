//! What comes before mail: the greeting, EHLO, STARTTLS and AUTH.

use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, AUTH_XOAUTH2};

use super::{Dialogue, Stage, Standing, Step};
use crate::sink::auth::{AuthSettings, Exchange, Mechanism, Turn, refuse_token};
use crate::sink::conduct::handshake;
use crate::sink::fate::Strike;
use crate::sink::fault::{Handshake, Kind};
use crate::sink::offer::Extension;
use crate::sink::phase::Phase;
use crate::sink::replies::Replies;
use crate::sink::reply::GREETING;

impl Dialogue {
    /// How the handshake of a connection goes that is under TLS from its first octet.
    pub(in crate::sink) fn opening_handshake(&mut self) -> Step {
        let strike = self.of_connection(Phase::Tls);
        // Only a cut or silence can be met here: there is no reply to refuse with or to spoil.
        let mut unsaid = Replies::default();
        let how = self.handshake(strike);
        self.under_faults(strike, &mut unsaid, |_, _| Some(Step::StartTls(how)))
            .unwrap_or(Step::StartTls(how))
    }

    /// The first line; `crowded` when too many connections are open.
    pub(in crate::sink) fn greet(&mut self, crowded: bool, out: &mut Replies) -> Step {
        if crowded {
            out.say("421 4.7.0 Too many connections");
            return Step::Hangup;
        }
        let strike = self.of_connection(Phase::Greeting);
        let kind = strike.map(|strike| self.conduct.fates.kind(strike));
        if matches!(kind, Some(Kind::Refuse(_))) {
            self.standing = Standing::TurnedAway;
        }
        let step = self.under_faults(strike, out, |_, out| {
            out.say(GREETING);
            None
        });
        step.unwrap_or(Step::Read)
    }

    /// TLS begins: all that was said before is forgotten (RFC 3207 section 4.2).
    pub(in crate::sink) fn secured(&mut self) {
        self.secure = true;
        self.standing = Standing::Stranger;
        self.envelope = None;
    }

    pub(super) fn hello(&mut self, extended: bool, out: &mut Replies) -> Option<Step> {
        let strike = self.of_connection(Phase::Ehlo).filter(|strike| {
            // Who does not know EHLO still knows HELO (RFC 5321 section 3.2).
            extended
                || !matches!(self.conduct.fates.kind(*strike),
                    Kind::Refuse(refusal) if refusal.unknown_command())
        });
        self.under_faults(strike, out, |dialogue, out| {
            dialogue.standing = dialogue.standing.max(Standing::Greeted);
            dialogue.envelope = None;
            let offers = &dialogue.conduct.offers;
            let answer = if extended { offers.ehlo(dialogue.secure) } else { HELO };
            out.say(answer);
            None
        })
    }

    pub(super) fn starttls(&mut self, out: &mut Replies) -> Option<Step> {
        if !self.conduct.offers.lists(Extension::StartTls) {
            return self.error(out, "502 5.5.1 Not offered here");
        }
        if self.secure {
            return self.error(out, "503 5.5.1 TLS has begun already");
        }
        let strike = self.of_connection(Phase::Tls);
        let how = self.handshake(strike);
        self.under_faults(strike, out, |_, out| {
            out.say("220 2.0.0 Ready to start TLS");
            Some(Step::StartTls(how))
        })
    }

    fn handshake(&self, strike: Option<Strike>) -> Handshake {
        handshake(strike.map(|strike| self.conduct.fates.kind(strike)))
    }

    pub(super) fn auth(
        &mut self,
        mechanism: u64,
        initial: &str,
        out: &mut Replies,
    ) -> Option<Step> {
        let mechanism = match self.may_authenticate(mechanism) {
            Ok(mechanism) => mechanism,
            Err(problem) => return self.error(out, problem),
        };
        let strike = self.of_connection(Phase::Auth);
        let at_once = strike.filter(|strike| match self.conduct.fates.kind(*strike) {
            Kind::Cut | Kind::Silent => true,
            // A server that does not know the way says so before it hears a secret.
            Kind::Refuse(refusal) => refusal.unknown_command(),
            _ => false,
        });
        if at_once.is_some() {
            return self.under_faults(at_once, out, |_, _| None);
        }
        let turn = self.account().map(|account| account.begin(mechanism, initial));
        self.turn(turn.unwrap_or(Turn::Fail), strike, out)
    }

    fn may_authenticate(&self, mechanism: u64) -> Result<Mechanism, &'static str> {
        let Some(account) = self.account().filter(|_| self.conduct.offers.lists(Extension::Auth))
        else {
            return Err("502 5.5.1 Not offered here");
        };
        if self.standing < Standing::Greeted {
            return Err("503 5.5.1 Say EHLO first");
        }
        if self.conduct.tls_required && !self.secure {
            return Err(STARTTLS_FIRST);
        }
        if !self.secure && !self.conduct.offers.auth_in_clear() {
            return Err("538 5.7.11 Encryption required to authenticate");
        }
        if self.standing == Standing::Authenticated || self.envelope.is_some() {
            return Err("503 5.5.1 Not now");
        }
        let asked = match mechanism {
            AUTH_PLAIN => Mechanism::Plain,
            AUTH_LOGIN => Mechanism::Login,
            AUTH_XOAUTH2 => Mechanism::Xoauth2,
            _ => return Err("504 5.5.4 Unknown mechanism"),
        };
        Some(asked)
            .filter(|asked| account.mechanisms.contains(asked))
            .ok_or("504 5.5.4 Unknown mechanism")
    }

    fn account(&self) -> Option<&AuthSettings> {
        self.conduct.auth.as_ref()
    }

    pub(super) fn auth_line(
        &mut self,
        exchange: Exchange,
        strike: Option<Strike>,
        line: &[u8],
        out: &mut Replies,
    ) -> Option<Step> {
        let turn = self.account().map(|account| account.go_on(exchange, line));
        self.turn(turn.unwrap_or(Turn::Fail), strike, out)
    }

    /// Says what the exchange asks for. A rule strikes its end, as servers refuse there.
    fn turn(&mut self, turn: Turn, strike: Option<Strike>, out: &mut Replies) -> Option<Step> {
        let refuses_token = strike.is_some_and(|strike| {
            matches!(self.conduct.fates.kind(strike), Kind::Refuse(refusal) if refusal.code() == 535)
        });
        let passes = match turn {
            Turn::Ask(exchange, question) => {
                out.say(&question);
                self.stage = Stage::Auth(exchange, strike);
                return None;
            }
            Turn::Pass(Mechanism::Xoauth2) if refuses_token => {
                return self.turn(refuse_token(), strike, out);
            }
            Turn::Cancelled => return self.error(out, "501 5.7.0 Authentication cancelled"),
            Turn::Malformed => return self.error(out, "501 5.5.2 That is no base64"),
            Turn::Pass(_) => true,
            Turn::Fail => false,
        };
        self.under_faults(strike, out, |dialogue, out| {
            let tally = &dialogue.conduct.tally;
            if passes {
                dialogue.standing = Standing::Authenticated;
                tally.auth_successes.one();
                out.say("235 2.7.0 Authentication successful");
            } else {
                tally.auth_failures.one();
                out.say("535 5.7.8 User or secret is wrong");
            }
            None
        })
    }
}

/// The answer to HELO.
const HELO: &str = "250 localhost at your service";

/// The answer to what needs TLS (RFC 3207 section 4).
pub(super) const STARTTLS_FIRST: &str = "530 5.7.0 Must issue a STARTTLS command first";
