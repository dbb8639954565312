//! Which notice a person gets: whom it speaks to, and who else may read the mailbox it goes to.

use super::recipient::Addressee;

/// Who may read the mailbox a notice goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Readership {
    /// The person alone, as far as anybody knows: the whole notice.
    #[default]
    Own,
    /// Several people: a role's mailbox (`info@`), or one that several accounts use. The short notice:
    /// no name, nothing that tells one reader about another.
    Shared,
    /// One notice stands for so many accounts at this address. As short, with the count.
    Combined {
        /// Accounts, the carrier's included; at least 2.
        accounts: u64,
    },
}

/// Which notice a person gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Variant {
    /// Whom it speaks to.
    pub addressee: Addressee,
    /// Who may read it.
    pub readership: Readership,
}

impl Variant {
    /// The variant of an account among `at_address` sealed ones at its address, whose notice stands for
    /// `carried` others too; `is_role` where the address belongs to a role rather than to a person.
    pub fn of(addressee: Addressee, is_role: bool, at_address: u64, carried: u64) -> Self {
        let readership = if carried > 0 {
            Readership::Combined { accounts: carried + 1 }
        } else if is_role || at_address > 1 {
            Readership::Shared
        } else {
            Readership::Own
        };
        Self { addressee, readership }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readership(is_role: bool, at_address: u64, carried: u64) -> Readership {
        Variant::of(Addressee::SelfPerson, is_role, at_address, carried).readership
    }

    #[test]
    fn only_a_mailbox_of_ones_own_gets_the_whole_notice() {
        assert_eq!(readership(false, 1, 0), Readership::Own);
        assert_eq!(readership(true, 1, 0), Readership::Shared);
        assert_eq!(readership(false, 2, 0), Readership::Shared);
    }

    #[test]
    fn a_carrier_counts_itself() {
        assert_eq!(readership(false, 7, 6), Readership::Combined { accounts: 7 });
    }
}
