//! Whether a refusal shows that the fault is ours for everybody, so that the campaign pauses itself.
//!
//! What the relay says before a recipient was named, it says of us: one 5yz is enough. What is said
//! of a recipient may be one odd server's opinion; so it takes several, with nobody taking a notice
//! in between.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::domain::delivery::Outcome;
use crate::domain::reply::{After, Phase, ReplyClass};

/// So many refusals where the rule says nothing.
const STRIKES: u32 = 3;

/// Refusals of our own making since somebody took a notice. In memory: a restart begins anew.
#[derive(Debug, Default)]
pub struct Faults {
    /// By provider, since that provider took one.
    by_provider: HashMap<String, Vec<Timestamp>>,
    /// By source (a provider, or a domain of lane `other`), since anybody took one.
    by_source: HashMap<String, Timestamp>,
    /// All of them, while nobody has taken one in this run.
    before_any: Vec<Timestamp>,
    has_accepted: bool,
}

/// Where a reply came from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The provider, as its lane is named.
    pub provider: &'a str,
    /// The recipient's domain, where the provider is many (lane `other`).
    pub domain: Option<&'a str>,
}

impl Source<'_> {
    /// The name it is counted under.
    pub fn name(&self) -> String {
        self.domain.map_or_else(
            || self.provider.to_owned(),
            |domain| format!("{}/{domain}", self.provider),
        )
    }
}

impl Faults {
    /// Somebody took a notice: not everybody refuses us.
    pub fn accepted(&mut self, source: Source<'_>) {
        self.has_accepted = true;
        self.before_any.clear();
        self.by_source.clear();
        self.by_provider.remove(source.provider);
    }

    /// A refusal whose rule pauses; tells whether it is enough. Enough is: a 5yz before a recipient
    /// was named; `after.count` from one provider that took nothing in between; from as many different
    /// sources, while nobody took anything in between; as many at all, while nobody has taken anything.
    pub fn refused(&mut self, source: Source<'_>, outcome: &Outcome, after: Option<After>) -> bool {
        let phase = Phase::parse(&outcome.phase).unwrap_or(Phase::Dot);
        let is_permanent = outcome.code.is_some_and(|code| code / 100 == 5);
        if is_permanent && phase.is_before_recipient() {
            return true;
        }
        let at = outcome.ended_at;
        let is_recent = |then: Timestamp| {
            after.is_none_or(|after| at.duration_since(then) <= after.within.signed())
        };
        let wanted = usize::try_from(after.map_or(STRIKES, |after| after.count)).unwrap_or(1);
        self.by_source.insert(source.name(), at);
        self.by_source.retain(|_, then| is_recent(*then));
        let mut counts = vec![self.by_source.len()];
        if source.domain.is_none() {
            let strikes = self.by_provider.entry(source.provider.to_owned()).or_default();
            counts.push(strike(strikes, at, is_recent));
        }
        if !self.has_accepted {
            counts.push(strike(&mut self.before_any, at, is_recent));
        }
        counts.into_iter().any(|count| count >= wanted)
    }
}

fn strike(
    strikes: &mut Vec<Timestamp>,
    at: Timestamp,
    is_recent: impl Fn(Timestamp) -> bool,
) -> usize {
    strikes.push(at);
    strikes.retain(|then| is_recent(*then));
    strikes.len()
}

/// The cause of a halt in words for the operator: code, status and class, never the server's own
/// words, and a hint. `provider` is none for what the relay says to everybody.
pub fn cause(
    provider: Option<&str>,
    phase: &str,
    code: Option<u16>,
    status: Option<&str>,
    class: ReplyClass,
) -> String {
    let code = code.map(|code| format!("{code} ")).unwrap_or_default();
    let status = status.map(|status| format!("{status} ")).unwrap_or_default();
    let of = provider.map(|name| format!(" for provider `{name}`")).unwrap_or_default();
    format!(
        "the relay answered {code}{status}at {phase}{of}, which is {class}: {}; hint: {}",
        class.meaning(),
        hint(class)
    )
}

fn hint(class: ReplyClass) -> &'static str {
    match class {
        ReplyClass::RelayAuth => {
            "check `[relay.auth]`, and that the relay sends for that user to any domain"
        }
        ReplyClass::Sender => {
            "check `notice.from` and `notice.bounce_domain`, and that the relay lets you send as them"
        }
        ReplyClass::Authentication => {
            "check SPF, DKIM and DMARC of the sender's domain, the relay's reverse name and its TLS"
        }
        _ => "`forthwith reply list` shows the rules, `delivery show` the reply",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::AttemptResult;
    use crate::domain::duration::HumanDuration;

    const GMAIL: Source<'static> = Source { provider: "gmail", domain: None };

    fn other(domain: &str) -> Source<'_> {
        Source { provider: "other", domain: Some(domain) }
    }

    fn at(second: i64, phase: &str, code: u16) -> Outcome {
        let at = Timestamp::from_second(second).unwrap();
        Outcome { code: Some(code), ..Outcome::bare(AttemptResult::Policy, phase, at) }
    }

    #[test]
    fn one_5yz_before_a_recipient_is_enough_and_a_4yz_is_not() {
        let mut faults = Faults::default();
        faults.accepted(GMAIL);
        assert!(faults.refused(GMAIL, &at(0, "mail", 550), None));
        let mut faults = Faults::default();
        faults.accepted(GMAIL);
        assert!(!faults.refused(GMAIL, &at(0, "mail", 450), None));
    }

    #[test]
    fn a_provider_pauses_after_three_with_no_acceptance_of_its_own_in_between() {
        let mut faults = Faults::default();
        faults.accepted(GMAIL);
        for _ in 0..2 {
            assert!(!faults.refused(GMAIL, &at(0, "dot", 550), None));
        }
        faults.accepted(GMAIL);
        for n in 0..3 {
            faults.accepted(other("a.example"));
            assert_eq!(faults.refused(GMAIL, &at(0, "dot", 550), None), n == 2);
        }
    }

    #[test]
    fn one_odd_server_stops_nobody_once_others_take_notices() {
        let mut faults = Faults::default();
        faults.accepted(other("good.example"));
        for _ in 0..100 {
            assert!(!faults.refused(other("odd.example"), &at(0, "rcpt", 554), None));
        }
        assert!(!faults.refused(other("b.example"), &at(0, "rcpt", 554), None));
        assert!(faults.refused(other("c.example"), &at(0, "rcpt", 554), None), "three, in a row");
    }

    #[test]
    fn three_are_enough_while_nobody_has_taken_anything() {
        let mut faults = Faults::default();
        for n in 0..3 {
            assert_eq!(faults.refused(other("one.example"), &at(0, "rcpt", 554), None), n == 2);
        }
    }

    #[test]
    fn old_refusals_do_not_count_where_the_rule_says_within() {
        let after = After { count: 2, within: HumanDuration::from_secs(60) };
        let mut faults = Faults::default();
        assert!(!faults.refused(GMAIL, &at(0, "dot", 550), Some(after)));
        assert!(!faults.refused(GMAIL, &at(61, "dot", 550), Some(after)));
        assert!(faults.refused(GMAIL, &at(100, "dot", 550), Some(after)));
    }

    #[test]
    fn a_cause_names_code_class_and_a_hint() {
        let told =
            cause(Some("gmail"), "dot", Some(550), Some("5.7.26"), ReplyClass::Authentication);
        assert!(told.starts_with("the relay answered 550 5.7.26 at dot for provider `gmail`"));
        assert!(told.contains("which is authentication: ") && told.contains("; hint: check SPF"));
    }
}
