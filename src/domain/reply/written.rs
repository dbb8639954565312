//! Rules as a file spells them, and what is wrong with them.

use serde::Deserialize;

use super::rule::{Action, After, CodePattern, Pattern, Rule, Slow, StatusPattern};
use super::rules::Adapt;
use super::{EnhancedStatus, Phase, ReplyClass};
use crate::domain::duration::HumanDuration;

/// A rule file, read but not yet checked: see the head of `config/replies.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    adapt: Option<WrittenAdapt>,
    #[serde(default)]
    rule: Vec<WrittenRule>,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {what}", .rule.as_ref().map_or("[adapt]".into(), |(_, name)| format!("rule `{name}`")))]
pub struct RuleFault {
    /// Which rule, from 0, with its name; none where `[adapt]` is wrong.
    pub rule: Option<(usize, String)>,
    /// What, in words.
    pub what: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAdapt {
    share: f64,
    of: u32,
    factor: f64,
    #[serde(rename = "for")]
    lasting: HumanDuration,
    least_per_minute: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    name: String,
    source: String,
    class: ReplyClass,
    provider: Option<OneOrMore>,
    phase: Option<OneOrMore>,
    code: Option<OneOrMore>,
    status: Option<OneOrMore>,
    text: Option<OneOrMore>,
    wait: Option<HumanDuration>,
    after: Option<WrittenAfter>,
    suspend_for: Option<HumanDuration>,
    slow: Option<WrittenSlow>,
    #[serde(default)]
    pause: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenAfter {
    count: u32,
    within: HumanDuration,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSlow {
    per_minute: f64,
    #[serde(rename = "for")]
    lasting: HumanDuration,
}

/// A text, or a list of them.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a text in quotes, or a list of them")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn list(given: Option<Self>) -> Vec<String> {
        match given {
            None => Vec::new(),
            Some(Self::One(text)) => vec![text],
            Some(Self::More(texts)) => texts,
        }
    }
}

impl RuleFile {
    /// The names of providers its rules speak of, each with the rule's place and name.
    pub fn providers(&self) -> impl Iterator<Item = (usize, &str, String)> {
        self.rule.iter().enumerate().flat_map(|(place, rule)| {
            let named = OneOrMore::list(rule.provider.clone()).into_iter();
            named.map(move |provider| (place, rule.name.as_str(), provider))
        })
    }

    /// How many rules it has.
    pub fn count(&self) -> usize {
        self.rule.len()
    }

    /// Takes out the rule at this place, from 0: what is wrong with the others can then be found.
    pub fn leave_out(&mut self, place: usize) {
        if place < self.rule.len() {
            self.rule.remove(place);
        }
    }

    pub(super) fn read(self) -> Result<(Vec<Rule>, Option<Adapt>), RuleFault> {
        let adapt = self.adapt.map(WrittenAdapt::read).transpose();
        let adapt = adapt.map_err(|what| RuleFault { rule: None, what })?;
        let mut rules: Vec<Rule> = Vec::with_capacity(self.rule.len());
        for (place, written) in self.rule.into_iter().enumerate() {
            let name = written.name.clone();
            let fault = |what| RuleFault { rule: Some((place, name.clone())), what };
            if rules.iter().any(|rule| rule.name == name) {
                return Err(fault("an earlier rule has this name".into()));
            }
            rules.push(written.read().map_err(fault)?);
        }
        Ok((rules, adapt))
    }
}

impl WrittenAdapt {
    fn read(self) -> Result<Adapt, String> {
        let is_share = |share: f64| share > 0.0 && share < 1.0;
        for (key, is_bad) in [
            ("share", !is_share(self.share)),
            ("factor", !is_share(self.factor)),
            ("of", !(2..=10_000).contains(&self.of)),
            ("for", self.lasting.is_zero()),
            ("least_per_minute", !is_pace(self.least_per_minute)),
        ] {
            if is_bad {
                return Err(format!(
                    "`{key}` does not fit; hint: [adapt] share = 0.15, of = 100, factor = 0.5, \
                     for = \"15m\", least_per_minute = 1"
                ));
            }
        }
        let Self { share, of, factor, lasting, least_per_minute } = self;
        Ok(Adapt { share, of, factor, lasting, least_per_minute })
    }
}

fn is_pace(per_minute: f64) -> bool {
    per_minute > 0.0 && per_minute.is_finite()
}

impl WrittenRule {
    fn read(self) -> Result<Rule, String> {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(is_plain) {
            return Err("a name has lower-case letters, digits and hyphens, at most 64".into());
        }
        if self.source.trim().is_empty() {
            return Err("`source` is empty; hint: say where the fact comes from".into());
        }
        let action = self.action()?;
        let pattern = Pattern {
            providers: OneOrMore::list(self.provider),
            phases: each(self.phase, phase)?,
            codes: each(self.code, code)?,
            statuses: each(self.status, status)?,
            texts: each(self.text, text)?,
        };
        let rule =
            Rule { name: self.name, class: self.class, source: self.source, pattern, action };
        check(&rule)?;
        Ok(rule)
    }

