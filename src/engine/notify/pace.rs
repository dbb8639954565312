//! Pace: governor's GCRA over all messages, per provider, and per domain inside lane `other`.
//!
//! A slot is taken before the intent and void 250 ms later; whoever comes too late takes the next one.
//! The limits can be changed while a campaign runs; a limiter whose numbers stay goes on as it was, so
//! that a change elsewhere is no burst here.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::brake::Brakes;
use crate::domain::pace::PaceTable;
use crate::domain::provider::OTHER;

/// How long a slot may be used after its instant.
pub const SLOT_FOR: Duration = Duration::from_millis(250);

/// All limits of one worker.
pub struct Pace {
    limits: ArcSwap<Limits>,
    connections: u32,
    brakes: Brakes,
    clock: DefaultClock,
}

/// Whether a message may go now, or how long it has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// It may.
    Now,
    /// Not before this much time has passed.
    In(Duration),
    /// Nothing goes to its domain for so long: whoever waits for it need not be kept at hand.
    Rests(Duration),
}

/// What a limiter was made of.
type Made = (f64, u32);

#[derive(Default)]
struct Limits {
    /// Over all; none where nothing limits it.
    global: Option<(Made, Arc<DefaultDirectRateLimiter>)>,
    providers: HashMap<String, (Made, Arc<DefaultDirectRateLimiter>)>,
    domains: Option<(Made, Arc<DefaultKeyedRateLimiter<String>>)>,
}

/// A quota of so many a second with this burst.
pub(super) fn quota((per_second, burst): Made) -> Quota {
    let period = Duration::from_secs_f64(1.0 / per_second.clamp(0.000_1, 1_000_000.0));
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(period).unwrap_or(Quota::per_second(burst)).allow_burst(burst)
}

/// The limiter there was, where its numbers are the same.
fn kept<L>(before: Option<&(Made, Arc<L>)>, made: Made, new: impl FnOnce() -> L) -> (Made, Arc<L>) {
    match before {
        Some((same, limiter)) if *same == made => (made, Arc::clone(limiter)),
        _ => (made, Arc::new(new())),
    }
}

impl Limits {
    fn of(table: &PaceTable, connections: u32, before: &Self) -> Self {
        let direct = |made| move || RateLimiter::direct(quota(made));
        let mut limits = Self::default();
        if let Some(rate) = table.all.per_second {
            let made = (rate, connections);
            limits.global = Some(kept(before.global.as_ref(), made, direct(made)));
        }
        for (name, provider) in &table.providers {
            let Some(rate) = provider.setting.per_second else { continue };
            let made = (rate, provider.burst.min(connections));
            if name == OTHER {
                // `other` is many providers: its pace is that of each domain.
                let new = || RateLimiter::keyed(quota(made));
                limits.domains = Some(kept(before.domains.as_ref(), made, new));
            } else {
                let kept = kept(before.providers.get(name), made, direct(made));
                limits.providers.insert(name.clone(), kept);
            }
        }
        limits
    }
}

impl Pace {
    /// The limits of `table`. A burst is never larger than the connections that could carry it.
    pub fn new(table: &PaceTable, connections: u32) -> Self {
        let limits = Limits::of(table, connections, &Limits::default());
        Self {
            limits: ArcSwap::from_pointee(limits),
            connections,
            brakes: Brakes::default(),
            clock: DefaultClock::default(),
        }
    }

    /// Other limits from now on.
    pub fn change(&self, table: &PaceTable) {
        self.limits.rcu(|before| Limits::of(table, self.connections, before));
    }

    /// Waits for the next slot over all and returns its instant.
    pub async fn global_slot(&self) -> Instant {
        loop {
            // Looked up anew each time: who waits for a slow pace must hear of a faster one.
            let limits = self.limits.load_full();
            let Some((_, limiter)) = &limits.global else { return Instant::now() };
            match limiter.check() {
                Ok(()) => return Instant::now(),
                Err(wait) => {
                    let wait = wait.wait_time_from(self.clock.now()).min(SLOT_FOR);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// A slot of this provider, and of this domain where the provider is `other`.
    pub fn provider_slot(&self, provider: &str, domain: &str) -> Slot {
        let waits = |wait: governor::NotUntil<_>| Slot::In(wait.wait_time_from(self.clock.now()));
        // The brakes first: a domain that rests takes no slot of its provider's.
        let braked = self.brakes.slot(provider, domain);
        if braked != Slot::Now {
            return braked;
        }
        let limits = self.limits.load();
        if let Some((_, limiter)) = limits.providers.get(provider)
            && let Err(wait) = limiter.check()
        {
            return waits(wait);
        }
        if provider == OTHER
            && let Some((_, domains)) = &limits.domains
            && let Err(wait) = domains.check_key(&domain.to_owned())
        {
            return waits(wait);
        }
        Slot::Now
    }

    /// Holds a provider, or one domain of it, to a pace for a while from now on.
    pub fn slow(&self, provider: &str, domain: Option<&str>, per_second: f64, lasting: Duration) {
        self.brakes.set(provider, domain, per_second, lasting);
    }

    /// Lets a domain of a provider rest for a while from now on.
    pub fn rest(&self, provider: &str, domain: &str, lasting: Duration) {
        self.brakes.rest(provider, domain, lasting);
    }

    /// Forgets domains that have not been mailed lately.
    pub fn forget_idle(&self) {
        if let Some((_, domains)) = &self.limits.load().domains {
            domains.retain_recent();
            domains.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pace::{PaceOverrides, PaceSetting};

    fn table(all: f64, a: f64) -> PaceTable {
        let text = format!("[provider.a]\npace_per_second = {a:?}\nburst = 1\n");
        let file = PaceSetting { per_second: Some(all), per_day: None };
        PaceTable::of(file, &toml::from_str(&text).unwrap(), &PaceOverrides::new())
    }

    fn is_now(slot: &Slot) -> bool {
        matches!(slot, Slot::Now)
    }

    #[test]
    fn a_change_elsewhere_is_no_burst_here_and_a_change_here_holds_at_once() {
        let pace = Pace::new(&table(10.0, 0.01), 4);
        assert!(is_now(&pace.provider_slot("a", "")));
        assert!(!is_now(&pace.provider_slot("a", "")), "its one slot is taken");
        pace.change(&table(20.0, 0.01));
        assert!(!is_now(&pace.provider_slot("a", "")), "only the pace over all has changed");
        pace.change(&table(20.0, 500.0));
        assert!(is_now(&pace.provider_slot("a", "")));
        assert!(
            is_now(&pace.provider_slot("b", "")),
            "a provider without a pace waits for nothing"
        );
    }

    #[tokio::test]
    async fn who_waits_for_a_slow_pace_hears_of_a_faster_one() {
        let pace = Arc::new(Pace::new(&table(0.001, 1.0), 1));
        pace.global_slot().await;
        let waiting = tokio::spawn({
            let pace = Arc::clone(&pace);
            async move { pace.global_slot().await }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        pace.change(&table(1000.0, 1.0));
        let came = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert!(came.is_ok(), "the old pace would have been 1,000 s");
    }
}
