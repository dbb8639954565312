//! The company is told of each reset, once it is true and until it took it; its endpoint holds up nobody.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use forthwith::domain::clock::{Clock, ManualClock, SystemClock};
use forthwith::engine::portal::PortalSettings;
use forthwith::engine::progress::Silent;
use forthwith::secret::webhook::{WebhookKey, signed_parts};
use forthwith::store::credentials::Pick;
use forthwith::webhook::WebhookSettings;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{NEW, link};
use crate::harness::tampering::query;
use crate::harness::visitor::Served;
use crate::harness::{CAMPAIGN, House, Plan, secret_file};

const KEY: &str = "the-events-receiver-and-we-share-this";

/// What a receiver got and how it answers.
#[derive(Default)]
struct Inside {
    /// The octets of each message that was rightly signed, with its signature.
    got: Vec<(Vec<u8>, String)>,
    /// Messages that were not.
    unsigned: usize,
    /// What it answers; by account where it is one's own.
    answer: u16,
    answers: BTreeMap<String, u16>,
}

/// The company's receiver of events.
#[derive(Clone)]
struct Receiver {
    inside: Arc<Mutex<Inside>>,
    key: Arc<WebhookKey>,
    clock: Arc<dyn Clock>,
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signed = headers["forthwith-signature"].to_str().unwrap().to_owned();
    let (at, mac) = signed_parts(&signed).unwrap();
    let age = receiver.clock.now().as_second() - at.parse::<i64>().unwrap();
    let mut inside = receiver.inside();
    if age.abs() > 300 || !receiver.key.verify(&[at], &body, mac) {
        inside.unsigned += 1;
        return StatusCode::UNAUTHORIZED;
    }
    let account = serde_json::from_slice::<Value>(&body).unwrap()["account"].clone();
    inside.got.push((body.to_vec(), signed));
    let own = inside.answers.get(account.as_str().unwrap()).copied();
    StatusCode::from_u16(own.unwrap_or(inside.answer)).unwrap()
}

