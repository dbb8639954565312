//! The points between two steps: the work is stopped exactly there, and the next start is looked at.
//!
//! | point of a notice | stopped by |
//! |---|---|
//! | before the intent's commit | the database locked, then `kill -9` |
//! | after it, before the `begin` mark | the relay gone (the connection is waited for in between), then `kill -9` |
//! | after `begin`, before MAIL | by hand: two writes follow each other and nothing outside stands between |
//! | after MAIL, RCPT or DATA, before its answer | a relay that is silent there, then `kill -9` |
//! | after 354, before the `dot` mark | by hand, likewise |
//! | after the dot, before the 250 | a relay that is silent, with the message or without, then `kill -9` |
//! | after the 250, before the `end` mark | by hand, likewise |
//! | after `end`, before the outcome's commit | the database locked, then `kill -9` |
//! | after the commit, before the high-water mark | the mark's file locked, then `kill -9` |
//!
//! What is made by hand is what a crash there leaves: the intent, and the marks up to it. The other steps are
//! in `points/kill.rs`, `points/seal.rs` and `points/approve.rs`.

mod approve;
mod kill;
mod marks;
mod seal;

use std::time::Duration;

use forthwith::journal::HighWaterKeeper;

use super::relay::house_at_a_relay;
use super::{copies, doubtful, everybody_is_told, house, paced, sums_hold};
use crate::harness::process::Process;
use crate::harness::running::until;
use crate::harness::tampering::query;
use crate::harness::{House, Plan};

/// Whose transaction is stopped.
const SLOW: &str = "customer30@";

/// One point at the relay.
struct Point {
    what: &'static str,
    fault: &'static str,
    /// What the next start says of it.
    found: &'static str,
    /// Copies that the relay has in the end.
    copies: usize,
}

const BEFORE_THE_DOT: &str = "0 had ended, 1 had not started, 0 are in doubt";
const AFTER_THE_DOT: &str = "0 had ended, 0 had not started, 1 are in doubt";

