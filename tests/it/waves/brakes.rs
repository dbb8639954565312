//! The breaker, and the forecast against a deadline.

use std::fmt::Write as _;
use std::process::Stdio;
use std::sync::Arc;

use forthwith::domain::clock::ManualClock;
use forthwith::domain::track::Track;
use forthwith::engine::tracks::Patience;

use super::{Launch, ended, file, run, until};
use crate::crash::write_settings;
use crate::harness::{CAMPAIGN, House, binary, write};

const DEAD: &str = "rcpt:550:to=dead*:text=5.1.1 No such user";

/// People of whom those whose number `is_dead` have no mailbox.
async fn people(count: u32, is_dead: impl Fn(u32) -> bool) -> House {
    let house = Launch { cohorts: &[], faults: vec![DEAD], ..Launch::default() };
    let house = Launch { people: &[("a.example", 1)], ..house }.sealed().await;
    let mut rows = "customer_id,name,email\n".to_owned();
    for n in 1..=count {
        let word = if is_dead(n) { "dead" } else { "fine" };
        writeln!(rows, "{n},Ada,{word}{n}@a.example").unwrap();
    }
    // Sealed anew under another name: a seal is final.
    write(&house.path("many.csv"), &rows);
    let text = file("", "").replace("affected.csv", "many.csv");
    write(&house.engine.workspace.campaign_file("many").0, &text);
    house.engine.seal("many", &forthwith::engine::progress::Silent).await.unwrap();
    super::approve(&house, "many").await;
    house
}

async fn run_many(house: &House) -> Result<forthwith::engine::tracks::RunReport, String> {
    let soft = tokio_util::sync::CancellationToken::new();
    let silent = forthwith::engine::progress::Silent;
    house.engine.run("many", &silent, &soft).await.map_err(|error| error.to_string())
}

