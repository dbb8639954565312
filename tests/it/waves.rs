//! Launch order and its brakes, seen from outside: waves, canary, gates, staff, breaker, forecast.

mod brakes;
mod gates;
mod reach;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use forthwith::domain::clock::{Clock, ManualClock, SystemClock};
use forthwith::domain::track::Track;
use forthwith::engine::tracks::Patience;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::harness::running::{self, Running, finished as ended, until};
use crate::harness::{CAMPAIGN, House, INCIDENT, Plan, campaign_file, person, write};

/// One provider a domain, so that each has chunks of its own.
const PROVIDERS: &str = "
[provider.a]
domains = [\"a.example\"]
connections = 100
[provider.b]
domains = [\"b.example\"]
connections = 100
[provider.c]
domains = [\"c.example\"]
connections = 100
[provider.other]
connections = 100
";

/// A house without credentials to expire, with people at these domains; sealed.
struct Launch<'a> {
    /// Keys before the first table.
    head: &'a str,
    /// Tables.
    tail: &'a str,
    /// (domain, people): addresses are `NUMBER@domain`, from 1.
    people: &'a [(&'a str, u32)],
    /// (provider, cohort).
    cohorts: &'a [(&'a str, &'a str)],
    faults: Vec<&'static str>,
    clock: Arc<dyn Clock>,
}

impl Default for Launch<'_> {
    fn default() -> Self {
        Self {
            head: "",
            tail: "",
            people: &[("a.example", 20), ("b.example", 20), ("c.example", 20)],
            cohorts: &[("a", "canary"), ("b", "eu")],
            faults: Vec::new(),
            clock: Arc::new(SystemClock),
        }
    }
}

/// The file of a campaign that expires nothing.
fn file(head: &str, tail: &str) -> String {
    let text = campaign_file(head).replace("[notice]\n", "[notice]\nmode = \"none\"\n");
    format!("{text}\n{tail}\n")
}

fn rows(people: &[(&str, u32)]) -> String {
    let mut rows = "customer_id,name,email\n".to_owned();
    for (domain, count) in people {
        for n in 1..=*count {
            writeln!(rows, "{n}-{domain},Ada,{n}@{domain}").unwrap();
        }
    }
    rows
}

impl Launch<'_> {
    async fn sealed(self) -> House {
        let plan = Plan {
            customers: 1,
            campaign: file(self.head, self.tail),
            faults: self.faults,
            clock: self.clock,
            ..Plan::default()
        };
        let mut house = House::furnished(plan).await;
        house.engine.providers = Arc::new(toml::from_str(PROVIDERS).unwrap());
        write(&house.path("affected.csv"), &rows(self.people));
        let incident = INCIDENT.replace("credentials = [\"password\"]", "credentials = []");
        write(&house.engine.workspace.incident_file("cold-night").0, &incident);
        house.seal().await;
        // The seal has drawn a canary by lot; who is in it is decided here.
        house.tamper("UPDATE chunk SET cohort = ''").await;
        for (provider, cohort) in self.cohorts {
            let sql = format!("UPDATE chunk SET cohort = '{cohort}' WHERE provider = '{provider}'");
            house.tamper(&sql).await;
        }
        house
    }

    async fn ready(self) -> House {
        let house = self.sealed().await;
        house.approve(Track::Notice).await;
        house
    }
}

fn run(house: &House, patience: Patience) -> (Running, Stop) {
    let soft = CancellationToken::new();
    (running::run(&house.engine, patience, &soft), soft)
}

type Stop = CancellationToken;

/// The domains of what arrived, in order, each run of the same ones counted.
fn arrivals(house: &House) -> Vec<(String, usize)> {
    let mut runs: Vec<(String, usize)> = Vec::new();
    for (_, to, _) in house.taken() {
        let domain = to.rsplit('@').next().unwrap().to_owned();
        match runs.last_mut() {
            Some((last, count)) if *last == domain => *count += 1,
            _ => runs.push((domain, 1)),
        }
    }
    runs
}

fn told(house: &House, domain: &str) -> usize {
    house.taken().iter().filter(|(_, to, _)| to.ends_with(domain)).count()
}

/// (name, state) of each wave.
async fn states(house: &House) -> Vec<(String, &'static str)> {
    house.status().await.waves.into_iter().map(|wave| (wave.name, wave.state)).collect()
}

