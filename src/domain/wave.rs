//! Waves: in which order people are told, and when the next wave opens (protocol §1).
//!
//! A chunk belongs to a cohort from its seal on; which wave a cohort goes in is decided by the campaign's
//! file when its notice is approved. Pure: counts and instants come in as arguments.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::totals::DeliveryTotals;

/// The cohort that is drawn at the seal and told before everybody else.
pub const CANARY: &str = "canary";

/// How long after its first permit a wave holds up the next one, however few it has told.
const PATIENCE: SignedDuration = SignedDuration::from_mins(30);

/// A wave as a campaign's file asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaveWish {
    /// What it is called.
    pub name: String,
    /// The cohorts in it; empty = everybody whom no other wave names.
    pub cohorts: Vec<String>,
    /// When its people must be told.
    pub deadline: Option<Timestamp>,
}

/// A wave as it will run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedWave {
    /// Its place, from 1.
    pub number: u32,
    /// What it is called.
    pub name: String,
    /// Its own deadline, else the campaign's.
    pub deadline: Option<Timestamp>,
    /// The canary, which stops for a go.
    pub is_canary: bool,
}

/// All waves of a campaign, and which cohort goes in which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WavePlan {
    /// In order.
    pub waves: Vec<PlannedWave>,
    /// Cohort → number of its wave.
    pub by_cohort: BTreeMap<String, u32>,
    /// The wave of every other cohort.
    pub rest: u32,
}

impl WavePlan {
    /// The waves of a file for the cohorts that were sealed. The canary, where there is one, comes first;
    /// cohorts that nobody names come last, in a wave of their own unless one without cohorts waits for
    /// them. `deadline` is the campaign's.
    pub fn of(wishes: &[WaveWish], sealed: &BTreeSet<String>, deadline: Option<Timestamp>) -> Self {
        let mut plan = Self { waves: Vec::new(), by_cohort: BTreeMap::new(), rest: 0 };
        if sealed.contains(CANARY) {
            let number = plan.add(CANARY, deadline, true);
            plan.by_cohort.insert(CANARY.into(), number);
        }
        for wish in wishes {
            let number = plan.add(&wish.name, wish.deadline.or(deadline), false);
            if wish.cohorts.is_empty() {
                plan.rest = number;
            }
            for cohort in &wish.cohorts {
                plan.by_cohort.insert(cohort.clone(), number);
            }
        }
        let has_others = sealed.iter().any(|cohort| !plan.by_cohort.contains_key(cohort));
        if plan.rest == 0 {
            plan.rest = match plan.waves.last() {
                Some(last) if !has_others => last.number,
                Some(_) => plan.add("everyone else", deadline, false),
                None => plan.add("everyone", deadline, false),
            };
        }
        plan
    }

    fn add(&mut self, name: &str, deadline: Option<Timestamp>, is_canary: bool) -> u32 {
        let number = u32::try_from(self.waves.len()).unwrap_or(u32::MAX).saturating_add(1);
        self.waves.push(PlannedWave { number, name: name.to_owned(), deadline, is_canary });
        number
    }

    /// The wave of a cohort.
    pub fn wave_of(&self, cohort: &str) -> u32 {
        self.by_cohort.get(cohort).copied().unwrap_or(self.rest)
    }
}

/// Why a wave is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The wave before it is closed itself.
    Before,
    /// People of the wave before are queued or in flight in lanes that can run now.
    Going,
    /// Too few of the wave before are told, and its first permit is not 30 minutes old.
    Short {
        /// Told so far.
        told: u64,
        /// People who could be told by mail.
        of: u64,
        /// When the 30 minutes end; none where nobody had a permit yet.
        until: Option<Timestamp>,
    },
    /// Gates without evidence, by name.
    Gates(Vec<String>),
    /// The canary has no go yet.
    Go,
}

impl Closed {
    /// Whether a person has to act: time alone does not open it.
    pub fn is_for_people(&self) -> bool {
        matches!(self, Self::Gates(_) | Self::Go)
    }
}

/// The wave before the one in question.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// It opened.
    pub is_open: bool,
    /// A lane of it that can run now (not suspended, inside its window) has people queued or in flight.
    pub is_going: bool,
    /// Where its people stand, copies apart.
    pub people: &'a DeliveryTotals,
    /// Those of them queued or deferred whom another's notice names: it may be sent in a later wave.
    pub carried: u64,
    /// When the first of them had a permit.
    pub first_permit_at: Option<Timestamp>,
}

