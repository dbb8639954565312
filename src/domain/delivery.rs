//! The delivery of one notice to one recipient: its classes, and what an attempt can end in.
//!
//! The words are those of `docs/lifecycle.md`; the store keeps a class as (class, reason).

use std::fmt;

use jiff::Timestamp;

use super::reply::ReplyClass;

/// Who must act next on a doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// The campaign's policy re-sends it by itself.
    Due,
    /// An operator has to settle it with `forthwith delivery resolve`.
    Held,
}

/// Why a notice waits for a person to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeldReason {
    /// Two source rows spoke of this account and differed.
    Conflict,
    /// The account's credential could not be expired.
    Credential,
    /// A rebuilt message differs from the one whose fate is in doubt.
    Content,
    /// An operator's amendment.
    Operator,
    /// More accounts share this address than mail should serve unseen: a person looks first.
    Shared,
}

/// Why another channel than mail has to reach this person.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FallbackReason {
    /// The sealed address cannot be mailed; holds the address reason's word.
    Address(String),
    /// The relay says that the address does not exist.
    Bounced,
    /// The retry window ended without acceptance.
    GaveUp,
    /// A non-ASCII local part at a relay without SMTPUTF8.
    NeedsSmtputf8,
    /// The relay or the provider would not mail it.
    Suppressed,
    /// The person complained about the notice.
    Complaint,
    /// An operator chose another channel for this person.
    Channel,
}

/// How a person came to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ToldBy {
    /// The relay took responsibility (250 to the final dot).
    Accepted,
    /// A posted notice was confirmed.
    Post,
    /// Another recipient's notice names this account too.
    Carrier,
}

/// Where one person's notice stands. In flight is never stored: it is an intent without outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeliveryClass {
    /// Nothing was tried yet, or it may be tried again.
    Queued,
    /// A 4yz or a cut before the final dot; due later.
    Deferred,
    /// The notice may or may not have been taken.
    InDoubt(Doubt),
    /// Somebody must act first.
    Held(HeldReason),
    /// Mail cannot reach this person.
    Fallback(FallbackReason),
    /// Told.
    Told(ToldBy),
    /// Taken out by an amendment.
    Withdrawn,
    /// Let go by a named operator; holds the reason.
    Waived(String),
}

/// A class word that the database should never hold.
#[derive(Debug, thiserror::Error)]
#[error("`{class}/{reason}` is no delivery class")]
pub struct UnknownClass {
    class: String,
    reason: String,
}

impl DeliveryClass {
    /// The class word: the `class` column and the name of its counter.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Deferred => "deferred",
            Self::InDoubt(_) => "in-doubt",
            Self::Held(_) => "held",
            Self::Fallback(_) => "fallback",
            Self::Told(_) => "told",
            Self::Withdrawn => "withdrawn",
            Self::Waived(_) => "waived",
        }
    }

    /// The reason word; empty where the class has none.
    pub fn reason(&self) -> String {
        match self {
            Self::Queued | Self::Deferred | Self::Withdrawn => String::new(),
            Self::InDoubt(Doubt::Due) => "due".into(),
            Self::InDoubt(Doubt::Held) => "held".into(),
            Self::Held(reason) => match reason {
                HeldReason::Conflict => "conflict",
                HeldReason::Credential => "credential",
                HeldReason::Content => "content",
                HeldReason::Operator => "operator",
                HeldReason::Shared => "shared",
            }
            .into(),
            Self::Fallback(reason) => match reason {
                FallbackReason::Address(word) => format!("address:{word}"),
                FallbackReason::Bounced => "bounced".into(),
                FallbackReason::GaveUp => "gave-up".into(),
                FallbackReason::NeedsSmtputf8 => "needs-smtputf8".into(),
                FallbackReason::Suppressed => "suppressed".into(),
                FallbackReason::Complaint => "complaint".into(),
                FallbackReason::Channel => "channel".into(),
            },
            Self::Told(by) => match by {
                ToldBy::Accepted => "accepted",
                ToldBy::Post => "post",
                ToldBy::Carrier => "carrier",
            }
            .into(),
            Self::Waived(reason) => reason.clone(),
        }
    }

    /// Reads the two words back.
    pub fn parse(class: &str, reason: &str) -> Result<Self, UnknownClass> {
        Ok(match (class, reason) {
            ("queued", _) => Self::Queued,
            ("deferred", _) => Self::Deferred,
            ("withdrawn", _) => Self::Withdrawn,
            ("waived", reason) => Self::Waived(reason.into()),
            ("in-doubt", "due") => Self::InDoubt(Doubt::Due),
            ("in-doubt", "held") => Self::InDoubt(Doubt::Held),
            ("held", "conflict") => Self::Held(HeldReason::Conflict),
            ("held", "credential") => Self::Held(HeldReason::Credential),
            ("held", "content") => Self::Held(HeldReason::Content),
            ("held", "operator") => Self::Held(HeldReason::Operator),
            ("held", "shared") => Self::Held(HeldReason::Shared),
            ("told", "accepted") => Self::Told(ToldBy::Accepted),
            ("told", "post") => Self::Told(ToldBy::Post),
            ("told", "carrier") => Self::Told(ToldBy::Carrier),
            ("fallback", "bounced") => Self::Fallback(FallbackReason::Bounced),
            ("fallback", "gave-up") => Self::Fallback(FallbackReason::GaveUp),
            ("fallback", "needs-smtputf8") => Self::Fallback(FallbackReason::NeedsSmtputf8),
            ("fallback", "suppressed") => Self::Fallback(FallbackReason::Suppressed),
            ("fallback", "complaint") => Self::Fallback(FallbackReason::Complaint),
            ("fallback", "channel") => Self::Fallback(FallbackReason::Channel),
            ("fallback", other) if other.starts_with("address:") => {
                Self::Fallback(FallbackReason::Address(other["address:".len()..].into()))
            }
            _ => return Err(UnknownClass { class: class.into(), reason: reason.into() }),
        })
    }

    /// Whether the machine itself still has something to do: queued, deferred, or a due re-send.
    pub fn is_machine_open(&self) -> bool {
        matches!(self, Self::Queued | Self::Deferred | Self::InDoubt(Doubt::Due))
    }

    /// Whether a person has to act before this can be closed.
    pub fn is_person_open(&self) -> bool {
        matches!(self, Self::InDoubt(Doubt::Held) | Self::Held(_) | Self::Fallback(_))
    }

    /// `class/reason`, or the bare class where there is no reason: the key of breakdowns.
    pub fn label(&self) -> String {
        let reason = self.reason();
        if reason.is_empty() { self.word().into() } else { format!("{}/{reason}", self.word()) }
    }
}