impl Receiver {
    async fn start(house: &House) -> (Self, WebhookSettings) {
        let key_file = secret_file(&house.path("event.key"), KEY);
        let receiver = Self {
            inside: Arc::new(Mutex::new(Inside { answer: 204, ..Inside::default() })),
            key: Arc::new(WebhookKey::read(&key_file, "test").unwrap()),
            clock: Arc::clone(&house.engine.clock),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().fallback(take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (receiver, WebhookSettings { url, key_file, authorities: None })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// What it got so far, read.
    fn got(&self) -> Vec<Value> {
        let inside = self.inside();
        assert_eq!(inside.unsigned, 0);
        inside.got.iter().map(|(body, _)| serde_json::from_slice(body).unwrap()).collect()
    }
}

/// A house on a clock of its own, with its receiver and a portal that tells it.
async fn told() -> (House, Arc<ManualClock>, Receiver, Served) {
    // whole microseconds, as the database keeps them
    let now = Timestamp::from_microsecond(SystemClock.now().as_microsecond()).unwrap();
    let clock = Arc::new(ManualClock::at(now));
    let house =
        House::ready(Plan { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..Plan::default() }).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let (receiver, settings) = Receiver::start(&house).await;
    let served = house.portal_set(|portal| portal.events = Some(settings)).await;
    (house, clock, receiver, served)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_that_waits_to_be_told_keeps_its_campaign_from_closing() {
    let (house, clock, receiver, served) = told().await;
    let check = async || {
        let checks = house.engine.closing_checks(CAMPAIGN).await.unwrap();
        checks.into_iter().find(|check| check.what.contains("told to the company")).unwrap()
    };
    assert!(check().await.holds);
    receiver.inside().answer = 503;
    reset(&house, &served, 10).await;
    served.portal.tell_events().await.unwrap();
    let waits = check().await;
    assert!(
        waits.because.contains("1 resets wait") && waits.because.contains("hint: "),
        "{waits:?}"
    );
    assert!(waits.is_open(false) && !waits.is_open(true), "{waits:?}");
    receiver.inside().answer = 200;
    clock.advance(SignedDuration::from_mins(2));
    assert_eq!(served.portal.tell_events().await.unwrap(), 1);
    assert!(check().await.holds);
}

async fn reset(house: &House, served: &Served, place: u32) {
    let visitor = served.visitor();
    let form = house.prove(served, &visitor, place).await;
    let done = visitor.send_and_wait(&form, &[("password", NEW)]).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
}

async fn waiting(house: &House) -> u64 {
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    status.events.map_or(0, |events| events.waiting)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_told_once_with_what_happened_to_whom_and_when() {
    let (house, clock, receiver, served) = told().await;
    assert_eq!(served.portal.tell_events().await.unwrap(), 0);
    reset(&house, &served, 10).await;
    assert_eq!(waiting(&house).await, 1);
    assert_eq!(served.portal.tell_events().await.unwrap(), 1);
    let [event] = receiver.got().try_into().unwrap();
    assert_eq!(event["event"], "reset");
    assert_eq!((&event["account"], &event["proof"]), (&"C0000010".into(), &"code".into()));
    assert_eq!((&event["campaign"], &event["directory"]), (&CAMPAIGN.into(), &"shop".into()));
    assert_eq!(event["at"], clock.now().to_string());
    assert_eq!(event["id"].as_str().unwrap().len(), 36);
    assert!(!event.to_string().contains('@'), "{event}");
    clock.advance(SignedDuration::from_hours(48));
    assert_eq!((served.portal.tell_events().await.unwrap(), waiting(&house).await), (0, 0));
    assert_eq!(receiver.got().len(), 1, "it was taken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_down_holds_up_nobody_and_hears_of_it_later() {
    let (house, clock, receiver, served) = told().await;
    receiver.inside().answer = 503;
    for place in [10, 11, 12] {
        reset(&house, &served, place).await;
    }
    assert_eq!(served.portal.tell_events().await.unwrap(), 0);
    assert_eq!(receiver.got().len(), 3);
    assert_eq!(served.portal.tell_events().await.unwrap(), 0);
    assert_eq!((receiver.got().len(), waiting(&house).await), (3, 3), "not again at once");
    clock.advance(SignedDuration::from_secs(6));
    served.portal.tell_events().await.unwrap();
    assert_eq!(receiver.got().len(), 4, "one that was silent is asked with one");
    receiver.inside().answer = 200;
    clock.advance(SignedDuration::from_mins(2));
    while served.portal.tell_events().await.unwrap() > 0 {}
    assert_eq!(waiting(&house).await, 0);
    let inside = receiver.inside();
    let mut bodies: Vec<&[u8]> = inside.got.iter().map(|(body, _)| body.as_slice()).collect();
    let mut signatures: Vec<&str> = inside.got.iter().map(|(_, signed)| signed.as_str()).collect();
    let times = bodies.len();
    bodies.sort_unstable();
    bodies.dedup();
    signatures.dedup();
    assert_eq!((times, bodies.len()), (7, 3), "one event is the same octets however often");
    assert!(signatures.len() > 3, "and signed when it is told: {signatures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_that_is_not_wanted_does_not_keep_the_others() {
    let (house, clock, receiver, served) = told().await;
    receiver.inside().answers.insert("C0000010".into(), 400);
    for place in [10, 11, 12] {
        reset(&house, &served, place).await;
    }
    assert_eq!(served.portal.tell_events().await.unwrap(), 2);
    assert_eq!(waiting(&house).await, 1);
    receiver.inside().answers.clear();
    clock.advance(SignedDuration::from_secs(6));
    assert_eq!(served.portal.tell_events().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_that_died_with_an_event_on_its_way_has_it_told_by_the_next() {
    let (house, clock, receiver, served) = told().await;
    reset(&house, &served, 10).await;
    drop(served);
    // taken, and then the process is no more: whether the endpoint got it nobody knows
    let row = house.engine.campaign(CAMPAIGN).await.unwrap();
    let again_at = clock.now() + SignedDuration::from_mins(3);
    let taken = house.engine.store.take_events(row.id, 10, again_at).await.unwrap();
    assert_eq!(taken.len(), 1);
    let (settings, url) = Receiver::start(&house).await;
    let next = portal_again(&house, url).await;
    assert_eq!(next.portal.tell_events().await.unwrap(), 0);
    clock.advance(SignedDuration::from_mins(4));
    assert_eq!(next.portal.tell_events().await.unwrap(), 1);
    assert_eq!((settings.got().len(), receiver.got().len()), (1, 0));
}

/// A portal after one that was dropped: its tasks may hold the lock for an instant more.
async fn portal_again(house: &House, events: WebhookSettings) -> Served {
    for _ in 0..200 {
        let settings = PortalSettings {
            events: Some(events.clone()),
            ..house.portal_settings("127.0.0.1:1".parse().unwrap())
        };
        if house.engine.portal(&[], settings).await.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    house.portal_set(|portal| portal.events = Some(events)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_that_a_dead_portal_left_half_done_is_told_when_the_next_ends_it() {
    let house = link::told().await;
    let (_, number) = link::link(&house, 10).await;
    link::left_half_done(&house, number, true).await;
    let (receiver, settings) = Receiver::start(&house).await;
    let served = house.portal_set(|portal| portal.events = Some(settings)).await;
    assert_eq!(waiting(&house).await, 0, "nothing is said before it is true");
    assert_eq!(served.portal.end_claims().await.unwrap(), (1, 0));
    assert_eq!(served.portal.tell_events().await.unwrap(), 1);
    assert_eq!(receiver.got()[0]["proof"], "link");
    let told: Vec<(i64,)> = query(
        &house.database(),
        "SELECT COUNT(*) FROM reset_event AS e JOIN reset AS r USING (campaign_id, number)
         WHERE r.state = 'done'",
    )
    .await;
    assert_eq!(told[0].0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_told_where_no_endpoint_is_named() {
    let house = super::secured().await;
    let served = house.portal().await;
    reset(&house, &served, 10).await;
    assert_eq!(served.portal.tell_events().await.unwrap(), 0);
    let rows: Vec<(i64,)> = query(&house.database(), "SELECT COUNT(*) FROM reset_event").await;
    assert_eq!(rows[0].0, 0);
}
