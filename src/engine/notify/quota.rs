//! Day quotas: how many notices a provider, or all of them together, take on one UTC day.
//!
//! The counts are the database's (a quota outlives the process and the campaign); this is the worker's
//! copy, so that nobody asks the database before each notice.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::civil::Date;

use crate::domain::pace::{ALL, PaceTable, day_of, next_day};

/// The day has no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// The quota that is used up.
    pub per_day: u64,
    /// When the next day begins.
    pub until: Timestamp,
}

/// The day's counts of one worker.
#[derive(Debug)]
pub struct DayQuota {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    day: Date,
    used: BTreeMap<String, u64>,
}

impl DayQuota {
    /// The counts of `day` so far, by provider; the empty name is all of them.
    pub fn new(day: Date, used: BTreeMap<String, u64>) -> Self {
        Self { inner: Mutex::new(Inner { day, used }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one of the day's, if there is one left for this provider and over all.
    pub fn take(&self, table: &PaceTable, provider: &str, now: Timestamp) -> Result<(), Spent> {
        let mut inner = self.lock();
        inner.turn(now);
        let of_provider = table.provider(provider).and_then(|limits| limits.setting.per_day);
        for (scope, limit) in [(ALL, table.all.per_day), (provider, of_provider)] {
            let used = inner.used.get(scope).copied().unwrap_or(0);
            if let Some(per_day) = limit.filter(|per_day| used >= *per_day) {
                return Err(Spent { per_day, until: next_day(now) });
            }
        }
        for scope in [ALL, provider] {
            *inner.used.entry(scope.to_owned()).or_default() += 1;
        }
        Ok(())
    }

    /// Gives one back that did not start after all.
    pub fn give_back(&self, provider: &str, now: Timestamp) {
        let mut inner = self.lock();
        inner.turn(now);
        for scope in [ALL, provider] {
            if let Some(used) = inner.used.get_mut(scope) {
                *used = used.saturating_sub(1);
            }
        }
    }
}

impl Inner {
    /// A new day starts at nothing. A clock that is set back begins no earlier day anew: what is sent then
    /// counts for the day that had begun.
    fn turn(&mut self, now: Timestamp) {
        let day = day_of(now);
        if day > self.day {
            *self = Self { day, used: BTreeMap::new() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pace::{PaceOverrides, PaceSetting};

    #[test]
    fn a_day_has_its_quota_whoever_sent_before_and_the_next_has_its_own() {
        let now: Timestamp = "2026-11-26T20:00:00Z".parse().unwrap();
        let providers = toml::from_str("[provider.a]\nmessages_per_day = 3\n").unwrap();
        let file = PaceSetting { per_second: None, per_day: Some(5) };
        let table = PaceTable::of(file, &providers, &PaceOverrides::new());
        let quota = DayQuota::new(day_of(now), [("a".to_owned(), 1), (ALL.to_owned(), 1)].into());
        assert_eq!(quota.take(&table, "a", now), Ok(()));
        assert_eq!(quota.take(&table, "a", now), Ok(()));
        let until = "2026-11-27T00:00:00Z".parse().unwrap();
        assert_eq!(quota.take(&table, "a", now), Err(Spent { per_day: 3, until }));
        quota.give_back("a", now);
        assert_eq!(quota.take(&table, "a", now), Ok(()));
        assert_eq!(quota.take(&table, "b", now), Ok(()));
        assert_eq!(quota.take(&table, "b", now), Ok(()));
        assert_eq!(quota.take(&table, "b", now), Err(Spent { per_day: 5, until }), "over all");
        assert_eq!(quota.take(&table, "a", until), Ok(()));
    }

    #[test]
    fn a_clock_set_back_over_midnight_gives_no_quota_twice() {
        let midnight: Timestamp = "2026-11-27T00:10:00Z".parse().unwrap();
        let before: Timestamp = "2026-11-26T23:10:00Z".parse().unwrap();
        let file = PaceSetting { per_second: None, per_day: Some(2) };
        let table =
            PaceTable::of(file, &toml::from_str("[provider.a]\n").unwrap(), &PaceOverrides::new());
        let quota = DayQuota::new(day_of(midnight), BTreeMap::new());
        assert_eq!(quota.take(&table, "a", midnight), Ok(()));
        assert_eq!(quota.take(&table, "a", before), Ok(()));
        assert!(quota.take(&table, "a", before).is_err(), "the day before is over");
        assert!(quota.take(&table, "a", midnight).is_err(), "and this one has had its two");
    }
}
