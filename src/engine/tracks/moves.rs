//! Moves of both tracks: by the program itself and by operators.

use super::check_not_over;
use crate::domain::track::{ContainmentPause, ContainmentState, NoticeState, PauseCause, Track};
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::store::campaigns::{CampaignRow, NoticeMove};
use crate::store::containments::ContainmentStop;

impl Engine {
    /// The campaign pauses itself: trying it out on everybody helps nobody.
    pub(in crate::engine) async fn pause_itself(
        &self,
        people: &People,
        kind: PauseCause,
        words: &str,
    ) -> Result<(), EngineError> {
        let from = [NoticeState::Running];
        let by = if kind == PauseCause::Breaker { "breaker" } else { "engine" };
        self.move_notice(people, &from, NoticeState::Paused, Some((kind, words)), by).await
    }

    pub(super) async fn move_notice(
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
            let from = [NoticeState::Approved, NoticeState::Running, NoticeState::AtGate];
            let pause = Some((PauseCause::Operator, note.as_str()));
            return self.move_notice(&people, &from, NoticeState::Paused, pause, by).await;
        }
        let from = [ContainmentState::Approved, ContainmentState::Running];
        self.pause_containment(&row, &people, &from, by).await
    }

    /// Lets a paused track go on.
    pub async fn resume(&self, name: &str, track: Track, by: &str) -> Result<(), EngineError> {
        let (row, people) = self.people(name).await?;
        if track == Track::Notice {
            if row.control.notice == NoticeState::Paused {
                self.check_no_later(&row).await?;
            }
            let from = [NoticeState::Paused];
            return self.move_notice(&people, &from, NoticeState::Running, None, by).await;
        }
        check_not_over(&row)?;
        let from = [ContainmentState::Paused];
        self.move_containment(&row, &people, &from, ContainmentState::Running, by).await
    }

    async fn pause_containment(
        &self,
        row: &CampaignRow,
        people: &People,
        from: &[ContainmentState],
        by: &str,
    ) -> Result<(), EngineError> {
        let (now, to) = (row.control.containment, ContainmentState::Paused);
        if !from.contains(&now) {
            return self.move_containment(row, people, from, to, by).await;
        }
        let entry = people.track_moved(Track::Containment, now.word(), to.word(), by);
        let stop = ContainmentStop {
            from: vec![now],
            cause: ContainmentPause::Operator,
            note: format!("by {by}"),
        };
        let lines = vec![entry.line(self.clock.now())];
        self.store.pause_containment(row.id, stop, lines).await?;
        Ok(())
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
