//! Whether an address can be mailed, and if not, why: the rule the seal applies.

use std::fmt;

/// Whether a sealed address can be mailed, and if not, why. Everything but `ok` leads to the
/// fallback or to a variant without secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressReason {
    /// It can be mailed.
    Ok,
    /// The source had none.
    Missing,
    /// The source's text is no address.
    Invalid,
    /// Its domain takes no mail.
    DeadDomain,
    /// A domain we host: the expiry locks this mailbox.
    OwnMailbox,
    /// Changed after the window began: the thief may have put it there.
    Suspect,
    /// Not used for so long that somebody else may read it.
    Dormant,
    /// It must not be mailed.
    Suppressed,
}

/// What is known of an address that reads as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts of which any may hold beside any other")]
pub struct AddressFacts {
    /// It must not be mailed: it stands in a list of suppressed addresses.
    pub is_suppressed: bool,
    /// Its domain is one we host.
    pub is_own: bool,
    /// Its domain takes no mail.
    pub is_dead: bool,
    /// It was put there at or after the begin of the incident's window.
    pub is_new: bool,
    /// It was last proved to be the person's too long ago.
    pub is_old: bool,
}

impl AddressReason {
    /// Every reason, in the order of its documentation.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Missing,
        Self::Invalid,
        Self::DeadDomain,
        Self::OwnMailbox,
        Self::Suspect,
        Self::Dormant,
        Self::Suppressed,
    ];

    /// The reason of an address that reads as `read` (`ok`, `missing` or `invalid`).
    ///
    /// The first that holds of: missing, invalid, suppressed, own-mailbox, dead-domain, suspect,
    /// dormant, ok. What must not or can't be mailed comes before what is mailed without a secret, so
    /// that a suspect address in a mailbox of our own is not mailed at all; and suspect before
    /// dormant, since a suspect address has a copy for the one before it.
    pub fn judge(read: Self, facts: AddressFacts) -> Self {
        match read {
            Self::Missing | Self::Invalid => read,
            _ if facts.is_suppressed => Self::Suppressed,
            _ if facts.is_own => Self::OwnMailbox,
            _ if facts.is_dead => Self::DeadDomain,
            _ if facts.is_new => Self::Suspect,
            _ if facts.is_old => Self::Dormant,
            _ => Self::Ok,
        }
    }

    /// Whether mail goes there at all; with a secret only where it is [`Self::Ok`].
    pub fn is_mailed(self) -> bool {
        matches!(self, Self::Ok | Self::Suspect | Self::Dormant)
    }

    /// The word kept in seals, tables and counts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::DeadDomain => "dead-domain",
            Self::OwnMailbox => "own-mailbox",
            Self::Suspect => "suspect",
            Self::Dormant => "dormant",
            Self::Suppressed => "suppressed",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }
}

impl fmt::Display for AddressReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_survives_its_word() {
        for reason in AddressReason::ALL {
            assert_eq!(AddressReason::parse(reason.word()), Some(reason));
            let json = format!("\"{}\"", reason.word());
            assert_eq!(serde_json::from_str::<AddressReason>(&json).unwrap(), reason);
        }
        assert_eq!(AddressReason::parse("excluded"), None);
    }

    /// Every combination of facts against the order of precedence.
    #[test]
    fn what_must_not_be_mailed_comes_before_what_is_mailed_without_a_secret() {
        use AddressReason::{
            DeadDomain, Dormant, Invalid, Missing, Ok, OwnMailbox, Suppressed, Suspect,
        };
        for bits in 0..32_u8 {
            let has = |bit: u8| bits & (1 << bit) > 0;
            let facts = AddressFacts {
                is_suppressed: has(0),
                is_own: has(1),
                is_dead: has(2),
                is_new: has(3),
                is_old: has(4),
            };
            let order = [Suppressed, OwnMailbox, DeadDomain, Suspect, Dormant];
            let first = (0..5).find(|bit| has(*bit)).map_or(Ok, |bit| order[usize::from(bit)]);
            assert_eq!(AddressReason::judge(Ok, facts), first, "{facts:?}");
            for read in [Missing, Invalid] {
                assert_eq!(AddressReason::judge(read, facts), read);
            }
        }
        let mailed = AddressReason::ALL.into_iter().filter(|reason| reason.is_mailed());
        assert_eq!(mailed.collect::<Vec<_>>(), [Ok, Suspect, Dormant]);
    }
}
