//! `campaigns/<name>.toml`: whom to tell, how to secure them, what to send and how fast.

pub mod addresses;
pub mod breaker;
pub mod canary;
pub mod cohort;
mod directory;
pub mod gate;
mod notice;
pub mod staff;
pub mod wave;
mod world;

use serde::Deserialize;

pub use addresses::AddressesSection;
pub use breaker::BreakerRule;
pub use canary::{CanaryGo, CanarySection};
pub use cohort::CohortSection;
pub use directory::{Adapter, DirectorySection, Protection};
pub use gate::GateSection;
pub use notice::{Mode, NoticeSection, Sender};
pub use staff::StaffSection;
pub use wave::WaveSection;
pub use world::elsewhere;

use super::link::Links;
use super::plan::no_campaign_file;
use super::{Engine, EngineError};
use crate::domain::duration::HumanDuration;
use crate::domain::incident::Incident;
use crate::domain::pace::{PaceFault, PaceSetting};
use crate::domain::retry::RetryPolicy;
use crate::domain::toml_file::Problems;
use crate::domain::track::Environment;
use crate::domain::zoned::ZonedInstant;
use crate::source::AudienceSettings;

/// What helps where a problem has no hint of its own.
const HINT: &str = "`forthwith campaign new` writes an example of every key";

/// A file that reads without a fault: what a key looks like that is missing elsewhere.
const EXAMPLE: &str = include_str!("../../templates/scaffold/campaign.toml");

/// A campaign as its file says it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignFile {
    /// Slug of the incident it belongs to.
    pub incident: String,
    /// Which world it may touch; a rehearsal unless it says `live`.
    #[serde(default)]
    pub environment: Environment,
    /// Where the affected accounts come from, and what they should come to.
    pub audience: AudienceSettings,
    /// Which addresses are mailed, and how those are that several accounts share.
    #[serde(default)]
    pub addresses: AddressesSection,
    /// Parts of the audience by region.
    #[serde(default, rename = "cohort")]
    pub cohorts: Vec<CohortSection>,
    /// The company's directory; needed where credentials were exposed.
    pub directory: Option<DirectorySection>,
    /// Scopes account references where there is no table `directory`: the name of the one they belong to.
    pub directory_name: Option<String>,
    /// What is sent.
    pub notice: NoticeSection,
    /// Waves, in order; one wave of everybody where there are none.
    #[serde(default, rename = "wave")]
    pub waves: Vec<WaveSection>,
    /// When the last person must be told.
    pub deadline: Option<ZonedInstant>,
    /// What must have happened before a wave opens.
    #[serde(default, rename = "gate")]
    pub gates: Vec<GateSection>,
    /// The campaign that tells the company's own people first.
    pub staff: Option<StaffSection>,
    /// A few who are told before everybody else.
    pub canary: Option<CanarySection>,
    /// When the campaign pauses itself.
    #[serde(default)]
    pub breaker: BreakerRule,
    /// When customer waves may start.
    #[serde(default)]
    pub barrier: Barrier,
    /// When a deferred notice is tried again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// What happens to a notice whose fate is unknown.
    #[serde(default)]
    pub in_doubt: InDoubtPolicy,
    /// How long a provider rests after a refusal that is the sender's fault.
    #[serde(default = "fifteen_minutes")]
    pub suspend_for: HumanDuration,
    /// How fast; outside the approval, its changes are logged.
    #[serde(default)]
    pub pace: PaceSection,
}

/// When customer waves may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Barrier {
    /// When every sealed account has a credential class other than pending.
    #[default]
    Audience,
}

/// What happens to a notice whose fate is unknown.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InDoubtPolicy {
    /// How long a relay log may settle it first; 0 where none is configured.
    #[serde(default)]
    pub reconcile_for: HumanDuration,
    /// What then; by the mode where absent, see [`CampaignFile::then`].
    pub then: Option<DoubtPolicy>,
}

/// What the policy does with a doubt nobody settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DoubtPolicy {
    /// Send the same bytes again, once.
    Resend,
    /// Hold it for `forthwith delivery resolve`.
    Hold,
}

/// How fast.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaceSection {
    /// Messages a second, over all providers.
    #[serde(default = "fifty")]
    pub per_second: f64,
    /// Messages a day (UTC), over all providers and campaigns; none = no quota.
    pub per_day: Option<u64>,
}

impl PaceSection {
    /// The pace over all.
    pub fn setting(self) -> PaceSetting {
        PaceSetting { per_second: Some(self.per_second), per_day: self.per_day }
    }
}

impl Default for PaceSection {
    fn default() -> Self {
        Self { per_second: fifty(), per_day: None }
    }
}

fn fifteen_minutes() -> HumanDuration {
    HumanDuration::from_secs(15 * 60)
}

fn fifty() -> f64 {
    50.0
}

impl CampaignFile {
    /// Reads the file's text; refused with all that is wrong with it.
    pub fn parse(text: &str, file: &str) -> Result<Self, EngineError> {
        let (parsed, problems) = Self::read(text, file);
        Ok(problems.finish(parsed)?)
    }

