//! Re-checks that meet trouble: a wrong statement, another one in the way, a directory that is refused.

use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::journal::WorkerLock;
use forthwith::store::credentials::Pick;
use tokio_util::sync::CancellationToken;

use super::{dated, recheck, secured};
use crate::harness::tampering::{Notes, execute, hours, query, standing_clock};
use crate::harness::{CAMPAIGN, House, Plan, view_that_updates};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mend_by_a_wrong_statement_stops_on_a_first_batch_however_few_each_page_has() {
    let campaign = dated("first_batch = 5")
        .replace("sqlite:shop.db\"", "sqlite:shop.db\"\nbatch = 20")
        .replace("UPDATE customer SET", "UPDATE login SET")
        .replace("customer.id =", "login.id =")
        .replace("customer.password_hash =", "login.password_hash =");
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    execute(&house.shop, &view_that_updates("id = NEW.id")).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    assert!(house.secure(Pick::Pending, &Silent).await.unwrap().is_done);
    // of the first 20 that are read one has come back, of the others all; and by now each mend hits
    // an account of nobody's
    let others =
        "INSERT INTO customer SELECT 'X' || id, name, email, 'untouched', password_changed_at
        FROM customer";
    execute(&house.shop, others).await;
    let mut expired = Vec::new();
    for place in 1..=60 {
        let id = format!("C{place:07}");
        if house.credential_of(&id).await.0 == "expired" {
            expired.push((house.number(&id).await, id));
        }
    }
    expired.sort();
    let some = expired.iter().take(1).chain(expired.iter().skip(20));
    let some: Vec<String> = some.map(|(_, id)| format!("'{id}'")).collect();
    let stolen = format!(
        "UPDATE customer SET password_hash = '$2b$12$FLnHlmdwV7DRGELvOWHtXeqmvNgwjKAcbxAOCEdB5lBX1HX' \
         || substr(id, 3) WHERE id IN ({})",
        some.join(", ")
    );
    assert!(execute(&house.shop, &stolen).await > 20);
    execute(&house.shop, &view_that_updates("id = 'X' || NEW.id")).await;
    let refused = recheck(&house).await.unwrap_err().to_string();
    assert!(
        refused.contains("of 5 accounts in the first batch, the read-back shows 5"),
        "{refused}"
    );
    let hit = "SELECT COUNT(*) FROM customer WHERE id LIKE 'X%' AND password_hash <> 'untouched'";
    let hit: Vec<(i64,)> = query(&house.shop, hit).await;
    assert_eq!(hit[0].0, 5);
    let status = house.status().await;
    assert_eq!((status.containment, status.containment_cause), ("paused", Some("read-back")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_re_check_elsewhere_keeps_nobody_from_being_told() {
    let clock = standing_clock();
    let plan = Plan { campaign: dated(""), clock: clock.clone(), ..Plan::default() };
    let house = secured(plan).await;
    hours(&clock, 2);
    let _other = WorkerLock::acquire(&house.engine.workspace.recheck_lock()).unwrap();
    let notes = Notes::default();
    let report = house.engine.run(CAMPAIGN, &notes, &CancellationToken::new()).await.unwrap();
    assert!(report.is_finished && report.totals.told > 50, "{report:?}");
    assert!(notes.said().contains("no re-check now: a re-check is under way"), "{}", notes.said());
    assert!(house.status().await.recheck.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_given_up_no_refusal_of_a_re_check_silences_anybody() {
    let clock = standing_clock();
    let campaign = dated("give_up_after = \"72h\"\ncontrol_accounts = [\"K1\"]");
    let house = House::furnished(Plan { campaign, clock: clock.clone(), ..Plan::default() }).await;
    let control =
        "INSERT INTO customer SELECT 'K1', name, email, password_hash, password_changed_at
        FROM customer WHERE id = 'C0000001'";
    execute(&house.shop, control).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    let closed = "CREATE TRIGGER closed BEFORE UPDATE ON customer
                  BEGIN SELECT RAISE(ABORT, 'read-only'); END";
    execute(&house.shop, closed).await;
    house.run_refused().await;
    assert_eq!(house.status().await.containment, "running");
    execute(&house.shop, "DELETE FROM customer WHERE id = 'K1'").await;
    hours(&clock, 71);
    assert!(house.run_refused().await.contains("holds a credential of kind password"));
    hours(&clock, 2);
    let notes = Notes::default();
    let report = house.engine.run(CAMPAIGN, &notes, &CancellationToken::new()).await.unwrap();
    assert!(report.is_finished && report.totals.told > 50, "{report:?}");
    assert!(notes.said().contains("no re-check now"), "{}", notes.said());
}
