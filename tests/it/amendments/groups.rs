//! Amendments of people who share a notice, or have a second address.

use std::fmt::Write as _;
use std::time::Duration;

use forthwith::domain::amendment::Change;
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::engine::resolve::Verdict;
use forthwith::store::credentials::Pick;
use tokio_util::sync::CancellationToken;

use super::{mails_to, sums_hold, to};
use crate::harness::tampering::execute;
use crate::harness::{ANN, CAMPAIGN, House, Plan, campaign_file, person};

const TOGETHER: &str = "family@post.example";

/// Eight accounts at one address: the first carries the others.
async fn together(plan: Plan) -> House {
    let house = House::furnished(plan).await;
    let mut csv = "customer_id,name,email\n".to_owned();
    for n in 1..=8 {
        writeln!(csv, "C000000{n},Kim,{TOGETHER}").unwrap();
    }
    std::fs::write(house.path("affected.csv"), csv).unwrap();
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    house
}

async fn class_of(house: &House, account: &str) -> String {
    let (class, reason) = house.delivery_of(account).await;
    format!("{class}/{reason}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_is_withdrawn_or_readdressed_hands_its_notice_over() {
    let house = together(Plan::default()).await;
    house.amended("C0000001", Change::Withdraw).await;
    sums_hold(&house).await;
    house.amended("C0000002", to("second@new.example")).await;
    house.amended("C0000005", to("fifth@new.example")).await;
    house.amended("C0000006", Change::Waive).await;
    sums_hold(&house).await;
    assert!(house.run().await.unwrap().is_finished);
    for (account, class) in [
        ("C0000001", "withdrawn/"),
        ("C0000002", "told/accepted"),
        ("C0000003", "told/accepted"),
        ("C0000004", "told/carrier"),
        ("C0000005", "told/accepted"),
        ("C0000006", "waived/queued"),
        ("C0000007", "told/carrier"),
        ("C0000008", "told/carrier"),
    ] {
        assert_eq!(class_of(&house, account).await, class, "{account}");
    }
    for address in [TOGETHER, "second@new.example", "fifth@new.example"] {
        assert_eq!(mails_to(&house, address), 1, "{address}");
    }
    assert_eq!(house.taken().len(), 3);
    sums_hold(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_carried_is_held_and_released_with_their_group() {
    let house = together(Plan::default()).await;
    house.amended("C0000004", Change::Hold).await;
    let held = house.status().await.deliveries;
    assert_eq!((held.held, held.queued), (8, 0), "{held:?}");
    assert!(house.run().await.unwrap().is_finished);
    assert!(house.taken().is_empty());
    house.amended("C0000007", Change::Release).await;
    sums_hold(&house).await;
    assert!(house.run().await.unwrap().is_finished);
    let told = house.status().await.deliveries;
    assert_eq!((told.told, house.taken().len()), (8, 1), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_told_its_group_speaks_for_itself_alone_at_a_new_address() {
    let house = together(Plan::default()).await;
    assert!(house.run().await.unwrap().is_finished);
    assert!(house.mails()[0].contains("security of 8"), "{}", house.mails()[0]);
    // who was told by another's notice has none of their own
    let said = house.not_amended("C0000002", to("second@new.example")).await;
    assert!(said.contains("no notice of their own told them") && said.contains("hint:"), "{said}");
    house.amended("C0000001", to("first@new.example")).await;
    assert!(house.run().await.unwrap().is_finished);
    let mails = house.mails();
    let new = mails.iter().find(|mail| mail.contains("Delivered-To: first@new.example")).unwrap();
    assert!(!new.contains("security of 8"), "{new}");
    assert_eq!(house.taken().len(), 2);
    assert_eq!(class_of(&house, "C0000001").await, "told/accepted");
    assert_eq!(class_of(&house, "C0000008").await, "told/carrier");
    sums_hold(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubt_that_its_carrier_leaves_by_a_new_address_is_held_for_the_others() {
    let house = together(Plan {
        campaign: campaign_file("[in_doubt]\nreconcile_for = \"1h\"\nthen = \"resend\""),
        faults: vec!["drop-after-dot:to=family@*:times=1"],
        ..Plan::default()
    })
    .await;
    let (engine, stop) = (house.engine.clone(), CancellationToken::new());
    let run = {
        let stop = stop.clone();
        tokio::spawn(async move { engine.run(CAMPAIGN, &Silent, &stop).await })
    };
    while house.status().await.deliveries.in_doubt < 8 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.cancel();
    run.await.unwrap().unwrap();
    house.amended("C0000001", to("first@new.example")).await;
    assert_eq!(class_of(&house, "C0000001").await, "queued/");
    for n in 2..=8 {
        assert_eq!(class_of(&house, &format!("C000000{n}")).await, "held/operator", "{n}");
    }
    let lines = house.ledger_lines().await;
    let held = lines.iter().filter(|line| line.contains("\"to\":\"held/operator\""));
    assert_eq!(held.count(), 7, "a line each");
    sums_hold(&house).await;
    let report = tokio::time::timeout(Duration::from_secs(30), house.run()).await;
    assert!(report.expect("no doubt is left that nobody can end").unwrap().is_finished);
    assert_eq!(mails_to(&house, "first@new.example"), 1);

    // The first notice may have told the seven, whoever carries them now.
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let cancel = async || house.engine.cancel(CAMPAIGN, "wrong list", &signer, &Silent).await;
    let cancelled = cancel().await.unwrap();
    assert_eq!((cancelled.told, cancelled.possibly_told, cancelled.untold), (1, 7, 0));
    assert_eq!(house.seal_of(&format!("{CAMPAIGN}-correction")).await.unwrap().totals.sealed, 8);
    // that it was not sent is a fact about the first carrier's attempt, and ends the doubt of all
    let numbers = house.engine.doubts(CAMPAIGN).await.unwrap();
    let settled =
        house.engine.resolve(CAMPAIGN, &numbers[3..], Verdict::NotSent, "relay log", &signer).await;
    assert_eq!(settled.unwrap().moved, 7);
    assert_eq!(class_of(&house, "C0000005").await, "waived/cancelled", "nobody is told any more");
    let again = cancel().await.unwrap();
    assert_eq!((again.told, again.possibly_told, again.untold), (1, 0, 7));
    sums_hold(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_not_released_while_one_of_it_is_not_secured() {
    let house = together(Plan::default()).await;
    house.amended("C0000001", Change::Hold).await;
    let spoil = "UPDATE customer SET password_hash = 'no known form' WHERE id = 'C0000006'";
    execute(&house.shop, spoil).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    house.amended("C0000003", Change::Release).await;
    for account in ["C0000001", "C0000003", "C0000006"] {
        assert_eq!(class_of(&house, account).await, "held/credential", "{account}");
    }
    house.run().await.unwrap();
    assert!(house.taken().is_empty());
    sums_hold(&house).await;
    // a carrier that leaves is told by a notice that speaks of nobody else
    house.amended("C0000001", to("first@new.example")).await;
    house.run().await.unwrap();
    assert_eq!((mails_to(&house, "first@new.example"), mails_to(&house, TOGETHER)), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_the_companys_own_or_a_suppressed_one_is_no_new_address() {
    let own = "\n[addresses]\nown_domains = [\"northwind.example\"]\nsuppressed = \"never.txt\"\n\n\
               [notice]\n";
    let campaign = campaign_file("").replace("\n[notice]\n", own);
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    std::fs::write(house.path("never.txt"), "never@post.example\n").unwrap();
    let row = "customer_id,name,email\nC0000001,Ana,ana@post.example\n";
    std::fs::write(house.path("affected.csv"), row).unwrap();
    house.seal().await;
    let number = [house.number("C0000001").await];
    for (address, reason) in [
        ("ana@northwind.example", "own-mailbox"),
        ("Never@post.example", "suppressed"),
        ("ana@gone.invalid", "dead-domain"),
    ] {
        let who = [crate::harness::ANN, crate::harness::BOB];
        let refused = house.amend_as(&number, to(address), ("moved", "ticket 1"), &who).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(&format!("is not mailed ({reason}")), "{refused}");
        assert!(!refused.contains("ana@") && !refused.contains("ever@"), "{refused}");
    }
}
