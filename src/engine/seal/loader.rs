//! From source rows to staged ones: each gets its number, salt, leaf, ciphertext and digests.

use std::collections::HashMap;

use jiff::Timestamp;

use super::draw::Draw;
use super::rules::{AddressRules, Judged};
use crate::domain::address::AddressReason;
use crate::domain::chunk::{CHUNK_SIZE, numbers_of};
use crate::domain::provider::ProviderTable;
use crate::domain::recipient::Recipient;
use crate::engine::EngineError;
use crate::engine::campaign_file::cohort::{CANARY, Cohorts};
use crate::engine::people::People;
use crate::secret::digest::Sha256Stream;
use crate::secret::keys::Key;
use crate::secret::lookup::{account_digest, address_digest};
use crate::secret::person::{RowSalt, leaf_hash};
use crate::source::{RejectFile, RejectSummary, Row};
use crate::store::seals::{ChunkKey, CopyOf, StagedChunk, StagedRow, StagedSource, Staging};

/// Turns source rows into staged ones: number, salt, leaf, ciphertext, digests.
pub(super) struct Loader<'a> {
    pub(super) people: &'a People,
    pub(super) digest_key: &'a Key,
    pub(super) providers: &'a ProviderTable,
    pub(super) rules: AddressRules<'a>,
    pub(super) cohorts: Cohorts,
    /// Who is in the canary; decided once the source's length can be estimated.
    pub(super) draw: Draw,
    /// The chunk being filled for each place, and how many it holds.
    pub(super) open: HashMap<ChunkKey, (u64, u64)>,
    pub(super) chunks: Vec<StagedChunk>,
    pub(super) rejects: RejectFile,
    pub(super) digest: Sha256Stream,
    pub(super) rows: u64,
    pub(super) rejected: u64,
}

impl Loader<'_> {
    pub(super) fn take(&mut self, batch: Vec<Row>) -> Result<Vec<StagedRow>, EngineError> {
        let mut staged = Vec::with_capacity(batch.len());
        for row in batch {
            self.rows += 1;
            match row {
                Row::Good { line, recipient } => self.stage(line, *recipient, &mut staged),
                Row::Rejected(reject) => {
                    self.rejected += 1;
                    self.rejects.push(&reject)?;
                }
            }
        }
        Ok(staged)
    }

    /// Stages a person and, where there is one, the copy to a second address.
    fn stage(&mut self, line: u64, row: Recipient, staged: &mut Vec<StagedRow>) {
        let Judged { person, copy } = self.rules.judge(row);
        let cohort = self.cohort(&person, copy.is_some());
        let number = self.number(&person, cohort.clone(), false);
        let canonical = person.canonical();
        let copied = copy.as_ref().map(Recipient::canonical);
        // Keyed, so that a stolen staging file gives nobody's row away to a guess; over both rows, since
        // two source rows that differ in the newer address alone differ.
        let whole = copied.as_ref().map(|copied| [&canonical[..], copied].concat());
        let row_digest = self.people.key.seen(whole.as_ref().unwrap_or(&canonical)).truncated();
        staged.push(self.row(line, number, &person, &canonical, row_digest, None));
        if let Some((copy, canonical)) = copy.zip(copied) {
            let place = self.number(&copy, cohort, true);
            staged.push(self.row(line, place, &copy, &canonical, row_digest, Some(number)));
        }
    }

    fn row(
        &self,
        line: u64,
        number: u64,
        recipient: &Recipient,
        canonical: &[u8],
        row_digest: [u8; 16],
        copy_of: Option<u64>,
    ) -> StagedRow {
        let mut rng = rand::rng();
        let salt = RowSalt::random(&mut rng);
        let account = recipient.account.as_str();
        StagedRow {
            number,
            line,
            leaf: *leaf_hash(&salt, canonical).as_bytes(),
            body: self.people.key.seal_blob(&self.people.aad(number), canonical, &mut rng),
            row_digest,
            salt: *salt.as_bytes(),
            account: account_digest(self.digest_key, &self.people.directory, account.as_bytes()),
            address: recipient
                .address
                .as_ref()
                .map(|address| address_digest(self.digest_key, &address.canonical())),
            address_reason: recipient.reason.word().to_owned(),
            name_refused: recipient.name_refused,
            copy_of: copy_of.map(|number| CopyOf {
                number,
                person: self.people.person(*salt.as_bytes(), recipient),
            }),
        }
    }

    /// The canary, for whoever is drawn among those whose notice is the plainest; else the region's.
    fn cohort(&mut self, person: &Recipient, has_copy: bool) -> String {
        let is_plain = person.reason == AddressReason::Ok && !has_copy;
        if is_plain && self.draw.wins(self.people.key.lot(person.account.as_str().as_bytes())) {
            return CANARY.into();
        }
        self.cohorts.lookup(person.region.as_deref()).to_owned()
    }

    /// The next number of the chunk this row belongs to.
    fn number(&mut self, recipient: &Recipient, cohort: String, is_copy: bool) -> u64 {
        let domain = recipient.address.as_ref().map_or("", |address| address.domain());
        let provider = self.providers.lookup(domain).as_str().to_owned();
        let key = ChunkKey { cohort, provider, zone: String::new(), is_copy };
        let next_chunk = self.chunks.len() as u64 + 1;
        let slot = self.open.entry(key.clone()).or_insert((0, CHUNK_SIZE));
        if slot.1 == CHUNK_SIZE {
            *slot = (next_chunk, 0);
            self.chunks.push(StagedChunk { number: next_chunk, key });
        }
        let number = numbers_of(slot.0).0 + slot.1;
        slot.1 += 1;
        number
    }

    pub(super) async fn finish(
        self,
        staging: &mut dyn Staging,
        as_of: Timestamp,
    ) -> Result<RejectSummary, EngineError> {
        let source = StagedSource {
            digest: *self.digest.finish().as_bytes(),
            as_of,
            rows: self.rows,
            rejected: self.rejected,
            rules: self.rules.provenance,
        };
        staging.finish_loading(self.chunks, source, self.rules.limits).await?;
        Ok(self.rejects.finish()?)
    }
}
