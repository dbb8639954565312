//! One rule: what it matches, the class it gives, what is done.

use super::{EnhancedStatus, Phase, ReplyClass, SmtpReply};
use crate::domain::duration::HumanDuration;

/// One rule of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub(super) name: String,
    pub(super) class: ReplyClass,
    pub(super) source: String,
    pub(super) pattern: Pattern,
    pub(super) action: Action,
}

/// What a rule matches: every list that is not empty must hold one that fits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Pattern {
    pub providers: Vec<String>,
    pub phases: Vec<Phase>,
    pub codes: Vec<CodePattern>,
    pub statuses: Vec<StatusPattern>,
    /// Lower case.
    pub texts: Vec<String>,
}

/// A code, or all of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CodePattern {
    Exact(u16),
    Class(u8),
}

/// A status; no detail means any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StatusPattern {
    pub class: u8,
    pub subject: u16,
    pub detail: Option<u16>,
}

/// What is done about a reply, beside what its class means for the person.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Action {
    /// This person is tried again after so long, instead of by the schedule.
    pub wait: Option<HumanDuration>,
    /// The lane is touched only when the rule matched so often within so long.
    pub after: Option<After>,
    /// The lane rests for so long.
    pub suspend_for: Option<HumanDuration>,
    /// The lane goes on more slowly for a while.
    pub slow: Option<Slow>,
    /// The fault is ours for everybody: the campaign pauses itself.
    pub pause: bool,
}

/// How often, within which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// So many replies.
    pub count: u32,
    /// Within this long.
    pub within: HumanDuration,
}

/// A slower pace for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slow {
    /// Messages a minute.
    pub per_minute: f64,
    /// For so long.
    pub lasting: HumanDuration,
}

impl Rule {
    /// Its name, unique in its file.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The class it gives.
    pub fn class(&self) -> ReplyClass {
        self.class
    }

    /// Where its fact comes from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What is done, with what its class asks for of itself.
    pub fn action(&self) -> Action {
        self.action.of_class(self.class)
    }

    /// The providers it is for; none = all.
    pub fn providers(&self) -> &[String] {
        &self.pattern.providers
    }

    /// What it matches as rows of a table show it: phases, codes, statuses, texts.
    pub fn matches_shown(&self) -> [String; 4] {
        let join = |words: Vec<String>| words.join(", ");
        let pattern = &self.pattern;
        [
            join(pattern.phases.iter().map(ToString::to_string).collect()),
            join(pattern.codes.iter().map(ToString::to_string).collect()),
            join(pattern.statuses.iter().map(ToString::to_string).collect()),
            join(pattern.texts.clone()),
        ]
    }
}

impl Pattern {
    pub(super) fn fits(&self, phase: Phase, provider: &str, reply: &SmtpReply, text: &str) -> bool {
        fn one<T>(list: &[T], fits: impl Fn(&T) -> bool) -> bool {
            list.is_empty() || list.iter().any(fits)
        }
        one(&self.providers, |name| name == provider)
            && one(&self.phases, |known| *known == phase)
            && one(&self.codes, |code| code.fits(reply.code))
            && one(&self.statuses, |status| reply.enhanced.is_some_and(|given| status.fits(given)))
            && one(&self.texts, |part| text.contains(part.as_str()))
    }
}

impl CodePattern {
    fn fits(self, code: u16) -> bool {
        match self {
            Self::Exact(exact) => exact == code,
            Self::Class(class) => u16::from(class) == code / 100,
        }
    }

    /// 4 or 5.
    pub(super) fn class(self) -> u8 {
        match self {
            Self::Exact(code) => u8::try_from(code / 100).unwrap_or(0),
            Self::Class(class) => class,
        }
    }
}

impl StatusPattern {
    fn fits(self, status: EnhancedStatus) -> bool {
        (self.class, self.subject) == (status.class, status.subject)
            && self.detail.is_none_or(|detail| detail == status.detail)
    }
}

impl std::fmt::Display for CodePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(code) => write!(f, "{code}"),
            Self::Class(class) => write!(f, "{class}yz"),
        }
    }
}

impl std::fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.detail {
            Some(detail) => write!(f, "{}.{}.{detail}", self.class, self.subject),
            None => write!(f, "{}.{}.*", self.class, self.subject),
        }
    }
}

/// How long a greylisted person waits where no rule says otherwise: servers ask for 5 to 15 minutes.
const GREYLIST_WAIT: HumanDuration = HumanDuration::from_secs(600);

impl Action {
    /// The action with what a class asks for of itself.
    pub(super) fn of_class(mut self, class: ReplyClass) -> Self {
        if class == ReplyClass::Greylisted {
            self.wait = self.wait.or(Some(GREYLIST_WAIT));
        }
        self.pause |= class.is_ours_for_everybody();
        self
    }

    /// Whether it says itself what becomes of the lane.
    pub fn is_for_lane(&self) -> bool {
        self.suspend_for.is_some() || self.slow.is_some()
    }
}

/// In the words of a rule file, for tables and for the operator.
impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if let Some(wait) = self.wait {
            parts.push(format!("the person waits {wait}"));
        }
        let after = self
            .after
            .map(|after| format!("after {} within {}: ", after.count, after.within))
            .unwrap_or_default();
        let mut lane = Vec::new();
        if let Some(rest) = self.suspend_for {
            lane.push(format!("the provider is suspended for {rest}"));
        }
        if let Some(slow) = self.slow {
            lane.push(format!("{} a minute for {}", slow.per_minute, slow.lasting));
        }
        if self.pause {
            lane.push("the campaign pauses".into());
        }
        if !lane.is_empty() {
            parts.push(format!("{after}{}", lane.join(", ")));
        }
        f.write_str(&parts.join("; "))
    }
}
