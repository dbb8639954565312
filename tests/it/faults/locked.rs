//! Another process holds the lock of the database: a backup, a shell with an open transaction.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _};

use super::{copies, doubtful, everybody_is_told, house, paced, sums_hold};
use crate::harness::process::{Process, write_settings};
use crate::harness::{CAMPAIGN, House, Plan};

/// Takes the lock; it is let go with the connection.
async fn lock(house: &House, how: &str) -> SqliteConnection {
    let options =
        SqliteConnectOptions::new().filename(house.database()).busy_timeout(Duration::from_mins(1));
    let mut conn = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(how.to_owned())).execute(&mut conn).await.unwrap();
    conn
}

async fn begun(house: &House) -> Process {
    let mut run = Process::run(house);
    run.until("the first are told", async || house.taken().len() >= 30).await;
    run
}

/// Waits until the relay gets nothing more; gives back how many it has then.
async fn quiet(house: &House) -> usize {
    let mut last = (house.taken().len(), std::time::Instant::now());
    while last.1.elapsed() < Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let now = house.taken().len();
        if now != last.0 {
            last = (now, std::time::Instant::now());
        }
    }
    last.0
}

fn plan() -> Plan {
    // The answer to the dot takes a while, so that a lock finds open transactions.
    let dot_delay = Duration::from_millis(300);
    Plan { customers: 300, campaign: paced(60), dot_delay, ..Plan::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_of_three_seconds_is_waited_for_and_nobody_is_in_doubt() {
    let house = house(plan()).await;
    let run = begun(&house).await;
    let held = lock(&house, "BEGIN IMMEDIATE").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    drop(held);
    run.succeeded().await;
    everybody_is_told(&house, &house.engine, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_lock_lasts_longer_than_sqlite_waits_nothing_starts_and_no_outcome_is_lost() {
    let house = house(plan()).await;
    let mut run = begun(&house).await;
    let at_lock = house.taken().len();
    let held = lock(&house, "BEGIN EXCLUSIVE").await;
    let quiet = quiet(&house).await;
    // What was intended before goes; more cannot be intended.
    assert!(quiet <= at_lock + 64, "{quiet} after {at_lock}");
    run.until_said("another process has held the lock of").await;
    assert_eq!(house.taken().len(), quiet, "nothing starts while it cannot be recorded");
    let recorded = sums_hold(&house.engine).await;
    assert!(recorded.told < quiet as u64, "what ended meanwhile waits: {recorded:?}");
    drop(held);
    let ended = run.succeeded().await;
    assert!(ended.said.contains("Sending is finished."), "{}", ended.said);
    everybody_is_told(&house, &house.engine, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_for_ever_ends_the_run_with_a_hint_and_the_journal_knows_every_outcome() {
    let house = house(plan()).await;
    let port = house.sink.addr().port();
    write_settings(&house, port, "[worker]\ndatabase_wait = \"5s\"\n");
    let run = begun(&house).await;
    let held = lock(&house, "BEGIN IMMEDIATE").await;
    let ended = run.ended().await;
    assert_eq!(ended.code(), Some(2), "{ended:?}");
    assert!(ended.said.contains("another process holds the lock of `"), "{}", ended.said);
    assert!(ended.said.contains("forthwith.db`\n"), "{}", ended.said);
    assert!(ended.said.contains("hint: `fuser "), "{}", ended.said);
    let left = sums_hold(&house.engine).await;
    assert!(left.in_flight > 0, "outcomes that could not be recorded: {left:?}");
    assert!(copies(&house).len() as u64 > left.told);

    // A start meets the same lock with the same words.
    let again = Process::run(&house).ended().await;
    assert_eq!(again.code(), Some(2), "{again:?}");
    assert!(again.said.contains("another process holds the lock of `"), "{}", again.said);
    drop(held);

    let ended = Process::run(&house).succeeded().await;
    assert!(ended.said.contains("an earlier worker died"), "{}", ended.said);
    assert_eq!(doubtful(&house.engine).await.len(), 0, "the wire journal had every end");
    everybody_is_told(&house, &house.engine, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_who_pauses_while_the_database_is_locked_waits_and_is_heard() {
    let house = house(plan()).await;
    let run = begun(&house).await;
    let held = lock(&house, "BEGIN IMMEDIATE").await;
    let arguments = ["campaign", "pause", CAMPAIGN];
    let pause = Process::on(house.dir.path(), &house.path("xdg-state"), &arguments);
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(held);
    pause.succeeded().await;
    let stopped = quiet(&house).await;
    let people = sums_hold(&house.engine).await;
    assert!(people.queued > 0 && people.told == stopped as u64, "{people:?} {stopped}");
    run.send("TERM");
    run.succeeded().await;
    assert_eq!(house.taken().len(), stopped);
}
