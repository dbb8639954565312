//! The points of a seal: each is stopped by a trigger of our own database. (After the flip, before the staging
//! file is removed: `seal/again.rs`; kills at random moments: `scripts/crash`.)

use std::fmt::Write as _;

use forthwith::engine::progress::Silent;

use crate::harness::tampering::{execute, query};
use crate::harness::{CAMPAIGN, House, Plan};

/// People: more than one slice of 5,000.
const PEOPLE: i64 = 6_000;

/// What it is, the trigger's event, and how many people are copied then.
const POINTS: [(&str, &str, i64); 7] = [
    ("staged, before the seal is begun", "INSERT ON seal", 0),
    ("before the first slice", "INSERT ON recipient", 0),
    ("between two slices", "INSERT ON recipient WHEN NEW.number >= 6500", 5_000),
    ("before the accounts' look-up", "INSERT ON account_lookup", PEOPLE),
    ("before the addresses' look-up", "INSERT ON address_lookup", PEOPLE),
    ("before the chunks", "INSERT ON chunk", PEOPLE),
    ("before the flip", "UPDATE OF seal_id ON campaign WHEN NEW.seal_id IS NOT NULL", PEOPLE),
];

async fn count(house: &House, table: &str) -> i64 {
    let sql = format!("SELECT COUNT(*) FROM {table}");
    let found: Vec<(i64,)> = query(&house.database(), &sql).await;
    found[0].0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_at_each_point_of_a_seal_shows_it_to_nobody_and_is_finished_by_the_next_one() {
    let mut rows = String::from("customer_id,name,email\n");
    for person in 0..PEOPLE {
        writeln!(rows, "A{person},Ana,a{person}@one.example").unwrap();
    }
    for (what, event, copied) in POINTS {
        let house = House::furnished(Plan { customers: 1, ..Plan::default() }).await;
        std::fs::write(house.path("affected.csv"), &rows).unwrap();
        let stop =
            format!("CREATE TRIGGER stop BEFORE {event} BEGIN SELECT RAISE(ABORT, 'stop'); END");
        execute(&house.database(), &stop).await;
        let stopped = house.engine.seal(CAMPAIGN, &Silent).await.map(|_| ()).unwrap_err();
        assert!(stopped.to_string().contains("stop"), "{what}: {stopped}");
        assert_eq!(count(&house, "recipient").await, copied, "{what}");
        assert!(house.engine.status(CAMPAIGN).await.is_err(), "{what}: nobody reads it");
        assert!(house.path("data/thaw.staging").exists(), "{what}: what was loaded is kept");

        execute(&house.database(), "DROP TRIGGER stop").await;
        let sealed = house.engine.seal(CAMPAIGN, &Silent).await.unwrap();
        assert!(sealed.row.totals.balances(), "{what}: {:?}", sealed.row.totals);
        assert_eq!(sealed.row.totals.sealed, PEOPLE.unsigned_abs(), "{what}");
        for (table, rows) in [
            ("recipient", PEOPLE),
            ("account_lookup", PEOPLE),
            ("address_lookup", PEOPLE),
            ("seal", 1),
        ] {
            assert_eq!(count(&house, table).await, rows, "{what}: {table}");
        }
        assert!(!house.path("data/thaw.staging").exists(), "{what}");
        let people = house.status().await.deliveries;
        assert!(people.balances() && people.queued == PEOPLE.unsigned_abs(), "{what}: {people:?}");
    }
}
