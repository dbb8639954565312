//! A first wave that is not over when the second is sealed of whom it had not told: nobody is told by both.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use forthwith::domain::amendment::Change;
use forthwith::domain::track::{NoticeState, Track};
use forthwith::engine::EngineError;
use forthwith::engine::progress::Silent;
use forthwith::engine::resolve::Verdict;
use forthwith::engine::tracks::RunReport;
use forthwith::journal::WorkerLock;
use tokio_util::sync::CancellationToken;

use crate::harness::audience::csv_audience;
use crate::harness::tampering::{Notes, execute, query};
use crate::harness::{ANN, CAMPAIGN, House, Plan, person, write};

const SECOND: &str = "second";
const MINUS_TOLD: &str = "minus = [{ campaign = \"thaw\", classes = [\"told\"] }]";
const REFUSED: &str = "`thaw` has still to tell";

/// A first campaign of so many people, sealed and approved.
async fn first(count: u32, faults: Vec<&'static str>) -> House {
    let house = House::furnished(Plan { customers: 1, faults, ..Plan::default() }).await;
    let mut rows = String::from("customer_id,name,email\n");
    for place in 0..count {
        writeln!(rows, "P{place},Ana Almeida,p{place}@mail.example").unwrap();
    }
    write(&house.path("affected.csv"), &rows);
    house.write_campaign(CAMPAIGN, &csv_audience(""));
    house.seal().await;
    house.approve_notice(CAMPAIGN).await;
    house
}

async fn run(house: &House, name: &str) -> Result<RunReport, EngineError> {
    house.engine.run(name, &Silent, &CancellationToken::new()).await
}

async fn cancel(house: &House, name: &str) {
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    house.engine.cancel(name, "the other one tells them", &signer, &Silent).await.unwrap();
}

/// Mails taken, by recipient.
fn told(house: &House) -> BTreeMap<String, u32> {
    let mut told = BTreeMap::new();
    for (_, to, _) in house.taken() {
        *told.entry(to).or_default() += 1;
    }
    told
}

fn each_told_once(house: &House, people: usize) {
    let told = told(house);
    assert_eq!(told.len(), people);
    assert!(told.values().all(|mails| *mails == 1), "somebody was told twice: {told:?}");
}

