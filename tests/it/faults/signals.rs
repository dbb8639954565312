//! Signals: an operator's Ctrl-C, a service manager's stop, a terminal that closes.

use std::time::Duration;

use super::{copies, doubtful, everybody_is_told, house, paced, sums_hold};
use crate::harness::process::Process;
use crate::harness::{CAMPAIGN, House, Plan};

async fn slow_house(dot_delay: Duration, faults: Vec<&'static str>) -> House {
    house(Plan { customers: 240, campaign: paced(60), dot_delay, faults, ..Plan::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_signal_of_each_kind_lets_what_is_open_end_and_leaves_no_doubt() {
    for signal in ["TERM", "INT", "HUP"] {
        let house = slow_house(Duration::from_millis(200), Vec::new()).await;
        let mut run = Process::run(&house);
        run.until("the first are told", async || house.taken().len() >= 20).await;
        run.send(signal);
        let ended = run.ended().await;
        assert_eq!(ended.code(), Some(0), "{signal}: {ended:?}");
        let stopping = "Stopping: what is open ends and is recorded. Once more ends it at once.";
        assert!(ended.said.contains(stopping), "{signal}: {}", ended.said);
        assert!(ended.said.contains("Sending is not finished"), "{signal}: {}", ended.said);
        assert!(ended.said.contains("`forthwith campaign run thaw` goes on."), "{}", ended.said);
        let people = sums_hold(&house.engine).await;
        assert_eq!((people.in_flight, people.in_doubt), (0, 0), "{signal}: {people:?}");
        assert_eq!(people.told, house.taken().len() as u64, "{signal}");
        assert!(people.queued > 0, "{signal}: it was stopped in the middle");
        assert!(doubtful(&house.engine).await.is_empty(), "{signal}");
        Process::run(&house).succeeded().await;
        everybody_is_told(&house, &house.engine, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once_and_only_those_past_their_dot_are_in_doubt() {
    // One answer takes longer than anybody waits.
    let house = slow_house(Duration::ZERO, vec!["dot:slow=10m:to=customer30@*:times=1"]).await;
    let mut run = Process::run(&house);
    let slow = |house: &House| copies(house).keys().any(|to| to.starts_with("customer30@"));
    run.until("the slow one has its message", async || slow(&house)).await;
    run.send("TERM");
    run.until_said("Stopping: what is open ends and is recorded.").await;
    run.until("all others have ended", async || sums_hold(&house.engine).await.in_flight == 1)
        .await;
    run.send("TERM");
    let ended = run.ended().await;
    assert_eq!(ended.code(), Some(130), "{ended:?}");

    let again = Process::run(&house).succeeded().await;
    assert!(
        again.said.contains("of its open attempts 0 had ended, 0 had not started, 1 are in doubt"),
        "{}",
        again.said
    );
    everybody_is_told(&house, &house.engine, 1).await;
    assert_eq!(doubtful(&house.engine).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_nohup_a_terminal_that_closes_stops_nothing() {
    let house = slow_house(Duration::ZERO, Vec::new()).await;
    let arguments = ["campaign", "run", CAMPAIGN];
    let mut run = Process::through("trap '' HUP; exec \"$@\"", &house, &arguments);
    run.until("the first are told", async || house.taken().len() >= 20).await;
    run.send("HUP");
    let ended = run.succeeded().await;
    assert!(ended.said.contains("Sending is finished."), "{}", ended.said);
    assert!(!ended.said.contains("Stopping"), "{}", ended.said);
    everybody_is_told(&house, &house.engine, 0).await;
}