    fn action(&self) -> Result<Action, String> {
        let zero = |length: &Option<HumanDuration>| length.is_some_and(HumanDuration::is_zero);
        let slow = self
            .slow
            .as_ref()
            .map(|slow| Slow { per_minute: slow.per_minute, lasting: slow.lasting });
        let after =
            self.after.as_ref().map(|after| After { count: after.count, within: after.within });
        for (key, is_bad) in [
            ("wait", zero(&self.wait)),
            ("suspend_for", zero(&self.suspend_for)),
            ("slow", slow.is_some_and(|slow| !is_pace(slow.per_minute) || slow.lasting.is_zero())),
            ("after", after.is_some_and(|after| after.count == 0 || after.within.is_zero())),
        ] {
            if is_bad {
                return Err(format!("`{key}` must be more than zero"));
            }
        }
        let (wait, suspend_for, pause) = (self.wait, self.suspend_for, self.pause);
        let action = Action { wait, after, suspend_for, slow, pause };
        let does = action.is_for_lane() || action.of_class(self.class).pause;
        if after.is_some() && !does {
            return Err(
                "`after` has nothing to do; hint: add `suspend_for`, `slow` or `pause`".into()
            );
        }
        Ok(action)
    }
}

/// What types cannot say, the iron rules among it.
fn check(rule: &Rule) -> Result<(), String> {
    let Pattern { phases, codes, statuses, texts, .. } = &rule.pattern;
    if codes.is_empty() && statuses.is_empty() && texts.is_empty() {
        return Err("it would match every reply; hint: give `code`, `status` or `text`".into());
    }
    let disagrees = |status: &StatusPattern| codes.iter().all(|code| code.class() != status.class);
    if !codes.is_empty() && !statuses.is_empty() && statuses.iter().all(disagrees) {
        return Err("it can never match: `code` and `status` are of different classes".into());
    }
    match rule.class {
        ReplyClass::Accepted => {
            Err("no rule makes an acceptance: only a 250 to the final dot does".into())
        }
        ReplyClass::AddressDead => {
            let names_address = |status: &StatusPattern| {
                (status.class, status.subject) == (5, 1)
                    && status.detail.is_some_and(|detail| !matches!(detail, 7 | 8))
            };
            let by_status = !statuses.is_empty() && statuses.iter().all(names_address);
            let bare = |code: &CodePattern| matches!(code, CodePattern::Exact(550 | 551 | 553));
            let by_code = statuses.is_empty()
                && phases.as_slice() == [Phase::Rcpt]
                && !codes.is_empty()
                && codes.iter().all(bare);
            if by_status || by_code {
                return Ok(());
            }
            Err("`class`: this may be no dead address; hint: `address-dead` needs `status` of 5.1.x (not \
                 5.1.7, 5.1.8 or 5.1.*), or phase = \"rcpt\" with code 550, 551 or 553"
                .into())
        }
        _ => Ok(()),
    }
}

fn each<T>(
    given: Option<OneOrMore>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    OneOrMore::list(given).iter().map(|text| read(text)).collect()
}

fn phase(text: &str) -> Result<Phase, String> {
    Phase::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Phase::ALL.iter().map(|phase| phase.word()).collect();
        format!("`{text}` is no phase; hint: one of {}", known.join(", "))
    })
}

fn code(text: &str) -> Result<CodePattern, String> {
    match text {
        "4yz" => Ok(CodePattern::Class(4)),
        "5yz" => Ok(CodePattern::Class(5)),
        _ => text
            .parse()
            .ok()
            .filter(|code| text.len() == 3 && (400..600).contains(code))
            .map(CodePattern::Exact)
            .ok_or_else(|| {
                format!("`{text}` is no code of a refusal; hint: \"421\", \"4yz\" or \"5yz\"")
            }),
    }
}

fn status(text: &str) -> Result<StatusPattern, String> {
    let (head, detail) = match text.strip_suffix(".*") {
        Some(head) => (format!("{head}.0"), false),
        None => (text.to_owned(), true),
    };
    let read: Option<EnhancedStatus> = head.parse().ok();
    read.filter(|status| matches!(status.class, 4 | 5))
        .map(|status| StatusPattern {
            class: status.class,
            subject: status.subject,
            detail: detail.then_some(status.detail),
        })
        .ok_or_else(|| format!("`{text}` is no status; hint: \"5.7.26\" or \"5.7.*\""))
}

fn text(text: &str) -> Result<String, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return Err("`text` is empty".into());
    }
    Ok(words.join(" ").to_ascii_lowercase())
}
