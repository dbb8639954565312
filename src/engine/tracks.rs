//! Running a campaign: secure, then notify, as far as approved; pausing and resuming either track.

mod gate;
mod moves;

use gate::Gate;
pub use gate::Patience;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::notice::NoticeWriter;
use super::notify::dispatch::Ended;
use super::notify::halt::Cause;
use super::notify::{Worker, recover::Recovery};
use super::people::People;
use super::progress::Progress;
use super::secure::SecureReport;
use super::{Engine, EngineError};
use crate::domain::totals::DeliveryTotals;
use crate::domain::track::{NoticeState, Track};
use crate::journal::{HostLock, LockError, WorkerLock};
use crate::store::campaigns::CampaignRow;
use crate::store::credentials::Pick;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// The secure pass, where containment is approved.
    pub secured: Option<SecureReport>,
    /// Where the people stand.
    pub totals: DeliveryTotals,
    /// No notice is left that the machine could move.
    pub is_finished: bool,
    /// A person has to act before the next wave opens: the notes say what is missing.
    pub is_at_gate: bool,
    /// When the machine could go on, if it was stopped before.
    pub next_due: Option<Timestamp>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

impl Engine {
    /// Takes the worker's place: the lock, the high-water check, the rescue of a dead worker's work.
    async fn take_over(&self, progress: &dyn Progress) -> Result<HostLock, EngineError> {
        let lock = self.worker_lock().await?;
        self.check_keys().await?;
        self.check_high_water().await?;
        let recovery = self.rescue_all().await?;
        if recovery != Recovery::default() {
            progress.note(&format!(
                "an earlier worker died: {} chunks taken over; of its open attempts {} had ended, {} \
                 had not started, {} are in doubt",
                recovery.chunks, recovery.ended, recovery.not_started, recovery.in_doubt
            ));
        }
        Ok(lock)
    }

    /// The worker's lock; a `status` that looks at it for an instant is waited for.
    ///
    /// Beside the database, and once more where a copy of the workspace does not reach: two copies of one
    /// database on a host never work at the same time, since each would tell the same people.
    pub(super) async fn worker_lock(&self) -> Result<HostLock, EngineError> {
        let of_host = self.high_water.beside(WORKER_LOCK);
        let paths = std::iter::once(self.workspace.worker_lock()).chain(of_host);
        let mut held = Vec::new();
        for path in paths {
            held.push(lock(&path).await?);
        }
        Ok(HostLock(held))
    }

    /// Secures and notifies as far as approved, until sending is finished, a gate is closed, or `soft` is
    /// cancelled.
    pub async fn run(
        &self,
        name: &str,
        progress: &dyn Progress,
        soft: &CancellationToken,
    ) -> Result<RunReport, EngineError> {
        self.run_with(name, Patience::Ends, progress, soft).await
    }

    /// The same; at a closed gate as `patience` says.
    pub async fn run_with(
        &self,
        name: &str,
        patience: Patience,
        progress: &dyn Progress,
        soft: &CancellationToken,
    ) -> Result<RunReport, EngineError> {
        let _lock = self.take_over(progress).await?;
        let (row, people) = self.people(name).await?;
        check_not_over(&row)?;
        // before the kill too: a rehearsal that would mail the living is refused as a whole
        self.check_relay_named(row.environment)?;
        let mut notes = Vec::new();
        let mut secured = None;
        let mut missing = Vec::new();
        if row.containment_digest.is_some() {
            let report = self.secure_for_run(name, progress, soft).await?;
            let failed = count(&report.totals, "failed");
            if failed > 0 && !report.gave_up {
                notes.push(format!(
                    "{failed} credentials could not be expired; their notices are held; hint: \
                     `forthwith credential list {name} --class failed`, then `forthwith secure run \
                     {name} --retry-failed`"
                ));
            }
            secured = Some(report);
        }
        let paused = secured.as_ref().and_then(|report| report.paused.clone());
        if row.notice_digest.is_none() {
            notes.push(format!(
                "the notice is not approved yet, so nobody was told; hint: `forthwith campaign plan \
                 {name}`, then two `forthwith campaign approve {name}`"
            ));
        } else if !soft.is_cancelled() && paused.is_none() {
            missing = self.tell(&row, &people, secured.as_ref(), patience, progress, soft).await?;
            if let Some(report) = &secured {
                notes.extend(self.came_back(&row, report).await?);
            }
        }
        notes.extend(paused.map(|note| {
            format!(
                "containment paused so that you look: {note}; hint: `forthwith credential list \
                 {name}`, then `forthwith containment resume {name}` and run again"
            )
        }));
        let totals = self.store.delivery_totals(row.id).await?;
        let is_at_gate = !missing.is_empty();
        notes.extend(missing);
        Ok(RunReport {
            secured,
            is_finished: self.notices_left(row.id).await? == 0 && row.notice_digest.is_some(),
            is_at_gate,
            next_due: self.store.next_due(row.id).await?,
            totals,
            notes,
        })
    }

