//! The points of one batch of the kill. Password and sessions are one transaction of the directory, so a stop
//! between them takes both back. After each stop the next pass ends with everybody expired, once, by the value
//! that was planned first.

use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::store::credentials::Pick;

use super::super::sums_hold;
use crate::harness::tampering::{execute, query};
use crate::harness::{House, Plan, campaign_file};

/// Where a trigger or a view stops the pass.
enum In {
    Ours,
    Shop,
}

/// One point: what it is, where it is stopped, by which SQL, and what lets it go on; then whether values are
/// planned, replaced, settled when it stands there.
struct Point {
    what: &'static str,
    stop: (In, &'static str, &'static str),
    planned: bool,
    replaced: bool,
    settled: bool,
}

const POINTS: [Point; 6] = [
    Point {
        what: "after the read, before the plan's commit",
        stop: (
            In::Ours,
            "CREATE TRIGGER stop BEFORE INSERT ON credential_write BEGIN SELECT RAISE(ABORT, 'stop'); END",
            "DROP TRIGGER stop",
        ),
        planned: false,
        replaced: false,
        settled: false,
    },
    Point {
        what: "after the plan's commit, before the compare-and-set",
        stop: (
            In::Shop,
            "CREATE TRIGGER stop BEFORE UPDATE OF password_hash ON customer
             BEGIN SELECT RAISE(ABORT, 'stop'); END",
            "DROP TRIGGER stop",
        ),
        planned: true,
        replaced: false,
        settled: false,
    },
    Point {
        what: "after the compare-and-set, before the sessions",
        stop: (
            In::Shop,
            "INSERT INTO session (customer_id) SELECT id FROM customer;
             CREATE TRIGGER stop BEFORE DELETE ON session BEGIN SELECT RAISE(ABORT, 'stop'); END",
            "DROP TRIGGER stop",
        ),
        planned: true,
        replaced: false,
        settled: false,
    },
    Point {
        what: "after the sessions, before the read-back",
        stop: (
            In::Shop,
            "CREATE TRIGGER stop AFTER UPDATE OF password_hash ON customer
             BEGIN UPDATE flag SET stopped = 1; END",
            "DROP TRIGGER stop; UPDATE flag SET stopped = 0",
        ),
        planned: true,
        replaced: true,
        settled: false,
    },
    Point {
        what: "after the read-back, before the classes are settled",
        stop: (
            In::Ours,
            "CREATE TRIGGER stop BEFORE INSERT ON credential BEGIN SELECT RAISE(ABORT, 'stop'); END;
             CREATE TRIGGER stop_too BEFORE UPDATE ON credential
             BEGIN SELECT RAISE(ABORT, 'stop'); END",
            "DROP TRIGGER stop; DROP TRIGGER stop_too",
        ),
        planned: true,
        replaced: true,
        settled: false,
    },
    Point {
        what: "after a batch was settled, before the next one",
        stop: (
            In::Ours,
            "CREATE TRIGGER stop BEFORE INSERT ON credential_write
             WHEN (SELECT COUNT(*) FROM credential) > 0 BEGIN SELECT RAISE(ABORT, 'stop'); END",
            "DROP TRIGGER stop",
        ),
        planned: true,
        replaced: true,
        settled: true,
    },
];

/// Reads through a view that can be made to fail; writes go to the table.
async fn contained() -> House {
    let campaign = campaign_file("")
        .replace("JOIN customer AS c ON", "JOIN seen AS c ON")
        .replace("sqlite:shop.db\"", "sqlite:shop.db\"\nbatch = 16");
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    execute(
        &house.shop,
        "CREATE TABLE flag (stopped INTEGER NOT NULL); INSERT INTO flag VALUES (0);
         CREATE VIEW seen AS SELECT id,
             CASE WHEN (SELECT stopped FROM flag) THEN json('{') ELSE password_hash END
             AS password_hash FROM customer",
    )
    .await;
    house.seal().await;
    house.approve(Track::Containment).await;
    house
}

async fn hashes(house: &House) -> Vec<(String, Option<String>)> {
    query(&house.shop, "SELECT id, password_hash FROM customer ORDER BY id").await
}

async fn count(house: &House, sql: &str) -> i64 {
    let found: Vec<(i64,)> = query(&house.database(), sql).await;
    found[0].0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_at_each_point_of_a_batch_is_made_good_by_the_next_pass_with_the_same_values() {
    for point in POINTS {
        let what = point.what;
        let house = contained().await;
        let before = hashes(&house).await;
        let (place, stop, go) = point.stop;
        let file = match place {
            In::Ours => house.database(),
            In::Shop => house.shop.clone(),
        };
        execute(&file, stop).await;
        let stopped = house.secure(Pick::Pending, &Silent).await.unwrap_err().to_string();
        assert!(!stopped.is_empty(), "{what}");
        let there = hashes(&house).await;
        let replaced = there.iter().zip(&before).filter(|(now, was)| now != was).count();
        let planned = count(&house, "SELECT COUNT(*) FROM credential_write").await;
        let settled =
            count(&house, "SELECT COUNT(*) FROM credential WHERE class = 'expired'").await;
        assert_eq!(planned > 0, point.planned, "{what}: {planned} planned");
        assert_eq!(replaced > 0, point.replaced, "{what}: {replaced} replaced");
        assert_eq!(settled > 0, point.settled, "{what}: {settled} settled");
        assert!(
            i64::try_from(replaced).unwrap() <= planned,
            "{what}: never a kill that was not planned"
        );
        sums_hold(&house.engine).await;

        execute(&file, go).await;
        let report = house.secure(Pick::Pending, &Silent).await.unwrap();
        assert!(report.is_done, "{what}: {report:?}");
        for class in ["failed", "changed-since", "pending"] {
            let left = report.totals.get(&format!("password/{class}")).copied().unwrap_or(0);
            assert_eq!(left, 0, "{what}: {report:?}");
        }
        let twice = "SELECT COUNT(*) FROM
                     (SELECT 1 FROM credential_write GROUP BY number HAVING COUNT(*) > 1)";
        assert_eq!(count(&house, twice).await, 0, "{what}: the same value at each try");
        let after = hashes(&house).await;
        for (was, (now, old)) in there.iter().zip(after.iter().zip(&before)) {
            assert!(was == old || was == now, "{what}: what was replaced stays replaced");
            assert!(old.1.is_none() || old != now, "{what}: {} is expired", now.0);
        }
        sums_hold(&house.engine).await;
    }
}
