//! What an outcome asks of its lane and of the campaign: strikes counted, shares watched.
//!
//! All of it lives in memory, so a restart counts anew; what it led to (a suspended or a slowed lane)
//! stands in the database.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};

use super::fault::{Faults, Source, cause};
use super::outcome::Rules;
use super::share::Shares;
use crate::domain::delivery::{AttemptResult, Outcome};
use crate::domain::duration::HumanDuration;
use crate::domain::pace::PaceTable;
use crate::domain::provider::OTHER;
use crate::domain::reply::{Action, After, ReplyClass, Slow};

/// More sources than this are looked through for what is over.
const MANY: usize = 10_000;

/// Everything a worker remembers of replies.
#[derive(Debug)]
pub struct Reactions {
    rules: Rules,
    /// The limits in force.
    limits: Arc<ArcSwap<PaceTable>>,
    strikes: HashMap<(String, String), VecDeque<Timestamp>>,
    slowed: HashMap<String, (f64, Timestamp)>,
    shares: Shares,
    faults: Faults,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reaction {
    /// The lane rests for so long.
    pub suspend: Option<Duration>,
    /// The lane, or one domain of `other`, goes on more slowly.
    pub slow: Option<Slowed>,
    /// The campaign pauses itself, for this cause.
    pub halt: Option<String>,
}

/// A slower pace.
#[derive(Debug, Clone, PartialEq)]
pub struct Slowed {
    /// Messages a second.
    pub per_second: f64,
    /// Until when.
    pub until: Timestamp,
    /// Why, without the peer's words.
    pub cause: String,
}

impl Reactions {
    /// Nothing was seen yet.
    pub fn new(rules: Rules, limits: Arc<ArcSwap<PaceTable>>) -> Self {
        Self {
            limits,
            shares: Shares::new(rules.replies.adapt()),
            rules,
            strikes: HashMap::new(),
            slowed: HashMap::new(),
            faults: Faults::default(),
        }
    }

    /// Whether the lane is many providers, so that each domain of it is braked by itself.
    pub fn is_many(&self, provider: &str) -> bool {
        provider == OTHER
    }

    /// What an outcome of a recipient at `provider` and `domain` asks for.
    pub fn to(&mut self, provider: &str, domain: &str, outcome: &Outcome) -> Reaction {
        let source = Source { provider, domain: self.is_many(provider).then_some(domain) };
        match outcome.result {
            AttemptResult::Accepted => self.faults.accepted(source),
            AttemptResult::Deferred | AttemptResult::Refused | AttemptResult::Policy => {}
            // no reply was read
            AttemptResult::Broken
            | AttemptResult::InDoubt
            | AttemptResult::NotStarted
            | AttemptResult::Unsendable => return Reaction::default(),
        }
        let mut reaction = Reaction::default();
        if let Some(class) = outcome.class {
            let action = self.rules.action(outcome);
            if action.pause && self.faults.refused(source, outcome, action.after) {
                let status = outcome.enhanced.as_deref();
                let told = cause(Some(provider), &outcome.phase, outcome.code, status, class);
                reaction.halt = Some(told);
            }
            self.lane(&mut reaction, source, outcome, &action);
        }
        let less = self.watch_share(source, outcome);
        reaction.slow = reaction.slow.or(less);
        reaction
    }

    /// A rule's own numbers; else any 5yz that is our fault suspends for the campaign's time.
    fn lane(
        &mut self,
        reaction: &mut Reaction,
        source: Source<'_>,
        outcome: &Outcome,
        action: &Action,
    ) {
        if !action.is_for_lane() {
            let is_policy = outcome.result == AttemptResult::Policy;
            reaction.suspend = is_policy.then(|| self.rules.rest(action));
            return;
        }
        let rule = outcome.rule.clone().unwrap_or_default();
        if action.after.is_some_and(|after| !self.struck(source, &rule, after, outcome.ended_at)) {
            return;
        }
        reaction.suspend = action.suspend_for.map(HumanDuration::unsigned);
        if let Some(Slow { per_minute, lasting }) = action.slow {
            let at = outcome.ended_at;
            let (per_second, until) = (per_minute / 60.0, end_of(at, lasting.signed()));
            let asked = Slowed { per_second, until, cause: format!("rule {rule}") };
            reaction.slow = Some(self.slower(source, at, asked));
        }
    }

    /// Counts a match; tells whether it is often enough, and then begins anew.
    fn struck(&mut self, source: Source<'_>, rule: &str, after: After, at: Timestamp) -> bool {
        if self.strikes.len() > MANY {
            let day = SignedDuration::from_hours(24);
            let is_fresh = |then: &Timestamp| at.duration_since(*then) < day;
            self.strikes.retain(|_, strikes| strikes.back().is_some_and(is_fresh));
        }
        let strikes = self.strikes.entry((source.name(), rule.to_owned())).or_default();
        strikes.push_back(at);
        strikes.retain(|then| at.duration_since(*then) <= after.within.signed());
        let is_enough = strikes.len() >= usize::try_from(after.count).unwrap_or(usize::MAX);
        if is_enough {
            strikes.clear();
        }
        is_enough
    }

