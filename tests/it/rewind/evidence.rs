//! Journals that are missing or damaged prove nothing about what they may have held.

use forthwith::engine::tracks::Patience;
use tokio_util::sync::CancellationToken;

use crate::harness::rewound::{back_up, backed_up, put_back, recover, reopened, run_on, slow};
use crate::harness::running::{finished, run, until};
use crate::harness::{CAMPAIGN, House};

use super::of_campaign;

/// The folders of all workers.
fn folders(house: &House) -> Vec<std::path::PathBuf> {
    let root = house.engine.workspace.journals();
    std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_journal_of_two_missing_holds_the_whole_difference_until_it_is_found() {
    let house = House::ready(slow(300)).await;
    let backup = backed_up(&house).await;
    let first = folders(&house);
    house
        .engine
        .run(CAMPAIGN, &forthwith::engine::progress::Silent, &CancellationToken::default())
        .await
        .unwrap();
    let taken = house.taken().len() as u64;
    let second = folders(&house).into_iter().find(|path| !first.contains(path)).unwrap();
    let elsewhere = house.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let moved = elsewhere.join(second.file_name().unwrap());
    std::fs::rename(&second, &moved).unwrap();
    put_back(&house, &backup);
    let engine = reopened(&house).await;
    let report = recover(&engine, &[]).await.unwrap();
    assert!(!report.is_proved, "{report:?}");
    assert_eq!(report.missing_lives, [2]);
    let line = of_campaign(&report);
    assert!(line.attempts["accepted"] > 0 && line.held > 0, "{line:?}");
    let engine = reopened(&house).await;
    let people = engine.status(CAMPAIGN).await.unwrap().deliveries;
    assert!(people.balances(), "{people:?}");
    assert_eq!(people.told + people.in_doubt, taken, "{people:?}");
    assert_eq!(people.machine_open(), 0, "{people:?}");

    // The disk is found after all.
    let report = recover(&engine, &[elsewhere]).await.unwrap();
    assert_eq!(report.cause.as_str(), "");
    let found = of_campaign(&report);
    // Of whoever had an attempt before that no journal knows, the real one has another number.
    let told_anew = found.attempts.get("accepted").copied().unwrap_or(0);
    assert_eq!(found.settled + told_anew, line.held, "{report:?}");
    let people = engine.status(CAMPAIGN).await.unwrap().deliveries;
    assert_eq!((people.told, people.in_doubt), (taken, 0), "{people:?}");
    run_on(&engine).await;
    assert_eq!(house.taken().len() as u64, taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_journal_tells_what_it_can_and_the_rest_is_held() {
    let house = House::ready(slow(300)).await;
    let backup = backed_up(&house).await;
    let taken = house.taken().len() as u64;
    let segment = folders(&house)[0].join("00000001.fwj");
    let bytes = std::fs::read(&segment).unwrap();
    let mut rotten = bytes;
    let middle = rotten.len() / 2;
    rotten[middle] ^= 0xFF;
    std::fs::write(&segment, rotten).unwrap();
    put_back(&house, &backup);
    let engine = reopened(&house).await;
    let report = recover(&engine, &[]).await.unwrap();
    assert!(!report.is_proved && report.broken.len() == 1, "{report:?}");
    let engine = reopened(&house).await;
    let people = engine.status(CAMPAIGN).await.unwrap().deliveries;
    assert!(people.told < taken && people.machine_open() == 0, "{people:?}");
    assert!(people.told + people.in_doubt >= taken, "{people:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_restored_with_the_database_is_an_older_copy_and_not_the_whole() {
    let house = House::ready(slow(300)).await;
    let soft = tokio_util::sync::CancellationToken::new();
    let running = run(&house.engine, Patience::Ends, &soft);
    until("three tenths", async || house.taken().len() >= 90).await;
    let backup = house.path("backup.db");
    back_up(&house, &backup).await;
    let folder = folders(&house).remove(0);
    let segment = folder.join("00000001.fwj");
    let early = std::fs::read(&segment).unwrap();
    until("seven tenths", async || house.taken().len() >= 200).await;
    soft.cancel();
    finished(running).await;
    let taken = house.taken().len();
    std::fs::write(&segment, early).unwrap();
    put_back(&house, &backup);
    let engine = reopened(&house).await;
    let report = recover(&engine, &[]).await.unwrap();
    assert!(!report.is_proved && report.broken.len() == 1, "{report:?}");
    let engine = reopened(&house).await;
    run_on(&engine).await;
    assert_eq!(house.taken().len(), taken, "nobody is sent anything");
}
