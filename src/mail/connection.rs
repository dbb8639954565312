//! One SMTP connection, owned by one task: opened once, used for many notices, closed with QUIT.
//!
//! Gives every transaction exactly one end, and tells what may have reached the server from what
//! cannot have. Pace, retries and records are the engine's.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::time::{Instant, timeout};

use super::auth::{AuthFault, Mechanism, log_in};
use super::capabilities::Capabilities;
use super::dialogue::{Dialogue, unasked};
use super::envelope::{Envelope, Offer};
use super::opening::{Opened, open};
use super::relay::Relay;
use super::settings::{RelaySettings, Timeouts, is_this_machine};
use super::stream::NodelayStream;
use super::tls::Security;
use super::transaction::{BreakCause, ConnectFault, Transaction};
use super::wire::Wire;
use crate::domain::reply::{Phase, SmtpReply};

/// How long RSET may take at the most; a server that is slower loses the connection.
const RESET_BOUND: Duration = Duration::from_secs(10);
/// How long QUIT may take; nothing depends on its answer.
const QUIT_BOUND: Duration = Duration::from_secs(2);
/// The final dot alone: ends DATA with nothing in it.
const LONE_DOT: &str = ".\r\n";
/// The steps that an [`Offer`] begins a transaction with.
const OFFERED: [Phase; 3] = [Phase::Mail, Phase::Rcpt, Phase::Data];

/// An open connection to a relay.
pub struct Connection {
    dialogue: Dialogue,
    offered: Capabilities,
    security: Security,
    logged_in: Option<Mechanism>,
    timeouts: Timeouts,
    idle_for: Duration,
    messages_at_most: u32,
    messages: u32,
    last_used: Instant,
    /// Set while a transaction runs, so that one whose future was dropped leaves no connection
    /// that looks usable.
    busy: bool,
    /// Went out with the last final dot: its answers are the next to come.
    ahead: Option<Offer>,
}

impl Connection {
    /// Resolves the relay, opens a TCP connection, says EHLO, secures it and logs in, as the
    /// settings ask for.
    pub async fn connect(relay: &Relay) -> Result<Self, ConnectFault> {
        let settings = relay.settings();
        let bound = settings.timeouts.of(Phase::Connect);
        let mut cause = BreakCause::Timeout;
        for address in resolve(settings, bound).await? {
            match timeout(bound, NodelayStream::connect(address)).await {
                Ok(Ok(stream)) => return Self::over(Box::new(stream), address, relay).await,
                Ok(Err(source)) => cause = BreakCause::Io(source),
                Err(_) => cause = BreakCause::Timeout,
            }
        }
        Err(ConnectFault::Broken { relay: settings.relay(), phase: Phase::Connect, cause })
    }

    /// The same over a stream that is connected to `address` already.
    pub async fn over(
        stream: Box<dyn AsyncTokioStream>,
        address: SocketAddr,
        relay: &Relay,
    ) -> Result<Self, ConnectFault> {
        let settings = relay.settings();
        let Opened { stream, offered, security } = open(stream, address, relay).await?;
        let mut dialogue = Dialogue::take_over(stream).await.map_err(|cause| {
            ConnectFault::Broken { relay: settings.relay(), phase: Phase::Ehlo, cause }
        })?;
        let is_private = security.is_private() || is_this_machine(address);
        let logged_in = log_in_as(&mut dialogue, settings, offered, security, is_private)
            .await
            .map_err(|cause| ConnectFault::Auth { relay: settings.relay(), cause })?;
        Ok(Self {
            dialogue,
            offered,
            security,
            logged_in,
            timeouts: settings.timeouts,
            idle_for: settings.idle_for.unsigned(),
            messages_at_most: settings.messages_per_connection,
            messages: 0,
            last_used: Instant::now(),
            busy: false,
            ahead: None,
        })
    }

    /// What the server offers.
    pub fn capabilities(&self) -> Capabilities {
        self.offered
    }

    /// How it is secured.
    pub fn security(&self) -> Security {
        self.security
    }

    /// By what we logged in, if we did.
    pub fn logged_in(&self) -> Option<Mechanism> {
        self.logged_in
    }

    /// How many transactions were begun on this connection.
    pub fn messages(&self) -> u32 {
        self.messages
    }

    /// Whether another transaction may be begun as far as we know.
    pub fn is_usable(&self) -> bool {
        !self.busy && !self.dialogue.is_over()
    }

    /// Whether the connection has carried its share, or has lain idle for too long: time to close.
    pub fn is_spent(&self) -> bool {
        self.messages >= self.messages_at_most || self.last_used.elapsed() >= self.idle_for
    }

    /// Looks, without waiting, whether the server is still there and silent. Costs no round trip;
    /// meant for the instant before a permit is used.
    pub fn still_open(&mut self) -> bool {
        self.is_usable() && self.dialogue.stray().is_none()
    }

