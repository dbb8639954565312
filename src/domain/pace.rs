//! How fast notices go: per second, per day and at once, over all and per mailbox provider.
//!
//! Three voices, the later over the earlier: the provider table, the campaign's file, and what an
//! operator set while it runs. Nothing here counts or waits.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::provider::{OTHER, ProviderTable};

/// One scope's pace; what is `None` is not limited, or not said.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PaceSetting {
    /// Notices a second, above 0.
    pub per_second: Option<f64>,
    /// Notices a day (UTC), above 0.
    pub per_day: Option<u64>,
}

/// Why a pace cannot be set.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PaceFault {
    /// A rate that is no number above 0.
    #[error(
        "{0} notices a second is no pace; hint: a number above 0, such as 0.5 or 200; `forthwith campaign pause` sends nothing"
    )]
    PerSecond(f64),
    /// No notice a day.
    #[error(
        "0 notices a day is no pace; hint: `forthwith provider suspend`, or `forthwith campaign pause`"
    )]
    PerDay,
    /// Neither rate nor quota.
    #[error("nothing to set; hint: --per-second N, --per-day N, or both")]
    Empty,
    /// A provider that the table does not know.
    #[error(
        "there is no provider `{0}`; hint: the tables of `providers.toml`, `forthwith pace show` lists them"
    )]
    Unknown(String),
}

impl PaceSetting {
    /// Refuses what is no pace.
    pub fn check(self) -> Result<Self, PaceFault> {
        match self {
            Self { per_second: Some(rate), .. } if !(rate.is_finite() && rate > 0.0) => {
                Err(PaceFault::PerSecond(rate))
            }
            Self { per_day: Some(0), .. } => Err(PaceFault::PerDay),
            Self { per_second: None, per_day: None } => Err(PaceFault::Empty),
            fine => Ok(fine),
        }
    }

    /// This setting, and where it is silent the other.
    #[must_use]
    pub fn over(self, other: Self) -> Self {
        Self {
            per_second: self.per_second.or(other.per_second),
            per_day: self.per_day.or(other.per_day),
        }
    }
}

/// What an operator set, by provider; the empty name is the pace over all.
pub type PaceOverrides = BTreeMap<String, PaceSetting>;

/// The scope of the pace over all providers.
pub const ALL: &str = "";

/// One provider's limits as they are in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProviderPace {
    /// Its pace; of each domain where the provider is `other`.
    pub setting: PaceSetting,
    /// Notices that may leave at once before the pace holds.
    pub burst: u32,
    /// Notices on their way at the same time; of each domain where the provider is `other`.
    pub at_once: u32,
}

/// All limits of a campaign as they are in force.
#[derive(Debug, Clone, PartialEq)]
pub struct PaceTable {
    /// Over all providers.
    pub all: PaceSetting,
    /// By provider; every one of the provider table is here.
    pub providers: BTreeMap<String, ProviderPace>,
}

impl PaceTable {
    /// The limits of a campaign whose file says `file`, with `set` over it.
    pub fn of(file: PaceSetting, table: &ProviderTable, set: &PaceOverrides) -> Self {
        let set_for = |name: &str| set.get(name).copied().unwrap_or_default();
        let provider = |name: &super::provider::ProviderName| {
            let limits = table.limits(name);
            let written = PaceSetting {
                per_second: limits.pace_per_second,
                per_day: limits.messages_per_day,
            };
            ProviderPace {
                setting: set_for(name.as_str()).over(written),
                burst: limits.burst,
                at_once: limits.connections,
            }
        };
        Self {
            all: set_for(ALL).over(file),
            providers: table
                .names()
                .map(|name| (name.as_str().to_owned(), provider(name)))
                .collect(),
        }
    }

    /// The limits of a provider; those of `other` where the name is not in the table.
    pub fn provider(&self, name: &str) -> Option<&ProviderPace> {
        self.providers.get(name).or_else(|| self.providers.get(OTHER))
    }
}

/// The UTC day of an instant: what quotas are counted by.
pub fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// The first instant of the day after.
pub fn next_day(at: Timestamp) -> Timestamp {
    let tomorrow = day_of(at).tomorrow().and_then(|date| date.to_zoned(TimeZone::UTC));
    tomorrow.map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: f64) -> PaceSetting {
        PaceSetting { per_second: Some(per_second), per_day: None }
    }

    #[test]
    fn what_is_set_stands_over_the_file_and_the_file_over_nothing() {
        let table: ProviderTable = toml::from_str(
            "[provider.a]\npace_per_second = 5.0\nmessages_per_day = 900\nconnections = 3\n",
        )
        .unwrap();
        let set = PaceOverrides::from([
            (ALL.to_owned(), PaceSetting { per_second: None, per_day: Some(70) }),
            ("a".to_owned(), rate(2.0)),
        ]);
        let pace = PaceTable::of(rate(50.0), &table, &set);
        assert_eq!(pace.all, PaceSetting { per_second: Some(50.0), per_day: Some(70) });
        let a = pace.provider("a").unwrap();
        assert_eq!(a.setting, PaceSetting { per_second: Some(2.0), per_day: Some(900) });
        assert_eq!((a.burst, a.at_once), (3, 3));
        assert_eq!(pace.provider("b"), pace.provider("other"));
    }

    #[test]
    fn what_is_no_pace_is_refused_with_a_way_out() {
        for setting in [rate(0.0), rate(-1.0), rate(f64::NAN), rate(f64::INFINITY)] {
            assert!(setting.check().unwrap_err().to_string().contains("campaign pause"));
        }
        let none = PaceSetting { per_second: None, per_day: Some(0) };
        assert_eq!(none.check(), Err(PaceFault::PerDay));
        assert_eq!(PaceSetting::default().check(), Err(PaceFault::Empty));
        assert_eq!(rate(0.5).check(), Ok(rate(0.5)));
    }

    #[test]
    fn a_day_is_a_utc_day() {
        let late: Timestamp = "2026-02-28T23:59:59Z".parse().unwrap();
        assert_eq!(day_of(late).to_string(), "2026-02-28");
        assert_eq!(next_day(late).to_string(), "2026-03-01T00:00:00Z");
        assert_eq!(next_day(next_day(late)).to_string(), "2026-03-02T00:00:00Z");
    }
}
