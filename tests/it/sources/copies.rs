//! An earlier campaign as a source tells people where that campaign told them: at second addresses and
//! at those that amendments brought, and at no other.

use std::collections::BTreeMap;

use forthwith::domain::amendment::Change;
use forthwith::engine::audience::compare::Compared;
use forthwith::engine::progress::Silent;
use tokio_util::sync::CancellationToken;

use crate::harness::tampering::{Notes, query};
use crate::harness::{ANN, CAMPAIGN, House, Plan, person, write};

const CORRECTION: &str = "thaw-correction";

/// After the incident's window began.
const CHANGED: &str = "2012-01-14T12:00:00Z";

/// Who has a newer address: `new#` now, `old#` before.
fn moved(names: &[&str]) -> String {
    let row = |name: &&str| {
        format!("{name},Ana,new-{name}@post.example,old-{name}@post.example,{CHANGED}\n")
    };
    names.iter().map(row).collect()
}

/// Who has one address.
fn plain(names: &[&str]) -> String {
    let rows: Vec<String> =
        names.iter().map(|name| format!("{name},Ana,{name}@post.example,,\n")).collect();
    rows.concat()
}

/// A campaign without credentials of these rows, sealed and approved.
async fn house_of(rows: &str, faults: Vec<&'static str>) -> House {
    let house = House::furnished(Plan { customers: 1, faults, ..Plan::default() }).await;
    write(&house.path("affected.csv"), &format!("customer_id,name,email,former,changed\n{rows}"));
    house.write_campaign(CAMPAIGN, AUDIENCE);
    house.edit(
        "campaigns/thaw.toml",
        "[notice]\n",
        "[addresses]\ndead_domains = [\"gone.example\"]\n\n[notice]\n",
    );
    house.seal().await;
    house.approve_notice(CAMPAIGN).await;
    house
}

const AUDIENCE: &str = "[audience.csv]\npath = \"affected.csv\"\ncolumns = { account = \"customer_id\", \
     address = \"email\", name = \"name\", address_before = \"former\", address_changed_at = \"changed\" }";

/// Mails taken, by address without its domain.
fn told(house: &House) -> BTreeMap<String, u32> {
    let mut told = BTreeMap::new();
    for (_, to, _) in house.taken() {
        *told.entry(to.split('@').next().unwrap().to_owned()).or_default() += 1;
    }
    told
}

async fn cancel(house: &House) -> bool {
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let reason = "the wrong list";
    let cancelled = house.engine.cancel(CAMPAIGN, reason, &signer, &Silent).await.unwrap();
    cancelled.correction.is_some()
}

/// Seals, approves and runs the drafted correction: which addresses it wrote to, how often each.
async fn correct(house: &House) -> BTreeMap<String, u32> {
    let before = told(house);
    house.seal_of(CORRECTION).await.unwrap();
    house.approve_notice(CORRECTION).await;
    let report = house.engine.run(CORRECTION, &Silent, &CancellationToken::new()).await.unwrap();
    assert!(report.is_finished, "{report:?}");
    let mut corrected = told(house);
    corrected.retain(|to, mails| {
        *mails -= before.get(to).copied().unwrap_or(0);
        *mails > 0
    });
    corrected
}

