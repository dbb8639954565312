//! When everybody will have been told, and what would have to be true to be in time.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::campaign_file::CampaignFile;
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::forecast::{Finish, Flow, Work, finishes, needed_per_second};
use crate::domain::pace::{ALL, PaceTable, day_of};
use crate::domain::provider::OTHER;
use crate::domain::wave::WavePlan;
use crate::store::campaigns::CampaignRow;
use crate::store::waves::WaveRow;

/// A forecast from now on. It counts neither refusals nor the time that people take for gates and a go.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// Notices still to be sent.
    pub notices: u64,
    /// The pace over all, a second.
    pub per_second: Option<f64>,
    /// And a day.
    pub per_day: Option<u64>,
    /// When the last is told; absent where that takes longer than ten years.
    pub finish: Option<String>,
    /// By when it must be.
    pub deadline: Option<String>,
    /// By provider, the last to finish first.
    pub providers: Vec<ProviderForecast>,
    /// By wave, in order.
    pub waves: Vec<WaveForecast>,
    /// What will be late, and what would have to be true.
    pub warnings: Vec<String>,
}

/// One provider's forecast.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProviderForecast {
    /// Its name.
    pub provider: String,
    /// Notices still to be sent to it.
    pub notices: u64,
    /// Its own pace a second; of each domain where it is `other`.
    pub per_second: Option<f64>,
    /// And a day.
    pub per_day: Option<u64>,
    /// When its last is told.
    pub finish: Option<String>,
}

/// One wave's forecast.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WaveForecast {
    /// Its place, from 1.
    pub number: u32,
    /// What it is called.
    pub name: String,
    /// Notices still to be sent.
    pub notices: u64,
    /// When its last is told.
    pub finish: Option<String>,
    /// By when it must be.
    pub deadline: Option<String>,
    /// It will not be.
    pub is_late: bool,
}

/// A wave as far as a forecast needs it.
struct Due {
    number: u32,
    name: String,
    deadline: Option<Timestamp>,
}

impl Engine {
    /// The forecast of a campaign by its file as it is now, from its chunks alone.
    pub async fn forecast(&self, name: &str) -> Result<Forecast, EngineError> {
        let (row, people) = self.people(name).await?;
        let file = self.campaign_file(name)?;
        let plan = self.wave_plan(&people, &file).await?;
        let missing = self.cohorts_of_nobody(&people, &file).await?;
        let mut forecast = self.forecast_of(&row, &file, Some(&plan)).await?;
        forecast.warnings.extend(missing);
        Ok(forecast)
    }

    /// The forecast in the waves that `plan` would make, else in those that were approved.
    pub(super) async fn forecast_of(
        &self,
        row: &CampaignRow,
        file: &CampaignFile,
        plan: Option<&WavePlan>,
    ) -> Result<Forecast, EngineError> {
        let now = self.clock.now();
        let mut left: BTreeMap<(u32, String), u64> = BTreeMap::new();
        for place in self.store.places(row.id).await? {
            let wave = plan.map_or(place.wave, |plan| plan.wave_of(&place.cohort));
            *left.entry((wave, place.provider)).or_default() += place.notices;
        }
        let part = |((wave, provider), notices)| Work { wave, provider, notices };
        let work: Vec<Work> = left.into_iter().map(part).collect();
        let due = match plan {
            Some(plan) => plan
                .waves
                .iter()
                .map(|w| Due { number: w.number, name: w.name.clone(), deadline: w.deadline })
                .collect(),
            None => self.store.waves(row.id).await?.into_iter().map(due_of).collect::<Vec<_>>(),
        };
        let pace = self.campaign_file(&row.name).map_or(file.pace, |now| now.pace).setting();
        let table = self.limits(row.id, pace).await?;
        let (all, flows) = self.flows(row.id, &table, now).await?;
        let ends = finishes(&work, all, &flows, now);
        let deadline = file.deadline.as_ref().map(crate::domain::zoned::ZonedInstant::timestamp);
        Ok(told(&row.name, now, &ends, &due, &table, deadline))
    }

