//! From source rows to staged ones: each gets its number, salt, leaf, ciphertext and digests.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::domain::chunk::{CHUNK_SIZE, numbers_of};
use crate::domain::provider::ProviderTable;
use crate::domain::recipient::Recipient;
use crate::engine::EngineError;
use crate::engine::people::People;
use crate::secret::digest::Sha256Stream;
use crate::secret::keys::Key;
use crate::secret::lookup::{account_digest, address_digest};
use crate::secret::person::{RowSalt, leaf_hash};
use crate::source::{RejectFile, RejectSummary, Row};
use crate::store::seals::{ChunkKey, StagedChunk, StagedRow, StagedSource, Staging};

/// Turns source rows into staged ones: number, salt, leaf, ciphertext, digests.
pub(super) struct Loader<'a> {
    pub(super) people: &'a People,
    pub(super) digest_key: &'a Key,
    pub(super) providers: &'a ProviderTable,
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
                Row::Good { line, recipient } => staged.push(self.stage(line, &recipient)),
                Row::Rejected(reject) => {
                    self.rejected += 1;
                    self.rejects.push(&reject)?;
                }
            }
        }
        Ok(staged)
    }

    fn stage(&mut self, line: u64, recipient: &Recipient) -> StagedRow {
        let number = self.number(recipient);
        let canonical = recipient.canonical();
        let mut rng = rand::rng();
        let salt = RowSalt::random(&mut rng);
        let account = recipient.account.as_str();
        StagedRow {
            number,
            line,
            leaf: *leaf_hash(&salt, &canonical).as_bytes(),
            body: self.people.key.seal_blob(&self.people.aad(number), &canonical, &mut rng),
            // keyed, so that a stolen staging file gives nobody's row away to a guess
            row_digest: self.people.key.seen(&canonical).truncated(),
            salt: *salt.as_bytes(),
            account: account_digest(self.digest_key, &self.people.directory, account.as_bytes()),
            address: recipient
                .address
                .as_ref()
                .map(|address| address_digest(self.digest_key, &address.canonical())),
            address_reason: recipient.reason.word().to_owned(),
            name_refused: recipient.name_refused,
        }
    }

    /// The next number of the chunk this recipient belongs to.
    fn number(&mut self, recipient: &Recipient) -> u64 {
        let domain = recipient.address.as_ref().map_or("", |address| address.domain());
        let key = ChunkKey {
            cohort: String::new(),
            provider: self.providers.lookup(domain).as_str().to_owned(),
            zone: String::new(),
        };
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
        };
        staging.finish_loading(self.chunks, source).await?;
        Ok(self.rejects.finish()?)
    }
}
