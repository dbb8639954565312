//! Amendments of people whose credential could not be expired.

use forthwith::domain::amendment::Change;
use forthwith::domain::track::Track;
use forthwith::store::credentials::Pick;

use super::{sealed, sums_hold, to};
use crate::harness::tampering::{Notes, execute, hours, standing_clock};
use crate::harness::{House, Plan, campaign_file};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_released_to_an_address_or_with_a_credential_that_forbids_it() {
    let csv = "customer_id,name,email\n\
               C0000001,Ana,\n\
               C0000001,Ana,ana@post.example\n\
               C0000002,Bo,bo@post.example\n\
               C0000002,Bo,other@post.example\n";
    let house = House::furnished(Plan::default()).await;
    std::fs::write(house.path("affected.csv"), csv).unwrap();
    let spoil = "UPDATE customer SET password_hash = 'no known form' WHERE id = 'C0000002'";
    execute(&house.shop, spoil).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    let nothing = Notes::default();
    house.secure(Pick::Pending, &nothing).await.unwrap();
    house.amended("C0000001", Change::Release).await;
    house.amended("C0000002", Change::Release).await;
    assert_eq!(house.delivery_of("C0000001").await, ("fallback", "address:missing".into()));
    assert_eq!(house.delivery_of("C0000002").await, ("held", "credential".into()));
    let said = house.not_amended("C0000002", Change::Release).await;
    assert!(said.contains("`forthwith secure run --retry-failed`"), "{said}");
    sums_hold(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_given_up_nobody_is_held_for_a_credential_by_an_amendment() {
    let clock = standing_clock();
    let campaign = campaign_file("")
        .replace("name = \"shop\"\n", "name = \"shop\"\ngive_up_after = \"72h\"\n");
    let house = sealed(Plan { clock: clock.clone(), campaign, ..Plan::default() }).await;
    let spoil = "UPDATE customer SET password_hash = 'no known form'
                 WHERE id IN ('C0000002', 'C0000003', 'C0000008')";
    execute(&house.shop, spoil).await;
    house.approve(Track::Containment).await;
    house.amended("C0000002", Change::Hold).await;
    let nothing = Notes::default();
    house.secure(Pick::Pending, &nothing).await.unwrap();
    house.amended("C0000002", Change::Release).await;
    assert_eq!(house.delivery_of("C0000002").await, ("held", "credential".into()));
    hours(&clock, 73);
    house.amended("C0000008", Change::Release).await;
    assert_eq!(house.delivery_of("C0000008").await, ("queued", String::new()));
    house.amended("C0000003", to("cy@new.example")).await;
    assert_eq!(house.delivery_of("C0000003").await, ("queued", String::new()));
    sums_hold(&house).await;
}
