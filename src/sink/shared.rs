//! What all sessions of one sink have in common: its conduct, its store, its seats.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::SinkError;
use super::conduct::Conduct;
use super::maildir::Maildir;
use super::queue_id::QueueIds;
use super::record::Record;
use super::settings::{ConnectionLimit, MailStore, Settings};
use super::tls::{TlsMode, TlsSide};

/// What all sessions of a sink have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) conduct: Arc<Conduct>,
    pub(super) tls: Option<TlsSide>,
    pub(super) implicit_tls: bool,
    pub(super) store: Option<Arc<Maildir>>,
    pub(super) record: Option<Record>,
    pub(super) dot_delay: Duration,
    pub(super) slow: Duration,
    pub(super) bytewise: bool,
    limit: Option<ConnectionLimit>,
    open: AtomicUsize,
    pub(super) ids: QueueIds,
}

impl Shared {
    pub(super) fn open(settings: Settings) -> Result<Self, SinkError> {
        let conduct = Arc::new(Conduct::new(&settings)?);
        let store = match &settings.store {
            MailStore::Count => None,
            MailStore::Maildir(root) => {
                Some(Arc::new(Maildir::open(root).map_err(SinkError::OpenMaildir)?))
            }
        };
        let record = settings.record.as_deref().map(Record::open).transpose();
        let record = record.map_err(SinkError::OpenRecord)?;
        let tls = match settings.tls.mode {
            TlsMode::None => None,
            TlsMode::Starttls | TlsMode::Implicit => Some(TlsSide::open(settings.tls.certificate)?),
        };
        Ok(Self {
            conduct,
            tls,
            implicit_tls: settings.tls.mode == TlsMode::Implicit,
            store,
            record,
            dot_delay: settings.dot_delay,
            slow: settings.slow,
            bytewise: settings.bytewise,
            limit: settings.max_connections,
            open: AtomicUsize::new(0),
            ids: QueueIds::new(),
        })
    }
}

/// Counts one open connection for as long as it lives.
pub(super) struct Seat(Arc<Shared>);

impl Seat {
    /// Takes a seat; the limit it breaks, if any.
    pub(super) fn take(shared: &Arc<Shared>) -> (Self, Option<ConnectionLimit>) {
        let before = shared.open.fetch_add(1, Ordering::Relaxed);
        (Self(Arc::clone(shared)), shared.limit.filter(|limit| before >= limit.most))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
