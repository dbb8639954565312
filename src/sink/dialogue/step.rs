//! What a dialogue asks of its session.

use crate::sink::fault::Handshake;
use crate::sink::reply::Refusal;
use crate::sink::spoil::Spoil;

/// What the session must do next.
#[derive(Debug)]
pub(in crate::sink) enum Step {
    /// Send the replies, read more.
    Read,
    /// Act on a whole message, then go on.
    Message(Message),
    /// Send the replies, then close.
    Hangup,
    /// Send the replies, then close as a broken line does.
    Cut,
    /// Send the replies, then say nothing more until the client goes.
    Silence,
    /// Send the replies, then shake hands.
    StartTls(Handshake),
}

/// A message whose final dot has been read.
#[derive(Debug)]
pub(in crate::sink) struct Message {
    /// Reverse-path; empty for `<>`.
    pub(in crate::sink) from: String,
    /// Recipients, at least one.
    pub(in crate::sink) to: Vec<String>,
    /// The message as received, dots unstuffed.
    pub(in crate::sink) body: Vec<u8>,
    /// What to do with it.
    pub(in crate::sink) verdict: Verdict,
}

/// What becomes of a message at its dot.
#[derive(Debug)]
pub(in crate::sink) enum Verdict {
    Take,
    TakeInSilence,
    TakeSpoilt(Spoil),
    Refuse(Refusal),
}
