//! Signed or nothing: who may approve, and what a plan that was touched comes to.

use forthwith::domain::credential::CredentialKind;
use forthwith::domain::track::Track;
use forthwith::engine::EngineError;
use forthwith::engine::resolve::Verdict;

use crate::harness::tampering::{Notes, hours, standing_clock};
use crate::harness::{ANN, BOB, CAMPAIGN, House, Plan, campaign_file, person};

const BODY: &str = "templates/mail/account-breach/en/body.txt.hbs";
const INCIDENT: &str = "incidents/cold-night/incident.toml";
const FILE: &str = "campaigns/thaw.toml";

/// Sealed and planned on one track.
async fn planned(track: Track) -> House {
    planned_in(Plan::default(), track).await
}

/// Sealed and planned on one track, in a house of this plan.
async fn planned_in(plan: Plan, track: Track) -> House {
    let house = House::furnished(plan).await;
    house.seal().await;
    house.engine.plan(CAMPAIGN, track, false).await.unwrap();
    house
}

fn words<T>(result: Result<T, EngineError>) -> String {
    result.err().expect("it must be refused").to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_operator_alone_approves_nothing() {
    let house = planned(Track::Containment).await;
    assert!(!house.sign(Track::Containment, ANN).await.unwrap());
    let before = house.hash_of("C0000001").await;
    let report = house.run().await.unwrap();
    assert!(report.secured.is_none() && !report.is_finished, "{report:?}");
    assert_eq!(house.hash_of("C0000001").await, before);
    let refused =
        words(house.secure(forthwith::store::credentials::Pick::Pending, &Notes::default()).await);
    assert!(refused.contains("containment track of `thaw` is not approved"), "{refused}");
    assert_eq!(house.status().await.containment, "none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_operator_twice_is_refused_by_name() {
    let house = planned(Track::Notice).await;
    assert!(!house.sign(Track::Notice, ANN).await.unwrap());
    let refused = words(house.sign(Track::Notice, ANN).await);
    assert!(refused.contains("`ann` has signed this already"), "{refused}");
    assert_eq!(house.status().await.approvals.len(), 1);
    assert_eq!(house.status().await.notice, "draft");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_sign_in_the_same_moment_approve_together() {
    let house = planned(Track::Notice).await;
    let (ann, bob) = (house.sign(Track::Notice, ANN), house.sign(Track::Notice, BOB));
    let (ann, bob) = tokio::join!(ann, bob);
    for (signed, who) in [(ann, ANN), (bob, BOB)] {
        if let Err(refused) = signed {
            let told = refused.to_string();
            assert!(told.contains("signed the notice plan in the same moment"), "{told}");
            assert!(house.sign(Track::Notice, who).await.unwrap(), "again, it is enough");
        }
    }
    assert_eq!(house.status().await.notice, "approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_signs_nothing() {
    let house = planned(Track::Notice).await;
    let mut thief = person(ANN);
    thief.password = person(BOB).password;
    let refused = house.engine.signer(thief).await.err().unwrap().to_string();
    assert!(refused.contains("ann"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_added_an_hour_ago_waits_a_day_and_never_signs_with_the_adder() {
    let clock = standing_clock();
    let plan = Plan { clock: clock.clone(), ..Plan::default() };
    let house = planned_in(plan, Track::Containment).await;
    let ann = house.engine.signer(person(ANN)).await.unwrap();
    house.engine.add_operator(person("eve"), vec![ann]).await.unwrap();

    hours(&clock, 1);
    let refused = words(house.sign(Track::Containment, "eve").await);
    assert!(refused.contains("`eve` was added with one signature"), "{refused}");
    assert!(refused.contains("2026-03-03T12:00:00Z"), "says from when on: {refused}");

    hours(&clock, 23);
    assert!(!house.sign(Track::Containment, "eve").await.unwrap());
    let refused = words(house.sign(Track::Containment, ANN).await);
    assert!(refused.contains("`eve` was added by `ann` alone"), "{refused}");
    assert!(house.sign(Track::Containment, BOB).await.unwrap(), "with the other founder they may");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_on_probation_exempts_nobody_and_settles_no_doubt() {
    let clock = standing_clock();
    let campaign = campaign_file("[in_doubt]\nthen = \"hold\"");
    let faults = vec!["drop-after-dot"];
    let house =
        House::ready(Plan { clock: clock.clone(), campaign, faults, ..Plan::default() }).await;
    let ann = house.engine.signer(person(ANN)).await.unwrap();
    house.engine.add_operator(person("eve"), vec![ann]).await.unwrap();
    let eve = house.engine.signer(person("eve")).await.unwrap();
    let number = house.number("C0000011").await;
    let kind = CredentialKind::Password;
    let exempt = async || house.engine.exempt(CAMPAIGN, &[number], kind, "asked", &eve).await;
    let refused = words(exempt().await);
    assert!(refused.contains("`eve` was added with one signature"), "{refused}");
    hours(&clock, 24);
    assert_eq!(exempt().await.unwrap(), 1);

    house.run().await.unwrap();
    let doubts = house.engine.doubts(CAMPAIGN).await.unwrap();
    let ann = house.engine.signer(person(ANN)).await.unwrap();
    house.engine.add_operator(person("fay"), vec![ann]).await.unwrap();
    let fay = house.engine.signer(person("fay")).await.unwrap();
    let resolve = async || {
        let doubt = &doubts[..1];
        house.engine.resolve(CAMPAIGN, doubt, Verdict::Accepted, "relay log", &fay).await
    };
    let refused = words(resolve().await);
    assert!(refused.contains("`fay` was added with one signature"), "{refused}");
    hours(&clock, 24);
    assert_eq!(resolve().await.unwrap().moved, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_vouchers_let_an_operator_sign_at_once() {
    let clock = standing_clock();
    let plan = Plan { clock: clock.clone(), ..Plan::default() };
    let house = planned_in(plan, Track::Containment).await;
    let ann = house.engine.signer(person(ANN)).await.unwrap();
    let bob = house.engine.signer(person(BOB)).await.unwrap();
    house.engine.add_operator(person("eve"), vec![ann, bob]).await.unwrap();
    assert!(!house.sign(Track::Containment, ANN).await.unwrap());
    assert!(house.sign(Track::Containment, "eve").await.unwrap());

    let ann = house.engine.signer(person(ANN)).await.unwrap();
    let same = house.engine.signer(person(ANN)).await.unwrap();
    let refused = words(house.engine.add_operator(person("fay"), vec![ann, same]).await);
    assert!(refused.contains("`ann` has signed this already"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_second_voucher_ends_the_wait() {
    let clock = standing_clock();
    let plan = Plan { clock: clock.clone(), ..Plan::default() };
    let house = planned_in(plan, Track::Containment).await;
    let ann = house.engine.signer(person(ANN)).await.unwrap();
    house.engine.add_operator(person("eve"), vec![ann]).await.unwrap();
    words(house.sign(Track::Containment, "eve").await);
    let bob = house.engine.signer(person(BOB)).await.unwrap();
    house.engine.vouch("eve", &bob).await.unwrap();
    assert!(!house.sign(Track::Containment, "eve").await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_founder_with_puppets_stays_one_voice() {
    let clock = standing_clock();
    let plan = Plan { clock: clock.clone(), ..Plan::default() };
    let house = planned_in(plan, Track::Containment).await;
    for puppet in ["eve", "fay"] {
        let ann = house.engine.signer(person(ANN)).await.unwrap();
        house.engine.add_operator(person(puppet), vec![ann]).await.unwrap();
    }
    let eve = house.engine.signer(person("eve")).await.unwrap();
    let refused = words(house.engine.add_operator(person("gus"), vec![eve]).await);
    assert!(refused.contains("`eve` was added with one signature"), "no voice yet: {refused}");

    hours(&clock, 24);
    let eve = house.engine.signer(person("eve")).await.unwrap();
    let ann = house.engine.signer(person(ANN)).await.unwrap();
    let refused = words(house.engine.vouch("fay", &eve).await);
    assert!(refused.contains("`eve` was added by `ann` alone"), "ann spoke for fay: {refused}");
    let both = vec![ann, eve];
    let refused = words(house.engine.add_operator(person("gus"), both).await);
    assert!(refused.contains("`eve` was added by `ann` alone"), "{refused}");

    assert!(!house.sign(Track::Containment, "eve").await.unwrap());
    let refused = words(house.sign(Track::Containment, "fay").await);
    assert!(refused.contains("stand on the word of `ann` alone"), "{refused}");
    assert!(house.sign(Track::Containment, BOB).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_edited_between_plan_and_approval_is_named() {
    let house = planned(Track::Notice).await;
    for (file, from, to, named) in [
        (BODY, "", "Dear customer, ", format!("`{BODY}` changed")),
        (INCIDENT, "not_exposed", "# note\nnot_exposed", format!("`{INCIDENT}` changed")),
        (FILE, "Northwind Outfitters", "Southwind", format!("`{FILE}` changed")),
    ] {
        let untouched = std::fs::read_to_string(house.path(file)).unwrap();
        house.edit(file, from, to);
        let refused = words(house.sign(Track::Notice, ANN).await);
        assert!(refused.contains(&named) && refused.contains("campaign plan thaw"), "{refused}");
        std::fs::write(house.path(file), untouched).unwrap();
    }
    let added = "templates/mail/account-breach/en/extra.hbs";
    std::fs::write(house.path(added), "x").unwrap();
    let refused = words(house.sign(Track::Notice, ANN).await);
    assert!(refused.contains("extra.hbs"), "{refused}");
    std::fs::remove_file(house.path(added)).unwrap();
    assert!(!house.sign(Track::Notice, ANN).await.unwrap(), "with the planned files it goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_edited_between_two_signatures_is_named() {
    let house = planned(Track::Containment).await;
    assert!(!house.sign(Track::Containment, ANN).await.unwrap());
    let untouched = std::fs::read_to_string(house.path(FILE)).unwrap();
    house.edit(FILE, "WHERE customer.id = r.value ->> 'account' AND", "WHERE 1 = 1 AND");
    let refused = words(house.sign(Track::Containment, BOB).await);
    assert!(refused.contains("`campaigns/thaw.toml [directory]` changed"), "{refused}");
    assert!(refused.contains("containment plan thaw"), "{refused}");
    assert_eq!(house.status().await.containment, "none");

    std::fs::write(house.path(FILE), &untouched).unwrap();
    house.edit(
        INCIDENT,
        "2012-01-15T18:00[America/Los_Angeles]\"\n\n[brand]",
        "2012-01-16T18:00[America/Los_Angeles]\"\n\n[brand]",
    );
    let refused = words(house.sign(Track::Containment, BOB).await);
    assert!(refused.contains("[exposed.credentials, window]` changed"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pace_may_change_without_a_new_signature() {
    let house = planned(Track::Notice).await;
    house.edit(FILE, "per_second = 2000", "per_second = 7");
    assert!(!house.sign(Track::Notice, ANN).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_plan_starts_without_the_old_signatures() {
    let clock = standing_clock();
    let house = planned_in(Plan { clock, ..Plan::default() }, Track::Notice).await;
    assert!(!house.sign(Track::Notice, ANN).await.unwrap());
    house.edit(BODY, "", "Hello. ");
    // within the same instant of a standing clock: the later plan is the latest one all the same
    house.engine.plan(CAMPAIGN, Track::Notice, false).await.unwrap();
    assert!(!house.sign(Track::Notice, BOB).await.unwrap(), "one of two over the new bytes");
    assert!(house.sign(Track::Notice, ANN).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checking_a_plan_stores_nothing() {
    let house = House::furnished(Plan::default()).await;
    house.seal().await;
    let checked = house.engine.plan(CAMPAIGN, Track::Notice, true).await.unwrap();
    let refused = words(house.sign(Track::Notice, ANN).await);
    assert!(refused.contains("nothing is planned on the notice track"), "{refused}");
    let stored = house.engine.plan(CAMPAIGN, Track::Notice, false).await.unwrap();
    assert_eq!(checked.digest, stored.digest, "the same files give the same digest");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_template_and_another_environment_are_refused_at_plan() {
    let house = House::furnished(Plan::default()).await;
    house.seal().await;
    let untouched = std::fs::read_to_string(house.path(FILE)).unwrap();
    house.edit(FILE, "account-breach", "card-breach");
    let refused = words(house.engine.plan(CAMPAIGN, Track::Notice, false).await);
    assert!(refused.contains("no template `card-breach`"), "{refused}");
    std::fs::write(house.path(FILE), &untouched).unwrap();
    std::fs::remove_file(house.path("templates/mail/account-breach/en/subject.txt.hbs")).unwrap();
    let refused = words(house.engine.plan(CAMPAIGN, Track::Notice, false).await);
    assert!(refused.contains("subject.txt"), "{refused}");
    house.edit(FILE, "environment = \"rehearsal\"", "environment = \"live\"");
    for track in [Track::Notice, Track::Containment] {
        let refused = words(house.engine.plan(CAMPAIGN, track, false).await);
        assert!(refused.contains("environment live"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_edited_after_approval_is_warned_of_and_the_approved_words_are_sent() {
    let house = House::ready(Plan::default()).await;
    house.edit(BODY, "", "These words nobody approved. ");
    house.edit(FILE, "UPDATE customer SET", "UPDATE customer_of_another SET");
    let notes = Notes::default();
    let stop = tokio_util::sync::CancellationToken::new();
    let report = house.engine.run(CAMPAIGN, &notes, &stop).await.unwrap();
    assert!(report.is_finished && report.totals.told > 0, "{report:?}");
    let said = notes.said();
    assert!(said.contains(&format!("notice of `thaw` was approved, `{FILE}` changed")), "{said}");
    assert!(said.contains(&format!("`{BODY}` changed")), "{said}");
    assert!(said.contains("`campaigns/thaw.toml [directory]` changed"), "{said}");
    assert!(house.mails().iter().all(|mail| !mail.contains("nobody approved")));
    assert_eq!(house.mails().len() as u64, report.totals.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_removed_after_approval_stops_nothing() {
    let house = House::ready(Plan::default()).await;
    std::fs::remove_dir_all(house.path("templates")).unwrap();
    let notes = Notes::default();
    let stop = tokio_util::sync::CancellationToken::new();
    let report = house.engine.run(CAMPAIGN, &notes, &stop).await.unwrap();
    assert!(report.is_finished && report.totals.told > 0, "{report:?}");
    assert!(notes.said().contains("account-breach"), "{}", notes.said());
}