    /// Sends one notice. `before_dot` runs just before message and final dot are written in one
    /// go; if it errs, nothing of them is written. A refusal leaves the connection ready for the
    /// next notice; [`Connection::is_usable`] tells.
    pub async fn transact(
        &mut self,
        envelope: &Envelope,
        wire: Wire,
        before_dot: impl FnOnce() -> io::Result<()> + Send,
    ) -> Transaction {
        self.transact_ahead(envelope, wire, |_| before_dot().map(|()| None)).await
    }

    /// The same; what `before_dot` gives back goes out in one write with the final dot, so that a notice
    /// costs one round trip (RFC 2920 §3.1). It is told what the server offered, if the next notice may be
    /// begun so. That notice must be the next one here: with any other the dialogue ends.
    pub async fn transact_ahead(
        &mut self,
        envelope: &Envelope,
        wire: Wire,
        before_dot: impl FnOnce(Option<Capabilities>) -> io::Result<Option<Offer>> + Send,
    ) -> Transaction {
        if envelope.needs_smtputf8() && !self.offered.smtputf8 {
            return Transaction::NeedsSmtputf8;
        }
        let ahead = self.ahead.take();
        if !self.is_usable() {
            return broken(Phase::Mail, BreakCause::Closed);
        }
        let offer = envelope.offer(self.offered, wire.message_size());
        if ahead.as_ref().is_some_and(|ahead| *ahead != offer) {
            self.dialogue.give_up();
            return broken(Phase::Mail, unasked());
        }
        if ahead.is_none()
            && let Some(cause) = self.dialogue.stray()
        {
            return broken(Phase::Mail, cause);
        }
        self.busy = true;
        self.messages = self.messages.saturating_add(1);
        let end = match self.offer(&offer, ahead.is_some()).await {
            Ok(()) => self.hand_over(wire, before_dot).await,
            Err(end) => end,
        };
        if self.messages > 1 && is_about_the_session(&end) {
            // Some servers take so many messages a session, and say so from then on.
            self.messages = self.messages_at_most;
        }
        let is_refused = matches!(end, Transaction::Refused { .. });
        if is_refused && self.ahead.is_none() && !self.dialogue.is_over() {
            self.reset().await;
        }
        self.busy = false;
        self.last_used = Instant::now();
        end
    }

    /// Says QUIT, if the dialogue is at a point where it can be said, and closes.
    pub async fn close(mut self) {
        if self.is_usable() && self.ahead.is_none() {
            // The answer changes nothing any more.
            let _ = self.dialogue.say("QUIT\r\n", QUIT_BOUND).await;
        }
    }

    /// MAIL, RCPT and DATA, up to 354. An error is the end of the transaction.
    async fn offer(&mut self, offer: &Offer, was_sent: bool) -> Result<(), Transaction> {
        if self.offered.pipelining {
            self.offer_at_once(Some(offer).filter(|_| !was_sent)).await?;
        } else {
            for (phase, line) in OFFERED.into_iter().zip(offer.commands()) {
                let reply = self.dialogue.say(line, self.timeouts.of(phase)).await;
                self.expect(phase, reply.map_err(|cause| broken(phase, cause))?)?;
            }
        }
        if self.dialogue.is_in_step() {
            return Ok(());
        }
        self.dialogue.give_up();
        Err(broken(Phase::Data, unasked()))
    }

    /// The three commands in one write (RFC 2920); none where they were written already. Every reply is
    /// read: the first that is not as expected is the end, and what follows it only decides whether the
    /// connection lives on.
    async fn offer_at_once(&mut self, group: Option<&Offer>) -> Result<(), Transaction> {
        let mut end = None;
        let mut recipient_taken = false;
        for phase in OFFERED {
            let bound = self.timeouts.of(phase);
            let answer = match group.filter(|_| phase == Phase::Mail) {
                Some(group) => self.dialogue.say(group.as_str(), bound).await,
                None => self.dialogue.hear(bound).await,
            };
            let reply = match answer {
                Ok(reply) => reply,
                Err(cause) => return Err(end.unwrap_or(broken(phase, cause))),
            };
            let code = reply.code();
            let verdict = self.expect(phase, reply);
            recipient_taken |= phase == Phase::Rcpt && verdict.is_ok();
            if phase == Phase::Data && code == 354 && end.is_some() {
                self.leave_data(recipient_taken).await;
            }
            end = end.or(verdict.err());
            if self.dialogue.is_over() {
                break;
            }
        }
        end.map_or(Ok(()), Err)
    }

    /// Ends a DATA that was opened although a command before it failed. With no recipient taken a
    /// lone dot delivers nothing to nobody; with one it could deliver an empty notice, so the
    /// connection is dropped instead.
    async fn leave_data(&mut self, recipient_taken: bool) {
        if recipient_taken
            || self.dialogue.say(LONE_DOT, self.timeouts.of(Phase::Dot)).await.is_err()
        {
            self.dialogue.give_up();
        }
    }

