//! `[[gate]]`: what somebody must have seen to before a wave opens.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::CampaignFile;
use super::staff::STAFF;
use crate::domain::toml_file::Problems;
use crate::domain::wave::CANARY;

/// A gate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateSection {
    /// A word of its own: small letters, digits and dashes.
    pub name: String,
    /// What must have happened, in the operators' words.
    pub text: String,
    /// The wave it stands before; the first where absent.
    pub wave: Option<String>,
}

/// What is wrong with gates without words, twice the same, or before a wave there is not.
pub(super) fn check(file: &CampaignFile, problems: &mut Problems<'_>) {
    let mut names = BTreeSet::new();
    for (at, gate) in file.gates.iter().enumerate() {
        let key = |word: &str| format!("gate.{at}.{word}");
        let is_word = (1..=40).contains(&gate.name.len())
            && gate.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        if !is_word || !names.insert(&gate.name) {
            problems.at(
                &key("name"),
                format!(
                    "`{}` cannot be a gate's name: {}; hint: `gate.name` is 1 to 40 small letters, \
                     digits and dashes, such as `regulator-told`",
                    gate.name,
                    if is_word { "another gate has it" } else { "it is no such word" }
                ),
            );
        }
        if gate.name == STAFF && file.staff.is_some() {
            problems.at_all(
                &[&key("name"), "staff.campaign"],
                "a gate cannot be called `staff` where [staff] names a campaign; hint: another \
                 `gate.name`",
            );
        }
        if gate.text.trim().is_empty() {
            problems.at(
                &key("text"),
                format!("gate `{}` does not say what it waits for; hint: `gate.text`", gate.name),
            );
        }
        let is_known =
            |wave: &str| wave == CANARY || file.waves.iter().any(|known| known.name == wave);
        // a wave whose name was not read may be the one that is meant
        let are_read = |at| problems.is_sound(&format!("wave.{at}.name"));
        let is_sure = (0..file.waves.len()).all(are_read);
        if let Some(wave) = gate.wave.as_deref().filter(|wave| is_sure && !is_known(wave)) {
            problems.at(
                &key("wave"),
                format!(
                    "gate `{}` stands before wave `{wave}`, which no [[wave]] is called; hint: \
                     `gate.wave` is a `wave.name`, or `canary`",
                    gate.name
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::campaign_file::CampaignFile;

    const SCAFFOLD: &str = include_str!("../../../templates/scaffold/campaign.toml");

    fn parse(tail: &str) -> Result<CampaignFile, String> {
        let text = format!("{SCAFFOLD}\n{tail}");
        CampaignFile::parse(&text, "campaigns/x.toml").map_err(|error| error.to_string())
    }

    #[test]
    fn gates_that_cannot_be_passed_are_refused_with_a_hint() {
        let gate = |name: &str, more: &str| {
            format!("[[gate]]\nname = \"{name}\"\ntext = \"told\"\n{more}\n")
        };
        let fine = parse(&format!("{}{}", gate("a", "wave = \"canary\""), gate("b-2", "")));
        assert_eq!(fine.unwrap().gates.len(), 2);
        let staff = "[staff]\ncampaign = \"staff\"\n";
        for (tail, word) in [
            (gate("A b", ""), "no such word"),
            (gate("a", "") + &gate("a", ""), "another gate has it"),
            (gate("a", "wave = \"europe\""), "`europe`"),
            (gate("staff", "") + staff, "`staff`"),
            (gate("a", "").replace("told", " "), "`gate.text`"),
        ] {
            let error = parse(&tail).unwrap_err();
            assert!(error.contains(word) && error.contains("hint:"), "{error}");
        }
    }
}
