//! Waves, their gates, and the breaker.

use crate::cli::output::{count, harmless};
use crate::engine::breaker::BreakerView;
use crate::engine::gates::GateView;
use crate::engine::waves::WaveView;

/// Every wave with its state; nothing where one open wave of everybody is all there is.
pub(super) fn wave_lines(waves: &[WaveView]) -> Option<String> {
    let is_plain = waves.iter().all(|wave| wave.state != "closed" && wave.deadline.is_none());
    if waves.is_empty() || (waves.len() == 1 && is_plain) {
        return None;
    }
    let lines: Vec<String> = waves.iter().map(wave_line).collect();
    Some(format!("Waves\n{}", lines.join("\n")))
}

fn wave_line(wave: &WaveView) -> String {
    let mut state = wave.state.to_owned();
    if !wave.waits_for.is_empty() {
        state = format!("{state}, waits for {}", wave.waits_for.join(", and for "));
    }
    let mut line = format!(
        "{}  {}  {state}: {} people, {} told",
        wave.number,
        wave.name,
        count(wave.people),
        count(wave.told)
    );
    if wave.state != "finished" {
        line = format!("{line}, {} left to send", count(wave.left));
    }
    if let Some(deadline) = &wave.deadline {
        line = format!("{line}; due {deadline}");
    }
    harmless(&line)
}

/// Every gate with what it waits for, or who passed it.
pub(super) fn gate_lines(gates: &[GateView]) -> Option<String> {
    let line = |gate: &GateView| {
        let state = match (&gate.by, gate.passed) {
            (Some(by), _) => format!("passed by {by}"),
            (None, true) => "open".into(),
            (None, false) => "closed".into(),
        };
        let GateView { name, wave, text, .. } = gate;
        harmless(&format!("{name}  {state}, before wave `{wave}`: {text}"))
    };
    let lines: Vec<String> = gates.iter().map(line).collect();
    (!lines.is_empty()).then(|| format!("Gates\n{}", lines.join("\n")))
}

/// How near the breaker is; nothing before anything was tried.
pub(super) fn brake_lines(breaker: &BreakerView) -> Option<String> {
    let BreakerView { bounced, of, trips_above } = *breaker;
    (of > 0).then(|| {
        format!(
            "Breaker\n{bounced} of the last {of} attempts went to dead addresses ({:.1} %; it trips \
             above {:.1} %)",
            100.0 * f64::from(bounced) / f64::from(of),
            100.0 * trips_above
        )
    })
}
