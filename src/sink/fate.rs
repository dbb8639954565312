//! The fate of each attempt: seeded, repeatable, and without a copy of any address.
//!
//! Knows rules and attempts; not what a session does with the answer.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::fault::{FaultRule, FaultRules, Kind};
use super::phase::{Decider, Phase};

/// Stands for all connections where an address would stand: a rule's `times` counts them together.
const CONNECTIONS: u64 = 0;

/// Sets connection numbers apart from hashes of addresses.
const CONNECTION_TAG: u64 = 0x636f_6e6e_6563_7431;

/// Decides for every connection, address and attempt whether a rule strikes.
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

/// The rule that strikes, by its place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strike(usize);

impl Fates {
    pub(super) fn new(rules: FaultRules, seed: u64) -> Self {
        Self { seed, rules, memory: Mutex::default() }
    }

    /// What a MAIL meets.
    pub(super) fn of_sender(&self, address: &str) -> Option<Strike> {
        self.of_address(address, Decider::Sender)
    }

    /// What this attempt to reach a recipient meets.
    pub(super) fn of_recipient(&self, address: &str) -> Option<Strike> {
        self.of_address(address, Decider::Recipient)
    }

    /// What the connection of this number meets at `phase`. To be asked once for each.
    pub(super) fn of_connection(&self, number: u64, phase: Phase) -> Option<Strike> {
        if !self.rules.rules().iter().any(|rule| rule.phase == phase) {
            return None;
        }
        let key = scatter(scatter(self.seed ^ CONNECTION_TAG) ^ number);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let strikes =
            |index, rule: &FaultRule| rule.phase == phase && draw(key, index, 1) < rule.share;
        self.first(&mut memory, CONNECTIONS, strikes)
    }

    /// The phase at which a rule strikes.
    pub(super) fn phase(&self, strike: Strike) -> Phase {
        self.rules.rules()[strike.0].phase
    }

    /// What a rule does.
    pub(super) fn kind(&self, strike: Strike) -> &Kind {
        &self.rules.rules()[strike.0].kind
    }

    fn of_address(&self, address: &str, decider: Decider) -> Option<Strike> {
        if !self.rules.rules().iter().any(|rule| rule.phase.decider() == decider) {
            return None;
        }
        let key = hash(self.seed ^ u64::from(decider == Decider::Sender), address);
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = memory.attempts.entry(key).or_default();
        *attempt = attempt.saturating_add(1);
        let attempt = *attempt;
        self.first(&mut memory, key, |index, rule| {
            rule.phase.decider() == decider
                && rule.pattern.as_ref().is_none_or(|pattern| pattern.matches(address))
                && draw(key, index, attempt) < rule.share
        })
    }

    /// The first rule that `strikes` and has not yet struck this key its number of times.
    fn first(
        &self,
        memory: &mut Memory,
        key: u64,
        strikes: impl Fn(usize, &FaultRule) -> bool,
    ) -> Option<Strike> {
        let (index, rule) = self.rules.rules().iter().enumerate().find(|(index, rule)| {
            strikes(*index, rule)
                && rule.times.is_none_or(|times| {
                    memory.strikes.get(&(*index, key)).is_none_or(|struck| *struck < times)
                })
        })?;
        if rule.times.is_some() {
            *memory.strikes.entry((index, key)).or_default() += 1;
        }
        Some(Strike(index))
    }
}

/// FNV-1a over the address in lower case, keyed by the seed. Written out because the standard
/// library's hasher may change with the compiler, and a seed must mean the same next year.
pub(super) fn hash(seed: u64, address: &str) -> u64 {
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
pub(super) fn draw(key: u64, rule: usize, attempt: u32) -> f64 {
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
        let refused = |address| match fates.of_recipient(address).map(|strike| fates.kind(strike)) {
            Some(Kind::Refuse(refusal)) => refusal.text()[..3].to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(refused("bob@slow.test"), "550");
        assert_eq!(refused("eve@slow.test"), "Some(DropAfterDot)");
        assert_eq!(refused("eve@fast.test"), "None");
        assert!(fates.of_sender("eve@fast.test").is_some());
    }

    #[test]
    fn connections_are_struck_by_their_number_alike_under_the_same_seed() {
        let struck = |seed| {
            let fates = fates(&["ehlo:cut:0.3", "quit:421:0.3"], seed);
            let of = |number, phase| fates.of_connection(number, phase).is_some();
            (0..200)
                .map(|number| (of(number, Phase::Ehlo), of(number, Phase::Quit)))
                .collect::<Vec<_>>()
        };
        let first = struck(3);
        assert_eq!(first, struck(3));
        assert_ne!(first, struck(4));
        let cut = first.iter().filter(|(ehlo, _)| *ehlo).count();
        assert!((35..85).contains(&cut), "{cut}");
        let both = first.iter().filter(|(ehlo, quit)| *ehlo && *quit).count();
        assert!(both > 0 && both < cut, "each phase has a fate of its own: {both} of {cut}");
    }

    #[test]
    fn times_limits_the_connections_that_are_struck() {
        let fates = fates(&["greeting:421:times=2", "greeting:554:times=1"], 0);
        let codes: Vec<Option<Strike>> =
            (0..4).map(|number| fates.of_connection(number, Phase::Greeting)).collect();
        assert_eq!(codes, [Some(Strike(0)), Some(Strike(0)), Some(Strike(1)), None]);
        assert_eq!(fates.of_connection(5, Phase::Quit), None);
    }

    #[test]
    fn rules_of_connections_leave_the_fates_of_addresses_alone() {
        let of = |rules: &[&str]| {
            let fates = fates(rules, 9);
            fates.of_connection(1, Phase::Ehlo);
            struck(&fates, 200, 2)
        };
        assert_eq!(of(&["rcpt:451:0.2"]), of(&["rcpt:451:0.2", "ehlo:cut"]));
    }
}
