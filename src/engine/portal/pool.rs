//! Argon2id on a bounded pool: a wave of people is a line, never more memory or slower pages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::engine::EngineError;
use crate::secret::password::{Params, Password, PasswordForm, is_behind, keep_memory};
use crate::secret::replacement::SecretValue;

/// Kept values that a password is compared with: whose password was taken twice has two.
const COMPARED: usize = 5;

/// How many stand before somebody, themselves included.
pub type Place = u64;

/// What a hash comes to; nothing where the password is the stolen one.
type Made = Result<Option<SecretValue>, EngineError>;

/// The pool: so many threads of its own, each with the memory of one hash.
pub(super) struct Pool {
    /// The line; the threads end with it.
    line: Sender<Job>,
    given: AtomicU64,
    called: Arc<AtomicU64>,
}

/// A password whose turn comes.
struct Job {
    form: PasswordForm,
    password: Password,
    stolen: Vec<SecretValue>,
    made: oneshot::Sender<Made>,
}

/// A place in the line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket(u64);

impl Pool {
    pub(super) fn new(at_once: usize, params: Params) -> std::io::Result<Self> {
        let (line, jobs) = channel();
        let (jobs, called) = (Arc::new(Mutex::new(jobs)), Arc::<AtomicU64>::default());
        for place in 1..=at_once.max(1) {
            let (jobs, called) = (Arc::clone(&jobs), Arc::clone(&called));
            std::thread::Builder::new()
                .name(format!("passwords {place}"))
                .spawn(move || work(&jobs, &called, params))?;
        }
        Ok(Self { line, given: AtomicU64::new(0), called })
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
        let (made, waits) = oneshot::channel();
        let over = |_| EngineError::Broken("the threads that hash passwords are gone".into());
        self.line
            .send(Job { form, password, stolen, made })
            .map_err(|gone| over(gone.to_string()))?;
        waits.await.map_err(|gone| over(gone.to_string()))?
    }

    /// Gives the ticket back without a hash.
    pub(super) fn leave(&self) {
        self.called.fetch_add(1, Ordering::Relaxed);
    }
}

/// One thread: takes whoever is first, until nobody can come any more.
fn work(jobs: &Mutex<Receiver<Job>>, called: &AtomicU64, params: Params) {
    keep_memory();
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(Job { form, password, stolen, made }) = next else { return };
        called.fetch_add(1, Ordering::Relaxed);
        let is_stolen = |value: &SecretValue| is_behind(value.expose(), &password) == Some(true);
        let hashed = if stolen.iter().take(COMPARED).any(is_stolen) {
            Ok(None)
        } else {
            form.hash(&password, params, &mut rand::rng())
                .map(Some)
                .map_err(|error| EngineError::Broken(error.to_string()))
        };
        // whoever waited may have gone
        let _ = made.send(hashed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passwords_are_hashed_in_the_order_of_their_tickets_and_the_stolen_one_is_none() {
        let pool = Pool::new(1, Params::new(64, 1, 1).unwrap()).unwrap();
        let password = |text: &str| Password::new(text.into());
        let first = pool.ticket();
        assert_eq!((pool.place(first), pool.waiting()), (1, 1));
        let made = pool.hash(PasswordForm::Argon2id, password("a"), Vec::new()).await.unwrap();
        let made = made.unwrap();
        assert_eq!((pool.place(first), pool.waiting()), (0, 0));
        assert!(is_behind(made.expose(), &password("a")).unwrap());
        let (_, left) = (pool.ticket(), pool.ticket());
        let same = pool.hash(PasswordForm::Argon2id, password("a"), vec![made]).await.unwrap();
        assert!(same.is_none());
        assert_eq!(pool.place(left), 1);
        pool.leave();
        assert_eq!(pool.waiting(), 0);
    }
}