    /// Every limit as a flow, with what today has used and how long a provider rests.
    async fn flows(
        &self,
        campaign: i64,
        table: &PaceTable,
        now: Timestamp,
    ) -> Result<(Flow, BTreeMap<String, Flow>), EngineError> {
        let used = self.store.used_on(day_of(now)).await?;
        let lanes = self.store.lanes(campaign).await?;
        let today = |scope: &str| used.get(scope).copied().unwrap_or(0);
        let rests = |name: &str| {
            let suspended = lanes.iter().filter(|row| row.lane.provider == name);
            suspended.filter_map(|row| row.suspended.as_ref()).map(|rest| rest.until).max()
        };
        let provider = |(name, pace): (&String, &crate::domain::pace::ProviderPace)| {
            let flow = Flow {
                // `other` is many: its pace is that of each domain
                per_second: pace.setting.per_second.filter(|_| name != OTHER),
                per_day: pace.setting.per_day,
                used_today: today(name),
                rests_until: rests(name),
            };
            (name.clone(), flow)
        };
        let all = Flow {
            per_second: table.all.per_second,
            per_day: table.all.per_day,
            used_today: today(ALL),
            rests_until: None,
        };
        Ok((all, table.providers.iter().map(provider).collect()))
    }

    /// Cohorts that waves name and nobody is in.
    async fn cohorts_of_nobody(
        &self,
        people: &People,
        file: &CampaignFile,
    ) -> Result<Vec<String>, EngineError> {
        let sealed = self.store.cohorts(people.campaign).await?;
        let named = file.waves.iter().flat_map(|wave| {
            wave.cohorts.iter().map(move |cohort| (wave.name.as_str(), cohort.as_str()))
        });
        Ok(named
            .filter(|(_, cohort)| !sealed.contains(*cohort))
            .map(|(wave, cohort)| {
                format!(
                    "wave `{wave}` names cohort `{cohort}`, in which nobody was sealed; hint: \
                     [[cohort]] says who is in it, before the seal"
                )
            })
            .collect())
    }
}

fn due_of(row: WaveRow) -> Due {
    Due { number: row.number, name: row.name, deadline: row.deadline }
}

/// The latest of some ends; none where one of them has none.
fn last<'a>(ends: impl Iterator<Item = &'a Finish>) -> Option<Timestamp> {
    let ends: Option<Vec<Timestamp>> = ends.map(|end| end.at).collect();
    ends?.into_iter().max()
}

/// That instant to the minute: a forecast is no nearer.
fn shown(at: Timestamp) -> String {
    let minute = SignedDuration::from_mins(1);
    at.round(jiff::TimestampRound::new().smallest(jiff::Unit::Minute).mode(jiff::RoundMode::Ceil))
        .unwrap_or_else(|_| at.saturating_add(minute).unwrap_or(at))
        .to_string()
}

fn told(
    name: &str,
    now: Timestamp,
    ends: &[Finish],
    due: &[Due],
    table: &PaceTable,
    deadline: Option<Timestamp>,
) -> Forecast {
    let notices = |part: &dyn Fn(&Finish) -> bool| -> u64 {
        ends.iter().filter(|end| part(end)).map(|end| end.work.notices).sum()
    };
    let finish = last(ends.iter()).or_else(|| ends.is_empty().then_some(now));
    let mut warnings = Vec::new();
    let mut waves = Vec::with_capacity(due.len());
    for wave in due {
        let of_it = || ends.iter().filter(|end| end.work.wave == wave.number);
        let end = last(of_it()).or_else(|| of_it().next().is_none().then_some(now));
        let until_it: Vec<&Finish> =
            ends.iter().filter(|end| end.work.wave <= wave.number).collect();
        let is_late = is_late(end, wave.deadline);
        if let Some(deadline) = wave.deadline.filter(|_| is_late) {
            let what = format!("wave `{}`", wave.name);
            warnings.push(warning(name, &what, end, deadline, &until_it, table, now));
        }
        waves.push(WaveForecast {
            number: wave.number,
            name: wave.name.clone(),
            notices: notices(&|end| end.work.wave == wave.number),
            finish: end.map(shown),
            deadline: wave.deadline.map(|at| at.to_string()),
            is_late,
        });
    }
    // Where the last wave says it already, it is not said twice.
    let is_said = due.last().is_some_and(|wave| wave.deadline == deadline) && !warnings.is_empty();
    if let Some(deadline) = deadline.filter(|at| is_late(finish, Some(*at)) && !is_said) {
        let all: Vec<&Finish> = ends.iter().collect();
        warnings.push(warning(name, "the campaign", finish, deadline, &all, table, now));
    }
    Forecast {
        notices: notices(&|_| true),
        per_second: table.all.per_second,
        per_day: table.all.per_day,
        finish: finish.map(shown),
        deadline: deadline.map(|at| at.to_string()),
        providers: by_provider(ends, table),
        waves,
        warnings,
    }
}

