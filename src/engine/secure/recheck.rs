//! Re-checks: what was expired is read again, since a restored backup brings the stolen values back.
//! Whatever came back is said aloud and expired again (protocol §3, "Re-check").

mod page;
mod schedule;

use tokio_util::sync::CancellationToken;

use self::page::{Page, Trial};
use super::pass::{Pass, Stop};
use super::{Containment, paused};
use crate::domain::credential::CredentialKind;
use crate::domain::ledger::Entry;
use crate::domain::track::{ContainmentState, Track};
use crate::engine::people::People;
use crate::engine::progress::Progress;
use crate::engine::{Engine, EngineError};
use crate::journal::{LockError, WorkerLock};
use crate::store::rechecks::RecheckCounts;

pub use schedule::OVERDUE_AFTER;

/// A re-check that was broken off is continued for so long; after that it begins anew.
const CONTINUES_FOR: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// What a re-check came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecheckReport {
    /// What it found, the part before an interruption included.
    pub counts: RecheckCounts,
    /// It read everything; else it was stopped, and the next one goes on.
    pub is_whole: bool,
}

/// Where a re-check stands.
#[derive(Debug, Clone, Copy)]
struct Stand {
    id: i64,
    kind: Option<CredentialKind>,
    after: u64,
    counts: RecheckCounts,
}

impl Engine {
    /// Reads every expired credential again and mends what came back. May run beside a worker: every
    /// write is a compare-and-set, and every class is guarded by the one it leaves.
    pub async fn recheck(
        &self,
        name: &str,
        progress: &dyn Progress,
        stop: &CancellationToken,
    ) -> Result<RecheckReport, EngineError> {
        let _lock = self.recheck_lock()?;
        self.check_keys().await?;
        self.check_high_water().await?;
        let (row, people) = self.people(name).await?;
        let approved = self.approved(&row, &people, Track::Containment).await?;
        match row.control.containment {
            ContainmentState::Running | ContainmentState::Done => {}
            ContainmentState::Paused => return Err(paused(name, &row.control)),
            ContainmentState::Approved
                if self.store.pass_state(row.id).await?.began_at.is_some() =>
            {
                return Err(paused(name, &row.control));
            }
            ContainmentState::None | ContainmentState::Approved => {
                return Err(EngineError::refused(format!(
                    "nothing of `{name}` is expired yet, so there is nothing to re-check; hint: \
                     `forthwith secure run {name}`"
                )));
            }
        }
        let containment = Containment::read(&approved.parts)?;
        let section = &containment.section;
        let directory = self.open_directory(section, row.environment).await?;
        Self::check_kinds(directory.as_ref(), section, &containment.kinds)?;
        let safety = self.safety(&people, section, directory.as_ref(), &containment.kinds).await?;
        let gave_up = self.gave_up(row.id, section).await?;
        let (engine, people, directory) = (self, &people, directory.as_ref());
        let (containment, safety) = (&containment, &safety);
        let pass = Pass { engine, people, directory, containment, safety, progress, stop, gave_up };
        let mut stand = self.begin_or_continue(people).await?;
        let before = stand.counts;
        let ended = self.all_kinds(&pass, &mut stand).await;
        alarm(name, &before, &stand.counts);
        let is_whole = ended.is_ok() && !stop.is_cancelled();
        let mended = stand.counts.mended - before.mended;
        self.after(people, mended, ended).await?;
        if is_whole {
            let RecheckCounts { checked, fine, regressed, mended, reset_elsewhere, .. } =
                stand.counts;
            let campaign = people.ledger_name();
            let entry =
                Entry::Rechecked { campaign, checked, fine, regressed, mended, reset_elsewhere };
            self.store.end_recheck(stand.id, vec![entry.line(self.clock.now())]).await?;
        }
        Ok(RecheckReport { counts: stand.counts, is_whole })
    }

