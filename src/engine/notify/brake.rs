//! Brakes: a provider, or one domain of lane `other`, goes on more slowly until an instant.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, RateLimiter};

use super::pace::{Pace, quota};
use crate::engine::{Engine, EngineError};

/// All brakes of one worker, beside its usual limits.
#[derive(Default)]
pub struct Brakes {
    held: Mutex<HashMap<String, Brake>>,
    clock: DefaultClock,
}

struct Brake {
    limiter: DefaultDirectRateLimiter,
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
        let now = Instant::now();
        let until = now.checked_add(lasting).unwrap_or(now);
        let limiter = RateLimiter::direct(quota((per_second, 1)));
        self.lock().insert(key(provider, domain), Brake { limiter, until });
    }

    /// How long a message to this domain has to wait; none where no brake holds it now.
    pub fn wait(&self, provider: &str, domain: &str) -> Option<Duration> {
        let mut held = self.lock();
        if held.is_empty() {
            return None;
        }
        let now = Instant::now();
        held.retain(|_, brake| brake.until > now);
        let waits = |brake: &Brake| match brake.limiter.check() {
            Ok(()) => None,
            // A brake that is let go before its next slot holds nobody longer.
            Err(wait) => Some(wait.wait_time_from(self.clock.now()).min(brake.until - now)),
        };
        let of = |domain: Option<&str>| held.get(&key(provider, domain)).and_then(waits);
        of(None).or_else(|| of(Some(domain)))
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
        assert_eq!(brakes.wait("gmail", "gmail.com"), None);
        brakes.set("gmail", None, 0.01, HOUR);
        assert_eq!(brakes.wait("gmail", "gmail.com"), None);
        let wait = brakes.wait("gmail", "gmail.com").unwrap();
        assert!(wait > Duration::from_secs(90) && wait <= Duration::from_secs(100), "{wait:?}");
        assert_eq!(brakes.wait("yahoo", "yahoo.com"), None);
    }

    #[test]
    fn a_domains_brake_holds_that_domain_alone_and_ends_by_itself() {
        let brakes = Brakes::default();
        brakes.set("other", Some("a.example"), 0.01, HOUR);
        assert_eq!(brakes.wait("other", "a.example"), None);
        assert!(brakes.wait("other", "a.example").is_some());
        assert_eq!(brakes.wait("other", "b.example"), None);
        brakes.set("other", Some("a.example"), 0.01, Duration::ZERO);
        assert_eq!(brakes.wait("other", "a.example"), None);
        assert_eq!(brakes.wait("other", "a.example"), None);
        assert!(brakes.lock().is_empty());
    }
}
