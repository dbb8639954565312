//! A dead worker's work, settled by the next one from its journal.

use std::sync::Arc;
use std::time::Duration;

use forthwith::domain::clock::{Clock as _, ManualClock};
use forthwith::domain::delivery::{AttemptKey, AttemptResult, DeliveryClass, Outcome};
use forthwith::domain::reply::ReplyClass;
use forthwith::domain::track::Track;
use forthwith::engine::notify::outcome::encode;
use forthwith::engine::progress::Silent;
use forthwith::journal::{
    DEFAULT_SEGMENT_SIZE, Journal, Mark, MarkKey, Origin, OutcomeBytes, boot_id,
};
use forthwith::store::deliveries::{Claimant, Flush, LoadedRow, NewIntent};
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::harness::{CAMPAIGN, House, Plan};

/// Runs until one person is deferred, and stops.
async fn with_one_deferred(house: &House) {
    let (engine, soft) = (house.engine.clone(), CancellationToken::new());
    let stop = soft.clone();
    let run = tokio::spawn(async move { engine.run(CAMPAIGN, &Silent, &stop).await });
    let waited = tokio::time::timeout(Duration::from_mins(1), async {
        loop {
            let people = house.status().await.deliveries;
            if people.deferred == 1 && people.queued + people.in_flight == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "nobody was deferred");
    soft.cancel();
    run.await.unwrap().unwrap();
}

/// A worker that tries the deferred person once more, hears that the mailbox is busy, and dies before it
/// records it: intent and journal are all it leaves.
async fn die_with_one_open(house: &House, clock: &ManualClock) {
    let store = &house.engine.store;
    let identity = store.identity().await.unwrap();
    let campaign = house.engine.campaign(CAMPAIGN).await.unwrap().id;
    let id = uuid::Uuid::from_bytes([7; 16]);
    let now = clock.now();
    let until = now + SignedDuration::from_mins(1);
    let claimant =
        Claimant { worker: id.to_string(), incarnation: identity.incarnation, now, until };
    let boot = boot_id().unwrap();
    let name = id.to_string();
    store.start_worker(&name, identity.incarnation, boot.as_str(), "here", now).await.unwrap();
    let lane = store.runnable_lanes(campaign, now).await.unwrap().remove(0).lane;
    let lease = store.claim(campaign, &lane, &claimant, 1).await.unwrap().remove(0);
    let rows = store.load(campaign, &lease).await.unwrap();
    let is_deferred = |row: &&LoadedRow| row.state.class == DeliveryClass::Deferred;
    let row = rows.iter().find(is_deferred).unwrap();
    let origin = Origin {
        database_id: *identity.database_id.as_bytes(),
        incarnation: identity.incarnation,
        worker_id: *id.as_bytes(),
    };
    let journals = house.engine.workspace.journals();
    let journal = Journal::create(&journals, origin, boot, DEFAULT_SEGMENT_SIZE).unwrap();
    let key =
        AttemptKey { number: row.number, generation: row.state.generation, n: row.last_n + 1 };
    let intent = NewIntent {
        key,
        dated_at: now,
        content: [7; 32],
        from: DeliveryClass::Deferred,
        epoch: lease.epoch,
        segment: journal.segment(),
        relay: "test".into(),
        token: None,
        amendments: 0,
        carried: 0,
    };
    let flush = Flush { intents: vec![intent], ..Flush::default() };
    assert!(store.flush(campaign, &claimant, flush).await.unwrap().refused.is_empty());
    let mark = MarkKey { campaign, number: key.number, generation: key.generation, n: key.n };
    let begin = Mark::Begin { key: mark, dated_at: now.as_microsecond(), content: [7; 32] };
    journal.mark(&begin).unwrap();
    let heard = Outcome {
        code: Some(450),
        class: Some(ReplyClass::MailboxBusy),
        ..Outcome::bare(AttemptResult::Deferred, "rcpt", now)
    };
    let outcome = OutcomeBytes::new(encode(&heard)).unwrap();
    journal.mark(&Mark::End { key: mark, outcome }).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rescue_gives_nobody_up_for_a_pause_that_was_longer_than_their_window() {
    let clock = Arc::new(ManualClock::at("2026-11-26T21:00:00Z".parse().unwrap()));
    let house = House::ready(Plan {
        faults: vec!["rcpt:450:to=customer4@*:text=4.2.1 Mailbox busy"],
        clock: Arc::<ManualClock>::clone(&clock),
        ..Plan::default()
    })
    .await;
    with_one_deferred(&house).await;
    house.engine.pause(CAMPAIGN, Track::Notice, "test").await.unwrap();
    // Ten times the whole window.
    clock.advance(SignedDuration::from_hours(10));
    house.engine.resume(CAMPAIGN, Track::Notice, "test").await.unwrap();
    die_with_one_open(&house, &clock).await;
    assert_eq!(house.status().await.deliveries.in_flight, 1);

    let recovery = house.engine.rescue_all().await.unwrap();
    assert_eq!((recovery.ended, recovery.in_doubt, recovery.not_started), (1, 0, 0));
    let people = house.status().await.deliveries;
    assert_eq!(people.reasons.get("fallback/gave-up"), None, "{people:?}");
    assert_eq!((people.deferred, people.in_flight), (1, 0), "{people:?}");
}
