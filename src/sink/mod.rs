//! The local SMTP server for demos, rehearsals, benchmarks and crash tests.
//!
//! Owns the listener, the sessions, the Maildir it fills, the certificates it makes and the faults it
//! plays. It must not know
//! campaigns, notices or deliveries: it is the *other side* of the wire, and what it records
//! (`accepted.log`, `--record`) is evidence the engine's database is compared with. It listens on loopback
//! only, and no address ever reaches a log line or an error.

mod auth;
mod body;
pub mod certificate;
mod channel;
mod conduct;
mod counts;
mod dialogue;
mod fate;
mod fault;
mod fault_error;
mod fault_options;
mod fault_text;
mod greylist;
mod maildir;
mod message_id;
mod offer;
mod pattern;
mod phase;
mod queue_id;
mod record;
mod replies;
mod reply;
mod script;
mod session;
mod setting;
mod settings;
mod shared;
mod span;
mod spoil;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use auth::{AuthSettings, Mechanism, Secret};
pub use certificate::{Authority, CertificateError, CertificateKind, Certificates};
pub use counts::Counts;
pub use fault::{FaultRule, FaultRules};
pub use fault_error::FaultTextError;
pub use greylist::GreylistSettings;
pub use maildir::{ACCEPTED_LOG, MaildirError};
pub use offer::{EhloForm, Extension};
pub use record::RecordError;
pub use script::{ReplyScript, ScriptError};
pub use setting::SettingError;
pub use settings::{ConnectionLimit, MailStore, Settings};
pub use tls::{CertificateSource, TlsError, TlsMode, TlsSettings};

use shared::Shared;

/// Pause after a failed `accept`, so that a full file table does not spin a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    /// The record of what is taken could not be opened.
    #[error("the sink cannot keep its record")]
    OpenRecord(#[source] RecordError),
    /// A setting cannot be kept.
    #[error("the sink cannot do what it is set to")]
    Setting(#[from] SettingError),
    /// A fault could never strike.
    #[error("the sink has a fault for {phase} that can never strike; hint: {hint}")]
    IdleFault {
        /// The phase of the fault.
        phase: &'static str,
        /// What to set besides.
        hint: &'static str,
    },
    /// The script of replies cannot be taken.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// TLS was asked for and cannot be spoken.
    #[error("the sink cannot speak TLS")]
    Tls(#[from] TlsError),
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
        let shared = Arc::new(Shared::open(settings)?);
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

    /// The certificate its clients must trust, as PEM; none without TLS, or with a certificate that
    /// was read from files.
    pub fn authority_pem(&self) -> Option<&str> {
        self.shared.tls.as_ref()?.authority_pem.as_deref()
    }

    /// What has happened so far.
    pub fn counts(&self) -> Counts {
        self.shared.conduct.tally.counts()
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
