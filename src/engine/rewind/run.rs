//! A recovery under way: reads the journals, records what they tell, judges what they prove.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Rewound;
use super::attempts::{Attempts, Tried};
use super::evidence::{Evidence, Found};
use super::page::{Recovering, Source};
use super::pause::{containment_pausable, pausable, pause_containment, pause_notice};
use super::report::RecoverReport;
use crate::domain::delivery::AttemptResult;
use crate::domain::track::NoticeState;
use crate::engine::operators::Signer;
use crate::engine::progress::Progress;
use crate::engine::{Engine, EngineError};
use crate::journal::{self, BootId, Journals, Life};
use crate::store::campaigns::CampaignRow;

/// Attempts recorded in one transaction.
const PAGE: usize = 1_000;

/// A recovery under way.
pub(super) struct Run<'a> {
    engine: &'a Engine,
    boot: BootId,
    rows: Vec<CampaignRow>,
    campaigns: BTreeMap<i64, Recovering<'a>>,
    pub(super) report: RecoverReport,
    /// Campaigns of which a journal is there and proves not everything; `None` where one may be missing, so
    /// that it may have been any.
    unproved: Option<BTreeSet<[u8; 16]>>,
    is_dry: bool,
}

impl<'a> Run<'a> {
    /// Every sealed campaign, and nothing read yet.
    pub(super) async fn of(engine: &'a Engine, is_dry: bool) -> Result<Self, EngineError> {
        let boot = journal::boot_id().map_err(|error| EngineError::refused(error.to_string()))?;
        let rows = engine.store.campaigns().await?;
        let mut campaigns = BTreeMap::new();
        for row in &rows {
            if row.seal_id.is_some() && row.wrapped_key.is_some() {
                campaigns.insert(row.id, Recovering::of(engine, row).await?);
            }
        }
        let (report, unproved) = (RecoverReport::default(), Some(BTreeSet::new()));
        Ok(Self { engine, boot, rows, campaigns, report, unproved, is_dry })
    }

    pub(super) fn describe(&mut self, rewound: &Rewound, evidence: &Evidence) {
        let report = &mut self.report;
        report.cause = rewound.cause.word().into();
        report.words = rewound.words();
        report.missing_batches = rewound.missing_batches();
        report.backup_batch = rewound.head;
        report.missing_lives.clone_from(&evidence.missing);
    }

    /// Reads every journal, oldest life first, and records what it tells.
    pub(super) async fn read(
        &mut self,
        evidence: &Evidence,
        progress: &dyn Progress,
    ) -> Result<(), EngineError> {
        let identity = self.engine.store.identity().await?;
        let seen = self.engine.high_water.read()?.map_or(0, |mark| mark.incarnation);
        self.report.from_incarnation = identity.incarnation;
        self.report.to_incarnation =
            1 + identity.incarnation.max(seen).max(evidence.largest_incarnation);
        progress.begin("Reading journals", Some(evidence.journals.len() as u64), "journals");
        for found in &evidence.journals {
            self.read_one(found).await?;
            self.report.journals += 1;
            progress.at(self.report.journals);
        }
        progress.end();
        Ok(())
    }

    async fn read_one(&mut self, found: &Found) -> Result<(), EngineError> {
        let Some(origin) = found.folder.origin else { return Ok(()) };
        let life = found.folder.life.unwrap_or_default();
        let now = self.engine.clock.now();
        let mut walk = Journals::under(&found.root).reaching(found.reached).walk(&origin)?;
        let mut attempts = Attempts::default();
        while let Some((segment, marks)) = walk.next_segment()? {
            for mark in marks {
                attempts.add(segment, mark, now);
                if attempts.ended() >= PAGE {
                    self.record(found, &life, attempts.take()).await?;
                }
            }
        }
        let survey = walk.end();
        let is_complete = survey.complete_since(1, &self.boot);
        if !is_complete {
            self.report.broken.push(found.folder.path.display().to_string());
            self.doubt(&life);
        }
        self.record(found, &life, attempts.take()).await?;
        self.record(found, &life, attempts.rest(is_complete, now)).await
    }

    async fn record(
        &mut self,
        found: &Found,
        life: &Life,
        tried: Vec<Tried>,
    ) -> Result<(), EngineError> {
        let mut by_campaign: BTreeMap<i64, Vec<Tried>> = BTreeMap::new();
        for one in tried {
            by_campaign.entry(one.campaign).or_default().push(one);
        }
        for (campaign, tried) in by_campaign {
            if self.is_known(campaign, life).await? {
                let source = Source {
                    worker: found.folder.worker(),
                    incarnation: found.folder.origin.map_or(0, |origin| origin.incarnation),
                };
                if let Some(recovering) = self.campaigns.get(&campaign) {
                    let line = self.report.of(&recovering.people.name);
                    recovering.record(&source, tried, line, self.is_dry).await?;
                }
                continue;
            }
            // where it is the same campaign, its people may have been told under other numbers
            self.doubt(life);
            let name = Uuid::from_bytes(life.campaign).to_string();
            let line = self.report.unknown(&name, &found.folder.path.display().to_string());
            line.attempts += tried.len() as u64;
            let is_accepted = |one: &&Tried| one.outcome.result == AttemptResult::Accepted;
            line.accepted += tried.iter().filter(is_accepted).count() as u64;
        }
        Ok(())
    }

