//! How many notices are on their way to one provider at the same time (each domain of lane `other`).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::pace::PaceTable;
use crate::domain::provider::OTHER;

/// Notices on their way, from their intent to their outcome, by provider.
#[derive(Debug, Default)]
pub struct Concurrency {
    out: Mutex<HashMap<String, u32>>,
}

/// What is counted as one: a provider, or a domain of `other` (which no provider's name can be: names
/// have no dot, and `@` stands before).
fn key(provider: &str, domain: &str) -> String {
    if provider == OTHER { format!("@{domain}") } else { provider.to_owned() }
}

impl Concurrency {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, u32>> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more may go.
    pub fn has_room(&self, table: &PaceTable, provider: &str, domain: &str) -> bool {
        let at_once = table.provider(provider).map_or(u32::MAX, |limits| limits.at_once);
        self.lock().get(&key(provider, domain)).is_none_or(|out| *out < at_once)
    }

    /// One more is on its way.
    pub fn left(&self, provider: &str, domain: &str) {
        *self.lock().entry(key(provider, domain)).or_default() += 1;
    }

    /// One has ended.
    pub fn ended(&self, provider: &str, domain: &str) {
        let mut out = self.lock();
        let key = key(provider, domain);
        if let Some(count) = out.get_mut(&key) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                // Else every domain ever mailed would stay.
                out.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pace::{PaceOverrides, PaceSetting};

    #[test]
    fn a_provider_has_its_room_and_each_domain_of_other_its_own() {
        let providers =
            toml::from_str("[provider.a]\nconnections = 1\n[provider.other]\nconnections = 2\n");
        let table =
            PaceTable::of(PaceSetting::default(), &providers.unwrap(), &PaceOverrides::new());
        let out = Concurrency::default();
        assert!(out.has_room(&table, "a", "x.example"));
        out.left("a", "x.example");
        assert!(!out.has_room(&table, "a", "y.example"), "all domains of a provider are one");
        out.left(OTHER, "x.example");
        out.left(OTHER, "x.example");
        assert!(!out.has_room(&table, OTHER, "x.example"));
        assert!(out.has_room(&table, OTHER, "y.example"));
        out.ended(OTHER, "x.example");
        assert!(out.has_room(&table, OTHER, "x.example"));
        out.ended(OTHER, "x.example");
        assert_eq!(out.lock().len(), 1, "only `a` is left");
    }
}
