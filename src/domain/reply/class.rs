//! The classes of a reply, each with the one who is to blame for it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Phase, SmtpReply, general};
use crate::domain::delivery::AttemptResult;

/// What a reply means. The words are those of rule files, reports and the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplyClass {
    /// The server took responsibility for the notice.
    Accepted,
    /// The address does not exist: another channel has to reach the person.
    AddressDead,
    /// The mailbox is full.
    MailboxFull,
    /// The mailbox is there, but disabled or not taking mail.
    MailboxOff,
    /// The mailbox is getting too much mail at the moment, from anybody.
    MailboxBusy,
    /// A first try is asked to come again; nobody did anything wrong.
    Greylisted,
    /// We send too much or too fast for this server.
    Rate,
    /// The server has no room for anybody: busy, too many connections, a full disk.
    Capacity,
    /// Our reputation, a block list, a local rule against us.
    Policy,
    /// The message itself is taken for spam, a virus or malformed.
    Content,
    /// Our domain or host does not prove who it is: SPF, DKIM, DMARC, reverse DNS, TLS.
    Authentication,
    /// The relay does not let us in, or does not relay for us.
    RelayAuth,
    /// Our envelope sender is refused.
    Sender,
    /// The message is too large.
    Size,
    /// We said something this server does not understand or permit.
    Protocol,
    /// Any other 4yz.
    Temporary,
    /// Any other 5yz.
    Permanent,
}

/// Whose fault a reply tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// Nobody's, or the receiving server's.
    Nobody,
    /// The person's address or mailbox.
    Person,
    /// Ours: nobody is gave-up for it.
    Sender,
}

impl ReplyClass {
    const ALL: [(Self, &'static str, Blame); 17] = [
        (Self::Accepted, "accepted", Blame::Nobody),
        (Self::AddressDead, "address-dead", Blame::Person),
        (Self::MailboxFull, "mailbox-full", Blame::Person),
        (Self::MailboxOff, "mailbox-off", Blame::Person),
        (Self::MailboxBusy, "mailbox-busy", Blame::Person),
        (Self::Greylisted, "greylisted", Blame::Nobody),
        (Self::Rate, "rate", Blame::Sender),
        (Self::Capacity, "capacity", Blame::Nobody),
        (Self::Policy, "policy", Blame::Sender),
        (Self::Content, "content", Blame::Sender),
        (Self::Authentication, "authentication", Blame::Sender),
        (Self::RelayAuth, "relay-auth", Blame::Sender),
        (Self::Sender, "sender", Blame::Sender),
        (Self::Size, "size", Blame::Sender),
        (Self::Protocol, "protocol", Blame::Sender),
        (Self::Temporary, "temporary", Blame::Nobody),
        (Self::Permanent, "permanent", Blame::Sender),
    ];

    /// Reads `reply`, given in `phase`, by the general rules alone: code, status and few words.
    pub fn of(phase: Phase, reply: &SmtpReply) -> Self {
        general::class(phase, reply)
    }

    /// Every class, in the order of this page.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::ALL.iter().map(|(class, ..)| *class)
    }

    /// The word kept in outcomes, the journal, the ledger and reports.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(class, ..)| *class == self).map_or("", |(_, word, _)| word)
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == word).map(|(class, ..)| *class)
    }

    /// Whose fault it is; fixed, whatever a rule file says.
    pub fn blame(self) -> Blame {
        Self::ALL
            .iter()
            .find(|(class, ..)| *class == self)
            .map_or(Blame::Sender, |(_, _, blame)| *blame)
    }

    /// The attempt's result that this class makes of a reply with `code`. Only a 5yz ends or
    /// suspends anything; one that speaks of a mailbox defers that person alone.
    pub fn result(self, code: u16) -> AttemptResult {
        match self {
            Self::Accepted => AttemptResult::Accepted,
            _ if code / 100 != 5 => AttemptResult::Deferred,
            Self::AddressDead => AttemptResult::Refused,
            Self::MailboxFull
            | Self::MailboxOff
            | Self::MailboxBusy
            | Self::Greylisted
            | Self::Temporary => AttemptResult::Deferred,
            Self::Rate
            | Self::Capacity
            | Self::Policy
            | Self::Content
            | Self::Authentication
            | Self::RelayAuth
            | Self::Sender
            | Self::Size
            | Self::Protocol
            | Self::Permanent => AttemptResult::Policy,
        }
    }

    /// Whether it says that everybody's notice would be refused alike.
    pub fn is_ours_for_everybody(self) -> bool {
        matches!(self, Self::RelayAuth | Self::Sender)
    }

    /// Whether a 4yz of this class asks us to send less: what the adaptive pace counts.
    pub fn asks_for_less(self) -> bool {
        matches!(
            self,
            Self::Rate | Self::Policy | Self::Capacity | Self::Authentication | Self::Temporary
        )
    }

    /// What it means, in one sentence for the operator.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Accepted => "the server took the notice",
            Self::AddressDead => "the address does not exist",
            Self::MailboxFull => "the mailbox is full",
            Self::MailboxOff => "the mailbox takes no mail",
            Self::MailboxBusy => "the mailbox gets too much mail at the moment",
            Self::Greylisted => "a first try is asked to come again",
            Self::Rate => "we send too much or too fast",
            Self::Capacity => "the server is busy or full",
            Self::Policy => "our reputation, a block list or a rule stands against us",
            Self::Content => "the message is taken for spam or for malformed",
            Self::Authentication => {
                "our domain or host does not prove who it is (SPF, DKIM, DMARC, reverse DNS, TLS)"
            }
            Self::RelayAuth => "the relay does not let us in or does not relay for us",
            Self::Sender => "our envelope sender is refused",
            Self::Size => "the message is too large",
            Self::Protocol => "the server does not understand or permit what we said",
            Self::Temporary => "not now, without a reason we know",
            Self::Permanent => "refused, without a reason we know",
        }
    }
}

impl fmt::Display for ReplyClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Blame {
    /// The word shown.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Person => "person",
            Self::Sender => "sender",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_survives_its_word_and_serde_spells_it_alike() {
        for class in ReplyClass::all() {
            assert_eq!(ReplyClass::parse(class.word()), Some(class));
            assert_eq!(serde_json::to_value(class).unwrap(), class.word());
        }
        assert_eq!(ReplyClass::parse("dead"), None);
    }

    #[test]
    fn a_4yz_defers_whatever_its_class_and_only_a_dead_address_is_refused() {
        for class in ReplyClass::all().filter(|class| *class != ReplyClass::Accepted) {
            assert_eq!(class.result(450), AttemptResult::Deferred, "{class}");
            let is_refused = class.result(550) == AttemptResult::Refused;
            assert_eq!(is_refused, class == ReplyClass::AddressDead, "{class}");
            let is_policy = class.result(550) == AttemptResult::Policy;
            let is_ours = class.blame() == Blame::Sender || class == ReplyClass::Capacity;
            assert_eq!(is_policy, is_ours, "{class}");
        }
    }
}
