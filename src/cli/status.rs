//! Where a campaign stands: both lines of promise 1 as sums with their numbers.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use super::CliError;
use super::context::Context;
use super::listing::facts;
use super::output::{count, harmless};
use crate::domain::totals::{DeliveryTotals, SourceTotals};
use crate::engine::Engine;
use crate::engine::report::{SlowedLane, Status};
use crate::store::tokens::TokenTotals;

/// How often `watch` looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Cursor home, and everything below it cleared.
const CLEAR: &str = "\x1b[H\x1b[J";

pub(super) async fn print_status(
    campaign: &str,
    json: bool,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let status = engine.status(campaign).await?;
    if json { context.printer.json(&status) } else { context.printer.data(&text(&status)) }
}

/// Shows the status each second until sending is finished; Ctrl-C leaves, the campaign goes on.
pub(super) async fn watch(
    campaign: &str,
    engine: &Engine,
    context: &Context<'_>,
) -> Result<(), CliError> {
    let redraws = std::io::stdout().is_terminal();
    let mut before: Option<(Instant, u64)> = None;
    loop {
        let status = engine.standing(campaign).await?;
        let (now, told) = (Instant::now(), status.deliveries.told);
        let rate =
            before.map_or(0.0, |(then, was)| per_second(told.saturating_sub(was), now - then));
        before = Some((now, told));
        if redraws {
            context
                .printer
                .data(&format!("{CLEAR}{}\n\n{rate:.1} told a second", text(&status)))?;
        } else {
            let sum = delivery_sum(&status.deliveries);
            context.printer.data(&format!("{}  {sum}  {rate:.1}/s", status.notice))?;
        }
        if matches!(status.notice, "sending-finished" | "closed" | "cancelled") {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for the eye, of counts far below 2^52")]
fn per_second(more: u64, passed: Duration) -> f64 {
    more as f64 / passed.as_secs_f64().max(f64::EPSILON)
}

/// The first line of promise 1.
pub(super) fn source_sum(source: &SourceTotals) -> String {
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
pub(super) fn source_line(source: &SourceTotals, excluded: &BTreeMap<String, u64>) -> String {
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
pub(super) fn delivery_sum(people: &DeliveryTotals) -> String {
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

fn text(status: &Status) -> String {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let cause = match (status.pause_cause, &status.pause_note) {
        (Some(cause), Some(note)) => format!(" ({cause}: {note})"),
        (Some(cause), None) => format!(" ({cause})"),
        (None, _) => String::new(),
    };
    let notice = format!("{}{cause}", status.notice);
    let worker = status.worker.map_or_else(|| "none runs".into(), |pid| format!("process {pid}"));
    let people = &status.deliveries;
    let mut parts = vec![facts(&[
        ("Campaign", format!("{} ({})", status.name, status.environment)),
        ("Containment", status.containment.to_owned()),
        ("Notice", notice),
        ("Worker", worker),
        ("Next due", or_none(&status.next_due)),
        ("Sealed at", or_none(&status.sealed_at)),
        ("Source rows", source_line(&status.source, &status.excluded)),
        ("Names refused", count(status.names_refused)),
        ("People", delivery_sum(people)),
        (
            "Open",
            format!(
                "{} = {} the machine will move + {} somebody must act for",
                count(people.open()),
                count(people.machine_open()),
                count(people.person_open())
            ),
        ),
    ])];
    parts.push(format!("Deliveries\n{}", class_lines(people)));
    if status.credentials.values().any(|accounts| *accounts > 0) {
        parts.push(format!("Credentials\n{}", credential_lines(&status.credentials)));
    }
    parts.extend(status.tokens.as_ref().map(link_lines));
    parts.extend(provider_lines(status));
    let signed: Vec<String> = status
        .approvals
        .iter()
        .map(|one| format!("{} by {} at {}", one.track, one.operator, one.signed_at))
        .collect();
    let signed = if signed.is_empty() { "none yet".into() } else { signed.join("\n") };
    parts.push(format!("Signatures\n{signed}"));
    parts.join("\n\n")
}

/// How many personal links there are, and what became of them.
fn link_lines(links: &TokenTotals) -> String {
    format!(
        "Personal links\n{} issued = {} live + {} expired + {} used + {} revoked",
        count(links.issued),
        count(links.live),
        count(links.expired),
        count(links.consumed),
        count(links.revoked)
    )
}

/// The providers that rest, and those that go on more slowly.
fn provider_lines(status: &Status) -> Vec<String> {
    let suspended = status
        .suspended
        .iter()
        .map(|lane| harmless(&format!("{} until {}: {}", lane.provider, lane.until, lane.cause)));
    let slowed = status.slowed.iter().map(|lane| {
        let SlowedLane { provider, per_minute, until, cause } = lane;
        harmless(&format!("{provider} to {per_minute:.1} a minute until {until}: {cause}"))
    });
    let part = |head: &str, lines: Vec<String>| {
        (!lines.is_empty()).then(|| format!("{head}\n{}", lines.join("\n")))
    };
    let parts = [
        part("Suspended providers", suspended.collect()),
        part("Slowed providers", slowed.collect()),
    ];
    parts.into_iter().flatten().collect()
}

/// Every class with its count, its reasons below it.
fn class_lines(people: &DeliveryTotals) -> String {
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
pub(super) fn credential_lines(totals: &BTreeMap<String, u64>) -> String {
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
    use crate::engine::report::{ApprovalView, SuspendedLane};
    use crate::store::tokens::TokenTotals;

    fn status() -> Status {
        Status {
            name: "spring".into(),
            environment: "rehearsal",
            containment: "done",
            notice: "paused",
            pause_cause: Some("operator"),
            pause_note: Some("by os:ann@host".into()),
            source: SourceTotals {
                rows: 1_010,
                sealed: 1_000,
                duplicates: 4,
                conflicts: 1,
                rejected: 5,
            },
            excluded: BTreeMap::new(),
            sealed_at: None,
            names_refused: 2,
            credentials: BTreeMap::from([("password/expired".into(), 998)]),
            deliveries: DeliveryTotals {
                sealed: 1_000,
                told: 900,
                queued: 80,
                fallback: 20,
                reasons: BTreeMap::from([
                    ("fallback/bounced".to_owned(), 15),
                    ("fallback/address:missing".to_owned(), 5),
                    ("told/accepted".to_owned(), 900),
                ]),
                ..DeliveryTotals::default()
            },
            tokens: Some(TokenTotals {
                issued: 900,
                consumed: 40,
                revoked: 2,
                expired: 8,
                live: 850,
            }),
            suspended: vec![SuspendedLane {
                provider: "gmail".into(),
                cause: "550 5.7.26\u{1b}[31m".into(),
                until: "2026-01-01T00:00:00Z".into(),
            }],
            slowed: vec![SlowedLane {
                provider: "yahoo".into(),
                per_minute: 10.0,
                cause: "rule yahoo-ts03".into(),
                until: "2026-01-01T00:30:00Z".into(),
            }],
            approvals: vec![ApprovalView {
                track: "notice",
                operator: "ann".into(),
                signed_at: "2026-01-01T00:00:00Z".into(),
            }],
            worker: None,
            next_due: None,
        }
    }

    #[test]
    fn both_sums_are_shown_with_their_numbers() {
        let text = text(&status());
        for line in [
            "1,010 = 1,000 sealed + 4 duplicates + 1 conflicts + 5 rejected",
            "1,000 = 900 told + 100 open + 0 withdrawn + 0 waived",
            "100 = 80 the machine will move + 20 somebody must act for",
            "paused (operator: by os:ann@host)",
            "notice by ann at 2026-01-01T00:00:00Z",
            "yahoo to 10.0 a minute until 2026-01-01T00:30:00Z: rule yahoo-ts03",
            "900 issued = 850 live + 8 expired + 40 used + 2 revoked",
            "gmail until 2026-01-01T00:00:00Z: 550 5.7.26\u{FFFD}[31m",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("DOES NOT ADD UP"), "{text}");
    }

    #[test]
    fn what_was_left_out_stands_before_the_sum_and_is_no_part_of_it() {
        let mut status = status();
        status.excluded = BTreeMap::from([("minus first-wave (told)".into(), 7_000)]);
        assert_eq!(
            source_line(&status.source, &status.excluded),
            "8,010 read, 7,000 excluded by minus first-wave (told): 1,010 = 1,000 sealed + 4 \
             duplicates + 1 conflicts + 5 rejected"
        );
    }

    #[test]
    fn every_class_is_counted_with_its_reasons_below_it() {
        let lines = class_lines(&status().deliveries);
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
    fn a_sum_that_does_not_balance_is_said_loudly() {
        let mut totals = status().deliveries;
        totals.queued += 1;
        assert!(delivery_sum(&totals).contains("DOES NOT ADD UP"));
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