    /// Reads as much as can be read, with all that is wrong. A campaign that comes with problems holds
    /// the example's values where the file's could not be read: good for checks, never for use.
    pub fn read<'t>(text: &'t str, file: &str) -> (Option<Self>, Problems<'t>) {
        let mut problems = Problems::of(file, text, HINT);
        let parsed: Option<Self> = problems.read(EXAMPLE);
        if let Some(parsed) = &parsed {
            parsed.check(&mut problems);
        }
        (parsed, problems)
    }

    /// Reads back what [`canonical`] wrote.
    pub fn parse_canonical(bytes: &[u8], file: &str) -> Result<Self, EngineError> {
        let parsed: Self = serde_json::from_slice(bytes)
            .map_err(|error| EngineError::Broken(format!("approved `{file}`: {error}")))?;
        let mut problems = Problems::unplaced(file);
        parsed.check(&mut problems);
        Ok(problems.finish(Some(parsed))?)
    }

    /// What scopes the account references.
    pub fn directory_name(&self) -> &str {
        let own = self.directory.as_ref().map(|section| section.name.as_str());
        own.or(self.directory_name.as_deref()).unwrap_or("none")
    }

    /// What the policy does with a doubt nobody settled: what the file says, else by the mode. A
    /// second copy of a secret is worse than a wait, so mode `link` holds.
    pub fn then(&self) -> DoubtPolicy {
        self.in_doubt.then.unwrap_or(match self.notice.mode {
            Mode::Link => DoubtPolicy::Hold,
            Mode::Site | Mode::None => DoubtPolicy::Resend,
        })
    }

    /// What types cannot say. A section of its own file has a `check` of the same form, called here.
    fn check(&self, problems: &mut Problems<'_>) {
        self.notice.check(problems);
        self.pace.check(problems);
        if let Some(directory) = &self.directory {
            directory.check(problems);
        }
        if self.directory.is_some() && self.directory_name.is_some() {
            problems.at(
                "directory_name",
                "`directory_name` is for campaigns without a [directory]; hint: `directory.name` says \
                 it already",
            );
        }
        self.addresses.check(problems);
        cohort::check(&self.cohorts, problems);
        for check in [wave::check, gate::check, canary::check, breaker::check] {
            check(self, problems);
        }
        self.check_world(problems);
    }

    /// What does not fit the incident it belongs to.
    pub fn check_against(&self, incident: &Incident, problems: &mut Problems<'_>) {
        let name = problems.file().to_owned();
        let incident_name = format!("incidents/{}/incident.toml", self.incident);
        let exposed = &incident.exposed().credentials;
        if let Some(fallen) = self.directory.as_ref().and_then(|it| it.fallen_factor(exposed)) {
            problems.at("directory.second_factor", fallen);
        }
        if let Err(refusal) = Links::of(self, &name, incident, &incident_name) {
            problems.at("notice.mode", refusal.to_string());
        }
    }
}

impl PaceSection {
    fn check(&self, problems: &mut Problems<'_>) {
        match self.setting().check() {
            Ok(_) => {}
            Err(fault @ PaceFault::PerDay) => {
                problems.at("pace.per_day", format!("[pace]: {fault}"));
            }
            Err(fault) => problems.at("pace.per_second", format!("[pace]: {fault}")),
        }
    }
}

/// The file's meaning without its pace, as canonical JSON: what a notice snapshot holds of it.
pub fn canonical(text: &str, file: &str) -> Result<Vec<u8>, EngineError> {
    let mut table: toml::Table =
        toml::from_str(text).map_err(|error| EngineError::refused(format!("`{file}`: {error}")))?;
    table.remove("pace");
    let value = serde_json::to_value(table)
        .map_err(|error| EngineError::Broken(format!("`{file}` as JSON: {error}")))?;
    Ok(value.to_string().into_bytes())
}

impl Engine {
    /// Reads a campaign's file as it is now.
    pub fn campaign_file(&self, name: &str) -> Result<CampaignFile, EngineError> {
        let (path, file) = self.workspace.campaign_file(name);
        match self.own_text(&path, &file)? {
            Some(text) => CampaignFile::parse(&text, &file),
            None => Err(no_campaign_file(name, &file)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAFFOLD: &str = include_str!("../../templates/scaffold/campaign.toml");

    fn parse(notice: &str) -> Result<CampaignFile, EngineError> {
        let text = SCAFFOLD.replacen("mode = \"site\"", notice, 1);
        CampaignFile::parse(&text, "campaigns/x.toml")
    }

    #[test]
    fn a_doubt_is_held_by_default_in_mode_link_alone_and_an_explicit_word_wins() {
        for (mode, default) in [
            ("mode = \"site\"", DoubtPolicy::Resend),
            ("mode = \"none\"", DoubtPolicy::Resend),
            ("mode = \"link\"", DoubtPolicy::Hold),
        ] {
            let file = parse(mode).unwrap();
            assert_eq!(file.then(), default, "{mode}");
            for (word, then) in [("resend", DoubtPolicy::Resend), ("hold", DoubtPolicy::Hold)] {
                let text = SCAFFOLD.replacen("mode = \"site\"", mode, 1).replacen(
                    "#then = \"resend\"",
                    &format!("then = \"{word}\""),
                    1,
                );
                let file = CampaignFile::parse(&text, "campaigns/x.toml").unwrap();
                assert_eq!((file.in_doubt.then, file.then()), (Some(then), then), "{mode} {word}");
            }
        }
    }
}
