//! Seals: the people of a campaign, staged, sliced into the database and flipped (protocol §2).

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;

use super::StoreError;
use crate::domain::address::AddressReason;
use crate::domain::totals::SourceTotals;

/// One person on the way into a seal.
#[derive(Debug, Clone)]
pub struct StagedRow {
    /// Its number; says its chunk.
    pub number: u64,
    /// Its line in the source.
    pub line: u64,
    /// 128-bit salt.
    pub salt: [u8; 16],
    /// Leaf hash.
    pub leaf: [u8; 32],
    /// The canonical row under the campaign's key.
    pub body: Vec<u8>,
    /// SHA-256 of the canonical row under the campaign's key: equal rows are duplicates.
    pub row_digest: [u8; 16],
    /// Keyed digest of the account.
    pub account: [u8; 16],
    /// Keyed digest of the canonical address, where there is one.
    pub address: Option<[u8; 16]>,
    /// Whether the address can be mailed.
    pub address_reason: AddressReason,
    /// Whether a name was refused by its type.
    pub name_refused: bool,
    /// Where this row is a second address of a person: whose.
    pub copy_of: Option<CopyOf>,
}

/// Of whom a row is a second address.
#[derive(Debug, Clone)]
pub struct CopyOf {
    /// The person's row.
    pub number: u64,
    /// How the ledger knows the copy.
    pub person: String,
}

/// How many accounts one address may have until they are told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedLimits {
    /// More than this get one notice.
    pub combine_above: u64,
    /// More than this are held for a person to look at.
    pub worklist_above: u64,
}

/// A row of a group before it is noted how the ledger knows its person.
#[derive(Debug, Clone)]
pub struct Unnamed {
    /// Its number.
    pub number: u64,
    /// Row salt.
    pub salt: [u8; 16],
    /// The canonical row under the campaign's key.
    pub body: Vec<u8>,
}

/// A chunk's place among the lanes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkKey {
    /// `canary`, the name of a cohort, or empty.
    pub cohort: String,
    /// Mailbox provider as of load.
    pub provider: String,
    /// Send zone; empty where windows do not differ.
    pub zone: String,
    /// Whether it holds second addresses.
    pub is_copy: bool,
}

/// A chunk that was filled.
#[derive(Debug, Clone)]
pub struct StagedChunk {
    /// Its number.
    pub number: u64,
    /// Its place.
    pub key: ChunkKey,
}

/// A source row that did not become a person of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// Its line.
    pub line: u64,
    /// The line that was sealed.
    pub of_line: u64,
    /// The number of the person sealed from that line.
    pub of_number: u64,
    /// Other fields than the sealed row: the account is held(conflict).
    pub is_conflict: bool,
}

/// What a finished seal is called and where it came from.
#[derive(Debug, Clone)]
pub struct SealRow {
    /// Row id.
    pub id: i64,
    /// Merkle root over the chunks.
    pub root: [u8; 32],
    /// `csv`, `sqlite`, ….
    pub source_kind: String,
    /// File or database, as configured.
    pub source_name: String,
    /// SHA-256 of what was read.
    pub source_digest: [u8; 32],
    /// When reading began.
    pub as_of: Timestamp,
    /// When the seal was flipped live.
    pub sealed_at: Option<Timestamp>,
    /// The first line of promise 1.
    pub totals: SourceTotals,
    /// Names replaced by the neutral salutation.
    pub names_refused: u64,
    /// Second addresses; no source rows, and outside of all sums of people.
    pub copies: u64,
    /// The rules people were judged, grouped and drawn by, as canonical JSON.
    pub rules: String,
    /// Rows read and left out on purpose before the sums, by the step that left them out.
    pub excluded: BTreeMap<String, u64>,
}

/// What a staging file knows about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedSource {
    /// SHA-256 of what was read.
    pub digest: [u8; 32],
    /// When reading began.
    pub as_of: Timestamp,
    /// Rows read.
    pub rows: u64,
    /// Rows rejected.
    pub rejected: u64,
    /// The rules people were judged by, as canonical JSON.
    pub rules: String,
    /// The machine's boot it was loaded in: the files are not waited for on the disk, and are whole only
    /// as long as the machine runs.
    pub boot: String,
}

