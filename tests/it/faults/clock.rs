//! The machine's clock is set back, or forward.
//!
//! The shipped binary has no clock override, and neither a time namespace (which moves the monotonic and
//! boot clocks alone) nor anything else of this machine moves the wall clock of one process. So the rules are
//! played in the library on a clock that the test moves; what the binary adds to them, the locks and waits
//! inside a process, is by flock and by the monotonic clock.

use std::sync::Arc;

use forthwith::domain::clock::{Clock as _, ManualClock};
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::engine::tracks::Patience;
use forthwith::store::deliveries::Claimant;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use super::{everybody_is_told, paced, sums_hold};
use crate::harness::link::{furnished, link_file};
use crate::harness::running::{begun, finished, run, until};
use crate::harness::tampering::{query, standing_clock};
use crate::harness::{CAMPAIGN, House, Plan, campaign_file};

fn set(clock: &ManualClock, hours: i64) {
    clock.advance(SignedDuration::from_hours(hours));
}

fn on(clock: &Arc<ManualClock>, campaign: String) -> Plan {
    Plan { clock: Arc::clone(clock) as _, campaign, ..Plan::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_set_back_or_forward_while_running_starts_nothing_twice_and_stops_nothing() {
    for hours in [-1, 1, -25, 25] {
        let clock = standing_clock();
        let house = House::ready(Plan { customers: 120, ..on(&clock, paced(60)) }).await;
        let (running, _) = begun(&house, 20).await;
        set(&clock, hours);
        let report = finished(running).await;
        assert!(report.is_finished, "{hours}: {report:?}");
        everybody_is_told(&house, &house.engine, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_workers_chunk_is_taken_at_once_although_its_lease_ends_an_hour_from_now() {
    let clock = standing_clock();
    let house = House::ready(on(&clock, campaign_file(""))).await;
    let store = &house.engine.store;
    let identity = store.identity().await.unwrap();
    let campaign = house.engine.campaign(CAMPAIGN).await.unwrap().id;
    house
        .engine
        .secure(
            CAMPAIGN,
            forthwith::store::credentials::Pick::Pending,
            &Silent,
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    let now = clock.now();
    let until = now + SignedDuration::from_hours(1);
    let worker = uuid::Uuid::from_bytes([9; 16]).to_string();
    store.start_worker(&worker, identity.incarnation, "boot", "here", now).await.unwrap();
    let claimant = Claimant { worker, incarnation: identity.incarnation, now, until };
    open_first_wave(&house).await;
    let lanes = store.runnable_lanes(campaign, now).await.unwrap();
    let mut leased = 0;
    for lane in lanes {
        leased += store.claim(campaign, &lane.lane, &claimant, 2).await.unwrap().len();
    }
    assert!(leased > 0, "somebody holds chunks until an hour from now");
    // By the clock their lease has two hours to go.
    set(&clock, -1);
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    everybody_is_told(&house, &house.engine, 0).await;
}

/// The wave that a run would open before it claims.
async fn open_first_wave(house: &House) {
    let sql = "UPDATE wave SET opened_at = 1 WHERE number = 1";
    crate::harness::tampering::execute(&house.database(), sql).await;
}

const GREYLISTED: &str = "rcpt:451:to=customer7@*:times=1:text=4.2.0 mailbox busy";

fn retried(after: &str, max_age: &str) -> String {
    campaign_file("")
        .replace("schedule = [\"1s\"]", &format!("schedule = [\"{after}\"]"))
        .replace("max_age = \"1h\"", &format!("max_age = \"{max_age}\""))
}

/// A house with one person deferred, and when they are due.
async fn with_one_deferred(clock: &Arc<ManualClock>, max_age: &str) -> (House, Timestamp) {
    let plan = Plan { faults: vec![GREYLISTED], ..on(clock, retried("1h", max_age)) };
    let house = House::ready(plan).await;
    let soft = CancellationToken::new();
    let running = run(&house.engine, Patience::Ends, &soft);
    until("one is deferred", async || {
        let people = sums_hold(&house.engine).await;
        people.deferred == 1 && people.queued + people.in_flight == 0
    })
    .await;
    soft.cancel();
    finished(running).await;
    let due: Vec<(i64,)> =
        query(&house.database(), "SELECT due_at FROM delivery WHERE class = 'deferred'").await;
    (house, Timestamp::from_microsecond(due[0].0).unwrap())
}

/// A run that is stopped as soon as it has looked at every chunk; how many were told in it.
async fn a_look(house: &House) -> usize {
    let before = house.taken().len();
    let soft = CancellationToken::new();
    let running = run(&house.engine, Patience::Ends, &soft);
    let row = house.engine.campaign(CAMPAIGN).await.unwrap().id;
    // A chunk that has nothing to do now is given back with the instant its first row is due.
    until("the worker has started", async || {
        let workers = "SELECT COUNT(*) FROM worker WHERE stopped_at IS NULL";
        let found: Vec<(i64,)> = query(&house.database(), workers).await;
        found[0].0 > 0 || house.engine.store.control(row).await.is_err()
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    soft.cancel();
    finished(running).await;
    house.taken().len() - before
}

/// Protocol §12: the store's instants are the clock's. A wait that was to end at 14:00 ends when the clock
/// says 14:00, so a clock set back an hour makes it an hour longer: nobody can know which of the two clocks
/// was wrong, a wait too long costs an hour and a try too early a refusal. It concerns those alone who wait
/// for an instant; whoever is queued is tried at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_an_instant_is_tried_when_the_clock_comes_to_it_and_never_given_up_for_the_step()
 {
    let clock = standing_clock();
    let (house, due) = with_one_deferred(&clock, "5d").await;
    set(&clock, -1);
    assert_eq!(a_look(&house).await, 0, "not due by this clock");
    assert_eq!(sums_hold(&house.engine).await.deferred, 1);
    clock.advance(due.duration_since(clock.now()) + SignedDuration::from_mins(5));
    assert!(house.run().await.unwrap().is_finished);
    everybody_is_told(&house, &house.engine, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_far_ahead_tries_once_more_before_it_gives_anybody_up() {
    let clock = standing_clock();
    let (house, _) = with_one_deferred(&clock, "2h").await;
    // Ten times the window in a step: the window is over, the attempt is made all the same.
    set(&clock, 20);
    assert!(house.run().await.unwrap().is_finished);
    let people = sums_hold(&house.engine).await;
    assert_eq!(people.reasons.get("fallback/gave-up"), None, "{people:?}");
    everybody_is_told(&house, &house.engine, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_days_quota_is_not_had_twice_by_a_clock_set_back_over_midnight() {
    let clock = standing_clock();
    // Ten minutes past midnight.
    clock.advance("2026-03-03T00:10:00Z".parse::<Timestamp>().unwrap().duration_since(clock.now()));
    let campaign =
        campaign_file("").replace("per_second = 2000", "per_second = 2000\nper_day = 20");
    let house = House::ready(on(&clock, campaign)).await;
    let spend = async || {
        // The suspension ended early: it is the quota that is looked at.
        let rest = "UPDATE lane SET suspended_at = NULL, suspended_until = NULL";
        crate::harness::tampering::execute(&house.database(), rest).await;
        let soft = CancellationToken::new();
        let running = run(&house.engine, Patience::Ends, &soft);
        let lanes = "SELECT COUNT(*) FROM lane WHERE suspended_until IS NOT NULL";
        until("the day's quota is used up", async || {
            let rests: Vec<(i64,)> = query(&house.database(), lanes).await;
            rests[0].0 > 0 && sums_hold(&house.engine).await.in_flight == 0
        })
        .await;
        soft.cancel();
        finished(running).await;
        house.taken().len()
    };
    assert_eq!(spend().await, 20);
    set(&clock, -1);
    assert_eq!(spend().await, 20, "yesterday's quota is yesterday's");
    set(&clock, 1);
    assert_eq!(spend().await, 20, "and today's is used up");
    clock.advance(SignedDuration::from_hours(24));
    assert_eq!(spend().await, 40);
    sums_hold(&house.engine).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tokens_life_is_never_shortened_by_a_clock_set_back_and_its_bytes_stay() {
    let clock = standing_clock();
    let plan = Plan {
        customers: 20,
        faults: vec!["rcpt:451:times=1:text=4.2.0 mailbox busy"],
        ..on(&clock, link_file("").replace("schedule = [\"1s\"]", "schedule = [\"30m\"]"))
    };
    let house = furnished(plan).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    let soft = CancellationToken::new();
    let running = run(&house.engine, Patience::Ends, &soft);
    until("all are deferred", async || {
        let people = sums_hold(&house.engine).await;
        people.deferred > 0 && people.queued + people.in_flight == 0
    })
    .await;
    soft.cancel();
    finished(running).await;
    let tokens = "SELECT number, salt, expires_at FROM reset_token ORDER BY number";
    let before: Vec<(i64, Vec<u8>, i64)> = query(&house.database(), tokens).await;
    assert!(!before.is_empty());
    // Due again by a clock that is behind the one of the first attempt.
    crate::harness::tampering::execute(&house.database(), "UPDATE delivery SET due_at = 1").await;
    crate::harness::tampering::execute(&house.database(), "UPDATE chunk SET due_at = NULL").await;
    set(&clock, -1);
    assert!(house.run().await.unwrap().is_finished);
    let after: Vec<(i64, Vec<u8>, i64)> = query(&house.database(), tokens).await;
    for (was, is) in before.iter().zip(&after) {
        assert_eq!((was.0, &was.1), (is.0, &is.1), "the same token");
        assert!(is.2 >= was.2, "its life never ends earlier than was promised");
    }
}
