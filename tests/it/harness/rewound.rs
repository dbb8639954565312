//! A house whose campaign ran on after its backup: the backup at three tenths, the run stopped or killed at
//! seven, then the backup put back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use forthwith::domain::clock::SystemClock;
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::engine::rewind::{Recover, RecoverReport, Sought};
use forthwith::engine::tracks::Patience;
use forthwith::engine::{Engine, EngineError};
use forthwith::journal::HighWaterKeeper;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};
use tokio_util::sync::CancellationToken;

use super::running::{finished, run, until};
use super::{ANN, CAMPAIGN, House, Plan, campaign_file, engine, person};

/// A plan that takes a few seconds to tell everybody.
pub fn slow(customers: u32) -> Plan {
    let campaign = campaign_file("").replace("per_second = 2000", "per_second = 150");
    Plan { customers, campaign, ..Plan::default() }
}

/// A consistent copy of the database, as `VACUUM INTO` makes it beside a worker.
pub async fn back_up(house: &House, to: &Path) {
    let file = SqliteConnectOptions::new().filename(house.engine.workspace.database());
    let mut conn = SqliteConnection::connect_with(&file).await.unwrap();
    let sql = format!("VACUUM INTO '{}'", to.display());
    sqlx::query(AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

/// Puts a copy of the database back, without what the log of the newer one holds.
pub fn put_back(house: &House, backup: &Path) {
    let database = house.engine.workspace.database();
    for ending in ["", "-wal", "-shm"] {
        let file = PathBuf::from(format!("{}{ending}", database.display()));
        std::fs::remove_file(file).ok();
    }
    std::fs::copy(backup, database).unwrap();
}

/// Backed up at three tenths and stopped in good order at seven. The engine still has the newer database.
pub async fn backed_up(house: &House) -> PathBuf {
    let backup = house.path("backup.db");
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    let people = usize::try_from(status.deliveries.queued).unwrap();
    let soft = CancellationToken::new();
    let running = run(&house.engine, Patience::Ends, &soft);
    until("three tenths", async || house.taken().len() >= people * 3 / 10).await;
    back_up(house, &backup).await;
    until("seven tenths", async || house.taken().len() >= people * 7 / 10).await;
    soft.cancel();
    finished(running).await;
    assert!(house.taken().len() < people, "it was stopped in the middle");
    backup
}

/// Opens the house's workspace anew, as the next command does.
pub async fn reopened(house: &House) -> Engine {
    let port = house.sink.addr().port();
    engine(&house.engine.workspace, port, Arc::new(SystemClock), false).await
}

/// Recovers with these further folders of journals.
pub async fn recover(engine: &Engine, journals: &[PathBuf]) -> Result<RecoverReport, EngineError> {
    let signer = engine.signer(person(ANN)).await?;
    let sought = Sought { journals: journals.to_vec(), note: Some("of last night".into()) };
    engine.recover(&sought, Recover::Signed(&signer), &Silent).await
}

/// Lets both tracks go on and runs to the end.
pub async fn run_on(engine: &Engine) {
    let control = engine.campaign(CAMPAIGN).await.unwrap().control;
    if control.containment == forthwith::domain::track::ContainmentState::Paused {
        engine.resume(CAMPAIGN, Track::Containment, "test").await.unwrap();
    }
    engine.resume(CAMPAIGN, Track::Notice, "test").await.unwrap();
    engine.run(CAMPAIGN, &Silent, &CancellationToken::new()).await.unwrap();
}

/// How many copies each address took.
pub fn copies(house: &House) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for (_, to, _) in house.taken() {
        *copies.entry(to).or_default() += 1;
    }
    copies
}

/// The addresses that took a notice.
pub fn reached(house: &House) -> BTreeSet<String> {
    copies(house).into_keys().collect()
}

/// A mark with a copy in the workspace and one of this host, as another machine sees it.
pub fn on_machine(house: &House, host_copy: &Path, machine: [u8; 16]) -> Arc<HighWaterKeeper> {
    let copies = [house.engine.workspace.high_water(), host_copy.to_owned()];
    Arc::new(HighWaterKeeper::open(copies).unwrap().seen_from(machine))
}
