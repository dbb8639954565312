//! Earlier campaigns as sources and as what is left out: the second wave, the correction, and what
//! may not be subtracted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use forthwith::domain::totals::SourceTotals;
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::journal::WorkerLock;
use tokio_util::sync::CancellationToken;

use crate::harness::audience::{csv_audience, with_audience};
use crate::harness::tampering::Notes;
use crate::harness::{ANN, CAMPAIGN, House, Plan, person, write};

const SECOND: &str = "second";

fn people(count: u32) -> String {
    let mut rows = String::from("customer_id,name,email\n");
    for place in 0..count {
        writeln!(rows, "P{place},Ana Almeida,p{place}@mail.example").unwrap();
    }
    rows
}

/// A first campaign of so many people, sealed and approved, at whose relay `faults` happen.
async fn first(count: u32, faults: Vec<&'static str>) -> House {
    let house = House::furnished(Plan { customers: 1, faults, ..Plan::default() }).await;
    write(&house.path("affected.csv"), &people(count));
    house.write_campaign(CAMPAIGN, &csv_audience(""));
    house.seal().await;
    house.approve_notice(CAMPAIGN).await;
    house
}

/// Why the first campaign is not resumed.
async fn resume_refused(house: &House) -> String {
    house.engine.resume(CAMPAIGN, Track::Notice, "test").await.unwrap_err().to_string()
}

