//! A run at a closed gate: what is missing, and who waits for it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::domain::track::NoticeState;
use crate::domain::wave::Closed;
use crate::engine::canary::figures;
use crate::engine::notice::NoticeWriter;
use crate::engine::people::People;
use crate::engine::progress::Progress;
use crate::engine::waves::{Waits, Waves};
use crate::engine::{Engine, EngineError};
use crate::store::campaigns::CampaignRow;

/// How often a waiting run looks whether its gate opened.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What a run does at a closed gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It says what is missing and ends.
    Ends,
    /// It waits, and tries deferred people meanwhile.
    Waits,
}

/// How a run finds the next wave.
pub(super) enum Gate {
    /// There is something to do.
    Open,
    /// It ends here, and this is what a person has to do first; nothing where it was stopped or the
    /// campaign came to its end meanwhile.
    Closed(Vec<String>),
}

impl Engine {
    /// Stands before the next wave until there is something to do, or, where this run does not wait for
    /// people, until it is plain that they have to act first.
    pub(super) async fn stand_at_gate(
        &self,
        row: &CampaignRow,
        people: &People,
        writer: &NoticeWriter,
        patience: Patience,
        progress: &dyn Progress,
        soft: &CancellationToken,
    ) -> Result<Gate, EngineError> {
        let mut said = Vec::new();
        loop {
            let state = self.store.control(row.id).await?.notice;
            if matches!(state, NoticeState::Cancelled | NoticeState::Closed) {
                return Ok(Gate::Closed(Vec::new()));
            }
            let is_paused = state == NoticeState::Paused;
            let now = self.clock.now();
            let waves = self.open_waves(people, writer.file(), now).await?;
            let is_held_up = self.is_held_up(people, &waves, now).await?;
            if !is_held_up && !is_paused {
                return Ok(Gate::Open);
            }
            if !is_paused {
                self.hold_at_gate(people, state).await?;
            }
            let missing = self.missing(row, people, writer, &waves).await?;
            if patience == Patience::Ends && !is_paused {
                return Ok(Gate::Closed(missing));
            }
            if missing != said {
                for what in &missing {
                    progress.note(what);
                }
                said = missing;
            }
            if soft.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
                return Ok(Gate::Closed(said));
            }
        }
    }

    /// A campaign that has begun stands at the gate. One that has not stays approved: nothing was sent,
    /// and another plan may be signed.
    async fn hold_at_gate(&self, people: &People, state: NoticeState) -> Result<(), EngineError> {
        if state != NoticeState::Running {
            return Ok(());
        }
        self.move_notice(people, &[NoticeState::Running], NoticeState::AtGate, None, "engine").await
    }

    /// What a person has to do before the next wave opens, each with its command.
    async fn missing(
        &self,
        row: &CampaignRow,
        people: &People,
        writer: &NoticeWriter,
        waves: &Waves,
    ) -> Result<Vec<String>, EngineError> {
        let Some(Waits { wave, reasons }) = &waves.waits else { return Ok(Vec::new()) };
        let (name, mut missing) = (&row.name, Vec::new());
        for reason in reasons {
            match reason {
                Closed::Gates(names) => {
                    let gates = self.gate_views(people, writer.file()).await?;
                    let closed = gates.iter().filter(|gate| names.contains(&gate.name));
                    missing.extend(closed.map(|gate| {
                        let staff = writer.file().staff.as_ref();
                        let hint = match staff.filter(|_| gate.name == "staff") {
                            Some(staff) => format!("`forthwith campaign run {}`", staff.campaign),
                            None => format!(
                                "`forthwith gate pass {name} {} --evidence TEXT --operator NAME`",
                                gate.name
                            ),
                        };
                        format!(
                            "wave `{}` waits at gate `{}` ({}); hint: {hint}",
                            wave.name, gate.name, gate.text
                        )
                    }));
                }
                Closed::Go => missing.push(self.canary_in_words(name, people, waves).await?),
                Closed::Before | Closed::Going | Closed::Short { .. } => {}
            }
        }
        Ok(missing)
    }

    async fn canary_in_words(
        &self,
        name: &str,
        people: &People,
        waves: &Waves,
    ) -> Result<String, EngineError> {
        let sums = self.store.wave_sums(people.campaign).await?;
        let canary = waves.rows.iter().find(|row| row.is_canary);
        let went = canary.and_then(|row| sums.get(&row.number)).map(figures).unwrap_or_default();
        Ok(format!(
            "the canary is through: {} told, {} bounced, {} deferred, {} complaints; hint: look at \
             what they got and at your desk, then `forthwith campaign go {name} --operator NAME`",
            went.told, went.bounced, went.deferred, went.complaints
        ))
    }
}
