//! When a re-check is due: hourly while a campaign runs, daily until it is closed.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::domain::track::{ContainmentState, NoticeState};
use crate::engine::progress::{Progress, Silent};
use crate::engine::{Engine, EngineError};
use crate::store::campaigns::CampaignRow;
use crate::store::rechecks::RecheckRow;

/// A campaign whose last re-check is older than this, and which is not closed, is shown as overdue.
pub const OVERDUE_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// How often a running campaign is re-checked.
const WHILE_RUNNING: SignedDuration = SignedDuration::from_hours(1);

/// How often a running campaign looks whether that is due.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Re-checks in the background of a run; they end by themselves once this is dropped.
pub(in crate::engine) struct Rechecks {
    ending: DropGuard,
    task: JoinHandle<()>,
}

impl Rechecks {
    /// Begins no page any more and waits for the one at hand: whom it holds it mends and lets go, or they
    /// stay held for a reason.
    pub(in crate::engine) async fn end(self) {
        drop(self.ending);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the hourly re-check ended: {error}");
        }
    }
}

impl Engine {
    /// The last re-check, and whether another is overdue.
    pub(in crate::engine) async fn recheck_stand(
        &self,
        row: &CampaignRow,
    ) -> Result<(Option<RecheckRow>, bool), EngineError> {
        let last = self.store.last_recheck(row.id).await?;
        let is_over = matches!(row.control.notice, NoticeState::Closed | NoticeState::Cancelled);
        let overdue = !is_over && self.is_older(row, last.as_ref(), OVERDUE_AFTER).await?;
        Ok((last, overdue))
    }

    /// Whether so much time has passed since the last re-check, or since the first pass began.
    async fn is_older(
        &self,
        row: &CampaignRow,
        last: Option<&RecheckRow>,
        age: SignedDuration,
    ) -> Result<bool, EngineError> {
        let stands = row.control.containment;
        if !matches!(stands, ContainmentState::Running | ContainmentState::Done) {
            return Ok(false);
        }
        let since: Option<Timestamp> = match last {
            Some(last) => Some(last.ended_at.unwrap_or(last.started_at)),
            None => self.store.pass_state(row.id).await?.began_at,
        };
        Ok(since.is_some_and(|since| self.clock.now().duration_since(since) >= age))
    }

    async fn recheck_if_due(
        &self,
        name: &str,
        progress: &dyn Progress,
        stop: &CancellationToken,
    ) -> Result<(), EngineError> {
        let row = self.campaign(name).await?;
        let last = self.store.last_recheck(row.id).await?;
        if row.containment_digest.is_none()
            || !self.is_older(&row, last.as_ref(), WHILE_RUNNING).await?
        {
            return Ok(());
        }
        let counts = self.recheck(name, progress, stop).await?.counts;
        if counts.regressed > 0 {
            progress.note(&format!(
                "ALARM: of {} expired credentials {} had come back, {} of them are expired again: was \
                 the directory restored from a backup?",
                counts.checked, counts.regressed, counts.mended
            ));
        }
        Ok(())
    }

    /// Re-checks now if that is due, and then hourly in the background until what it gives back is
    /// dropped. A directory that can't be reached now, and another re-check, are said and it is tried
    /// again; anything else stops the run, unless `gave_up`: then nothing of the directory silences
    /// anybody.
    pub(in crate::engine) async fn keep_rechecking(
        &self,
        name: &str,
        gave_up: bool,
        progress: &dyn Progress,
        stop: &CancellationToken,
    ) -> Result<Rechecks, EngineError> {
        match self.recheck_if_due(name, progress, stop).await {
            Ok(()) => {}
            Err(error) if silences_nobody(&error, gave_up) => {
                progress.note(&format!("warning: no re-check now: {error}"));
            }
            Err(error) => return Err(error),
        }
        let (engine, name, ending) = (self.clone(), name.to_owned(), stop.child_token());
        let ended = ending.clone();
        let task = tokio::spawn(async move {
            while ended.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
                match engine.recheck_if_due(&name, &Silent, &ended).await {
                    Ok(()) | Err(EngineError::Rechecking { .. }) => {}
                    Err(error) => {
                        tracing::warn!(campaign = name, %error, "the hourly re-check did not end well");
                    }
                }
            }
        });
        Ok(Rechecks { ending: ending.drop_guard(), task })
    }
}

/// Whether people are told all the same, though no re-check could be made.
fn silences_nobody(error: &EngineError, gave_up: bool) -> bool {
    match error {
        EngineError::Directory(_) | EngineError::Rechecking { .. } => true,
        EngineError::Refused(_) => gave_up,
        _ => false,
    }
}
