//! A halt: the campaign pauses itself instead of trying it out on everybody.

use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::domain::track::PauseCause;

/// Why the track has to be paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Whose doing.
    pub kind: PauseCause,
    /// In words for the operator: no address, ending with a hint.
    pub words: String,
}

impl Cause {
    /// The fault is ours.
    pub fn ours(words: String) -> Self {
        Self { kind: PauseCause::Configuration, words }
    }
}

/// Shared by the tasks of a worker. The first cause is kept; later ones are its echoes.
#[derive(Debug, Default)]
pub struct Halt {
    cause: Mutex<Option<Cause>>,
    called: CancellationToken,
}

impl Halt {
    /// Calls it. From now on no transaction starts; the worker pauses the track for this cause and ends.
    pub fn call(&self, cause: Cause) {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
        self.called.cancel();
    }

    /// The cause, once it was called.
    pub fn cause(&self) -> Option<Cause> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it was called.
    pub fn is_called(&self) -> bool {
        self.called.is_cancelled()
    }

    /// Waits until it is called.
    pub async fn called(&self) {
        self.called.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_cause_is_the_one_that_is_told() {
        let halt = Halt::default();
        assert!(!halt.is_called());
        assert_eq!(halt.cause(), None);
        halt.call(Cause::ours("the certificate has expired".into()));
        halt.call(Cause::ours("the connection closed".into()));
        halt.called().await;
        assert_eq!(halt.cause().unwrap().words, "the certificate has expired");
    }
}