fn named(waves: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    waves.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waves_go_one_after_another_and_the_canary_first() {
    let tail = "[[wave]]\nname = \"europe\"\ncohorts = [\"eu\"]\n";
    let house = Launch { tail, ..Launch::default() }.ready().await;
    let waves = [("canary", "closed"), ("europe", "closed"), ("everyone else", "closed")];
    assert_eq!(states(&house).await, named(&waves));
    let report = house.run().await.unwrap();
    assert!(report.is_finished && !report.is_at_gate, "{report:?}");
    let order: Vec<(String, usize)> =
        ["a", "b", "c"].map(|provider| (format!("{provider}.example"), 20)).into();
    assert_eq!(arrivals(&house), order);
    assert!(states(&house).await.iter().all(|(_, state)| *state == "finished"));
    let lines = house.ledger_lines().await;
    let opened: Vec<&String> = lines.iter().filter(|l| l.contains("\"wave-opened\"")).collect();
    assert_eq!(opened.len(), 3);
    assert!(opened[1].contains(r#""people":20"#) && opened[1].contains(r#""wave":2"#));
    assert!(!lines.iter().any(|line| line.contains("europe")), "names stay out of the ledger");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_plan_before_the_launch_orders_the_waves_anew() {
    let tail = "[[wave]]\nname = \"europe\"\ncohorts = [\"eu\"]\n";
    let house = Launch { tail, cohorts: &[("b", "eu")], ..Launch::default() }.ready().await;
    assert_eq!(states(&house).await, named(&[("europe", "closed"), ("everyone else", "closed")]));
    let text =
        file("", "[[wave]]\nname = \"first\"\ncohorts = [\"\"]\n[[wave]]\nname = \"last\"\n");
    write(&house.engine.workspace.campaign_file(CAMPAIGN).0, &text);
    house.approve(Track::Notice).await;
    assert_eq!(states(&house).await, named(&[("first", "closed"), ("last", "closed")]));
    house.run().await.unwrap();
    let order = arrivals(&house);
    assert_eq!(order.last(), Some(&("b.example".to_owned(), 20)), "{order:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_provider_holds_up_the_next_wave_for_half_an_hour_and_no_longer() {
    let clock = Arc::new(ManualClock::at("2026-11-26T12:00:00Z".parse().unwrap()));
    let house = Launch {
        people: &[("a.example", 10), ("b.example", 20), ("c.example", 1_010)],
        cohorts: &[("a", "canary")],
        clock: Arc::<ManualClock>::clone(&clock),
        ..Launch::default()
    }
    .sealed()
    .await;
    // c has two chunks; the first is of the canary, too.
    let first = "UPDATE chunk SET cohort = 'canary' WHERE provider = 'c' AND size = 1000";
    house.tamper(first).await;
    house.approve(Track::Notice).await;
    let hours = "2h".parse().unwrap();
    house.engine.suspend_provider(CAMPAIGN, "c", hours, "they asked", "test").await.unwrap();
    let (running, _soft) = run(&house, Patience::Ends);
    until("the canary's other provider is told", async || told(&house, "a.example") == 10).await;
    let second = async || house.status().await.waves.remove(1);
    until("only the rule holds the second wave", async || {
        second().await.waits_for[0].contains("10 of 1010 told")
    })
    .await;
    clock.advance(SignedDuration::from_mins(29));
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!((second().await.state, told(&house, "b.example")), ("closed", 0));
    clock.advance(SignedDuration::from_mins(2));
    until("the second wave is told", async || told(&house, "b.example") == 20).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(told(&house, "c.example"), 0, "a provider rests in every wave");
    assert_eq!(house.status().await.suspended.len(), 1);
    house.engine.resume_provider(CAMPAIGN, "c").await.unwrap();
    let report = ended(running).await;
    assert!(report.is_finished && report.totals.told == 1_040, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nine_in_ten_are_enough_where_the_rest_cannot_be_told_now() {
    let clock = Arc::new(ManualClock::at("2026-11-26T12:00:00Z".parse().unwrap()));
    let house = Launch {
        people: &[("a.example", 18), ("b.example", 2), ("c.example", 10)],
        cohorts: &[("a", "canary"), ("b", "canary")],
        clock: Arc::<ManualClock>::clone(&clock),
        ..Launch::default()
    }
    .ready()
    .await;
    let hours = "2h".parse().unwrap();
    house.engine.suspend_provider(CAMPAIGN, "b", hours, "they asked", "test").await.unwrap();
    let (running, _soft) = run(&house, Patience::Ends);
    until("18 of 20 let the next go", async || told(&house, "c.example") == 10).await;
    assert_eq!(told(&house, "b.example"), 0);
    clock.advance(SignedDuration::from_hours(3));
    assert!(ended(running).await.is_finished);
    assert_eq!(arrivals(&house)[2], ("b.example".to_owned(), 2));
}

/// Signs both times, as every campaign of a house is signed.
async fn approve(house: &House, name: &str) {
    house.engine.plan(name, Track::Notice, false).await.unwrap();
    for who in ["ann", "bob"] {
        let signer = house.engine.signer(person(who)).await.unwrap();
        house.engine.approve(name, Track::Notice, &signer).await.unwrap();
    }
}

fn slow(per_second: f64) -> forthwith::domain::pace::PaceSetting {
    forthwith::domain::pace::PaceSetting { per_second: Some(per_second), per_day: None }
}
