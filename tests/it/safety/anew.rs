//! A pass that has paused itself goes on by other statements only where two sign them.

use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;

use super::{changed, file_with, furnished, hashes, pass};
use crate::harness::tampering::execute;
use crate::harness::{ANN, BOB, CAMPAIGN, House, view_that_updates};

const FILE: &str = "campaigns/thaw.toml";
const INCIDENT: &str = "incidents/cold-night/incident.toml";

/// A pass over a view of the shop that, since its approval, gives each account's value to another.
async fn paused() -> House {
    let text = file_with("pause_after_first_batch = true")
        .replace("UPDATE customer SET", "UPDATE login SET")
        .replace("WHERE customer.id =", "WHERE login.id =")
        .replace("AND customer.password_hash =", "AND login.password_hash =");
    let house = furnished(text, &view_that_updates("id = NEW.id")).await;
    house.approve(Track::Containment).await;
    let other = "id = printf('C%07d', 1 + (CAST(substr(NEW.id, 2) AS INTEGER) + 29) % 60)";
    execute(&house.shop, &view_that_updates(other)).await;
    let refused = pass(&house).await.unwrap_err().to_string();
    for way in ["containment resume thaw", "containment plan thaw", "containment approve thaw"] {
        assert!(refused.contains(way), "{refused}");
    }
    let refused = pass(&house).await.unwrap_err().to_string();
    assert!(refused.contains("read-back") && refused.contains("containment plan"), "{refused}");
    house
}

/// The statement as it ought to be, on the table itself.
fn mend(house: &House) {
    house.edit(FILE, "UPDATE login SET", "UPDATE customer SET");
    house.edit(FILE, "WHERE login.id =", "WHERE customer.id =");
    house.edit(FILE, "AND login.password_hash =", "AND customer.password_hash =");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_paused_itself_goes_on_by_statements_that_two_approve_anew() {
    let house = paused().await;
    mend(&house);
    house.engine.plan(CAMPAIGN, Track::Containment, false).await.unwrap();
    assert!(!house.sign(Track::Containment, ANN).await.unwrap());
    assert_eq!(house.status().await.containment, "paused", "one alone changes nothing");
    assert!(house.sign(Track::Containment, BOB).await.unwrap());
    let status = house.status().await;
    assert_eq!((status.containment, status.containment_cause), ("approved", None));
    let before = hashes(&house).await;

    let report = pass(&house).await.unwrap();
    let note = report.paused.expect("the new statement's first batch is to be looked at");
    assert!(note.contains("first batch"), "{note}");
    assert!(changed(&before, &hashes(&house).await).len() <= 20);
    house.engine.resume(CAMPAIGN, Track::Containment, BOB).await.unwrap();
    let report = pass(&house).await.unwrap();
    assert!(report.is_done && !report.totals.contains_key("password/failed"), "{report:?}");
    let after = hashes(&house).await;
    let mut sealed = before.iter().zip(&after).filter(|(was, _)| was.0.starts_with('C'));
    assert!(sealed.all(|(was, is)| was.1.is_none() || was.1 != is.1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_but_the_directory_is_approved_anew_and_nothing_while_it_runs() {
    let house = paused().await;
    mend(&house);
    house.edit(INCIDENT, "until = \"2012-01-15T18:00", "until = \"2012-01-15T19:00");
    house.engine.plan(CAMPAIGN, Track::Containment, false).await.unwrap();
    let refused = house.sign(Track::Containment, ANN).await.unwrap_err().to_string();
    assert!(refused.contains("has begun, and since its approval"), "{refused}");
    assert!(refused.contains("[exposed.credentials, window]") && refused.contains("hint:"));
    house.edit(INCIDENT, "until = \"2012-01-15T19:00", "until = \"2012-01-15T18:00");

    house.engine.resume(CAMPAIGN, Track::Containment, BOB).await.unwrap();
    house.engine.plan(CAMPAIGN, Track::Containment, false).await.unwrap();
    let refused = house.sign(Track::Containment, ANN).await.unwrap_err().to_string();
    assert!(refused.contains("is running: it has begun"), "{refused}");
    house.engine.pause(CAMPAIGN, Track::Containment, ANN).await.unwrap();
    let refused = house.sign(Track::Containment, ANN).await.unwrap_err().to_string();
    assert!(refused.contains("is paused: it has begun"), "an operator's pause: {refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_re_check_waits_for_the_pass_that_follows_a_new_approval() {
    let house = paused().await;
    mend(&house);
    house.approve(Track::Containment).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let refused = house.engine.recheck(CAMPAIGN, &Silent, &stop).await.unwrap_err().to_string();
    assert!(refused.contains("was approved anew; hint: `forthwith secure run thaw`"), "{refused}");
}
