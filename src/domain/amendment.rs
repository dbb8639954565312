//! Amendments: what may be changed about a sealed person afterwards, from which class, by how many.
//!
//! They stand beside the seal, each with its reason, and can never add a person.

mod body;

use super::address::{AddressReason, EmailAddress};
use super::delivery::{DeliveryClass, Doubt, FallbackReason, HeldReason, ToldBy};

pub use body::{Amendment, BodyError};

/// What an amendment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AmendmentKind {
    /// The person does not belong to the campaign.
    Withdraw,
    /// The notice goes to another address, without token or code.
    ReplaceAddress,
    /// Another channel than mail is to reach them.
    ChangeChannel,
    /// Nothing more starts until it is released.
    Hold,
    /// The machine may go on with the sealed row.
    Release,
    /// Nobody will tell them.
    Waive,
}

impl AmendmentKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Withdraw,
        Self::ReplaceAddress,
        Self::ChangeChannel,
        Self::Hold,
        Self::Release,
        Self::Waive,
    ];

    /// The word of tables, ledger and command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Withdraw => "withdraw",
            Self::ReplaceAddress => "replace-address",
            Self::ChangeChannel => "change-channel",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Waive => "waive",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// How many operators have to sign (protocol §2): who says where a notice goes could send it to
    /// themselves, so that takes two.
    pub fn voices(self) -> usize {
        match self {
            Self::ReplaceAddress | Self::ChangeChannel => 2,
            Self::Withdraw | Self::Hold | Self::Release | Self::Waive => 1,
        }
    }

    /// Whether it has to point at something outside that proves it. `from` is the class it leaves.
    pub fn needs_evidence(self, from: &DeliveryClass) -> bool {
        match self {
            Self::ReplaceAddress | Self::ChangeChannel => true,
            Self::Waive => from.is_person_open(),
            Self::Withdraw | Self::Hold | Self::Release => false,
        }
    }

    /// Whether the same goes for the rows of the person's further addresses.
    pub fn takes_copies_along(self) -> bool {
        !matches!(self, Self::ReplaceAddress | Self::ChangeChannel)
    }
}

/// A channel other than mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// A letter.
    Post,
    /// A call.
    Phone,
    /// By somebody who meets them.
    InPerson,
    /// A substitute notice: the press, a page.
    Substitute,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 4] = [Self::Post, Self::Phone, Self::InPerson, Self::Substitute];

    /// The word of bodies and command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Phone => "phone",
            Self::InPerson => "in-person",
            Self::Substitute => "substitute",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.word() == word)
    }
}

/// An amendment's kind with what it sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// See [`AmendmentKind::Withdraw`].
    Withdraw,
    /// The new address.
    ReplaceAddress(EmailAddress),
    /// The new channel.
    ChangeChannel(Channel),
    /// See [`AmendmentKind::Hold`].
    Hold,
    /// See [`AmendmentKind::Release`].
    Release,
    /// See [`AmendmentKind::Waive`].
    Waive,
}

/// What of a person decides where they come to when they may be told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The sealed address's reason.
    pub address: AddressReason,
    /// A credential of theirs could not be expired.
    pub is_unsecured: bool,
}

/// Why an amendment does not fit the class it would leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Told people stay told.
    #[error("what was said cannot be taken back; hint: only `replace-address` tells them anew")]
    Told,
    /// Whoever was told by another account's notice, or by post, has no notice of their own to send anew.
    #[error(
        "no notice of their own told them, so there is none to send anew; hint: to tell them somewhere \
         else, seal them in a campaign of their own"
    )]
    ToldOtherwise,
    /// Withdrawn and waived are final.
    #[error("that is final; hint: a further campaign tells whom this one does not")]
    Final,
    /// Somebody has to act for them already.
    #[error(
        "nothing starts for them as it is; hint: `forthwith delivery show` tells what they wait for"
    )]
    HeldAlready,
    /// Doubt is settled before anything is held.
    #[error("what became of the notice is settled first; hint: `forthwith delivery resolve`")]
    InDoubt,
    /// Release is for the held.
    #[error("only who is held can be released; hint: `forthwith delivery list --class held`")]
    NotHeld,
    /// Their credential still works for the thief.
    #[error(
        "their credential could not be expired; hint: `forthwith secure run --retry-failed`, or waive"
    )]
    Unsecured,
}

impl Change {
    /// Its kind.
    pub fn kind(&self) -> AmendmentKind {
        match self {
            Self::Withdraw => AmendmentKind::Withdraw,
            Self::ReplaceAddress(_) => AmendmentKind::ReplaceAddress,
            Self::ChangeChannel(_) => AmendmentKind::ChangeChannel,
            Self::Hold => AmendmentKind::Hold,
            Self::Release => AmendmentKind::Release,
            Self::Waive => AmendmentKind::Waive,
        }
    }

    /// The class a person of this standing comes to from `from`.
    pub fn lands(&self, from: &DeliveryClass, standing: Standing) -> Result<DeliveryClass, Misfit> {
        self.fits(from)?;
        Ok(match self {
            Self::Withdraw => DeliveryClass::Withdrawn,
            Self::ChangeChannel(_) => DeliveryClass::Fallback(FallbackReason::Channel),
            Self::Hold => DeliveryClass::Held(HeldReason::Operator),
            Self::Waive => waived(from),
            Self::Release => match standing.address {
                AddressReason::Ok | AddressReason::Suspect | AddressReason::Dormant => {
                    sendable(standing.is_unsecured)
                }
                other => DeliveryClass::Fallback(FallbackReason::Address(other.word().into())),
            },
            Self::ReplaceAddress(_) => sendable(standing.is_unsecured),
        })
    }

    fn fits(&self, from: &DeliveryClass) -> Result<(), Misfit> {
        match (self, from) {
            (_, DeliveryClass::Withdrawn | DeliveryClass::Waived(_)) => Err(Misfit::Final),
            (Self::ReplaceAddress(_), DeliveryClass::Told(ToldBy::Accepted)) => Ok(()),
            (_, DeliveryClass::Told(ToldBy::Accepted)) => Err(Misfit::Told),
            (_, DeliveryClass::Told(_)) => Err(Misfit::ToldOtherwise),
            (Self::Hold, DeliveryClass::Held(_) | DeliveryClass::Fallback(_)) => {
                Err(Misfit::HeldAlready)
            }
            (Self::Hold, DeliveryClass::InDoubt(_))
            | (Self::Release, DeliveryClass::InDoubt(Doubt::Held)) => Err(Misfit::InDoubt),
            (Self::Release, DeliveryClass::Held(HeldReason::Credential)) => Err(Misfit::Unsecured),
            (Self::Release, DeliveryClass::Held(_)) => Ok(()),
            (Self::Release, _) => Err(Misfit::NotHeld),
            _ => Ok(()),
        }
    }
}

/// Waived, by the class that was waived: the sums tell what was let go, and no free text is in them.
pub fn waived(from: &DeliveryClass) -> DeliveryClass {
    DeliveryClass::Waived(from.label().replace('/', ":"))
}

/// The class of who is to be told: nobody is before their credential is settled, whatever an amendment or the
/// end of a doubt says.
pub fn sendable(is_unsecured: bool) -> DeliveryClass {
    if is_unsecured { DeliveryClass::Held(HeldReason::Credential) } else { DeliveryClass::Queued }
}

#[cfg(test)]
mod tests;
