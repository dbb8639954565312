//! `kill -9` in the middle of real campaigns of the real binary (`scripts/crash`, small), and a signal that
//! asks to stop.

use std::process::{Child, Stdio};
use std::time::Duration;

use crate::drill;
use crate::drill::bar::Bar;
use crate::drill::options::{Mode, Options, Policy};
use crate::harness::{CAMPAIGN, House, Plan, binary, campaign_file, terminate, write};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_kills_lose_nobody_and_repeat_only_the_doubtful() {
    let options = Options {
        kills: 5,
        kills_before: 1,
        accounts: 1_200,
        seconds: 15,
        policy: Policy::Resend,
        mode: Mode::Site,
        connections: 8,
        machine: None,
        restore: false,
        without_journals: false,
        keep: None,
        binary: Some(env!("CARGO_BIN_EXE_forthwith").into()),
    };
    let report = drill::run(&options, 20_120_115, &Bar::new(false)).await.unwrap();
    let said = format!("{}{}", report.told(), drill::report::table(std::slice::from_ref(&report)));
    assert!(report.breaks.is_empty() && report.void.is_empty(), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_kills_around_new_passwords_leave_every_account_in_one_of_two_states() {
    let options = drill::reset::options::Options {
        kills: 8,
        accounts: 120,
        at_once: 4,
        keep: None,
        binary: Some(env!("CARGO_BIN_EXE_forthwith").into()),
    };
    let report = drill::reset::run(&options, 20_120_115, &Bar::new(false)).await.unwrap();
    let table = drill::reset::report::table(std::slice::from_ref(&report));
    assert!(report.breaks.is_empty(), "{}{table}", report.told());
    assert!(report.kills == 8 && report.reset > 0, "{report:?}");
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
