//! `[[wave]]` and `deadline`: the order people are told in, and by when.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::CampaignFile;
use crate::domain::toml_file::Problems;
use crate::domain::wave::{CANARY, WaveWish};
use crate::domain::zoned::ZonedInstant;

/// One wave.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaveSection {
    /// What it is called.
    pub name: String,
    /// The cohorts in it; empty = everybody whom no other wave names.
    #[serde(default)]
    pub cohorts: Vec<String>,
    /// When its people must be told; the campaign's deadline where absent.
    pub deadline: Option<ZonedInstant>,
}

impl CampaignFile {
    /// The waves as the rule takes them.
    pub fn wave_wishes(&self) -> Vec<WaveWish> {
        let wish = |wave: &WaveSection| WaveWish {
            name: wave.name.clone(),
            cohorts: wave.cohorts.clone(),
            deadline: wave.deadline.as_ref().map(ZonedInstant::timestamp),
        };
        self.waves.iter().map(wish).collect()
    }
}

/// What is wrong with waves that contradict each other or the campaign.
pub(super) fn check(file: &CampaignFile, problems: &mut Problems<'_>) {
    let (mut names, mut cohorts) = (BTreeSet::from([CANARY]), BTreeSet::from([CANARY]));
    for (place, wave) in file.waves.iter().enumerate() {
        let key = |word: &str| format!("wave.{place}.{word}");
        if wave.name.trim().is_empty() || !names.insert(&wave.name) {
            problems.at(
                &key("name"),
                format!(
                    "[[wave]] {} is called `{}`, which is {}; hint: each `wave.name` is one of its own",
                    place + 1,
                    wave.name,
                    if wave.name == CANARY { "the canary's name" } else { "empty or taken" }
                ),
            );
        }
        if wave.cohorts.is_empty() && place + 1 < file.waves.len() {
            problems.at(
                &key("cohorts"),
                format!(
                    "wave `{}` names no cohorts, so it takes everybody else, but waves follow it; \
                     hint: name its `cohorts`, or put it last",
                    wave.name
                ),
            );
        }
        for (item, cohort) in wave.cohorts.iter().enumerate() {
            if !cohorts.insert(cohort) {
                problems.at(
                    &format!("wave.{place}.cohorts.{item}"),
                    format!(
                        "wave `{}` names cohort `{cohort}`, which {}; hint: `wave.cohorts`",
                        wave.name,
                        if cohort == CANARY {
                            "goes first by itself"
                        } else {
                            "another wave names"
                        }
                    ),
                );
            }
        }
        if let (Some(own), Some(all)) = (&wave.deadline, &file.deadline)
            && own.timestamp() > all.timestamp()
        {
            problems.at_all(
                &[&key("deadline"), "deadline"],
                format!(
                    "wave `{}` is due at {own}, after the campaign's own `deadline` ({all}); hint: \
                     the campaign's is the last of all",
                    wave.name
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::campaign_file::CampaignFile;

    const SCAFFOLD: &str = include_str!("../../../templates/scaffold/campaign.toml");

    fn parse(head: &str, tail: &str) -> Result<CampaignFile, String> {
        let text = format!("{head}\n{SCAFFOLD}\n{tail}");
        CampaignFile::parse(&text, "campaigns/x.toml").map_err(|error| error.to_string())
    }

    #[test]
    fn waves_have_names_cohorts_and_deadlines() {
        let file = parse(
            "deadline = \"2026-03-05T18:00[Europe/Paris]\"",
            "[[wave]]\nname = \"brazil\"\ncohorts = [\"br\"]\n\
             deadline = \"2026-03-03T18:00[America/Sao_Paulo]\"\n[[wave]]\nname = \"others\"\n",
        )
        .unwrap();
        let wishes = file.wave_wishes();
        assert_eq!((wishes[0].name.as_str(), wishes[0].cohorts.len()), ("brazil", 1));
        assert_eq!(wishes[0].deadline.unwrap().to_string(), "2026-03-03T21:00:00Z");
        assert!(wishes[1].cohorts.is_empty() && wishes[1].deadline.is_none());
    }

    #[test]
    fn waves_that_contradict_each_other_are_refused_with_a_hint() {
        let early = "deadline = \"2026-03-01T18:00[UTC]\"";
        for (head, tail, word) in [
            ("", "[[wave]]\nname = \"a\"\n[[wave]]\nname = \"b\"\n", "names no cohorts"),
            ("", "[[wave]]\nname = \"a\"\ncohorts = [\"x\"]\n[[wave]]\nname = \"a\"\n", "taken"),
            ("", "[[wave]]\nname = \"canary\"\n", "the canary's name"),
            ("", "[[wave]]\nname = \"a\"\ncohorts = [\"canary\"]\n", "goes first"),
            ("", "[[wave]]\nname = \"a\"\ncohorts = [\"x\", \"x\"]\n", "another wave names"),
            (early, "[[wave]]\nname = \"a\"\ndeadline = \"2026-03-02T18:00[UTC]\"\n", "due at"),
        ] {
            let error = parse(head, tail).unwrap_err();
            assert!(error.contains(word) && error.contains("hint:"), "{error}");
        }
    }
}
