//! Waves of a campaign: put in order at the approval, opened one by one while it runs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::campaign_file::{CampaignFile, CanaryGo};
use super::notice::approved_file;
use super::people::People;
use super::plan::Parts;
use super::{Engine, EngineError};
use crate::domain::ledger::Entry;
use crate::domain::track::Track;
use crate::domain::wave::{Before, Closed, WavePlan, closed};
use crate::store::campaigns::CampaignRow;
use crate::store::waves::{WaveRow, WaveSums};

/// The first wave that is closed, and what keeps it so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waits {
    /// Which wave.
    pub wave: WaveRow,
    /// Why; time or progress alone may end some of it.
    pub reasons: Vec<Closed>,
}

impl Waits {
    /// Whether a person has to act before it opens.
    pub fn is_for_people(&self) -> bool {
        self.reasons.iter().any(Closed::is_for_people)
    }
}

/// A campaign's waves at one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waves {
    /// All, in order, as they stand after the look.
    pub rows: Vec<WaveRow>,
    /// The first closed one; none where all are open.
    pub waits: Option<Waits>,
}

/// A wave for screens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaveView {
    /// Its place, from 1.
    pub number: u32,
    /// What it is called.
    pub name: String,
    /// `closed`, `open` or `finished`.
    pub state: &'static str,
    /// What keeps it closed, in words.
    pub waits_for: Vec<String>,
    /// Its people.
    pub people: u64,
    /// Told.
    pub told: u64,
    /// Open for the machine, second addresses included.
    pub left: u64,
    /// Open for somebody to act.
    pub person_open: u64,
    /// When it must have ended.
    pub deadline: Option<String>,
    /// When it opened.
    pub opened_at: Option<String>,
}

impl Engine {
    /// The waves of a notice that becomes approved with this signature.
    pub(super) async fn wave_plan(
        &self,
        people: &People,
        file: &CampaignFile,
    ) -> Result<WavePlan, EngineError> {
        let sealed = self.store.cohorts(people.campaign).await?;
        let deadline = file.deadline.as_ref().map(crate::domain::zoned::ZonedInstant::timestamp);
        Ok(WavePlan::of(&file.wave_wishes(), &sealed, deadline))
    }

    /// The same out of planned parts; none where this is not the notice's last signature.
    pub(super) async fn waves_to_arrange(
        &self,
        people: &People,
        track: Track,
        is_complete: bool,
        parts: &Parts,
    ) -> Result<Option<WavePlan>, EngineError> {
        if track != Track::Notice || !is_complete {
            return Ok(None);
        }
        let file = approved_file(self, people, parts)?;
        self.wave_plan(people, &file).await.map(Some)
    }

    /// The campaign's file as approved, else as it is now.
    pub(super) async fn file_in_force(
        &self,
        row: &CampaignRow,
        people: &People,
    ) -> Result<CampaignFile, EngineError> {
        if row.notice_digest.is_none() {
            return self.campaign_file(&row.name);
        }
        let approved = self.approved(row, people, Track::Notice).await?;
        approved_file(self, people, &approved.parts)
    }

    /// Opens every wave whose time has come, and tells what keeps the next one closed. Died before its
    /// commit: the next look opens it; died after: it is open.
    pub(super) async fn open_waves(
        &self,
        people: &People,
        file: &CampaignFile,
        now: Timestamp,
    ) -> Result<Waves, EngineError> {
        let mut rows = self.store.waves(people.campaign).await?;
        while let Some(at) = rows.iter().position(|row| row.opened_at.is_none()) {
            let before = at.checked_sub(1).and_then(|before| rows.get(before)).cloned();
            let going = match &before {
                Some(row) => self.store.is_going(people.campaign, row.number, now).await?,
                None => false,
            };
            // The sums are asked for only where they decide: this is looked at four times a second.
            let sums =
                if going { BTreeMap::new() } else { self.store.wave_sums(people.campaign).await? };
            let reasons =
                self.reasons(people, file, &rows[at], before.as_ref(), going, &sums, now).await?;
            if !reasons.is_empty() {
                let waits = Waits { wave: rows[at].clone(), reasons };
                return Ok(Waves { rows, waits: Some(waits) });
            }
            self.open(people, &rows[at], &sums, now).await?;
            rows[at].opened_at = Some(now);
        }
        Ok(Waves { rows, waits: None })
    }

