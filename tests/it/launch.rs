//! The two ends of a campaign and what stands before its beginning: launch guard, preview and test,
//! cancel, close.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use forthwith::domain::address::EmailAddress;
use forthwith::domain::credential::CredentialClass;
use forthwith::domain::recipient::Addressee;
use forthwith::domain::totals::DeliveryTotals;
use forthwith::domain::track::Track;
use forthwith::engine::cancel::Cancelled;
use forthwith::engine::launch::Typed;
use forthwith::engine::preview::{AddressKind, Subject};
use forthwith::engine::progress::Silent;
use forthwith::store::credentials::Pick;
use forthwith::store::reports::DeliveryFilter;
use tokio_util::sync::CancellationToken;

use crate::crash::write_settings;
use crate::harness::snapshot::Told;
use crate::harness::tampering::execute;
use crate::harness::{
    ANN, BOB, CAMPAIGN, House, INCIDENT, Plan, binary, campaign_file, person, write,
};

const BOTH: [Track; 2] = [Track::Containment, Track::Notice];

/// A house whose audience is so many people without a fault, and whose incident exposed no credential.
async fn plain(people: u32, faults: Vec<&'static str>, dot_delay: Duration) -> House {
    plain_as(Plan { faults, dot_delay, ..Plan::default() }, people).await
}

pub async fn plain_as(plan: Plan, people: u32) -> House {
    let house = House::furnished(plan).await;
    let row = |n: u32| format!("{n},p{n}@mail.example,Pat Person\n");
    let rows: String = (1..=people).map(row).collect();
    write(&house.path("affected.csv"), &format!("customer_id,email,name\n{rows}"));
    let incident = INCIDENT.replace("credentials = [\"password\"]", "credentials = []");
    write(&house.engine.workspace.incident_file("cold-night").0, &incident);
    house.seal().await;
    house.approve(Track::Notice).await;
    house
}

pub async fn totals(house: &House) -> DeliveryTotals {
    house.engine.standing(CAMPAIGN).await.unwrap().deliveries
}

pub async fn cancel(house: &House) -> Cancelled {
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    house.engine.cancel(CAMPAIGN, "the wrong list", &signer, &Silent).await.unwrap()
}

fn typed(name: &str, head_count: u64) -> Typed {
    Typed { name: name.into(), head_count }
}

