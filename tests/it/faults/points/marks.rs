//! The points that nothing outside can stop at, as a crash there leaves them: an intent, and the marks of its
//! dead worker up to the point.

use std::sync::Arc;

use forthwith::domain::clock::{Clock as _, ManualClock};
use forthwith::domain::delivery::{AttemptKey, AttemptResult, DeliveryClass, Outcome};
use forthwith::engine::notify::outcome::encode;
use forthwith::engine::notify::recover::Recovery;
use forthwith::engine::progress::Silent;
use forthwith::journal::{
    DEFAULT_SEGMENT_SIZE, Journal, Mark, MarkKey, Origin, OutcomeBytes, boot_id,
};
use forthwith::store::credentials::Pick;
use forthwith::store::deliveries::{Claimant, Flush, NewIntent};
use jiff::SignedDuration;

use super::super::{copies, everybody_is_told, sums_hold};
use crate::harness::tampering::{execute, standing_clock};
use crate::harness::{CAMPAIGN, House, Plan};

/// The last mark that was made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Last {
    Nothing,
    Begin,
    Dot,
    End,
}

/// One point: what it is, the last mark, what the next start makes of it, copies that are sent in the end.
type Point = (&'static str, Last, Recovery, usize);

fn found(ended: u64, not_started: u64, in_doubt: u64) -> Recovery {
    Recovery { chunks: 1, ended, not_started, in_doubt }
}

/// Leaves what a worker leaves that dies with one attempt open.
async fn die_at(house: &House, clock: &ManualClock, last: Last) -> u64 {
    let store = &house.engine.store;
    let identity = store.identity().await.unwrap();
    let campaign = house.engine.campaign(CAMPAIGN).await.unwrap().id;
    let id = uuid::Uuid::from_bytes([7; 16]);
    let (name, now, boot) = (id.to_string(), clock.now(), boot_id().unwrap());
    let until = now + SignedDuration::from_mins(1);
    let claimant = Claimant { worker: name.clone(), incarnation: identity.incarnation, now, until };
    execute(&house.database(), "UPDATE wave SET opened_at = 1 WHERE number = 1").await;
    store.start_worker(&name, identity.incarnation, boot.as_str(), "here", now).await.unwrap();
    let lane = store.runnable_lanes(campaign, now).await.unwrap().remove(0).lane;
    let lease = store.claim(campaign, &lane, &claimant, 1).await.unwrap().remove(0);
    let row = store.load(campaign, &lease).await.unwrap().remove(0);
    let origin = Origin {
        database_id: *identity.database_id.as_bytes(),
        incarnation: identity.incarnation,
        worker_id: *id.as_bytes(),
    };
    let journals = house.engine.workspace.journals();
    let journal = Journal::create(&journals, origin, boot, DEFAULT_SEGMENT_SIZE).unwrap();
    let key =
        AttemptKey { number: row.number, generation: row.state.generation, n: row.last_n + 1 };
    // The very bytes of the next attempt, so that one in doubt can be sent again alike.
    let content = content_of(house, &row, now).await;
    let intent = NewIntent {
        key,
        dated_at: now,
        content,
        from: DeliveryClass::Queued,
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
    if last >= Last::Begin {
        let begin = Mark::Begin { key: mark, dated_at: now.as_microsecond(), content };
        journal.mark(&begin).unwrap();
    }
    if last >= Last::Dot {
        journal.mark(&Mark::Dot { key: mark }).unwrap();
    }
    if last >= Last::End {
        let heard =
            Outcome { code: Some(250), ..Outcome::bare(AttemptResult::Accepted, "dot", now) };
        let outcome = OutcomeBytes::new(encode(&heard)).unwrap();
        journal.mark(&Mark::End { key: mark, outcome }).unwrap();
    }
    row.number
}

async fn content_of(
    house: &House,
    row: &forthwith::store::deliveries::LoadedRow,
    now: jiff::Timestamp,
) -> [u8; 32] {
    use forthwith::domain::track::Track;
    use forthwith::engine::notice::NoticeWriter;
    let (campaign, people) = house.engine.people(CAMPAIGN).await.unwrap();
    let approved = house.engine.approved(&campaign, &people, Track::Notice).await.unwrap();
    let writer = NoticeWriter::new(&house.engine, &people, &approved.parts).unwrap();
    let recipient = people.open(row.number, &row.body).unwrap();
    writer.message(row, &recipient, now, now).unwrap().0.content
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_two_marks_is_settled_by_the_last_one_and_nobody_is_lost() {
    let points: [Point; 5] = [
        ("after the intent, before `begin`", Last::Nothing, found(0, 1, 0), 1),
        ("after `begin`, before MAIL", Last::Begin, found(0, 1, 0), 1),
        ("after 354, before `dot`", Last::Begin, found(0, 1, 0), 1),
        ("after the 250, before `end`", Last::Dot, found(0, 0, 1), 1),
        ("after `end`, before the outcome", Last::End, found(1, 0, 0), 0),
    ];
    for (what, last, expected, sent) in points {
        let clock = standing_clock();
        let plan = Plan { clock: Arc::<ManualClock>::clone(&clock), ..Plan::default() };
        let house = House::ready(plan).await;
        house.secure(Pick::Pending, &Silent).await.unwrap();
        let number = die_at(&house, &clock, last).await;
        let people = sums_hold(&house.engine).await;
        assert_eq!(people.in_flight, 1, "{what}: {people:?}");
        let recovery = house.engine.rescue_all().await.unwrap();
        assert_eq!(recovery, expected, "{what}");
        assert!(house.run().await.unwrap().is_finished, "{what}");
        let (_, people) = house.engine.people(CAMPAIGN).await.unwrap();
        let story = house.engine.story(CAMPAIGN, number).await.unwrap();
        assert_eq!(story.delivery.class, "told", "{what}");
        let campaign = people.campaign;
        let row = house.engine.store.load_row(campaign, number).await.unwrap().unwrap();
        let person = people.open(number, &row.body).unwrap();
        let address = person.address.unwrap();
        let got = copies(&house).get(address.as_str()).map_or(0, Vec::len);
        assert_eq!(got, sent, "{what}");
        if sent > 0 {
            everybody_is_told(&house, &house.engine, 1).await;
        }
    }
}
