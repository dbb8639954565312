//! A wrong statement, a wrong list, a wrong moment: what stops a pass before it does harm.

mod anew;

use forthwith::domain::track::Track;
use forthwith::engine::EngineError;
use forthwith::engine::launch::Typed;
use forthwith::engine::progress::Silent;
use forthwith::engine::secure::SecureReport;
use forthwith::store::credentials::Pick;

use crate::harness::snapshot::Told;
use crate::harness::tampering::{Notes, execute, query};
use crate::harness::{BOB, CAMPAIGN, House, Plan, campaign_file, over_view, view_that_updates};

/// Two accounts nobody sealed, with a password and sessions.
const CONTROLS: &str = "
    INSERT INTO customer
        SELECT 'K' || id, 'Control', 'control@shop.example', password_hash, password_changed_at
        FROM customer WHERE id IN ('C0000001', 'C0000002');
    INSERT INTO session (customer_id) VALUES ('KC0000001'), ('KC0000001'), ('KC0000002');";

const NAMED: &str = "control_accounts = [\"KC0000001\", \"KC0000002\"]";

/// The campaign with more keys in `[directory]`.
fn file_with(more: &str) -> String {
    campaign_file("").replace("name = \"shop\"\n", &format!("name = \"shop\"\n{more}\n"))
}

async fn furnished(campaign: String, first: &str) -> House {
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    execute(&house.shop, CONTROLS).await;
    if !first.is_empty() {
        execute(&house.shop, first).await;
    }
    house.seal().await;
    house
}

async fn hashes(house: &House) -> Vec<(String, Option<String>, i64)> {
    query(
        &house.shop,
        "SELECT id, password_hash, (SELECT COUNT(*) FROM session WHERE customer_id = customer.id)
         FROM customer ORDER BY id",
    )
    .await
}

fn changed(
    before: &[(String, Option<String>, i64)],
    after: &[(String, Option<String>, i64)],
) -> Vec<String> {
    before.iter().zip(after).filter(|(a, b)| a != b).map(|(a, _)| a.0.clone()).collect()
}

async fn pass(house: &House) -> Result<SecureReport, EngineError> {
    house.secure(Pick::Pending, &Silent).await
}

