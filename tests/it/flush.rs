//! The recorder's transaction: written whole where it can be, else each row is judged by itself.

use std::collections::BTreeMap;

use forthwith::domain::delivery::{AttemptKey, AttemptResult, DeliveryClass, Outcome, ToldBy};
use forthwith::store::deliveries::{
    Claimant, DeliveryState, Ended, Flush, Lease, LoadedRow, Move, NewIntent,
};
use jiff::{SignedDuration, Timestamp};

use crate::harness::{CAMPAIGN, House, Plan};

const NOW: &str = "2026-11-26T21:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn key(row: &LoadedRow) -> AttemptKey {
    AttemptKey { number: row.number, generation: 1, n: 1 }
}

fn intent(row: &LoadedRow, lease: &Lease) -> NewIntent {
    NewIntent {
        key: key(row),
        dated_at: now(),
        content: [u8::try_from(row.number % 200).unwrap(); 32],
        from: DeliveryClass::Queued,
        epoch: lease.epoch,
        segment: 1,
        relay: "relay".into(),
        token: None,
        amendments: 0,
        carried: 0,
    }
}

fn accepted(row: &LoadedRow, lease: &Lease) -> Ended {
    let told = DeliveryClass::Told(ToldBy::Accepted);
    let queue_id = Some("4\"Q".to_owned());
    Ended {
        key: key(row),
        outcome: Outcome {
            code: Some(250),
            queue_id,
            ..Outcome::bare(AttemptResult::Accepted, "dot", now())
        },
        from: DeliveryClass::Queued,
        epoch: lease.epoch,
        change: Some(Move {
            number: row.number,
            from: DeliveryClass::Queued,
            to: told.clone(),
            state: DeliveryState { class: told, attempts: 1, ..DeliveryState::default() },
            line: format!("{{\"number\":{}}}", row.number),
        }),
    }
}

/// A house with a claimed chunk.
async fn claimed() -> (House, i64, Claimant, Lease, Vec<LoadedRow>) {
    let house = House::ready(Plan { customers: 30, ..Plan::default() }).await;
    let store = &house.engine.store;
    let campaign = house.engine.campaign(CAMPAIGN).await.unwrap().id;
    let incarnation = store.identity().await.unwrap().incarnation;
    let until = now() + SignedDuration::from_hours(1);
    let claimant = Claimant { worker: "w".into(), incarnation, now: now(), until };
    store.open_wave(campaign, 1, now(), Vec::new()).await.unwrap();
    let lane = store.runnable_lanes(campaign, now()).await.unwrap().remove(0).lane;
    let lease = store.claim(campaign, &lane, &claimant, 1).await.unwrap().remove(0);
    let mut rows = store.load(campaign, &lease).await.unwrap();
    rows.retain(|row| row.state.class == DeliveryClass::Queued && row.carrier.is_none());
    (house, campaign, claimant, lease, rows)
}

async fn counts(house: &House) -> (u64, u64) {
    let people = house.status().await.deliveries;
    assert!(people.balances(), "{people:?}");
    (people.told, people.in_flight)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_with_one_row_amended_is_judged_row_by_row() {
    let (house, campaign, claimant, lease, rows) = claimed().await;
    let store = &house.engine.store;
    let first = Flush {
        intents: rows[..3].iter().map(|row| intent(row, &lease)).collect(),
        begun: BTreeMap::from([("a".to_owned(), 3)]),
        ..Flush::default()
    };
    assert!(store.flush(campaign, &claimant, first).await.unwrap().refused.is_empty());
    assert_eq!(counts(&house).await, (0, 3));

    // All as it should be: outcomes and an intent in one go, and what was sent is found again.
    let whole = Flush {
        ended: vec![accepted(&rows[0], &lease)],
        intents: vec![intent(&rows[3], &lease)],
        breaker: Some(vec![1, 2, 3]),
        ..Flush::default()
    };
    let flushed = store.flush(campaign, &claimant, whole).await.unwrap();
    assert!(flushed.refused.is_empty() && flushed.late.is_empty());
    assert_eq!(counts(&house).await, (1, 3));
    assert_eq!(store.breaker(campaign).await.unwrap(), Some(vec![1, 2, 3]));

    // One intent of three was used before, one says of an amendment that is not there; one outcome of two
    // stands already: the others go through.
    let amended = NewIntent { amendments: 1, ..intent(&rows[4], &lease) };
    let mixed = Flush {
        ended: vec![accepted(&rows[0], &lease), accepted(&rows[1], &lease)],
        intents: vec![intent(&rows[3], &lease), amended, intent(&rows[5], &lease)],
        begun: BTreeMap::from([("a".to_owned(), 3)]),
        ..Flush::default()
    };
    let flushed = store.flush(campaign, &claimant, mixed).await.unwrap();
    assert_eq!(flushed.refused, [key(&rows[3]), key(&rows[4])]);
    assert_eq!(flushed.late, [key(&rows[0])]);
    assert_eq!(counts(&house).await, (2, 3));

    // Another's lease: nothing of it is written but the evidence.
    let other = Lease { epoch: lease.epoch + 1, ..lease.clone() };
    let fenced = Flush {
        ended: vec![accepted(&rows[2], &other)],
        intents: vec![intent(&rows[6], &other)],
        ..Flush::default()
    };
    let flushed = store.flush(campaign, &claimant, fenced).await.unwrap();
    assert_eq!((flushed.refused, flushed.late), (vec![key(&rows[6])], vec![key(&rows[2])]));
    assert_eq!(counts(&house).await, (2, 3));
}
