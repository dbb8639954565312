//! One connection: moves octets between channel and dialogue, and acts on whole messages.
//!
//! Knows channels, stores and counters; SMTP itself is `dialogue`'s.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::channel::Channel;
use super::dialogue::{Dialogue, Message, Step, Verdict};
use super::fault::Handshake;
use super::phase::Phase;
use super::record::{Kept, Left};
use super::replies::Replies;
use super::reply::{IDLE, Refusal, STOPPING};
use super::settings::ConnectionLimit;
use super::shared::{Seat, Shared};
use super::spoil::Spoil;

/// Octets read at once.
const READ_SIZE: usize = 16 * 1024;

/// How long a silent client is kept (RFC 5321 section 4.5.3.2.7).
const IDLE_LIMIT: Duration = Duration::from_mins(5);

/// Serves one connection to its end.
pub(super) async fn run(stream: TcpStream, shared: Arc<Shared>, stop: CancellationToken) {
    let number = shared.conduct.tally.connections.one();
    let (_seat, broken) = Seat::take(&shared);
    let mut session = Session {
        dialogue: Dialogue::new(Arc::clone(&shared.conduct), number),
        number,
        ended_by_us: false,
        out: Replies::new(shared.slow),
        channel: Channel::Clear(stream),
        shared,
        stop,
    };
    let served = session.serve(broken).await;
    session.note_cut();
    if let Err(error) = served {
        tracing::debug!(%error, "sink session broke off");
    }
}

struct Session {
    channel: Channel,
    dialogue: Dialogue,
    /// The connection's number at this sink, from 0.
    number: u64,
    /// A fault or a limit closed the connection, not its client.
    ended_by_us: bool,
    shared: Arc<Shared>,
    stop: CancellationToken,
    out: Replies,
}

