//! `[canary]`: a few who are told before everybody else, to see how it goes.

use serde::Deserialize;

use super::CampaignFile;
use crate::domain::toml_file::Problems;
use crate::domain::track::Environment;

/// The canary.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CanarySection {
    /// How many people at most.
    pub size: u32,
    /// Who lets the others follow; an operator in a live campaign, nobody in a rehearsal where absent.
    pub go: Option<CanaryGo>,
}

/// Who lets the others follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CanaryGo {
    /// An operator, by their signature.
    Operator,
    /// Nobody: they follow as any wave does.
    Auto,
}

impl Default for CanarySection {
    fn default() -> Self {
        Self { size: 500, go: None }
    }
}

/// The share of an audience that a canary takes at most, in per cent.
pub const MOST_PER_CENT: u64 = 10;

/// The canary in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    /// People in it, at most; never more than a tenth of the audience.
    pub size: u64,
}

impl CampaignFile {
    /// The canary in force: on by default in live, in a rehearsal only where the file has one.
    pub fn canary(&self) -> Option<Canary> {
        let by_default = CanarySection::default();
        let is_live = self.environment == Environment::Live;
        let section = self.canary.as_ref().or(is_live.then_some(&by_default))?;
        Some(Canary { size: u64::from(section.size) })
    }

    /// Who lets the others follow the canary.
    pub fn canary_go(&self) -> CanaryGo {
        self.canary.as_ref().and_then(|canary| canary.go).unwrap_or(match self.environment {
            Environment::Live => CanaryGo::Operator,
            Environment::Rehearsal => CanaryGo::Auto,
        })
    }
}

/// What is wrong with a canary of nobody, and with one that nobody looks at in a live campaign.
pub(super) fn check(file: &CampaignFile, problems: &mut Problems<'_>) {
    let Some(canary) = &file.canary else { return };
    if canary.size == 0 {
        problems.at("canary.size", "`canary.size` is 0; hint: `size = 500`");
    }
    if file.environment == Environment::Live && canary.go == Some(CanaryGo::Auto) {
        problems.at_all(
            &["canary.go", "environment"],
            "`canary.go` is \"auto\", but a live campaign's canary waits for an operator; hint: \
             `go = \"operator\"`",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAFFOLD: &str = include_str!("../../../templates/scaffold/campaign.toml");

    fn parse(environment: &str, canary: &str) -> Result<CampaignFile, String> {
        let text = SCAFFOLD
            .replace("environment = \"rehearsal\"", &format!("environment = \"{environment}\""));
        CampaignFile::parse(&format!("{text}\n{canary}"), "campaigns/x.toml")
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_canary_is_the_default_in_live_alone() {
        let size = |environment, canary| {
            parse(environment, canary).unwrap().canary().map(|canary| canary.size)
        };
        assert_eq!(size("live", ""), Some(500));
        assert_eq!(size("live", "[canary]\nsize = 20"), Some(20));
        assert_eq!(size("rehearsal", ""), None);
        assert_eq!(size("rehearsal", "[canary]"), Some(500));
    }

    #[test]
    fn the_living_wait_for_an_operator_and_a_rehearsal_does_where_it_says_so() {
        let go = |environment, canary| parse(environment, canary).unwrap().canary_go();
        assert_eq!(go("live", ""), CanaryGo::Operator);
        assert_eq!(go("live", "[canary]\nsize = 20"), CanaryGo::Operator);
        assert_eq!(go("rehearsal", "[canary]"), CanaryGo::Auto);
        assert_eq!(go("rehearsal", "[canary]\ngo = \"operator\""), CanaryGo::Operator);
        let refused = parse("live", "[canary]\ngo = \"auto\"").unwrap_err();
        assert!(refused.contains("`canary.go`") && refused.contains("hint:"), "{refused}");
        assert!(parse("rehearsal", "[canary]\nsize = 0").unwrap_err().contains("`canary.size`"));
    }
}