/// What keeps a wave closed; nothing = it opens. `gates` are those without evidence, `needs_go` says that
/// the wave before is a canary without its go.
pub fn closed(
    before: Option<Before<'_>>,
    gates: &[String],
    needs_go: bool,
    now: Timestamp,
) -> Vec<Closed> {
    let mut reasons = Vec::new();
    if !gates.is_empty() {
        reasons.push(Closed::Gates(gates.to_vec()));
    }
    if needs_go {
        reasons.push(Closed::Go);
    }
    reasons.extend(before.and_then(|before| behind(&before, now)));
    reasons
}

fn behind(before: &Before<'_>, now: Timestamp) -> Option<Closed> {
    if !before.is_open {
        return Some(Closed::Before);
    }
    if before.is_going {
        return Some(Closed::Going);
    }
    let (told, of) = (before.people.told, tellable(before.people, before.carried));
    // told ≥ 90 % of them, without fractions
    if told.saturating_mul(10) >= of.saturating_mul(9) {
        return None;
    }
    // Nobody of it was ever tried and nobody will be: the 30 minutes would never begin.
    let has_none_to_try = before.people.machine_open() <= before.carried;
    if before.first_permit_at.is_none() && has_none_to_try {
        return None;
    }
    let until = before.first_permit_at.and_then(|at| at.saturating_add(PATIENCE).ok());
    let is_over = until.is_some_and(|until| now >= until);
    (!is_over).then_some(Closed::Short { told, of, until })
}

