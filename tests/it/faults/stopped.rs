//! A worker that is stopped (SIGSTOP, a suspended machine) and wakes late.

use std::time::Duration;

use forthwith::domain::track::Track;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::{doubtful, everybody_is_told, house, paced, sums_hold};
use crate::harness::process::{Process, write_settings};
use crate::harness::running::until;
use crate::harness::tampering::query;
use crate::harness::{CAMPAIGN, House, Plan};

/// The shortest lease there is, so that a test can outlast one.
const LEASE: Duration = Duration::from_secs(15);

/// A run that was stopped after its first notices, with what the relay had in hand taken.
async fn stopped() -> (House, Process, usize) {
    let plan = Plan {
        customers: 300,
        campaign: paced(60),
        dot_delay: Duration::from_millis(200),
        ..Plan::default()
    };
    let house = house(plan).await;
    write_settings(&house, house.sink.addr().port(), "[worker]\nlease_for = \"15s\"\n");
    let mut run = Process::run(&house);
    run.until("the first are told", async || house.taken().len() >= 30).await;
    stop(&house, &run).await;
    // What stands in the sink's buffers it takes by itself, for longer than any answer takes.
    let mut seen = house.taken().len();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = house.taken().len();
        if now == seen {
            return (house, run, now);
        }
        seen = now;
    }
}

/// Stops it between two commits: a process that is stopped inside of one holds SQLite's lock, and nobody
/// can pause anything until it wakes or is killed.
async fn stop(house: &House, run: &Process) {
    loop {
        run.send("STOP");
        let options = SqliteConnectOptions::new()
            .filename(house.database())
            .busy_timeout(Duration::from_millis(100));
        let mut conn = SqliteConnection::connect_with(&options).await.unwrap();
        if conn.begin_with("BEGIN IMMEDIATE").await.is_ok() {
            return;
        }
        run.send("CONT");
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
}

async fn intents(house: &House) -> i64 {
    let found: Vec<(i64,)> = query(&house.database(), "SELECT COUNT(*) FROM intent").await;
    found[0].0
}

/// A second worker is refused while the first is stopped: a stopped process holds its lock.
async fn a_second_is_refused(house: &House, first: &Process) {
    let second = Process::run(house).ended().await;
    assert_eq!(second.code(), Some(1), "{second:?}");
    let pid = format!("is held by process {}", first.pid());
    assert!(second.said.contains(&pid) && second.said.contains("hint:"), "{}", second.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wakes_after_a_pause_starts_nothing_and_records_what_was_past_its_dot() {
    let (house, run, taken) = stopped().await;
    house.engine.pause(CAMPAIGN, Track::Notice, "test").await.unwrap();
    a_second_is_refused(&house, &run).await;
    tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
    let asleep = sums_hold(&house.engine).await;
    assert!(asleep.in_flight > 0, "some were open when it was stopped: {asleep:?}");
    let intents = intents(&house).await;
    run.send("CONT");
    until("what was open is recorded", async || sums_hold(&house.engine).await.in_flight == 0)
        .await;
    run.send("TERM");
    let ended = run.ended().await;
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let people = sums_hold(&house.engine).await;
    assert_eq!((people.in_flight, people.in_doubt), (0, 0), "{people:?}");
    assert_eq!(self::intents(&house).await, intents, "nothing is begun after it woke");
    // What had begun before it was stopped, and had not come to its dot, ends as it ends.
    let then = house.taken().len();
    assert!(then as u64 <= taken as u64 + asleep.in_flight, "{then} after {taken}: {asleep:?}");
    assert_eq!(people.told, then as u64, "what the relay took is told");
    assert!(people.queued > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wakes_later_than_its_lease_goes_on_and_tells_nobody_twice() {
    let (house, run, _) = stopped().await;
    a_second_is_refused(&house, &run).await;
    tokio::time::sleep(LEASE + Duration::from_secs(1)).await;
    run.send("CONT");
    run.succeeded().await;
    assert!(doubtful(&house.engine).await.is_empty());
    everybody_is_told(&house, &house.engine, 0).await;
}