impl fmt::Display for DeliveryClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason();
        if reason.is_empty() {
            f.write_str(self.word())
        } else {
            write!(f, "{} ({reason})", self.word())
        }
    }
}

/// Which attempt: one SMTP transaction for one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttemptKey {
    /// The recipient's number in the seal.
    pub number: u64,
    /// 1 for the first notice; a re-notice is a new generation.
    pub generation: u32,
    /// 1 + the largest n of this generation.
    pub n: u32,
}

/// How an attempt ended: the `result` column of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptResult {
    /// 250 to the final dot.
    Accepted,
    /// 4yz, or a 5yz that speaks of the person's mailbox.
    Deferred,
    /// The address is dead (5.1.x, or 550/551/553 at RCPT without enhanced code).
    Refused,
    /// Any other 5yz: the sender's fault until shown otherwise.
    Policy,
    /// The connection broke before the final dot.
    Broken,
    /// The connection broke, or the worker died, after the final dot.
    InDoubt,
    /// The intent never reached the wire.
    NotStarted,
    /// The relay cannot carry this address (SMTPUTF8).
    Unsendable,
}

impl AttemptResult {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Accepted, "accepted"),
        (Self::Deferred, "deferred"),
        (Self::Refused, "refused"),
        (Self::Policy, "policy"),
        (Self::Broken, "broken"),
        (Self::InDoubt, "in-doubt"),
        (Self::NotStarted, "not-started"),
        (Self::Unsendable, "unsendable"),
    ];

    /// The word kept in the database and the journal.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(result, _)| *result == self).map_or("", |(_, word)| word)
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(result, _)| *result)
    }
}

/// What is kept of an attempt's end. Holds no address and no reply text in clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub result: AttemptResult,
    /// The phase of the dialogue it ended in; empty where none was reached.
    pub phase: String,
    /// The peer's reply code.
    pub code: Option<u16>,
    /// The peer's enhanced status, `x.y.z`.
    pub enhanced: Option<String>,
    /// What the peer's refusal was read as; none where it accepted or said nothing.
    pub class: Option<ReplyClass>,
    /// The rule that read it; none where the general rules did.
    pub rule: Option<String>,
    /// The peer's queue id.
    pub queue_id: Option<String>,
    /// The peer's words under the campaign's key.
    pub reply: Option<Vec<u8>>,
    /// When it ended.
    pub ended_at: Timestamp,
}

impl Outcome {
    /// An outcome without a peer's reply.
    pub fn bare(result: AttemptResult, phase: &str, ended_at: Timestamp) -> Self {
        Self {
            result,
            phase: phase.into(),
            code: None,
            enhanced: None,
            class: None,
            rule: None,
            queue_id: None,
            reply: None,
            ended_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_survives_its_two_words() {
        let all = [
            DeliveryClass::Queued,
            DeliveryClass::Deferred,
            DeliveryClass::InDoubt(Doubt::Due),
            DeliveryClass::InDoubt(Doubt::Held),
            DeliveryClass::Held(HeldReason::Conflict),
            DeliveryClass::Held(HeldReason::Credential),
            DeliveryClass::Held(HeldReason::Content),
            DeliveryClass::Held(HeldReason::Operator),
            DeliveryClass::Fallback(FallbackReason::Address("missing".into())),
            DeliveryClass::Fallback(FallbackReason::Bounced),
            DeliveryClass::Fallback(FallbackReason::GaveUp),
            DeliveryClass::Fallback(FallbackReason::NeedsSmtputf8),
            DeliveryClass::Fallback(FallbackReason::Suppressed),
            DeliveryClass::Fallback(FallbackReason::Complaint),
            DeliveryClass::Told(ToldBy::Accepted),
            DeliveryClass::Told(ToldBy::Post),
            DeliveryClass::Told(ToldBy::Carrier),
            DeliveryClass::Withdrawn,
            DeliveryClass::Waived("cancelled".into()),
        ];
        for class in all {
            let back = DeliveryClass::parse(class.word(), &class.reason());
            assert_eq!(back.expect("a known class"), class);
        }
        assert!(DeliveryClass::parse("delivered", "").is_err());
    }

    #[test]
    fn an_open_class_is_open_for_the_machine_or_for_a_person_but_not_both() {
        for class in [
            DeliveryClass::Queued,
            DeliveryClass::InDoubt(Doubt::Due),
            DeliveryClass::InDoubt(Doubt::Held),
            DeliveryClass::Held(HeldReason::Conflict),
        ] {
            assert!(class.is_machine_open() != class.is_person_open(), "{class}");
        }
        assert!(!DeliveryClass::Told(ToldBy::Accepted).is_machine_open());
    }
}
