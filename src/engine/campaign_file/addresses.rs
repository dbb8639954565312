//! `[addresses]`: which addresses are mailed, and how those are that several accounts share.

use std::path::PathBuf;

use serde::Deserialize;

use crate::domain::address::DomainList;
use crate::domain::duration::HumanDuration;
use crate::domain::toml_file::Problems;

/// What is to be known of addresses at seal. Changed later it changes nobody: people are frozen with the
/// reasons their addresses have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressesSection {
    /// Domains we host: the kill locks these mailboxes, so another channel is needed. `example.com`
    /// means it alone, `.example.com` what lies below it too.
    #[serde(default)]
    pub own_domains: Vec<String>,
    /// An address last proved longer ago than this may be another's by now; never where absent.
    pub dormant_after: Option<HumanDuration>,
    /// A file of addresses that must not be mailed, one a line; a relative path starts at the workspace.
    pub suppressed: Option<PathBuf>,
    /// Domains that take no mail, beside `.invalid`.
    #[serde(default)]
    pub dead_domains: DeadDomains,
    /// More accounts than this at one address get one notice that names their number.
    #[serde(default = "five")]
    pub combine_above: u64,
    /// More accounts than this at one address are held until a person has looked.
    #[serde(default = "fifty")]
    pub worklist_above: u64,
}

/// Domains in the file itself, or in one of their own.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum DeadDomains {
    /// A file, one domain a line; a relative path starts at the workspace.
    File(PathBuf),
    /// The domains.
    List(Vec<String>),
}

impl Default for DeadDomains {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl Default for AddressesSection {
    fn default() -> Self {
        Self {
            own_domains: Vec::new(),
            dormant_after: None,
            suppressed: None,
            dead_domains: DeadDomains::default(),
            combine_above: five(),
            worklist_above: fifty(),
        }
    }
}

const fn five() -> u64 {
    5
}

const fn fifty() -> u64 {
    50
}

impl AddressesSection {
    /// What contradicts itself or cannot be read.
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        let mut domains = |key: &str, list: &[String]| {
            if let Err(error) = DomainList::parse(list.iter().map(String::as_str)) {
                problems
                    .at_within(&format!("addresses.{key}"), format!("`addresses.{key}`: {error}"));
            }
        };
        domains("own_domains", &self.own_domains);
        if let DeadDomains::List(list) = &self.dead_domains {
            domains("dead_domains", list);
        }
        if self.dormant_after.is_some_and(HumanDuration::is_zero) {
            problems.at(
                "addresses.dormant_after",
                "`addresses.dormant_after` of nothing would make every address dormant; hint: \
                 `dormant_after = \"730d\"`, or leave it out",
            );
        }
        if self.combine_above < 1 || self.worklist_above < self.combine_above {
            problems.at_all(
                &["addresses.combine_above", "addresses.worklist_above"],
                format!(
                    "`addresses.combine_above = {}` must be at least 1 and at most \
                     `addresses.worklist_above = {}`; hint: the defaults are 5 and 50",
                    self.combine_above, self.worklist_above
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> AddressesSection {
        toml::from_str(text).unwrap()
    }

    fn told(section: &AddressesSection) -> String {
        let mut problems = Problems::unplaced("x.toml");
        section.check(&mut problems);
        problems.into_list().to_string()
    }

    #[test]
    fn the_defaults_are_those_of_an_absent_section() {
        assert_eq!(read(""), AddressesSection::default());
        assert_eq!(told(&AddressesSection::default()), "");
    }

    #[test]
    fn dead_domains_are_a_file_or_a_list() {
        let list = read("dead_domains = [\"gone.example\"]").dead_domains;
        assert_eq!(list, DeadDomains::List(vec!["gone.example".into()]));
        let file = read("dead_domains = \"dead.txt\"").dead_domains;
        assert_eq!(file, DeadDomains::File("dead.txt".into()));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_key() {
        for (text, key) in [
            ("own_domains = [\"ok.example\", \"a b\"]", "addresses.own_domains"),
            ("dead_domains = [\"@x.example\"]", "addresses.dead_domains"),
            ("dormant_after = \"0d\"", "addresses.dormant_after"),
            ("combine_above = 0", "addresses.combine_above"),
            ("combine_above = 9\nworklist_above = 8", "addresses.worklist_above"),
        ] {
            let refused = told(&read(text));
            assert!(refused.contains(key) && refused.contains("hint:"), "{refused}");
        }
        assert!(toml::from_str::<AddressesSection>("own_domain = []").is_err());
    }
}
