//! `[canary]`: the few who are told first.

use serde::Deserialize;

use crate::domain::track::Environment;

/// The share of an audience that a canary takes at most, in per cent.
pub const MOST_PER_CENT: u64 = 10;

/// The canary as the file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanarySection {
    /// People in it, at most; never more than a tenth of the audience. 0 = no canary.
    #[serde(default = "five_hundred")]
    pub size: u64,
    /// Who lets the others follow; an operator in live, nobody in a rehearsal, where it is absent.
    pub go: Option<Go>,
}

/// Who lets the waves after the canary start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Go {
    /// An operator, with `forthwith campaign go`.
    Operator,
    /// Nobody: they follow by themselves.
    Auto,
}

/// The canary in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    /// People in it, at most.
    pub size: u64,
    /// Who lets the others follow.
    pub go: Go,
}

const fn five_hundred() -> u64 {
    500
}

impl Canary {
    /// The canary in force: on by default in live, in a rehearsal only where the file has one.
    pub(super) fn of(section: Option<CanarySection>, environment: Environment) -> Option<Self> {
        let is_live = environment == Environment::Live;
        let by_default = CanarySection { size: five_hundred(), go: None };
        let section = section.or_else(|| is_live.then_some(by_default))?;
        let go = section.go.unwrap_or(if is_live { Go::Operator } else { Go::Auto });
        (section.size > 0).then_some(Self { size: section.size, go })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_canary_is_the_default_in_live_and_waits_for_an_operator_there() {
        let read = |text: &str| -> CanarySection { toml::from_str(text).unwrap() };
        let (live, rehearsal) = (Environment::Live, Environment::Rehearsal);
        let canary = |size, go| Some(Canary { size, go });
        assert_eq!(Canary::of(None, live), canary(500, Go::Operator));
        assert_eq!(Canary::of(None, rehearsal), None);
        assert_eq!(Canary::of(Some(read("")), rehearsal), canary(500, Go::Auto));
        assert_eq!(Canary::of(Some(read("size = 9\ngo = \"auto\"")), live), canary(9, Go::Auto));
        let waits = read("go = \"operator\"");
        assert_eq!(Canary::of(Some(waits), rehearsal), canary(500, Go::Operator));
        assert_eq!(Canary::of(Some(read("size = 0")), live), None);
    }
}
