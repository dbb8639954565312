//! `campaigns/<name>.toml`: whom to tell, how to secure them, what to send and how fast.

use jiff::SignedDuration;
use serde::Deserialize;

use super::link::Links;
use super::plan::no_campaign_file;
use super::{Engine, EngineError};
use crate::directory::sql::SqlDirectorySettings;
use crate::domain::address::EmailAddress;
use crate::domain::credential::ExpiryPolicy;
use crate::domain::duration::HumanDuration;
use crate::domain::incident::Incident;
use crate::domain::pace::{PaceFault, PaceSetting};
use crate::domain::retry::RetryPolicy;
use crate::domain::toml_file::Problems;
use crate::domain::track::Environment;
use crate::source::SourceSettings;

mod directory;
mod world;

pub use world::elsewhere;

/// What helps where a problem has no hint of its own.
const HINT: &str = "`forthwith campaign new` writes an example of every key";

/// A file that reads without a fault: what a key looks like that is missing elsewhere.
const EXAMPLE: &str = include_str!("../../templates/scaffold/campaign.toml");

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
    /// Where the affected accounts come from.
    pub audience: SourceSettings,
    /// The company's directory; needed where credentials were exposed.
    pub directory: Option<DirectorySection>,
    /// Scopes account references where there is no [directory]: the name of the one they belong to.
    pub directory_name: Option<String>,
    /// What is sent.
    pub notice: NoticeSection,
    /// Waves, in order; one wave of everybody where there are none.
    #[serde(default, rename = "wave")]
    pub waves: Vec<WaveSection>,
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

/// The company's identity store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectorySection {
    /// Scopes account references; the same for every campaign on this directory.
    pub name: String,
    /// What happens to a credential that changed after the window.
    #[serde(default)]
    pub policy: ExpiryPolicy,
    /// A SQL user table.
    pub sql: SqlDirectorySettings,
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
    /// Language where the person's own has no template.
    #[serde(default = "english")]
    pub locale: String,
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

/// One wave.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaveSection {
    /// What it is called.
    pub name: String,
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
        self.check_world(problems);
        if self.waves.len() > 1 {
            problems.at(
                "wave.1",
                format!(
                    "{} waves are named, but this version sends one; hint: keep one [[wave]]",
                    self.waves.len()
                ),
            );
        }
    }

    /// What does not fit the incident it belongs to.
    pub fn check_against(&self, incident: &Incident, problems: &mut Problems<'_>) {
        let name = problems.file().to_owned();
        let incident_name = format!("incidents/{}/incident.toml", self.incident);
        if let Err(refusal) = Links::of(self, &name, incident, &incident_name) {
            problems.at("notice.mode", refusal.to_string());
        }
    }
}

impl NoticeSection {
    fn check(&self, problems: &mut Problems<'_>) {
        let life = self.token_for.signed();
        if life < SHORTEST_TOKEN || life > LONGEST_TOKEN || life.as_secs() % 60 != 0 {
            problems.at(
                "notice.token_for",
                "`notice.token_for` must be whole minutes, at least 1m and at most 7d: notices say it; \
                 hint: `token_for = \"24h\"`",
            );
        }
        let is_domain = |domain: &String| EmailAddress::parse(&format!("a@{domain}")).is_ok();
        if self.bounce_domain.as_ref().is_some_and(|domain| !is_domain(domain)) {
            problems.at(
                "notice.bounce_domain",
                "`notice.bounce_domain` is no domain; hint: what stands behind the @ of the envelope \
                 sender, such as `bounces.example.com`",
            );
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
