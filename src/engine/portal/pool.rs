//! Argon2id on a bounded pool: a wave of people is a line, never more memory or slower pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

use crate::engine::EngineError;
use crate::secret::password::{Params, Password, PasswordForm, is_behind};
use crate::secret::replacement::SecretValue;

/// Kept values that a password is compared with: whose password was taken twice has two.
const COMPARED: usize = 5;

/// How many stand before somebody, themselves included.
pub type Place = u64;

/// The pool.
pub(super) struct Pool {
    permits: Arc<Semaphore>,
    params: Params,
    given: AtomicU64,
    called: AtomicU64,
}

/// A place in the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(u64);

impl Pool {
    pub(super) fn new(at_once: usize, params: Params) -> Self {
        let permits = Arc::new(Semaphore::new(at_once.max(1)));
        Self { permits, params, given: AtomicU64::new(0), called: AtomicU64::new(0) }
    }

    /// Takes a place at the end of the line.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket(self.given.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// How many are before this ticket, itself included; 0 once it was called.
    pub(super) fn place(&self, ticket: Ticket) -> Place {
        ticket.0.saturating_sub(self.called.load(Ordering::Relaxed))
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u64 {
        let called = self.called.load(Ordering::Relaxed);
        self.given.load(Ordering::Relaxed).saturating_sub(called)
    }

    /// Hashes when the ticket's turn has come. Whoever called [`Self::ticket`] must come here, or leave with
    /// [`Self::leave`]. Nothing where it is the password behind one of the values `stolen`, whose own cost is
    /// bounded; those of forms that are not known here are passed over.
    pub(super) async fn hash(
        &self,
        form: PasswordForm,
        password: Password,
        stolen: Vec<SecretValue>,
    ) -> Result<Option<SecretValue>, EngineError> {
        // the semaphore is fair, so tickets are called in their order
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        self.leave();
        let permit = permit.map_err(|_| EngineError::Broken("the pool was closed".into()))?;
        let params = self.params;
        let hashed = tokio::task::spawn_blocking(move || {
            let is_stolen =
                |value: &SecretValue| is_behind(value.expose(), &password) == Some(true);
            let made = if stolen.iter().take(COMPARED).any(is_stolen) {
                Ok(None)
            } else {
                form.hash(&password, params, &mut rand::rng()).map(Some)
            };
            drop(permit);
            made
        });
        let hashed = hashed.await.map_err(|error| EngineError::Broken(error.to_string()))?;
        hashed.map_err(|error| EngineError::Broken(error.to_string()))
    }

    /// Gives the ticket back without a hash.
    pub(super) fn leave(&self) {
        self.called.fetch_add(1, Ordering::Relaxed);
    }
}
