//! Disks that are full, really: where the database lies, and apart from it where the wire journal does.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use forthwith::domain::clock::SystemClock;
use forthwith::domain::track::Track;
use forthwith::engine::{Engine, Workspace};

use super::{copies, doubtful, everybody_is_told, paced, sums_hold};
use crate::harness::process::{Ended, Process, write_settings};
use crate::harness::tampering::query;
use crate::harness::tiny_disk::{TinyDisk, copy};
use crate::harness::{CAMPAIGN, House, Plan, engine};

const RUN: [&str; 3] = ["campaign", "run", CAMPAIGN];

/// Connections to the relay: so many transactions can be past their dot at once.
const CONNECTIONS: usize = 8;

/// A house whose database (and nothing else) lies on a tiny disk, as the binary sees it.
struct Cramped {
    disk: TinyDisk,
    house: House,
    seen: tempfile::TempDir,
}

impl Cramped {
    fn of(house: House, kib: u64) -> Self {
        write_settings(&house, house.sink.addr().port(), "");
        let disk = TinyDisk::over(&house.path("data"), kib);
        Self { disk, house, seen: tempfile::tempdir().unwrap() }
    }

    fn start(&self, arguments: &[&str]) -> Process {
        let state = self.house.path("xdg-state");
        self.disk.process(self.house.dir.path(), &state, arguments)
    }

    /// What the disk holds now, to be looked at.
    async fn look(&self) -> Engine {
        let place = tempfile::tempdir_in(self.seen.path()).unwrap().keep();
        copy(&self.house.path("keys"), &place.join("keys"));
        copy(&self.house.path("state"), &place.join("state"));
        copy(&self.disk.path(), &place.join("data"));
        let port = self.house.sink.addr().port();
        engine(&Workspace::at(&place), port, Arc::new(SystemClock), false).await
    }

