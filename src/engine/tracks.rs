//! Running a campaign: secure, then notify, as far as approved; pausing and resuming either track.

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::notify::dispatch::Ended;
use super::notify::{Worker, recover::Recovery};
use super::people::People;
use super::progress::Progress;
use super::secure::SecureReport;
use super::{Engine, EngineError};
use crate::domain::totals::DeliveryTotals;
use crate::domain::track::{ContainmentState, NoticeState, PauseCause, Track};
use crate::journal::{LockError, WorkerLock};
use crate::store::campaigns::{CampaignRow, NoticeMove};
use crate::store::credentials::Pick;

/// What a run came to.
#[derive(Debug, Clone)]
pub struct RunReport {
    /// The secure pass, where containment is approved.
    pub secured: Option<SecureReport>,
    /// Where the people stand.
    pub totals: DeliveryTotals,
    /// No delivery is left that the machine could move.
    pub is_finished: bool,
    /// When the machine could go on, if it was stopped before.
    pub next_due: Option<Timestamp>,
    /// What the operator should know.
    pub notes: Vec<String>,
}

impl Engine {
    /// Takes the worker's place: the lock, the high-water check, the rescue of a dead worker's work.
    async fn take_over(&self, progress: &dyn Progress) -> Result<WorkerLock, EngineError> {
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
    async fn worker_lock(&self) -> Result<WorkerLock, EngineError> {
        let path = self.workspace.worker_lock();
        for _ in 0..10 {
            match WorkerLock::acquire(&path) {
                Err(LockError::Held { .. }) => {
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
                other => return Ok(other?),
            }
        }
        Ok(WorkerLock::acquire(&path)?)
    }

    /// Secures and notifies as far as approved, until sending is finished or `soft` is cancelled.
    pub async fn run(
        &self,
        name: &str,
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
        if row.containment_digest.is_some() {
            let report = self.secure(name, Pick::Pending, progress, soft).await?;
            let failed: u64 = count(&report, "failed");
            if failed > 0 {
                notes.push(format!(
                    "{failed} credentials could not be expired; their notices are held; hint: \
                     `forthwith credential list {name} --class failed`, then `forthwith secure run \
                     {name} --retry-failed`"
                ));
            }
            secured = Some(report);
        }
        if row.notice_digest.is_none() {
            notes.push(format!(
                "the notice is not approved yet, so nobody was told; hint: `forthwith campaign plan \
                 {name}`, then two `forthwith campaign approve {name}`"
            ));
        } else if !soft.is_cancelled() {
            self.notify(&row, &people, secured.as_ref(), progress, soft).await?;
        }
        let totals = self.store.delivery_totals(row.id).await?;
        Ok(RunReport {
            secured,
            is_finished: totals.machine_open() == 0 && row.notice_digest.is_some(),
            next_due: self.store.next_due(row.id).await?,
            totals,
            notes,
        })
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
        self.secure(name, pick, progress, soft).await
    }

    async fn notify(
        &self,
        row: &CampaignRow,
        people: &People,
        secured: Option<&SecureReport>,
        progress: &dyn Progress,
        soft: &CancellationToken,
    ) -> Result<(), EngineError> {
        let approved = self.approved(row, people, Track::Notice).await?;
        self.check_launched(row, Track::Notice).await?;
        self.warn_of_drift(row, people, Track::Notice, &approved, progress).await;
        let writer = super::notice::NoticeWriter::new(self, people, &approved.parts)?;
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
        if self.store.delivery_totals(row.id).await?.machine_open() == 0 {
            return self.finish(row, people).await;
        }
        let running = [NoticeState::Approved, NoticeState::Running, NoticeState::SendingFinished];
        self.move_notice(people, &running, NoticeState::Running, None, "engine").await?;
        let pace = self.pace_of(row, people, &writer).await?;
        let worker = Worker { engine: self, people, writer: &writer, pace };
        match worker.run(progress, soft).await? {
            Ended::Finished => self.finish(row, people).await,
            Ended::Stopped => Ok(()),
            Ended::Halted(cause) => self.pause_for(row, people, &cause).await,
        }
    }

    /// The campaign pauses itself: the fault is ours, and trying it out on everybody helps nobody.
    async fn pause_for(
        &self,
        row: &CampaignRow,
        people: &People,
        cause: &str,
    ) -> Result<(), EngineError> {
        let pause = Some((PauseCause::Configuration, cause));
        self.move_notice(people, &[NoticeState::Running], NoticeState::Paused, pause, "engine")
            .await?;
        let told = self.store.delivery_totals(row.id).await?.told;
        Err(EngineError::refused(format!(
            "the notice of `{name}` has paused itself, {told} told so far: {cause}; once that is \
             mended: `forthwith campaign resume {name}`, then `forthwith campaign run {name}`",
            name = row.name
        )))
    }

    async fn finish(&self, row: &CampaignRow, people: &People) -> Result<(), EngineError> {
        let now = self.store.control(row.id).await?.notice;
        if matches!(now, NoticeState::Running | NoticeState::Approved) {
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

    async fn move_notice(
        &self,
        people: &People,
        from: &[NoticeState],
        to: NoticeState,
        pause: Option<(PauseCause, &str)>,
        by: &str,
    ) -> Result<(), EngineError> {
        let now = self.store.control(people.campaign).await?.notice;
        if now == to {
            return Ok(());
        }
        if !from.contains(&now) {
            return Err(EngineError::refused(format!(
                "the notice of `{}` is {now}, so it cannot become {to}; hint: `forthwith campaign \
                 status {}`",
                people.name, people.name
            )));
        }
        let entry = people.track_moved(Track::Notice, now.word(), to.word(), by);
        let change = NoticeMove {
            from: vec![now],
            to,
            cause: pause.map(|(cause, _)| cause),
            note: pause.map(|(_, note)| note.to_owned()),
        };
        let lines = vec![entry.line(self.clock.now())];
        if self.store.move_notice(people.campaign, change, lines).await? {
            return Ok(());
        }
        Err(EngineError::refused(format!(
            "the notice of `{}` moved meanwhile; hint: look at `forthwith campaign status {}`",
            people.name, people.name
        )))
    }

    /// Pauses a track; a running worker starts nothing more within a second.
    pub async fn pause(&self, name: &str, track: Track, by: &str) -> Result<(), EngineError> {
        let (row, people) = self.people(name).await?;
        if track == Track::Notice {
            let note = format!("by {by}");
            let from = [NoticeState::Approved, NoticeState::Running];
            let pause = Some((PauseCause::Operator, note.as_str()));
            return self.move_notice(&people, &from, NoticeState::Paused, pause, by).await;
        }
        let from = [ContainmentState::Approved, ContainmentState::Running];
        self.move_containment(&row, &people, &from, ContainmentState::Paused, by).await
    }

    /// Lets a paused track go on.
    pub async fn resume(&self, name: &str, track: Track, by: &str) -> Result<(), EngineError> {
        let (row, people) = self.people(name).await?;
        if track == Track::Notice {
            let from = [NoticeState::Paused];
            return self.move_notice(&people, &from, NoticeState::Running, None, by).await;
        }
        let from = [ContainmentState::Paused];
        self.move_containment(&row, &people, &from, ContainmentState::Running, by).await
    }

    async fn move_containment(
        &self,
        row: &CampaignRow,
        people: &People,
        from: &[ContainmentState],
        to: ContainmentState,
        by: &str,
    ) -> Result<(), EngineError> {
        let now = self.store.control(row.id).await?.containment;
        if !from.contains(&now) {
            return Err(EngineError::refused(format!(
                "containment of `{}` is {now}, so it cannot become {to}; hint: `forthwith campaign \
                 status {}`",
                row.name, row.name
            )));
        }
        let entry = people.track_moved(Track::Containment, now.word(), to.word(), by);
        let lines = vec![entry.line(self.clock.now())];
        self.store.move_containment(row.id, &[now], to, lines).await?;
        Ok(())
    }
}

/// A campaign that came to its end begins nothing any more.
fn check_not_over(row: &CampaignRow) -> Result<(), EngineError> {
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

fn count(report: &SecureReport, class: &str) -> u64 {
    let ending = format!("/{class}");
    report.totals.iter().filter(|(key, _)| key.ends_with(&ending)).map(|(_, count)| count).sum()
}

/// Nobody is told before everybody's credential has a class (protocol §1, barrier `audience`).
fn check_barrier(
    row: &CampaignRow,
    writer: &super::notice::NoticeWriter,
    secured: Option<&SecureReport>,
) -> Result<(), EngineError> {
    if writer.kinds().is_empty() {
        return Ok(());
    }
    match secured {
        Some(report) if report.is_done => Ok(()),
        Some(report) => Err(EngineError::refused(format!(
            "{} credentials of `{}` are still pending, and nobody is told before they are \
             settled; hint: run `forthwith campaign run {}` again",
            count(report, "pending"),
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
