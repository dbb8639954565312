//! `campaign recover`: the one way out of a rewind. May die at any instant and be run again: each page is
//! one transaction that a second run finds done, the new incarnation is drawn last, and until the mark says
//! it the database counts as rewound.

use std::collections::BTreeMap;
use std::path::PathBuf;

use uuid::Uuid;

use super::Rewound;
use super::attempts::{Attempts, Tried};
use super::evidence::{Evidence, Found};
use super::page::{Recovering, Source};
use super::report::RecoverReport;
use crate::domain::ledger::Entry;
use crate::domain::operator::may_sign;
use crate::domain::track::{ContainmentPause, ContainmentState, NoticeState, PauseCause, Track};
use crate::engine::campaign_file::DoubtPolicy;
use crate::engine::operators::Signer;
use crate::engine::people::People;
use crate::engine::progress::Progress;
use crate::engine::{Engine, EngineError};
use crate::journal::{self, BootId, HighWater, Journals, Life, WorkerLock};
use crate::secret::digest::LpBuilder;
use crate::store::campaigns::{CampaignRow, NoticeMove};
use crate::store::containments::ContainmentStop;
use crate::store::rewinds::NewIncarnation;

/// Attempts recorded in one transaction.
const PAGE: usize = 1_000;

/// Where a recovery looks, and what the operator says about the backup.
#[derive(Debug, Clone, Default)]
pub struct Sought {
    /// Further folders with journals.
    pub journals: Vec<PathBuf>,
    /// Which backup it was, in the operator's words.
    pub note: Option<String>,
}

/// How a recovery is run.
pub enum Recover<'a> {
    /// Only looks: nothing is written.
    Look,
    /// Signed by an operator.
    Signed(&'a Signer),
}

/// A recovery under way.
struct Run<'a> {
    engine: &'a Engine,
    boot: BootId,
    rows: Vec<CampaignRow>,
    campaigns: BTreeMap<i64, Recovering<'a>>,
    report: RecoverReport,
    is_dry: bool,
}

impl Engine {
    /// Ends a rewind, or looks what that would come to.
    pub async fn recover(
        &self,
        sought: &Sought,
        how: Recover<'_>,
        progress: &dyn Progress,
    ) -> Result<RecoverReport, EngineError> {
        let _lock = self.worker_lock().await?;
        let _rechecks = WorkerLock::acquire(&self.workspace.recheck_lock())?;
        self.check_keys().await?;
        let Some(rewound) = self.rewound().await? else {
            return self.read_late(sought, how, progress).await;
        };
        if rewound.cause == super::RewindCause::OtherDatabase {
            return Err(rewound.into());
        }
        let mut evidence = self.evidence(Some(&rewound), &sought.journals).await?;
        let mut run = self.run_of(matches!(how, Recover::Look)).await?;
        run.describe(&rewound, &evidence);
        let signer = match how {
            Recover::Look => {
                run.read(&evidence, progress).await?;
                run.judge(&mut evidence);
                run.foresee().await?;
                return Ok(run.report);
            }
            Recover::Signed(signer) => signer,
        };
        may_sign(&signer.row.operator, self.clock.now())?;
        self.high_water.hold();
        self.store.open_gate();
        run.pause_all(signer).await?;
        let roots = self.journal_roots(&sought.journals)?;
        let rescued = self.rescue_by(&roots, Some(DoubtPolicy::Hold)).await?;
        run.report.in_flight = rescued.ended + rescued.not_started + rescued.in_doubt;
        run.read(&evidence, progress).await?;
        run.judge(&mut evidence);
        if !run.report.is_proved {
            run.hold_all(progress).await?;
        }
        self.begin_incarnation(&rewound, &evidence, &run.report, sought, signer).await?;
        Ok(run.report)
    }

    async fn run_of(&self, is_dry: bool) -> Result<Run<'_>, EngineError> {
        let boot = journal::boot_id().map_err(|error| EngineError::refused(error.to_string()))?;
        let rows = self.store.campaigns().await?;
        let mut campaigns = BTreeMap::new();
        for row in &rows {
            if row.seal_id.is_some() && row.wrapped_key.is_some() {
                campaigns.insert(row.id, Recovering::of(self, row).await?);
            }
        }
        Ok(Run { engine: self, boot, rows, campaigns, report: RecoverReport::default(), is_dry })
    }

    /// Journals that turned up when nothing is rewound: they may settle what is in doubt (rule R4).
    async fn read_late(
        &self,
        sought: &Sought,
        how: Recover<'_>,
        progress: &dyn Progress,
    ) -> Result<RecoverReport, EngineError> {
        if sought.journals.is_empty() {
            return Err(EngineError::refused(
                "nothing is rewound: this is the database this workspace used last; hint: \
                 `--journals DIR` reads journals that were found later, and settles doubts by them",
            ));
        }
        let mut run = self.run_of(matches!(how, Recover::Look)).await?;
        if let Recover::Signed(signer) = how {
            may_sign(&signer.row.operator, self.clock.now())?;
            self.rescue_all().await?;
        }
        let evidence = self.late_evidence(&sought.journals).await?;
        let identity = self.store.identity().await?;
        run.report.from_incarnation = identity.incarnation;
        run.report.to_incarnation = identity.incarnation;
        run.report.is_proved = true;
        run.read(&evidence, progress).await?;
        Ok(run.report)
    }

    /// The last act: a new incarnation with its cause, and the mark that begins from it.
    async fn begin_incarnation(
        &self,
        rewound: &Rewound,
        evidence: &Evidence,
        report: &RecoverReport,
        sought: &Sought,
        signer: &Signer,
    ) -> Result<(), EngineError> {
        let now = self.clock.now();
        let identity = self.store.identity().await?;
        let note = sought.note.clone().unwrap_or_default();
        let cause = format!("{}: {}; {note}", rewound.cause.word(), rewound.words());
        let statement = LpBuilder::new()
            .lp(b"forthwith recovery v1")
            .lp(identity.database_id.as_bytes())
            .number(report.from_incarnation)
            .number(report.to_incarnation)
            .lp(cause.as_bytes())
            .lp(if report.is_proved { b"proved" } else { b"held" })
            .lp(now.as_microsecond().to_string().as_bytes())
            .finish();
        let entry = Entry::Rewound {
            cause: rewound.cause.word(),
            missing_batches: rewound.missing_batches(),
            from: report.from_incarnation,
            to: report.to_incarnation,
            proved: report.is_proved,
            key: signer.ledger_name(),
        };
        let new = NewIncarnation {
            number: report.to_incarnation,
            cause,
            operator_id: signer.row.operator.id,
            signature: *signer.sign(&statement).as_bytes(),
            statement,
            after_life: evidence.after_life,
            is_proved: report.is_proved,
            at: now,
        };
        let drawn = self.store.draw_incarnation(new, vec![entry.line(now)]).await?;
        self.high_water.restart(&HighWater {
            database_id: *identity.database_id.as_bytes(),
            incarnation: report.to_incarnation,
            batch_id: drawn.batch_id,
            batch_sha256: drawn.sha256,
        })?;
        Ok(())
    }
}

