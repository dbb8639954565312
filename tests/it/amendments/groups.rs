//! Amendments of people who share a notice, or have a second address.

use std::fmt::Write as _;

use forthwith::domain::amendment::Change;
use forthwith::domain::track::Track;

use super::{mails_to, sums_hold, to};
use crate::harness::{House, Plan};

const TOGETHER: &str = "family@post.example";

/// Eight accounts at one address: the first carries the others.
async fn together() -> House {
    let house = House::furnished(Plan::default()).await;
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
    let house = together().await;
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
    let house = together().await;
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
async fn an_address_of_the_companys_own_or_a_suppressed_one_is_no_new_address() {
    let own = "\n[addresses]\nown_domains = [\"northwind.example\"]\nsuppressed = \"never.txt\"\n\n\
               [notice]\n";
    let campaign = crate::harness::campaign_file("").replace("\n[notice]\n", own);
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