fn is_late(end: Option<Timestamp>, deadline: Option<Timestamp>) -> bool {
    deadline.is_some_and(|deadline| end.is_none_or(|end| end > deadline))
}

fn by_provider(ends: &[Finish], table: &PaceTable) -> Vec<ProviderForecast> {
    let mut names: Vec<&str> = ends.iter().map(|end| end.work.provider.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut found: Vec<(Option<Timestamp>, ProviderForecast)> = names
        .into_iter()
        .map(|name| {
            let of_it = || ends.iter().filter(|end| end.work.provider == name);
            let setting = table.provider(name).map(|pace| pace.setting).unwrap_or_default();
            let end = last(of_it().filter(|end| end.work.notices > 0));
            let forecast = ProviderForecast {
                provider: name.to_owned(),
                notices: of_it().map(|end| end.work.notices).sum(),
                per_second: setting.per_second,
                per_day: setting.per_day,
                finish: end.map(shown),
            };
            (end, forecast)
        })
        .filter(|(_, forecast)| forecast.notices > 0)
        .collect();
    found.sort_by(|(a, _), (b, _)| b.unwrap_or(Timestamp::MAX).cmp(&a.unwrap_or(Timestamp::MAX)));
    found.into_iter().map(|(_, forecast)| forecast).collect()
}

/// What is late, by how much, and what would have to be true.
fn warning(
    name: &str,
    what: &str,
    end: Option<Timestamp>,
    deadline: Timestamp,
    ends: &[&Finish],
    table: &PaceTable,
    now: Timestamp,
) -> String {
    let ends_at = end.map_or("in more than ten years".into(), |end| format!("at {}", shown(end)));
    let notices: u64 = ends.iter().map(|end| end.work.notices).sum();
    let Some(needed) = needed_per_second(notices, now, deadline) else {
        return format!(
            "{what} is late: its deadline {deadline} has passed with {notices} notices left, and the \
             last goes {ends_at}; hint: tell who has to know of the delay, and why"
        );
    };
    let mut wants = vec![format!(
        "{needed:.1} notices a second over all{}",
        table.all.per_second.map(|rate| format!(" (the pace is {rate})")).unwrap_or_default()
    )];
    for (provider, pace) in &table.providers {
        let of_it = ends.iter().filter(|end| end.work.provider == *provider);
        let notices: u64 = of_it.map(|end| end.work.notices).sum();
        let own = pace.setting.per_second.filter(|_| provider != OTHER);
        if let (Some(needed), Some(own)) = (needed_per_second(notices, now, deadline), own)
            && needed > own
        {
            wants.push(format!("{needed:.1} to {provider} (its pace is {own})"));
        }
    }
    if table.all.per_day.is_some() || table.providers.values().any(|p| p.setting.per_day.is_some())
    {
        wants.push("day quotas that let them through".into());
    }
    format!(
        "{what} will be late: the last is told {ends_at}, the deadline is {deadline}; in time it would \
         take {}; hint: `forthwith pace set {name}`, a relay with more warm addresses, or another \
         channel for some",
        wants.join(", ")
    )
}
