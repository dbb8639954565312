//! Counts by class: deliveries, credentials, personal links.

use std::collections::BTreeMap;

use crate::cli::output::{count, harmless};
use crate::domain::totals::DeliveryTotals;
use crate::store::events::WaitingEvents;
use crate::store::tokens::TokenTotals;

/// How many personal links there are, and what became of them.
pub(super) fn link_lines(links: &TokenTotals) -> String {
    format!(
        "Personal links\n{} issued = {} live + {} expired + {} used + {} revoked",
        count(links.issued),
        count(links.live),
        count(links.expired),
        count(links.consumed),
        count(links.revoked)
    )
}

/// Resets that the company does not know of yet.
pub(super) fn event_line(events: &WaitingEvents) -> String {
    format!(
        "Events\n{} resets are not told to your endpoint yet, the oldest of {}; hint: the log of `forthwith \
         portal serve` says why",
        count(events.waiting),
        events.since
    )
}

/// Every class with its count, its reasons below it.
pub(super) fn class_lines(people: &DeliveryTotals) -> String {
    let mut rows = Vec::new();
    for (label, number) in people.classes() {
        rows.push((label.to_owned(), number));
        let word = match label {
            "fallback required" => "fallback".to_owned(),
            other => other.replace(' ', "-"),
        };
        for (key, reasons) in &people.reasons {
            if let Some((class, reason)) = key.split_once('/')
                && class == word
                && *reasons > 0
            {
                rows.push((format!("  {}", harmless(reason)), *reasons));
            }
        }
    }
    let widest = rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let numbers = rows.iter().map(|(_, number)| count(*number).len()).max().unwrap_or(0);
    rows.iter()
        .map(|(label, number)| format!("{label:widest$}  {:>numbers$}", count(*number)))
        .collect::<Vec<_>>()
        .join("\n")
}

/// `kind/class` counts, one a line.
pub(in crate::cli) fn credential_lines(totals: &BTreeMap<String, u64>) -> String {
    let rows: Vec<(String, String, String)> = totals
        .iter()
        .filter(|(_, accounts)| **accounts > 0)
        .map(|(key, accounts)| {
            let (kind, class) = key.split_once('/').unwrap_or((key, ""));
            (kind.to_owned(), class.to_owned(), count(*accounts))
        })
        .collect();
    let widest =
        |of: fn(&(String, String, String)) -> usize| rows.iter().map(of).max().unwrap_or(0);
    let (kinds, classes) = (widest(|row| row.0.len()), widest(|row| row.1.len()));
    let numbers = widest(|row| row.2.len());
    let lines = rows.iter().map(|(kind, class, number)| {
        format!("{kind:kinds$}  {class:classes$}  {number:>numbers$}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_counted_with_its_reasons_below_it() {
        let totals = DeliveryTotals {
            sealed: 1_000,
            told: 980,
            fallback: 20,
            reasons: BTreeMap::from([
                ("fallback/bounced".to_owned(), 15),
                ("fallback/address:missing".to_owned(), 5),
                ("told/accepted".to_owned(), 980),
            ]),
            ..DeliveryTotals::default()
        };
        let lines = class_lines(&totals);
        for label in [
            "queued",
            "in flight",
            "deferred",
            "in doubt",
            "held",
            "fallback required",
            "told",
            "withdrawn",
            "waived",
        ] {
            assert!(lines.lines().any(|line| line.starts_with(label)), "{label}\n{lines}");
        }
        let at = |what: &str| lines.find(what).unwrap();
        assert!(at("fallback required") < at("bounced") && at("bounced") < at("told "), "{lines}");
    }

    #[test]
    fn credential_counts_stand_under_each_other_and_zeros_are_left_out() {
        let totals = BTreeMap::from([
            ("password/expired".to_owned(), 1_234),
            ("password/failed".to_owned(), 0),
            ("session/not-found".to_owned(), 7),
        ]);
        assert_eq!(
            credential_lines(&totals),
            "password  expired    1,234\nsession   not-found      7"
        );
    }
}
