//! Old requests for codes are forgotten, with what belongs to them, and nothing else is.

use std::sync::Arc;

use forthwith::domain::clock::{Clock, ManualClock, SystemClock};
use forthwith::engine::progress::Silent;
use forthwith::store::credentials::Pick;
use jiff::SignedDuration;

use super::NEW;
use crate::harness::tampering::{execute, query};
use crate::harness::visitor::{address, ask};
use crate::harness::{House, Plan};

async fn count(house: &House, sql: &str) -> i64 {
    query::<(i64,)>(&house.database(), &format!("SELECT COUNT(*) FROM {sql}")).await[0].0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_later_a_request_is_gone_and_the_reset_it_led_to_is_not() {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let house =
        House::ready(Plan { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..Plan::default() }).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let served = house.portal().await;
    let visitor = served.visitor();
    let form = house.prove(&served, &visitor, 10).await;
    let done = visitor.send_and_wait(&form, &[("password", NEW)]).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
    ask(&served.visitor(), &address(11)).await;
    served.post().await;
    ask(&served.visitor(), "nobody@nowhere.example").await;
    served.post().await;
    assert_eq!(served.portal.forget().await.unwrap(), 0);
    clock.advance(SignedDuration::from_hours(6 * 24));
    let code_page = ask(&served.visitor(), &address(12)).await;
    served.post().await;
    assert_eq!(served.portal.forget().await.unwrap(), 0, "six days are not seven");
    clock.advance(SignedDuration::from_hours(25));
    let errands = count(&house, "errand").await;
    assert_eq!(served.portal.forget().await.unwrap(), 3);
    assert_eq!(count(&house, "code_request").await, 1, "the newest stays");
    assert_eq!(code_page.path, "/reset/code");
    assert_eq!(count(&house, "code_account").await, 1);
    assert_eq!(count(&house, "errand").await, errands, "that a mail went out is kept");
    assert_eq!(count(&house, "errand WHERE request_id IS NOT NULL").await, 1);
    let kept = count(&house, "reset WHERE state = 'done' AND request_id IS NOT NULL").await;
    assert_eq!(kept, 1, "what proved the person is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_old_requests_is_forgotten_in_small_parts() {
    let house = super::secured().await;
    let served = house.portal().await;
    let flood = "WITH RECURSIVE n (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n WHERE at < 7001)
         INSERT INTO code_request (visit, address, network, locale, requested_at, answer)
         SELECT randomblob(16), randomblob(16), randomblob(16), 'en', at, 'unknown' FROM n";
    execute(&house.database(), flood).await;
    assert_eq!(served.portal.forget().await.unwrap(), 5_000);
    assert_eq!(served.portal.forget().await.unwrap(), 2_001);
    assert_eq!(served.portal.forget().await.unwrap(), 0);
}
