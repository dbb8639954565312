//! Pace at run time: what is in force, what an operator sets over it, a provider's rest.

use jiff::Timestamp;
use serde::Serialize;

use super::notice::NoticeWriter;
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::duration::HumanDuration;
use crate::domain::ledger::Entry;
use crate::domain::pace::{ALL, PaceFault, PaceOverrides, PaceSetting, PaceTable, day_of};
use crate::store::campaigns::CampaignRow;
use crate::store::pace::PaceRow;

/// One scope's pace for screens.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PaceView {
    /// A provider's name; `all` is the pace over all.
    pub scope: String,
    /// Notices a second.
    pub per_second: Option<f64>,
    /// Notices a day.
    pub per_day: Option<u64>,
    /// Notices begun today (UTC), by every campaign.
    pub today: u64,
    /// Notices on their way at the same time.
    pub at_once: Option<u32>,
    /// `file`, or who set it and when.
    pub from: String,
    /// Until when the provider is suspended.
    pub suspended_until: Option<String>,
    /// Why.
    pub cause: Option<String>,
}

fn shown(scope: &str) -> String {
    if scope == ALL { "all".into() } else { scope.into() }
}

fn refused(fault: &PaceFault) -> EngineError {
    EngineError::refused(fault.to_string())
}

impl Engine {
    /// The limits in force for a campaign whose file says `file`.
    pub(super) async fn limits(
        &self,
        campaign: i64,
        file: PaceSetting,
    ) -> Result<PaceTable, EngineError> {
        let set: PaceOverrides = self
            .store
            .paces(campaign)
            .await?
            .into_iter()
            .map(|row| (row.scope, row.setting))
            .collect();
        Ok(PaceTable::of(file, &self.providers, &set))
    }

    /// The pace is outside the approval: the file's value of this moment holds, and the ledger says so.
    pub(super) async fn pace_of(
        &self,
        row: &CampaignRow,
        people: &People,
        writer: &NoticeWriter,
    ) -> Result<PaceSetting, EngineError> {
        let setting = match self.campaign_file(&row.name) {
            Ok(file) => file.pace.setting(),
            Err(error) => {
                tracing::warn!(%error, "the campaign file cannot be read: the default pace holds");
                writer.file().pace.setting()
            }
        };
        let all = self.limits(row.id, setting).await?.all;
        let entry = pace_entry(people, ALL, all, "file");
        self.store.append_ledger(vec![entry.line(self.clock.now())]).await?;
        Ok(setting)
    }

    /// Every scope's pace as it is in force, `all` first.
    pub async fn paces(&self, name: &str) -> Result<Vec<PaceView>, EngineError> {
        let (row, _) = self.people(name).await?;
        let file = self.campaign_file(name)?.pace.setting();
        let table = self.limits(row.id, file).await?;
        let set = self.store.paces(row.id).await?;
        let used = self.store.used_on(day_of(self.clock.now())).await?;
        let lanes = self.store.lanes(row.id).await?;
        let providers = table
            .providers
            .iter()
            .map(|(name, pace)| (name.as_str(), pace.setting, Some(pace.at_once)));
        let view = |(scope, setting, at_once): (&str, PaceSetting, Option<u32>)| {
            let by = set.iter().find(|row| row.scope == scope);
            let rests = lanes
                .iter()
                .filter(|lane| lane.lane.provider == scope)
                .find_map(|lane| lane.suspended.as_ref());
            PaceView {
                scope: shown(scope),
                per_second: setting.per_second,
                per_day: setting.per_day,
                today: used.get(scope).copied().unwrap_or(0),
                at_once,
                from: by.map_or("file".into(), |row| format!("{} at {}", row.set_by, row.set_at)),
                suspended_until: rests.map(|rest| rest.until.to_string()),
                cause: rests.map(|rest| rest.cause.clone()),
            }
        };
        Ok(std::iter::once((ALL, table.all, None)).chain(providers).map(view).collect())
    }

    /// The scope that `provider` names; refused where the table does not know it.
    fn scope(&self, provider: Option<&str>) -> Result<String, EngineError> {
        let Some(provider) = provider else { return Ok(ALL.to_owned()) };
        if self.providers.names().any(|name| name.as_str() == provider) {
            return Ok(provider.to_owned());
        }
        Err(refused(&PaceFault::Unknown(provider.to_owned())))
    }