    /// Whether a journal's numbers mean this database's people: the same campaign and the same seal.
    async fn is_known(&self, campaign: i64, life: &Life) -> Result<bool, EngineError> {
        let Some(recovering) = self.campaigns.get(&campaign) else { return Ok(false) };
        if life.ordinal == 0 {
            return Ok(true);
        }
        let seal = self.engine.store.live_seal(campaign).await?;
        let is_same_seal = seal.is_some_and(|seal| seal.root == life.seal);
        Ok(recovering.people.uuid.into_bytes() == life.campaign && is_same_seal)
    }

    /// A life's campaign is not proved by its journal.
    fn doubt(&mut self, life: &Life) {
        if life.ordinal == 0 {
            self.unproved = None;
        } else if let Some(unproved) = &mut self.unproved {
            unproved.insert(life.campaign);
        }
    }

    /// Whether people of a campaign have to be held: one that was not approved in the backup could have been
    /// since.
    fn holds(&self, row: &CampaignRow) -> bool {
        let is_over = matches!(row.control.notice, NoticeState::Closed | NoticeState::Cancelled);
        let uuid = row.uuid.into_bytes();
        !is_over && self.unproved.as_ref().is_none_or(|unproved| unproved.contains(&uuid))
    }

    /// Whether everything is proved: no journal missing, each complete.
    pub(super) fn judge(&mut self, evidence: &mut Evidence) {
        if evidence.gap.is_some() {
            self.unproved = None;
        }
        let is_ours = |uuid: &[u8; 16]| self.rows.iter().any(|row| row.uuid.as_bytes() == uuid);
        let is_doubted = self.unproved.as_ref().is_none_or(|unproved| unproved.iter().any(is_ours));
        let broken = self.report.broken.first();
        let gap = evidence.gap.take().or_else(|| {
            broken.map(|path| format!(
                "the journal {path} is damaged, of a boot that ended before it was on the disk, or an \
                 older copy of itself"
            ))
        });
        let resealed = || "a journal tells of another seal of a campaign".to_owned();
        let gap = if is_doubted { gap.or_else(|| Some(resealed())) } else { None };
        self.report.is_proved = gap.is_none();
        self.report.unproved_because = gap.unwrap_or_default();
    }

    /// Everything stands still until an operator has looked: what was stopped in the time that is lost must
    /// not go on by itself.
    pub(super) async fn pause_all(&mut self, signer: &Signer) -> Result<(), EngineError> {
        let by = signer.ledger_name();
        for row in &self.rows {
            let Some(recovering) = self.campaigns.get(&row.id) else { continue };
            let line = self.report.of(&row.name);
            line.notice_paused = pause_notice(self.engine, row, &recovering.people, &by).await?;
            line.containment_paused =
                pause_containment(self.engine, row, &recovering.people, &by).await?;
        }
        Ok(())
    }

    pub(super) async fn hold_all(&mut self, progress: &dyn Progress) -> Result<(), EngineError> {
        let rows: Vec<CampaignRow> =
            self.rows.iter().filter(|row| self.holds(row)).cloned().collect();
        for row in &rows {
            let Some(recovering) = self.campaigns.get(&row.id) else { continue };
            let total = self.engine.store.delivery_totals(row.id).await?.machine_open();
            progress.begin("Holding in doubt", Some(total), "people");
            let incarnation = self.report.from_incarnation;
            let line = self.report.of(&row.name);
            recovering.hold(incarnation, line, progress).await?;
            progress.end();
        }
        Ok(())
    }

    /// What the recovery would do besides reading.
    pub(super) async fn foresee(&mut self) -> Result<(), EngineError> {
        for row in &self.rows {
            if !self.campaigns.contains_key(&row.id) {
                continue;
            }
            let totals = self.engine.store.delivery_totals(row.id).await?;
            let waits = totals.reasons.get("held/credential").copied().unwrap_or(0);
            let holds = self.holds(row);
            let line = self.report.of(&row.name);
            line.notice_paused = pausable(row);
            line.containment_paused = containment_pausable(row);
            if holds {
                line.held = (totals.machine_open() + waits).saturating_sub(line.moved);
            }
        }
        Ok(())
    }
}
