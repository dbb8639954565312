//! Tells the company of each password that was set here: from rows that were written with the reset, until its
//! endpoint took them. One that is down holds up nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::served::Served;
use super::{Inner, Portal};
use crate::domain::clock::Clock;
use crate::domain::loopback::is_loopback_host;
use crate::domain::track::Environment;
use crate::engine::EngineError;
use crate::store::events::TakenEvent;
use crate::webhook::{Webhook, WebhookFault, WebhookNames, WebhookSettings};

/// Events taken at once, and posted at the same time.
const AT_ONCE: u32 = 64;
const POSTED_AT_ONCE: usize = 8;
/// An event whose portal died while it was on its way is told again after so long: longer than an endpoint may
/// take for all that is taken at once.
const LOST_AFTER: SignedDuration = SignedDuration::from_mins(3);
/// Waits between the tries of one event, in seconds; the last one repeats, for as long as it takes.
const WAITS: [i64; 6] = [5, 30, 120, 600, 1_800, 3_600];

const NAMES: WebhookNames =
    WebhookNames { key_file: "portal.event.key_file", authorities: "portal.event.authorities" };

/// The company's endpoint, and whether it answered last.
pub(super) struct Bell {
    webhook: Webhook,
    is_silent: AtomicBool,
}

/// What the company is told. The same event is the same octets, however often it is told.
#[derive(Serialize)]
struct Message<'a> {
    event: &'static str,
    id: &'a str,
    account: &'a str,
    directory: &'a str,
    campaign: &'a str,
    at: Timestamp,
    proof: &'a str,
}

/// A rehearsal tells this machine only, like its notices.
pub(super) fn check_endpoint(
    settings: Option<&WebhookSettings>,
    environment: Environment,
) -> Result<(), EngineError> {
    let elsewhere = settings
        .and_then(|settings| settings.url.host_str())
        .filter(|host| environment == Environment::Rehearsal && !is_loopback_host(host));
    match elsewhere {
        None => Ok(()),
        Some(host) => Err(EngineError::refused(format!(
            "a rehearsal speaks to this machine only, and resets are told to `{host}`; hint: a receiver \
             on this machine, `portal.event.url = \"http://127.0.0.1:…\"`, or none"
        ))),
    }
}

impl Bell {
    /// Reads what is needed for it; nothing is sent.
    pub(super) fn open(
        settings: Option<&WebhookSettings>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Self>, EngineError> {
        let open = |settings| Webhook::open(settings, NAMES, Arc::clone(clock));
        let webhook = settings.map(open).transpose();
        let webhook = webhook.map_err(|error| EngineError::refused(error.to_string()))?;
        Ok(webhook.map(|webhook| Self { webhook, is_silent: AtomicBool::new(false) }))
    }

    /// Notes how the endpoint does; tells in the log where that is news.
    fn note(&self, fault: Option<&WebhookFault>) {
        let fault = fault.filter(|fault| fault.is_everybodys());
        let was_silent = self.is_silent.swap(fault.is_some(), Ordering::Relaxed);
        match fault {
            Some(fault) if !was_silent => tracing::warn!(
                %fault,
                "the company's endpoint does not take events; they wait, and nobody waits for them"
            ),
            None if was_silent => tracing::info!("the company's endpoint takes events again"),
            _ => {}
        }
    }
}

impl Inner {
    /// Whether the company is told of resets.
    pub(super) fn tells(&self) -> bool {
        self.bell.is_some()
    }

    /// Posts one event; `None` where there is nothing to say any more.
    async fn tell(
        &self,
        bell: &Bell,
        served: &Served,
        event: &TakenEvent,
    ) -> Result<Option<WebhookFault>, EngineError> {
        let row = self.engine.store.load_row(served.row.id, event.number).await?;
        let Some(row) = row else { return Ok(None) };
        let recipient = served.people.open(event.number, &row.body)?;
        let message = Message {
            event: "reset",
            id: &event.event,
            account: recipient.account.as_str(),
            directory: &served.row.directory,
            campaign: &served.row.name,
            at: event.happened_at,
            proof: &event.proof,
        };
        let body =
            serde_json::to_vec(&message).map_err(|error| EngineError::Broken(error.to_string()))?;
        Ok(bell.webhook.post(body).await.err())
    }
}

impl Portal {
    /// Tells what is due; how many events the endpoint took.
    pub async fn tell_events(&self) -> Result<u64, EngineError> {
        let inner = &self.0;
        let Some(bell) = &inner.bell else { return Ok(0) };
        let store = &inner.engine.store;
        let mut taken = 0;
        for served in &inner.served {
            // one that was silent is asked with one event, not with all that wait
            let limit = if bell.is_silent.load(Ordering::Relaxed) { 1 } else { AT_ONCE };
            let now = inner.engine.clock.now();
            let events = store.take_events(served.row.id, limit, later(now, LOST_AFTER)).await?;
            if events.is_empty() {
                continue;
            }
            let mut tried = futures_util::stream::iter(events)
                .map(|event| async move {
                    let fault = inner.tell(bell, served, &event).await;
                    (event, fault)
                })
                .buffer_unordered(POSTED_AT_ONCE);
            let (mut told, mut put_off) = (Vec::new(), Vec::new());
            while let Some((event, fault)) = tried.next().await {
                if is_over(bell, &event, fault) {
                    told.push(event.id);
                } else {
                    let now = inner.engine.clock.now();
                    put_off.push((event.id, later(now, wait(event.attempts))));
                }
            }
            taken += told.len() as u64;
            store.end_events(told, put_off).await?;
        }
        Ok(taken)
    }
}

/// Whether an event was taken; what else became of it is told in the log. One that cannot even be made keeps
/// no other.
fn is_over(
    bell: &Bell,
    event: &TakenEvent,
    tried: Result<Option<WebhookFault>, EngineError>,
) -> bool {
    let (id, attempts) = (&event.event, event.attempts);
    match tried {
        Ok(fault) => {
            bell.note(fault.as_ref());
            if let Some(fault) = fault.as_ref().filter(|fault| !fault.is_everybodys()) {
                tracing::warn!(%fault, event = %id, attempts, "an event is not taken");
            }
            fault.is_none()
        }
        Err(error) => {
            tracing::error!(%error, event = %id, attempts, "an event cannot be made");
            false
        }
    }
}

/// How long an event waits that was tried so often.
fn wait(attempts: u32) -> SignedDuration {
    let at = (attempts.saturating_sub(1) as usize).min(WAITS.len() - 1);
    SignedDuration::from_secs(WAITS[at])
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_tried_ever_more_rarely_and_for_ever() {
        let waits: Vec<i64> = (1..=8).map(|attempts| wait(attempts).as_secs()).collect();
        assert_eq!(waits, [5, 30, 120, 600, 1_800, 3_600, 3_600, 3_600]);
    }

    #[test]
    fn a_rehearsal_tells_nobody_elsewhere() {
        let settings = |url: &str| WebhookSettings {
            url: url.parse().unwrap(),
            key_file: "key".into(),
            authorities: None,
        };
        let (here, elsewhere) = (settings("http://127.0.0.1:1/"), settings("https://a.example/"));
        let refused = check_endpoint(Some(&elsewhere), Environment::Rehearsal).unwrap_err();
        assert!(refused.to_string().contains("hint: "), "{refused}");
        assert!(check_endpoint(Some(&elsewhere), Environment::Live).is_ok());
        assert!(check_endpoint(Some(&here), Environment::Rehearsal).is_ok());
        assert!(check_endpoint(None, Environment::Rehearsal).is_ok());
    }
}
