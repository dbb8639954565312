//! The relay goes away in the middle of a campaign.

use std::path::Path;

use forthwith::mail::settings::RelaySettings;

use super::{copies, doubtful, everybody_is_told, paced, sums_hold};
use crate::harness::process::{Process, write_settings};
use crate::harness::running::until;
use crate::harness::{House, Plan, binary};

/// Connections to the relay: so many transactions can be past their dot at once.
const CONNECTIONS: usize = 8;

/// A relay in a process of its own, on this port, or on a free one.
pub async fn relay(maildir: &Path, port: u16) -> (Process, u16) {
    let mut command = binary();
    command.arg("sink").arg("--maildir").arg(maildir);
    command.args(["--listen", &format!("127.0.0.1:{port}"), "--dot-delay-ms", "150"]);
    let relay = Process::start(command);
    until("the relay listens", async || relay.data().contains('\n')).await;
    let said = relay.data();
    let (_, port) = said.lines().next().unwrap().rsplit_once(':').unwrap();
    (relay, port.parse().unwrap())
}

/// A house whose relay is that process.
pub async fn house_at_a_relay() -> (House, Process, u16) {
    let plan = Plan { customers: 400, campaign: paced(60), ..Plan::default() };
    let mut house = House::furnished(plan).await;
    let (relay, port) = relay(&house.maildir, 0).await;
    let known = &mut house.engine.relay;
    *known = RelaySettings::new("127.0.0.1", port, known.hello.clone());
    known.connections = u32::try_from(CONNECTIONS).unwrap();
    house.seal().await;
    house.approve(forthwith::domain::track::Track::Containment).await;
    house.approve(forthwith::domain::track::Track::Notice).await;
    write_settings(&house, port, "");
    (house, relay, port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_killed_in_the_middle_and_back_later_loses_nobody_and_the_run_goes_on_by_itself() {
    let (house, first, port) = house_at_a_relay().await;
    let mut run = Process::run(&house);
    run.until("the first are told", async || house.taken().len() >= 40).await;
    first.kill();
    run.until_said("the relay does not answer; trying on").await;
    let before = sums_hold(&house.engine).await;
    assert!(before.queued > 0, "{before:?}");
    let (second, _) = relay(&house.maildir, port).await;
    let ended = run.succeeded().await;
    assert!(ended.said.contains("Sending is finished."), "{}", ended.said);
    everybody_is_told(&house, &house.engine, CONNECTIONS).await;
    drop(second);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_gone_for_good_and_a_sigterm_leave_doubt_of_none_but_those_past_their_dot() {
    let (house, first, port) = house_at_a_relay().await;
    let mut run = Process::run(&house);
    run.until("the first are told", async || house.taken().len() >= 40).await;
    first.kill();
    run.until_said("the relay does not answer; trying on").await;
    run.send("TERM");
    let ended = run.succeeded().await;
    assert!(ended.said.contains("Stopping: what is open ends and is recorded."), "{}", ended.said);
    assert!(ended.said.contains("`forthwith campaign run thaw` goes on."), "{}", ended.said);
    let people = sums_hold(&house.engine).await;
    assert_eq!(people.in_flight, 0, "{people:?}");
    assert!(people.queued > 0, "{people:?}");
    // Whom the relay took and who is not told was in doubt (and is to be told again, by the policy), and
    // nobody else was who had not come to their dot.
    let (taken, doubtful) = (copies(&house).len() as u64, doubtful(&house.engine).await.len());
    let known = people.told + doubtful as u64;
    assert!(people.told <= taken && taken <= known, "{taken} taken, {doubtful} doubts: {people:?}");
    assert!(doubtful <= CONNECTIONS, "{doubtful}");

    let (second, _) = relay(&house.maildir, port).await;
    Process::run(&house).succeeded().await;
    everybody_is_told(&house, &house.engine, CONNECTIONS).await;
    drop(second);
}
