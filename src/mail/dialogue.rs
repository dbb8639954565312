//! One question, one answer: the bounds, the step and the words of an SMTP dialogue.
//!
//! Owns the mail library's connection, turns its answers and errors into ours, and knows at every
//! moment whether the dialogue can go on. What to ask is for `connection` to say.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use futures_util::FutureExt as _;
use lettre::transport::smtp::Error as LibraryError;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::normalise::{Normalised, Seen};
use super::transaction::BreakCause;
use crate::domain::reply::{SmtpReply, mask_addresses};

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
    /// Lets the mail library take over a stream on which greeting and EHLO are done.
    pub(super) async fn take_over(mut stream: Normalised) -> Result<Self, BreakCause> {
        let seen = stream.seen();
        let heard = stream.hand_over();
        let hello = ClientId::Domain("opened".into());
        let connecting = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello);
        let library = connecting.await.map_err(|error| broken_by(error, &seen))?;
        Ok(Self { library, seen, heard, over: false })
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
pub(super) fn network(source: io::Error) -> BreakCause {
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
pub(super) fn garbage(text: &str) -> BreakCause {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let line: String = text.trim().chars().map(visible).take(MAX_GARBAGE).collect();
    BreakCause::Garbage(mask_addresses(&line))
}
