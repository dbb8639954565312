//! Amendments in force, as `status` and `amendment list` show them.

use std::collections::BTreeMap;

use crate::cli::output::count;
use crate::engine::amend::AmendmentSum;

/// People by the kind of amendment in force for them, one kind a line.
pub(in crate::cli) fn amendment_lines(sums: &BTreeMap<&'static str, AmendmentSum>) -> String {
    let widest = sums.keys().map(|kind| kind.len()).max().unwrap_or(0);
    let numbers = sums.values().map(|sum| count(sum.in_force).len()).max().unwrap_or(0);
    let lines = sums.iter().map(|(kind, sum)| {
        let more = if sum.made == sum.in_force {
            String::new()
        } else {
            format!("  of {} made", count(sum.made))
        };
        format!("{kind:widest$}  {:>numbers$}{more}", count(sum.in_force))
    });
    lines.collect::<Vec<_>>().join("\n")
}
