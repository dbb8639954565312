//! Fault rules: which command of which address fails, how, and how often.
//!
//! A rule is pure data. Its text form is read in `fault_text`, its fate decided in `fate`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::fault_text::{self, FaultTextError};
use super::reply::Refusal;

/// The step of a mail transaction at which a reply is a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// The MAIL command.
    Mail,
    /// The RCPT command.
    Rcpt,
    /// The DATA command.
    Data,
    /// The dot that ends the body.
    Dot,
}

/// What a rule does when it strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Refuse(Phase, Refusal),
    DropBeforeDot,
    DropAfterDot,
}

/// One fault rule. Its text form, for the command line and for configuration:
///
/// ```text
/// rule    = action *( ":" option )
/// action  = phase ":" code / "drop-before-dot" / "drop-after-dot"
/// phase   = "mail" / "rcpt" / "data" / "dot"
/// code    = 400 to 599; 421 also closes the connection
/// option  = share / "share=" share   ; 0 to 1, default 1 (always)
///         / "times=" number          ; strikes one address at most so often
///         / "to=" pattern            ; recipient; "*" stands for any run of characters
///         / "from=" pattern          ; reverse-path; for "mail" rules, in place of "to="
///         / "text=" rest             ; reply text; takes the rest of the rule, so it comes last
/// ```
///
/// Examples: `rcpt:550:0.02`, `rcpt:451:share=0.1:times=1`, `drop-after-dot:share=0.01`,
/// `dot:452:to=*@slow.example`, `rcpt:452:text=4.2.2 Mailbox full`.
///
/// `mail` rules are decided by the reverse-path, all others by the recipient, when RCPT names it;
/// the first rule of the list that strikes wins. Case of ASCII letters does not count. A share is
/// decided anew at each attempt of an address at this sink, from the seed, the rule's place in the
/// list, the address and the attempt's number: the same seed gives the same faults, and a retry
/// may have another fate.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct FaultRule {
    pub(super) action: Action,
    pub(super) share: f64,
    pub(super) times: Option<u32>,
    pub(super) pattern: Option<Pattern>,
}

impl FromStr for FaultRule {
    type Err = FaultTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        fault_text::parse(text)
    }
}

impl TryFrom<String> for FaultRule {
    type Error = FaultTextError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Fault rules in their order; in configuration a list of texts.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct FaultRules(Vec<FaultRule>);

impl FaultRules {
    /// The rules in order.
    pub fn rules(&self) -> &[FaultRule] {
        &self.0
    }
}

impl From<Vec<FaultRule>> for FaultRules {
    fn from(rules: Vec<FaultRule>) -> Self {
        Self(rules)
    }
}

impl FromIterator<FaultRule> for FaultRules {
    fn from_iter<I: IntoIterator<Item = FaultRule>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

/// An address pattern; may be a whole address, so Debug hides it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pattern(Box<str>);

impl Pattern {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether the whole of `address` fits.
    pub(super) fn matches(&self, address: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), address.as_bytes());
        let (mut p, mut t) = (0, 0);
        // Where to go on when a guess of the last `*`'s length fails.
        let mut retry = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    p += 1;
                    retry = Some((p, t));
                }
                Some(wanted) if wanted.eq_ignore_ascii_case(&text[t]) => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((after_star, from)) = retry else {
                        return false;
                    };
                    p = after_star;
                    t = from + 1;
                    retry = Some((after_star, t));
                }
            }
        }
        pattern[p..].iter().all(|octet| *octet == b'*')
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address pattern")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_the_whole_address_only() {
        for (pattern, address, fits) in [
            ("*@example.org", "bob@example.org", true),
            ("*@example.org", "bob@example.org.evil.test", false),
            ("*@example.org", "bob@sub.example.org", false),
            ("bob@*", "BOB@example.net", true),
            ("bob@*", "rob@example.net", false),
            ("*a*b@*.test", "xaab@mx.test", true),
            ("*", "", true),
            ("a@b.test", "a@b.test", true),
            ("a@b.test", "a@b.tes", false),
            ("**@b.test*", "a@b.test", true),
        ] {
            assert_eq!(Pattern::new(pattern).matches(address), fits, "{pattern} on {address}");
        }
    }

    #[test]
    fn a_rule_hides_its_pattern_in_debug() {
        let rule: FaultRule = "rcpt:550:to=alice@example.org".parse().unwrap();
        assert!(!format!("{rule:?}").contains("alice"));
    }
}
