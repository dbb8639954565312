//! One question, one answer: the bounds, the step and the words of an SMTP dialogue.
//!
//! Owns the mail library's connection, turns its answers and errors into ours, and knows at every
//! moment whether the dialogue can go on. What to ask is for `connection` to say.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use futures_util::FutureExt as _;
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::commands::Ehlo;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use lettre::transport::smtp::{Error as LibraryError, response::Severity};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::capabilities::Capabilities;
use super::normalise::{Normalised, Seen};
use super::settings::RelaySettings;
use super::transaction::{BreakCause, ConnectFault};
use crate::domain::reply::{Phase, SmtpReply, mask_addresses};

/// The most of a server's nonsense that is kept, in characters.
const MAX_GARBAGE: usize = 200;
/// The reply that ends a connection, whatever it answers (RFC 5321 §3.8).
const CLOSING: u16 = 421;

/// An open SMTP dialogue.
pub(super) struct Dialogue {
    library: AsyncSmtpConnection,
    seen: Seen,
    /// How many replies were taken as answers.
    heard: u64,
    over: bool,
}

impl Dialogue {
    /// Greeting and EHLO on a fresh stream.
    pub(super) async fn open(
        stream: Box<dyn AsyncTokioStream>,
        settings: &RelaySettings,
    ) -> Result<(Self, Capabilities), ConnectFault> {
        let bound = settings.timeouts.of(Phase::Greeting);
        let mut stream = Normalised::new(stream);
        let greeting = timeout(bound, stream.peek_first_reply()).await;
        judge_greeting(greeting, &stream.seen())
            .map_err(|answer| answer.into_fault(settings, Phase::Greeting))?;
        let opened = Self::introduce(stream, settings).await;
        opened.map_err(|answer| answer.into_fault(settings, Phase::Ehlo))
    }

    /// EHLO, twice: the library says its own and keeps only four of the extensions.
    async fn introduce(
        stream: Normalised,
        settings: &RelaySettings,
    ) -> Result<(Self, Capabilities), Unwelcome> {
        let bound = settings.timeouts.of(Phase::Ehlo);
        let hello = ClientId::Domain(settings.hello.as_str().into());
        let seen = stream.seen();
        let connecting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello);
        let library = welcome(timeout(bound, connecting).await, &seen)?;
        // The library took the greeting and the answer to its own EHLO.
        let mut dialogue = Self { library, seen, heard: 2, over: false };
        let asked = timeout(bound, dialogue.library.command(Ehlo::new(hello))).await;
        let response = welcome(asked, &dialogue.seen)?;
        dialogue.heard += 1;
        Ok((dialogue, Capabilities::from_lines(response.message())))
    }

    /// Whether the dialogue has ended and nothing more may be asked.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Ends the dialogue: whatever comes now is not believed.
    pub(super) fn give_up(&mut self) {
        self.over = true;
    }

    /// Writes `text` in one go and reads one reply.
    pub(super) async fn say(
        &mut self,
        text: &str,
        bound: Duration,
    ) -> Result<SmtpReply, BreakCause> {
        let answer = timeout(bound, self.library.command(text)).await;
        self.settle(answer)
    }

    /// Reads one more reply to what was said.
    pub(super) async fn hear(&mut self, bound: Duration) -> Result<SmtpReply, BreakCause> {
        let answer = timeout(bound, self.library.read_response()).await;
        self.settle(answer)
    }

    /// Whether every reply that came in was the answer to something. A server that has sent more
    /// would have its next answers read one step off.
    pub(super) fn is_in_step(&self) -> bool {
        self.seen.replies() == self.heard
    }

    /// Looks, without waiting, whether the server has said or ended something meanwhile.
    pub(super) fn stray(&mut self) -> Option<BreakCause> {
        let answer = self.library.read_response().now_or_never()?;
        self.over = true;
        Some(match answer {
            Ok(_) => unasked(),
            // 421 while idle is a polite close.
            Err(error) if error.status().is_some_and(|code| u16::from(code) == CLOSING) => {
                BreakCause::Closed
            }
            Err(error) if error.status().is_some() => unasked(),
            Err(error) => broken_by(error, &self.seen),
        })
    }

    /// Turns the library's answer into ours and notes whether the dialogue can go on.
    fn settle(
        &mut self,
        answer: Result<Result<Response, LibraryError>, Elapsed>,
    ) -> Result<SmtpReply, BreakCause> {
        let reply = match answer {
            Ok(Ok(response)) => Ok(said(&response)),
            Ok(Err(error)) => refusal(&error).ok_or_else(|| broken_by(error, &self.seen)),
            Err(_) => Err(BreakCause::Timeout),
        };
        match &reply {
            Ok(reply) => {
                self.heard += 1;
                self.over |= reply.code() == CLOSING;
            }
            Err(_) => self.over = true,
        }
        reply
    }
}

