//! From a connected stream to a server that has said what it offers: greeting, EHLO, STARTTLS.
//!
//! All of it is said and read on a stream of ours, below the mail library: the library reads no
//! extension we need, takes greetings it should not, and would carry clear text over into TLS.

use std::net::SocketAddr;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::time::timeout;

use super::capabilities::Capabilities;
use super::dialogue::{garbage, network, unasked};
use super::normalise::Normalised;
use super::relay::Relay;
use super::tls::{HandshakeEnd, Security, TlsFault, TlsMode};
use super::transaction::{BreakCause, ConnectFault};
use crate::domain::reply::{Phase, SmtpReply};

/// Codes that say a server does not know EHLO (RFC 5321 §4.1.4): then HELO is tried.
const NO_EHLO: [u16; 3] = [500, 502, 504];

/// How long our leave may take.
const LEAVE_BOUND: Duration = Duration::from_secs(2);
/// The reply that ends a connection, whatever it answers (RFC 5321 §3.8).
const CLOSING: &str = "421";

/// A connection that is ready for the mail library.
pub(super) struct Opened {
    pub(super) stream: Normalised,
    pub(super) offered: Capabilities,
    pub(super) security: Security,
}

/// Greets and secures a fresh stream to `address`.
pub(super) async fn open(
    stream: Box<dyn AsyncTokioStream>,
    address: SocketAddr,
    relay: &Relay,
) -> Result<Opened, ConnectFault> {
    let mode = relay.settings().tls.at(address);
    let (stream, mut security) = match mode {
        TlsMode::Implicit => secure(stream, relay, true).await?,
        _ => (stream, Security::Clear),
    };
    let mut opening = Opening::on(stream, relay);
    opening.greeting().await?;
    let mut offered = opening.hello().await?;
    let wants = matches!(mode, TlsMode::Starttls | TlsMode::Opportunistic);
    if mode == TlsMode::Starttls && !offered.starttls {
        return Err(opening.tls_fault(TlsFault::NotOffered));
    }
    if wants && offered.starttls {
        let clear = opening.starttls().await?;
        let (stream, found) = secure(clear, relay, mode == TlsMode::Starttls).await?;
        security = found;
        opening = Opening::on(stream, relay);
        // What was offered in clear may have been anybody's words (RFC 3207 §4.2).
        offered = opening.hello().await?;
    }
    Ok(Opened { stream: opening.stream, offered, security })
}

/// The TLS handshake, within its time.
async fn secure(
    stream: Box<dyn AsyncTokioStream>,
    relay: &Relay,
    checked: bool,
) -> Result<(Box<dyn AsyncTokioStream>, Security), ConnectFault> {
    let name = relay.settings().relay();
    let fault = |cause| ConnectFault::Tls { relay: name.clone(), cause };
    let broken = |cause| ConnectFault::Broken { relay: name.clone(), phase: Phase::Tls, cause };
    let tls = relay.tls(checked).map_err(fault)?;
    let bound = relay.settings().timeouts.of(Phase::Tls);
    match timeout(bound, tls.handshake(stream)).await {
        Ok(Ok((stream, security))) => Ok((Box::new(stream), security)),
        Ok(Err(HandshakeEnd::Fault(cause))) => Err(fault(cause)),
        Ok(Err(HandshakeEnd::Broken(source))) => Err(broken(network(source))),
        Err(_) => Err(broken(BreakCause::Timeout)),
    }
}

struct Opening<'a> {
    stream: Normalised,
    relay: &'a Relay,
}

impl<'a> Opening<'a> {
    fn on(stream: Box<dyn AsyncTokioStream>, relay: &'a Relay) -> Self {
        Self { stream: Normalised::new(stream), relay }
    }

    fn bound(&self, phase: Phase) -> Duration {
        self.relay.settings().timeouts.of(phase)
    }

    fn broken(&self, phase: Phase, cause: BreakCause) -> ConnectFault {
        ConnectFault::Broken { relay: self.relay.settings().relay(), phase, cause }
    }

    /// Takes leave of a server that does not let us in.
    async fn refused(&mut self, phase: Phase, reply: SmtpReply) -> ConnectFault {
        // Nothing depends on whether it hears us.
        let _ = timeout(LEAVE_BOUND, self.stream.say("QUIT\r\n")).await;
        ConnectFault::Refused { relay: self.relay.settings().relay(), phase, reply }
    }

    fn tls_fault(&self, cause: TlsFault) -> ConnectFault {
        ConnectFault::Tls { relay: self.relay.settings().relay(), cause }
    }