/// Attempts that ended so far.
fn attempts(house: &House) -> u64 {
    house.taken().len() as u64 + house.sink.counts().refused_rcpt
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twelve_in_a_hundred_dead_addresses_pause_nothing() {
    let house = people(500, |n| matches!(n % 25, 0 | 8 | 16)).await;
    let report = run_many(&house).await.unwrap();
    assert!(report.is_finished);
    assert_eq!((report.totals.told, report.totals.fallback), (440, 60));
    let breaker = house.engine.status("many").await.unwrap().breaker.unwrap();
    assert_eq!((breaker.bounced, breaker.of), (60, 500));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_in_a_hundred_pause_the_campaign_and_a_resume_counts_anew() {
    let house = people(700, |n| matches!(n % 25, 0 | 6 | 12 | 18)).await;
    let refused = run_many(&house).await.unwrap_err();
    assert!(refused.contains("has paused itself") && refused.contains("`breaker.bounced`"));
    assert!(refused.contains("hint: is this the right list?"), "{refused}");
    let first = attempts(&house);
    assert!((200..250).contains(&first), "{first}: once enough were tried, and no further");
    let status = house.engine.status("many").await.unwrap();
    assert_eq!((status.notice, status.pause_cause), ("paused", Some("breaker")));
    assert!(status.deliveries.balances() && status.deliveries.in_flight == 0);
    assert!(run_many(&house).await.unwrap_err().contains("is paused"));
    house.engine.resume("many", Track::Notice, "test").await.unwrap();
    let again = run_many(&house).await.unwrap_err();
    assert!(again.contains("of the last 2"), "{again}");
    let second = attempts(&house) - first;
    assert!((200..250).contains(&second), "{second}: the window began anew");
    let moved = house.ledger_lines().await;
    assert_eq!(moved.iter().filter(|line| line.contains(r#""by":"breaker""#)).count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_breakers_window_outlives_its_worker() {
    let house = people(600, |n| n.is_multiple_of(4)).await;
    house.engine.set_pace("many", None, super::slow(60.0), "test").await.unwrap();
    let (engine, soft) = (house.engine.clone(), tokio_util::sync::CancellationToken::new());
    let stop = soft.clone();
    let silent = forthwith::engine::progress::Silent;
    let first = tokio::spawn(async move { engine.run("many", &silent, &stop).await });
    until("some were tried", async || attempts(&house) >= 80).await;
    soft.cancel();
    first.await.unwrap().unwrap();
    let before = attempts(&house);
    assert!(before < 200, "{before}");
    let kept = house.engine.status("many").await.unwrap().breaker.unwrap();
    assert_eq!(u64::from(kept.of), before);
    house.engine.set_pace("many", None, super::slow(2_000.0), "test").await.unwrap();
    assert!(run_many(&house).await.unwrap_err().contains("has paused itself"));
    let all = attempts(&house);
    assert!((200..250).contains(&all), "{all}: counted together");
    // Died between the last outcome and the pause: the next worker trips before it sends.
    house.tamper("UPDATE campaign SET notice_state = 'running' WHERE name = 'many'").await;
    assert!(run_many(&house).await.unwrap_err().contains("has paused itself"));
    assert_eq!(attempts(&house), all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_says_when_it_will_be_done_and_what_will_be_late() {
    let clock = Arc::new(ManualClock::at("2026-11-26T12:00:00Z".parse().unwrap()));
    let tail = "[[wave]]\nname = \"europe\"\ncohorts = [\"eu\"]\n\
                deadline = \"2026-11-26T12:00:05[UTC]\"\n[[wave]]\nname = \"rest\"\ncohorts = [\"zz\"]\n";
    let house = Launch {
        head: "deadline = \"2026-11-26T13:00[UTC]\"",
        tail,
        clock: Arc::<ManualClock>::clone(&clock),
        ..Launch::default()
    }
    .sealed()
    .await;
    house.edit("campaigns/thaw.toml", "per_second = 2000", "per_second = 1");
    let forecast = house.engine.forecast(CAMPAIGN).await.unwrap();
    assert_eq!((forecast.notices, forecast.per_second), (60, Some(1.0)));
    assert_eq!(forecast.finish.as_deref(), Some("2026-11-26T12:01:00Z"));
    let waves: Vec<_> = forecast
        .waves
        .iter()
        .map(|wave| (wave.name.as_str(), wave.notices, wave.is_late))
        .collect();
    let wanted = [
        ("canary", 20, false),
        ("europe", 20, true),
        ("rest", 0, false),
        ("everyone else", 20, false),
    ];
    assert_eq!(waves, wanted);
    let [late, nobody] = &forecast.warnings[..] else { panic!("{:?}", forecast.warnings) };
    // 40 people in five seconds
    assert!(late.contains("8.0 notices a second over all (the pace is 1)"), "{late}");
    assert!(late.contains("wave `europe`") && late.contains("hint:"), "{late}");
    assert!(nobody.contains("cohort `zz`, in which nobody was sealed"), "{nobody}");

    write_settings(&house);
    let said = binary()
        .arg("--workspace")
        .arg(house.dir.path())
        .args(["campaign", "plan", CAMPAIGN, "--check"])
        .env("XDG_STATE_HOME", house.path("xdg-state"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(
        text.contains("Forecast from now") && text.contains("60 notices at 1 a second"),
        "{text}"
    );
    // By the machine's clock the deadline has long passed, or lies ahead; either way it is named.
    assert!(text.contains("due 2026-11-26T13:00:00Z"), "{text}");

    // A running campaign forecasts what is left in the waves that were approved.
    house.approve(Track::Notice).await;
    let status = house.status().await;
    assert_eq!(status.forecast.unwrap().waves.len(), 4);
    house.edit("campaigns/thaw.toml", "per_second = 1", "per_second = 2000");
    let (running, _stop) = run(&house, Patience::Ends);
    assert!(ended(running).await.is_finished);
    assert!(house.status().await.forecast.is_none());
}
