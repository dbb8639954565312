//! Both lines of promise 1 as sums with their numbers.

use std::collections::BTreeMap;

use crate::cli::output::count;
use crate::domain::totals::{CopyTotals, DeliveryTotals, SourceTotals};

/// The first line of promise 1.
pub(in crate::cli) fn source_sum(source: &SourceTotals) -> String {
    let sum = format!(
        "{} = {} sealed + {} duplicates + {} conflicts + {} rejected",
        count(source.rows),
        count(source.sealed),
        count(source.duplicates),
        count(source.conflicts),
        count(source.rejected)
    );
    with_doubt(sum, source.balances())
}

/// The first line of promise 1 with what was left out before it.
pub(in crate::cli) fn source_line(
    source: &SourceTotals,
    excluded: &BTreeMap<String, u64>,
) -> String {
    let left_out: u64 = excluded.values().sum();
    if excluded.is_empty() {
        return source_sum(source);
    }
    let steps: Vec<String> = excluded
        .iter()
        .map(|(step, rows)| format!("{} excluded by {step}", count(*rows)))
        .collect();
    format!("{} read, {}: {}", count(source.rows + left_out), steps.join(", "), source_sum(source))
}

/// The second line of promise 1.
pub(in crate::cli) fn delivery_sum(people: &DeliveryTotals) -> String {
    let sum = format!(
        "{} = {} told + {} open + {} withdrawn + {} waived",
        count(people.sealed),
        count(people.told),
        count(people.open()),
        count(people.withdrawn),
        count(people.waived)
    );
    with_doubt(sum, people.balances())
}

fn with_doubt(sum: String, balances: bool) -> String {
    if balances {
        return sum;
    }
    format!("{sum}; THIS DOES NOT ADD UP, which is a defect: pause the campaign and report it")
}

/// Second notices to addresses that may not be their people's: summed apart, since they are nobody.
pub(super) fn copy_line(copies: CopyTotals) -> String {
    let closed = match copies.closed {
        0 => String::new(),
        closed => format!(", {} closed with their people", count(closed)),
    };
    format!("Copies: {} told, {} open{closed}", count(copies.told), count(copies.open()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_does_not_balance_is_said_loudly() {
        let mut totals = DeliveryTotals { sealed: 1, queued: 1, ..DeliveryTotals::default() };
        assert!(!delivery_sum(&totals).contains("ADD UP"));
        totals.queued += 1;
        assert!(delivery_sum(&totals).contains("DOES NOT ADD UP"));
    }

    #[test]
    fn what_was_left_out_stands_before_the_sum_and_is_no_part_of_it() {
        let source =
            SourceTotals { rows: 1_010, sealed: 1_000, duplicates: 4, conflicts: 1, rejected: 5 };
        let excluded = BTreeMap::from([("minus first-wave (told)".into(), 7_000)]);
        assert_eq!(
            source_line(&source, &excluded),
            "8,010 read, 7,000 excluded by minus first-wave (told): 1,010 = 1,000 sealed + 4 \
             duplicates + 1 conflicts + 5 rejected"
        );
    }
}
