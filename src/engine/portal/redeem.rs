//! A new password from the form to the directory: in a task of its own, so that neither a long line nor a
//! browser that gives up takes anything back half way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use zeroize::Zeroizing;

use super::pool::{Place, Ticket};
use super::served::Served;
use super::{Choice, Ended, Inner, Portal};
use crate::domain::password_rule::PasswordRefusal;
use crate::engine::EngineError;
use crate::engine::secure::{Company, ResetEnd, Sealed, Wanted};
use crate::password_filter::FilterError;
use crate::secret::lookup::account_digest;
use crate::secret::password::Password;
use crate::secret::replacement::SecretValue;
use crate::secret::visit::Visit;

/// How long a result waits for its browser.
const KEPT_FOR: Duration = Duration::from_mins(10);
/// Results and lines are looked through for old ones when there are so many.
const MANY: usize = 1_000;
/// More people in line than this are asked to come back: their passwords would lie in memory.
const LONGEST_LINE: u64 = 20_000;

/// How somebody proved who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a code.
    Code,
    /// By the link of their notice.
    Link,
}

/// A reset that somebody asks for.
pub struct Reset {
    /// The account.
    pub choice: Choice,
    /// What they chose.
    pub password: Password,
    /// The language of the page.
    pub locale: String,
    /// The token it came with, where it came by a link: for the form, should it have to be shown again.
    pub token: Option<Zeroizing<String>>,
}

/// Where a reset stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// There is none.
    None,
    /// In line, at this place.
    Waiting(Place),
    /// Over.
    Ended(Ended),
}

/// Resets under way, and results that nobody fetched yet, by visit.
#[derive(Default)]
pub(super) struct Redeems(Mutex<HashMap<[u8; 16], Redeem>>);

struct Redeem {
    ticket: Ticket,
    begun: Instant,
    token: Option<Zeroizing<String>>,
    ended: watch::Receiver<Option<Ended>>,
}

impl Portal {
    /// Begins a reset for a visit; one that is under way goes on instead.
    pub fn begin(&self, visit: &Visit, mut reset: Reset) {
        let key = visit.digest(self.keys().portal());
        let mut all = self.0.redeems.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(&key).is_some_and(|one| one.ended.borrow().is_none()) {
            return;
        }
        if all.len() >= MANY {
            all.retain(|_, one| one.ended.borrow().is_none() || one.begun.elapsed() < KEPT_FOR);
        }
        let ticket = self.0.pool.ticket();
        let (end, ended) = watch::channel(None);
        let token = reset.token.take();
        all.insert(key, Redeem { ticket, begun: Instant::now(), token, ended });
        drop(all);
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let ended = inner.redeem(reset).await.unwrap_or_else(|error| {
                tracing::error!(%error, "a password could not be set");
                Ended::Unreachable
            });
            end.send_replace(Some(ended));
        });
    }

    /// Waits for a visit's reset, but no longer than that.
    pub async fn wait(&self, visit: &Visit, patience: Duration) -> Progress {
        let key = visit.digest(self.keys().portal());
        let found = {
            let all = self.0.redeems.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(&key).map(|one| (one.ticket, one.ended.clone()))
        };
        let Some((ticket, mut ended)) = found else { return Progress::None };
        let over = tokio::time::timeout(patience, ended.wait_for(Option::is_some)).await;
        match over {
            Ok(Ok(ended)) => Progress::Ended(ended.clone().unwrap_or(Ended::Unreachable)),
            // the task is gone without a word: it panicked
            Ok(Err(_)) => Progress::Ended(Ended::Unreachable),
            Err(_) => Progress::Waiting(self.0.pool.place(ticket)),
        }
    }

    /// The token that a visit's reset came with, where it came by a link.
    pub fn token_of(&self, visit: &Visit) -> Option<Zeroizing<String>> {
        let key = visit.digest(self.keys().portal());
        let all = self.0.redeems.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&key).and_then(|one| one.token.clone())
    }

    /// Whether a password may be chosen for an account.
    pub async fn check_password(
        &self,
        choice: &Choice,
        password: &str,
    ) -> Result<Result<(), PasswordRefusal>, EngineError> {
        let own = self.0.own_words_of(choice).await?;
        let rule = self.0.served[choice.served].rule();
        let password = Zeroizing::new(password.to_owned());
        let breached = self.0.breached.clone();
        let checked = tokio::task::spawn_blocking(move || {
            if let Err(refusal) = rule.check(&password, &own) {
                return Ok(Err(refusal));
            }
            let is_breached = breached.map_or(Ok(false), |filter| filter.holds(&password))?;
            Ok::<_, FilterError>(if is_breached { Err(PasswordRefusal::Breached) } else { Ok(()) })
        });
        let checked = checked.await.map_err(|error| EngineError::Broken(error.to_string()))?;
        checked.map_err(|error| EngineError::refused(error.to_string()))
    }

    /// Whether the line is so long that people are asked to come back.
    pub fn is_crowded(&self) -> bool {
        self.0.pool.waiting() >= LONGEST_LINE
    }
}

