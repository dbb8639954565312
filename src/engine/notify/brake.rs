//! Brakes: a provider, or one domain of lane `other`, goes on more slowly until an instant; a domain may
//! rest altogether.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, RateLimiter};

use super::pace::{Pace, Slot, quota};
use crate::engine::{Engine, EngineError};

/// All brakes of one worker, beside its usual limits.
#[derive(Default)]
pub struct Brakes {
    held: Mutex<HashMap<String, Brake>>,
    clock: DefaultClock,
}

struct Brake {
    /// None lets nobody through.
    limiter: Option<DefaultDirectRateLimiter>,
    until: Instant,
}

/// What a brake is held by: the provider, or a domain of it.
fn key(provider: &str, domain: Option<&str>) -> String {
    domain.map_or_else(|| provider.to_owned(), |domain| format!("{provider}/{domain}"))
}

impl Brakes {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Brake>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a provider, or a domain of it, to a pace for a while from now on; the latest call counts.
    pub fn set(&self, provider: &str, domain: Option<&str>, per_second: f64, lasting: Duration) {
        self.hold(
            key(provider, domain),
            Some(RateLimiter::direct(quota((per_second, 1)))),
            lasting,
        );
    }

    /// Lets nothing through to a domain for a while from now on; a longer rest before stays.
    pub fn rest(&self, provider: &str, domain: &str, lasting: Duration) {
        self.hold(key(provider, Some(domain)), None, lasting);
    }

    fn hold(&self, key: String, limiter: Option<DefaultDirectRateLimiter>, lasting: Duration) {
        let now = Instant::now();
        let until = now.checked_add(lasting).unwrap_or(now);
        let mut held = self.lock();
        let rests_longer = |brake: &Brake| brake.limiter.is_none() && brake.until > until;
        if !held.get(&key).is_some_and(rests_longer) {
            held.insert(key, Brake { limiter, until });
        }
    }

    /// Whether a message to this domain may go now as far as brakes are concerned.
    pub fn slot(&self, provider: &str, domain: &str) -> Slot {
        let mut held = self.lock();
        if held.is_empty() {
            return Slot::Now;
        }
        let now = Instant::now();
        held.retain(|_, brake| brake.until > now);
        let waits = |brake: &Brake| match brake.limiter.as_ref().map(RateLimiter::check) {
            None => Some(Slot::Rests(brake.until - now)),
            Some(Ok(())) => None,
            // A brake that is let go before its next slot holds nobody longer.
            Some(Err(wait)) => {
                Some(Slot::In(wait.wait_time_from(self.clock.now()).min(brake.until - now)))
            }
        };
        let of = |domain: Option<&str>| held.get(&key(provider, domain)).and_then(waits);
        of(None).or_else(|| of(Some(domain))).unwrap_or(Slot::Now)
    }
}

/// Puts the brakes of a campaign's lanes back that still hold, at a worker's start.
pub async fn restore(engine: &Engine, campaign: i64, pace: &Pace) -> Result<(), EngineError> {
    let now = engine.clock.now();
    for row in engine.store.lanes(campaign).await? {
        let Some(slowing) = row.slowed.filter(|slowing| slowing.until > now) else { continue };
        let lasting = slowing.until.duration_since(now).unsigned_abs();
        pace.slow(&row.lane.provider, None, slowing.per_second, lasting);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    #[test]
    fn a_brake_lets_one_go_and_then_one_a_period() {
        let brakes = Brakes::default();
        assert_eq!(brakes.slot("gmail", "gmail.com"), Slot::Now);
        brakes.set("gmail", None, 0.01, HOUR);
        assert_eq!(brakes.slot("gmail", "gmail.com"), Slot::Now);
        let Slot::In(wait) = brakes.slot("gmail", "gmail.com") else { panic!("it may go") };
        assert!(wait > Duration::from_secs(90) && wait <= Duration::from_secs(100), "{wait:?}");
        assert_eq!(brakes.slot("yahoo", "yahoo.com"), Slot::Now);
    }

    #[test]
    fn a_domains_brake_holds_that_domain_alone_and_ends_by_itself() {
        let brakes = Brakes::default();
        brakes.set("other", Some("a.example"), 0.01, HOUR);
        assert_eq!(brakes.slot("other", "a.example"), Slot::Now);
        assert!(matches!(brakes.slot("other", "a.example"), Slot::In(_)));
        assert_eq!(brakes.slot("other", "b.example"), Slot::Now);
        brakes.set("other", Some("a.example"), 0.01, Duration::ZERO);
        assert_eq!(brakes.slot("other", "a.example"), Slot::Now);
        assert_eq!(brakes.slot("other", "a.example"), Slot::Now);
        assert!(brakes.lock().is_empty());
    }

    #[test]
    fn a_domain_that_rests_lets_nobody_through_and_no_slower_pace_wakes_it() {
        let brakes = Brakes::default();
        brakes.rest("other", "a.example", HOUR);
        brakes.set("other", Some("a.example"), 100.0, Duration::from_mins(1));
        brakes.rest("other", "a.example", Duration::from_mins(1));
        let Slot::Rests(wait) = brakes.slot("other", "a.example") else { panic!("it may go") };
        assert!(wait > Duration::from_mins(59), "{wait:?}");
        assert_eq!(brakes.slot("other", "b.example"), Slot::Now);
    }
}