    /// Sets a provider's pace, or that over all; a running worker follows within a second. What is not
    /// named stays as it was set before.
    pub async fn set_pace(
        &self,
        name: &str,
        provider: Option<&str>,
        setting: PaceSetting,
        by: &str,
    ) -> Result<PaceSetting, EngineError> {
        let (row, people) = self.people(name).await?;
        let scope = self.scope(provider)?;
        let setting = setting.check().map_err(|fault| refused(&fault))?;
        let before = self.store.paces(row.id).await?;
        let before = before.into_iter().find(|row| row.scope == scope);
        let setting = setting.over(before.map(|row| row.setting).unwrap_or_default());
        let now = self.clock.now();
        let lines = vec![pace_entry(&people, &scope, setting, by).line(now)];
        let pace = PaceRow { scope, setting, set_by: by.to_owned(), set_at: now };
        self.store.set_pace(row.id, pace, lines).await?;
        Ok(setting)
    }

    /// Takes back what was set, for one provider, over all, or everywhere; tells how many there were.
    pub async fn reset_pace(
        &self,
        name: &str,
        provider: Option<&str>,
        everywhere: bool,
        by: &str,
    ) -> Result<u64, EngineError> {
        let (row, people) = self.people(name).await?;
        let scope = self.scope(provider)?;
        let wanted = (!everywhere).then_some(scope.as_str());
        let file = self.campaign_file(name)?.pace.setting();
        let table = PaceTable::of(file, &self.providers, &PaceOverrides::new());
        let now = self.clock.now();
        let lines = self
            .store
            .paces(row.id)
            .await?
            .iter()
            .filter(|row| wanted.is_none_or(|scope| row.scope == scope))
            .map(|row| {
                let back = match row.scope.as_str() {
                    ALL => table.all,
                    name => table.provider(name).map(|pace| pace.setting).unwrap_or_default(),
                };
                pace_entry(&people, &row.scope, back, by).line(now)
            })
            .collect();
        Ok(self.store.reset_pace(row.id, wanted, lines).await?)
    }

    /// Lets a provider rest; nothing more goes to it within a second, and its retry windows stand still.
    pub async fn suspend_provider(
        &self,
        name: &str,
        provider: &str,
        rest: HumanDuration,
        reason: &str,
        by: &str,
    ) -> Result<Timestamp, EngineError> {
        let (row, people) = self.people(name).await?;
        self.scope(Some(provider))?;
        let lanes = self.store.lanes_of(row.id, provider).await?;
        if lanes.is_empty() {
            return Err(EngineError::refused(format!(
                "nobody of campaign `{name}` has a mailbox at provider `{provider}`; hint: \
                 `forthwith pace show {name}` lists the providers"
            )));
        }
        let until = super::notify::outcome::later(self.clock.now(), rest.unsigned());
        for lane in &lanes {
            let cause = format!("{reason} ({by})");
            self.suspend_lane(&people, lane, until, cause, None).await?;
        }
        Ok(until)
    }

    /// Lets a suspended provider go on before its time.
    pub async fn resume_provider(&self, name: &str, provider: &str) -> Result<(), EngineError> {
        let (row, people) = self.people(name).await?;
        self.scope(Some(provider))?;
        let now = self.clock.now();
        let entry = people.lane_changed(provider, "resumed", None, None);
        let lines = vec![entry.line(now)];
        if self.store.end_suspensions(row.id, provider, now, lines).await?.is_empty() {
            return Err(EngineError::refused(format!(
                "provider `{provider}` is not suspended in campaign `{name}`; hint: `forthwith pace \
                 show {name}`"
            )));
        }
        Ok(())
    }
}

fn pace_entry(people: &People, scope: &str, setting: PaceSetting, by: &str) -> Entry {
    Entry::Pace {
        campaign: people.ledger_name(),
        provider: scope.to_owned(),
        per_second: setting.per_second.map(|rate| rate.to_string()),
        per_day: setting.per_day,
        by: by.to_owned(),
    }
}
