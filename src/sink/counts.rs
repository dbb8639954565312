//! What a sink has seen, in numbers. Knows nothing of how it came to pass.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::fault::Phase;

/// A snapshot of a sink's counters; every number only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Connections taken.
    pub connections: u64,
    /// Messages taken and answered with 250, or about to be; stored before they are counted.
    pub accepted: u64,
    /// Recipients of the taken messages, answered or not.
    pub recipients: u64,
    /// Octets of the taken messages, dots unstuffed, without the sink's own header fields.
    pub octets: u64,
    /// MAIL commands refused by a fault rule.
    pub refused_mail: u64,
    /// RCPT commands refused by a fault rule.
    pub refused_rcpt: u64,
    /// DATA commands refused by a fault rule.
    pub refused_data: u64,
    /// Messages refused at the final dot: by a fault rule, by size, or because storing failed.
    pub refused_dot: u64,
    /// Connections closed while a body was being received.
    pub dropped_before_dot: u64,
    /// Messages taken and stored whose client never heard so.
    pub dropped_after_dot: u64,
    /// Commands answered with an error of syntax, sequence or parameters.
    pub protocol_errors: u64,
}

impl Counts {
    /// Messages the sink took, whether or not the client heard so.
    pub fn taken(&self) -> u64 {
        self.accepted + self.dropped_after_dot
    }
}

/// The live counters.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) connections: Counter,
    pub(super) accepted: Counter,
    pub(super) recipients: Counter,
    pub(super) octets: Counter,
    refused: [Counter; 4],
    pub(super) dropped_before_dot: Counter,
    pub(super) dropped_after_dot: Counter,
    pub(super) protocol_errors: Counter,
}

impl Tally {
    /// The counter of refusals in one phase.
    pub(super) fn refused(&self, phase: Phase) -> &Counter {
        let [mail, rcpt, data, dot] = &self.refused;
        match phase {
            Phase::Mail => mail,
            Phase::Rcpt => rcpt,
            Phase::Data => data,
            Phase::Dot => dot,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            connections: self.connections.get(),
            accepted: self.accepted.get(),
            recipients: self.recipients.get(),
            octets: self.octets.get(),
            refused_mail: self.refused(Phase::Mail).get(),
            refused_rcpt: self.refused(Phase::Rcpt).get(),
            refused_data: self.refused(Phase::Data).get(),
            refused_dot: self.refused(Phase::Dot).get(),
            dropped_before_dot: self.dropped_before_dot.get(),
            dropped_after_dot: self.dropped_after_dot.get(),
            protocol_errors: self.protocol_errors.get(),
        }
    }
}

/// One number that only grows. Relaxed: counters order nothing else.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn one(&self) {
        self.add(1);
    }

    pub(super) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