async fn state(house: &House) -> NoticeState {
    house.engine.campaign(CAMPAIGN).await.unwrap().control.notice
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_wave_does_not_go_on_to_people_of_the_second_until_that_lets_them_go() {
    let house = first(60, Vec::new()).await;
    house.engine.pause(CAMPAIGN, Track::Notice, ANN).await.unwrap();
    house.write_campaign(SECOND, &csv_audience(MINUS_TOLD));
    let lock = house.engine.workspace.worker_lock();
    let (was_held, seen, of) = (Arc::new(AtomicBool::new(false)), lock.clone(), std::process::id());
    let noted = Arc::clone(&was_held);
    let freezing = Notes::with(move |stage, _| {
        if stage == "Freezing" {
            noted.store(WorkerLock::holder(&seen) == Some(of), Ordering::Relaxed);
        }
    });
    assert_eq!(house.engine.seal(SECOND, &freezing).await.unwrap().row.totals.sealed, 60);
    assert!(was_held.load(Ordering::Relaxed), "nobody sends between the reading and the seal");
    assert_eq!(WorkerLock::holder(&lock), None, "and then the lock is free");
    let said = freezing.said();
    assert!(said.contains("`thaw` is paused with 60 not told yet; once this is sealed"), "{said}");

    let refused = house.engine.resume(CAMPAIGN, Track::Notice, ANN).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "`thaw` has still to tell 60 people who are also in `second`, which was sealed of it (minus thaw \
         (told)) and has told 0 of them: they would be told twice; hint: `forthwith campaign cancel thaw \
         --reason TEXT --operator NAME` leaves them to `second`, or `forthwith campaign cancel second \
         --reason TEXT --operator NAME` lets `thaw` go on"
    );
    assert_eq!(state(&house).await, NoticeState::Paused);
    // whatever state the track is in, nothing is sent: an older program may have resumed it
    execute(&house.database(), "UPDATE campaign SET notice_state = 'running' WHERE name = 'thaw'")
        .await;
    assert!(house.run_refused().await.starts_with(REFUSED));

    cancel(&house, SECOND).await;
    assert!(run(&house, CAMPAIGN).await.unwrap().is_finished);
    each_told_once(&house, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_taken_out_of_a_first_waves_queue_are_the_second_waves_and_containment_goes_on() {
    let house = House::ready(Plan::default()).await;
    house.write_campaign(
        SECOND,
        "[audience.campaign]\nname = \"thaw\"\nclasses = [\"queued\", \"deferred\"]",
    );
    let sealed = house.seal_of(SECOND).await.unwrap().totals.sealed;
    house.approve_notice(SECOND).await;
    let refused = house.run_refused().await;
    assert!(refused.starts_with(REFUSED), "{refused}");
    assert!(refused.contains("(from thaw (queued, deferred))"), "{refused}");
    let status = house.status().await;
    assert_eq!(status.credentials["password/pending"], 0, "the kill waits for no other campaign");
    assert!(run(&house, SECOND).await.unwrap().is_finished);
    each_told_once(&house, usize::try_from(sealed).unwrap());

    // told by the second now: letting that one go would not untell them
    let refused = house.run_refused().await;
    assert!(refused.contains(&format!("and has told {sealed} of them")), "{refused}");
    assert!(!refused.contains("campaign cancel second") && refused.contains("hint:"), "{refused}");
    cancel(&house, SECOND).await;
    assert!(house.run_refused().await.starts_with(REFUSED), "they are told all the same");
    let queued = house.status().await.deliveries.queued;
    assert_eq!(queued, sealed);
    let rows: Vec<(i64,)> = query(
        &house.database(),
        "SELECT r.number FROM recipient AS r JOIN campaign AS c ON c.seal_id = r.seal_id
         WHERE c.name = 'thaw' AND r.copy_of IS NULL",
    )
    .await;
    let numbers: Vec<u64> = rows.into_iter().map(|row| u64::try_from(row.0).unwrap()).collect();
    house.amend(&numbers, Change::Withdraw).await;
    assert!(run(&house, CAMPAIGN).await.unwrap().is_finished, "withdrawn, they are nobody's queue");
    each_told_once(&house, usize::try_from(sealed).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_wave_of_none_whom_the_first_still_tells_stops_nobody() {
    let house = first(30, vec!["rcpt:550:to=p1@*", "rcpt:450:to=p2@*"]).await;
    let (engine, soft) = (house.engine.clone(), CancellationToken::new());
    let stop = soft.clone();
    let first = tokio::spawn(async move { engine.run(CAMPAIGN, &Silent, &stop).await });
    while house.status().await.deliveries.told < 28 {
        assert!(!first.is_finished(), "it ended early");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    soft.cancel();
    first.await.unwrap().unwrap();
    house.engine.pause(CAMPAIGN, Track::Notice, ANN).await.unwrap();
    let minus = "minus = [{ campaign = \"thaw\", classes = [\"told\", \"deferred\", \"queued\"] }]";
    house.write_campaign(SECOND, &csv_audience(minus));
    assert_eq!(house.seal_of(SECOND).await.unwrap().totals.sealed, 1, "whom it bounced");
    house.engine.resume(CAMPAIGN, Track::Notice, ANN).await.unwrap();

    // the one who bounced is the second's now, and no worker of the first may find them queued
    let address = "new@mail.example".parse().unwrap();
    let why = house.not_amended("P1", Change::ReplaceAddress(address)).await;
    assert!(why.contains("is also in `second`, which was sealed of it (minus thaw"), "{why}");
    assert!(why.contains("hint:"), "{why}");
    cancel(&house, SECOND).await;
    let address = "new@mail.example".parse().unwrap();
    house.amended("P1", Change::ReplaceAddress(address)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubt_that_the_second_wave_took_is_not_sent_again_by_the_first() {
    let house = first(20, vec!["drop-after-dot:to=p3@*"]).await;
    run(&house, CAMPAIGN).await.unwrap();
    let doubts = house.engine.doubts(CAMPAIGN).await.unwrap();
    assert_eq!(doubts.len(), 1);
    house.write_campaign(SECOND, &csv_audience(MINUS_TOLD));
    assert_eq!(house.seal_of(SECOND).await.unwrap().totals.sealed, 1);
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let resolve = |verdict| house.engine.resolve(CAMPAIGN, &doubts, verdict, "relay log", &signer);
    let refused = resolve(Verdict::NotSent).await.unwrap_err().to_string();
    assert!(refused.contains("is also in `second`") && refused.contains("hint:"), "{refused}");
    assert_eq!(resolve(Verdict::Waive).await.unwrap().moved, 1, "letting go is free");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_to_those_told_leaves_the_first_wave_free_to_tell_the_others() {
    let house = first(20, Vec::new()).await;
    execute(
        &house.database(),
        "INSERT INTO delivery (campaign_id, number, class, reason, changed_at)
         SELECT c.id, r.number, 'told', 'accepted', 0
         FROM campaign AS c JOIN recipient AS r ON r.seal_id = c.seal_id ORDER BY r.number LIMIT 5;
         UPDATE chunk SET queued = 15, told = 5, reasons = '{\"told/accepted\": 5}'",
    )
    .await;
    house.write_campaign(
        SECOND,
        "[audience.campaign]\nname = \"thaw\"\nclasses = [\"told\", \"in-doubt\"]",
    );
    assert_eq!(house.seal_of(SECOND).await.unwrap().totals.sealed, 5);
    assert!(run(&house, CAMPAIGN).await.unwrap().is_finished);
    each_told_once(&house, 15);
}