const AT_THE_RELAY: [Point; 5] = [
    Point {
        what: "after MAIL and RCPT, before the answer to RCPT",
        fault: "rcpt:silent:to=customer30@*:times=1",
        found: BEFORE_THE_DOT,
        copies: 1,
    },
    Point {
        what: "after the answer to RCPT came late",
        fault: "rcpt:slow=10m:to=customer30@*:times=1",
        found: BEFORE_THE_DOT,
        copies: 1,
    },
    Point {
        what: "after DATA, before 354",
        fault: "data:silent:to=customer30@*:times=1",
        found: BEFORE_THE_DOT,
        copies: 1,
    },
    Point {
        what: "after the dot, not taken by the relay",
        fault: "dot:silent:to=customer30@*:times=1",
        found: AFTER_THE_DOT,
        copies: 1,
    },
    Point {
        what: "after the dot, taken by the relay, before its 250",
        fault: "dot:slow=10m:to=customer30@*:times=1",
        found: AFTER_THE_DOT,
        copies: 2,
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_each_point_of_a_transaction_is_not_started_before_the_dot_and_in_doubt_after_it()
{
    for point in AT_THE_RELAY {
        let plan = Plan { customers: 60, campaign: paced(100), ..Plan::default() };
        let house = house(Plan { faults: vec![point.fault], ..plan }).await;
        let mut run = Process::run(&house);
        run.until(point.what, async || {
            let people = sums_hold(&house.engine).await;
            people.in_flight == 1 && people.queued + people.deferred == 0
        })
        .await;
        run.kill();
        let again = Process::run(&house).succeeded().await;
        assert!(again.said.contains(point.found), "{}: {}", point.what, again.said);
        let copies = copies(&house);
        let (_, ids) = copies.iter().find(|(to, _)| to.starts_with(SLOW)).unwrap();
        assert_eq!(ids.len(), point.copies, "{}: {ids:?}", point.what);
        let doubts = usize::from(point.found == AFTER_THE_DOT);
        assert_eq!(doubtful(&house.engine).await.len(), doubts, "{}", point.what);
        everybody_is_told(&house, &house.engine, doubts).await;
    }
}

/// How many the relay has once it gets nothing more.
async fn quiet(house: &House) -> usize {
    let mut seen = house.taken().len();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = house.taken().len();
        if now == seen {
            return now;
        }
        seen = now;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_before_an_intents_commit_and_between_end_mark_and_outcome_leaves_nobody_in_doubt() {
    use sqlx::Connection as _;
    // so that some are open whenever the lock is taken
    let dot_delay = Duration::from_millis(300);
    let plan = Plan { customers: 240, campaign: paced(60), dot_delay, ..Plan::default() };
    let house = house(plan).await;
    let mut run = Process::run(&house);
    run.until("the first are told", async || house.taken().len() >= 30).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(house.database())
        .busy_timeout(Duration::from_secs(30));
    let mut held = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut held).await.unwrap();
    let taken = quiet(&house).await;
    let people = sums_hold(&house.engine).await;
    assert!(people.told < taken as u64, "ended, and not recorded: {people:?}");
    assert!(people.queued > 0, "waiting for their intent: {people:?}");
    run.kill();
    held.close().await.unwrap();
    let again = Process::run(&house).succeeded().await;
    assert!(again.said.contains("0 are in doubt"), "{}", again.said);
    assert!(!again.said.contains(" 0 had ended"), "the marks of their ends: {}", again.said);
    everybody_is_told(&house, &house.engine, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_intent_and_begin_mark_is_not_started_and_nobody_hears_twice() {
    let (house, relay, port) = house_at_a_relay().await;
    let mut run = Process::run(&house);
    run.until("the first are told", async || house.taken().len() >= 30).await;
    relay.kill();
    run.until_said("no connection to the relay").await;
    run.until("intents wait for a connection", async || {
        sums_hold(&house.engine).await.in_flight > 0
    })
    .await;
    // What the relay's death broke is recorded by now or soon; what has no begin mark is what stays open.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let open = sums_hold(&house.engine).await.in_flight;
    assert!(open > 0);
    run.kill();
    let (second, _) = super::relay::relay(&house.maildir, port).await;
    let again = Process::run(&house).succeeded().await;
    let found = format!("0 had ended, {open} had not started, 0 are in doubt");
    assert!(again.said.contains(&found), "{}", again.said);
    everybody_is_told(&house, &house.engine, 8).await;
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_a_commit_and_its_high_water_mark_is_no_rewind_and_goes_on() {
    let house = house(Plan { customers: 240, campaign: paced(60), ..Plan::default() }).await;
    let mut run = Process::run(&house);
    run.until("the first are told", async || house.taken().len() >= 30).await;
    let mark = house.engine.workspace.high_water();
    let file = std::fs::File::open(&mark).unwrap();
    file.lock().unwrap();
    quiet(&house).await;
    run.kill();
    file.unlock().unwrap();
    let newest = "SELECT MAX(id) FROM ledger_batch";
    let newest: Vec<(i64,)> = query(&house.database(), newest).await;
    let known = HighWaterKeeper::open([mark]).unwrap().read().unwrap().unwrap();
    assert!(known.batch_id < newest[0].0, "committed, and the mark was not moved");
    let again = Process::run(&house).succeeded().await;
    assert!(again.said.contains("Sending is finished."), "{}", again.said);
    everybody_is_told(&house, &house.engine, 8).await;
    until("the mark has caught up", async || {
        let newest: Vec<(i64,)> =
            query(&house.database(), "SELECT MAX(id) FROM ledger_batch").await;
        let mark = house.engine.workspace.high_water();
        let known = HighWaterKeeper::open([mark]).unwrap().read().unwrap().unwrap();
        known.batch_id == newest[0].0
    })
    .await;
}
