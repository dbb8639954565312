//! How fast, seen from outside: a pace set while a campaign runs, day quotas, a provider's rest.

use std::sync::Arc;
use std::time::Duration;

use forthwith::domain::clock::ManualClock;
use forthwith::domain::pace::PaceSetting;
use forthwith::domain::track::Track;
use forthwith::engine::Engine;
use forthwith::engine::tracks::Patience;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::harness::running::{self, Running, finished, until};
use crate::harness::{CAMPAIGN, House, Plan, campaign_file};

fn run(engine: &Engine, soft: &CancellationToken) -> Running {
    running::run(engine, Patience::Ends, soft)
}

fn rate(per_second: f64) -> PaceSetting {
    PaceSetting { per_second: Some(per_second), per_day: None }
}

fn quota(per_day: u64) -> PaceSetting {
    PaceSetting { per_second: None, per_day: Some(per_day) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pace_set_at_run_time_holds_within_a_second_and_is_logged() {
    let slow = campaign_file("").replace("per_second = 2000", "per_second = 0.1");
    let house = House::ready(Plan { campaign: slow, ..Plan::default() }).await;
    let soft = CancellationToken::new();
    let run = run(&house.engine, &soft);
    until("a burst of one a connection has gone", async || house.taken().len() >= 8).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(house.taken().len() < 12, "at one in ten seconds");
    let set = house.engine.set_pace(CAMPAIGN, None, rate(2000.0), "os:ann@desk").await.unwrap();
    assert_eq!(set, rate(2000.0));
    assert!(finished(run).await.is_finished);
    let all = house.engine.paces(CAMPAIGN).await.unwrap().remove(0);
    assert_eq!((all.scope.as_str(), all.per_second), ("all", Some(2000.0)));
    assert!(all.from.starts_with("os:ann@desk at "), "{}", all.from);
    assert_eq!(all.today, house.taken().len() as u64);
    let lines = house.ledger_lines().await;
    let paces: Vec<&String> = lines.iter().filter(|l| l.contains(r#""kind":"pace""#)).collect();
    assert_eq!(paces.len(), 2, "{paces:?}");
    assert!(paces[0].contains(r#""by":"file""#) && paces[0].contains(r#""per_second":"0.1""#));
    assert!(paces[1].contains(r#""by":"os:ann@desk""#));
    assert_eq!(house.engine.reset_pace(CAMPAIGN, None, false, "x").await.unwrap(), 1);
    let all = house.engine.paces(CAMPAIGN).await.unwrap().remove(0);
    assert_eq!((all.per_second, all.from.as_str()), (Some(0.1), "file"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_quota_rests_until_midnight_over_restarts_and_nobody_loses_time() {
    let clock = Arc::new(ManualClock::at("2026-11-26T21:00:00Z".parse().unwrap()));
    let house =
        House::ready(Plan { clock: Arc::<ManualClock>::clone(&clock), ..Plan::default() }).await;
    house.engine.set_pace(CAMPAIGN, Some("other"), quota(20), "test").await.unwrap();
    let soft = CancellationToken::new();
    let first = run(&house.engine, &soft);
    let engine = &house.engine;
    let suspended = async || engine.status(CAMPAIGN).await.unwrap().suspended;
    until("the quota is used up", async || !suspended().await.is_empty()).await;
    soft.cancel();
    assert!(!finished(first).await.is_finished);
    assert_eq!(house.taken().len(), 20);
    let rest = suspended().await.remove(0);
    assert_eq!(rest.until, "2026-11-27T00:00:00Z");
    assert!(rest.cause.contains("quota of 20"), "{}", rest.cause);

    // Another process on the same day has the same quota.
    let soft = CancellationToken::new();
    let second = run(&house.engine, &soft);
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(house.taken().len(), 20);
    clock.advance(SignedDuration::from_hours(3));
    until("the next day has used its own", async || house.taken().len() == 40).await;
    until("and rests again", async || !suspended().await.is_empty()).await;
    // More for the day, and the rest ended by hand.
    engine.set_pace(CAMPAIGN, Some("other"), quota(5_000), "test").await.unwrap();
    tokio::time::sleep(Duration::from_millis(700)).await;
    engine.resume_provider(CAMPAIGN, "other").await.unwrap();
    let report = finished(second).await;
    assert!(report.is_finished && report.totals.balances());
    assert_eq!(report.totals.told, house.taken().len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_suspended_by_an_operator_gets_nothing_until_it_is_resumed() {
    let house = House::ready(Plan::default()).await;
    let engine = &house.engine;
    engine.set_pace(CAMPAIGN, None, rate(20.0), "test").await.unwrap();
    let soft = CancellationToken::new();
    let run = run(engine, &soft);
    until("some are told", async || house.taken().len() >= 10).await;
    let two_hours = "2h".parse().unwrap();
    engine.suspend_provider(CAMPAIGN, "other", two_hours, "they asked", "test").await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after_a_second = house.taken().len();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.taken().len(), after_a_second);
    let status = engine.status(CAMPAIGN).await.unwrap();
    assert_eq!((status.suspended.len(), status.deliveries.in_flight), (1, 0));
    assert!(status.suspended[0].cause.contains("they asked"));
    engine.set_pace(CAMPAIGN, None, rate(2000.0), "test").await.unwrap();
    engine.resume_provider(CAMPAIGN, "other").await.unwrap();
    assert!(finished(run).await.is_finished);
    let again = engine.resume_provider(CAMPAIGN, "other").await.unwrap_err().to_string();
    assert!(again.contains("not suspended"), "{again}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_makes_nobodys_retry_window_shorter() {
    let clock = Arc::new(ManualClock::at("2026-11-26T21:00:00Z".parse().unwrap()));
    let house = House::ready(Plan {
        faults: vec!["rcpt:450:to=customer4@*:text=4.2.1 Mailbox busy"],
        clock: Arc::<ManualClock>::clone(&clock),
        ..Plan::default()
    })
    .await;
    let engine = &house.engine;
    let deferred = async || engine.status(CAMPAIGN).await.unwrap().deliveries.deferred;
    let soft = CancellationToken::new();
    let first = run(engine, &soft);
    until("one is deferred", async || deferred().await == 1).await;
    soft.cancel();
    finished(first).await;
    engine.pause(CAMPAIGN, Track::Notice, "test").await.unwrap();
    // Ten times the whole window.
    clock.advance(SignedDuration::from_hours(10));
    engine.resume(CAMPAIGN, Track::Notice, "test").await.unwrap();
    let before = house.sink.counts().refused_rcpt;
    let soft = CancellationToken::new();
    let second = run(engine, &soft);
    until("it was tried again", async || house.sink.counts().refused_rcpt > before).await;
    until("and recorded", async || {
        engine.status(CAMPAIGN).await.unwrap().deliveries.in_flight == 0
    })
    .await;
    let after = engine.status(CAMPAIGN).await.unwrap().deliveries;
    assert_eq!(after.reasons.get("fallback/gave-up"), None, "{after:?}");
    assert_eq!(after.deferred, 1);
    // The hour that is left is counted from there.
    let gave_up = async || {
        let deliveries = engine.status(CAMPAIGN).await.unwrap().deliveries;
        deliveries.reasons.contains_key("fallback/gave-up")
    };
    until("the window ends after all", async || {
        clock.advance(SignedDuration::from_mins(1));
        gave_up().await
    })
    .await;
    soft.cancel();
    finished(second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pace_that_is_none_or_a_provider_nobody_knows_is_refused() {
    let house = House::furnished(Plan::default()).await;
    house.seal().await;
    let engine = &house.engine;
    for (provider, setting, word) in [
        (None, rate(0.0), "campaign pause"),
        (None, quota(0), "provider suspend"),
        (None, PaceSetting::default(), "--per-second"),
        (Some("gmial"), rate(1.0), "gmial"),
    ] {
        let said =
            engine.set_pace(CAMPAIGN, provider, setting, "test").await.unwrap_err().to_string();
        assert!(said.contains(word) && said.contains("hint: "), "{said}");
    }
}