impl Session {
    async fn serve(&mut self, broken: Option<ConnectionLimit>) -> io::Result<()> {
        if let Channel::Clear(stream) = &self.channel {
            stream.set_nodelay(true)?;
        }
        if !self.open(broken).await? {
            return Ok(());
        }
        let mut input = Vec::with_capacity(READ_SIZE);
        loop {
            self.flush().await?;
            if !self.read(&mut input).await? {
                return Ok(());
            }
            let mut rest = input.as_slice();
            let goes_on = self.answer(&mut rest).await?;
            let used = input.len() - rest.len();
            input.drain(..used);
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// All before the first command. False when the session has ended.
    async fn open(&mut self, broken: Option<ConnectionLimit>) -> io::Result<bool> {
        if broken.is_some() {
            self.shared.conduct.tally.connections_refused.one();
        }
        if broken.is_some_and(|limit| limit.cut) {
            return self.follow(Step::Cut, &mut &[][..]).await;
        }
        if self.shared.implicit_tls {
            let step = self.dialogue.opening_handshake();
            if !self.follow(step, &mut &[][..]).await? {
                return Ok(false);
            }
        }
        let step = self.dialogue.greet(broken.is_some(), &mut self.out);
        self.follow(step, &mut &[][..]).await
    }

    /// Answers all that `input` holds; the replies gather in `out`. False when the session has
    /// ended.
    async fn answer(&mut self, input: &mut &[u8]) -> io::Result<bool> {
        loop {
            let step = match self.dialogue.advance(input, &mut self.out) {
                Step::Read => return Ok(true),
                Step::Message(message) => self.settle(message).await?,
                other => other,
            };
            if !self.follow(step, input).await? {
                return Ok(false);
            }
        }
    }

    /// Does what the dialogue asks for. False when the session has ended.
    async fn follow(&mut self, step: Step, input: &mut &[u8]) -> io::Result<bool> {
        match step {
            Step::Read | Step::Message(_) => return Ok(true),
            Step::Hangup => {
                self.ended_by_us = true;
                self.flush().await?;
                self.channel.close().await?;
            }
            Step::Cut => {
                self.ended_by_us = true;
                self.flush().await?;
                self.channel.cut().await?;
            }
            Step::Silence => {
                self.ended_by_us = true;
                self.flush().await?;
                self.listen_in_silence().await?;
            }
            Step::StartTls(how) => {
                self.flush().await?;
                if !input.is_empty() {
                    // Clear text behind STARTTLS must not be read as if it came under TLS
                    // (RFC 3207 section 4.2 and CVE-2011-0411).
                    self.shared.conduct.tally.protocol_errors.one();
                    *input = &[];
                }
                return self.secure(how).await;
            }
        }
        Ok(false)
    }

    /// Plays a handshake. False when the session has ended.
    async fn secure(&mut self, how: Handshake) -> io::Result<bool> {
        let (Some(side), Some(stream)) = (&self.shared.tls, self.channel.take_clear()) else {
            return Ok(false);
        };
        let tally = &self.shared.conduct.tally;
        match self.stop.run_until_cancelled(side.shake(stream, how)).await {
            Some(Ok(Some(stream))) => {
                tally.tls_sessions.one();
                self.channel = Channel::Secure(Box::new(stream));
                self.dialogue.secured();
                return Ok(true);
            }
            Some(Err(error)) => {
                tally.tls_failures.one();
                tracing::debug!(%error, "sink handshake broke off");
            }
            Some(Ok(None)) | None => {
                tally.tls_failures.one();
            }
        }
        Ok(false)
    }

    /// Hears all and says nothing, until the client goes or the sink stops.
    async fn listen_in_silence(&mut self) -> io::Result<()> {
        let mut heard = Vec::with_capacity(READ_SIZE);
        while let Some(read) = self.stop.run_until_cancelled(self.channel.read(&mut heard)).await {
            if read? == 0 {
                break;
            }
            heard.clear();
        }
        Ok(())
    }

    /// Reads more; false once the client is gone, silent for too long, or the sink stops.
    async fn read(&mut self, input: &mut Vec<u8>) -> io::Result<bool> {
        input.reserve(READ_SIZE - input.len().min(READ_SIZE / 2));
        let read = tokio::time::timeout(IDLE_LIMIT, self.channel.read(input));
        let farewell = match self.stop.run_until_cancelled(read).await {
            Some(Ok(read)) => return read.map(|octets| octets > 0),
            Some(Err(_elapsed)) => IDLE,
            None => STOPPING,
        };
        self.channel.farewell(farewell);
        Ok(false)
    }

    /// Sends all replies, in one write unless a fault asks for another way. Stopping does not break
    /// it off: a message counted as accepted is answered so.
    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        self.channel.send(&mut self.out, self.shared.bytewise, &self.stop).await
    }

    /// Does with a whole message what its verdict says, and answers its dot.
    async fn settle(&mut self, message: Message) -> io::Result<Step> {
        let first = message.to.first().cloned().unwrap_or_default();
        if let Verdict::Refuse(refusal) = &message.verdict {
            self.wait_at_dot(&first).await?;
            return Ok(self.refuse(refusal));
        }
        let (silent, spoil) = match &message.verdict {
            Verdict::TakeInSilence => (true, None),
            Verdict::TakeSpoilt(spoil) => (false, Some(spoil.clone())),
            Verdict::Take | Verdict::Refuse(_) => (false, None),
        };
        let (recipients, octets) = (message.to.len(), message.body.len());
        let id = self.shared.ids.next();
        let kept = self.shared.record.as_ref().map(|_| Kept::of(&message));
        let stored = self.store(&id, message).await;
        if let Err(error) = stored.and_then(|()| self.keep(kept)) {
            tracing::warn!(%error, queue_id = id, "sink could not store a message");
            return Ok(self.refuse(&Refusal::new(451, "4.3.0 Could not store the message")));
        }
        let tally = &self.shared.conduct.tally;
        tally.recipients.add(recipients);
        tally.octets.add(octets);
        if silent {
            tally.dropped_after_dot.one();
            return Ok(Step::Cut);
        }
        tally.accepted.one();
        self.wait_at_dot(&first).await?;
        let from = self.out.len();
        self.out.say(&format!("250 2.0.0 Ok: queued as {id}"));
        Ok(self.spoil(spoil.as_ref(), from))
    }

    fn spoil(&mut self, spoil: Option<&Spoil>, from: usize) -> Step {
        let Some(spoil) = spoil else {
            return Step::Read;
        };
        self.shared.conduct.tally.spoilt.one();
        if spoil.apply(&mut self.out, from) { Step::Cut } else { Step::Read }
    }

    async fn store(&self, id: &str, message: Message) -> io::Result<()> {
        let Some(maildir) = &self.shared.store else {
            return Ok(());
        };
        let (maildir, id) = (Arc::clone(maildir), id.to_owned());
        tokio::task::spawn_blocking(move || maildir.store(&id, &message))
            .await
            .map_err(io::Error::other)?
    }

    fn refuse(&mut self, refusal: &Refusal) -> Step {
        self.shared.conduct.tally.refused(Phase::Dot).one();
        self.out.say(refusal.text());
        if refusal.closes() { Step::Hangup } else { Step::Read }
    }

    /// A client that goes before its answer leaves its transaction open.
    async fn wait_at_dot(&mut self, first: &str) -> io::Result<()> {
        if self.shared.dot_delay.is_zero() {
            if self.channel.gone().now_or_never().is_some() {
                self.note(Some(first), Left::AtReply);
            }
            return Ok(());
        }
        // Earlier replies of the group are owed now, not after the wait.
        self.flush().await?;
        let wait = tokio::time::sleep(self.shared.dot_delay);
        tokio::pin!(wait);
        let gone = tokio::select! {
            () = self.stop.cancelled() => false,
            () = &mut wait => false,
            () = self.channel.gone() => true,
        };
        if gone {
            self.note(Some(first), Left::AtReply);
            self.stop.run_until_cancelled(wait).await;
        }
        Ok(())
    }

    /// Records who was taken; before the dot is answered.
    fn keep(&self, kept: Option<Kept>) -> io::Result<()> {
        match (&self.shared.record, kept) {
            (Some(record), Some(kept)) => record.accepted(self.number, &kept),
            _ => Ok(()),
        }
    }

    /// Records a transaction that its client has left open.
    fn note_cut(&self) {
        if self.ended_by_us || self.stop.is_cancelled() {
            return;
        }
        if let Some((first, in_body)) = self.dialogue.begun() {
            self.note(first, if in_body { Left::InBody } else { Left::BeforeBody });
        }
    }

    fn note(&self, first: Option<&str>, left: Left) {
        let Some(record) = &self.shared.record else { return };
        if let Err(error) = record.cut(self.number, first, left) {
            tracing::warn!(%error, "sink could not record a transaction that was left open");
        }
    }
}
