//! At which addresses a person of an earlier campaign is told again: where a notice of the classes meant
//! went, and nowhere else.
//!
//! A row of an audience names two addresses at most: a newer one, and the one before it, which is trusted.
//! The seal makes a person and a copy of them again, as the earlier campaign's did.

use jiff::Timestamp;

use crate::domain::address::{AddressReason, EmailAddress};
use crate::domain::recipient::Recipient;

/// A second address as it was sealed.
pub(super) struct Copy {
    pub(super) row: Recipient,
    /// Its notice stands in a class meant.
    pub(super) is_meant: bool,
}

/// An address that an amendment brought.
pub(super) struct Replacement {
    pub(super) address: EmailAddress,
    pub(super) at: Timestamp,
    /// The notice to the address it replaced stood in a class meant, and had gone out or may have.
    pub(super) left_told: bool,
}

/// A person of an earlier campaign with every address of theirs.
pub(super) struct Addresses {
    pub(super) sealed: Recipient,
    /// The notice to the address in force stands in a class meant.
    pub(super) is_meant: bool,
    pub(super) copy: Option<Copy>,
    /// In their order.
    pub(super) replaced: Vec<Replacement>,
}

/// One address of a person.
enum Place<'p> {
    Sealed,
    Copy(&'p Recipient),
    Replaced(&'p Replacement),
}

impl Addresses {
    /// The person as a row of another audience, and how many addresses that are meant have no place in it.
    pub(super) fn row(self) -> (Recipient, u64) {
        let meant = self.meant();
        let sealed_is_meant = meant.iter().any(|place| matches!(place, Place::Sealed));
        let newer = meant.iter().find(|place| !matches!(place, Place::Sealed));
        let is_trusted = self.sealed.reason != AddressReason::Suspect;
        let (row, named) = match newer {
            Some(newer) if sealed_is_meant && is_trusted => (self.beside(newer), 2),
            // two that may both be somebody else's: the newer one
            Some(newer) => (self.alone(newer), 1),
            None => (self.sealed_alone(), 1),
        };
        (row, (meant.len() as u64).saturating_sub(named))
    }

    /// The person as the source said they are, before the seal judged where they are told.
    pub(super) fn into_read(self) -> Recipient {
        self.copy.map_or(self.sealed, |copy| copy.row)
    }

    /// Everything meant, the newest first, each address once.
    fn meant(&self) -> Vec<Place<'_>> {
        let mut places = Vec::new();
        let at = |place: usize| match place.checked_sub(1) {
            Some(at) => Place::Replaced(&self.replaced[at]),
            None => Place::Sealed,
        };
        if self.is_meant {
            places.push(at(self.replaced.len()));
        }
        let left = self.replaced.iter().enumerate().rev();
        places.extend(left.filter(|(_, one)| one.left_told).map(|(before, _)| at(before)));
        let copy = self.copy.as_ref().filter(|copy| copy.is_meant);
        places.extend(copy.map(|copy| Place::Copy(&copy.row)));
        let mut seen = Vec::new();
        places.retain(|place| {
            let address = self.address(place).map(EmailAddress::canonical);
            let is_first = !seen.contains(&address);
            seen.push(address);
            is_first
        });
        places
    }

    fn address<'p>(&'p self, place: &Place<'p>) -> Option<&'p EmailAddress> {
        match place {
            Place::Sealed => self.sealed.address.as_ref(),
            Place::Copy(row) => row.address.as_ref(),
            Place::Replaced(one) => Some(&one.address),
        }
    }

    /// The row of this address alone.
    fn alone(&self, place: &Place<'_>) -> Recipient {
        match place {
            Place::Sealed => self.sealed_alone(),
            Place::Copy(row) => Recipient { address_before: None, ..(*row).clone() },
            Place::Replaced(one) => Recipient { address_before: None, ..self.replaced(one) },
        }
    }

    /// The row of a newer address with the sealed one as the address before it.
    fn beside(&self, newer: &Place<'_>) -> Recipient {
        match newer {
            // what the source said, which the seal made two rows of: it is judged anew
            Place::Copy(row) => Recipient { reason: AddressReason::Ok, ..(*row).clone() },
            Place::Replaced(one) => {
                Recipient { address_before: self.sealed.address.clone(), ..self.replaced(one) }
            }
            Place::Sealed => self.sealed_alone(),
        }
    }

    /// The sealed address, and no other: a change that it is older than does not speak against it, and no
    /// address that was not told comes back.
    fn sealed_alone(&self) -> Recipient {
        let sealed = &self.sealed;
        let is_before = sealed.address.is_some() && sealed.address == sealed.address_before;
        let is_suspect = sealed.reason == AddressReason::Suspect;
        Recipient {
            address_before: sealed.address_before.clone().filter(|_| !is_before && !is_suspect),
            address_changed_at: sealed.address_changed_at.filter(|_| !is_before),
            ..sealed.clone()
        }
    }

    /// An amended address may not be the person's, in whatever campaign.
    fn replaced(&self, one: &Replacement) -> Recipient {
        Recipient {
            address: Some(one.address.clone()),
            address_text: None,
            reason: AddressReason::Suspect,
            address_changed_at: Some(one.at),
            ..self.sealed.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::domain::recipient::{AccountRef, Addressee};

    const CHANGED: &str = "2026-03-02T00:00:00Z";
    const AMENDED: &str = "2026-03-09T00:00:00Z";

    fn recipient(address: &str, before: &str, reason: AddressReason) -> Recipient {
        Recipient {
            account: AccountRef::parse("c-7").unwrap(),
            address: EmailAddress::parse(address).ok(),
            address_text: None,
            reason,
            locale: None,
            region: None,
            addressee: Addressee::SelfPerson,
            name: None,
            name_refused: false,
            fields: BTreeMap::new(),
            refused: BTreeSet::new(),
            address_changed_at: CHANGED.parse().ok(),
            address_before: EmailAddress::parse(before).ok(),
            password_changed_at: None,
            last_verified_on: None,
        }
    }

    /// Sealed at the address before the change; with `copy`, the newer address has a row too.
    fn moved(is_meant: bool, copy: Option<bool>, replaced: &[(&str, bool)]) -> Addresses {
        let row = recipient("new@x.example", "old@x.example", AddressReason::Suspect);
        Addresses {
            sealed: recipient("old@x.example", "old@x.example", AddressReason::Ok),
            is_meant,
            copy: copy.map(|is_meant| Copy { row, is_meant }),
            replaced: replacements(replaced),
        }
    }

    fn replacements(replaced: &[(&str, bool)]) -> Vec<Replacement> {
        let replacement = |(address, left_told): &(&str, bool)| Replacement {
            address: EmailAddress::parse(address).unwrap(),
            at: AMENDED.parse().unwrap(),
            left_told: *left_told,
        };
        replaced.iter().map(replacement).collect()
    }

    /// `ADDRESS < BEFORE REASON CHANGED? LEFT`.
    fn shown(addresses: Addresses) -> String {
        let (row, left) = addresses.row();
        let text = |address: &Option<EmailAddress>| {
            address.as_ref().map_or("-".to_owned(), |one| one.local_part().to_owned())
        };
        let changed = match row.address_changed_at.map(|at| at.to_string()).as_deref() {
            Some(CHANGED) => "changed",
            Some(AMENDED) => "amended",
            _ => "never",
        };
        let (address, before) = (text(&row.address), text(&row.address_before));
        format!("{address} < {before} {} {changed} {left}", row.reason)
    }

    #[test]
    fn the_newer_address_comes_back_where_it_was_told_and_only_there() {
        for (is_meant, copy, row) in [
            (true, Some(true), "new < old ok changed 0"),
            (true, Some(false), "old < - ok never 0"),
            (true, None, "old < - ok never 0"),
            (false, Some(true), "new < - suspect changed 0"),
        ] {
            assert_eq!(shown(moved(is_meant, copy, &[])), row, "{is_meant} {copy:?}");
        }
    }

    #[test]
    fn who_was_sealed_at_one_address_stays_as_they_were() {
        let plain = |before: &str, reason| Addresses {
            sealed: recipient("now@x.example", before, reason),
            is_meant: true,
            copy: None,
            replaced: Vec::new(),
        };
        assert_eq!(shown(plain("", AddressReason::Ok)), "now < - ok changed 0");
        assert_eq!(shown(plain("", AddressReason::Suspect)), "now < - suspect changed 0");
        // the address before was no way to them then, and is none to whom it was not told now
        let was = plain("dead@x.example", AddressReason::Suspect);
        assert_eq!(shown(was), "now < - suspect changed 0");
    }

    #[test]
    fn an_address_that_an_amendment_brought_is_told_and_the_one_before_where_it_was_told_too() {
        let one = |left_told| [("x@x.example", left_told)];
        for (is_meant, copy, replaced, row) in [
            (true, None, &one(false)[..], "x < - suspect amended 0"),
            (true, None, &one(true), "x < old suspect amended 0"),
            (false, None, &one(true), "old < - ok never 0"),
            (true, Some(true), &one(true), "x < old suspect amended 1"),
            (true, Some(true), &one(false), "x < - suspect amended 1"),
            (false, Some(true), &one(true), "new < old ok changed 0"),
            (false, Some(true), &one(false), "new < - suspect changed 0"),
            (
                true,
                None,
                &[("x@x.example", true), ("y@x.example", true)],
                "y < old suspect amended 1",
            ),
            (
                true,
                None,
                &[("x@x.example", false), ("y@x.example", true)],
                "y < - suspect amended 1",
            ),
            (
                false,
                None,
                &[("x@x.example", false), ("y@x.example", true)],
                "x < - suspect amended 0",
            ),
            // back to where they were
            (
                true,
                None,
                &[("x@x.example", false), ("Old@x.example", false)],
                "Old < - suspect amended 0",
            ),
        ] {
            assert_eq!(
                shown(moved(is_meant, copy, replaced)),
                row,
                "{is_meant} {copy:?} {replaced:?}"
            );
        }
        // one that may be the thief's is no trusted address before another
        let suspect = Addresses {
            sealed: recipient("now@x.example", "", AddressReason::Suspect),
            ..moved(true, None, &one(true))
        };
        assert_eq!(shown(suspect), "x < - suspect amended 1");
    }
}
