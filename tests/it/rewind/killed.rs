//! Deaths: of the worker in the time that is lost, and of the recovery itself.

use std::time::Duration;
use tokio_util::sync::CancellationToken;

use forthwith::engine::EngineError;
use forthwith::engine::progress::{Progress, Silent};
use forthwith::engine::rewind::{Recover, Sought};

use crate::crash::{log_of, spawn_run, write_settings};
use crate::harness::rewound::{
    back_up, backed_up, copies, put_back, reached, recover, reopened, run_on, slow,
};
use crate::harness::{ANN, CAMPAIGN, House, Plan, binary, person};

use super::of_campaign;

/// The road of an operator with the binary alone: `kill -9` in the gap, restore, recover, resume.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_in_the_gap_leaves_only_its_open_bodies_in_doubt() {
    let house = House::ready(Plan { dot_delay: Duration::from_millis(60), ..slow(600) }).await;
    write_settings(&house);
    let mut run = spawn_run(&house);
    let until = async |number: usize| {
        while house.taken().len() < number {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    until(150).await;
    let backup = house.path("backup.db");
    back_up(&house, &backup).await;
    until(300).await;
    run.kill().unwrap();
    run.wait().unwrap();
    let mut run = spawn_run(&house);
    until(400).await;
    run.kill().unwrap();
    run.wait().unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = house.taken().len();
    put_back(&house, &backup);

    let command = |arguments: &[&str]| {
        let done = binary()
            .arg("--workspace")
            .arg(house.dir.path())
            .args(arguments)
            .env("XDG_STATE_HOME", house.path("xdg-state"))
            .env("FORTHWITH_PASSWORD", format!("the long password of {ANN}"))
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&done.stderr).into_owned();
        (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned(), told)
    };
    let (ran, _, told) = command(&["campaign", "run", CAMPAIGN]);
    assert!(!ran && told.contains("REWOUND") && told.contains("campaign recover"), "{told}");
    assert_eq!(house.taken().len(), before);
    let (looked, shown, told) = command(&["campaign", "recover", "--dry-run", "--json"]);
    assert!(looked && shown.contains("\"is_proved\": true"), "{shown}{told}");
    let (done, shown, told) = command(&["campaign", "recover", "--as", ANN, "--yes"]);
    assert!(done && told.contains("Next:"), "{shown}{told}");
    let (again, _, told) = command(&["campaign", "recover", "--as", ANN, "--yes"]);
    assert!(!again && told.contains("nothing is rewound"), "{told}");

    let engine = reopened(&house).await;
    let people = engine.status(CAMPAIGN).await.unwrap().deliveries;
    assert!(people.balances() && people.told > 150, "{people:?}");
    assert!(people.in_doubt <= 2 * 8, "two kills at eight connections: {people:?}");
    let (resumed, _, told) = command(&["campaign", "resume", CAMPAIGN]);
    assert!(resumed, "{told}");
    let (ran, _, told) = command(&["campaign", "run", CAMPAIGN]);
    assert!(ran, "{told} {}", log_of(&house));
    let second: Vec<_> = copies(&house).into_iter().filter(|(_, copies)| *copies > 1).collect();
    // The first life's doubts were sent again by the second, in the gap, as the policy says.
    assert!(second.len() <= 8, "{second:?}");
    let people = engine.status(CAMPAIGN).await.unwrap().deliveries;
    assert!(people.balances() && people.machine_open() == 0, "{people:?}");
    let held = people.reasons.get("in-doubt/held").copied().unwrap_or(0);
    assert!(people.told <= reached(&house).len() as u64, "{people:?}");
    assert!(people.told + held >= reached(&house).len() as u64, "{people:?}");
}

/// Gives up after so many steps of progress, by never letting the recovery go on.
struct DiesAfter(std::sync::atomic::AtomicU64);

impl Progress for DiesAfter {
    fn begin(&self, _: &str, _: Option<u64>, _: &str) {}

    fn at(&self, _: u64) {
        let left = self.0.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        assert!(left > 1, "the machine is switched off");
    }

    fn note(&self, _: &str) {}

    fn end(&self) {}
}

/// A recovery that dies in the middle: whatever stands in its way, nothing is sent before another ends.
async fn die(house: &House, steps: u64) {
    let engine = reopened(house).await;
    let died = tokio::spawn(async move {
        let signer = engine.signer(person(ANN)).await?;
        let dies = DiesAfter(steps.into());
        engine.recover(&Sought::default(), Recover::Signed(&signer), &dies).await?;
        Ok::<(), EngineError>(())
    });
    assert!(died.await.is_err(), "it was to die");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_that_dies_is_run_again_and_ends_the_same() {
    let house = House::ready(slow(300)).await;
    let backup = backed_up(&house).await;
    house.engine.run(CAMPAIGN, &Silent, &CancellationToken::default()).await.unwrap();
    let taken = house.taken().len() as u64;
    put_back(&house, &backup);
    die(&house, 2).await;
    let engine = reopened(&house).await;
    assert!(engine.rewound().await.unwrap().is_some(), "half a recovery is none");
    let refused =
        engine.run(CAMPAIGN, &Silent, &CancellationToken::default()).await.unwrap_err().to_string();
    assert!(refused.contains("REWOUND"), "{refused}");
    recover(&engine, &[]).await.unwrap();
    let engine = reopened(&house).await;
    let people = engine.status(CAMPAIGN).await.unwrap().deliveries;
    assert!(people.balances(), "{people:?}");
    assert_eq!((people.told, people.machine_open()), (taken, 0), "{people:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_dies_between_two_pages_goes_on() {
    let house = House::ready(slow(2_500)).await;
    let backup = house.path("backup.db");
    back_up(&house, &backup).await;
    let soft = tokio_util::sync::CancellationToken::new();
    let running = crate::harness::running::run(
        &house.engine,
        forthwith::engine::tracks::Patience::Ends,
        &soft,
    );
    crate::harness::running::until("some are told", async || house.taken().len() > 50).await;
    soft.cancel();
    crate::harness::running::finished(running).await;
    let taken = house.taken().len();
    std::fs::remove_dir_all(house.engine.workspace.journals()).unwrap();
    put_back(&house, &backup);
    // no journal is read, so the first step of progress is the first page that is held
    die(&house, 1).await;
    let engine = reopened(&house).await;
    let people = engine.status(CAMPAIGN).await.unwrap().deliveries;
    assert!(people.in_doubt > 0 && people.queued > 0, "it died between two pages: {people:?}");
    assert!(people.balances(), "{people:?}");
    let held = people.in_doubt;
    let report = recover(&engine, &[]).await.unwrap();
    let engine = reopened(&house).await;
    let people = engine.status(CAMPAIGN).await.unwrap().deliveries;
    assert_eq!(people.in_doubt, held + of_campaign(&report).held, "{people:?}");
    assert_eq!(people.machine_open(), 0, "{people:?}");
    run_on(&engine).await;
    assert_eq!(house.taken().len(), taken);
}
