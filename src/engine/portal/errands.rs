//! Sends the portal's mails: ahead of every notice, by a relay and connections of their own, and recorded
//! like notices are: intent before wire, outcome after.

use std::sync::Mutex;
use std::sync::PoisonError;

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};

use super::{Inner, Portal};
use crate::domain::delivery::{AttemptResult, Outcome};
use crate::domain::loopback::is_loopback_host;
use crate::domain::track::Environment;
use crate::engine::{Engine, EngineError};
use crate::mail::connection::Connection;
use crate::mail::relay::Relay;
use crate::mail::settings::RelaySettings;
use crate::store::errands::{ErrandNext, TakenErrand};

/// Errands taken at once.
const AT_ONCE: u32 = 64;
/// How long a mail that is worth something for ever is tried.
const TRIED_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Waits between attempts; the last one repeats.
const WAITS: [i64; 6] = [5, 15, 30, 60, 120, 300];

impl Engine {
    /// A rehearsal's codes go to this machine only, like its notices.
    pub(super) fn check_errand_relay(
        relay: &RelaySettings,
        environment: Environment,
    ) -> Result<(), EngineError> {
        if environment == Environment::Live || is_loopback_host(&relay.host) {
            return Ok(());
        }
        Err(EngineError::refused(format!(
            "a rehearsal sends to loopback only, and the relay of codes is `{}`; hint: start `forthwith \
             sink` and set portal.relay_host = \"127.0.0.1\"",
            relay.host
        )))
    }
}

impl Portal {
    /// Gives back what earlier lives took; how many errands go out again.
    pub async fn rescue_errands(&self) -> Result<u64, EngineError> {
        Ok(self.0.engine.store.rescue_errands(&self.0.life).await?)
    }

    /// Sends what is due; how many mails were tried.
    pub async fn send_errands(&self) -> Result<u64, EngineError> {
        let inner = &self.0;
        let taken = inner.engine.store.take_errands(&inner.life, AT_ONCE).await?;
        let count = taken.len() as u64;
        let idle = Mutex::new(Vec::new());
        let sent = futures_util::stream::iter(taken)
            .map(|errand| inner.run(errand, &idle))
            .buffer_unordered(inner.settings.connections.max(1));
        let results: Vec<Result<(), EngineError>> = sent.collect().await;
        let idle = idle.into_inner().unwrap_or_else(PoisonError::into_inner);
        for connection in idle {
            connection.close().await;
        }
        results.into_iter().collect::<Result<(), _>>()?;
        Ok(count)
    }
}

impl Inner {
    async fn run(
        &self,
        errand: TakenErrand,
        idle: &Mutex<Vec<Connection>>,
    ) -> Result<(), EngineError> {
        let store = &self.engine.store;
        let now = self.engine.clock.now();
        let served = self.served.iter().find(|one| one.row.id == errand.campaign);
        let Some(served) = served else {
            // another portal's campaign: its own takes it
            let due_at = now.saturating_add(SignedDuration::from_mins(1)).unwrap_or(now);
            let next = ErrandNext::Again { due_at, in_doubt: false };
            return Ok(store.end_attempt(errand.id, None, next).await?);
        };
        if until(&errand) <= now {
            return Ok(store.end_attempt(errand.id, None, ErrandNext::Ended).await?);
        }
        let Some(built) = self.build(served, &errand, now).await? else {
            return Ok(store.end_attempt(errand.id, None, ErrandNext::Ended).await?);
        };
        let held = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match held {
            Some(connection) => Ok(connection),
            None => self.connect(served.row.environment).await,
        };
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "the relay of codes and confirmations cannot be reached");
                let next = again(&errand, now, false);
                return Ok(store.end_attempt(errand.id, None, next).await?);
            }
        };
        let n = store.begin_attempt(errand.id, now, &built.content).await?;
        let (people, number) = (&served.people, errand.number);
        let what = "a portal's mail";
        let sent = self.engine.transact_errand(people, number, &mut connection, built, what);
        let outcome = sent.await?;
        if connection.is_usable() {
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        } else {
            connection.close().await;
        }
        let next = next(&errand, &outcome, self.engine.clock.now());
        Ok(store.end_attempt(errand.id, Some((n, outcome)), next).await?)
    }

    async fn connect(&self, environment: Environment) -> Result<Connection, EngineError> {
        let mut relay = self.settings.relay.clone();
        relay.loopback_only = environment == Environment::Rehearsal;
        let connected = Connection::connect(&Relay::new(relay)).await;
        connected.map_err(|fault| EngineError::refused(fault.to_string()))
    }
}

fn until(errand: &TakenErrand) -> Timestamp {
    let long = errand.asked_at.saturating_add(TRIED_FOR).unwrap_or(Timestamp::MAX);
    errand.expires_at.unwrap_or(long)
}

fn again(errand: &TakenErrand, now: Timestamp, in_doubt: bool) -> ErrandNext {
    let at = (errand.attempts as usize).min(WAITS.len() - 1);
    let wait = if in_doubt { 0 } else { WAITS[at] };
    let due_at = now.saturating_add(SignedDuration::from_secs(wait)).unwrap_or(now);
    ErrandNext::Again { due_at, in_doubt }
}

/// What follows an attempt. One in doubt is sent once more at once, while it is worth something: somebody
/// waits for it, and a second code does no harm.
fn next(errand: &TakenErrand, outcome: &Outcome, now: Timestamp) -> ErrandNext {
    match outcome.result {
        AttemptResult::Accepted | AttemptResult::Refused | AttemptResult::Unsendable => {
            ErrandNext::Ended
        }
        AttemptResult::InDoubt if errand.doubts > 0 => ErrandNext::Ended,
        AttemptResult::InDoubt => again(errand, now, true),
        AttemptResult::Deferred
        | AttemptResult::Policy
        | AttemptResult::Broken
        | AttemptResult::NotStarted => again(errand, now, false),
    }
}
