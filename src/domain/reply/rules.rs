//! The table: a workspace's own rules, then the shipped ones, then the general rules.

use super::rule::{Action, Rule};
use super::written::{RuleFault, RuleFile};
use super::{Phase, ReplyClass, SmtpReply, general};
use crate::domain::duration::HumanDuration;

/// All rules, in the order in which they are tried.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyRules {
    rules: Vec<Rule>,
    adapt: Adapt,
}

/// When a lane slows down by itself, before a 4yz becomes a 5yz.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adapt {
    /// The share of replies asking for less that is still borne, 0 to 1.
    pub share: f64,
    /// Among so many of the latest outcomes.
    pub of: u32,
    /// What the pace is multiplied by, 0 to 1.
    pub factor: f64,
    /// For so long.
    pub lasting: HumanDuration,
    /// The slowest it gets, messages a minute.
    pub least_per_minute: f64,
}

/// What one reply was read as.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading<'a> {
    /// Its class.
    pub class: ReplyClass,
    /// The rule that gave it; none where the general rules did.
    pub rule: Option<&'a Rule>,
    /// What is done.
    pub action: Action,
}

impl ReplyRules {
    /// A table of the shipped rules with a workspace's own before them. An own rule that has the
    /// name of a shipped one takes its place; an own `[adapt]` counts alone.
    pub fn new(shipped: RuleFile, own: Option<RuleFile>) -> Result<Self, RuleFault> {
        let (mut rules, own_adapt) = match own {
            Some(file) => file.read()?,
            None => (Vec::new(), None),
        };
        let (more, adapt) = shipped.read()?;
        let kept: Vec<Rule> =
            more.into_iter().filter(|rule| rules.iter().all(|own| own.name != rule.name)).collect();
        rules.extend(kept);
        Ok(Self { rules, adapt: own_adapt.or(adapt).unwrap_or_default() })
    }

    /// Reads `reply`, given in `phase` for a recipient of `provider` (a name of the provider table).
    /// The first rule that fits wins. No rule can make an acceptance, nor a dead address of a reply
    /// that does not speak of one.
    pub fn read(&self, phase: Phase, provider: &str, reply: &SmtpReply) -> Reading<'_> {
        let rule = self.first(phase, provider, reply);
        let class = match rule {
            // "permanent" is what the server says, not the rule
            Some(rule) if rule.class == ReplyClass::Permanent && reply.code() / 100 == 4 => {
                ReplyClass::Temporary
            }
            Some(rule) => rule.class,
            None => general::class(phase, reply),
        };
        let action = rule.map(|rule| rule.action).unwrap_or_default().of_class(class);
        Reading { class, rule, action }
    }

    fn first(&self, phase: Phase, provider: &str, reply: &SmtpReply) -> Option<&Rule> {
        if !matches!(reply.code() / 100, 4 | 5) {
            return None;
        }
        let text = reply.comparable();
        self.rules.iter().find(|rule| {
            rule.pattern.fits(phase, provider, reply, &text)
                && (rule.class != ReplyClass::AddressDead || general::may_be_dead(phase, reply))
        })
    }

    /// What is done about a reply of `class` that the rule of this name read; a name that is no
    /// longer in the table counts as none.
    pub fn action(&self, class: ReplyClass, rule: Option<&str>) -> Action {
        let rule = rule.and_then(|name| self.rules.iter().find(|rule| rule.name == name));
        rule.map(|rule| rule.action).unwrap_or_default().of_class(class)
    }

    /// When a lane slows down by itself.
    pub fn adapt(&self) -> Adapt {
        self.adapt
    }

    /// Every rule, in order.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }
}

impl Default for Adapt {
    fn default() -> Self {
        Self {
            share: 0.15,
            of: 100,
            factor: 0.5,
            lasting: HumanDuration::from_secs(900),
            least_per_minute: 1.0,
        }
    }
}

#[cfg(test)]
mod tests;
