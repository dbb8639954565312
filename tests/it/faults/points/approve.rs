//! The points of an approval: plan, first signature, second signature, waves.

use forthwith::domain::track::Track;

use super::super::{everybody_is_told, sums_hold};
use crate::harness::tampering::{execute, query};
use crate::harness::{ANN, BOB, CAMPAIGN, House, Plan};

/// What it is, the trigger's event, and how many signatures of the notice stand when it is stopped there.
const POINTS: [(&str, &str, i64); 4] = [
    ("before the snapshot is kept", "INSERT ON snapshot", 0),
    ("after the snapshot, before the first signature", "INSERT ON approval", 0),
    (
        "after the first signature, before the second",
        "INSERT ON approval WHEN (SELECT COUNT(*) FROM approval WHERE kind = 'notice') > 0",
        1,
    ),
    ("with the second signature, before the waves", "INSERT ON wave", 1),
];

async fn signatures(house: &House) -> i64 {
    let sql = "SELECT COUNT(*) FROM approval WHERE kind = 'notice'";
    let found: Vec<(i64,)> = query(&house.database(), sql).await;
    found[0].0
}

async fn plan_and_sign(house: &House) -> Result<(), String> {
    let told = |error: forthwith::engine::EngineError| error.to_string();
    house.engine.plan(CAMPAIGN, Track::Notice, false).await.map_err(told)?;
    for who in [ANN, BOB] {
        let signer = house.engine.signer(crate::harness::person(who)).await.map_err(told)?;
        house.engine.approve(CAMPAIGN, Track::Notice, &signer).await.map_err(told)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_at_each_point_of_an_approval_lets_nobody_be_told_and_goes_on_where_it_stopped() {
    for (what, event, signed) in POINTS {
        let house = House::furnished(Plan::default()).await;
        house.seal().await;
        house.approve(Track::Containment).await;
        house.keep_sealed_rows().await;
        let stop =
            format!("CREATE TRIGGER stop BEFORE {event} BEGIN SELECT RAISE(ABORT, 'stop'); END");
        execute(&house.database(), &stop).await;
        let stopped = plan_and_sign(&house).await.unwrap_err();
        assert!(stopped.contains("stop"), "{what}: {stopped}");
        assert_eq!(signatures(&house).await, signed, "{what}");
        execute(&house.database(), "DROP TRIGGER stop").await;

        let report = house.run().await.unwrap();
        assert!(!report.is_finished, "{what}: {report:?}");
        assert!(report.notes.iter().any(|note| note.contains("is not approved yet")), "{what}");
        assert_eq!(house.taken().len(), 0, "{what}: nobody is told");
        sums_hold(&house.engine).await;

        if signed == 0 {
            house.approve(Track::Notice).await;
        } else {
            assert!(house.sign(Track::Notice, BOB).await.unwrap(), "{what}: the first one counts");
        }
        assert!(house.run().await.unwrap().is_finished, "{what}");
        everybody_is_told(&house, &house.engine, 0).await;
    }
}
