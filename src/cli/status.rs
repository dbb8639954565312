//! Where a campaign stands: both lines of promise 1 as sums with their numbers.

mod amendments;
mod classes;
mod forecast;
mod providers;
mod recheck;
mod sums;
mod waves;

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use super::CliError;
use super::context::Context;
use super::listing::facts;
use super::output::count;
use crate::engine::Engine;
use crate::engine::report::Status;

pub(super) use amendments::amendment_lines;
pub(super) use classes::credential_lines;
pub(super) use forecast::forecast_lines;
pub(super) use sums::{delivery_sum, source_line, source_sum};

use classes::{class_lines, event_line, link_lines};
use providers::provider_lines;
use recheck::recheck_lines;
use sums::copy_line;
use waves::{brake_lines, gate_lines, wave_lines};

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

/// Who and where: the first table.
fn standing(status: &Status) -> String {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let with_cause = |state: &str, cause: Option<&str>, note: &Option<String>| match (cause, note) {
        (Some(cause), Some(note)) => format!("{state} ({cause}: {note})"),
        (Some(cause), None) => format!("{state} ({cause})"),
        (None, _) => state.to_owned(),
    };
    let notice = with_cause(status.notice, status.pause_cause, &status.pause_note);
    let containment =
        with_cause(status.containment, status.containment_cause, &status.containment_note);
    let worker = status.worker.map_or_else(|| "none runs".into(), |pid| format!("process {pid}"));
    let people = &status.deliveries;
    facts(&[
        ("Campaign", format!("{} ({})", status.name, status.environment)),
        ("Containment", containment),
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
        (
            "Ledger",
            format!("ends with batch {}: what a backup made now holds", status.ledger_batch),
        ),
    ])
}

fn text(status: &Status) -> String {
    let people = &status.deliveries;
    let mut parts = Vec::new();
    parts.extend(status.rewound.as_ref().map(|words| {
        format!(
            "REWOUND: {words}. What stands below is the restored database's own word, and people may have \
             been told since. Nothing is sent, expired or changed; next: `forthwith campaign recover \
             --dry-run`"
        )
    }));
    parts.push(standing(status));
    if status.second_copies > 0 {
        parts.push(format!(
            "{} people certainly got the same notice twice, as a journal found later proves",
            count(status.second_copies)
        ));
    }
    parts.push(format!("Deliveries\n{}", class_lines(people)));
    if people.copies.sealed > 0 {
        parts.push(copy_line(people.copies));
    }
    if status.credentials.values().any(|accounts| *accounts > 0) {
        let lines = credential_lines(&status.credentials);
        parts.push(format!("Credentials\n{lines}{}", recheck_lines(status)));
    }
    if !status.amendments.is_empty() {
        parts.push(format!("Amendments in force\n{}", amendment_lines(&status.amendments)));
    }
    parts.extend(status.tokens.as_ref().map(link_lines));
    parts.extend(status.events.as_ref().map(event_line));
    parts.extend(wave_lines(&status.waves));
    parts.extend(gate_lines(&status.gates));
    parts.extend(provider_lines(status));
    parts.extend(status.breaker.as_ref().and_then(brake_lines));
    parts.extend(status.forecast.as_ref().map(forecast_lines));
    let signed: Vec<String> = status
        .approvals
        .iter()
        .map(|one| format!("{} by {} at {}", one.track, one.operator, one.signed_at))
        .collect();
    let signed = if signed.is_empty() { "none yet".into() } else { signed.join("\n") };
    parts.push(format!("Signatures\n{signed}"));
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::totals::{CopyTotals, DeliveryTotals, SourceTotals};
    use crate::engine::amend::AmendmentSum;
    use crate::engine::breaker::BreakerView;
    use crate::engine::gates::GateView;
    use crate::engine::report::{ApprovalView, RecheckView, SlowedLane, SuspendedLane};
    use crate::engine::waves::WaveView;
    use crate::store::events::WaitingEvents;
    use crate::store::tokens::TokenTotals;

    fn people() -> DeliveryTotals {
        DeliveryTotals {
            sealed: 1_000,
            told: 900,
            queued: 80,
            fallback: 20,
            reasons: BTreeMap::from([
                ("fallback/bounced".to_owned(), 15),
                ("fallback/address:missing".to_owned(), 5),
                ("told/accepted".to_owned(), 900),
            ]),
            copies: CopyTotals {
                sealed: 1_013,
                told: 1_012,
                machine_open: 1,
                ..CopyTotals::default()
            },
            ..DeliveryTotals::default()
        }
    }

    fn wave() -> WaveView {
        WaveView {
            number: 2,
            name: "europe".into(),
            state: "closed",
            waits_for: vec!["the canary's go".into()],
            people: 900,
            told: 0,
            left: 900,
            person_open: 0,
            deadline: None,
            opened_at: None,
        }
    }

    fn gate() -> GateView {
        GateView {
            name: "dns".into(),
            wave: "europe".into(),
            passed: false,
            text: "DNS is checked".into(),
            evidence: None,
            by: None,
            passed_at: None,
        }
    }

    fn restored() -> RecheckView {
        RecheckView {
            started_at: "2026-01-01T00:00:00Z".into(),
            ended_at: Some("2026-01-01T00:10:00Z".into()),
            checked: 998,
            fine: 980,
            regressed: 8,
            mended: 7,
            reset_elsewhere: 10,
        }
    }

    fn links() -> TokenTotals {
        TokenTotals { issued: 900, consumed: 40, revoked: 2, expired: 8, live: 850 }
    }

    fn status() -> Status {
        Status {
            name: "spring".into(),
            rewound: Some("ledger batch 9 is missing, it ends with batch 7".into()),
            ledger_batch: 7,
            second_copies: 3,
            environment: "rehearsal",
            containment: "paused",
            containment_cause: Some("first-batch"),
            containment_note: Some("its first batch came to 20 password/expired".into()),
            recheck: Some(restored()),
            recheck_overdue: true,
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
            amendments: BTreeMap::from([
                ("release", AmendmentSum { made: 3, in_force: 2 }),
                ("withdraw", AmendmentSum { made: 1, in_force: 1 }),
            ]),
            deliveries: people(),
            tokens: Some(links()),
            events: Some(WaitingEvents { waiting: 17, since: "2026-01-01T00:00:00Z".into() }),
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
            waves: vec![wave()],
            gates: vec![gate()],
            breaker: Some(BreakerView { bounced: 20, of: 400, trips_above: 0.15 }),
            forecast: None,
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
            "paused (first-batch: its first batch came to 20 password/expired)",
            "998 checked = 980 fine + 8 regressed (7 expired again) + 10 set elsewhere",
            "ALARM: expired credentials had come back",
            "A re-check is overdue",
            "Copies: 1,012 told, 1 open",
            "REWOUND: ledger batch 9 is missing",
            "ends with batch 7",
            "3 people certainly got the same notice twice",
            "notice by ann at 2026-01-01T00:00:00Z",
            "yahoo to 10.0 a minute until 2026-01-01T00:30:00Z: rule yahoo-ts03",
            "release   2  of 3 made\nwithdraw  1",
            "17 resets are not told to your endpoint yet",
            "900 issued = 850 live + 8 expired + 40 used + 2 revoked",
            "2  europe  closed, waits for the canary's go: 900 people, 0 told",
            "dns  closed, before wave `europe`: DNS is checked",
            "20 of the last 400 attempts went to dead addresses (5.0 %; it trips above 15.0 %)",
            "gmail until 2026-01-01T00:00:00Z: 550 5.7.26\u{FFFD}[31m",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("DOES NOT ADD UP"), "{text}");
    }
}
