//! A campaign that runs beside its test.

use std::time::Duration;

use forthwith::engine::progress::Silent;
use forthwith::engine::tracks::{Patience, RunReport};
use forthwith::engine::{Engine, EngineError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{CAMPAIGN, House};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_mins(1);

pub type Running = JoinHandle<Result<RunReport, EngineError>>;

/// A run that `soft` stops.
pub fn run(engine: &Engine, patience: Patience, soft: &CancellationToken) -> Running {
    let (engine, soft) = (engine.clone(), soft.clone());
    tokio::spawn(async move { engine.run_with(CAMPAIGN, patience, &Silent, &soft).await })
}

/// A run that has sent its first notices.
pub async fn begun(house: &House, sent: usize) -> (Running, CancellationToken) {
    let soft = CancellationToken::new();
    let running = run(&house.engine, Patience::Ends, &soft);
    until("the first are told", async || house.taken().len() >= sent).await;
    (running, soft)
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "it never came to this: {what}");
}

/// Waits for the end of a run.
pub async fn finished(run: Running) -> RunReport {
    tokio::time::timeout(PATIENCE, run).await.expect("the run never ends").unwrap().unwrap()
}