impl Run<'_> {
    fn describe(&mut self, rewound: &Rewound, evidence: &Evidence) {
        let report = &mut self.report;
        report.cause = rewound.cause.word().into();
        report.words = rewound.words();
        report.missing_batches = rewound.missing_batches();
        report.backup_batch = rewound.head;
        report.missing_lives.clone_from(&evidence.missing);
    }

    /// Reads every journal, oldest life first, and records what it tells.
    async fn read(
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
            let name = Uuid::from_bytes(life.campaign).to_string();
            let line = self.report.unknown(&name, &found.folder.path.display().to_string());
            line.attempts += tried.len() as u64;
            let is_accepted = |one: &&Tried| {
                one.outcome.result == crate::domain::delivery::AttemptResult::Accepted
            };
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

    /// Whether everything is proved: no journal missing, each complete.
    fn judge(&mut self, evidence: &mut Evidence) {
        let broken = self.report.broken.first();
        let gap = evidence.gap.take().or_else(|| {
            broken.map(|path| format!(
                "the journal {path} is damaged, of a boot that ended before it was on the disk, or an \
                 older copy of itself"
            ))
        });
        self.report.is_proved = gap.is_none();
        self.report.unproved_because = gap.unwrap_or_default();
    }

    /// Everything stands still until an operator has looked: what was stopped in the time that is lost must
    /// not go on by itself.
    async fn pause_all(&mut self, signer: &Signer) -> Result<(), EngineError> {
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

    async fn hold_all(&mut self, progress: &dyn Progress) -> Result<(), EngineError> {
        for row in self.rows.iter().filter(|row| may_have_sent(row)) {
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
    async fn foresee(&mut self) -> Result<(), EngineError> {
        for row in &self.rows {
            if !self.campaigns.contains_key(&row.id) {
                continue;
            }
            let totals = self.engine.store.delivery_totals(row.id).await?;
            let waits = totals.reasons.get("held/credential").copied().unwrap_or(0);
            let is_proved = self.report.is_proved;
            let line = self.report.of(&row.name);
            line.notice_paused = pausable(row);
            line.containment_paused = containment_pausable(row);
            if !is_proved && may_have_sent(row) {
                line.held = (totals.machine_open() + waits).saturating_sub(line.moved);
            }
        }
        Ok(())
    }
}

/// Whether a campaign could have told people since the backup: one that was not approved could have been.
fn may_have_sent(row: &CampaignRow) -> bool {
    !matches!(row.control.notice, NoticeState::Closed | NoticeState::Cancelled)
}

fn pausable(row: &CampaignRow) -> bool {
    matches!(
        row.control.notice,
        NoticeState::Approved | NoticeState::Running | NoticeState::AtGate | NoticeState::Paused
    )
}

fn containment_pausable(row: &CampaignRow) -> bool {
    matches!(row.control.containment, ContainmentState::Approved | ContainmentState::Running)
}

const NOTE: &str =
    "the database was rewound: what operators did since the backup is lost, so look first";

async fn pause_notice(
    engine: &Engine,
    row: &CampaignRow,
    people: &People,
    by: &str,
) -> Result<bool, EngineError> {
    if !pausable(row) {
        return Ok(false);
    }
    let (from, to) = (row.control.notice, NoticeState::Paused);
    let entry = people.track_moved(Track::Notice, from.word(), to.word(), by);
    let change = NoticeMove {
        from: vec![from],
        to,
        cause: Some(PauseCause::Operator),
        note: Some(NOTE.into()),
    };
    let lines = vec![entry.line(engine.clock.now())];
    Ok(engine.store.move_notice(row.id, change, lines).await?)
}

async fn pause_containment(
    engine: &Engine,
    row: &CampaignRow,
    people: &People,
    by: &str,
) -> Result<bool, EngineError> {
    if !containment_pausable(row) {
        return Ok(false);
    }
    let (from, to) = (row.control.containment, ContainmentState::Paused);
    let entry = people.track_moved(Track::Containment, from.word(), to.word(), by);
    let stop =
        ContainmentStop { from: vec![from], cause: ContainmentPause::Operator, note: NOTE.into() };
    let lines = vec![entry.line(engine.clock.now())];
    Ok(engine.store.pause_containment(row.id, stop, lines).await?)
}