    /// Tells people while what was expired is re-checked; gives back what is missing where a gate ended it.
    async fn tell(
        &self,
        row: &CampaignRow,
        people: &People,
        secured: Option<&SecureReport>,
        patience: Patience,
        progress: &dyn Progress,
        soft: &CancellationToken,
    ) -> Result<Vec<String>, EngineError> {
        let gave_up = secured.is_some_and(|report| report.gave_up);
        let rechecks = self.keep_rechecking(&row.name, gave_up, progress, soft).await?;
        let writer = self.ready_to_notify(row, people, secured, progress).await?;
        let missing = self.notify(row, people, &writer, patience, progress, soft).await?;
        if soft.is_cancelled() || !missing.is_empty() {
            return Ok(missing);
        }
        rechecks.end().await;
        if self.notices_left(row.id).await? == 0 {
            return Ok(missing);
        }
        // Whom the last re-check held and let go again.
        self.notify(row, people, &writer, patience, progress, soft).await
    }

    /// What is said of credentials that came back and could not be expired again.
    async fn came_back(
        &self,
        row: &CampaignRow,
        secured: &SecureReport,
    ) -> Result<Option<String>, EngineError> {
        let totals = self.store.credential_totals(row.id, &[]).await?;
        let regressed = count(&totals, "regressed");
        Ok((regressed > 0 && !secured.gave_up).then(|| {
            format!(
                "{regressed} expired credentials came back and could not be expired again; who is not \
                 told yet is held; hint: `forthwith credential list {name} --class regressed`, then \
                 `forthwith secure recheck {name}`",
                name = row.name
            )
        }))
    }

    /// `forthwith secure run`: the kill alone.
    pub async fn secure_alone(
        &self,
        name: &str,
        pick: Pick,
        progress: &dyn Progress,
        soft: &CancellationToken,
    ) -> Result<SecureReport, EngineError> {
        let _lock = self.take_over(progress).await?;
        check_not_over(&self.campaign(name).await?)?;
        self.secure(name, pick, progress, soft).await
    }

    /// Proves everything that must hold before anybody is told.
    async fn ready_to_notify(
        &self,
        row: &CampaignRow,
        people: &People,
        secured: Option<&SecureReport>,
        progress: &dyn Progress,
    ) -> Result<NoticeWriter, EngineError> {
        let approved = self.approved(row, people, Track::Notice).await?;
        self.check_launched(row, Track::Notice).await?;
        self.warn_of_drift(row, people, Track::Notice, &approved, progress).await;
        let writer = NoticeWriter::new(self, people, &approved.parts)?;
        let samples = approved.parts.get("samples").map(Vec::as_slice).unwrap_or_default();
        self.check_samples(people, &writer, samples).await?;
        self.check_approved_relay(&approved.parts)?;
        self.check_relay(row.environment).await?;
        check_barrier(row, &writer, secured)?;
        if row.control.notice == NoticeState::Paused {
            return Err(EngineError::refused(format!(
                "the notice of `{}` is paused ({}); hint: `forthwith campaign resume {}`",
                row.name,
                row.control.pause_note.as_deref().unwrap_or("by an operator"),
                row.name
            )));
        }
        self.check_no_later(row).await?;
        Ok(writer)
    }

    /// Tells people, wave by wave; gives back what is missing where a gate ended it.
    async fn notify(
        &self,
        row: &CampaignRow,
        people: &People,
        writer: &NoticeWriter,
        patience: Patience,
        progress: &dyn Progress,
        soft: &CancellationToken,
    ) -> Result<Vec<String>, EngineError> {
        loop {
            if self.notices_left(row.id).await? == 0 {
                self.finish(row, people).await?;
                return Ok(Vec::new());
            }
            match self.stand_at_gate(row, people, writer, patience, progress, soft).await? {
                Gate::Open => {}
                Gate::Closed(missing) => return Ok(missing),
            }
            match self.send(row, people, writer, progress, soft).await? {
                Ended::Finished | Ended::AtGate => {}
                Ended::Stopped => return Ok(Vec::new()),
                Ended::Halted(cause) => self.halted(row, people, &cause).await?,
            }
        }
    }