    /// Two re-checks at once would only do everything twice.
    fn recheck_lock(&self) -> Result<WorkerLock, EngineError> {
        match WorkerLock::acquire(&self.workspace.recheck_lock()) {
            Err(LockError::Held { pid, .. }) => {
                let holder = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
                Err(EngineError::Rechecking { holder })
            }
            other => Ok(other?),
        }
    }

    async fn begin_or_continue(&self, people: &People) -> Result<Stand, EngineError> {
        let last = self.store.last_recheck(people.campaign).await?;
        let is_young =
            |started: jiff::Timestamp| self.clock.now().duration_since(started) < CONTINUES_FOR;
        if let Some(open) = last.filter(|last| last.ended_at.is_none() && is_young(last.started_at))
        {
            return Ok(Stand {
                id: open.id,
                kind: open.kind,
                after: open.after,
                counts: open.counts,
            });
        }
        let id = self.store.begin_recheck(people.campaign).await?;
        Ok(Stand { id, kind: None, after: 0, counts: RecheckCounts::default() })
    }

    /// Every kind that has values, from where the re-check stands.
    async fn all_kinds(
        &self,
        pass: &Pass<'_>,
        stand: &mut Stand,
    ) -> Result<Option<Stop>, EngineError> {
        let kinds: Vec<CredentialKind> = pass
            .containment
            .kinds
            .iter()
            .copied()
            // How many sessions there are does not tell old ones from new ones.
            .filter(|kind| *kind != CredentialKind::Session)
            .collect();
        let begin = kinds.iter().position(|kind| Some(*kind) == stand.kind).unwrap_or(0);
        for kind in &kinds[begin..] {
            if stand.kind != Some(*kind) {
                (stand.kind, stand.after) = (Some(*kind), 0);
            }
            if let Some(stop) = self.one_kind(pass, *kind, stand).await? {
                return Ok(Some(stop));
            }
        }
        Ok(None)
    }

    async fn one_kind(
        &self,
        pass: &Pass<'_>,
        kind: CredentialKind,
        stand: &mut Stand,
    ) -> Result<Option<Stop>, EngineError> {
        let campaign = pass.people.campaign;
        let totals = self.store.credential_totals(campaign, &[kind.word()]).await?;
        let total = totals.get(&format!("{kind}/expired")).copied();
        pass.progress.begin(&format!("Re-checking each {kind}"), total, "accounts");
        let page = Page { batch: pass.batch(kind, false), smallest: pass.smallest() };
        let limit = u32::try_from(pass.directory.capabilities().batch).unwrap_or(u32::MAX);
        let (mut trial, mut done) = (Trial::default(), 0);
        let mut stopped = None;
        let mut next = page.read(stand.after, limit).await?;
        while let Some(read) = next.take().filter(|_| !pass.stop.is_cancelled()) {
            if self.is_called_off(campaign).await? {
                return Err(paused(&pass.people.name, &self.store.control(campaign).await?));
            }
            let last = read.last;
            let found = page.run(read, &mut trial).await?;
            stopped = found.stopped;
            stand.counts.add(found.counts);
            if stopped.is_none() {
                stand.after = last;
            }
            let noted = self.store.recheck_went_on(stand.id, kind, stand.after, stand.counts);
            if stopped.is_none() {
                // Who is read meanwhile has not been touched by this re-check.
                let (noted, read) = tokio::join!(noted, page.read(stand.after, limit));
                noted?;
                next = read?;
            } else {
                noted.await?;
            }
            done += found.counts.checked;
            pass.progress.at(done);
        }
        pass.progress.end();
        Ok(stopped)
    }
}

/// What came back is logged where everybody looks; status, ledger and exit code say it too.
fn alarm(name: &str, before: &RecheckCounts, now: &RecheckCounts) {
    let regressed = now.regressed - before.regressed;
    if regressed > 0 {
        tracing::warn!(
            campaign = name,
            regressed,
            mended = now.mended - before.mended,
            "expired credentials had come back: was the directory restored from a backup?"
        );
    }
}
