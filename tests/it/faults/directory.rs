//! A directory that fails for some accounts, or for a while.

use std::sync::Arc;

use forthwith::domain::clock::ManualClock;
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::store::credentials::Pick;

use super::sums_hold;
use crate::harness::tampering::{execute, hours, query, standing_clock};
use crate::harness::{House, Plan, campaign_file};

/// Refuses to write these accounts, as a trigger of the company's would.
fn refuses(whom: &str) -> String {
    format!(
        "CREATE TRIGGER refuse BEFORE UPDATE OF password_hash ON customer WHEN NEW.id IN ({whom})
         BEGIN SELECT RAISE(ABORT, 'legal hold'); END"
    )
}

const LEGAL_HOLD: &str = "'C0000030', 'C0000031', 'C0000047'";
const HELD: [&str; 3] = ["C0000030", "C0000031", "C0000047"];

async fn house_of(clock: &Arc<ManualClock>) -> House {
    let campaign = campaign_file("")
        .replace("name = \"shop\"", "name = \"shop\"\ngive_up_after = \"12h\"")
        .replace("sqlite:shop.db\"", "sqlite:shop.db\"\nbatch = 16");
    let plan = Plan { campaign, clock: Arc::clone(clock) as _, ..Plan::default() };
    House::ready(plan).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accounts_that_the_directory_refuses_end_failed_and_keep_nobody_from_being_secured_or_told()
{
    let clock = standing_clock();
    let house = house_of(&clock).await;
    execute(&house.shop, &refuses(LEGAL_HOLD)).await;
    let before = house.hash_of("C0000031").await;
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "the others are told: {report:?}");
    assert_eq!(house.hash_of("C0000031").await, before);
    for account in HELD {
        let (class, reason) = house.credential_of(account).await;
        assert_eq!(class, "failed", "{account}");
        assert!(reason.contains("a trigger refused it"), "{account}: {reason}");
        assert!(!reason.contains("legal hold"), "its text may quote a stored value: {reason}");
        assert_eq!(house.delivery_of(account).await, ("held", "credential".into()), "{account}");
    }
    let status = house.status().await;
    assert_eq!(status.credentials.get("password/failed"), Some(&3), "{status:?}");
    assert_eq!(status.credentials.get("password/pending").copied().unwrap_or(0), 0);
    assert_eq!(status.deliveries.reasons.get("held/credential"), Some(&3), "{status:?}");
    assert!(report.notes[0].contains("3 credentials could not be expired"), "{report:?}");
    assert!(report.notes[0].contains("hint:") && report.notes[0].contains("--retry-failed"));
    sums_hold(&house.engine).await;

    // Given up, they are told the truth; nothing of the pass has to end first.
    hours(&clock, 13);
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    let people = sums_hold(&house.engine).await;
    assert_eq!(people.held, 0, "{people:?}");
    let mail = house.mails().into_iter().find(|mail| mail.contains("customer31@")).unwrap();
    assert!(mail.replace("=\r\n", "").contains("have not yet been able"), "{mail}");

    // Once the company lets them be written they are expired like all others.
    execute(&house.shop, "DROP TRIGGER refuse").await;
    assert_eq!(house.secure(Pick::Failed, &Silent).await.unwrap().settled, 3);
    for account in HELD {
        assert_eq!(house.credential_of(account).await.0, "expired", "{account}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_cannot_be_ended_takes_the_whole_write_back_and_fails_its_account_alone() {
    let house = house_of(&standing_clock()).await;
    execute(
        &house.shop,
        "INSERT INTO session (customer_id) VALUES ('C0000030');
         CREATE TRIGGER refuse BEFORE DELETE ON session WHEN OLD.customer_id = 'C0000030'
         BEGIN SELECT RAISE(ABORT, 'kept'); END",
    )
    .await;
    let before = house.hash_of("C0000030").await;
    let report = house.secure(Pick::Pending, &Silent).await.unwrap();
    assert!(report.is_done, "{report:?}");
    assert_eq!(report.totals.get("password/failed"), Some(&1), "{report:?}");
    let (class, reason) = house.credential_of("C0000030").await;
    assert_eq!(class, "failed");
    assert_eq!(
        house.hash_of("C0000030").await,
        before,
        "password and sessions are one transaction"
    );
    assert!(reason.contains("directory.sql.sessions.end failed"), "{reason}");
    execute(&house.shop, "DROP TRIGGER refuse").await;
    assert_eq!(house.secure(Pick::Failed, &Silent).await.unwrap().settled, 1);
    assert_eq!(house.credential_of("C0000030").await.0, "expired");
    let twice =
        "SELECT COUNT(*) FROM (SELECT 1 FROM credential_write GROUP BY number HAVING COUNT(*) > 1)";
    let twice: Vec<(i64,)> = query(&house.database(), twice).await;
    assert_eq!(twice[0].0, 0, "our own write is known again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_refuses_every_account_of_a_first_batch_stops_the_pass_and_fails_nobody() {
    let house = house_of(&standing_clock()).await;
    execute(
        &house.shop,
        "CREATE TRIGGER refuse BEFORE UPDATE OF password_hash ON customer
         BEGIN SELECT RAISE(ABORT, 'closed'); END",
    )
    .await;
    let refused = house.run_refused().await;
    assert!(refused.contains("directory.sql.password.expire"), "{refused}");
    assert!(refused.contains("hint: "), "{refused}");
    let status = house.status().await;
    assert_eq!(status.credentials.get("password/failed").copied().unwrap_or(0), 0, "{status:?}");
    execute(&house.shop, "DROP TRIGGER refuse").await;
    assert!(house.run().await.unwrap().is_finished);
    let status = house.status().await;
    assert_eq!(status.credentials.get("password/failed").copied().unwrap_or(0), 0, "{status:?}");
}

/// SQLite locks the whole file; that rows of one account are locked is played on the servers
/// (`tests/it/databases`). A lock that lasts stops the pass, says so, and nobody is failed for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_directory_fails_nobody_and_the_next_pass_goes_on() {
    use sqlx::Connection as _;
    let house = House::furnished(Plan { customers: 40, ..Plan::default() }).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&house.shop);
    let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let pass = house.secure(Pick::Pending, &Silent);
    let refused = pass.await.unwrap_err().to_string();
    assert!(refused.contains("others hold locks"), "{refused}");
    assert!(refused.contains("hint: run it again"), "{refused}");
    let status = house.status().await;
    assert_eq!(status.credentials.get("password/failed").copied().unwrap_or(0), 0, "{status:?}");
    other.close().await.unwrap();
    let report = house.secure(Pick::Pending, &Silent).await.unwrap();
    assert!(report.is_done, "{report:?}");
    assert_eq!(report.totals.get("password/failed").copied().unwrap_or(0), 0, "{report:?}");
}