impl Inner {
    async fn redeem(&self, reset: Reset) -> Result<Ended, EngineError> {
        let Reset { choice, password, locale, .. } = reset;
        let served = &self.served[choice.served];
        let company = match served.company(&self.engine).await {
            Ok(company) => company,
            Err(error) => {
                self.pool.leave();
                tracing::error!(%error, "the directory cannot be opened for a new password");
                return Ok(Ended::Unreachable);
            }
        };
        let person = Sealed { people: &served.people, number: choice.number };
        let stolen = self.engine.stolen(&company, person).await;
        let Ok(Some(stolen)) = stolen else {
            self.pool.leave();
            served.forget_company().await;
            return stolen.map(|_| Ended::Unreachable);
        };
        let form = company.directory.password_form();
        let Some(value) = self.pool.hash(form, password, stolen).await? else {
            return Ok(Ended::Stolen);
        };
        let persons = self.persons(&choice).await?;
        let (proof, life) = (choice.proof, self.life.as_str());
        let is_told = self.tells();
        let wanted = Wanted { persons: &persons, proof, life, locale: &locale, is_told };
        let campaign = served.row.id;
        if !self.take_off(campaign, choice.number) {
            return Ok(Ended::Busy);
        }
        let ended = self.set(served, &company, &wanted, value).await;
        self.land(campaign, choice.number);
        Ok(match ended? {
            ResetEnd::Done => Ended::Done,
            ResetEnd::Busy => Ended::Busy,
            ResetEnd::Void => Ended::Void,
            ResetEnd::NotOurs => Ended::NotOurs,
            ResetEnd::Unreachable => Ended::Unreachable,
        })
    }

    /// Sets it; once more by a directory opened anew where the first did not answer: control accounts live
    /// on, and what they held when it was opened may be old.
    async fn set(
        &self,
        served: &Served,
        company: &Company,
        wanted: &Wanted<'_>,
        value: SecretValue,
    ) -> Result<ResetEnd, EngineError> {
        let ended = self.engine.reset(company, wanted, value.clone()).await?;
        if ended != ResetEnd::Unreachable {
            return Ok(ended);
        }
        served.forget_company().await;
        let Ok(company) = served.company(&self.engine).await else { return Ok(ended) };
        let ended = self.engine.reset(&company, wanted, value).await?;
        // busy with our own claim, of which nobody knows yet what became
        Ok(if ended == ResetEnd::Busy { ResetEnd::Unreachable } else { ended })
    }

    /// What belongs to a person and must not make up their password.
    async fn own_words_of(&self, choice: &Choice) -> Result<Vec<String>, EngineError> {
        let served = &self.served[choice.served];
        let row = self.engine.store.load_row(served.row.id, choice.number).await?;
        let Some(row) = row else { return Ok(Vec::new()) };
        let recipient = served.people.open(choice.number, &row.body)?;
        let address = recipient.address.map(|address| address.as_str().to_owned());
        let name = recipient.name.map(|name| name.as_str().to_owned());
        Ok(std::iter::once(choice.account.clone()).chain(address).chain(name).collect())
    }

    /// The account in the campaign whose proof was given, then in every other here that sealed it.
    pub(super) async fn persons(&self, choice: &Choice) -> Result<Vec<Sealed<'_>>, EngineError> {
        let first = &self.served[choice.served];
        let mut persons = vec![Sealed { people: &first.people, number: choice.number }];
        for (at, other) in self.served.iter().enumerate() {
            if at == choice.served || other.row.directory != first.row.directory {
                continue;
            }
            let account = choice.account.as_bytes();
            let digest = account_digest(self.engine.keys.digest(), &other.row.directory, account);
            for number in self.engine.store.find_numbers(other.row.id, &digest).await? {
                persons.push(Sealed { people: &other.people, number });
            }
        }
        Ok(persons)
    }
}
