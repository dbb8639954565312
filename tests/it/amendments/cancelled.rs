//! A campaign that is cancelled after people were amended: who was told before stays told.

use forthwith::domain::amendment::{Change, Channel};
use forthwith::engine::progress::Silent;

use super::{ready, sums_hold, to};
use crate::harness::{ANN, CAMPAIGN, House, Plan, person};

async fn class_of(house: &House, account: &str) -> String {
    let (class, reason) = house.delivery_of(account).await;
    format!("{class}/{reason}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_told_or_may_have_been_is_reached_by_the_correction() {
    // Cy's notice is taken each time, and the answer never arrives.
    let house = ready(Plan { faults: vec!["drop-after-dot:to=cy@*"], ..Plan::default() }).await;
    assert!(house.run().await.unwrap().is_finished);
    let before = house.status().await.deliveries;
    assert_eq!((class_of(&house, "C0000003").await, before.in_doubt), ("in-doubt/held".into(), 1));
    house.amended("C0000001", to("ana@new.example")).await;
    house.amended("C0000002", to("bo@new.example")).await;
    house.amended("C0000002", Change::Hold).await;
    house.amended("C0000003", Change::ChangeChannel(Channel::Post)).await;
    house.amended("C0000009", to("ida@new.example")).await;

    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let cancelled =
        house.engine.cancel(CAMPAIGN, "the wrong list", &signer, &Silent).await.unwrap();
    assert_eq!((cancelled.told, cancelled.possibly_told), (before.told, 1), "{cancelled:?}");
    for (account, class) in [
        ("C0000001", "told/accepted"),
        ("C0000002", "told/accepted"),
        ("C0000003", "in-doubt/held"),
        ("C0000009", "waived/cancelled"),
        ("C0000010", "waived/cancelled"),
    ] {
        assert_eq!(class_of(&house, account).await, class, "{account}");
    }
    sums_hold(&house).await;
}