/// Mails taken, by recipient.
fn told(house: &House) -> BTreeMap<String, u32> {
    let mut told = BTreeMap::new();
    for (_, to, _) in house.taken() {
        *told.entry(to).or_default() += 1;
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_wave_of_the_affected_less_the_told_tells_nobody_twice() {
    let house = House::furnished(Plan { customers: 1, ..Plan::default() }).await;
    write(&house.path("affected.csv"), &people(10_000));
    house.write_campaign(CAMPAIGN, &csv_audience(""));
    house.edit("campaigns/thaw.toml", "per_second = 2000", "per_second = 2000\nper_day = 7000");
    house.seal().await;
    house.approve_notice(CAMPAIGN).await;
    let minus = "minus = [{ campaign = \"thaw\", classes = [\"told\"] }]";
    house.write_campaign(SECOND, &csv_audience(minus));

    // the day's quota ends the first wave at 7,000
    let (engine, soft) = (house.engine.clone(), CancellationToken::new());
    let stop = soft.clone();
    let run = tokio::spawn(async move { engine.run(CAMPAIGN, &Silent, &stop).await });
    while house.status().await.deliveries.told < 7_000 {
        assert!(!run.is_finished(), "it ended early");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let refused = house.seal_of(SECOND).await.unwrap_err().to_string();
    let pid = std::process::id();
    assert_eq!(
        refused,
        format!(
            "process {pid} is sending, and what became of the people of `thaw` may change meanwhile; \
             hint: stop it or let it end, then again"
        )
    );
    soft.cancel();
    run.await.unwrap().unwrap();
    let refused = house.seal_of(SECOND).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "the notice of `thaw` is running, 7000 told so far: whom it tells changes meanwhile; hint: let \
         `forthwith campaign run thaw` finish, or `forthwith campaign pause thaw`"
    );
    house.engine.pause(CAMPAIGN, Track::Notice, "test").await.unwrap();

    let notes = Notes::default();
    let sealed = house.engine.seal(SECOND, &notes).await.unwrap().row;
    assert!(notes.said().contains("`thaw` is paused with 3000 not told yet"), "{}", notes.said());
    let expected =
        SourceTotals { rows: 3_000, sealed: 3_000, duplicates: 0, conflicts: 0, rejected: 0 };
    assert_eq!(sealed.totals, expected);
    let excluded = BTreeMap::from([("minus thaw (told)".to_owned(), 7_000)]);
    assert_eq!(sealed.excluded, excluded);
    let status = house.engine.status(SECOND).await.unwrap();
    assert_eq!((&status.excluded, status.source), (&excluded, expected));
    let line = house.ledger_lines().await.pop().unwrap();
    assert!(line.contains("\"excluded-minus\":7000") && !line.contains("thaw"), "{line}");

    // the first does not go on to those whom the second took over
    let refused = resume_refused(&house).await;
    assert!(refused.contains("still to tell 3000 people who are also in `second`"), "{refused}");
    house.approve_notice(SECOND).await;
    let report = house.engine.run(SECOND, &Silent, &CancellationToken::new()).await.unwrap();
    assert!(report.is_finished && report.totals.told == 3_000, "{report:?}");
    let told = told(&house);
    assert_eq!(told.len(), 10_000);
    assert!(told.values().all(|mails| *mails == 1), "somebody was told twice");
    assert!(resume_refused(&house).await.contains("has told 3000 of them"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_reaches_those_told_or_possibly_told_and_not_those_who_bounced() {
    let house =
        first(60, vec!["rcpt:550:to=p1@*", "rcpt:550:to=p2@*", "drop-after-dot:to=p3@*"]).await;
    house.run().await.unwrap();
    let standing = house.status().await;
    let stands = |reason: &str| standing.deliveries.reasons.get(reason).copied().unwrap_or(0);
    assert_eq!((stands("told/accepted"), stands("fallback/bounced")), (57, 2), "{standing:?}");
    let in_doubt = standing.deliveries.in_doubt;
    assert_eq!(in_doubt, 1);

    house.write_campaign(
        SECOND,
        "[audience.campaign]\nname = \"thaw\"\nclasses = [\"told\", \"in-doubt\"]",
    );
    let sealed = house.seal_of(SECOND).await.unwrap();
    assert_eq!((sealed.totals.sealed, sealed.source_kind.as_str()), (58, "campaign"));
    assert_eq!(sealed.source_name, "thaw (told, in-doubt)");
    house.approve_notice(SECOND).await;
    let before = told(&house);
    house.engine.run(SECOND, &Silent, &CancellationToken::new()).await.unwrap();
    let after = told(&house);
    let reached: BTreeSet<&String> = after
        .iter()
        .filter(|(to, mails)| before.get(*to) != Some(mails))
        .map(|(to, _)| to)
        .collect();
    assert_eq!(reached.len(), 58);
    for bounced in ["p1@mail.example", "p2@mail.example"] {
        assert!(!reached.contains(&bounced.to_owned()), "{bounced}");
    }

    // by reason; and what one step keeps another may leave out
    house.write_campaign(
        "third",
        "[audience.campaign]\nname = \"thaw\"\nclasses = [\"fallback/bounced\"]",
    );
    assert_eq!(house.seal_of("third").await.unwrap().totals.sealed, 2);
    let both = "intersect = [{ campaign = \"thaw\", classes = [\"told\"] }]\nminus = [{ campaign = \
                \"third\", classes = [\"queued\"] }, { campaign = \"second\", classes = [\"told\"] }]";
    house.write_campaign("fourth", &csv_audience(both));
    let refused = house.seal_of("fourth").await.unwrap_err().to_string();
    assert!(refused.contains("no row of the audience names an account"), "{refused}");
    write(
        &house.path("affected.csv"),
        &format!("{},x,x@y.example\nP99,Eve,e@y.example\n", people(60)),
    );
    house.write_campaign(
        "fifth",
        &csv_audience("minus = [{ campaign = \"thaw\", classes = [\"told\"] }]"),
    );
    let fifth = house.seal_of("fifth").await.unwrap();
    let expected = SourceTotals { rows: 5, sealed: 4, duplicates: 0, conflicts: 0, rejected: 1 };
    assert_eq!(fifth.totals, expected, "a row without an account is no one's: it stays a reject");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_wave_whose_seal_died_asks_anew_whom_the_first_told() {
    let house = first(600, vec!["rcpt:550:to=p1@*", "rcpt:550:to=p2@*"]).await;
    house.write_campaign(
        SECOND,
        &csv_audience("minus = [{ campaign = \"thaw\", classes = [\"told\"] }]"),
    );
    let engine = house.engine.clone();
    let notes = Notes::with(|stage, _| assert!(stage != "Freezing", "the power goes"));
    let died = tokio::spawn(async move { engine.seal(SECOND, &notes).await.map(|_| ()) }).await;
    assert!(died.unwrap_err().is_panic());
    house.run().await.unwrap();
    let sealed = house.seal_of(SECOND).await.unwrap();
    assert_eq!((sealed.totals.sealed, sealed.excluded["minus thaw (told)"]), (2, 598));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_subtracted_is_refused_with_its_reason() {
    let house = first(5, Vec::new()).await;
    let minus = |name: &str| format!("minus = [{{ campaign = \"{name}\", classes = [\"told\"] }}]");
    house.write_campaign(SECOND, &csv_audience(&minus(SECOND)));
    assert_eq!(
        house.seal_of(SECOND).await.unwrap_err().to_string(),
        "the audience of `second` names `second` itself; hint: name an earlier campaign"
    );
    house.write_campaign("nobody", &csv_audience(&minus("nowhere")));
    assert_eq!(
        house.seal_of("nobody").await.unwrap_err().to_string(),
        "campaign `nowhere` has no sealed people yet; hint: run `forthwith audience seal nowhere`"
    );
    house.write_campaign("elsewhere", &csv_audience(&minus(CAMPAIGN)));
    house.edit("campaigns/elsewhere.toml", "name = \"shop\"", "name = \"other\"");
    assert_eq!(
        house.seal_of("elsewhere").await.unwrap_err().to_string(),
        "accounts of `thaw` are those of directory `shop`, accounts of `elsewhere` those of `other`: \
         the same reference may be another person; hint: if they are the same accounts, set \
         `directory.name` in the file of `elsewhere`, or `directory_name` where it has no [directory]"
    );
    house.write_campaign("living", &csv_audience(&minus(CAMPAIGN)));
    house.edit("campaigns/living.toml", "environment = \"rehearsal\"", "environment = \"live\"");
    assert_eq!(
        house.seal_of("living").await.unwrap_err().to_string(),
        "`thaw` is rehearsal, and `living` is live: nobody was told for real by a rehearsal; hint: name \
         a campaign of the same environment"
    );
    // the lock is the source's for as long as it is read, and nobody's afterwards
    house.write_campaign("after", &csv_audience(&minus(CAMPAIGN)));
    assert_eq!(house.seal_of("after").await.unwrap().totals.sealed, 5);
    assert_eq!(WorkerLock::holder(&house.engine.workspace.worker_lock()), None);
    assert!(with_audience(&csv_audience("")).contains("[audience.csv]"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_correction_of_a_cancelled_campaign_reaches_exactly_those_told_or_possibly_told() {
    let house = House::furnished(Plan {
        customers: 1,
        faults: vec!["drop-after-dot:to=p3@*"],
        ..Plan::default()
    })
    .await;
    write(&house.path("affected.csv"), &people(600));
    house.write_campaign(CAMPAIGN, &csv_audience(""));
    house.edit("campaigns/thaw.toml", "per_second = 2000", "per_second = 100");
    house.seal().await;
    house.approve_notice(CAMPAIGN).await;
    let engine = house.engine.clone();
    let run =
        tokio::spawn(async move { engine.run(CAMPAIGN, &Silent, &CancellationToken::new()).await });
    while house.status().await.deliveries.told < 50 {
        assert!(!run.is_finished(), "it ended early");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let cancelled =
        house.engine.cancel(CAMPAIGN, "the wrong list", &signer, &Silent).await.unwrap();
    run.await.unwrap().unwrap();
    let before = told(&house);
    assert_eq!(cancelled.possibly_told, 1);
    assert_eq!(before.len() as u64, cancelled.told + 1);
    assert!(before.len() < 600 && before.contains_key("p3@mail.example"));

    let correction = "thaw-correction";
    let sealed = house.seal_of(correction).await.unwrap();
    assert_eq!(sealed.totals.sealed, before.len() as u64);
    house.approve_notice(correction).await;
    house.engine.run(correction, &Silent, &CancellationToken::new()).await.unwrap();
    let after = told(&house);
    assert!(after.keys().eq(before.keys()), "nobody else hears of it");
    assert!(after.iter().all(|(to, mails)| *mails > before[to]), "everybody told is told better");
}