    async fn open(
        &self,
        people: &People,
        wave: &WaveRow,
        sums: &BTreeMap<u32, WaveSums>,
        now: Timestamp,
    ) -> Result<(), EngineError> {
        let entry = Entry::WaveOpened {
            campaign: people.ledger_name(),
            wave: wave.number,
            people: sums.get(&wave.number).map_or(0, |sums| sums.people.sealed),
        };
        let lines = vec![entry.line(now)];
        if self.store.open_wave(people.campaign, wave.number, now, lines).await? {
            tracing::info!(wave = wave.number, "wave {} `{}` opens", wave.number, wave.name);
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one rule")]
    async fn reasons(
        &self,
        people: &People,
        file: &CampaignFile,
        wave: &WaveRow,
        before: Option<&WaveRow>,
        is_going: bool,
        sums: &BTreeMap<u32, WaveSums>,
        now: Timestamp,
    ) -> Result<Vec<Closed>, EngineError> {
        let none = WaveSums::default();
        let rule = before.map(|row| {
            let its = sums.get(&row.number).unwrap_or(&none);
            Before {
                is_open: row.opened_at.is_some(),
                is_going,
                people: &its.people,
                carried: its.carried(),
                first_permit_at: row.first_permit_at,
            }
        });
        let gates = self.gates_without_evidence(people, file, wave).await?;
        let needs_go = before.is_some_and(|row| row.is_canary)
            && file.canary_go() == CanaryGo::Operator
            && !self.has_go(people).await?;
        Ok(closed(rule, &gates, needs_go, now))
    }

    /// Whether nothing can be done before a person acts: the next wave waits for evidence or a go, nobody
    /// in the open waves is queued or on their way, and nothing of theirs is due now.
    pub(super) async fn is_held_up(
        &self,
        people: &People,
        waves: &Waves,
        now: Timestamp,
    ) -> Result<bool, EngineError> {
        if !waves.waits.as_ref().is_some_and(Waits::is_for_people) {
            return Ok(false);
        }
        let campaign = people.campaign;
        let sums = self.store.wave_sums(campaign).await?;
        let is_open = |number: &u32| {
            waves.rows.iter().any(|row| row.number == *number && row.opened_at.is_some())
        };
        let going: u64 =
            sums.iter().filter(|(number, _)| is_open(number)).map(|(_, sums)| sums.going()).sum();
        Ok(going == 0
            && self.store.runnable_lanes(campaign, now).await?.is_empty()
            && self.store.due_doubts(campaign, now, 1).await?.is_empty())
    }

    /// Notices the machine will still move, second addresses included.
    pub(super) async fn notices_left(&self, campaign: i64) -> Result<u64, EngineError> {
        Ok(self.store.wave_sums(campaign).await?.values().map(WaveSums::machine_open).sum())
    }

    /// A campaign's waves for screens; none before its notice is approved.
    pub(super) async fn wave_views(
        &self,
        people: &People,
        file: &CampaignFile,
    ) -> Result<Vec<WaveView>, EngineError> {
        let now = self.clock.now();
        let rows = self.store.waves(people.campaign).await?;
        let sums = self.store.wave_sums(people.campaign).await?;
        let mut views = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|before| rows.get(before));
            let mut waits_for = Vec::new();
            if row.opened_at.is_none() {
                let going = match before {
                    Some(row) => self.store.is_going(people.campaign, row.number, now).await?,
                    None => false,
                };
                let reasons = self.reasons(people, file, row, before, going, &sums, now).await?;
                waits_for.extend(reasons.iter().map(in_words));
            }
            views.push(view(row, sums.get(&row.number), waits_for));
        }
        Ok(views)
    }
}

fn view(row: &WaveRow, sums: Option<&WaveSums>, waits_for: Vec<String>) -> WaveView {
    let none = WaveSums::default();
    let sums = sums.unwrap_or(&none);
    WaveView {
        number: row.number,
        name: row.name.clone(),
        state: match row.opened_at {
            None => "closed",
            Some(_) if sums.machine_open() == 0 => "finished",
            Some(_) => "open",
        },
        waits_for,
        people: sums.people.sealed,
        told: sums.people.told,
        left: sums.machine_open(),
        person_open: sums.people.person_open(),
        deadline: row.deadline.map(|at| at.to_string()),
        opened_at: row.opened_at.map(|at| at.to_string()),
    }
}

/// A reason in words.
pub(super) fn in_words(reason: &Closed) -> String {
    match reason {
        Closed::Before => "the wave before it to open".into(),
        Closed::Going => "the wave before it, whose people are still being told".into(),
        Closed::Short { told, of, until: Some(until) } => {
            format!("90 % of the wave before it ({told} of {of} told), or {until}")
        }
        Closed::Short { told, of, until: None } => {
            format!("90 % of the wave before it ({told} of {of} told)")
        }
        Closed::Gates(names) => format!("evidence for {}", names.join(", ")),
        Closed::Go => "the canary's go".into(),
    }
}
