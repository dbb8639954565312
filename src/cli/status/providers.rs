//! Providers that rest, and those that go on more slowly.

use crate::cli::output::harmless;
use crate::engine::report::{SlowedLane, Status};

/// The providers that rest, and those that go on more slowly.
pub(super) fn provider_lines(status: &Status) -> Vec<String> {
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
