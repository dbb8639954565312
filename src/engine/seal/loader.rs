//! From source rows to places: each is judged, and gets its chunk and its number.

use std::collections::HashMap;

use jiff::Timestamp;

use super::draw::Draw;
use super::rules::{AddressRules, Judged};
use super::sealer::Placed;
use crate::domain::address::AddressReason;
use crate::domain::chunk::{CHUNK_SIZE, numbers_of};
use crate::domain::provider::ProviderTable;
use crate::domain::recipient::Recipient;
use crate::engine::EngineError;
use crate::engine::campaign_file::cohort::{CANARY, Cohorts};
use crate::engine::people::People;
use crate::journal;
use crate::secret::digest::Sha256Stream;
use crate::source::{RejectFile, RejectSummary, Row};
use crate::store::seals::{ChunkKey, StagedChunk, StagedSource, Staging};

/// Gives source rows their places: in which chunk, under which number, what of them is a copy.
pub(super) struct Loader<'a> {
    pub(super) people: &'a People,
    pub(super) providers: &'a ProviderTable,
    pub(super) rules: AddressRules<'a>,
    pub(super) cohorts: Cohorts,
    /// Who is in the canary; decided once the source's length can be estimated.
    pub(super) draw: Draw,
    /// By cohort and provider, for people and for copies: the chunk being filled, and how many it holds.
    pub(super) open: HashMap<String, HashMap<String, [(u64, u64); 2]>>,
    pub(super) chunks: Vec<StagedChunk>,
    pub(super) rejects: RejectFile,
    pub(super) digest: Sha256Stream,
    pub(super) rows: u64,
    pub(super) rejected: u64,
}

impl Loader<'_> {
    pub(super) fn take(&mut self, batch: Vec<Row>) -> Result<Vec<Placed>, EngineError> {
        let mut placed = Vec::with_capacity(batch.len());
        for row in batch {
            self.rows += 1;
            match row {
                Row::Good { line, recipient } => placed.push(self.place(line, recipient)),
                Row::Rejected(reject) => {
                    self.rejected += 1;
                    self.rejects.push(&reject)?;
                }
            }
        }
        Ok(placed)
    }

    /// Places a person and, where there is one, the copy to a second address.
    fn place(&mut self, line: u64, row: Box<Recipient>) -> Placed {
        let Judged { person, copy } = self.rules.judge(row);
        let cohort = self.cohort(&person, copy.is_some());
        let number = self.number(&person, &cohort, false);
        let copy = copy.map(|copy| (self.number(&copy, &cohort, true), copy));
        Placed { line, number, person, copy }
    }

    /// The canary, for whoever is drawn among those whose notice is the plainest; else the region's.
    fn cohort(&mut self, person: &Recipient, has_copy: bool) -> String {
        let is_plain = person.reason == AddressReason::Ok && !has_copy;
        // a lot is only drawn while there is a place to win
        if is_plain && self.draw.is_open() {
            let lot = self.people.key.lot(person.account.as_str().as_bytes());
            if self.draw.wins(lot) {
                return CANARY.into();
            }
        }
        self.cohorts.lookup(person.region.as_deref()).to_owned()
    }

    /// The next number of the chunk this row belongs to.
    fn number(&mut self, recipient: &Recipient, cohort: &str, is_copy: bool) -> u64 {
        let domain = recipient.address.as_ref().map_or("", |address| address.domain());
        let provider = self.providers.lookup(domain).as_str();
        let known = self.open.get_mut(cohort).and_then(|open| open.get_mut(provider));
        let slots = if let Some(slots) = known {
            slots
        } else {
            let open = self.open.entry(cohort.to_owned()).or_default();
            open.entry(provider.to_owned()).or_insert([(0, CHUNK_SIZE); 2])
        };
        let (chunk, filled) = &mut slots[usize::from(is_copy)];
        if *filled == CHUNK_SIZE {
            (*chunk, *filled) = (self.chunks.len() as u64 + 1, 0);
            let (cohort, provider) = (cohort.to_owned(), provider.to_owned());
            let key = ChunkKey { cohort, provider, zone: String::new(), is_copy };
            self.chunks.push(StagedChunk { number: *chunk, key });
        }
        let number = numbers_of(*chunk).0 + *filled;
        *filled += 1;
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
            boot: boot()?,
        };
        staging.finish_loading(self.chunks, source, self.rules.limits).await?;
        Ok(self.rejects.finish()?)
    }
}

/// The machine's boot, in which a staging file is believed.
pub(super) fn boot() -> Result<String, EngineError> {
    journal::boot_id()
        .map(|boot| boot.to_string())
        .map_err(|error| EngineError::refused(error.to_string()))
}