    /// The mark, then message and final dot, then the answer that decides.
    async fn hand_over(
        &mut self,
        mut wire: Wire,
        before_dot: impl FnOnce(Option<Capabilities>) -> io::Result<Option<Offer>> + Send,
    ) -> Transaction {
        let has_room = self.offered.pipelining && self.messages < self.messages_at_most;
        self.ahead = match before_dot(has_room.then_some(self.offered)) {
            Ok(next) => next.filter(|_| has_room),
            Err(source) => {
                // The server waits inside DATA: only closing tells it that nothing comes.
                self.dialogue.give_up();
                return broken(Phase::Dot, BreakCause::Mark(source));
            }
        };
        let bound = self.timeouts.of(Phase::Dot);
        let answer = match &self.ahead {
            None => self.dialogue.say(wire.as_str(), bound).await,
            Some(next) => self.dialogue.say(wire.followed_by(next), bound).await,
        };
        match answer {
            Ok(reply) if reply.code() == 250 => Transaction::Accepted { reply },
            Ok(reply) => match self.expect(Phase::Dot, reply) {
                Err(Transaction::Broken { phase, cause, .. }) => {
                    Transaction::Broken { phase, after_dot: true, cause }
                }
                Err(end) => end,
                Ok(()) => {
                    Transaction::Broken { phase: Phase::Dot, after_dot: true, cause: unasked() }
                }
            },
            Err(cause) => Transaction::Broken { phase: Phase::Dot, after_dot: true, cause },
        }
    }

    /// Holds a reply against the codes its phase allows. A 2yz or 3yz out of place means that
    /// answers and questions no longer match: the dialogue ends.
    fn expect(&mut self, phase: Phase, reply: SmtpReply) -> Result<(), Transaction> {
        match (phase, reply.code()) {
            (Phase::Mail | Phase::Rcpt, 250..=252) | (Phase::Data, 354) | (Phase::Dot, 250) => {
                Ok(())
            }
            (_, 400..=599) => Err(Transaction::Refused { phase, reply }),
            _ => {
                self.dialogue.give_up();
                Err(broken(phase, BreakCause::Garbage(format!("unexpected {reply}"))))
            }
        }
    }

    /// RSET, so that the next notice starts clean.
    async fn reset(&mut self) {
        let bound = RESET_BOUND.min(self.timeouts.of(Phase::Mail));
        let answer = self.dialogue.say("RSET\r\n", bound).await;
        if !answer.is_ok_and(|reply| reply.code() == 250) {
            self.dialogue.give_up();
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("offered", &self.offered)
            .field("messages", &self.messages)
            .field("usable", &self.is_usable())
            .finish_non_exhaustive()
    }
}

/// Logs in where the settings name a user; our secret is told to nobody who could be another.
async fn log_in_as(
    dialogue: &mut Dialogue,
    settings: &RelaySettings,
    offered: Capabilities,
    security: Security,
    is_private: bool,
) -> Result<Option<Mechanism>, AuthFault> {
    let auth = &settings.auth;
    if auth.user.is_empty() {
        return Ok(None);
    }
    if !is_private {
        return Err(AuthFault::Overheard(security));
    }
    let Some(mechanism) = auth.mechanism.among(offered) else {
        return Err(AuthFault::NotOffered(auth.mechanism.word()));
    };
    let secret = auth.read_secret()?;
    let bound = settings.timeouts.of(Phase::Auth);
    log_in(dialogue, mechanism, &auth.user, &secret, bound).await?;
    Ok(Some(mechanism))
}

/// Whether a refusal may be one of this connection alone: a 4yz to MAIL, before anybody was named.
fn is_about_the_session(end: &Transaction) -> bool {
    matches!(end, Transaction::Refused { phase: Phase::Mail, reply } if reply.code() < 500)
}

/// A break before the message can have been written.
fn broken(phase: Phase, cause: BreakCause) -> Transaction {
    Transaction::Broken { phase, after_dot: false, cause }
}

/// The relay's addresses; in a rehearsal every one of them must be this machine's.
async fn resolve(
    settings: &RelaySettings,
    bound: Duration,
) -> Result<Vec<SocketAddr>, ConnectFault> {
    let host = || settings.host.clone();
    let found = timeout(bound, tokio::net::lookup_host((settings.host.as_str(), settings.port)))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let addresses: Vec<SocketAddr> =
        found.map_err(|source| ConnectFault::Resolve { host: host(), source })?.collect();
    let abroad = addresses.iter().find(|address| !is_this_machine(**address));
    match abroad.filter(|_| settings.loopback_only) {
        Some(&address) => Err(ConnectFault::NotLoopback { host: host(), address }),
        None => Ok(addresses),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
#[path = "opening_tests.rs"]
mod opening_tests;
