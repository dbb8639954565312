//! The kill: what the read-back proves and nothing else; what it cannot prove is held, not told.

use forthwith::directory::shop;
use forthwith::domain::track::Track;
use forthwith::engine::launch::Typed;
use forthwith::engine::progress::Silent;
use forthwith::secret::password::{self, Password};
use forthwith::store::credentials::Pick;

use crate::harness::snapshot::Told;
use crate::harness::tampering::{Notes, execute, query};
use crate::harness::{
    ANN, BOB, CAMPAIGN, House, Plan, campaign_file, over_view, view_that_updates,
};

/// Sealed, with the containment approved and whatever `first` did to the shop before.
async fn contained(plan: Plan, first: &str) -> House {
    let house = House::furnished(plan).await;
    if !first.is_empty() {
        execute(&house.shop, first).await;
    }
    house.seal().await;
    house.approve(Track::Containment).await;
    house
}

async fn pass(house: &House) -> forthwith::engine::secure::SecureReport {
    house.secure(Pick::Pending, &Silent).await.unwrap()
}

/// Every row of the shop: (account, hash, changed at, sessions).
async fn shop_of(house: &House) -> Vec<(String, Option<String>, String, i64)> {
    query(
        &house.shop,
        "SELECT id, password_hash, password_changed_at,
                (SELECT COUNT(*) FROM session WHERE customer_id = customer.id)
         FROM customer ORDER BY id",
    )
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_account_is_expired_by_read_back_and_keeps_a_well_formed_hash() {
    let house = contained(Plan::default(), "").await;
    let before = shop_of(&house).await;
    let report = pass(&house).await;
    assert!(report.is_done);
    let after = shop_of(&house).await;
    let mut expired = 0;
    for (was, is) in before.iter().zip(&after) {
        assert_eq!(is.3, 0, "{}: no session is left", is.0);
        let (Some(old), Some(new)) = (&was.1, &is.1) else {
            assert_eq!(was.1, is.1, "an account without a password keeps none");
            continue;
        };
        expired += 1;
        let place = was.0[1..].parse::<u32>().unwrap();
        let word = Password::new(format!("old-password-{place}"));
        assert!(password::verify(&word, old).unwrap());
        assert!(!password::verify(&word, new).unwrap(), "{}: well formed, but shut", is.0);
        let shape = |hash: &str| {
            let parts: Vec<String> = hash.split('$').map(str::to_owned).collect();
            (parts[1].clone(), parts[3].clone(), parts[4].len(), parts[5].len())
        };
        assert_eq!(shape(old), shape(new), "same scheme, same cost");
        assert_ne!(old, new);
    }
    assert_eq!(report.totals.get("password/expired"), Some(&expired));
    assert_eq!(report.totals.get("password/no-password"), Some(&(60 - expired)));
    assert_eq!(report.totals.get("password/not-found"), Some(&1), "C9999999");
    let hashes: std::collections::BTreeSet<_> =
        after.iter().filter_map(|row| row.1.as_ref()).collect();
    assert_eq!(hashes.len() as u64, expired, "no two accounts share one");
    assert_eq!(pass(&house).await.settled, 0, "a second pass finds nothing to do");
    assert_eq!(shop_of(&house).await, after);
}

/// A view over the customers that says it took an update and, for some, did not.
fn view(only_where: &str) -> String {
    view_that_updates(&format!("id = NEW.id AND ({only_where})"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_claims_success_but_changes_nothing_is_caught_and_can_be_mended() {
    let plan = Plan { campaign: over_view(&campaign_file("")), ..Plan::default() };
    let house = contained(plan, &view("NEW.id <> 'C0000030'")).await;
    house.approve(Track::Notice).await;
    let before = house.hash_of("C0000030").await;
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "the others are told: {report:?}");
    assert_eq!(house.hash_of("C0000030").await, before);
    let (class, reason) = house.credential_of("C0000030").await;
    assert_eq!(class, "failed");
    assert!(reason.contains("still shows another value"), "{reason}");
    assert_eq!(house.delivery_of("C0000030").await, ("held", "credential".into()));
    assert!(house.taken().iter().all(|(_, to, _)| !to.starts_with("customer30@")));
    assert!(report.notes[0].contains("1 credentials could not be expired"), "{report:?}");
    assert!(report.notes[0].contains("--retry-failed"), "{report:?}");
    let status = house.status().await;
    assert_eq!(status.credentials.get("password/failed"), Some(&1));
    assert_eq!(status.deliveries.reasons.get("held/credential"), Some(&1));
    assert_eq!(house.secure(Pick::Pending, &Silent).await.unwrap().settled, 0);
    assert_eq!(house.secure(Pick::Failed, &Silent).await.unwrap().settled, 0, "not mended yet");

    execute(&house.shop, &view("1")).await;
    assert_eq!(house.secure(Pick::Failed, &Silent).await.unwrap().settled, 1);
    assert_eq!(house.credential_of("C0000030").await.0, "expired");
    assert_eq!(house.delivery_of("C0000030").await.0, "queued");
    let report = house.run().await.unwrap();
    assert!(report.is_finished && report.notes.is_empty(), "{report:?}");
    assert_eq!(house.delivery_of("C0000030").await.0, "told");
    assert!(house.taken().iter().any(|(_, to, _)| to.starts_with("customer30@")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_do_nothing_are_refused_at_plan() {
    let plan = Plan { campaign: over_view(&campaign_file("")), ..Plan::default() };
    let house = House::furnished(plan).await;
    execute(&house.shop, &view("0")).await;
    house.seal().await;
    let mut told = Told::of("statements-that-do-nothing");
    let refused = house.engine.plan(CAMPAIGN, Track::Containment, false).await.unwrap_err();
    told.error("no password changes", refused);

    let house = House::furnished(Plan::default()).await;
    execute(
        &house.shop,
        "CREATE TRIGGER keep BEFORE DELETE ON session BEGIN SELECT RAISE(IGNORE); END;
                          INSERT INTO session (customer_id) VALUES ('C0000001')",
    )
    .await;
    house.seal().await;
    let refused = house.engine.plan(CAMPAIGN, Track::Containment, false).await.unwrap_err();
    told.error("no session ends", refused);
    told.same();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hash_of_an_unknown_scheme_is_failed_and_left_alone() {
    let sql = "UPDATE customer SET password_hash = 'legacy(3):0xUNKNOWN' WHERE id = 'C0000020'";
    let house = contained(Plan::default(), sql).await;
    let report = pass(&house).await;
    assert_eq!(report.totals.get("password/failed"), Some(&1));
    let (class, reason) = house.credential_of("C0000020").await;
    assert_eq!(class, "failed");
    assert!(!reason.is_empty() && !reason.contains("0xUNKNOWN"), "{reason}");
    assert_eq!(house.hash_of("C0000020").await.unwrap(), "legacy(3):0xUNKNOWN");
    assert_eq!(house.delivery_of("C0000020").await, ("held", "credential".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_cannot_be_ended_is_no_expired_account() {
    let sql = "CREATE TABLE pinned (id TEXT);
               CREATE TRIGGER keep BEFORE DELETE ON session
               WHEN OLD.customer_id IN (SELECT id FROM pinned) BEGIN SELECT RAISE(IGNORE); END;
               INSERT INTO session (customer_id) VALUES ('C0000031'), ('C0000032');
               INSERT INTO pinned VALUES ('C0000031'), ('C0000032');
               UPDATE customer SET password_hash = NULL WHERE id = 'C0000032'";
    let house = contained(Plan::default(), sql).await;
    pass(&house).await;
    assert_eq!(house.credential_of("C0000031").await.0, "failed");
    assert_eq!(house.credential_of("C0000032").await.0, "failed", "also without a password");
    execute(&house.shop, "DELETE FROM pinned").await;
    assert_eq!(house.secure(Pick::Failed, &Silent).await.unwrap().settled, 2);
    assert_eq!(house.credential_of("C0000031").await.0, "expired");
    assert_eq!(house.credential_of("C0000032").await.0, "no-password");
}

/// The campaign under policy `respect`, its read returning the shop's own change time.
fn respectful() -> String {
    campaign_file("")
        .replace("name = \"shop\"", "name = \"shop\"\npolicy = \"respect\"")
        .replace("AS current FROM", "AS current, c.password_changed_at AS changed_at FROM")
}

/// The shop notes when a password changed, as real ones do.
const NOTES_CHANGES: &str = "
    CREATE TRIGGER note AFTER UPDATE OF password_hash ON customer BEGIN
        UPDATE customer SET password_changed_at = '2012-01-20T00:00:00Z' WHERE id = NEW.id;
    END;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn respect_spares_only_what_changed_after_the_window() {
    // the window ends at 2012-01-16T02:00Z
    let sql = "UPDATE customer SET password_changed_at = '2012-01-16T02:00:01Z' WHERE id = 'C0000021';
               UPDATE customer SET password_changed_at = '2012-01-16T02:00:00Z' WHERE id = 'C0000022'";
    let house = contained(Plan { campaign: respectful(), ..Plan::default() }, sql).await;
    let before = house.hash_of("C0000021").await;
    let report = pass(&house).await;
    assert_eq!(report.totals.get("password/changed-since"), Some(&1));
    assert_eq!(house.credential_of("C0000021").await.0, "changed-since");
    assert_eq!(house.hash_of("C0000021").await, before);
    assert_eq!(house.credential_of("C0000022").await.0, "expired");

    let house = contained(Plan::default(), sql).await;
    pass(&house).await;
    assert_eq!(house.credential_of("C0000021").await.0, "expired", "the default expires anyway");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn respect_needs_a_change_time_to_go_by() {
    let campaign =
        campaign_file("").replace("name = \"shop\"", "name = \"shop\"\npolicy = \"respect\"");
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    house.seal().await;
    let refused = house.engine.plan(CAMPAIGN, Track::Containment, false).await.unwrap_err();
    let mut told = Told::of("respect-without-change-time");
    told.error("no column `changed_at`", refused);
    told.same();
}

const CRASH: &str = "CREATE TRIGGER crash BEFORE INSERT ON credential
                     BEGIN SELECT RAISE(ABORT, 'the power goes'); END";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_write_and_settling_never_takes_our_write_for_a_persons() {
    let house = contained(Plan { campaign: respectful(), ..Plan::default() }, NOTES_CHANGES).await;
    execute(&house.database(), CRASH).await;
    house.secure(Pick::Pending, &Silent).await.unwrap_err();
    let changed: Vec<(i64,)> = query(
        &house.shop,
        "SELECT COUNT(*) FROM customer WHERE password_changed_at > '2012-01-17'",
    )
    .await;
    assert!(changed[0].0 > 10, "the directory has our writes: {changed:?}");
    assert_eq!(house.credential_of("C0000001").await.0, "", "and nobody is settled");
    let ours = shop_of(&house).await;

    execute(&house.database(), "DROP TRIGGER crash").await;
    let report = pass(&house).await;
    assert!(report.is_done);
    assert_eq!(report.totals.get("password/changed-since").copied().unwrap_or(0), 0);
    assert_eq!(house.credential_of("C0000001").await.0, "expired");
    for (first, then) in ours.iter().zip(shop_of(&house).await) {
        if first.2.starts_with("2012-01-20") {
            assert_eq!(first.1, then.1, "what was ours already is not written again");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_old_value_gets_the_same_replacement_at_every_try() {
    let house = contained(Plan::default(), "").await;
    let old = shop_of(&house).await;
    execute(&house.database(), CRASH).await;
    house.secure(Pick::Pending, &Silent).await.unwrap_err();
    let first = house.hash_of("C0000001").await;
    let stolen = old[0].1.clone().unwrap();
    assert_ne!(first.as_deref(), Some(&stolen[..]));
    // the directory is restored from a backup, and the pass runs again
    let sql = format!("UPDATE customer SET password_hash = '{stolen}' WHERE id = 'C0000001'");
    execute(&house.shop, &sql).await;
    execute(&house.database(), "DROP TRIGGER crash").await;
    pass(&house).await;
    assert_eq!(house.hash_of("C0000001").await, first);
    assert_eq!(house.credential_of("C0000001").await.0, "expired");
    let writes: Vec<(i64,)> = query(
        &house.database(),
        "SELECT COUNT(*) FROM credential_write WHERE number =
         (SELECT MIN(number) FROM credential_write)",
    )
    .await;
    assert_eq!(writes[0].0, 1, "one planned write, however often it was tried");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_moves_while_we_work_is_killed_in_the_next_round() {
    let house = contained(Plan::default(), "").await;
    let thiefs = password::hash(
        &Password::new("the thief's choice".into()),
        password::Params::new(8, 1, 1).unwrap(),
        &mut rand::rng(),
    )
    .unwrap();
    // right after our write, somebody sets another password, once
    let sql = format!(
        "CREATE TABLE moved (id TEXT);
         CREATE TRIGGER moves AFTER UPDATE OF password_hash ON customer
         WHEN NEW.id = 'C0000025' AND NOT EXISTS (SELECT 1 FROM moved)
         BEGIN
             INSERT INTO moved VALUES (NEW.id);
             UPDATE customer SET password_hash = '{thiefs}' WHERE id = NEW.id;
         END"
    );
    execute(&house.shop, &sql).await;
    pass(&house).await;
    let moved: Vec<(String,)> = query(&house.shop, "SELECT id FROM moved").await;
    assert_eq!(moved.len(), 1);
    assert_eq!(house.credential_of("C0000025").await.0, "expired");
    assert!(!shop::log_in(&house.shop, "C0000025", "the thief's choice").await.unwrap());
    assert!(!shop::log_in(&house.shop, "C0000025", "old-password-25").await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_without_the_marker_changes_no_row() {
    let house = House::furnished(Plan { marker: false, ..Plan::default() }).await;
    let before = shop_of(&house).await;
    house.seal().await;
    let refused = house.engine.plan(CAMPAIGN, Track::Containment, false).await.unwrap_err();
    let mut told = Told::of("rehearsal-marker");
    told.hide(&house.engine.store.identity().await.unwrap().database_id, "<workspace>");
    told.error("no marker", refused);
    assert!(house.engine.check_directory(CAMPAIGN).await.is_err());
    assert_eq!(shop_of(&house).await, before);

    for (input, sql) in [
        ("taken away after the approval", "DROP TABLE forthwith_rehearsal"),
        ("another's", "UPDATE forthwith_rehearsal SET database_id = 'another'"),
        ("an empty one", "DELETE FROM forthwith_rehearsal"),
    ] {
        let house = contained(Plan::default(), "").await;
        told.hide(&house.engine.store.identity().await.unwrap().database_id, "<workspace>");
        let before = shop_of(&house).await;
        execute(&house.shop, sql).await;
        told.error(input, house.run().await.unwrap_err());
        assert_eq!(shop_of(&house).await, before);
    }
    told.same();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_campaign_never_touches_a_marked_directory() {
    let campaign = campaign_file("")
        .replace("environment = \"rehearsal\"", "environment = \"live\"")
        .replace("name = \"shop\"", "name = \"shop\"\ncontrol_accounts = [\"K\"]");
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    let control = "INSERT INTO customer (id, password_hash) VALUES ('K', 'x')";
    execute(&house.shop, control).await;
    house.seal().await;
    let before = shop_of(&house).await;
    let refused = house.engine.plan(CAMPAIGN, Track::Containment, false).await.unwrap_err();
    let mut told = Told::of("living-with-a-marker");
    told.error("when it is planned", refused);
    assert_eq!(shop_of(&house).await, before);

    // approved while the marker was away; back again, the pass stops at it
    let marker: Vec<(String,)> = query(&house.shop, "SELECT * FROM forthwith_rehearsal").await;
    execute(&house.shop, "DROP TABLE forthwith_rehearsal").await;
    house.approve(Track::Containment).await;
    let typed = Typed { name: CAMPAIGN.into(), head_count: house.status().await.source.sealed };
    house.engine.launch(CAMPAIGN, &[Track::Containment], &typed, "os:ann@host").await.unwrap();
    let back = format!(
        "CREATE TABLE forthwith_rehearsal (database_id TEXT);
         INSERT INTO forthwith_rehearsal VALUES ('{}')",
        marker[0].0
    );
    execute(&house.shop, &back).await;
    told.error("when it is run", house.run().await.unwrap_err());
    told.same();
    assert_eq!(shop_of(&house).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checking_a_directory_changes_nothing_in_it() {
    let house = House::furnished(Plan::default()).await;
    house.seal().await;
    let before = shop_of(&house).await;
    let reports = house.engine.check_directory(CAMPAIGN).await.unwrap();
    assert_eq!(reports.len(), 1);
    let report = reports[0].1;
    assert_eq!((report.asked, report.read, report.read_back), (3, 3, 3));
    assert_eq!((report.sessions_left, report.changed), (0, 3));
    assert_eq!(shop_of(&house).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pausing_stops_the_kill_after_a_batch_and_resuming_ends_it() {
    let house = contained(Plan { customers: 100, ..Plan::default() }, "").await;
    let (reached, at_step) = std::sync::mpsc::channel();
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let waits = std::sync::Mutex::new(waits);
    let notes = Notes::with(move |_, done| {
        if reached.send(done).is_ok() {
            let _ = tokio::task::block_in_place(|| waits.lock().unwrap().recv());
        }
    });
    let engine = house.engine.clone();
    let stop = tokio_util::sync::CancellationToken::new();
    let running =
        tokio::spawn(
            async move { engine.secure_alone(CAMPAIGN, Pick::Pending, &notes, &stop).await },
        );
    let first = tokio::task::block_in_place(|| at_step.recv()).unwrap();
    house.engine.pause(CAMPAIGN, Track::Containment, ANN).await.unwrap();
    drop(go_on);
    let report = running.await.unwrap().unwrap();
    assert_eq!((first, report.settled, report.is_done), (20, 20, false));
    assert_eq!(house.status().await.containment, "paused");
    let touched = shop_of(&house).await;
    let refused = house.run_refused().await;
    assert!(refused.contains("containment of `thaw` is paused"), "{refused}");
    assert_eq!(shop_of(&house).await, touched);

    house.engine.resume(CAMPAIGN, Track::Containment, BOB).await.unwrap();
    let report = pass(&house).await;
    assert!(report.is_done && report.settled > 60, "{report:?}");
    assert_eq!(house.status().await.containment, "done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_directory_stops_the_pass_and_loses_nothing() {
    let house = contained(Plan::default(), "").await;
    let away = house.path("away.db");
    std::fs::rename(&house.shop, &away).unwrap();
    house.run_refused().await;
    assert_eq!(house.status().await.credentials.get("password/pending"), Some(&61));
    std::fs::rename(&away, &house.shop).unwrap();
    assert!(pass(&house).await.is_done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_without_sessions_and_with_tiny_batches_is_secured_too() {
    let file = campaign_file("");
    let (head, tail) = file.split_once("[directory.sql.sessions]").unwrap();
    let tail = tail.split_once("[notice]").unwrap().1;
    let campaign =
        format!("{head}[notice]{tail}").replace("sqlite:shop.db\"", "sqlite:shop.db\"\nbatch = 2");
    let house = contained(Plan { campaign, ..Plan::default() }, "").await;
    let report = pass(&house).await;
    assert!(report.is_done, "{report:?}");
    assert_eq!(report.totals.get("password/failed").copied().unwrap_or(0), 0, "{report:?}");
    assert!(report.totals.get("password/no-password").copied().unwrap_or(0) > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_lapse_by_themselves_do_not_fail_an_account() {
    let file = campaign_file("");
    let (head, tail) = file.split_once("end = \"\"\"").unwrap();
    let tail = tail.split_once("[notice]").unwrap().1;
    let campaign = format!("{head}lapse_within = \"12h\"\n\n[notice]{tail}");
    let house = contained(Plan { campaign, ..Plan::default() }, "").await;
    let report = pass(&house).await;
    assert!(shop::sessions(&house.shop).await.unwrap() > 0);
    assert_eq!(report.totals.get("password/failed").copied().unwrap_or(0), 0, "{report:?}");
}

/// Two kinds exposed: passwords, and keys for programs.
async fn with_two_kinds(first: &str) -> House {
    let statements = "[directory.sql.api-key]\nscheme = \"last-segment\"\n\
        read = \"\"\"SELECT k.customer_id AS account, k.secret AS current FROM json_each(:rows) AS r\n\
        JOIN program AS k ON k.customer_id = r.value ->> 'account'\"\"\"\n\
        expire = \"\"\"UPDATE program SET secret = r.value ->> 'replacement' FROM json_each(:rows) AS r\n\
        WHERE program.customer_id = r.value ->> 'account' AND program.secret = r.value ->> 'current'\"\"\"\n\n\
        [directory.sql.sessions]";
    let campaign = campaign_file("").replace("[directory.sql.sessions]", statements);
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    execute(
        &house.shop,
        "CREATE TABLE program (customer_id TEXT, secret TEXT);
         INSERT INTO program SELECT id, 'pk_' || lower(hex(randomblob(16))) FROM customer",
    )
    .await;
    execute(&house.shop, first).await;
    let exposed = "credentials = [\"password\"]";
    house.edit(
        "incidents/cold-night/incident.toml",
        exposed,
        "credentials = [\"password\", \"api-key\", \"session\"]",
    );
    house.seal().await;
    house.approve(Track::Containment).await;
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_one_failed_credential_stays_held_whatever_the_others_came_to() {
    let sql = "UPDATE customer SET password_hash = 'legacy(3):0xUNKNOWN' WHERE id = 'C0000020'";
    let house = with_two_kinds(sql).await;
    let report = pass(&house).await;
    assert_eq!(report.totals.get("password/failed"), Some(&1), "{report:?}");
    assert_eq!(report.totals.get("api-key/expired"), Some(&60), "{report:?}");
    assert_eq!(report.totals.get("session/expired"), Some(&61), "{report:?}");
    assert_eq!(house.delivery_of("C0000020").await, ("held", "credential".into()));
    assert_eq!(house.delivery_of("C0000019").await.0, "queued");
    let status = house.status().await;
    assert!(status.deliveries.balances());
    assert_eq!(status.deliveries.held, 1);

    let hash = house.hash_of("C0000021").await.unwrap();
    execute(
        &house.shop,
        &format!("UPDATE customer SET password_hash = '{hash}' WHERE id = 'C0000020'"),
    )
    .await;
    house.secure(Pick::Failed, &Silent).await.unwrap();
    assert_eq!(house.delivery_of("C0000020").await.0, "queued");
}
