//! Whom a campaign is for: its source with what earlier campaigns add to it or take from it, dry runs,
//! comparisons and control totals.

mod campaign;
mod census;
pub mod check;
pub mod compare;
pub(super) mod later;
mod selected;

use std::collections::BTreeMap;

use self::campaign::CampaignSource;
use self::selected::{Selected, Step};
use super::campaign_file::CampaignFile;
use super::people::People;
use super::progress::Progress;
use super::{Engine, EngineError};
use crate::domain::track::NoticeState;
use crate::journal::{HostLock, LockError};
use crate::source::{AudienceOrigin, PeopleOf, Source};
use crate::store::campaigns::CampaignRow;
use crate::store::seals::Reading;

impl Engine {
    /// Opens a campaign's audience. Where earlier campaigns have a part in it, the source holds the
    /// worker's lock until it is dropped: nobody is told by one campaign while another asks whom it
    /// told.
    pub(super) async fn open_audience(
        &self,
        name: &str,
        file: &CampaignFile,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Source>, EngineError> {
        let audience = &file.audience;
        let lock = match audience.campaigns().next() {
            Some((_, part)) => Some(self.lock_classes(&part.campaign).await?),
            None => None,
        };
        let origin: Box<dyn Source> = match &audience.origin {
            AudienceOrigin::Source(source) => source.open(self.workspace.root()).await?,
            AudienceOrigin::Campaign(part) => {
                let people = self.earlier(name, file, part, progress).await?;
                Box::new(self.sealed_source(people, part).await?)
            }
        };
        let Some(lock) = lock else { return Ok(origin) };
        let mut steps = Vec::new();
        for (parts, keeps) in [(&audience.intersect, true), (&audience.minus, false)] {
            for part in parts {
                let people = self.earlier(name, file, part, progress).await?;
                steps.push(Step::new(people.campaign, part, keeps));
            }
        }
        Ok(Box::new(Selected::new(self, origin, steps, file.directory_name(), lock)))
    }

    /// Everybody whom a campaign sealed, or those of some classes.
    async fn sealed_source(
        &self,
        people: People,
        part: &PeopleOf,
    ) -> Result<CampaignSource, EngineError> {
        let totals = self.store.delivery_totals(people.campaign).await?;
        Ok(CampaignSource::new(self.clone(), people, part, &totals))
    }

    /// An earlier campaign as part of the audience of `name`, if its classes stand still and mean the
    /// same.
    async fn earlier(
        &self,
        name: &str,
        file: &CampaignFile,
        part: &PeopleOf,
        progress: &dyn Progress,
    ) -> Result<People, EngineError> {
        let other = &part.campaign;
        if other == name {
            return Err(EngineError::refused(format!(
                "the audience of `{name}` names `{name}` itself; hint: name an earlier campaign"
            )));
        }
        let (row, people) = self.people(other).await?;
        if row.seal_id.is_none() {
            return Err(super::plan::not_sealed(other));
        }
        if row.directory != file.directory_name() {
            return Err(EngineError::refused(format!(
                "accounts of `{other}` are those of directory `{}`, accounts of `{name}` those of `{}`: \
                 the same reference may be another person; hint: if they are the same accounts, set \
                 `directory.name` in the file of `{name}`, or `directory_name` where it has no [directory]",
                row.directory,
                file.directory_name()
            )));
        }
        if row.environment != file.environment {
            return Err(EngineError::refused(format!(
                "`{other}` is {}, and `{name}` is {}: nobody was told for real by a rehearsal; hint: \
                 name a campaign of the same environment",
                row.environment, file.environment
            )));
        }
        self.check_standing_still(&row, progress).await?;
        Ok(people)
    }

    async fn check_standing_still(
        &self,
        row: &CampaignRow,
        progress: &dyn Progress,
    ) -> Result<(), EngineError> {
        let other = &row.name;
        let totals = self.store.delivery_totals(row.id).await?;
        if row.control.notice == NoticeState::Running || totals.in_flight > 0 {
            return Err(EngineError::refused(format!(
                "the notice of `{other}` is running, {} told so far: whom it tells changes meanwhile; \
                 hint: let `forthwith campaign run {other}` finish, or `forthwith campaign pause {other}`",
                totals.told
            )));
        }
        let is_over = matches!(row.control.notice, NoticeState::Closed | NoticeState::Cancelled);
        if !is_over && totals.machine_open() > 0 {
            progress.note(&format!(
                "warning: the notice of `{other}` is {} with {} not told yet; once this is sealed, \
                 `{other}` is not let go on while people it has still to tell are in both",
                row.control.notice,
                totals.machine_open()
            ));
        }
        Ok(())
    }

    /// What the seal of a file keeps of the earlier campaigns it is made of.
    pub(super) async fn readings(&self, file: &CampaignFile) -> Result<Vec<Reading>, EngineError> {
        let mut readings = Vec::new();
        for (step, part) in file.audience.campaigns() {
            let campaign = self.campaign(&part.campaign).await?.id;
            readings.push(Reading { campaign, step, classes: part.classes_in_words() });
        }
        Ok(readings)
    }

    /// The worker's lock, so that no campaign's classes move.
    async fn lock_classes(&self, other: &str) -> Result<HostLock, EngineError> {
        self.worker_lock().await.map_err(|error| match error {
            EngineError::Lock(LockError::Held { pid, .. }) => {
                let who = pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"));
                EngineError::refused(format!(
                    "{who} is sending, and what became of the people of `{other}` may change meanwhile; \
                     hint: stop it or let it end, then again"
                ))
            }
            other => other,
        })
    }

    /// Refuses the notice of an audience that is not what it should be by somebody else's count.
    /// Containment goes on: nobody's password waits for a sum.
    pub(super) async fn check_expectation(
        &self,
        row: &CampaignRow,
        file: &CampaignFile,
    ) -> Result<(), EngineError> {
        let Some(seal) = self.store.live_seal(row.id).await? else { return Ok(()) };
        let excluded = seal.excluded.values().sum();
        let found = file.audience.expect.differences(&seal.totals, excluded);
        if found.is_empty() {
            return Ok(());
        }
        Err(EngineError::refused(format!(
            "the audience of `{name}` is not what [audience.expect] says: {}; its notice waits, \
             containment does not; hint: look at `rejects/{name}.csv` and the source, then seal a \
             campaign of the mended one, or correct [audience.expect]",
            found.join("; "),
            name = row.name
        )))
    }
}

/// What the ledger says of rows left out: counts by kind of step, without the names of campaigns.
pub(super) fn ledger_counts(excluded: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (step, rows) in excluded {
        let kind = step.split(' ').next().unwrap_or_default();
        *counts.entry(format!("excluded-{kind}")).or_default() += rows;
    }
    counts.into_iter().collect()
}