/// The facts of a seal that is about to go live.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The campaign's row.
    pub campaign: i64,
    /// `csv`, `sqlite`, ….
    pub source_kind: String,
    /// File or database, as configured.
    pub source_name: String,
    /// Merkle root over the chunks.
    pub root: [u8; 32],
    /// Root of each chunk, by number.
    pub chunk_roots: BTreeMap<u64, [u8; 32]>,
    /// Rows read and left out on purpose, by the step that left them out.
    pub excluded: BTreeMap<String, u64>,
    /// The earlier campaigns it was made of.
    pub readings: Vec<Reading>,
}

/// What a seal read of an earlier campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The earlier campaign's row.
    pub campaign: i64,
    /// `from`, `intersect` or `minus`.
    pub step: &'static str,
    /// The classes meant, as its file names them: `told, in-doubt`.
    pub classes: String,
}

/// What follows the path of a staging area in the names of its files.
pub const STAGING_FILES: [&str; 6] = ["-rows", "-accounts", "-addresses", "-wal", "-shm", ""];

/// A seal under construction: files of its own on SQLite, so that the database's writer stays free.
#[async_trait]
pub trait Staging: Send {
    /// The source this file was fully loaded from, if loading ended.
    async fn loaded(&mut self) -> Result<Option<StagedSource>, StoreError>;

    /// Throws everything away and begins anew.
    async fn restart(&mut self) -> Result<(), StoreError>;

    /// Adds rows in arrival order.
    async fn append(&mut self, rows: Vec<StagedRow>) -> Result<(), StoreError>;

    /// Ends loading: stores chunks and source facts, finds and marks duplicates and conflicts, then
    /// groups the accounts that share an address.
    async fn finish_loading(
        &mut self,
        chunks: Vec<StagedChunk>,
        source: StagedSource,
        limits: SharedLimits,
    ) -> Result<(), StoreError>;

    /// Rows of groups after `after` without a name for the ledger, by number, a page of them.
    async fn unnamed(&mut self, after: u64, limit: u32) -> Result<Vec<Unnamed>, StoreError>;

    /// Keeps how the ledger knows these rows.
    async fn name(&mut self, named: Vec<(u64, String)>) -> Result<(), StoreError>;

    /// Rows that were duplicates or conflicts, by line.
    async fn duplicates(
        &mut self,
        after_line: u64,
        limit: u32,
    ) -> Result<Vec<Duplicate>, StoreError>;

    /// Numbers and leaves of the kept rows of the next chunk behind that of the number `after`, in order;
    /// none at the end.
    async fn leaves(&mut self, after: Option<u64>) -> Result<Vec<(u64, [u8; 32])>, StoreError>;

    /// Counts of the first line of promise 1, and refused names.
    async fn totals(&mut self) -> Result<(SourceTotals, u64), StoreError>;

    /// Counts for the seal's ledger entry: `class/reason` → people, of those who are born into another
    /// class than queued; `address:reason` → people; `copies`, `carried`, `canary`, `names-refused`.
    async fn births(&mut self) -> Result<BTreeMap<String, u64>, StoreError>;

    /// Copies the seal into the database in slices and flips it live with `lines`; `progress` is
    /// called with the rows copied so far. A restart continues where the last slice ended.
    async fn publish(
        &mut self,
        publication: Publication,
        lines: Vec<String>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<SealRow, StoreError>;
}

/// Seals of campaigns.
#[async_trait]
pub trait Seals {
    /// Opens (or creates) the staging area of a campaign at `path`.
    async fn staging(&self, path: &Path) -> Result<Box<dyn Staging>, StoreError>;

    /// The live seal of a campaign.
    async fn live_seal(&self, campaign: i64) -> Result<Option<SealRow>, StoreError>;

    /// Keyed digests of addresses that no campaign (scope empty) or not this one may mail.
    async fn suppressed(&self, campaign: &str) -> Result<Vec<[u8; 16]>, StoreError>;

    /// Numbers of kept people spread evenly over the seal, at most `count`.
    async fn sample_numbers(&self, seal: i64, count: u32) -> Result<Vec<u64>, StoreError>;
}