/// Whom mail of this wave could reach: sealed − withdrawn − waived − held − fallback(address, suppressed,
/// channel) − those who wait for another's notice.
pub fn tellable(people: &DeliveryTotals, carried: u64) -> u64 {
    let is_out_of_reach = |reason: &str| {
        reason.starts_with("fallback/address:")
            || matches!(reason, "fallback/suppressed" | "fallback/channel")
    };
    let unreachable: u64 = people
        .reasons
        .iter()
        .filter(|(reason, _)| is_out_of_reach(reason))
        .map(|(_, count)| count)
        .sum();
    let out = people.withdrawn + people.waived + people.held + unreachable + carried;
    people.sealed.saturating_sub(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(cohorts: &[&str]) -> BTreeSet<String> {
        cohorts.iter().map(|&cohort| cohort.to_owned()).collect()
    }

    fn wish(name: &str, cohorts: &[&str]) -> WaveWish {
        let cohorts = cohorts.iter().map(|&cohort| cohort.to_owned()).collect();
        WaveWish { name: name.into(), cohorts, deadline: None }
    }

    fn names(plan: &WavePlan) -> Vec<&str> {
        plan.waves.iter().map(|wave| wave.name.as_str()).collect()
    }

    #[test]
    fn without_waves_or_a_canary_everybody_is_one_wave() {
        let plan = WavePlan::of(&[], &sealed(&[""]), None);
        assert_eq!((names(&plan), plan.wave_of("")), (vec!["everyone"], 1));
        assert_eq!(names(&WavePlan::of(&[wish("all", &[])], &sealed(&[""]), None)), ["all"]);
        assert_eq!(names(&WavePlan::of(&[], &sealed(&[CANARY]), None)), ["canary"]);
    }

    #[test]
    fn the_canary_is_first_and_cohorts_nobody_names_come_last() {
        let wishes = [wish("europe", &["eu", "uk"]), wish("brazil", &["br"])];
        let plan = WavePlan::of(&wishes, &sealed(&["", "br", "canary", "eu"]), None);
        assert_eq!(names(&plan), ["canary", "europe", "brazil", "everyone else"]);
        let of = |cohort| plan.wave_of(cohort);
        assert_eq!((of("canary"), of("uk"), of("br"), of(""), of("us")), (1, 2, 3, 4, 4));
        assert!(plan.waves[0].is_canary && !plan.waves[1].is_canary);
        let plan = WavePlan::of(&wishes, &sealed(&["br", "eu"]), None);
        assert_eq!(names(&plan), ["europe", "brazil"]);
    }

    #[test]
    fn a_wave_has_its_own_deadline_else_the_campaigns() {
        let at = |second| Timestamp::from_second(second).ok();
        let mut first = wish("first", &["eu"]);
        first.deadline = at(5);
        let plan = WavePlan::of(&[first, wish("rest", &[])], &sealed(&["", "eu"]), at(9));
        let deadlines: Vec<_> = plan.waves.iter().map(|wave| wave.deadline).collect();
        assert_eq!(deadlines, [at(5), at(9)]);
    }

    #[test]
    fn a_wave_opens_by_the_rule_and_by_nothing_else() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let ago = |minutes| now.saturating_sub(SignedDuration::from_mins(minutes)).ok();
        let people = |told: u64, queued: u64| DeliveryTotals {
            sealed: 130,
            told,
            queued,
            held: 5,
            withdrawn: 5,
            waived: 5,
            fallback: 15 + (100 - told - queued),
            reasons: BTreeMap::from([
                ("fallback/address:missing".to_owned(), 10),
                ("fallback/suppressed".to_owned(), 5),
                ("fallback/bounced".to_owned(), 100 - told - queued),
                ("told/accepted".to_owned(), told),
            ]),
            ..DeliveryTotals::default()
        };
        let short = |told, until| vec![Closed::Short { told, of: 100, until }];
        // (told, queued in suspended lanes, going, first permit) → what keeps it closed
        for (told, queued, is_going, first, reasons) in [
            (90, 10, false, ago(1), vec![]),
            (89, 11, false, ago(1), short(89, ago(-29))),
            (89, 11, false, ago(30), vec![]),
            (0, 100, false, None, short(0, None)),
            (99, 1, true, ago(60), vec![Closed::Going]),
            (90, 0, false, None, vec![]),
        ] {
            let people = people(told, queued);
            assert!(people.balances());
            let is_open = true;
            let before =
                Before { is_open, is_going, people: &people, carried: 0, first_permit_at: first };
            assert_eq!(closed(Some(before), &[], false, now), reasons, "{told} {is_going}");
            let shut = Before { is_open: false, ..before };
            assert_eq!(closed(Some(shut), &[], false, now), [Closed::Before]);
            let mut with_people = vec![Closed::Gates(vec!["dns".into()]), Closed::Go];
            with_people.extend(reasons);
            assert_eq!(closed(Some(before), &["dns".into()], true, now), with_people);
        }
        assert_eq!(closed(None, &[], false, now), []);
        assert_eq!(closed(None, &["x".into()], false, now), [Closed::Gates(vec!["x".into()])]);
    }

    /// An open wave of these people, of whom nobody had a permit.
    fn untried(people: &DeliveryTotals, carried: u64) -> Before<'_> {
        Before { is_open: true, is_going: false, people, carried, first_permit_at: None }
    }

    #[test]
    fn a_wave_of_nobody_holds_up_nobody() {
        let nobody = DeliveryTotals::default();
        assert_eq!(closed(Some(untried(&nobody, 0)), &[], false, Timestamp::UNIX_EPOCH), []);
    }

    #[test]
    fn a_wave_that_nobody_can_be_mailed_in_holds_up_nobody() {
        let now = Timestamp::UNIX_EPOCH;
        let fallback = |reason: &str| DeliveryTotals {
            sealed: 8,
            fallback: 8,
            reasons: BTreeMap::from([(reason.to_owned(), 8)]),
            ..DeliveryTotals::default()
        };
        for reason in ["fallback/channel", "fallback/address:missing", "fallback/needs-smtputf8"] {
            assert_eq!(
                closed(Some(untried(&fallback(reason), 0)), &[], false, now),
                [],
                "{reason}"
            );
        }
        // whose carriers are in a later wave: that one must open before they can be told
        let waiting = DeliveryTotals { sealed: 8, queued: 5, deferred: 3, ..Default::default() };
        assert_eq!(closed(Some(untried(&waiting, 8)), &[], false, now), []);
        let short = Closed::Short { told: 0, of: 1, until: None };
        assert_eq!(closed(Some(untried(&waiting, 7)), &[], false, now), [short], "one can be told");
        // and they cost a wave whose others are told no half hour
        let told = DeliveryTotals { told: 80, sealed: 100, queued: 20, ..Default::default() };
        let before = Before { first_permit_at: Some(now), ..untried(&told, 20) };
        assert_eq!(closed(Some(before), &[], false, now), []);
    }
}
