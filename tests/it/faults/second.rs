//! A second worker on the database, by whatever path it is named.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::{everybody_is_told, house, paced};
use crate::harness::process::{Ended, Process};
use crate::harness::tiny_disk::copy;
use crate::harness::{CAMPAIGN, House, Plan, binary};

const RUN: [&str; 3] = ["campaign", "run", CAMPAIGN];

async fn at_work() -> (House, Process) {
    let house = house(Plan { customers: 240, campaign: paced(40), ..Plan::default() }).await;
    let mut run = Process::run(&house);
    run.until("the first are told", async || house.taken().len() >= 10).await;
    (house, run)
}

fn names_the_first(second: &Ended, first: &Process, by: &str) {
    assert_eq!(second.code(), Some(1), "{by}: {second:?}");
    let held = format!("is held by process {}", first.pid());
    assert!(second.said.contains(&held), "{by}: {}", second.said);
    assert!(second.said.contains("hint: one worker a database file"), "{by}: {}", second.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_worker_by_any_path_is_refused_and_names_the_firsts_pid() {
    let (house, first) = at_work().await;
    let state = house.path("xdg-state");
    names_the_first(&Process::on(house.dir.path(), &state, &RUN).ended().await, &first, "its path");

    let beside = tempfile::tempdir().unwrap();
    let link = beside.path().join("link");
    symlink(house.dir.path(), &link).unwrap();
    names_the_first(&Process::on(&link, &state, &RUN).ended().await, &first, "a symlink");

    let mut relative = binary();
    relative.current_dir(house.dir.path()).args(["--workspace", "."]).args(RUN);
    relative.env("XDG_STATE_HOME", &state);
    names_the_first(&Process::start(relative).ended().await, &first, "a relative path");

    let bind = beside.path().join("bind");
    std::fs::create_dir(&bind).unwrap();
    let second = bound(&house, &bind).ended().await;
    names_the_first(&second, &first, "a bind mount");

    // Another command of another kind that needs the worker's place says the same.
    let secure = Process::on(house.dir.path(), &state, &["secure", "run", CAMPAIGN]).ended().await;
    names_the_first(&secure, &first, "secure run");
    first.succeeded().await;
    everybody_is_told(&house, &house.engine, 0).await;
}

/// A run of the same workspace, which a mount namespace of its own shows at another place too.
fn bound(house: &House, bind: &Path) -> Process {
    let plain = binary();
    let mut command = std::process::Command::new("unshare");
    let script = r#"mount --bind "$1" "$2" && shift && bind=$1 && shift && exec "$1" --workspace "$bind" campaign run thaw"#;
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command.arg(house.dir.path()).arg(bind).arg(plain.get_program());
    for (name, _) in plain.get_envs() {
        command.env_remove(name);
    }
    command.env("XDG_STATE_HOME", house.path("xdg-state"));
    Process::start(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_workspace_that_links_to_the_database_is_refused_too() {
    let (house, first) = at_work().await;
    let other = tempfile::tempdir().unwrap();
    for part in ["keys", "state", "campaigns", "incidents", "templates"] {
        copy(&house.path(part), &other.path().join(part));
    }
    for file in ["forthwith.toml", "providers.toml"] {
        std::fs::copy(house.path(file), other.path().join(file)).unwrap();
    }
    for folder in ["data", "journal", "rejects"] {
        std::fs::create_dir_all(other.path().join(folder)).unwrap();
    }
    symlink(house.database(), other.path().join("data/forthwith.db")).unwrap();
    let second = Process::on(other.path(), &house.path("xdg-state"), &RUN).ended().await;
    names_the_first(&second, &first, "a database by a symlink");
    first.succeeded().await;
    everybody_is_told(&house, &house.engine, 0).await;
}
