//! Plans: snapshots with their content-addressed bytes, and the signatures over them.

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::domain::{snapshot::Snapshot, track::Track, wave::WavePlan};

/// A stored snapshot.
#[derive(Debug, Clone)]
pub struct SnapshotRow {
    /// SHA-256 over its sorted (name, SHA-256) list.
    pub digest: [u8; 32],
    /// The list.
    pub snapshot: Snapshot,
    /// When it was planned.
    pub planned_at: Timestamp,
}

/// A signature over a snapshot and the seal root.
#[derive(Debug, Clone)]
pub struct ApprovalRow {
    /// Which track.
    pub track: Track,
    /// The snapshot signed.
    pub snapshot: [u8; 32],
    /// Who signed.
    pub operator_id: i64,
    /// The exact bytes signed.
    pub statement: Vec<u8>,
    /// Ed25519.
    pub signature: [u8; 64],
    /// When.
    pub signed_at: Timestamp,
}

/// Snapshots and approvals.
#[async_trait]
pub trait Plans {
    /// Stores a snapshot and the bytes it names (each under its SHA-256).
    async fn store_snapshot(
        &self,
        campaign: i64,
        track: Track,
        row: SnapshotRow,
        blobs: Vec<([u8; 32], Vec<u8>)>,
        lines: Vec<String>,
    ) -> Result<(), StoreError>;

    /// The snapshot planned last.
    async fn latest_snapshot(
        &self,
        campaign: i64,
        track: Track,
    ) -> Result<Option<SnapshotRow>, StoreError>;

    /// A snapshot by digest.
    async fn snapshot(&self, digest: [u8; 32]) -> Result<Option<SnapshotRow>, StoreError>;

    /// The bytes stored under a digest, unchecked: the caller hashes them again.
    async fn blob(&self, digest: [u8; 32]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The signatures over a snapshot, in order.
    async fn approvals(
        &self,
        campaign: i64,
        track: Track,
        snapshot: [u8; 32],
    ) -> Result<Vec<ApprovalRow>, StoreError>;

    /// Adds a signature; with `settles`, the track becomes approved in the same transaction, and with
    /// `waves` the chunks go into theirs.
    ///
    /// Errors: `Conflict` where the snapshot has other than `beside` signatures by now: whether this one
    /// settles the track was judged without them.
    async fn add_approval(
        &self,
        campaign: i64,
        approval: ApprovalRow,
        beside: usize,
        settles: bool,
        waves: Option<WavePlan>,
        lines: Vec<String>,
    ) -> Result<(), StoreError>;
}
