//! Mode `link`: the salt of a link made in the gap is lost with the database, so its bytes cannot be made
//! again and its token opens nothing.

use std::collections::BTreeSet;

use forthwith::engine::progress::Silent;
use forthwith::engine::resolve::Verdict;

use crate::harness::link::{link_file, ready};
use crate::harness::rewound::{backed_up, copies, put_back, recover, reopened, run_on};
use crate::harness::tampering::query;
use crate::harness::{ANN, CAMPAIGN, House, Plan, person};

use super::of_campaign;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_doubtful_link_of_the_gap_is_sent_again_only_as_a_new_notice() {
    let campaign = link_file("").replace("per_second = 2000", "per_second = 150");
    let plan = Plan {
        customers: 300,
        campaign,
        // somebody of the second half
        faults: vec!["drop-after-dot:to=customer150@*:times=1"],
        ..Plan::default()
    };
    let house = ready(plan).await;
    let backup = backed_up(&house).await;
    let mailed = links(&house, MAILED).await;
    put_back(&house, &backup);
    let known = links(&house, ISSUED).await;
    let lost = mailed.difference(&known).count() as u64;
    assert!(lost > 20, "{lost}");
    let engine = reopened(&house).await;
    let report = recover(&engine, &[]).await.unwrap();
    let line = of_campaign(&report);
    assert!(report.is_proved && line.links_unknown > 20, "{line:?}");
    // whoever got no link is counted as well: a journal does not say
    assert!(line.links_unknown + line.links_in_doubt >= lost, "{lost} {line:?}");
    let engine = reopened(&house).await;
    let doubts = engine.doubts(CAMPAIGN).await.unwrap();
    if line.links_in_doubt > 0 {
        let signer = engine.signer(person(ANN)).await.unwrap();
        let settled = engine
            .resolve_all(CAMPAIGN, Verdict::NotSent, "the relay has none", &signer, &Silent)
            .await
            .unwrap();
        assert_eq!(settled.renewed, line.links_in_doubt, "{settled:?} {doubts:?}");
    }
    run_on(&engine).await;
    let people = engine.status(CAMPAIGN).await.unwrap().deliveries;
    assert_eq!(people.reasons.get("held/content"), None, "{people:?}");
    assert_eq!(people.machine_open(), 0, "{people:?}");
    let twice = copies(&house).values().filter(|copies| **copies > 1).count() as u64;
    assert!(twice <= line.links_in_doubt, "{twice}");
}

/// Links that a relay took: one that was issued and never came to the wire is in nobody's mailbox.
const MAILED: &str =
    "SELECT number, generation FROM reset_token JOIN outcome USING (campaign_id, number, generation)
     WHERE result = 'accepted'";

/// Links whose salt the database holds. One that was on the wire when the backup was made is among
/// them, and the ordinary start settles it from the journal: it is no part of the gap.
const ISSUED: &str = "SELECT number, generation FROM reset_token";

async fn links(house: &House, sql: &str) -> BTreeSet<(i64, i64)> {
    query(&house.database(), sql).await.into_iter().collect()
}
