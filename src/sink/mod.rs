//! The local SMTP server for demos, rehearsals, benchmarks and crash tests.
//!
//! Owns the listener, the sessions, the Maildir it fills and the faults it plays. It must not know
//! campaigns, notices or deliveries: it is the *other side* of the wire, and what it records
//! (`accepted.log`) is evidence the engine's database is compared with. It listens on loopback
//! only, and no address ever reaches a log line or an error.

mod body;
mod counts;
mod dialogue;
mod fate;
mod fault;
mod fault_text;
mod maildir;
mod reply;
mod session;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use counts::Counts;
pub use fault::{FaultRule, FaultRules};
pub use fault_text::FaultTextError;
pub use maildir::{ACCEPTED_LOG, MaildirError};

use session::Shared;

/// Pause after a failed `accept`, so that a full file table does not spin a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a [`Sink`] listens, keeps mail and fails.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address to listen on: loopback only, port 0 takes a free port.
    pub listen: SocketAddr,
    /// What becomes of accepted mail.
    #[serde(default)]
    pub store: MailStore,
    /// Faults to play; none by default.
    #[serde(default)]
    pub faults: FaultRules,
    /// Seed of the faults: equal seeds give equal fates to equal addresses and attempts.
    #[serde(default)]
    pub seed: u64,
    /// Wait between storing a message and answering its final dot (key `dot_delay_ms`,
    /// milliseconds).
    #[serde(default, rename = "dot_delay_ms", deserialize_with = "milliseconds")]
    pub dot_delay: Duration,
}

impl Settings {
    /// A sink on `listen` that counts mail and never fails.
    pub fn counting(listen: SocketAddr) -> Self {
        Self {
            listen,
            store: MailStore::Count,
            faults: FaultRules::default(),
            seed: 0,
            dot_delay: Duration::ZERO,
        }
    }
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    u64::deserialize(deserializer).map(Duration::from_millis)
}

/// What becomes of accepted mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailStore {
    /// Counted and forgotten; the fastest.
    #[default]
    Count,
    /// Written to this Maildir, one file per recipient, with a line in [`ACCEPTED_LOG`].
    Maildir(PathBuf),
}

/// Why a sink did not start.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The listen address can be reached from outside this machine.
    #[error(
        "the sink takes mail on loopback only and {addr} is not loopback; \
         hint: listen on 127.0.0.1 or [::1]"
    )]
    NotLoopback {
        /// The refused address.
        addr: SocketAddr,
    },
    /// The Maildir could not be opened.
    #[error("the sink cannot open its Maildir")]
    OpenMaildir(#[source] MaildirError),
    /// The operating system refused the address.
    #[error("the sink cannot listen on {addr}; hint: take another port, or 0 for a free one")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

/// A running local SMTP server. Dropping it ends it without waiting for its sessions.
#[derive(Debug)]
pub struct Sink {
    addr: SocketAddr,
    shared: Arc<Shared>,
    sessions: TaskTracker,
    stop: DropGuard,
}

impl Sink {
    /// Opens the store, binds the address and begins to take connections.
    pub async fn start(settings: Settings) -> Result<Self, SinkError> {
        let asked = settings.listen;
        if !asked.ip().to_canonical().is_loopback() {
            return Err(SinkError::NotLoopback { addr: asked });
        }
        let bind = |source| SinkError::Bind { addr: asked, source };
        let shared = Arc::new(Shared::open(settings).map_err(SinkError::OpenMaildir)?);
        let listener = TcpListener::bind(asked).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let stop = CancellationToken::new();
        let sessions = TaskTracker::new();
        sessions.spawn(take_connections(
            listener,
            Arc::clone(&shared),
            sessions.clone(),
            stop.clone(),
        ));
        tracing::info!(%addr, "sink listens");
        Ok(Self { addr, shared, sessions, stop: stop.drop_guard() })
    }

    /// The address it listens on, with the real port.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.shared.tally.counts()
    }

    /// Closes the listener, ends every session and waits for them. A message being stored is
    /// stored to the end; idle clients hear 421.
    pub async fn stop(self) {
        let Self { addr, sessions, stop, shared: _ } = self;
        drop(stop);
        sessions.close();
        sessions.wait().await;
        tracing::info!(%addr, "sink stopped");
    }
}

async fn take_connections(
    listener: TcpListener,
    shared: Arc<Shared>,
    sessions: TaskTracker,
    stop: CancellationToken,
) {
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _peer)) => {
                // A child token: its waiters do not queue on the one lock of the parent.
                sessions.spawn(session::run(stream, Arc::clone(&shared), stop.child_token()));
            }
            Err(error) => {
                tracing::warn!(%error, "sink could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
