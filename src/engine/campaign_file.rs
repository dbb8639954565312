//! `campaigns/<name>.toml`: whom to tell, how to secure them, what to send and how fast.

pub mod addresses;
pub mod breaker;
pub mod canary;
pub mod cohort;
mod directory;
pub mod gate;
pub mod staff;
pub mod wave;

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Deserialize;

pub use addresses::AddressesSection;
pub use breaker::BreakerRule;
pub use canary::{CanaryGo, CanarySection};
pub use cohort::CohortSection;
pub use directory::{DirectorySection, Protection};
pub use gate::GateSection;
pub use staff::StaffSection;
pub use wave::WaveSection;

use super::{Engine, EngineError};
use crate::domain::address::EmailAddress;
use crate::domain::duration::HumanDuration;
use crate::domain::pace::PaceSetting;
use crate::domain::retry::RetryPolicy;
use crate::domain::track::Environment;
use crate::domain::zoned::ZonedInstant;
use crate::source::AudienceSettings;

/// The shortest and the longest life of a personal link.
const SHORTEST_TOKEN: SignedDuration = SignedDuration::from_mins(1);
const LONGEST_TOKEN: SignedDuration = SignedDuration::from_hours(7 * 24);

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
    /// Scopes account references where there is no [directory]: the name of the one they belong to.
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

/// What is sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeSection {
    /// Folder under `templates/mail/`.
    pub template: String,
    /// How people come to a new password.
    #[serde(default)]
    pub mode: Mode,
    /// How long a personal link lives, from the latest attempt on; for mode `link`.
    #[serde(default = "one_day")]
    pub token_for: HumanDuration,
    /// Language of people whose own the notice is not told in.
    #[serde(default = "english")]
    pub locale: String,
    /// Language of the people of a region, where they have no tag of their own that it is told in.
    #[serde(default)]
    pub region_locales: BTreeMap<String, String>,
    /// Languages without which nothing may be planned.
    #[serde(default)]
    pub require_locales: Vec<String>,
    /// Who the mail is from.
    pub from: Sender,
    /// Where answers go.
    pub reply_to: Option<EmailAddress>,
    /// The envelope sender's domain; the From domain where absent.
    pub bounce_domain: Option<String>,
}

/// A name and an address.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    /// The name shown.
    pub name: String,
    /// The address.
    pub address: EmailAddress,
}

/// How people come to a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// They go to the site they know; no link and no secret in the mail.
    #[default]
    Site,
    /// Each gets a link of their own with a single-use token, and the site's words beside it.
    Link,
    /// The notice speaks of no new password.
    None,
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

const fn one_day() -> HumanDuration {
    HumanDuration::from_secs(24 * 60 * 60)
}

fn english() -> String {
    "en".into()
}

fn fifty() -> f64 {
    50.0
}

impl CampaignFile {
    /// Reads the file's text; errors keep line and column and name the file.
    pub fn parse(text: &str, file: &str) -> Result<Self, EngineError> {
        let parsed: Self = toml::from_str(text).map_err(|error| {
            EngineError::refused(format!(
                "`{file}`: {error}hint: `forthwith campaign new` writes an example of every key"
            ))
        })?;
        parsed.check(file)
    }

    /// Reads back what [`canonical`] wrote.
    pub fn parse_canonical(bytes: &[u8], file: &str) -> Result<Self, EngineError> {
        let parsed: Self = serde_json::from_slice(bytes)
            .map_err(|error| EngineError::Broken(format!("approved `{file}`: {error}")))?;
        parsed.check(file)
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

    fn check(self, file: &str) -> Result<Self, EngineError> {
        let refuse = |what: String| Err(EngineError::refused(format!("`{file}`: {what}")));
        let token_for = self.notice.token_for.signed();
        if token_for < SHORTEST_TOKEN || token_for > LONGEST_TOKEN || token_for.as_secs() % 60 != 0
        {
            return refuse(
                "`notice.token_for` must be whole minutes, at least 1m and at most 7d: notices say it; \
                 hint: `token_for = \"24h\"`"
                    .into(),
            );
        }
        if let Err(what) = self.addresses.check().and_then(|()| cohort::check(&self.cohorts)) {
            return refuse(what);
        }
        if let Err(fault) = super::locale::check(&self.notice) {
            return refuse(fault);
        }
        if let Err(fault) = self.pace.setting().check() {
            return refuse(format!("[pace]: {fault}"));
        }
        if let Some(directory) = &self.directory
            && let Err(fault) = directory.check()
        {
            return refuse(fault);
        }
        if self.directory.is_some() && self.directory_name.is_some() {
            return refuse(
                "`directory_name` is for campaigns without a [directory]; hint: `directory.name` says \
                 it already"
                    .into(),
            );
        }
        let launch = [wave::check, gate::check, canary::check, breaker::check];
        if let Err(fault) = launch.iter().try_for_each(|check| check(&self)) {
            return refuse(fault);
        }
        Ok(self)
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
        if !path.exists() {
            return Err(EngineError::refused(format!(
                "there is no `{file}`; hint: write it, or start from `forthwith campaign new {name}`"
            )));
        }
        CampaignFile::parse(&self.workspace.read(&path)?, &file)
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

    #[test]
    fn a_link_lives_a_day_unless_the_file_says_otherwise_and_never_over_a_week() {
        assert_eq!(parse("mode = \"link\"").unwrap().notice.token_for.to_string(), "1d");
        for good in ["1m", "90m", "7d"] {
            let notice = format!("mode = \"link\"\ntoken_for = \"{good}\"");
            assert!(parse(&notice).is_ok(), "{good}");
        }
        for bad in ["0s", "30s", "90s", "169h", "8d"] {
            let notice = format!("mode = \"link\"\ntoken_for = \"{bad}\"");
            let error = parse(&notice).unwrap_err().to_string();
            assert!(error.contains("`notice.token_for`") && error.contains("hint:"), "{error}");
        }
    }
}
