//! Every kind of person at once: each line of the sums is the generator's number.

use std::collections::BTreeMap;

use forthwith::domain::track::Track;

use crate::harness::crowd::{CAMPAIGN_FILE, Crowd, GONE};
use crate::harness::{CAMPAIGN, House, Plan};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_of_every_kind_end_as_the_generator_counted_them() {
    let crowd = Crowd::of(50_000, 2012);
    let plan = Plan {
        customers: 1,
        faults: vec![GONE],
        campaign: CAMPAIGN_FILE.to_owned(),
        ..Plan::default()
    };
    let house = House::furnished(plan).await;
    let marker = house.engine.store.identity().await.unwrap().database_id.to_string();
    std::fs::remove_file(&house.shop).unwrap();
    crowd.settle_in(house.dir.path(), &marker).await;

    house.seal().await;
    let sealed = house.engine.standing(CAMPAIGN).await.unwrap();
    let source = sealed.source;
    assert_eq!(source.rows, crowd.source_rows());
    assert_eq!(
        (source.sealed, source.duplicates, source.conflicts, source.rejected),
        (crowd.sealed, crowd.duplicates, crowd.conflicts, crowd.rejected)
    );
    assert_eq!(sealed.names_refused, crowd.names_refused);

    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    let report = house.run().await.unwrap();
    assert!(report.is_finished);

    let ended = house.engine.standing(CAMPAIGN).await.unwrap();
    assert!(ended.deliveries.balances());
    let expected: BTreeMap<String, u64> =
        crowd.deliveries.iter().map(|(label, count)| ((*label).to_owned(), *count)).collect();
    assert_eq!(ended.deliveries.reasons, expected);
    let credentials: BTreeMap<&str, u64> = ended
        .credentials
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(label, count)| (label.as_str(), *count))
        .collect();
    assert_eq!(credentials, crowd.credentials);
    assert_eq!(house.taken().len() as u64, crowd.mails);
}