/// The cause given where a server talks unasked.
pub(super) fn unasked() -> BreakCause {
    BreakCause::Garbage("a reply that nobody asked for".into())
}

/// A greeting or EHLO that did not let us in.
enum Unwelcome {
    Refused(SmtpReply),
    Broken(BreakCause),
}

impl Unwelcome {
    fn into_fault(self, settings: &RelaySettings, phase: Phase) -> ConnectFault {
        let relay = settings.relay();
        match self {
            Self::Refused(reply) => ConnectFault::Refused { relay, phase, reply },
            Self::Broken(cause) => ConnectFault::Broken { relay, phase, cause },
        }
    }
}

/// What came of a step before the first notice.
fn welcome<T>(
    answer: Result<Result<T, LibraryError>, Elapsed>,
    seen: &Seen,
) -> Result<T, Unwelcome> {
    let error = match answer {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => error,
        Err(_) => return Err(Unwelcome::Broken(BreakCause::Timeout)),
    };
    Err(refusal(&error)
        .map_or_else(|| Unwelcome::Broken(broken_by(error, seen)), Unwelcome::Refused))
}

/// Whether the greeting lets us in: exactly 220, and nothing after it.
fn judge_greeting(
    greeting: Result<io::Result<Option<String>>, Elapsed>,
    seen: &Seen,
) -> Result<(), Unwelcome> {
    let text = match greeting {
        Ok(Ok(Some(text))) => text,
        Ok(Ok(None)) => return Err(Unwelcome::Broken(BreakCause::Closed)),
        Ok(Err(source)) => return Err(Unwelcome::Broken(network(source))),
        Err(_) => return Err(Unwelcome::Broken(BreakCause::Timeout)),
    };
    let Ok(response) = text.parse::<Response>() else {
        return Err(Unwelcome::Broken(garbage(&text)));
    };
    let reply = said(&response);
    match response.code().severity {
        Severity::TransientNegativeCompletion | Severity::PermanentNegativeCompletion => {
            Err(Unwelcome::Refused(reply))
        }
        _ if reply.code() == 220 && seen.replies() == 1 => Ok(()),
        _ => Err(Unwelcome::Broken(garbage(&text))),
    }
}

/// A reply that the library took for success.
fn said(response: &Response) -> SmtpReply {
    let lines: Vec<&str> = response.message().collect();
    SmtpReply::new(response.code().into(), &lines.join(" "))
}

/// The 4yz or 5yz inside the library's error, if it is one.
fn refusal(error: &LibraryError) -> Option<SmtpReply> {
    let code = error.status()?;
    let text = error.source().map(ToString::to_string).unwrap_or_default();
    Some(SmtpReply::new(code.into(), &text))
}

/// What broke, for an error that is no reply.
fn broken_by(error: LibraryError, seen: &Seen) -> BreakCause {
    if seen.has_ended() {
        return BreakCause::Closed;
    }
    let kind =
        error.source().and_then(|source| source.downcast_ref::<io::Error>()).map(io::Error::kind);
    match kind {
        Some(kind) => network(io::Error::new(kind, error)),
        None => garbage(&error.source().map_or_else(|| error.to_string(), ToString::to_string)),
    }
}

/// A network error; the kinds that mean "gone" count as a close.
fn network(source: io::Error) -> BreakCause {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    match source.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof => {
            BreakCause::Closed
        }
        _ => BreakCause::Io(source),
    }
}

/// The server's nonsense: masked, on one line, cut.
fn garbage(text: &str) -> BreakCause {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = text.trim().chars().map(visible).take(MAX_GARBAGE).collect();
    BreakCause::Garbage(mask_addresses(&line))
}
