//! Pace: governor's GCRA over all messages, per provider, and per domain inside lane `other`.
//!
//! A slot is taken before the intent and void 250 ms later; whoever comes too late takes the next one.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::brake::Brakes;
use crate::domain::provider::{ProviderName, ProviderTable};

/// How long a slot may be used after its instant.
pub const SLOT_FOR: Duration = Duration::from_millis(250);

/// All limits of one worker.
pub struct Pace {
    global: DefaultDirectRateLimiter,
    providers: HashMap<String, DefaultDirectRateLimiter>,
    domains: Option<DefaultKeyedRateLimiter<String>>,
    other: String,
    brakes: Brakes,
    clock: DefaultClock,
}

/// Whether a message may go now, or how long it has to wait.
pub enum Slot {
    /// It may.
    Now,
    /// Not before this much time has passed.
    In(Duration),
}

/// A quota of so many a second with this burst.
pub(super) fn quota(per_second: f64, burst: u32) -> Quota {
    let period = Duration::from_secs_f64(1.0 / per_second.clamp(0.000_1, 1_000_000.0));
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(period).unwrap_or(Quota::per_second(burst)).allow_burst(burst)
}

impl Pace {
    /// Limits for `per_second` messages over all, and what the table says of providers. A burst is
    /// never larger than the connections that could carry it.
    pub fn new(per_second: f64, connections: u32, table: &ProviderTable) -> Self {
        let other = ProviderName::as_str(table.other()).to_owned();
        let mut providers = HashMap::new();
        let mut domains = None;
        for name in table.names() {
            let limits = table.limits(name);
            let Some(rate) = limits.pace_per_second else { continue };
            let quota = quota(rate, limits.burst.min(connections));
            if name.as_str() == other {
                // `other` is many providers: its pace is that of each domain.
                domains = Some(RateLimiter::keyed(quota));
            } else {
                providers.insert(name.as_str().to_owned(), RateLimiter::direct(quota));
            }
        }
        Self {
            global: RateLimiter::direct(quota(per_second, connections)),
            providers,
            domains,
            other,
            brakes: Brakes::default(),
            clock: DefaultClock::default(),
        }
    }

    /// Waits for the next slot over all and returns its instant.
    pub async fn global_slot(&self) -> Instant {
        loop {
            match self.global.check() {
                Ok(()) => return Instant::now(),
                Err(wait) => tokio::time::sleep(wait.wait_time_from(self.clock.now())).await,
            }
        }
    }

    /// A slot of this provider, and of this domain where the provider is `other`.
    pub fn provider_slot(&self, provider: &str, domain: &str) -> Slot {
        let waits = |wait: governor::NotUntil<_>| Slot::In(wait.wait_time_from(self.clock.now()));
        if let Some(Err(wait)) = self.providers.get(provider).map(RateLimiter::check) {
            return waits(wait);
        }
        if provider == self.other
            && let Some(domains) = &self.domains
            && let Err(wait) = domains.check_key(&domain.to_owned())
        {
            return waits(wait);
        }
        self.brakes.wait(provider, domain).map_or(Slot::Now, Slot::In)
    }

    /// Holds a provider, or one domain of it, to a pace for a while from now on.
    pub fn slow(&self, provider: &str, domain: Option<&str>, per_second: f64, lasting: Duration) {
        self.brakes.set(provider, domain, per_second, lasting);
    }

    /// Forgets domains that have not been mailed lately.
    pub fn forget_idle(&self) {
        if let Some(domains) = &self.domains {
            domains.retain_recent();
            domains.shrink_to_fit();
        }
    }
}