    /// Waits for 220; anything else does not let us in.
    async fn greeting(&mut self) -> Result<(), ConnectFault> {
        let (reply, _) = self.hear(Phase::Greeting).await?;
        match reply.code() {
            220 => Ok(()),
            400..=599 => Err(self.refused(Phase::Greeting, reply).await),
            _ => Err(self.broken(Phase::Greeting, garbage(&reply.to_string()))),
        }
    }

    /// EHLO, or HELO where the server knows no EHLO: then it offers nothing.
    async fn hello(&mut self) -> Result<Capabilities, ConnectFault> {
        let name = self.relay.settings().hello.as_str().to_owned();
        let (mut reply, lines) = self.ask(&format!("EHLO {name}\r\n"), Phase::Ehlo).await?;
        if reply.code() == 250 {
            return Ok(Capabilities::from_lines(lines.iter().map(|line| words(line))));
        }
        if NO_EHLO.contains(&reply.code()) {
            reply = self.ask(&format!("HELO {name}\r\n"), Phase::Ehlo).await?.0;
            if reply.code() == 250 {
                return Ok(Capabilities::default());
            }
        }
        Err(match reply.code() {
            400..=599 => self.refused(Phase::Ehlo, reply).await,
            _ => self.broken(Phase::Ehlo, garbage(&reply.to_string())),
        })
    }

    /// Asks for TLS and gives back the bare stream, if nothing in clear lies behind the answer.
    async fn starttls(mut self) -> Result<Box<dyn AsyncTokioStream>, ConnectFault> {
        let reply = self.ask("STARTTLS\r\n", Phase::Tls).await?.0;
        match reply.code() {
            220 => {}
            400..=599 => return Err(self.refused(Phase::Tls, reply).await),
            _ => return Err(self.broken(Phase::Tls, garbage(&reply.to_string()))),
        }
        match self.stream.unread() {
            Ok(0) => Ok(self.stream.into_inner()),
            Ok(octets) => Err(self.tls_fault(TlsFault::Injected(octets))),
            Err(source) => Err(self.broken(Phase::Tls, network(source))),
        }
    }

    async fn ask(
        &mut self,
        text: &str,
        phase: Phase,
    ) -> Result<(SmtpReply, Vec<String>), ConnectFault> {
        let bound = self.bound(phase);
        match timeout(bound, self.stream.say(text)).await {
            Ok(Ok(())) => self.hear(phase).await,
            Ok(Err(source)) => Err(self.broken(phase, network(source))),
            Err(_) => Err(self.broken(phase, BreakCause::Timeout)),
        }
    }

    /// One reply and its lines. Another behind it, unasked, ends the opening: but behind the answer
    /// to STARTTLS it is an attack, which `starttls` names.
    async fn hear(&mut self, phase: Phase) -> Result<(SmtpReply, Vec<String>), ConnectFault> {
        let bound = self.bound(phase);
        let lines: Vec<String> = match timeout(bound, self.stream.reply()).await {
            Ok(Ok(Some(lines))) => lines,
            Ok(Ok(None)) => return Err(self.broken(phase, BreakCause::Closed)),
            Ok(Err(source)) => return Err(self.broken(phase, network(source))),
            Err(_) => return Err(self.broken(phase, BreakCause::Timeout)),
        };
        let Some(reply) = reply_of(&lines) else {
            return Err(self.broken(phase, garbage(&lines.join(" "))));
        };
        if phase != Phase::Tls && self.stream.has_reply() {
            let closes = self.stream.next_is(CLOSING);
            let cause = if closes { BreakCause::Closed } else { unasked() };
            return Err(self.broken(phase, cause));
        }
        Ok((reply, lines))
    }
}

/// The lines of one reply as a reply; none where they are no SMTP.
fn reply_of(lines: &[String]) -> Option<SmtpReply> {
    let first = code_of(lines.first()?)?;
    if lines.iter().any(|line| code_of(line) != Some(first)) {
        return None;
    }
    let text: Vec<&str> = lines.iter().map(|line| words(line)).collect();
    Some(SmtpReply::new(first.parse().ok()?, &text.join(" ")))
}

/// The three digits a line begins with.
fn code_of(line: &str) -> Option<&str> {
    line.get(..3).filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What follows the code and its separator.
fn words(line: &str) -> &str {
    line.get(4..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_of_one_code_are_a_reply() {
        let lines = |text: &str| text.split('|').map(str::to_owned).collect::<Vec<_>>();
        let reply = reply_of(&lines("250-relay.example|250 SIZE 1")).unwrap();
        assert_eq!((reply.code(), reply.text()), (250, "relay.example SIZE 1"));
        for text in ["SSH-2.0-x", "250-a|550 b", "25", "", "2x0 a"] {
            assert!(reply_of(&lines(text)).is_none(), "{text}");
        }
        assert!(reply_of(&[]).is_none());
    }
}
