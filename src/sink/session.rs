//! One connection: moves octets between socket and dialogue, and acts on whole messages.
//!
//! Knows sockets, stores and counters; SMTP itself is `dialogue`'s.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::counts::Tally;
use super::dialogue::{Dialogue, Message, Step, Verdict};
use super::fate::Fates;
use super::fault::Phase;
use super::maildir::{Maildir, MaildirError};
use super::reply::{GREETING, IDLE, Refusal, STOPPING, say};
use super::{MailStore, Settings};

/// Octets read at once.
const READ_SIZE: usize = 16 * 1024;

/// How long a silent client is kept (RFC 5321 section 4.5.3.2.7).
const IDLE_LIMIT: Duration = Duration::from_mins(5);

/// How long a client that reads no replies is kept; the socket's buffer holds thousands of them.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// What all sessions of a sink have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tally: Arc<Tally>,
    fates: Arc<Fates>,
    store: Option<Arc<Maildir>>,
    dot_delay: Duration,
    ids: QueueIds,
}

impl Shared {
    pub(super) fn open(settings: Settings) -> Result<Self, MaildirError> {
        let store = match &settings.store {
            MailStore::Count => None,
            MailStore::Maildir(root) => Some(Arc::new(Maildir::open(root)?)),
        };
        Ok(Self {
            tally: Arc::default(),
            fates: Arc::new(Fates::new(settings.faults, settings.seed)),
            store,
            dot_delay: settings.dot_delay,
            ids: QueueIds::new(),
        })
    }
}

/// Queue ids: a part of this start, so that a sink started again on the same Maildir repeats
/// none, and a number.
#[derive(Debug)]
struct QueueIds {
    start: u64,
    next: AtomicU64,
}

impl QueueIds {
    fn new() -> Self {
        // Ambient randomness on purpose: an id decides nothing, it must only differ from those
        // of every earlier start, whatever the seed.
        Self { start: rand::random(), next: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        let mut id = String::with_capacity(16);
        push_base36(&mut id, self.start, 9);
        push_base36(&mut id, self.next.fetch_add(1, Ordering::Relaxed), 7);
        id
    }
}

/// Appends the last `places` digits of `number`, so that later ids sort later.
fn push_base36(id: &mut String, number: u64, places: u32) {
    for place in (0..places).rev() {
        let digit = number / 36_u64.pow(place) % 36;
        id.extend(u32::try_from(digit).ok().and_then(|digit| char::from_digit(digit, 36)));
    }
    id.make_ascii_uppercase();
}

/// Serves one connection to its end.
pub(super) async fn run(stream: TcpStream, shared: Arc<Shared>, stop: CancellationToken) {
    shared.tally.connections.one();
    let mut session = Session {
        stream,
        dialogue: Dialogue::new(Arc::clone(&shared.fates), Arc::clone(&shared.tally)),
        shared,
        stop,
        out: GREETING.to_vec(),
    };
    if let Err(error) = session.serve().await {
        tracing::debug!(%error, "sink session broke off");
    }
}

struct Session {
    stream: TcpStream,
    dialogue: Dialogue,
    shared: Arc<Shared>,
    stop: CancellationToken,
    out: Vec<u8>,
}

impl Session {
    async fn serve(&mut self) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        let mut input = Vec::with_capacity(READ_SIZE);
        loop {
            let mut rest = input.as_slice();
            let closing = self.answer(&mut rest).await?;
            let used = input.len() - rest.len();
            input.drain(..used);
            self.flush().await?;
            if closing {
                return self.stream.shutdown().await;
            }
            if !self.read(&mut input).await? {
                return Ok(());
            }
        }
    }

    /// Answers all that `input` holds; the replies gather in `out`. True when the session is to
    /// close.
    async fn answer(&mut self, input: &mut &[u8]) -> io::Result<bool> {
        loop {
            match self.dialogue.advance(input, &mut self.out) {
                Step::Read => return Ok(false),
                Step::Hangup => return Ok(true),
                Step::Cut => {
                    self.shared.tally.dropped_before_dot.one();
                    return Ok(true);
                }
                Step::Message(message) => {
                    if self.settle(message).await? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Reads more; false once the client is gone, silent for too long, or the sink stops.
    async fn read(&mut self, input: &mut Vec<u8>) -> io::Result<bool> {
        input.reserve(READ_SIZE - input.len().min(READ_SIZE / 2));
        let read = tokio::time::timeout(IDLE_LIMIT, self.stream.read_buf(input));
        let farewell = match self.stop.run_until_cancelled(read).await {
            Some(Ok(read)) => return read.map(|octets| octets > 0),
            Some(Err(_elapsed)) => IDLE,
            None => STOPPING,
        };
        // Into the socket's buffer or not at all: a client that does not read cannot hold us.
        let _sent = self.stream.try_write(farewell);
        Ok(false)
    }

    /// Sends all replies in one write. Stopping does not break it off: a message counted as
    /// accepted is answered so.
    async fn flush(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            let write = self.stream.write_all(&self.out);
            tokio::time::timeout(WRITE_LIMIT, write).await??;
            self.out.clear();
        }
        Ok(())
    }

    /// Does with a whole message what its verdict says, and answers its dot. True when the session
    /// is to close.
    async fn settle(&mut self, message: Message) -> io::Result<bool> {
        if let Verdict::Refuse(refusal) = &message.verdict {
            self.wait_at_dot().await?;
            return Ok(self.refuse(refusal));
        }
        let silent = matches!(message.verdict, Verdict::TakeInSilence);
        let (recipients, octets) = (message.to.len(), message.body.len());
        let id = self.shared.ids.next();
        if let Err(error) = self.store(&id, message).await {
            tracing::warn!(%error, queue_id = id, "sink could not store a message");
            return Ok(self.refuse(&Refusal::new(451, "4.3.0 Could not store the message")));
        }
        let shared = &self.shared;
        shared.tally.recipients.add(recipients);
        shared.tally.octets.add(octets);
        if silent {
            shared.tally.dropped_after_dot.one();
            return Ok(true);
        }
        shared.tally.accepted.one();
        self.wait_at_dot().await?;
        say(&mut self.out, &format!("250 2.0.0 Ok: queued as {id}"));
        Ok(false)
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

    fn refuse(&mut self, refusal: &Refusal) -> bool {
        self.shared.tally.refused(Phase::Dot).one();
        say(&mut self.out, refusal.line());
        refusal.closes()
    }

    async fn wait_at_dot(&mut self) -> io::Result<()> {
        if !self.shared.dot_delay.is_zero() {
            // Earlier replies of the group are owed now, not after the wait.
            self.flush().await?;
            let wait = tokio::time::sleep(self.shared.dot_delay);
            self.stop.run_until_cancelled(wait).await;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_ids_are_upper_case_unique_and_sorted() {
        let (first, second) = (QueueIds::new(), QueueIds::new());
        let ids: Vec<String> = (0..2000).map(|_| first.next()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert!(ids.iter().all(|id| {
            id.len() == 16 && id.bytes().all(|o| o.is_ascii_uppercase() || o.is_ascii_digit())
        }));
        assert!(!ids.contains(&second.next()));
    }
}