async fn plan_refused(house: &House) -> EngineError {
    house.engine.plan(CAMPAIGN, Track::Containment, false).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_where_that_hits_everybody_is_refused_at_plan_and_changes_nothing() {
    let good = "WHERE customer.id = r.value ->> 'account' AND customer.password_hash = r.value ->> 'current'";
    let mut told = Told::of("where-that-hits-everybody");
    for (input, bad) in [
        ("none", ""),
        (
            "true for everybody",
            "WHERE 1 = 1 OR customer.id = r.value ->> 'account' AND customer.password_hash = r.value ->> 'current'",
        ),
        ("without the value it expects", "WHERE customer.id = r.value ->> 'account'"),
        (
            "all but those meant",
            "WHERE customer.password_hash <> r.value ->> 'current' AND customer.id > r.value ->> 'account'",
        ),
        (
            "a control account by a part of its name",
            "WHERE substr(customer.id, 2) = r.value ->> 'account' AND customer.password_hash = r.value ->> 'current'",
        ),
    ] {
        let text = file_with(NAMED).replace(good, bad);
        assert!(!text.contains(good) || bad.is_empty());
        let house = furnished(text, "").await;
        let before = hashes(&house).await;
        told.error(input, plan_refused(&house).await);
        assert_eq!(hashes(&house).await, before, "{bad}");
    }
    told.same();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_where_without_its_bind_is_refused_with_the_statements_key() {
    let mut told = Told::of("where-without-its-bind");
    for (input, bad) in [
        (
            "one account written out",
            "expire = \"\"\"UPDATE customer SET password_hash = 'x' WHERE id = '1'\"\"\"",
        ),
        (
            "the bind in a text and a comment alone",
            "expire = \"\"\"UPDATE customer SET password_hash = ':rows' -- :rows\nWHERE id = '1'\"\"\"",
        ),
    ] {
        let text = file_with(NAMED);
        let (head, tail) = text.split_once("expire = \"\"\"").unwrap();
        let tail = tail.split_once("\"\"\"").unwrap().1;
        let bad = format!("{head}{bad}{tail}");
        let house = furnished(text.clone(), "").await;
        let path = house.engine.workspace.campaign_file(CAMPAIGN).0;
        std::fs::write(path, bad).unwrap();
        let before = hashes(&house).await;
        told.error(input, plan_refused(&house).await);
        assert_eq!(hashes(&house).await, before);
    }
    told.same();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_would_hit_all_accounts_is_rolled_back_by_its_control_accounts() {
    let house = furnished(over_view(&file_with(NAMED)), &view_that_updates("id = NEW.id")).await;
    house.approve(Track::Containment).await;
    // after the approval the directory does something else than it was tried with
    execute(&house.shop, &view_that_updates("1 = 1 OR id = NEW.id")).await;
    let before = hashes(&house).await;
    let mut told = Told::of("control-account-changed");
    let refused = told.error("by the statement itself", pass(&house).await.unwrap_err());
    assert!(!refused.contains("KC0000001"), "no account in a message: {refused}");
    assert_eq!(hashes(&house).await, before, "rolled back: nobody was changed");
    let status = house.status().await;
    assert_eq!((status.containment, status.containment_cause), ("paused", Some("control-account")));
    assert_eq!(status.credentials.get("password/expired"), None);

    told.error("and again while it is paused", pass(&house).await.unwrap_err());
    told.same();
    execute(&house.shop, &view_that_updates("id = NEW.id")).await;
    house.engine.resume(CAMPAIGN, Track::Containment, BOB).await.unwrap();
    let report = pass(&house).await.unwrap();
    assert!(report.is_done, "{report:?}");
    let after = hashes(&house).await;
    assert!(changed(&before, &after).iter().all(|id| !id.starts_with('K')));
    assert_eq!(house.status().await.containment_cause, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_where_that_hits_others_in_equal_number_stops_in_the_first_batch() {
    // account n's replacement goes to account n + 30; no control account among them
    let other = "id = printf('C%07d', 1 + (CAST(substr(NEW.id, 2) AS INTEGER) + 29) % 60)";
    let house = furnished(over_view(&file_with(NAMED)), &view_that_updates("id = NEW.id")).await;
    house.approve(Track::Containment).await;
    execute(&house.shop, &view_that_updates(other)).await;
    let before = hashes(&house).await;
    let mut told = Told::of("where-that-hits-others");
    told.error("as many others as were meant", pass(&house).await.unwrap_err());
    told.same();
    let touched: Vec<String> = changed(&before, &hashes(&house).await);
    let rewritten = |id: &String| before.iter().zip(0..).any(|(row, _)| row.0 == *id);
    assert!(touched.iter().all(rewritten) && touched.iter().all(|id| !id.starts_with('K')));
    let values: Vec<(i64,)> = query(
        &house.shop,
        "SELECT COUNT(*) FROM customer WHERE password_hash IS NOT NULL AND id LIKE 'C%'",
    )
    .await;
    assert!(values[0].0 > 50);
    let moved = before.iter().zip(hashes(&house).await).filter(|(was, is)| was.1 != is.1).count();
    assert!((1..=20).contains(&moved), "{moved} rows changed");
    let status = house.status().await;
    assert_eq!((status.containment, status.containment_cause), ("paused", Some("read-back")));
    assert!(!status.credentials.contains_key("password/failed"), "nobody is held for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_changes_more_rows_than_asked_pauses_the_pass() {
    // the log-in table gets a second row for everybody after the approval
    let text = file_with("")
        .replace("UPDATE customer SET password_hash", "UPDATE login SET password_hash")
        .replace("WHERE customer.id =", "WHERE login.id =")
        .replace("customer.password_hash =", "login.password_hash =");
    let tables = "CREATE TABLE login (id TEXT, password_hash TEXT);
        INSERT INTO login SELECT id, password_hash FROM customer;
        CREATE TRIGGER take AFTER UPDATE ON login BEGIN
            UPDATE customer SET password_hash = NEW.password_hash WHERE id = NEW.id;
        END;";
    let house = furnished(text, tables).await;
    house.approve(Track::Containment).await;
    execute(&house.shop, "INSERT INTO login SELECT id, password_hash FROM customer").await;
    let before = hashes(&house).await;
    let mut told = Told::of("more-rows-than-asked");
    told.error("two rows an account", pass(&house).await.unwrap_err());
    told.same();
    assert_eq!(hashes(&house).await, before);
    assert_eq!(house.status().await.containment_cause, Some("statement"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ending_the_sessions_of_others_is_rolled_back_too() {
    let text = file_with(NAMED).replace("DELETE FROM session WHERE", "DELETE FROM alive WHERE");
    let one = "CREATE VIEW alive AS SELECT id, customer_id FROM session;
        CREATE TRIGGER ends INSTEAD OF DELETE ON alive BEGIN
            DELETE FROM session WHERE id = OLD.id;
        END;";
    let house = furnished(text, one).await;
    house.approve(Track::Containment).await;
    let all = "DROP TRIGGER ends;
        CREATE TRIGGER ends INSTEAD OF DELETE ON alive BEGIN DELETE FROM session; END;";
    execute(&house.shop, all).await;
    let before = hashes(&house).await;
    let mut told = Told::of("sessions-of-others");
    told.error("everybody's sessions", pass(&house).await.unwrap_err());
    told.same();
    assert_eq!(hashes(&house).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_account_that_somebody_changes_meanwhile_stops_the_pass_after_its_batch() {
    let house = furnished(file_with(NAMED), "").await;
    house.approve(Track::Containment).await;
    let shop = house.shop.clone();
    let notes = Notes::with(move |_, done| {
        if done == 20 {
            let sql = "UPDATE customer SET password_hash = 'elsewhere' WHERE id = 'KC0000002'";
            let change = execute(&shop, sql);
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(change));
        }
    });
    let mut told = Told::of("control-account-changed-elsewhere");
    let refused = house.secure(Pick::Pending, &notes).await.unwrap_err();
    told.error("by somebody else, after the first batch", refused);
    told.same();
    let status = house.status().await;
    assert_eq!(status.containment, "paused");
    assert!(status.credentials["password/pending"] > 30, "{:?}", status.credentials);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_accounts_must_be_outside_and_hold_something() {
    let mut told = Told::of("control-accounts");
    for (input, named) in [
        ("one that is sealed", "control_accounts = [\"KC0000001\", \"C0000003\"]"),
        ("one that is not there", "control_accounts = [\"nobody\"]"),
    ] {
        let house = furnished(file_with(named), "").await;
        told.error(input, plan_refused(&house).await);
    }
    let refused = plan_refused(&living("").await).await;
    told.error("none, and the campaign is live", refused);
    told.same();
    let house = furnished(file_with(NAMED), "").await;
    let reports = house.engine.check_directory(CAMPAIGN).await.unwrap();
    assert_eq!(reports[0].1.controls, 2);
}

/// A house for a live campaign on a directory without the marker.
async fn living(more: &str) -> House {
    let campaign = file_with(more).replace("environment = \"rehearsal\"", "environment = \"live\"");
    let house = House::furnished(Plan { campaign, marker: false, ..Plan::default() }).await;
    execute(&house.shop, CONTROLS).await;
    house.seal().await;
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_pass_stops_after_its_first_batch() {
    let house = living(NAMED).await;
    house.approve(Track::Containment).await;
    let typed = Typed { name: CAMPAIGN.into(), head_count: house.status().await.source.sealed };
    house.engine.launch(CAMPAIGN, &[Track::Containment], &typed, "os:ann@host").await.unwrap();
    let report = pass(&house).await.unwrap();
    assert_eq!((report.settled, report.is_done), (20, false));
    let note = report.paused.unwrap();
    assert!(
        note.starts_with("its first batch came to ") && note.contains("password/expired"),
        "{note}"
    );
    let status = house.status().await;
    assert_eq!((status.containment, status.containment_cause), ("paused", Some("first-batch")));
    assert_eq!(status.containment_note.as_ref(), Some(&note));
    let mut told = Told::of("first-batch");
    // the canary comes first, and its lots are drawn
    told.hide(&note, "<what its first batch came to>");
    told.error("nobody has looked at it yet", pass(&house).await.unwrap_err());
    told.same();
    house.engine.resume(CAMPAIGN, Track::Containment, BOB).await.unwrap();
    let report = pass(&house).await.unwrap();
    assert!(report.is_done && report.paused.is_none(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_pauses_after_the_first_batch_tells_nobody_and_says_how_to_go_on() {
    let house = furnished(file_with("pause_after_first_batch = true\nfirst_batch = 5"), "").await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    let report = house.run().await.unwrap();
    assert_eq!(report.secured.as_ref().unwrap().settled, 5);
    assert!(report.notes.iter().any(|note| note.contains("containment resume")), "{report:?}");
    assert!(house.taken().is_empty());
    house.engine.resume(CAMPAIGN, Track::Containment, BOB).await.unwrap();
    assert!(house.run().await.unwrap().is_finished);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_adapters_own_account_is_never_expired() {
    let house = furnished(file_with("own_account = \"C0000009\""), "").await;
    let mut told = Told::of("own-account");
    let refused = told.error("sealed", plan_refused(&house).await);
    told.same();
    assert!(!refused.contains("C0000009"), "{refused}");
    let house = furnished(file_with("own_account = \"service\""), "").await;
    house.approve(Track::Containment).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protected_accounts_are_refused_or_exempt_or_secured_first() {
    let named = "protected_accounts = [\"C0000055\", \"C0000058\", \"elsewhere\"]";
    let house = furnished(file_with(named), "").await;
    let mut told = Told::of("protected-accounts");
    told.error("two of them sealed", plan_refused(&house).await);
    told.same();

    let house = furnished(file_with(&format!("{named}\nprotected = \"exempt\"")), "").await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    let before = house.hash_of("C0000055").await;
    let report = pass(&house).await.unwrap();
    assert_eq!(report.totals.get("password/exempt"), Some(&2), "{report:?}");
    assert_eq!(house.hash_of("C0000055").await, before);
    let (class, reason) = house.credential_of("C0000055").await;
    assert_eq!((class.as_str(), reason.as_str()), ("exempt", "protected account"));
    assert!(house.run().await.unwrap().is_finished);
    let mail = house.mails().into_iter().find(|mail| mail.contains("customer55@")).unwrap();
    assert!(mail.replace("=\r\n", "").contains("it still works"), "{mail}");

    let first = format!("{named}\nprotected = \"first\"\npause_after_first_batch = true");
    let house = furnished(file_with(&first), "").await;
    house.approve(Track::Containment).await;
    let report = pass(&house).await.unwrap();
    assert_eq!(report.settled, 2, "they and nobody else");
    assert!(report.paused.is_some());
    assert_eq!(house.credential_of("C0000058").await.0, "expired");
    house.engine.resume(CAMPAIGN, Track::Containment, BOB).await.unwrap();
    assert!(pass(&house).await.unwrap().is_done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protected_accounts_that_cannot_be_secured_stop_the_pass() {
    let named = "protected_accounts = [\"C0000055\"]\nprotected = \"first\"";
    let sql = "UPDATE customer SET password_hash = 'legacy(3):0xUNKNOWN' WHERE id = 'C0000055'";
    let house = furnished(file_with(named), sql).await;
    house.approve(Track::Containment).await;
    let before = hashes(&house).await;
    let mut told = Told::of("protected-accounts-first");
    told.error("one that cannot be secured", pass(&house).await.unwrap_err());
    told.same();
    assert_eq!(hashes(&house).await, before, "nobody else was touched");
}
