//! Nobody is told that their password was expired while it is not: a regression holds the notices of whoever
//! is not told yet, until it is mended or given up.

use std::fmt::Write as _;
use std::time::Duration;

use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::store::credentials::Pick;
use tokio_util::sync::CancellationToken;

use super::{dated, recheck, secured};
use crate::harness::tampering::{execute, hours, query, standing_clock};
use crate::harness::{CAMPAIGN, House, Plan, campaign_file, write};

/// Somebody puts a value there that no statement of ours knows how to replace; what stood there before.
async fn spoil(house: &House, customer: &str) -> String {
    let before = house.hash_of(customer).await.unwrap();
    set(house, customer, "legacy(3):0xUNKNOWN").await;
    before
}

async fn set(house: &House, customer: &str, hash: &str) {
    let sql = format!("UPDATE customer SET password_hash = '{hash}' WHERE id = '{customer}'");
    assert_eq!(execute(&house.shop, &sql).await, 1);
}

/// The mails to one customer, their soft line breaks taken out.
fn mails_to(house: &House, address: &str) -> Vec<String> {
    let mails = house.mails().into_iter().map(|mail| mail.replace("=\r\n", ""));
    mails.filter(|mail| mail.contains(address)).collect()
}

fn held() -> (&'static str, String) {
    ("held", "credential".to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_expired_again_is_held_and_told_once_it_is() {
    let house = secured(Plan { campaign: dated(""), ..Plan::default() }).await;
    let old = spoil(&house, "C0000020").await;
    let counts = recheck(&house).await.unwrap().counts;
    assert_eq!((counts.regressed, counts.mended), (1, 0), "{counts:?}");
    assert_eq!(house.credential_of("C0000020").await.0, "regressed");
    assert_eq!(house.delivery_of("C0000020").await, held());
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    let note = "1 expired credentials came back and could not be expired again";
    assert!(report.notes.iter().any(|said| said.starts_with(note)), "{:?}", report.notes);
    assert!(mails_to(&house, "customer20@").is_empty(), "never said before true");
    assert!(house.status().await.deliveries.balances());

    set(&house, "C0000020", &old).await;
    let counts = recheck(&house).await.unwrap().counts;
    assert_eq!((counts.regressed, counts.mended), (1, 1), "{counts:?}");
    assert_eq!(house.delivery_of("C0000020").await.0, "queued");
    assert!(house.run().await.unwrap().is_finished);
    let mails = mails_to(&house, "customer20@");
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("We have already expired your password"), "{mails:?}");
    let lines = house.ledger_lines().await;
    let moved = |from: &str, to: &str| {
        let (from, to) = (format!("\"from\":\"{from}\""), format!("\"to\":\"{to}\""));
        lines.iter().filter(|line| line.contains(&from) && line.contains(&to)).count()
    };
    assert_eq!(moved("queued", "held/credential"), 1);
    assert_eq!(moved("held/credential", "queued"), 1);
    assert!(house.status().await.deliveries.balances());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operators_retry_mends_a_regression_too() {
    let house = secured(Plan { campaign: dated(""), ..Plan::default() }).await;
    let old = spoil(&house, "C0000020").await;
    recheck(&house).await.unwrap();
    set(&house, "C0000020", &old).await;
    house.secure(Pick::Failed, &Silent).await.unwrap();
    assert_eq!(house.credential_of("C0000020").await.0, "expired");
    assert_eq!(house.delivery_of("C0000020").await.0, "queued");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_given_up_whoever_is_held_for_a_regression_is_told_so_truthfully() {
    let clock = standing_clock();
    let campaign = dated("give_up_after = \"2h\"");
    let house = secured(Plan { campaign, clock: clock.clone(), ..Plan::default() }).await;
    spoil(&house, "C0000020").await;
    recheck(&house).await.unwrap();
    assert_eq!(house.delivery_of("C0000020").await, held());
    hours(&clock, 3);
    assert!(house.run().await.unwrap().is_finished);
    let mails = mails_to(&house, "customer20@");
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("We have not yet been able to make sure"), "{mails:?}");
    assert_eq!(house.credential_of("C0000020").await.0, "regressed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_does_not_send_what_it_loaded_before_the_regression_was_found() {
    let campaign = dated("").replace("per_second = 2000", "per_second = 10");
    let house = secured(Plan { campaign, ..Plan::default() }).await;
    assert_eq!(house.delivery_of("C0000050").await.0, "queued");
    let engine = house.engine.clone();
    let run =
        tokio::spawn(async move { engine.run(CAMPAIGN, &Silent, &CancellationToken::new()).await });
    while house.status().await.deliveries.told == 0 {
        assert!(!run.is_finished(), "it ended early");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    spoil(&house, "C0000050").await;
    recheck(&house).await.unwrap();
    assert_eq!(house.delivery_of("C0000050").await, held());
    assert!(run.await.unwrap().unwrap().is_finished);
    assert!(mails_to(&house, "customer50@").is_empty());
    assert_eq!(house.delivery_of("C0000050").await, held());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_deferred_is_held_as_well_and_keeps_their_attempts() {
    let campaign = dated("").replace("schedule = [\"1s\"]", "schedule = [\"30m\"]");
    let faults = vec!["rcpt:450:to=customer20@*:times=1"];
    let house = secured(Plan { faults, campaign, ..Plan::default() }).await;
    let (engine, soft) = (house.engine.clone(), CancellationToken::new());
    let stop = soft.clone();
    let run = tokio::spawn(async move { engine.run(CAMPAIGN, &Silent, &stop).await });
    loop {
        let sums = house.status().await.deliveries;
        if sums.queued + sums.in_flight == 0 && sums.deferred == 1 {
            break;
        }
        assert!(!run.is_finished(), "it ended early");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    soft.cancel();
    run.await.unwrap().unwrap();
    let old = spoil(&house, "C0000020").await;
    recheck(&house).await.unwrap();
    assert_eq!(house.delivery_of("C0000020").await, held());
    let attempts = "SELECT attempts, due_at FROM delivery WHERE reason = 'credential'";
    let rows: Vec<(i64, Option<i64>)> = query(&house.database(), attempts).await;
    assert_eq!(rows, [(1, None)]);
    set(&house, "C0000020", &old).await;
    recheck(&house).await.unwrap();
    assert_eq!(house.delivery_of("C0000020").await.0, "queued", "at once, their wait was long");
    assert!(house.run().await.unwrap().is_finished);
    assert_eq!(mails_to(&house, "customer20@").len(), 1);
    assert!(house.status().await.deliveries.balances());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_regression_of_one_account_holds_the_notice_that_names_seven() {
    let house = House::furnished(Plan { campaign: campaign_file(""), ..Plan::default() }).await;
    let mut rows = String::from("customer_id,name,email\n");
    for place in [1, 2, 3, 5, 6, 8, 10] {
        writeln!(rows, "C{place:07},Ana,group@post.example").unwrap();
    }
    write(&house.path("affected.csv"), &rows);
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    assert!(house.secure(Pick::Pending, &Silent).await.unwrap().is_done);
    let old = [spoil(&house, "C0000003").await, spoil(&house, "C0000005").await];
    recheck(&house).await.unwrap();
    for account in ["C0000001", "C0000003", "C0000010"] {
        assert_eq!(house.delivery_of(account).await, held(), "{account}");
    }
    set(&house, "C0000003", &old[0]).await;
    recheck(&house).await.unwrap();
    assert_eq!(house.delivery_of("C0000003").await, held(), "another's is still open");
    assert!(house.run().await.unwrap().is_finished);
    assert!(house.taken().is_empty());
    set(&house, "C0000005", &old[1]).await;
    recheck(&house).await.unwrap();
    assert!(house.run().await.unwrap().is_finished);
    assert_eq!((house.taken().len(), house.status().await.deliveries.told), (1, 7));
}
