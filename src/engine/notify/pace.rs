//! Pace: governor's GCRA over all messages, per provider, and per domain inside lane `other`.
//!
//! A slot is taken before the intent and void 250 ms later; whoever comes too late takes the next one.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::domain::provider::{ProviderName, ProviderTable};

/// How long a slot may be used after its instant.
pub const SLOT_FOR: Duration = Duration::from_millis(250);

/// How fast one domain of lane `other` is mailed where the table says nothing.
const OTHER_DOMAIN_PER_SECOND: f64 = 20.0;

/// All limits of one worker.
pub struct Pace {
    global: DefaultDirectRateLimiter,
    providers: HashMap<String, DefaultDirectRateLimiter>,
    domains: DefaultKeyedRateLimiter<String>,
    other: String,
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
fn quota(per_second: f64, burst: u32) -> Quota {
    let period = Duration::from_secs_f64(1.0 / per_second.clamp(0.000_1, 1_000_000.0));
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(period).unwrap_or(Quota::per_second(burst)).allow_burst(burst)
}

impl Pace {
    /// Limits for `per_second` messages over all, and what the table says of providers. A burst is
    /// never larger than the connections that could carry it.
    pub fn new(per_second: f64, connections: u32, table: &ProviderTable) -> Self {
        let mut providers = HashMap::new();
        for name in table.names() {
            let limits = table.limits(name);
            if let Some(rate) = limits.pace_per_second {
                let limiter = RateLimiter::direct(quota(rate, limits.burst.min(connections)));
                providers.insert(name.as_str().to_owned(), limiter);
            }
        }
        Self {
            global: RateLimiter::direct(quota(per_second, connections)),
            providers,
            domains: RateLimiter::keyed(quota(OTHER_DOMAIN_PER_SECOND, connections)),
            other: ProviderName::as_str(table.other()).to_owned(),
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
            && let Err(wait) = self.domains.check_key(&domain.to_owned())
        {
            return waits(wait);
        }
        Slot::Now
    }

    /// Forgets domains that have not been mailed lately.
    pub fn forget_idle(&self) {
        self.domains.retain_recent();
        self.domains.shrink_to_fit();
    }
}