    fn is_told_of_the_folder(&self, ended: &Ended) {
        assert_eq!(ended.code(), Some(2), "{ended:?}");
        let folder = self.house.path("data");
        let told = format!("error: no space is left in `{}`", folder.display());
        assert!(ended.said.contains(&told), "{}", ended.said);
        let hint = format!("\nhint: `df -h {}` shows what is left; free some", folder.display());
        assert!(ended.said.contains(&hint), "{}", ended.said);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_database_ends_the_run_with_a_hint_and_space_lets_it_go_on() {
    let plan = Plan { customers: 600, campaign: paced(120), ..Plan::default() };
    let cramped = Cramped::of(House::ready(plan).await, 64 << 10);
    let mut run = cramped.start(&RUN);
    run.until("the first are told", async || cramped.house.taken().len() >= 40).await;
    cramped.disk.fill(0);
    let ended = run.ended().await;
    cramped.is_told_of_the_folder(&ended);
    let people = sums_hold(&cramped.look().await).await;
    assert!(people.queued > 0, "{people:?}");
    let taken = cramped.house.taken().len();

    // Without space a start does nothing and says the same.
    let again = cramped.start(&RUN).ended().await;
    cramped.is_told_of_the_folder(&again);
    assert_eq!(cramped.house.taken().len(), taken, "nothing starts that cannot be recorded");

    cramped.disk.free();
    cramped.start(&RUN).succeeded().await;
    everybody_is_told(&cramped.house, &cramped.look().await, CONNECTIONS).await;
}

/// The campaign's people, their seal and their rows in the copied database.
async fn rows(engine: &Engine, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    let found: Vec<(i64,)> = query(&engine.workspace.database(), &sql).await;
    found[0].0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_on_a_full_disk_is_seen_by_nobody_and_is_sealed_once_there_is_space() {
    let house = House::furnished(Plan { customers: 4_000, ..Plan::default() }).await;
    let cramped = Cramped::of(house, 64 << 10);
    let seal = ["audience", "seal", CAMPAIGN];
    let (mut left, mut copied) = (64, std::collections::BTreeSet::new());
    loop {
        // A little more space each time: it ends in the staging file, before the copy, in its slices.
        cramped.disk.fill(left);
        let ended = cramped.start(&seal).ended().await;
        cramped.disk.free();
        if ended.code() == Some(0) {
            break;
        }
        cramped.is_told_of_the_folder(&ended);
        let engine = cramped.look().await;
        assert!(engine.status(CAMPAIGN).await.is_err(), "{left}: nobody reads an unfinished seal");
        copied.insert(rows(&engine, "recipient").await > 0);
        left += 160;
    }
    assert!(copied.contains(&false), "it was never full before a slice");
    let engine = cramped.look().await;
    let people = sums_hold(&engine).await;
    assert_eq!(people.sealed, 4_001, "C9999999 among them: {people:?}");
    assert_eq!(rows(&engine, "recipient").await, 4_001);
    assert_eq!(rows(&engine, "seal").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_in_the_secure_pass_leaves_no_write_that_was_not_planned_and_recorded() {
    let plan = Plan { customers: 1_500, ..Plan::default() };
    let house = House::furnished(plan).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    let before = hashes(&house.shop).await;
    let cramped = Cramped::of(house, 64 << 10);
    let secure = ["secure", "run", CAMPAIGN];
    let mut was_in_the_middle = false;
    let mut left = 64;
    loop {
        cramped.disk.fill(left);
        let ended = cramped.start(&secure).ended().await;
        if ended.code() == Some(0) {
            break;
        }
        cramped.is_told_of_the_folder(&ended);
        let engine = cramped.look().await;
        sums_hold(&engine).await;
        let changed = hashes(&cramped.house.shop)
            .await
            .iter()
            .zip(&before)
            .filter(|(now, was)| now != was)
            .count();
        let planned = rows(&engine, "credential_write").await;
        assert!(
            i64::try_from(changed).unwrap() <= planned,
            "{left}: {changed} changed, {planned} planned"
        );
        was_in_the_middle |= changed > 0;
        cramped.disk.free();
        left += 96;
    }
    assert!(was_in_the_middle, "the disk was full before anything was expired, each time");
    let engine = cramped.look().await;
    let status = engine.status(CAMPAIGN).await.unwrap();
    let stands = |class: &str| status.credentials.get(class).copied().unwrap_or(0);
    assert_eq!(stands("password/pending"), 0, "{status:?}");
    // Of 1,500 hashes two are of a scheme nobody knows.
    assert_eq!(stands("password/failed"), 2, "{status:?}");
    assert_eq!(stands("password/changed-since"), 0, "our own write is never a person's");
    let twice = "(SELECT 1 FROM credential_write GROUP BY number HAVING COUNT(*) > 1)";
    assert_eq!(rows(&engine, twice).await, 0, "the same value at each try");
}

async fn hashes(shop: &Path) -> Vec<(String, Option<String>)> {
    query(shop, "SELECT id, password_hash FROM customer ORDER BY id").await
}

/// A house whose wire journal (and nothing else) lies on a tiny disk.
struct Short {
    disk: TinyDisk,
    house: House,
}

impl Short {
    async fn of(kib: u64) -> Self {
        let house =
            House::ready(Plan { customers: 600, campaign: paced(120), ..Plan::default() }).await;
        write_settings(&house, house.sink.addr().port(), "");
        let disk = TinyDisk::over(&house.path("journal"), kib);
        Self { disk, house }
    }

    fn start(&self) -> Process {
        self.disk.process(self.house.dir.path(), &self.house.path("xdg-state"), &RUN)
    }

    /// The newest worker's first segment.
    fn segment(&self) -> PathBuf {
        let newest = std::fs::read_dir(self.disk.path())
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.path().join("00000001.fwj").exists())
            .max_by_key(|entry| entry.metadata().unwrap().modified().unwrap())
            .unwrap();
        newest.path().join("00000001.fwj")
    }

    fn says_so(&self, ended: &Ended) {
        assert_eq!(ended.code(), Some(2), "{ended:?}");
        assert!(ended.said.contains("No space left on device"), "{}", ended.said);
        let folder = self.house.path("journal");
        let hint = format!("hint: `df -h {}`", folder.display());
        assert!(ended.said.contains(&hint), "{}", ended.said);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_space_for_a_wire_journal_nothing_starts() {
    let short = Short::of(1 << 10).await;
    let ended = short.start().ended().await;
    short.says_so(&ended);
    assert_eq!(short.house.taken().len(), 0, "nothing starts without a mark");
    let people = sums_hold(&short.house.engine).await;
    assert_eq!((people.told, people.in_flight, people.in_doubt), (0, 0, 0), "{people:?}");
}

/// Takes the space of what is not written yet away from a segment, so that the next marks need new pages.
fn punch(segment: &Path) {
    let mut file = std::fs::File::open(segment).unwrap();
    let length = file.metadata().unwrap().len();
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    let written = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64;
    let from = (written / 4_096 + 1) * 4_096;
    let punched = Command::new("fallocate")
        .args(["--punch-hole", "--offset", &from.to_string()])
        .args(["--length", &(length - from).to_string()])
        .arg(segment)
        .status()
        .unwrap();
    assert!(punched.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_journal_that_takes_no_marks_any_more_stops_everything_and_says_so() {
    let short = Short::of(24 << 10).await;
    let mut run = short.start();
    run.until("the first are told", async || short.house.taken().len() >= 40).await;
    run.send("STOP");
    punch(&short.segment());
    short.disk.fill(0);
    run.send("CONT");
    let ended = run.ended().await;
    short.says_so(&ended);
    assert!(ended.said.contains("nothing more was started"), "{}", ended.said);
    let people = sums_hold(&short.house.engine).await;
    assert!(people.queued > 0, "{people:?}");
    assert_eq!(people.in_doubt, 0, "{people:?}");
    assert_eq!(people.told, copies(&short.house).len() as u64, "nothing starts without a mark");

    short.disk.free();
    let again = short.start().succeeded().await;
    if people.in_flight > 0 {
        let found = format!("0 had ended, {} had not started, 0 are in doubt", people.in_flight);
        assert!(again.said.contains(&found), "what was intended and had no mark: {}", again.said);
    }
    assert!(doubtful(&short.house.engine).await.is_empty());
    everybody_is_told(&short.house, &short.house.engine, 0).await;
}
