//! Loading a source into a staging file. One batch is read and placed while others are sealed on threads of
//! their own; they are staged in the order of the source.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::draw::{Draw, estimate};
use super::loader::{Loader, boot};
use super::rules::AddressRules;
use super::sealer::Sealer;
use super::unit_of;
use crate::engine::campaign_file::CampaignFile;
use crate::engine::campaign_file::cohort::Cohorts;
use crate::engine::people::People;
use crate::engine::progress::Progress;
use crate::engine::{Engine, EngineError};
use crate::secret::digest::{Digest, Sha256Stream};
use crate::source::{RejectSummary, Row, Source};
use crate::store::seals::{StagedRow, Staging};

/// Rows read, encrypted and staged at a time.
const BATCH: usize = 1_000;
/// Batches that may be sealed while the next is read.
const AHEAD: usize = 2;

/// What a source is loaded for, and how its people are judged.
pub(in crate::engine) struct Loading<'a> {
    pub(in crate::engine) name: &'a str,
    pub(in crate::engine) file: &'a CampaignFile,
    pub(in crate::engine) people: &'a People,
    pub(in crate::engine) rules: AddressRules<'a>,
    pub(in crate::engine) as_of: Timestamp,
}

impl Engine {
    pub(super) async fn load(
        &self,
        name: &str,
        file: &CampaignFile,
        people: &People,
        staging: &mut dyn Staging,
        progress: &dyn Progress,
    ) -> Result<(RejectSummary, Box<dyn Source>), EngineError> {
        // what earlier campaigns take out changes while the source does not: it is read anew
        let may_go_on = file.audience.minus.is_empty() && file.audience.intersect.is_empty();
        let as_of = self.clock.now();
        let rules = self.address_rules(name, file, as_of).await?;
        let loaded = staging.loaded().await?.filter(|_| may_go_on);
        let boot = boot()?;
        if loaded.as_ref().is_some_and(|loaded| loaded.boot != boot) {
            progress.note("the machine was started anew since; loading the source again");
        } else if let Some(loaded) = loaded {
            let mut source = self.open_audience(name, file, progress).await?;
            progress.note("an earlier seal of this campaign was loaded to its end; checking that the source is the same");
            let (digest, summary) = self.read_again(name, source.as_mut()).await?;
            if digest != Digest::from_bytes(loaded.digest) {
                progress.note("the source changed since; loading it anew");
            } else if rules.provenance != loaded.rules {
                progress.note(
                    "how the source is read or people are judged changed since; loading it anew",
                );
            } else {
                return Ok((summary, source));
            }
        }
        staging.restart().await?;
        let mut source = self.open_audience(name, file, progress).await?;
        let loading = Loading { name, file, people, rules, as_of };
        let rejects = self.load_from(source.as_mut(), loading, staging, progress).await?;
        Ok((rejects, source))
    }

    /// Stages everything that a source has.
    pub(in crate::engine) async fn load_from(
        &self,
        source: &mut dyn Source,
        loading: Loading<'_>,
        staging: &mut dyn Staging,
        progress: &dyn Progress,
    ) -> Result<RejectSummary, EngineError> {
        let Loading { name, file, people, rules, as_of } = loading;
        let mut loader = Loader {
            people,
            providers: &self.providers,
            rules,
            cohorts: Cohorts::of(&file.cohorts),
            draw: Draw::default(),
            open: HashMap::new(),
            chunks: Vec::new(),
            rejects: self.reject_file(name)?,
            digest: Sha256Stream::new(),
            rows: 0,
            rejected: 0,
        };
        progress.begin("Sealing", source.progress().total, unit_of(source));
        let sealer = Arc::new(Sealer::new(people, self.keys.digest()));
        let mut under_way = VecDeque::new();
        loop {
            let digest = &mut loader.digest;
            let batch = source.next_batch(BATCH, &mut |bytes: &[u8]| digest.update(bytes)).await?;
            if batch.is_empty() {
                break;
            }
            if loader.rows == 0 {
                let read = source.progress();
                let rows = estimate(batch.len() as u64, read.done, read.total);
                loader.draw = Draw::new(file.canary(), rows);
            }
            let (placed, sealer) = (loader.take(batch)?, Arc::clone(&sealer));
            under_way.push_back(tokio::task::spawn_blocking(move || sealer.seal(placed)));
            if under_way.len() > AHEAD {
                stage_next(&mut under_way, staging).await?;
            }
            progress.at(source.progress().done);
        }
        while !under_way.is_empty() {
            stage_next(&mut under_way, staging).await?;
        }
        progress.end();
        if let Some(warning) = source.warning() {
            progress.note(&warning);
        }
        loader.finish(staging, as_of).await
    }

    /// Reads a source to its end for its digest and its rejects.
    async fn read_again(
        &self,
        name: &str,
        source: &mut dyn Source,
    ) -> Result<(Digest, RejectSummary), EngineError> {
        let mut rejects = self.reject_file(name)?;
        let mut digest = Sha256Stream::new();
        loop {
            let batch = source.next_batch(BATCH, &mut |bytes: &[u8]| digest.update(bytes)).await?;
            if batch.is_empty() {
                return Ok((digest.finish(), rejects.finish()?));
            }
            for row in &batch {
                if let Row::Rejected(reject) = row {
                    rejects.push(reject)?;
                }
            }
        }
    }
}

/// Stages the oldest batch under way, so that rows come in the order of the source.
async fn stage_next(
    under_way: &mut VecDeque<JoinHandle<Vec<StagedRow>>>,
    staging: &mut dyn Staging,
) -> Result<(), EngineError> {
    let Some(batch) = under_way.pop_front() else { return Ok(()) };
    let rows = batch.await.map_err(|died| {
        EngineError::refused(format!(
            "a batch of rows could not be sealed: {died}; hint: run the same command again"
        ))
    })?;
    Ok(staging.append(rows).await?)
}
