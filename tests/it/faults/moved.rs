//! The workspace's folder is moved, or copied.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forthwith::domain::clock::SystemClock;
use forthwith::engine::{Engine, Workspace};

use super::{doubtful, everybody_is_told, house, paced, sums_hold};
use crate::harness::process::{Ended, Process};
use crate::harness::tiny_disk::copy;
use crate::harness::{CAMPAIGN, Ground, House, Plan, engine};

const RUN: [&str; 3] = ["campaign", "run", CAMPAIGN];

/// A house that can be moved: its mail and the host's own folder lie outside of it.
struct Movable {
    house: House,
    outside: tempfile::TempDir,
}

impl Movable {
    async fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        let ground =
            Ground { under: outside.path().to_owned(), maildir: outside.path().join("mails") };
        let plan = Plan {
            customers: 240,
            campaign: paced(60),
            ground: Some(ground),
            dot_delay: std::time::Duration::from_millis(100),
            ..Plan::default()
        };
        Self { house: house(plan).await, outside }
    }

    fn at(&self) -> &Path {
        self.house.dir.path()
    }

    fn elsewhere(&self) -> PathBuf {
        self.outside.path().join("elsewhere")
    }

    fn run_at(&self, folder: &Path) -> Process {
        Process::on(folder, &self.outside.path().join("xdg"), &RUN)
    }

    /// A run that is killed after its first notices.
    async fn killed(&self) {
        let mut run = self.run_at(self.at());
        run.until("the first are told", async || self.house.taken().len() >= 30).await;
        run.kill();
    }

    /// The same with a stop that leaves nothing open.
    async fn stopped_at(&self, folder: &Path, more: usize) {
        let enough = self.house.taken().len() + more;
        let mut run = self.run_at(folder);
        run.until("some are told", async || self.house.taken().len() >= enough).await;
        run.send("TERM");
        run.succeeded().await;
    }

    async fn engine_at(&self, folder: &Path) -> Engine {
        let port = self.house.sink.addr().port();
        engine(&Workspace::at(folder), port, Arc::new(SystemClock), false).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_moved_after_a_crash_is_settled_from_its_journal_and_goes_on() {
    let movable = Movable::new().await;
    movable.killed().await;
    let open = sums_hold(&movable.house.engine).await;
    assert!(open.in_flight > 0, "the kill hit open transactions: {open:?}");
    std::fs::rename(movable.at(), movable.elsewhere()).unwrap();
    let ended = movable.run_at(&movable.elsewhere()).succeeded().await;
    assert!(ended.said.contains("an earlier worker died"), "{}", ended.said);
    let engine = movable.engine_at(&movable.elsewhere()).await;
    everybody_is_told(&movable.house, &engine, 8).await;
    assert!(!movable.at().exists(), "nothing is made anew where it was");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_moved_under_a_running_worker_has_no_second_one_and_loses_nobody() {
    let movable = Movable::new().await;
    let mut run = movable.run_at(movable.at());
    run.until("the first are told", async || movable.house.taken().len() >= 30).await;
    std::fs::rename(movable.at(), movable.elsewhere()).unwrap();
    let second = movable.run_at(&movable.elsewhere()).ended().await;
    assert_eq!(second.code(), Some(1), "{second:?}");
    let held = format!("is held by process {}", run.pid());
    assert!(second.said.contains(&held), "{}", second.said);

    let ended = run.ended().await;
    // Its files are open, wherever they lie; what it has to open anew ends it.
    let is_told = ended.code() == Some(0) || ended.said.contains("error: ");
    assert!(is_told && ended.code().is_some(), "{ended:?}");
    assert!(!movable.at().exists(), "nothing is made anew where it was: {}", ended.said);
    movable.run_at(&movable.elsewhere()).succeeded().await;
    let engine = movable.engine_at(&movable.elsewhere()).await;
    everybody_is_told(&movable.house, &engine, 8).await;
}

fn is_refused_as_rewound(ended: &Ended) {
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(
        ended.said.contains("the database is not the one this workspace saw last"),
        "{ended:?}"
    );
    assert!(ended.said.contains("\nhint: "), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_workspace_sends_nothing_once_the_original_went_on() {
    let movable = Movable::new().await;
    movable.stopped_at(movable.at(), 20).await;
    copy(movable.at(), &movable.elsewhere());
    movable.stopped_at(movable.at(), 20).await;
    let taken = movable.house.taken().len();
    is_refused_as_rewound(&movable.run_at(&movable.elsewhere()).ended().await);
    assert_eq!(movable.house.taken().len(), taken, "the copy sends nothing");
    movable.run_at(movable.at()).succeeded().await;
    everybody_is_told(&movable.house, &movable.house.engine, 0).await;
}

/// Whichever goes on first is the database from then on: to move a workspace and to copy it and throw the
/// original away look alike.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_original_sends_nothing_once_its_copy_went_on() {
    let movable = Movable::new().await;
    movable.stopped_at(movable.at(), 20).await;
    copy(movable.at(), &movable.elsewhere());
    movable.stopped_at(&movable.elsewhere(), 20).await;
    let taken = movable.house.taken().len();
    is_refused_as_rewound(&movable.run_at(movable.at()).ended().await);
    assert_eq!(movable.house.taken().len(), taken, "the original sends nothing");
    movable.run_at(&movable.elsewhere()).succeeded().await;
    let engine = movable.engine_at(&movable.elsewhere()).await;
    everybody_is_told(&movable.house, &engine, 0).await;
    assert!(doubtful(&engine).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_started_beside_its_original_is_refused_as_rewound() {
    let movable = Movable::new().await;
    movable.stopped_at(movable.at(), 20).await;
    copy(movable.at(), &movable.elsewhere());
    let enough = movable.house.taken().len() + 1;
    let mut run = movable.run_at(movable.at());
    run.until("it goes on", async || movable.house.taken().len() >= enough).await;
    let second = movable.run_at(&movable.elsewhere()).ended().await;
    is_refused_as_rewound(&second);
    run.succeeded().await;
    everybody_is_told(&movable.house, &movable.house.engine, 0).await;
}
