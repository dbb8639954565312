//! L2: use cases. Each is one file, named by its verb or noun; knows L1 through its traits and types.

pub mod acts;
pub mod amend;
pub mod approve;
pub mod approved;
pub mod audience;
pub mod breaker;
pub mod campaign_file;
pub mod canary;
pub mod cancel;
pub mod census;
pub mod close;
mod errand;
pub mod error;
pub mod forecast;
pub mod founding;
pub mod gates;
pub mod journals;
pub mod launch;
pub mod link;
pub mod locale;
pub mod notice;
pub mod notify;
pub mod operators;
pub mod pace;
pub mod people;
pub mod plan;
pub mod portal;
pub mod preview;
pub mod progress;
pub mod relay;
pub mod report;
pub mod resolve;
pub mod rewind;
pub mod samples;
pub mod seal;
pub mod secure;
pub mod support;
pub mod tracks;
pub mod wall;
pub mod waves;
pub mod whom;
pub mod worklist;
pub mod workspace;

use std::sync::Arc;

pub use error::EngineError;
pub use workspace::Workspace;

use crate::domain::address::EmailAddress;
use crate::domain::clock::Clock;
use crate::domain::provider::ProviderTable;
use crate::domain::reply::ReplyRules;
use crate::journal::HighWaterKeeper;
use crate::mail::settings::RelaySettings;
use crate::secret::keyring::Keyring;
use crate::store;

/// What a worker may use of its machine.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerSettings {
    /// Intents without a committed outcome, at most (protocol §5: W).
    pub window: usize,
    /// How long a lease holds unless renewed.
    pub lease_for: std::time::Duration,
}

/// The handles every use case needs.
#[derive(Clone)]
pub struct Engine {
    /// The database.
    pub store: store::Handle,
    /// The workspace's keys.
    pub keys: Arc<Keyring>,
    /// Where the current instant comes from.
    pub clock: Arc<dyn Clock>,
    /// The folder everything lies in.
    pub workspace: Workspace,
    /// The relay that notices are handed to.
    pub relay: RelaySettings,
    /// Mailbox providers and their limits.
    pub providers: Arc<ProviderTable>,
    /// What replies mean.
    pub replies: Arc<ReplyRules>,
    /// What a worker may use.
    pub worker: WorkerSettings,
    /// The operators' own addresses: the only ones tests of a notice go to.
    pub test_addresses: Arc<[EmailAddress]>,
    /// The largest ledger batch this host saw.
    pub high_water: Arc<HighWaterKeeper>,
    /// Templates that ship with the program, by name, for those a workspace does not override.
    pub shipped_templates: &'static [(&'static str, &'static str)],
    /// The notice that was compiled last.
    pub last_notice: Arc<notice::LastNotice>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("workspace", &self.workspace).finish_non_exhaustive()
    }
}
