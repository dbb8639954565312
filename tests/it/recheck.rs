//! Re-checks: a restored backup brings stolen passwords back; each is seen, said and expired again, and
//! whoever set a new one is let be.

mod holds;
mod trouble;

use std::time::Duration;

use forthwith::directory::shop;
use forthwith::domain::track::Track;
use forthwith::engine::EngineError;
use forthwith::engine::progress::Silent;
use forthwith::engine::secure::RecheckReport;
use forthwith::secret::password::{self, Params, Password};
use forthwith::store::credentials::Pick;
use tokio_util::sync::CancellationToken;

use crate::harness::tampering::{Notes, execute, hours, query, standing_clock};
use crate::harness::{ANN, CAMPAIGN, House, Plan, binary, campaign_file};

/// The campaign whose read returns the shop's own change time.
fn dated(more: &str) -> String {
    campaign_file("")
        .replace("name = \"shop\"\n", &format!("name = \"shop\"\n{more}\n"))
        .replace("AS current FROM", "AS current, c.password_changed_at AS changed_at FROM")
}

async fn secured(plan: Plan) -> House {
    let house = House::ready(plan).await;
    std::fs::copy(&house.shop, house.path("backup.db")).unwrap();
    assert!(house.secure(Pick::Pending, &Silent).await.unwrap().is_done);
    house
}

fn restore(house: &House) {
    std::fs::copy(house.path("backup.db"), &house.shop).unwrap();
}

async fn recheck(house: &House) -> Result<RecheckReport, EngineError> {
    house.engine.recheck(CAMPAIGN, &Silent, &CancellationToken::new()).await
}

