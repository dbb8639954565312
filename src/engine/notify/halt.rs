//! A halt: the fault is ours, so the campaign pauses itself instead of trying it out on everybody.

use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

/// Shared by the tasks of a worker. The first cause is kept; later ones are its echoes.
#[derive(Debug, Default)]
pub struct Halt {
    cause: Mutex<Option<String>>,
    called: CancellationToken,
}

impl Halt {
    /// Calls it, with the cause in words for the operator: no address, ending with a hint. From now on
    /// no transaction starts; the worker pauses the track (cause `configuration`) and ends.
    pub fn call(&self, cause: String) {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
        self.called.cancel();
    }

    /// The cause, once it was called.
    pub fn cause(&self) -> Option<String> {
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
        halt.call("the certificate has expired".into());
        halt.call("the connection closed".into());
        halt.called().await;
        assert_eq!(halt.cause().as_deref(), Some("the certificate has expired"));
    }
}
