//! Fault rules: which step of which connection or address fails, how, and how often.
//!
//! A rule is pure data. Its text form is read in `fault_text`, its fate decided in `fate`.

use std::str::FromStr;

use serde::Deserialize;

use super::fault_text::{self, FaultTextError};
use super::pattern::Pattern;
use super::phase::Phase;
use super::reply::Refusal;
use super::spoil::Spoil;

/// What a rule does when it strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Answers with this and does not do what was asked.
    Refuse(Refusal),
    /// Closes without a word and does not do what was asked.
    Cut,
    /// Says nothing more, and does nothing more, until the client goes.
    Silent,
    /// Does what was asked; the reply arrives otherwise than it should.
    Spoil(Spoil),
    /// Closes at the first octet of the body.
    DropBeforeDot,
    /// Stores the message, closes without a word.
    DropAfterDot,
    /// Spoils the TLS handshake behind a proper `220`.
    Handshake(Handshake),
}

/// How the server side of a TLS handshake goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handshake {
    /// As it should.
    Whole,
    /// The client's first message is read, a record begun, the connection closed.
    Cut,
    /// The client's first message is answered with plain octets that are no TLS.
    Garbage,
    /// Nothing is said until the client goes.
    Silent,
}

/// One fault rule. Its text form, for the command line and for configuration:
///
/// ```text
/// rule    = fault *( ":" option )
/// fault   = phase ":" kind / "drop-before-dot" / "drop-after-dot"
/// phase   = "greeting" / "ehlo" / "tls" / "auth" / "mail" / "rcpt" / "data" / "dot"
///         / "rset" / "quit"
/// kind    = code              ; refuses: 400 to 599; 421 also closes the connection
///         / "cut"             ; closes without a word, the command is not done
///         / "silent"          ; says nothing more until the client goes
///         / "garbage"         ; octets that are no SMTP reply
///         / "half"            ; half of the reply's first line, then closes
///         / "wrong" [ "=" code ] ; a code out of place, 200 to 399
///         / "twice"           ; the reply, and the same again unasked
///         / "huge"            ; 100 kB of reply lines with the right code
///         / "bytewise"        ; the reply one octet at a time
///         / "slow=" time      ; waits before the reply: 250ms, 2s, 5m
///         / "handshake-cut" / "handshake-garbage" / "handshake-silent"   ; tls only
///         / "inject"          ; tls only: plain octets in the same write as the 220
/// option  = share / "share=" share   ; 0 to 1, default 1 (always)
///         / "times=" number          ; strikes one address, or connections, at most so often
///         / "to=" pattern            ; recipient; "*" stands for any run of characters
///         / "from=" pattern          ; reverse-path; for "mail" rules, in place of "to="
///         / "text=" rest             ; reply text; takes the rest of the rule, so it comes last
///         / "raw=" rest              ; the same, sent as it stands; "\n" begins a further line
/// ```
///
/// Examples: `rcpt:550:0.02`, `rcpt:451:share=0.1:times=1`, `drop-after-dot:share=0.01`,
/// `dot:452:to=*@slow.example`, `rcpt:452:text=4.2.2 Mailbox full`, `greeting:421:0.3`,
/// `ehlo:half:times=1`, `tls:inject`, `data:slow=2s:0.1`.
///
/// `mail` rules are decided by the reverse-path, `rcpt`, `data`, `dot` and the two drops by the
/// recipient when RCPT names it, all others once for each connection when it first comes to that
/// step. The first rule of the list that strikes wins. Case of ASCII letters does not count. A
/// share is decided anew at each attempt of an address at this sink, or for each connection, from
/// the seed, the rule's place in the list, the address or the connection's number, and the
/// attempt's number: the same seed gives the same faults, and a retry may have another fate.
///
/// `cut`, `silent` and a refusal come in place of what was asked. All other kinds spoil only the
/// reply: the command is done, and a message whose dot is answered so is stored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct FaultRule {
    pub(super) phase: Phase,
    pub(super) kind: Kind,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_hides_its_pattern_in_debug() {
        let rule: FaultRule = "rcpt:550:to=alice@example.org".parse().unwrap();
        assert!(!format!("{rule:?}").contains("alice"));
    }
}
