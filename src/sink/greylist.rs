//! Greylisting: who knocks for the first time is asked to come back later.
//!
//! Knows senders, recipients and instants; keeps hashes only.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::fate::{draw, hash};
use super::fault_options::share;
use super::setting::SettingError;
use super::span::span;

/// Said to whom comes too early.
pub(super) const GREYLISTED: &str = "451 4.7.1 Greylisted, please come back later";

/// How a sink greylists; as text `5m`, or `5m:0.5` for half of all addresses.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct GreylistSettings {
    /// How long after its first attempt an address is taken.
    pub wait: Duration,
    /// The share of pairs of sender domain and recipient that meet it, 0 to 1, by the seed.
    pub share: f64,
}

impl FromStr for GreylistSettings {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (wait, part) = text.split_once(':').unwrap_or((text, "1"));
        match (span(wait), share(part)) {
            (Some(wait), Ok(share)) => Ok(Self { wait, share }),
            _ => Err(SettingError::new("greylist", text, "write 5m, or 5m:0.5 for half of all")),
        }
    }
}

impl TryFrom<String> for GreylistSettings {
    type Error = SettingError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// The list itself.
#[derive(Debug)]
pub(super) struct Greylist {
    settings: GreylistSettings,
    seed: u64,
    first_seen: Mutex<HashMap<u64, Instant>>,
}

impl Greylist {
    pub(super) fn new(settings: GreylistSettings, seed: u64) -> Self {
        Self { settings, seed, first_seen: Mutex::default() }
    }

    /// Whether this recipient of this reverse-path is to come back later, if it comes `now`. The
    /// wait is counted from the pair's first attempt; early attempts do not prolong it.
    pub(super) fn defers(&self, from: &str, to: &str, now: Instant) -> bool {
        let domain = from.rsplit_once('@').map_or("", |(_, domain)| domain);
        let key = hash(hash(self.seed, domain), to);
        if draw(key, 0, 0) >= self.settings.share {
            return false;
        }
        let mut seen = self.first_seen.lock().unwrap_or_else(PoisonError::into_inner);
        let first = *seen.entry(key).or_insert(now);
        now.duration_since(first) < self.settings.wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greylist(text: &str, seed: u64) -> Greylist {
        Greylist::new(text.parse().unwrap(), seed)
    }

    #[test]
    fn who_comes_back_after_the_wait_is_taken() {
        let list = greylist("5m", 0);
        let begun = Instant::now();
        let defers =
            |from, to, seconds| list.defers(from, to, begun + Duration::from_secs(seconds));
        assert!(defers("a@n.test", "b@example.org", 0));
        assert!(defers("other@N.TEST", "B@example.org", 299), "the domain counts, not the sender");
        assert!(!defers("a@n.test", "b@example.org", 300));
        assert!(defers("a@else.test", "b@example.org", 300), "another sender begins anew");
        assert!(defers("", "b@example.org", 300));
    }

    #[test]
    fn a_share_is_greylisted_by_the_seed() {
        let met = |seed| {
            let (list, now) = (greylist("1h:0.5", seed), Instant::now());
            let defers = |n: u32| list.defers("a@n.test", &format!("p{n}@b.test"), now);
            (0..200).map(defers).collect::<Vec<_>>()
        };
        assert_eq!(met(1), met(1));
        assert_ne!(met(1), met(2));
        assert!((70..130).contains(&met(1).iter().filter(|met| **met).count()));
    }

    #[test]
    fn a_wrong_text_has_a_hint() {
        for text in ["", "5", "5m:2", "soon"] {
            let error = text.parse::<GreylistSettings>().unwrap_err().to_string();
            assert!(error.contains("hint: write 5m"), "{error}");
        }
    }
}