    /// One worker's life.
    async fn send(
        &self,
        row: &CampaignRow,
        people: &People,
        writer: &NoticeWriter,
        progress: &dyn Progress,
        soft: &CancellationToken,
    ) -> Result<Ended, EngineError> {
        let from = [
            NoticeState::Approved,
            NoticeState::Running,
            NoticeState::AtGate,
            NoticeState::SendingFinished,
        ];
        self.move_notice(people, &from, NoticeState::Running, None, "engine").await?;
        let pace = self.pace_of(row, people, writer).await?;
        let ended = Worker { engine: self, people, writer, pace }.run(progress, soft).await?;
        self.shrink_journals().await;
        Ok(ended)
    }

    /// The worker ended for a cause: the track is paused, and the run is refused with it.
    async fn halted(
        &self,
        row: &CampaignRow,
        people: &People,
        cause: &Cause,
    ) -> Result<(), EngineError> {
        self.pause_itself(people, cause.kind, &cause.words).await?;
        let told = self.store.delivery_totals(row.id).await?.told;
        Err(EngineError::refused(format!(
            "the notice of `{name}` has paused itself, {told} told so far: {}; hint: once that is \
             mended, `forthwith campaign resume {name}`, then `forthwith campaign run {name}`",
            cause.words,
            name = row.name
        )))
    }

    async fn finish(&self, row: &CampaignRow, people: &People) -> Result<(), EngineError> {
        let now = self.store.control(row.id).await?.notice;
        if matches!(now, NoticeState::Running | NoticeState::Approved | NoticeState::AtGate) {
            let to = NoticeState::SendingFinished;
            self.move_notice(people, &[now], to, None, "engine").await?;
        }
        Ok(())
    }

    /// The relay in use is the one that was approved.
    fn check_approved_relay(&self, parts: &super::plan::Parts) -> Result<(), EngineError> {
        let now = self.relay_part();
        if parts.get("relay") == Some(&now) {
            return Ok(());
        }
        let approved = parts.get("relay").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Err(EngineError::refused(format!(
            "the relay in use is not the one that was approved: {} now, {} then; hint: set \
             [relay] back, or plan and approve anew",
            String::from_utf8_lossy(&now),
            approved.unwrap_or_default()
        )))
    }
}

/// The worker's lock in the folder that a host keeps for a database.
const WORKER_LOCK: &str = "worker";

async fn lock(path: &Path) -> Result<WorkerLock, EngineError> {
    for _ in 0..10 {
        match WorkerLock::acquire(path) {
            Err(LockError::Held { .. }) => {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            other => return Ok(other?),
        }
    }
    Ok(WorkerLock::acquire(path)?)
}

/// A campaign that came to its end begins nothing any more.
pub(super) fn check_not_over(row: &CampaignRow) -> Result<(), EngineError> {
    match row.control.notice {
        NoticeState::Cancelled | NoticeState::Closed => Err(EngineError::refused(format!(
            "campaign `{name}` is {state}, so nothing is begun any more; hint: `forthwith campaign \
             status {name}` shows where everybody stands",
            name = row.name,
            state = row.control.notice
        ))),
        _ => Ok(()),
    }
}

/// Credentials of every kind that stand in a class.
fn count(totals: &BTreeMap<String, u64>, class: &str) -> u64 {
    let ending = format!("/{class}");
    totals.iter().filter(|(key, _)| key.ends_with(&ending)).map(|(_, count)| count).sum()
}

/// Nobody is told before everybody's credential has a class (protocol §1, barrier `audience`).
fn check_barrier(
    row: &CampaignRow,
    writer: &NoticeWriter,
    secured: Option<&SecureReport>,
) -> Result<(), EngineError> {
    if writer.kinds().is_empty() {
        return Ok(());
    }
    match secured {
        Some(report) if report.is_done || report.gave_up => Ok(()),
        Some(report) => Err(EngineError::refused(format!(
            "{} credentials of `{}` are still pending, and nobody is told before they are \
             settled; hint: run `forthwith campaign run {}` again",
            count(&report.totals, "pending"),
            row.name,
            row.name
        ))),
        None => Err(EngineError::refused(format!(
            "credentials were exposed, so containment comes first; hint: `forthwith containment \
             plan {}`, then two `forthwith containment approve {}`",
            row.name, row.name
        ))),
    }
}
