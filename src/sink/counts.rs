//! What a sink has seen, in numbers. Knows nothing of how it came to pass.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::phase::Phase;

/// Writes the snapshot and the live counters from one list.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A snapshot of a sink's counters; every number only grows.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// The live counters.
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $(pub(super) $name: Counter,)*
        }

        impl Tally {
            pub(super) fn counts(&self) -> Counts {
                Counts { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Connections taken.
    connections,
    /// Connections turned away because too many were open.
    connections_refused,
    /// Command lines read, whatever the answer.
    commands,
    /// Messages taken and answered with 250, or about to be; stored before they are counted. Also
    /// those whose reply a fault rule spoilt.
    accepted,
    /// Recipients of the taken messages, answered or not.
    recipients,
    /// Octets of the taken messages, dots unstuffed, without the sink's own header fields.
    octets,
    /// Connections refused at the greeting by a fault rule.
    refused_greeting,
    /// EHLO and HELO commands refused by a fault rule.
    refused_ehlo,
    /// STARTTLS commands refused by a fault rule.
    refused_tls,
    /// AUTH exchanges refused by a fault rule.
    refused_auth,
    /// MAIL commands refused by a fault rule.
    refused_mail,
    /// RCPT commands refused by a fault rule.
    refused_rcpt,
    /// DATA commands refused by a fault rule.
    refused_data,
    /// Messages refused at the final dot: by a fault rule, by size, or because storing failed.
    refused_dot,
    /// RSET commands refused by a fault rule.
    refused_rset,
    /// QUIT commands refused by a fault rule.
    refused_quit,
    /// RCPT commands deferred by the greylist.
    greylisted,
    /// MAIL commands refused because the connection had sent its number of messages.
    refused_limit,
    /// Connections closed without a word by a `cut`.
    cut,
    /// Connections that heard nothing more, by a `silent`.
    silenced,
    /// Replies that a fault rule spoilt.
    spoilt,
    /// Connections closed while a body was being received.
    dropped_before_dot,
    /// Messages taken and stored whose client never heard so.
    dropped_after_dot,
    /// TLS handshakes that came to their end.
    tls_sessions,
    /// TLS handshakes that broke, by the client, by a fault rule or by chance.
    tls_failures,
    /// AUTH exchanges with the right user and secret that were answered so.
    auth_successes,
    /// AUTH exchanges with a wrong user or secret.
    auth_failures,
    /// Connections that were sent octets behind the reply to STARTTLS.
    injected,
    /// Commands that came on such a connection behind the octets; a careful client sends none.
    commands_after_injection,
    /// Commands that came before the reply to the one before, though PIPELINING was not offered.
    pipelined,
    /// Commands answered with an error of syntax, sequence or parameters, or sent before their time.
    protocol_errors,
}

impl Counts {
    /// Messages the sink took, whether or not the client heard so.
    pub fn taken(&self) -> u64 {
        self.accepted + self.dropped_after_dot
    }
}

impl Tally {
    /// The counter of refusals in one phase.
    pub(super) fn refused(&self, phase: Phase) -> &Counter {
        match phase {
            Phase::Greeting => &self.refused_greeting,
            Phase::Ehlo => &self.refused_ehlo,
            Phase::Tls => &self.refused_tls,
            Phase::Auth => &self.refused_auth,
            Phase::Mail => &self.refused_mail,
            Phase::Rcpt => &self.refused_rcpt,
            Phase::Data => &self.refused_data,
            Phase::Dot => &self.refused_dot,
            Phase::Rset => &self.refused_rset,
            Phase::Quit => &self.refused_quit,
        }
    }
}

/// One number that only grows. Relaxed: counters order nothing else.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds one; the number there was.
    pub(super) fn one(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn add(&self, more: usize) {
        self.0.fetch_add(more as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
