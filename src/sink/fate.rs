//! The fate of each attempt: seeded, repeatable, and without a copy of any address.
//!
//! Knows rules and attempts; not what a session does with the answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::fault::{Action, FaultRule, FaultRules, Phase};
use super::reply::Refusal;

/// Decides for every address and attempt whether a rule strikes.
#[derive(Debug)]
pub(super) struct Fates {
    seed: u64,
    rules: FaultRules,
    memory: Mutex<Memory>,
}

/// What was seen, under hashes of the addresses.
#[derive(Debug, Default)]
struct Memory {
    attempts: HashMap<u64, u32>,
    strikes: HashMap<(usize, u64), u32>,
}

impl Fates {
    pub(super) fn new(rules: FaultRules, seed: u64) -> Self {
        Self { seed, rules, memory: Mutex::default() }
    }

    /// Whether this MAIL is refused.
    pub(super) fn of_sender(&self, address: &str) -> Option<&Refusal> {
        match self.strike(address, true)? {
            Action::Refuse(_, refusal) => Some(refusal),
            Action::DropBeforeDot | Action::DropAfterDot => None,
        }
    }

    /// What this attempt to reach a recipient meets.
    pub(super) fn of_recipient(&self, address: &str) -> Option<&Action> {
        self.strike(address, false)
    }

    fn strike(&self, address: &str, sender: bool) -> Option<&Action> {
        let rules = self.rules.rules();
        if rules.is_empty() {
            return None;
        }
        let key = hash(self.seed ^ u64::from(sender), address);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = memory.attempts.entry(key).or_default();
        *attempt = attempt.saturating_add(1);
        let attempt = *attempt;
        let (index, rule) = rules.iter().enumerate().find(|(index, rule)| {
            for_sender(rule) == sender
                && rule.pattern.as_ref().is_none_or(|pattern| pattern.matches(address))
                && draw(key, *index, attempt) < rule.share
                && rule.times.is_none_or(|times| {
                    memory.strikes.get(&(*index, key)).is_none_or(|struck| *struck < times)
                })
        })?;
        if rule.times.is_some() {
            *memory.strikes.entry((index, key)).or_default() += 1;
        }
        Some(&rule.action)
    }
}

fn for_sender(rule: &FaultRule) -> bool {
    matches!(rule.action, Action::Refuse(Phase::Mail, _))
}

/// FNV-1a over the address in lower case, keyed by the seed. Written out because the standard
/// library's hasher may change with the compiler, and a seed must mean the same next year.
fn hash(seed: u64, address: &str) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ scatter(seed);
    scatter(address.bytes().fold(start, |state, octet| {
        (state ^ u64::from(octet.to_ascii_lowercase())).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

/// The finishing step of `SplitMix64`: every input bit moves every output bit.
fn scatter(mut state: u64) -> u64 {
    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// A number from 0 to below 1 for one rule and one attempt of one address.
fn draw(key: u64, rule: usize, attempt: u32) -> f64 {
    let mixed = scatter(scatter(key ^ u64::from(attempt)).wrapping_add(rule as u64));
    let [a, b, c, d, ..] = mixed.to_be_bytes();
    f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(rules: &[&str], seed: u64) -> Fates {
        Fates::new(rules.iter().map(|rule| rule.parse().unwrap()).collect(), seed)
    }

    fn struck(fates: &Fates, people: u32, rounds: u32) -> Vec<(u32, u32)> {
        let mut struck = Vec::new();
        for round in 0..rounds {
            for person in 0..people {
                if fates.of_recipient(&format!("p{person}@example.org")).is_some() {
                    struck.push((round, person));
                }
            }
        }
        struck
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_seed_others() {
        let first = struck(&fates(&["rcpt:451:0.1", "rcpt:550:0.1"], 7), 500, 3);
        assert_eq!(first, struck(&fates(&["rcpt:451:0.1", "rcpt:550:0.1"], 7), 500, 3));
        assert_ne!(first, struck(&fates(&["rcpt:451:0.1", "rcpt:550:0.1"], 8), 500, 3));
    }

    #[test]
    fn a_share_strikes_about_its_share_and_a_retry_may_fare_otherwise() {
        let struck = struck(&fates(&["rcpt:451:0.1"], 1), 5000, 2);
        let first: Vec<u32> = struck.iter().filter(|s| s.0 == 0).map(|s| s.1).collect();
        let second: Vec<u32> = struck.iter().filter(|s| s.0 == 1).map(|s| s.1).collect();
        assert!((420..580).contains(&first.len()), "{}", first.len());
        assert!((420..580).contains(&second.len()), "{}", second.len());
        let twice = first.iter().filter(|person| second.contains(person)).count();
        assert!((20..90).contains(&twice), "{twice}");
    }

    #[test]
    fn times_limits_the_strikes_of_each_address_alone() {
        let fates = fates(&["rcpt:451:times=2"], 0);
        let hits = |address: &str| (0..5).filter(|_| fates.of_recipient(address).is_some()).count();
        assert_eq!(hits("a@example.org"), 2);
        assert_eq!(hits("A@EXAMPLE.ORG"), 0);
        assert_eq!(hits("b@example.org"), 2);
    }

    #[test]
    fn the_first_rule_that_strikes_wins_and_a_pattern_spares_the_others() {
        let fates = fates(&["mail:451", "rcpt:550:to=bob@*", "drop-after-dot:to=*@slow.test"], 0);
        let refused = |address| match fates.of_recipient(address) {
            Some(Action::Refuse(_, refusal)) => refusal.line()[..3].to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(refused("bob@slow.test"), "550");
        assert_eq!(refused("eve@slow.test"), "Some(DropAfterDot)");
        assert_eq!(refused("eve@fast.test"), "None");
        assert!(fates.of_sender("eve@fast.test").is_some());
    }
}