    fn watch_share(&mut self, source: Source<'_>, outcome: &Outcome) -> Option<Slowed> {
        let is_temporary = outcome.result == AttemptResult::Deferred;
        let less = is_temporary && outcome.class.is_some_and(ReplyClass::asks_for_less);
        let at = outcome.ended_at;
        let over = self.shares.note(&source.name(), at, less)?;
        let adapt = self.rules.replies.adapt();
        let limits = self.limits.load();
        let own = limits.provider(source.provider).and_then(|pace| pace.setting.per_second);
        let most = [own, limits.all.per_second].into_iter().flatten().fold(f64::MAX, f64::min);
        drop(limits);
        let now = match self.slowed.get(&source.name()) {
            Some((held, until)) if *until > at => *held,
            _ => over.measured.map_or(most, |measured| measured.min(most)),
        };
        let per_second = (now * adapt.factor).max(adapt.least_per_minute / 60.0);
        let until = end_of(at, adapt.lasting.signed());
        let cause = format!("{} of its last {} replies ask for less", over.less, adapt.of);
        Some(self.slower(source, at, Slowed { per_second, until, cause }))
    }

    /// Of two slower paces at once the slower one holds, until the later end.
    fn slower(&mut self, source: Source<'_>, at: Timestamp, asked: Slowed) -> Slowed {
        if self.slowed.len() > MANY {
            self.slowed.retain(|_, (_, until)| *until > at);
        }
        let name = source.name();
        let slowed = match self.slowed.get(&name).filter(|(_, until)| *until > at) {
            Some((held, until)) => Slowed {
                per_second: asked.per_second.min(*held),
                until: asked.until.max(*until),
                ..asked
            },
            None => asked,
        };
        self.slowed.insert(name, (slowed.per_second, slowed.until));
        slowed
    }
}

fn end_of(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.saturating_add(span).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::{Clock as _, ManualClock};
    use crate::domain::pace::{PaceOverrides, PaceSetting};
    use crate::domain::reply::{Phase, ReplyRules, SmtpReply};
    use crate::engine::campaign_file::DoubtPolicy;

    const RULES: &str = include_str!("../../../config/replies.toml");

    struct Desk {
        reactions: Reactions,
        clock: ManualClock,
        replies: Arc<ReplyRules>,
    }

    impl Desk {
        fn new() -> Self {
            let replies = ReplyRules::new(toml::from_str(RULES).unwrap(), None).unwrap();
            let replies = Arc::new(replies);
            let rules = Rules {
                retry: crate::domain::retry::RetryPolicy::default(),
                reconcile_for: HumanDuration::default(),
                then: DoubtPolicy::Resend,
                suspend_for: HumanDuration::from_secs(900),
                replies: Arc::clone(&replies),
            };
            let table = "[provider.gmail]\npace_per_second = 20\n[provider.yahoo]\n";
            let file = PaceSetting { per_second: Some(50.0), per_day: None };
            let table = toml::from_str(table).unwrap();
            let limits = PaceTable::of(file, &table, &PaceOverrides::new());
            let reactions = Reactions::new(rules, Arc::new(ArcSwap::from_pointee(limits)));
            Self { reactions, clock: ManualClock::at(Timestamp::UNIX_EPOCH), replies }
        }

        fn after(&self, span: SignedDuration) {
            self.clock.advance(span);
        }

        fn refused(&mut self, provider: &str, domain: &str, phase: Phase, reply: &str) -> Reaction {
            let reply = SmtpReply::parse(reply).unwrap();
            let reading = self.replies.read(phase, provider, &reply);
            let outcome = Outcome {
                code: Some(reply.code()),
                enhanced: reply.enhanced().map(|status| status.to_string()),
                class: Some(reading.class),
                rule: reading.rule.map(|rule| rule.name().to_owned()),
                ..Outcome::bare(reading.class.result(reply.code()), phase.word(), self.clock.now())
            };
            self.reactions.to(provider, domain, &outcome)
        }

        fn accepted(&mut self, provider: &str, domain: &str) -> Reaction {
            let outcome = Outcome::bare(AttemptResult::Accepted, "dot", self.clock.now());
            self.reactions.to(provider, domain, &outcome)
        }
    }

    fn minutes(count: i64) -> SignedDuration {
        SignedDuration::from_mins(count)
    }

    #[test]
    fn a_5yz_without_numbers_suspends_for_the_campaigns_time_and_a_rules_own_for_its() {
        let mut desk = Desk::new();
        desk.accepted("gmail", "gmail.com");
        let bare = desk.refused("gmail", "gmail.com", Phase::Dot, "554 5.7.1 not you");
        assert_eq!((bare.suspend, bare.halt), (Some(Duration::from_mins(15)), None));
        let listed = desk.refused("yahoo", "yahoo.com", Phase::Mail, "553 5.7.1 [BL21] no");
        assert_eq!(listed.suspend, Some(Duration::from_hours(2)));
        let full = desk.refused("gmail", "gmail.com", Phase::Rcpt, "552 5.2.2 mailbox full");
        assert_eq!(full, Reaction::default(), "one full mailbox stops no provider");
        let dead = desk.refused("gmail", "gmail.com", Phase::Rcpt, "550 5.1.1 no such user");
        assert_eq!(dead, Reaction::default());
    }

    #[test]
    fn strikes_count_within_their_time_and_begin_anew() {
        let mut desk = Desk::new();
        let low = "421-4.7.0 This message is suspicious due to the very low reputation";
        let mut rested = Vec::new();
        for n in 1..=10 {
            rested.push(desk.refused("gmail", "gmail.com", Phase::Dot, low).suspend.is_some());
            // enough acceptances that the share stays small
            for _ in 0..20 {
                desk.accepted("gmail", "gmail.com");
            }
            assert_eq!(rested[n - 1], n % 5 == 0, "{n}");
        }
        for _ in 0..4 {
            assert_eq!(desk.refused("gmail", "gmail.com", Phase::Dot, low).suspend, None);
        }
        desk.after(minutes(61));
        assert_eq!(desk.refused("gmail", "gmail.com", Phase::Dot, low).suspend, None);
    }

    #[test]
    fn a_rule_slows_a_provider_and_in_lane_other_a_domain() {
        let mut desk = Desk::new();
        let rate = "421-4.7.28 an unusual rate of unsolicited mail";
        assert_eq!(desk.refused("gmail", "gmail.com", Phase::Dot, rate).slow, None);
        let slow = desk.refused("gmail", "gmail.com", Phase::Dot, rate).slow.unwrap();
        assert!((slow.per_second - 10.0 / 60.0).abs() < 1e-9);
        assert_eq!(slow.until, desk.clock.now() + minutes(30));
        assert_eq!(slow.cause, "rule google-unusual-rate");
        assert_eq!(desk.refused("other", "a.example", Phase::Dot, rate).slow, None);
        assert_eq!(desk.refused("other", "b.example", Phase::Dot, rate).slow, None);
        assert!(desk.refused("other", "a.example", Phase::Dot, rate).slow.is_some());
    }

    #[test]
    fn the_share_halves_the_pace_step_by_step_and_it_recovers_by_itself() {
        let mut desk = Desk::new();
        let busy = "451 4.4.9 not now";
        let step = |desk: &mut Desk| {
            let mut slow = None;
            for _ in 0..16 {
                desk.after(SignedDuration::from_millis(100));
                slow = slow.or(desk.refused("gmail", "gmail.com", Phase::Mail, busy).slow);
            }
            slow.unwrap()
        };
        // ten a second as measured, below the twenty of its table
        let first = step(&mut desk);
        assert!((first.per_second - 5.0).abs() < 1e-6, "{first:?}");
        assert_eq!(first.until, desk.clock.now() + minutes(15));
        assert_eq!(first.cause, "16 of its last 100 replies ask for less");
        assert!((step(&mut desk).per_second - 2.5).abs() < 1e-6);
        desk.after(minutes(16));
        // over: it starts from what is measured again
        assert!((step(&mut desk).per_second - 5.0).abs() < 1e-6);
        for _ in 0..20 {
            step(&mut desk);
        }
        let least = step(&mut desk).per_second;
        assert!((least - 1.0 / 60.0).abs() < 1e-9, "never slower than one a minute: {least}");
    }

    #[test]
    fn a_burst_at_one_instant_starts_from_the_configured_pace() {
        let mut desk = Desk::new();
        let mut slow = None;
        for _ in 0..16 {
            slow = slow.or(desk.refused("gmail", "gmail.com", Phase::Mail, "451 not now").slow);
        }
        assert!((slow.unwrap().per_second - 10.0).abs() < 1e-9);
    }

    #[test]
    fn greylisting_and_full_mailboxes_slow_nobody() {
        let mut desk = Desk::new();
        for _ in 0..50 {
            for reply in ["450 4.2.0 Greylisted", "452 4.2.2 full", "450 4.2.1 too quickly"] {
                let reaction = desk.refused("yahoo", "yahoo.com", Phase::Rcpt, reply);
                assert_eq!(reaction, Reaction::default(), "{reply}");
            }
        }
    }

    #[test]
    fn a_fault_of_ours_halts_at_once_before_a_recipient_and_after_three_else() {
        let mut desk = Desk::new();
        desk.accepted("yahoo", "yahoo.com");
        let login =
            desk.refused("gmail", "gmail.com", Phase::Mail, "530 5.7.0 Authentication required");
        let told = login.halt.unwrap();
        assert!(told.contains("530 5.7.0 at mail") && told.contains("relay-auth"), "{told}");
        let auth = "550-5.7.26 This mail is unauthenticated";
        let mut desk = Desk::new();
        desk.accepted("gmail", "gmail.com");
        for n in 1..=3 {
            let reaction = desk.refused("gmail", "gmail.com", Phase::Dot, auth);
            assert_eq!(reaction.suspend, Some(Duration::from_mins(15)), "from the first on");
            assert_eq!(reaction.halt.is_some(), n == 3, "{n}");
        }
    }
}
