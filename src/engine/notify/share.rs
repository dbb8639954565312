//! The share of replies that ask for less, and the pace it comes down to before a 5yz is answered.

use std::collections::{HashMap, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::domain::reply::Adapt;

/// More sources than this are looked through for those that were silent for long.
const MANY: usize = 10_000;

/// The latest replies of each source: a provider, or a domain of lane `other`.
#[derive(Debug)]
pub struct Shares {
    adapt: Adapt,
    sources: HashMap<String, VecDeque<(Timestamp, bool)>>,
}

/// A share that went over its bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TooMany {
    /// So many replies asked for less.
    pub less: u32,
    /// Messages a second as measured over them; none where they came at one instant.
    pub measured: Option<f64>,
}

impl Shares {
    /// Nothing was seen yet.
    pub fn new(adapt: Adapt) -> Self {
        Self { adapt, sources: HashMap::new() }
    }

    /// Notes a reply. Where with it more than the share borne of the latest replies ask for less, the
    /// count begins anew: a next step needs new evidence.
    pub fn note(&mut self, source: &str, at: Timestamp, asks_for_less: bool) -> Option<TooMany> {
        if self.sources.len() > MANY {
            self.forget_silent(at);
        }
        if !self.sources.contains_key(source) {
            self.sources.insert(source.to_owned(), VecDeque::new());
        }
        let latest = self.sources.get_mut(source)?;
        latest.push_back((at, asks_for_less));
        while latest.len() > usize::try_from(self.adapt.of).unwrap_or(usize::MAX) {
            latest.pop_front();
        }
        if !asks_for_less {
            return None;
        }
        let less = latest.iter().filter(|(_, less)| *less).count();
        let less = u32::try_from(less).unwrap_or(u32::MAX);
        if f64::from(less) <= self.adapt.share * f64::from(self.adapt.of) {
            return None;
        }
        let measured = measured(latest);
        latest.clear();
        Some(TooMany { less, measured })
    }

    /// Forgets sources that have said nothing for as long as a slower pace lasts.
    fn forget_silent(&mut self, now: Timestamp) {
        let lasting = self.adapt.lasting.signed();
        let is_fresh = |at: &Timestamp| now.duration_since(*at) <= lasting;
        self.sources.retain(|_, latest| latest.back().is_some_and(|(at, _)| is_fresh(at)));
    }
}

/// Messages a second over these replies.
fn measured(latest: &VecDeque<(Timestamp, bool)>) -> Option<f64> {
    let (first, last) = (latest.front()?.0, latest.back()?.0);
    let steps = u32::try_from(latest.len().saturating_sub(1)).ok()?;
    let passed = last.duration_since(first);
    (passed > SignedDuration::ZERO && steps > 0).then(|| f64::from(steps) / passed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::{Clock as _, ManualClock};

    fn adapt() -> Adapt {
        Adapt { share: 0.1, of: 50, ..Adapt::default() }
    }

    #[test]
    fn the_sixth_of_fifty_is_over_a_tenth_and_the_pace_is_measured() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let mut shares = Shares::new(adapt());
        let mut found = Vec::new();
        for n in 1..=60 {
            clock.advance(SignedDuration::from_millis(500));
            found.extend(shares.note("gmail", clock.now(), n % 10 == 0).map(|over| (n, over)));
        }
        assert_eq!(found, [], "a tenth is borne");
        for n in 1..=3 {
            clock.advance(SignedDuration::from_millis(500));
            found.extend(shares.note("gmail", clock.now(), true).map(|over| (n, over)));
        }
        let (n, over) = found[0];
        assert_eq!((n, over.less, found.len()), (1, 6, 1), "one more is not, and it begins anew");
        assert!((over.measured.unwrap() - 2.0).abs() < 1e-9, "{over:?}");
    }

    #[test]
    fn a_source_that_only_asks_for_less_is_seen_before_it_has_said_much() {
        let mut shares = Shares::new(adapt());
        let at = Timestamp::UNIX_EPOCH;
        for _ in 0..5 {
            assert_eq!(shares.note("a", at, true), None);
            assert_eq!(shares.note("b", at, false), None);
        }
        assert_eq!(shares.note("a", at, true), Some(TooMany { less: 6, measured: None }));
        assert_eq!(shares.note("b", at, true), None, "each source counts for itself");
    }

    #[test]
    fn sources_that_fell_silent_are_forgotten() {
        let mut shares = Shares::new(adapt());
        for n in 0..=MANY {
            shares.note(&n.to_string(), Timestamp::UNIX_EPOCH, false);
        }
        let later = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        shares.note("new", later, false);
        assert_eq!(shares.sources.len(), 1);
    }
}