fn once(addresses: &[&str]) -> BTreeMap<String, u32> {
    addresses.iter().map(|address| ((*address).to_owned(), 1)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_reaches_every_address_that_was_told_and_trusts_those_that_were_trusted() {
    let rows = moved(&["both", "copy", "first", "none", "doubt"])
        + &plain(&["plain", "bounced", "waits"])
        + &format!("dead,Ana,new-dead@gone.example,old-dead@post.example,{CHANGED}\n")
        + &format!("suspect,Ana,suspect@post.example,,{CHANGED}\n");
    let faults = vec![
        "rcpt:550:to=old-copy@*:text=5.1.1 no such user",
        "rcpt:550:to=new-first@*:text=5.1.1 no such user",
        "rcpt:550:to=old-none@*:text=5.1.1 no such user",
        "rcpt:550:to=new-none@*:text=5.1.1 no such user",
        "rcpt:550:to=bounced@*:text=5.1.1 no such user",
        "rcpt:550:to=old-doubt@*:text=5.1.1 no such user",
        // the notice and its one second copy: in doubt for good
        "drop-after-dot:to=new-doubt@*:times=2",
    ];
    let house = house_of(&rows, faults).await;
    house.amended("waits", Change::Hold).await;
    house.run().await.unwrap();
    let first = told(&house);
    assert!(cancel(&house).await);
    let corrected = correct(&house).await;
    let expected = [
        "old-both",
        "new-both",
        "new-copy",
        "old-first",
        "new-doubt",
        "plain",
        "old-dead",
        "suspect",
    ];
    assert_eq!(corrected, once(&expected));
    assert!(corrected.keys().eq(first.keys()), "{first:?}");
    // as many people as before, each with the reason they had
    let sealed: Vec<(String, i64, i64)> = query(
        &house.database(),
        "SELECT r.address_reason, r.copy_of IS NOT NULL, COUNT(*)
         FROM campaign AS c JOIN recipient AS r ON r.seal_id = c.seal_id
         WHERE c.name = 'thaw-correction'
         GROUP BY 1, 2 ORDER BY 1, 2",
    )
    .await;
    let expected = [("ok", 0, 4), ("suspect", 0, 3), ("suspect", 1, 1)];
    assert_eq!(sealed, expected.map(|(reason, copy, rows)| (reason.to_owned(), copy, rows)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_is_drafted_where_a_copy_alone_was_told() {
    let faults = vec!["rcpt:550:to=old-one@*:text=5.1.1 no such user"];
    let house = house_of(&(moved(&["one"]) + &plain(&["two"])), faults.clone()).await;
    house.amended("two", Change::Hold).await;
    house.run().await.unwrap();
    assert_eq!(told(&house), once(&["new-one"]));
    assert!(cancel(&house).await);
    assert_eq!(correct(&house).await, once(&["new-one"]));

    let house = house_of(&plain(&["two"]), Vec::new()).await;
    assert!(!cancel(&house).await, "nobody was told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_correction_follows_whom_amendments_sent_elsewhere() {
    let rows = plain(&["twice", "elsewhere", "stays", "held", "stopped"]) + &moved(&["moved"]);
    let faults = vec!["rcpt:550:to=dead-end@*:text=5.1.1 no such user"];
    let house = house_of(&rows, faults).await;
    let to = |address: &str| Change::ReplaceAddress(address.parse().unwrap());
    house.amended("elsewhere", to("nearer@post.example")).await;
    house.amended("held", to("never@post.example")).await;
    house.amended("held", Change::Hold).await;
    house.run().await.unwrap();
    house.amended("twice", to("second@post.example")).await;
    house.amended("stays", to("dead-end@post.example")).await;
    house.amended("moved", to("third@post.example")).await;
    house.amended("stopped", to("unsent@post.example")).await;
    house.amended("stopped", Change::Hold).await;
    house.run().await.unwrap();
    let first = told(&house);
    let everywhere =
        ["twice", "second", "nearer", "stays", "stopped", "old-moved", "new-moved", "third"];
    assert_eq!(first, once(&everywhere));
    assert!(cancel(&house).await);

    let notes = Notes::default();
    house.engine.seal(CORRECTION, &notes).await.unwrap();
    assert!(
        notes.said().contains("1 addresses of people of `thaw` stand in no row"),
        "{}",
        notes.said()
    );
    house.approve_notice(CORRECTION).await;
    house.engine.run(CORRECTION, &Silent, &CancellationToken::new()).await.unwrap();
    let mut corrected = told(&house);
    corrected.retain(|to, mails| *mails > first.get(to).copied().unwrap_or(0));
    let reached: Vec<&str> = corrected.keys().map(String::as_str).collect();
    // the newest address and the trusted one; a third has no place in a row
    assert_eq!(reached, ["nearer", "old-moved", "second", "stays", "stopped", "third", "twice"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sealed_people_with_a_newer_address_compare_as_their_source_said() {
    let house = house_of(&(moved(&["one"]) + &plain(&["two"])), Vec::new()).await;
    house.write_campaign("again", AUDIENCE);
    let Compared { totals, .. } =
        house.engine.diff_audiences(CAMPAIGN, "again", &Silent).await.unwrap();
    assert_eq!((totals.same, totals.changed, totals.only_a, totals.only_b), (2, 0, 0, 0));
}
