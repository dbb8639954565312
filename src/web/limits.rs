//! How often one network may ask. Kept in memory: what they protect is this process.

use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::DefaultClock;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

type Keyed = RateLimiter<String, DashMapStateStore<String>, DefaultClock>;
type Alone = governor::DefaultDirectRateLimiter;

/// Networks are looked through for ones that are long quiet when there are so many.
const MANY: usize = 50_000;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// A code by mail.
    Code,
    /// A try at a code or a link.
    Try,
}

/// The limits of one portal.
#[derive(Clone)]
pub struct Limits(Arc<Inner>);

struct Inner {
    codes: Keyed,
    tries: Keyed,
    /// Codes without a reference number, over all networks.
    anonymous: Alone,
    /// Questions of the company's log-in page.
    questions: Alone,
    /// Lines of the log about questions that are none.
    lines: Alone,
}

/// At most so many a minute, and so many at once.
fn quota(per_minute: u32, burst: u32) -> Quota {
    let at_least_one = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    Quota::per_minute(at_least_one(per_minute)).allow_burst(at_least_one(burst))
}

impl Limits {
    /// Limits with so many anonymous requests for codes a minute over all networks, and so many questions of
    /// the company's log-in page a second.
    pub fn new(anonymous_per_minute: u32, questions_per_second: u32) -> Self {
        let burst = anonymous_per_minute.div_ceil(6);
        Self(Arc::new(Inner {
            codes: RateLimiter::keyed(quota(6, 20)),
            tries: RateLimiter::keyed(quota(30, 60)),
            anonymous: RateLimiter::direct(quota(anonymous_per_minute, burst)),
            questions: RateLimiter::direct(quota(
                questions_per_second.saturating_mul(60),
                questions_per_second,
            )),
            lines: RateLimiter::direct(quota(6, 6)),
        }))
    }

    /// Whether a network may ask once more.
    pub fn allows(&self, what: For, network: &str) -> bool {
        let keyed = match what {
            For::Code => &self.0.codes,
            For::Try => &self.0.tries,
        };
        if keyed.len() > MANY {
            keyed.retain_recent();
        }
        keyed.check_key(&network.to_owned()).is_ok()
    }

    /// Whether one more question of the company's log-in page is answered.
    pub fn allows_question(&self) -> bool {
        self.0.questions.check().is_ok()
    }

    /// Whether one more line is logged about a question that is none.
    pub fn allows_a_line(&self) -> bool {
        self.0.lines.check().is_ok()
    }

    /// Whether one more request without a reference number is taken.
    pub fn allows_anonymous(&self) -> bool {
        self.0.anonymous.check().is_ok()
    }
}
