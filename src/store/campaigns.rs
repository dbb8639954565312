//! Campaigns: identity, tracks, the control row that workers poll, and this database's own identity.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use super::{LedgerMark, StoreError};
use crate::domain::track::{
    ContainmentPause, ContainmentState, Environment, NoticeState, PauseCause,
};

/// Who this database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseIdentity {
    /// Drawn once when the database was made.
    pub database_id: Uuid,
    /// Drawn anew by `campaign recover`.
    pub incarnation: u64,
}

/// A key this database was written under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// `data`, `digest`, …
    pub purpose: String,
    /// The key's id.
    pub id: String,
    /// Its fingerprint.
    pub fingerprint: String,
}

/// A campaign to be created (at its first seal).
#[derive(Debug, Clone)]
pub struct NewCampaign {
    /// Its identity in derivations, digests and the ledger.
    pub uuid: Uuid,
    /// The name of its file.
    pub name: String,
    /// The incident's slug.
    pub incident: String,
    /// The directory that scopes account references.
    pub directory: String,
    /// Which world it may touch.
    pub environment: Environment,
    /// Its own key, wrapped by the data key.
    pub wrapped_key: Vec<u8>,
    /// Ids of the keys it is bound to, by purpose.
    pub key_ids: BTreeMap<String, String>,
    /// When.
    pub created_at: Timestamp,
}

/// A campaign as stored.
#[derive(Debug, Clone)]
pub struct CampaignRow {
    /// Row id, the key of every table.
    pub id: i64,
    /// Its identity in derivations, digests and the ledger.
    pub uuid: Uuid,
    /// The name of its file.
    pub name: String,
    /// The incident's slug.
    pub incident: String,
    /// The directory that scopes account references.
    pub directory: String,
    /// Which world it may touch.
    pub environment: Environment,
    /// Its own key, wrapped; `None` = erased.
    pub wrapped_key: Option<Vec<u8>>,
    /// The live seal.
    pub seal_id: Option<i64>,
    /// The tracks.
    pub control: Control,
    /// Approved containment snapshot.
    pub containment_digest: Option<[u8; 32]>,
    /// Approved notice snapshot.
    pub notice_digest: Option<[u8; 32]>,
}

/// The control row: what a worker polls before each permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// Where containment stands.
    pub containment: ContainmentState,
    /// Why containment is paused, if it is.
    pub containment_cause: Option<ContainmentPause>,
    /// What it came to before, in words for the operator.
    pub containment_note: Option<String>,
    /// Where the notice stands.
    pub notice: NoticeState,
    /// Why it is paused, if it is.
    pub pause_cause: Option<PauseCause>,
    /// In words for the operator.
    pub pause_note: Option<String>,
}

/// A move of the notice track.
#[derive(Debug, Clone)]
pub struct NoticeMove {
    /// States it may leave.
    pub from: Vec<NoticeState>,
    /// State it enters.
    pub to: NoticeState,
    /// Why it pauses, where it does.
    pub cause: Option<PauseCause>,
    /// In words for the operator.
    pub note: Option<String>,
}

/// Campaigns and the database's own identity.
#[async_trait]
pub trait Campaigns {
    /// Who this database is.
    async fn identity(&self) -> Result<DatabaseIdentity, StoreError>;

    /// The keys this database was written under.
    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError>;

    /// Notes the keys of a new workspace.
    async fn add_keys(&self, keys: Vec<KeyRow>, at: Timestamp) -> Result<(), StoreError>;

    /// The newest ledger batch.
    async fn ledger_head(&self) -> Result<Option<LedgerMark>, StoreError>;

    /// The SHA-256 of one batch.
    async fn ledger_batch(&self, id: i64) -> Result<Option<[u8; 32]>, StoreError>;

    /// All entries in batch order, one line each.
    async fn ledger_lines(&self, after: i64, limit: u32) -> Result<Vec<(i64, String)>, StoreError>;

    /// Creates a campaign and returns its row id.
    async fn create_campaign(&self, new: NewCampaign) -> Result<i64, StoreError>;

    /// A campaign by name.
    async fn campaign(&self, name: &str) -> Result<Option<CampaignRow>, StoreError>;

    /// All campaigns, oldest first.
    async fn campaigns(&self) -> Result<Vec<CampaignRow>, StoreError>;

    /// The control row.
    async fn control(&self, campaign: i64) -> Result<Control, StoreError>;

    /// Moves the containment track if it stands in one of `from`; tells whether it did. For pauses see
    /// [`super::Containments::pause_containment`].
    async fn move_containment(
        &self,
        campaign: i64,
        from: &[ContainmentState],
        to: ContainmentState,
        lines: Vec<String>,
    ) -> Result<bool, StoreError>;

    /// Moves the notice track if it stands in one of `from`; tells whether it did.
    async fn move_notice(
        &self,
        campaign: i64,
        change: NoticeMove,
        lines: Vec<String>,
    ) -> Result<bool, StoreError>;

    /// Appends ledger lines that belong to no other change.
    async fn append_ledger(&self, lines: Vec<String>) -> Result<(), StoreError>;
}
