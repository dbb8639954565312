//! Five `kill -9` in the middle of a real campaign of the real binary.

use std::collections::{HashMap, HashSet};
use std::process::{Child, Stdio};
use std::time::Duration;

use forthwith::store::reports::DeliveryFilter;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::harness::{CAMPAIGN, House, Plan, binary, campaign_file, terminate, write};

const KILLS: usize = 5;
const PEOPLE: u32 = 5_000;
/// About a minute for everybody.
const PER_SECOND: u32 = 85;

/// The binary at work on this house.
pub fn spawn_run(house: &House) -> Child {
    binary()
        .arg("--workspace")
        .arg(house.dir.path())
        .args(["campaign", "run", CAMPAIGN])
        .env("XDG_STATE_HOME", house.path("xdg-state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(house.path("run.log")).unwrap())
        .spawn()
        .unwrap()
}

pub fn log_of(house: &House) -> String {
    std::fs::read_to_string(house.path("run.log")).unwrap_or_default()
}

/// What `forthwith campaign run` reads of its workspace.
pub fn write_settings(house: &House) {
    let port = house.sink.addr().port();
    let settings = format!(
        "[relay]\nhost = \"127.0.0.1\"\nport = {port}\nhello = \"localhost\"\nconnections = 8\n"
    );
    write(&house.path("forthwith.toml"), &settings);
    let providers = "[provider.other]\nconnections = 100\nmessages_per_connection = 1000\n";
    write(&house.path("providers.toml"), providers);
}

async fn both_lines_hold(house: &House) {
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    assert!(status.source.balances(), "{status:?}");
    assert!(status.deliveries.balances(), "{status:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_kills_lose_nobody_and_repeat_only_the_doubtful() {
    let file =
        campaign_file("").replace("per_second = 2000", &format!("per_second = {PER_SECOND}"));
    let house = House::ready(Plan {
        customers: PEOPLE,
        campaign: file,
        // The answer to the final dot takes a while, so that kills hit open transactions.
        dot_delay: Duration::from_millis(60),
        faults: vec!["drop-after-dot:to=customer1200@*"],
        ..Plan::default()
    })
    .await;
    write_settings(&house);
    let mut rng = StdRng::seed_from_u64(20_120_115);
    let mut before = 0;
    for kill in 0..KILLS {
        let mut run = spawn_run(&house);
        while house.taken().len() < before + 50 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(run.try_wait().unwrap().is_none(), "kill {kill}: {}", log_of(&house));
        }
        let extra = rng.random_range(1_000..7_000);
        tokio::time::sleep(Duration::from_millis(extra)).await;
        run.kill().unwrap();
        run.wait().unwrap();
        // What the sink has in hand it finishes by itself.
        tokio::time::sleep(Duration::from_millis(200)).await;
        before = house.taken().len();
        both_lines_hold(&house).await;
    }
    let mut run = spawn_run(&house);
    let ended = loop {
        if let Some(ended) = run.try_wait().unwrap() {
            break ended;
        }
        both_lines_hold(&house).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    assert!(ended.success(), "{}", log_of(&house));
    both_lines_hold(&house).await;
    compare(&house).await;
}

/// The sink's own record against the database.
async fn compare(house: &House) {
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    let mut copies: HashMap<String, Vec<String>> = HashMap::new();
    for (_, to, message_id) in house.taken() {
        copies.entry(to).or_default().push(message_id);
    }
    let doubtful = doubtful(house).await;
    // Five kills at eight connections: each may leave eight people in doubt, and customer1200.
    assert!(doubtful.len() > 1, "no kill hit an open transaction");
    assert!(doubtful.len() <= KILLS * 8 + 1, "{} in doubt", doubtful.len());
    for (to, ids) in copies.iter().filter(|(_, ids)| ids.len() > 1) {
        assert!(doubtful.contains(to), "{to} got {} copies but was never in doubt", ids.len());
        assert!(ids.len() == 2, "{to} got {} copies", ids.len());
        assert_eq!(ids[0], ids[1], "{to}: both copies have one Message-ID");
    }
    // customer1200's answers are always lost: told or not, nobody knows, and it is held.
    let held = status.deliveries.reasons.get("in-doubt/held").copied().unwrap_or(0);
    assert_eq!(held, 1, "{status:?}");
    assert_eq!(status.deliveries.told + held, copies.len() as u64, "{status:?}");
    assert_eq!(status.deliveries.machine_open(), 0);

    let numbers = house.engine.doubts(CAMPAIGN).await.unwrap();
    let signer = house.engine.signer(crate::harness::person("ann")).await.unwrap();
    let verdict = forthwith::engine::resolve::Verdict::Accepted;
    house.engine.resolve(CAMPAIGN, &numbers, verdict, "in the relay's log", &signer).await.unwrap();
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    assert_eq!(status.deliveries.in_doubt, 0);
    assert_eq!(status.deliveries.told, copies.len() as u64);
}

/// The addresses of everybody of whom an attempt was ever in doubt.
async fn doubtful(house: &House) -> HashSet<String> {
    let (row, people) = house.engine.people(CAMPAIGN).await.unwrap();
    let filter = DeliveryFilter { ever_in_doubt: true, ..DeliveryFilter::default() };
    let page = house.engine.store.list_deliveries(row.id, &filter, None, 10_000).await.unwrap();
    page.iter()
        .map(|found| {
            let person = people.open(found.number, found.body.as_ref().unwrap()).unwrap();
            person.address.unwrap().as_str().to_owned()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_signal_lets_what_is_open_finish_and_leaves_no_doubt() {
    let file = campaign_file("").replace("per_second = 2000", "per_second = 100");
    let house = House::ready(Plan {
        customers: 400,
        campaign: file,
        dot_delay: Duration::from_millis(200),
        ..Plan::default()
    })
    .await;
    write_settings(&house);
    let mut run = spawn_run(&house);
    while house.taken().len() < 40 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(run.try_wait().unwrap().is_none(), "{}", log_of(&house));
    }
    terminate(&run);
    let ended = tokio::task::spawn_blocking(move || run.wait().unwrap()).await.unwrap();
    assert!(ended.success(), "{}", log_of(&house));
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    assert_eq!((status.deliveries.in_flight, status.deliveries.in_doubt), (0, 0), "{status:?}");
    assert_eq!(status.deliveries.told, house.taken().len() as u64);
    assert!(status.deliveries.queued > 0, "it was stopped in the middle");
}
