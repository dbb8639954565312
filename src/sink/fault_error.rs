//! What can be wrong with a fault rule's text, and what to write in its place.

/// Why a fault rule's text was refused. Never repeats an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultTextError {
    /// The rule does not open with a known action.
    #[error(
        "fault rule: {found} is no action; hint: begin with greeting:, ehlo:, tls:, auth:, mail:, \
         rcpt:, data:, dot:, rset: or quit: and a code or fault, or with drop-before-dot or \
         drop-after-dot, as in rcpt:451:share=0.1:times=1"
    )]
    Action {
        /// What stood there.
        found: String,
    },
    /// What stands behind the phase is neither a refusing code nor a kind of fault.
    #[error(
        "fault rule: {found} is no code to refuse with and no other fault; \
         hint: take 400 to 599, as in {phase}:451, or cut, silent, garbage, half, wrong, twice, \
         huge, bytewise or slow=2s"
    )]
    Kind {
        /// The phase it was meant for.
        phase: &'static str,
        /// What stood there.
        found: String,
    },
    /// A fault of TLS stands at another phase.
    #[error("fault rule: {found} is a fault of TLS; hint: write tls:{found}")]
    TlsOnly {
        /// The fault.
        found: &'static str,
    },
    /// The code out of place is no code a server says when all is well.
    #[error("fault rule: wrong={found}; hint: take 200 to 399, as in wrong=354, or wrong alone")]
    Wrong {
        /// What stood there.
        found: String,
    },
    /// The wait is no length of time.
    #[error("fault rule: slow={found} is no length of time; hint: {}", super::span::SPAN_HINT)]
    Slow {
        /// What stood there.
        found: String,
    },
    /// The share is no number from 0 to 1.
    #[error("fault rule: share {found} is not a number from 0 to 1; hint: share=0.1 is one in ten")]
    Share {
        /// What stood there.
        found: String,
    },
    /// The limit is no whole number above 0.
    #[error("fault rule: times={found}; hint: a whole number from 1, times=1 fails only once")]
    Times {
        /// What stood there.
        found: String,
    },
    /// The address pattern is empty or of the wrong side.
    #[error("fault rule: the address pattern does not fit; hint: {hint}")]
    Pattern {
        /// What to write instead.
        hint: &'static str,
    },
    /// The reply text cannot be sent.
    #[error("fault rule: the reply text does not fit; hint: {hint}")]
    Text {
        /// What to write instead.
        hint: &'static str,
    },
    /// An option stands twice.
    #[error("fault rule: {option} stands twice; hint: write two rules")]
    Twice {
        /// The option's name.
        option: &'static str,
    },
    /// A part is no option.
    #[error(
        "fault rule: {found} is no option; hint: a share such as 0.02, share=, times=, to=, from=, \
         text= or raw="
    )]
    Option {
        /// What stood there.
        found: String,
    },
}

/// What the writer wrote, unless it may be an address.
pub(super) fn shown(found: &str) -> String {
    if found.contains('@') {
        "an address (an address pattern is written to=PATTERN)".into()
    } else if found.is_empty() {
        "nothing".into()
    } else {
        format!("{found:?}")
    }
}