#[tokio::test]
async fn a_live_campaign_begins_only_when_its_name_and_head_count_were_typed() {
    let live = campaign_file("").replace("environment = \"rehearsal\"", "environment = \"live\"");
    let house = House::furnished(Plan { campaign: live, marker: false, ..Plan::default() }).await;
    let incident = INCIDENT.replace("credentials = [\"password\"]", "credentials = []");
    write(&house.engine.workspace.incident_file("cold-night").0, &incident);
    house.seal().await;
    house.approve(Track::Notice).await;
    let mut told = Told::of("launch");
    told.error("nothing typed", house.run().await.unwrap_err());
    let (tracks, heads) = house.engine.unlaunched(CAMPAIGN, &BOTH).await.unwrap();
    assert_eq!(tracks, [Track::Notice]);
    for (input, wrong) in
        [("another head count", typed("thaw", heads + 1)), ("another name", typed("spring", heads))]
    {
        let refused = house.engine.launch(CAMPAIGN, &tracks, &wrong, "os:ann").await.unwrap_err();
        told.error(input, refused);
    }
    told.same();
    assert!(house.run().await.is_err());
    assert!(house.taken().is_empty());
    house.engine.launch(CAMPAIGN, &tracks, &typed("thaw", heads), "os:ann").await.unwrap();
    assert!(house.engine.unlaunched(CAMPAIGN, &BOTH).await.unwrap().0.is_empty());
    assert!(house.run().await.unwrap().totals.told > 0);
    assert!(house.ledger_lines().await.iter().any(|line| line.contains(r#""kind":"launched""#)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_let_the_kill_loose_lets_no_notice_loose() {
    let live = campaign_file("")
        .replace("environment = \"rehearsal\"", "environment = \"live\"")
        .replace("name = \"shop\"\n", "name = \"shop\"\ncontrol_accounts = [\"K1\"]\n");
    let house = House::furnished(Plan { campaign: live, marker: false, ..Plan::default() }).await;
    let control =
        "INSERT INTO customer SELECT 'K1', name, email, password_hash, password_changed_at
        FROM customer WHERE id = 'C0000001'";
    execute(&house.shop, control).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    let (tracks, heads) = house.engine.unlaunched(CAMPAIGN, &BOTH).await.unwrap();
    assert_eq!(tracks, BOTH);
    write_settings(&house);
    let done = binary()
        .arg("--workspace")
        .arg(house.dir.path())
        .args(["secure", "run", CAMPAIGN, "--launch", &format!("{CAMPAIGN} {heads}")])
        .env("XDG_STATE_HOME", house.path("xdg-state"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    let loose = format!("`thaw` is let loose, live, for {heads} people: expire credentials.");
    assert!(said.contains(&loose), "{said}");
    let (tracks, _) = house.engine.unlaunched(CAMPAIGN, &BOTH).await.unwrap();
    assert_eq!(tracks, [Track::Notice], "nobody agreed to tell anybody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_campaign_expires_nothing_more() {
    let house = House::furnished(Plan::default()).await;
    house.seal().await;
    house.engine.plan(CAMPAIGN, Track::Containment, false).await.unwrap();
    house.sign(Track::Containment, ANN).await.unwrap();
    cancel(&house).await;
    let refused = house.sign(Track::Containment, BOB).await.unwrap_err().to_string();
    assert!(refused.contains("is cancelled") && refused.contains("hint:"), "{refused}");

    let house = House::ready(Plan::default()).await;
    cancel(&house).await;
    assert_eq!(house.engine.status(CAMPAIGN).await.unwrap().containment, "paused");
    let resumed = house.engine.resume(CAMPAIGN, Track::Containment, "os:ann").await;
    let refused = resumed.unwrap_err().to_string();
    assert!(refused.contains("is cancelled, so nothing is begun any more"), "{refused}");
    // and were it running all the same
    house.tamper("UPDATE campaign SET containment_state = 'running'").await;
    let stop = CancellationToken::new();
    let pass = house.engine.secure_alone(CAMPAIGN, Pick::Pending, &Silent, &stop).await;
    let refused = pass.unwrap_err().to_string();
    assert!(refused.contains("is cancelled"), "{refused}");
    assert!(!house.status().await.credentials.contains_key("password/expired"));
}

/// Nobody, at an address of their own.
fn invented() -> Subject {
    let addressee = Addressee::SelfPerson;
    Subject::Variant { locale: None, addressee, address: AddressKind::Own }
}

#[tokio::test]
async fn a_preview_shows_a_sealed_person_or_an_invented_one() {
    let house = House::furnished(Plan::default()).await;
    house.seal().await;
    let number =
        house.engine.deliveries(CAMPAIGN, &DeliveryFilter::default(), None, 1).await.unwrap()[0]
            .number;
    let shown = house.engine.preview_one(CAMPAIGN, &Subject::Person(number), None).await.unwrap();
    // nothing was done to their password yet, and the notice says no more than that
    assert!(
        shown.rendered.text.contains("not yet been able to make sure"),
        "{}",
        shown.rendered.text
    );
    let class = Some(CredentialClass::NoPassword);
    let subject = invented();
    let shown = house.engine.preview_one(CAMPAIGN, &subject, class).await.unwrap();
    assert!(shown.rendered.text.contains("Dear Alex Sample"), "{}", shown.rendered.text);
    assert!(shown.rendered.text.contains("has no password with us"));
    let nobody = house.engine.preview_one(CAMPAIGN, &Subject::Person(9_999_999), None).await;
    assert!(nobody.unwrap_err().to_string().contains("has no recipient 9999999"));
}

#[tokio::test]
async fn a_test_goes_to_operators_alone_is_marked_and_counts_for_nobody() {
    let mut house = House::furnished(Plan::default()).await;
    house.seal().await;
    let subject = invented();
    let own: EmailAddress = "ops@northwind.example".parse().unwrap();
    let refused =
        house.engine.send_test(CAMPAIGN, &subject, None, &own, "os:ann").await.unwrap_err();
    let refused = refused.to_string();
    assert!(
        refused.contains("o***@n***.example") && refused.contains("[test] addresses"),
        "{refused}"
    );
    let before = totals(&house).await;
    house.engine.test_addresses = Arc::new([own.clone()]);
    let sent = house.engine.send_test(CAMPAIGN, &subject, None, &own, "os:ann").await.unwrap();
    assert!(sent.is_accepted());
    let mails = house.mails();
    let [mail] = &mails[..] else { panic!("{} mails", mails.len()) };
    assert!(mail.contains("Subject: [TEST] Security notice"), "{mail}");
    assert!(mail.contains("X-Forthwith-Test: yes") && mail.contains("THIS IS A TEST"), "{mail}");
    assert!(!mail.contains("X-Notice-Reference"), "{mail}");
    assert_eq!(totals(&house).await, before);
    let campaign = house.engine.campaign(CAMPAIGN).await.unwrap().id;
    let errands = house.engine.store.errand_totals(campaign).await.unwrap();
    assert_eq!(errands, [("test-send/accepted".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_test_that_is_refused_is_told_and_recorded() {
    let mut house = House::furnished(Plan { faults: vec!["rcpt:550"], ..Plan::default() }).await;
    house.seal().await;
    let own: EmailAddress = "ops@northwind.example".parse().unwrap();
    house.engine.test_addresses = Arc::new([own.clone()]);
    let subject = invented();
    let sent = house.engine.send_test(CAMPAIGN, &subject, None, &own, "os:ann").await.unwrap();
    assert!(!sent.is_accepted());
    let campaign = house.engine.campaign(CAMPAIGN).await.unwrap().id;
    let errands = house.engine.store.errand_totals(campaign).await.unwrap();
    assert_eq!(errands, [("test-send/refused".to_owned(), 1)].into());
}

#[tokio::test]
async fn cancelling_while_it_runs_stops_it_and_accounts_for_everybody() {
    let house = plain(400, Vec::new(), Duration::from_millis(20)).await;
    let engine = house.engine.clone();
    let running =
        tokio::spawn(async move { engine.run(CAMPAIGN, &Silent, &CancellationToken::new()).await });
    while totals(&house).await.told < 40 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let cancelled = cancel(&house).await;
    running.await.unwrap().unwrap();
    let after = totals(&house).await;
    assert!(after.balances());
    assert_eq!(after.machine_open(), 0, "{after:?}");
    assert_eq!(house.taken().len() as u64, after.told);
    assert!(after.told < 400, "the whole list was told before it was cancelled");
    assert_eq!(cancelled.told, after.told);
    assert_eq!(cancelled.untold, 400 - after.told);
    assert_eq!(after.reasons.get("waived/cancelled"), Some(&cancelled.untold));
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    assert_eq!(status.notice, "cancelled");
    let refused = house.run().await.unwrap_err().to_string();
    assert!(refused.contains("cancelled"), "{refused}");
    assert_eq!(house.taken().len() as u64, after.told);
    let drafted = std::fs::read_to_string(cancelled.correction.unwrap()).unwrap();
    assert!(drafted.contains("classes = [\"told\", \"in-doubt\"]"), "{drafted}");
}

#[tokio::test]
async fn a_doubt_is_possibly_told_and_is_not_sent_again() {
    let house = plain(12, vec!["dot:cut:1.0"], Duration::ZERO).await;
    let stop = CancellationToken::new();
    let engine = house.engine.clone();
    let (token, running) =
        (stop.clone(), async move { engine.run(CAMPAIGN, &Silent, &stop).await });
    let running = tokio::spawn(running);
    while totals(&house).await.in_doubt == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    token.cancel();
    running.await.unwrap().unwrap();
    let before = totals(&house).await;
    let cancelled = cancel(&house).await;
    // those whose second copy was already due may have been told, too
    assert!(cancelled.possibly_told >= before.in_doubt.max(1), "{cancelled:?} {before:?}");
    assert_eq!(cancelled.told + cancelled.possibly_told + cancelled.untold, 12);
    let after = totals(&house).await;
    assert_eq!((after.in_doubt_due, after.machine_open()), (0, 0), "{after:?}");
    // once more changes nothing
    let again = cancel(&house).await;
    assert_eq!(
        (again.told, again.possibly_told, again.untold),
        (cancelled.told, cancelled.possibly_told, cancelled.untold)
    );
}

#[tokio::test]
async fn who_was_secured_and_not_told_is_counted() {
    let house = House::ready(Plan::default()).await;
    let stop = CancellationToken::new();
    house.engine.secure_alone(CAMPAIGN, Pick::Pending, &Silent, &stop).await.unwrap();
    let expired = house.engine.standing(CAMPAIGN).await.unwrap().credentials["password/expired"];
    let cancelled = cancel(&house).await;
    assert_eq!(cancelled.told, 0);
    assert_eq!(cancelled.secured_untold, expired);
    assert!(cancelled.correction.is_none());
}

#[tokio::test]
async fn a_campaign_closes_when_every_point_holds_and_not_before() {
    let house = plain(8, Vec::new(), Duration::ZERO).await;
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let refused =
        house.engine.close(CAMPAIGN, None, &signer, &Silent).await.unwrap_err().to_string();
    assert!(refused.contains("8 people wait for the machine"), "{refused}");
    house.run().await.unwrap();
    let checks = house.engine.closing_checks(CAMPAIGN).await.unwrap();
    assert!(checks.iter().all(|check| check.holds), "{checks:?}");
    house.engine.close(CAMPAIGN, None, &signer, &Silent).await.unwrap();
    assert_eq!(house.engine.status(CAMPAIGN).await.unwrap().notice, "closed");
    let refused =
        house.engine.close(CAMPAIGN, None, &signer, &Silent).await.unwrap_err().to_string();
    assert!(refused.contains("closed already"), "{refused}");
    assert!(house.run().await.is_err());
}

#[tokio::test]
async fn somebody_left_open_keeps_a_campaign_from_closing() {
    let house = plain(8, vec!["rcpt:550:0.5"], Duration::ZERO).await;
    house.run().await.unwrap();
    let bounced = totals(&house).await.fallback;
    assert!(bounced > 0);
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let refused =
        house.engine.close(CAMPAIGN, None, &signer, &Silent).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("{bounced} people wait for somebody to act")), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_list_is_stopped_in_its_canary_and_its_correction_reaches_whom_it_told() {
    let canary =
        campaign_file("[canary]\nsize = 30\ngo = \"operator\"\n\n[in_doubt]\nthen = \"hold\"\n");
    let faults = vec!["rcpt:550:to=p1*@*", "drop-after-dot:to=p2*@*"];
    let house = House::furnished(Plan { faults, campaign: canary, ..Plan::default() }).await;
    let row = |n: u32| format!("{n},p{n}@mail.example,Pat Person\n");
    let rows: String = (1..=400).map(row).collect();
    write(&house.path("affected.csv"), &format!("customer_id,email,name\n{rows}"));
    let incident = INCIDENT.replace("credentials = [\"password\"]", "credentials = []");
    write(&house.engine.workspace.incident_file("cold-night").0, &incident);
    house.seal().await;
    house.approve(Track::Notice).await;
    let report = house.run().await.unwrap();
    assert!(report.is_at_gate && !report.is_finished, "{report:?}");
    let standing = totals(&house).await;
    let reached = standing.told + standing.in_doubt;
    assert!((10..=40).contains(&reached) && standing.in_doubt > 0, "{standing:?}");

    let cancelled = cancel(&house).await;
    assert_eq!((cancelled.told, cancelled.possibly_told), (standing.told, standing.in_doubt));
    assert_eq!(cancelled.untold, 400 - reached);
    let wrong: BTreeSet<String> = house.taken().into_iter().map(|(_, to, _)| to).collect();
    assert_eq!(wrong.len() as u64, reached);

    let correction = format!("{CAMPAIGN}-correction");
    let sealed = house.seal_of(&correction).await.unwrap();
    assert_eq!(sealed.totals.sealed, reached);
    house.approve_notice(&correction).await;
    let before = house.taken().len();
    house.engine.run(&correction, &Silent, &CancellationToken::new()).await.unwrap();
    let corrected: BTreeSet<String> =
        house.taken().into_iter().skip(before).map(|(_, to, _)| to).collect();
    assert_eq!(corrected, wrong);
    let status = house.engine.standing(&correction).await.unwrap().deliveries;
    assert_eq!(status.told + status.in_doubt, reached, "{status:?}");
    // who was in doubt is in doubt again at this relay, and may have a second copy
    let corrections =
        house.mails().iter().filter(|mail| mail.contains("Subject: Correction")).count();
    assert!(corrections as u64 >= reached, "{corrections} of {reached}");
}
