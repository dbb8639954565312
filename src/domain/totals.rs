//! The sums of promise 1: every source row and every sealed person is accounted for.

use std::collections::BTreeMap;

use serde::Serialize;

/// Where the rows of the source went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SourceTotals {
    /// Rows read from the source.
    pub rows: u64,
    /// Rows that became a sealed person.
    pub sealed: u64,
    /// Rows equal to an earlier one.
    pub duplicates: u64,
    /// Rows of an account already sealed, with other fields.
    pub conflicts: u64,
    /// Rows without a usable account, kept in the rejects file.
    pub rejected: u64,
}

impl SourceTotals {
    /// The first line of promise 1 holds.
    pub fn balances(&self) -> bool {
        self.rows == self.sealed + self.duplicates + self.conflicts + self.rejected
    }
}

/// Where the sealed people stand. In flight is counted apart from the class its row keeps, so
/// `queued` and `deferred` here are those without an open intent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryTotals {
    /// Sealed people.
    pub sealed: u64,
    /// Waiting for their first or next attempt.
    pub queued: u64,
    /// An intent without outcome.
    pub in_flight: u64,
    /// Due later after a 4yz or a cut.
    pub deferred: u64,
    /// May or may not have been told.
    pub in_doubt: u64,
    /// Somebody must act first.
    pub held: u64,
    /// Another channel is needed.
    pub fallback: u64,
    /// Told.
    pub told: u64,
    /// Taken out by amendment.
    pub withdrawn: u64,
    /// Let go by a named operator.
    pub waived: u64,
    /// Doubts that the machine settles by itself; the rest of `in_doubt` is a person's.
    pub in_doubt_due: u64,
    /// `class/reason` → people.
    pub reasons: BTreeMap<String, u64>,
    /// Notices to second addresses: no people, and in none of the numbers above.
    pub copies: CopyTotals,
}

/// Where the copies stand that go to second addresses. They end apart from their people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CopyTotals {
    /// Copies sealed.
    pub sealed: u64,
    /// Told.
    pub told: u64,
    /// Open ones that the machine will still move.
    pub machine_open: u64,
    /// Open ones for which somebody would have to act.
    pub person_open: u64,
    /// Taken out or let go, with their people.
    pub closed: u64,
}

impl CopyTotals {
    /// Copies not told and not closed.
    pub fn open(&self) -> u64 {
        self.machine_open + self.person_open
    }

    /// Every copy stands somewhere.
    pub fn balances(&self) -> bool {
        self.sealed == self.told + self.open() + self.closed
    }
}

impl From<&DeliveryTotals> for CopyTotals {
    /// The totals of chunks that hold copies only.
    fn from(totals: &DeliveryTotals) -> Self {
        Self {
            sealed: totals.sealed,
            told: totals.told,
            machine_open: totals.machine_open(),
            person_open: totals.person_open(),
            closed: totals.withdrawn + totals.waived,
        }
    }
}

impl DeliveryTotals {
    /// Whether the machine has nothing more to do, neither for people nor for copies.
    pub fn is_sent(&self) -> bool {
        self.machine_open() + self.copies.machine_open == 0
    }

    /// People not yet told, withdrawn or waived.
    pub fn open(&self) -> u64 {
        self.machine_open() + self.person_open()
    }

    /// Open people whom the machine will still move.
    pub fn machine_open(&self) -> u64 {
        self.queued + self.in_flight + self.deferred + self.in_doubt_due
    }

    /// Open people for whom somebody must act.
    pub fn person_open(&self) -> u64 {
        self.in_doubt - self.in_doubt_due + self.held + self.fallback
    }

    /// The second line of promise 1 holds.
    pub fn balances(&self) -> bool {
        self.sealed == self.told + self.open() + self.withdrawn + self.waived
            && self.copies.balances()
    }

    /// Every class with its count, in the order of a person's road.
    pub fn classes(&self) -> [(&'static str, u64); 9] {
        [
            ("queued", self.queued),
            ("in flight", self.in_flight),
            ("deferred", self.deferred),
            ("in doubt", self.in_doubt),
            ("held", self.held),
            ("fallback required", self.fallback),
            ("told", self.told),
            ("withdrawn", self.withdrawn),
            ("waived", self.waived),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_person_breaks_the_sum() {
        let mut totals = DeliveryTotals {
            sealed: 10,
            told: 5,
            queued: 2,
            in_flight: 1,
            in_doubt: 2,
            in_doubt_due: 1,
            ..DeliveryTotals::default()
        };
        assert!(totals.balances());
        assert_eq!((totals.machine_open(), totals.person_open()), (4, 1));
        totals.queued = 1;
        assert!(!totals.balances());
    }

    #[test]
    fn copies_are_summed_apart_and_still_sent_before_sending_is_finished() {
        let copies =
            DeliveryTotals { sealed: 3, told: 1, deferred: 1, held: 1, ..Default::default() };
        let copies = CopyTotals::from(&copies);
        let totals = DeliveryTotals { sealed: 9, told: 9, copies, ..Default::default() };
        assert!(totals.balances() && !totals.is_sent());
        assert_eq!((totals.machine_open(), totals.open(), copies.open()), (0, 0, 2));
        let lost = DeliveryTotals { copies: CopyTotals { told: 0, ..copies }, ..totals };
        assert!(!lost.balances());
    }

    #[test]
    fn a_lost_source_row_breaks_the_sum() {
        let mut totals =
            SourceTotals { rows: 5, sealed: 3, duplicates: 1, conflicts: 0, rejected: 1 };
        assert!(totals.balances());
        totals.rows = 6;
        assert!(!totals.balances());
    }
}
