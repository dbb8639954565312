//! How the relay has answered so far: whose turn it is to try it, and whether trying on helps.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::mail::transaction::{BreakCause, ConnectFault};

/// Faults of ours in a row, without a connection between them, that stop the trying: one could be a
/// single bad host of many behind one name, and more could lock our user out.
const ENOUGH: u32 = 2;

/// Shared by all connection tasks of a worker.
#[derive(Debug, Default)]
pub struct RelayState {
    inner: Mutex<Inner>,
    turn: tokio::sync::Mutex<()>,
    /// What follows a final dot in the same write gets lost on the way.
    loses_what_follows: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    /// The latest fault, while it lasts.
    fault: Option<String>,
    /// Faults of ours since the last connection.
    ours: u32,
    /// The last attempt came through.
    is_proven: bool,
}

impl RelayState {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latest fault, while it lasts: for status and notes.
    pub fn fault(&self) -> Option<String> {
        self.lock().fault.clone()
    }

    /// Waits for the turn to connect. While the last attempt failed, or none was made, one task tries
    /// for all: a wrong password is not tried by every connection at once.
    pub async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if self.lock().is_proven {
            return None;
        }
        let turn = self.turn.lock().await;
        // Whoever waited for a proof does not make the others wait for its own connection.
        (!self.lock().is_proven).then_some(turn)
    }

    /// Whether the next notice may be begun with a final dot.
    pub fn takes_ahead(&self) -> bool {
        !self.loses_what_follows.load(Ordering::Relaxed)
    }

    /// What was begun so was not answered, or by something else; for the rest of this worker's life nothing is
    /// begun so. A connection that merely ended proves nothing.
    pub fn unheard(&self, cause: &BreakCause) {
        let lost = matches!(cause, BreakCause::Timeout | BreakCause::Garbage(_));
        if lost && !self.loses_what_follows.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "the relay does not answer what follows a message in the same write ({cause}), although it \
                 offers PIPELINING; from now on each notice waits for the answer to the one before"
            );
        }
    }

    /// A connection came about.
    pub fn connected(&self) {
        *self.lock() = Inner { is_proven: true, ..Inner::default() };
    }

    /// None came about; true once the fault is plainly ours and trying on does not help.
    pub fn failed(&self, fault: &ConnectFault) -> bool {
        let mut inner = self.lock();
        inner.fault = Some(fault.to_string());
        inner.is_proven = false;
        if fault.is_ours() {
            inner.ours += 1;
        }
        inner.ours >= ENOUGH
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reply::{Phase, SmtpReply};

    fn refused(code: u16) -> ConnectFault {
        let reply = SmtpReply::new(code, "no");
        ConnectFault::Refused { relay: "relay.example:25".into(), phase: Phase::Greeting, reply }
    }

    #[test]
    fn two_faults_of_ours_are_enough_and_a_connection_between_them_starts_anew() {
        let state = RelayState::default();
        assert!(!state.failed(&refused(554)));
        state.connected();
        assert_eq!(state.fault(), None);
        assert!(!state.failed(&refused(554)));
        let cut = ConnectFault::Broken {
            relay: "relay.example:25".into(),
            phase: Phase::Greeting,
            cause: BreakCause::Closed,
        };
        assert!(!state.failed(&cut) && !state.failed(&refused(421)), "these pass by themselves");
        assert!(state.failed(&refused(554)));
        assert!(state.fault().is_some_and(|fault| fault.contains("554")));
    }

    #[tokio::test]
    async fn one_tries_for_all_until_the_relay_is_proven() {
        let state = RelayState::default();
        let first = state.turn().await;
        assert!(first.is_some());
        assert!(state.turn.try_lock().is_err());
        state.connected();
        assert!(state.turn().await.is_none(), "proven: nobody waits");
    }
}