/// A person sets a new password on the company's own site.
async fn sets_new(house: &House, customer: &str, at: &str) {
    let word = Password::new(format!("quite new for {customer}"));
    let hash = password::hash(&word, Params::new(8, 1, 1).unwrap(), &mut rand::rng()).unwrap();
    let sql = format!(
        "UPDATE customer SET password_hash = '{hash}', password_changed_at = '{at}' WHERE id = '{customer}'"
    );
    assert_eq!(execute(&house.shop, &sql).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_backup_is_found_and_mended_and_new_passwords_are_let_be() {
    let house = secured(Plan { customers: 300, campaign: dated(""), ..Plan::default() }).await;
    let expired = house.status().await.credentials["password/expired"];
    assert!(expired > 270, "{expired}");
    assert_eq!(recheck(&house).await.unwrap().counts.fine, expired, "all is well before");

    restore(&house);
    assert!(shop::log_in(&house.shop, "C0000001", "old-password-1").await.unwrap(), "it is back");
    for place in 111..=120 {
        sets_new(&house, &format!("C{place:07}"), "2099-01-01T00:00:00Z").await;
    }
    let report = recheck(&house).await.unwrap();
    assert!(report.is_whole);
    let counts = report.counts;
    assert_eq!(
        (counts.checked, counts.fine, counts.reset_elsewhere),
        (expired, 0, 10),
        "{counts:?}"
    );
    assert_eq!((counts.regressed, counts.mended), (expired - 10, expired - 10), "{counts:?}");
    for place in [1, 2, 50, 299] {
        let (id, word) = (format!("C{place:07}"), format!("old-password-{place}"));
        assert!(!shop::log_in(&house.shop, &id, &word).await.unwrap(), "{id}");
    }
    assert!(shop::log_in(&house.shop, "C0000115", "quite new for C0000115").await.unwrap());
    assert_eq!(house.credential_of("C0000115").await.0, "reset-elsewhere");
    let status = house.status().await;
    assert_eq!(status.credentials["password/expired"], expired - 10);
    assert_eq!(status.credentials["password/reset-elsewhere"], 10);
    assert_eq!(status.recheck.unwrap().regressed, expired - 10);
    let left = "SELECT COUNT(*) FROM session JOIN customer ON customer.id = customer_id
        WHERE password_hash IS NOT NULL AND customer_id NOT BETWEEN 'C0000111' AND 'C0000120'";
    let left: Vec<(i64,)> = query(&house.shop, left).await;
    assert_eq!(left[0].0, 0, "their old sessions are gone again");
    let lines = house.ledger_lines().await;
    let of = |from: &str, to: &str| {
        let (from, to) = (format!("\"from\":\"{from}\""), format!("\"to\":\"{to}\""));
        lines.iter().filter(|line| line.contains(&from) && line.contains(&to)).count() as u64
    };
    assert_eq!(of("expired", "regressed"), expired - 10);
    assert_eq!(of("regressed", "expired"), expired - 10);
    assert!(lines.iter().any(|line| line.contains("\"kind\":\"rechecked\"")));

    let again = recheck(&house).await.unwrap().counts;
    assert_eq!((again.fine, again.regressed), (expired, 0), "{again:?}");
    // and the stolen password of somebody who had set a new one is a regression all the same
    restore(&house);
    let third = recheck(&house).await.unwrap().counts;
    assert_eq!((third.regressed, third.mended), (expired, expired), "{third:?}");
    assert_eq!(house.credential_of("C0000115").await.0, "expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unexplained_value_is_expired_again_and_one_with_evidence_is_not() {
    let clock = standing_clock();
    let plan = Plan { campaign: dated(""), clock: clock.clone(), ..Plan::default() };
    let house = secured(plan).await;
    hours(&clock, 1);
    sets_new(&house, "C0000001", "2026-03-02T12:30:00Z").await;
    sets_new(&house, "C0000002", "2026-03-02T11:59:59Z").await;
    let sql = "UPDATE customer SET password_hash = NULL WHERE id = 'C0000003'";
    execute(&house.shop, sql).await;
    execute(&house.shop, "DELETE FROM customer WHERE id = 'C0000004'").await;
    let counts = recheck(&house).await.unwrap().counts;
    assert_eq!((counts.regressed, counts.mended, counts.reset_elsewhere), (1, 1, 1), "{counts:?}");
    assert_eq!(house.credential_of("C0000001").await.0, "reset-elsewhere");
    assert_eq!(house.credential_of("C0000002").await.0, "expired", "dated before we expired it");
    assert!(!shop::log_in(&house.shop, "C0000002", "quite new for C0000002").await.unwrap());
    assert_eq!(house.credential_of("C0000003").await.0, "expired", "gone is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_through_us_is_fine_and_its_stolen_value_is_not() {
    let house = secured(Plan { campaign: dated(""), ..Plan::default() }).await;
    assert_eq!(house.reset(10, "harbour lantern fig").await.path, "/reset/done");
    let sql = "INSERT INTO session (customer_id) VALUES ('C0000010')";
    execute(&house.shop, sql).await;
    let counts = recheck(&house).await.unwrap().counts;
    assert_eq!((counts.fine, counts.regressed), (counts.checked, 0), "{counts:?}");
    assert_eq!(shop::sessions(&house.shop).await.unwrap(), 1, "their new session stays");
    restore(&house);
    recheck(&house).await.unwrap();
    assert_eq!(house.credential_of("C0000010").await.0, "expired");
    assert!(!shop::log_in(&house.shop, "C0000010", "old-password-10").await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_came_back_are_ended_again_unless_told_otherwise() {
    let back = "INSERT INTO session (customer_id) VALUES ('C0000013'), ('C0000013'), ('C0000007')";
    let house = secured(Plan { campaign: dated(""), ..Plan::default() }).await;
    execute(&house.shop, back).await;
    let counts = recheck(&house).await.unwrap().counts;
    assert_eq!((counts.regressed, counts.mended, counts.sessions), (1, 1, 1), "{counts:?}");
    assert_eq!(
        shop::sessions(&house.shop).await.unwrap(),
        1,
        "who has no password signs in elsewhere"
    );

    let plan = Plan { campaign: dated("recheck_sessions = false"), ..Plan::default() };
    let house = secured(plan).await;
    execute(&house.shop, back).await;
    assert_eq!(recheck(&house).await.unwrap().counts.regressed, 0);
    assert_eq!(shop::sessions(&house.shop).await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_re_check_that_dies_goes_on_and_never_takes_our_write_for_a_persons() {
    let notes_changes = "CREATE TRIGGER note AFTER UPDATE OF password_hash ON customer BEGIN
        UPDATE customer SET password_changed_at = '2099-01-01T00:00:00Z' WHERE id = NEW.id; END";
    let house = secured(Plan { campaign: dated("first_batch = 5"), ..Plan::default() }).await;
    let expired = house.status().await.credentials["password/expired"];
    restore(&house);
    execute(&house.shop, notes_changes).await;
    let crash = "CREATE TRIGGER crash BEFORE INSERT ON credential WHEN NEW.class = 'expired'
                 BEGIN SELECT RAISE(ABORT, 'the power goes'); END";
    execute(&house.database(), crash).await;
    recheck(&house).await.unwrap_err();
    assert_eq!(house.credential_of("C0000001").await.0, "regressed", "seen, written, not settled");
    let written = house.hash_of("C0000001").await;
    assert!(!shop::log_in(&house.shop, "C0000001", "old-password-1").await.unwrap());
    execute(&house.database(), "DROP TRIGGER crash").await;
    let report = recheck(&house).await.unwrap();
    assert!(report.is_whole && report.counts.reset_elsewhere == 0, "{report:?}");
    assert_eq!(house.hash_of("C0000001").await, written, "what was ours is not written again");
    assert_eq!(house.status().await.credentials["password/expired"], expired);
    let rows: Vec<(i64, Option<i64>)> =
        query(&house.database(), "SELECT id, ended_at FROM recheck").await;
    assert_eq!(rows.len(), 1, "the broken one went on: {rows:?}");
    assert!(rows[0].1.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_re_check_goes_on_where_it_was() {
    let file = dated("").replace("sqlite:shop.db\"", "sqlite:shop.db\"\nbatch = 10");
    let house = secured(Plan { campaign: file, ..Plan::default() }).await;
    let expired = house.status().await.credentials["password/expired"];
    let stop = CancellationToken::new();
    let token = stop.clone();
    let notes = Notes::with(move |_, _| token.cancel());
    let report = house.engine.recheck(CAMPAIGN, &notes, &stop).await.unwrap();
    assert_eq!((report.counts.checked, report.is_whole), (10, false));
    let report = recheck(&house).await.unwrap();
    assert_eq!((report.counts.checked, report.is_whole), (expired, true), "none read twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_cut_off_anywhere_never_takes_our_write_for_a_persons() {
    let notes_changes = "CREATE TRIGGER note AFTER UPDATE OF password_hash ON customer BEGIN
        UPDATE customer SET password_changed_at = '2012-01-20T00:00:00Z' WHERE id = NEW.id; END";
    let campaign = dated("policy = \"respect\"\nfirst_batch = 3")
        .replace("sqlite:shop.db\"", "sqlite:shop.db\"\nbatch = 7");
    let house = House::ready(Plan { campaign, ..Plan::default() }).await;
    execute(&house.shop, notes_changes).await;
    // the future is dropped wherever it happens to be: between note and write, write and settling
    for cut in 1..40 {
        let work = house.secure(Pick::Pending, &Silent);
        let _ = tokio::time::timeout(Duration::from_millis(cut), work).await;
    }
    let report = house.secure(Pick::Pending, &Silent).await.unwrap();
    assert!(report.is_done, "{report:?}");
    assert_eq!(report.totals.get("password/changed-since").copied().unwrap_or(0), 0, "{report:?}");
    assert_eq!(report.totals.get("password/failed").copied().unwrap_or(0), 0, "{report:?}");
    assert_eq!(recheck(&house).await.unwrap().counts.regressed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_cut_off_before_its_write_writes_the_same_value_later() {
    let house =
        House::ready(Plan { campaign: dated("policy = \"respect\""), ..Plan::default() }).await;
    let closed = "CREATE TRIGGER closed BEFORE UPDATE ON customer
                  BEGIN SELECT RAISE(ABORT, 'the power goes'); END";
    execute(&house.shop, closed).await;
    house.secure(Pick::Pending, &Silent).await.unwrap_err();
    let noted = "SELECT COUNT(*) FROM credential_write";
    let before: Vec<(i64,)> = query(&house.database(), noted).await;
    assert!(before[0].0 > 10, "noted and not written");
    execute(&house.shop, "DROP TRIGGER closed").await;
    let report = house.secure(Pick::Pending, &Silent).await.unwrap();
    assert!(report.is_done && !report.totals.contains_key("password/changed-since"), "{report:?}");
    let twice =
        "SELECT COUNT(*) FROM (SELECT 1 FROM credential_write GROUP BY number HAVING COUNT(*) > 1)";
    let twice: Vec<(i64,)> = query(&house.database(), twice).await;
    assert_eq!(twice[0].0, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_re_checked_while_paused_or_before_the_pass_or_twice_at_once() {
    let house = House::ready(Plan { campaign: dated(""), ..Plan::default() }).await;
    let refused = recheck(&house).await.unwrap_err().to_string();
    assert!(refused.contains("nothing of `thaw` is expired yet"), "{refused}");
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let lock = house.engine.workspace.recheck_lock();
    let held = forthwith::journal::WorkerLock::acquire(&lock).unwrap();
    let refused = recheck(&house).await.unwrap_err().to_string();
    let pid = format!("a re-check is under way (process {})", std::process::id());
    assert!(refused.contains(&pid) && refused.contains("hint:"), "{refused}");
    drop(held);
    execute(&house.database(), "UPDATE campaign SET containment_state = 'running'").await;
    house.engine.pause(CAMPAIGN, Track::Containment, ANN).await.unwrap();
    let refused = recheck(&house).await.unwrap_err().to_string();
    assert!(refused.contains("is paused (operator: by ann)"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_alarms_by_its_exit_code_and_a_worker_may_run_beside_it() {
    let house = secured(Plan { campaign: dated(""), ..Plan::default() }).await;
    let root = house.dir.path().to_owned();
    let command = || {
        let mut command = binary();
        command.args(["--workspace", root.to_str().unwrap(), "secure", "recheck", CAMPAIGN]);
        command.output().unwrap()
    };
    let _worker =
        forthwith::journal::WorkerLock::acquire(&house.engine.workspace.worker_lock()).unwrap();
    let done = command();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(done.status.code(), Some(0), "{}", said(&done.stderr));
    assert!(said(&done.stdout).contains("+ 0 regressed"), "{}", said(&done.stdout));
    restore(&house);
    let done = command();
    assert_eq!(done.status.code(), Some(1));
    assert!(said(&done.stdout).contains("expired again"), "{}", said(&done.stdout));
    let told = said(&done.stderr);
    assert!(told.contains("ALARM:") && told.contains("hint:"), "{told}");
    assert_eq!(command().status.code(), Some(0), "mended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_re_checks_when_an_hour_has_passed_and_status_says_when_a_day_has() {
    let clock = standing_clock();
    let plan = Plan { campaign: dated(""), clock: clock.clone(), ..Plan::default() };
    let house = secured(plan).await;
    let status = house.status().await;
    assert!(status.recheck.is_none() && !status.recheck_overdue);
    hours(&clock, 23);
    assert!(!house.status().await.recheck_overdue);
    hours(&clock, 1);
    assert!(house.status().await.recheck_overdue);
    restore(&house);
    let notes = Notes::default();
    let report = house.engine.run(CAMPAIGN, &notes, &CancellationToken::new()).await.unwrap();
    assert!(report.is_finished);
    assert!(notes.said().contains("ALARM:"), "{}", notes.said());
    let status = house.status().await;
    assert!(!status.recheck_overdue && status.recheck.unwrap().regressed > 50);
    // Not everybody had a password.
    let says =
        |mail: &String| mail.replace("=\r\n", "").contains("We have already expired your password");
    let said = house.mails().iter().filter(|mail| says(mail)).count();
    assert!(said > 50, "{said} of {}", house.mails().len());
}
