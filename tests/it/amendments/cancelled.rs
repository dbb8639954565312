//! A campaign that is cancelled after people were amended: who was told before stays told.

use forthwith::domain::amendment::{Change, Channel};
use forthwith::engine::progress::Silent;
use forthwith::engine::resolve::Verdict;

use super::{ready, sums_hold, to};
use crate::harness::audience::csv_audience;
use crate::harness::{ANN, CAMPAIGN, House, Plan, campaign_file, person};
use crate::launch::{cancel, plain_as, totals};

async fn class_of(house: &House, account: &str) -> String {
    let (class, reason) = house.delivery_of(account).await;
    format!("{class}/{reason}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_told_or_may_have_been_is_reached_by_the_correction() {
    // Cy's notice is taken each time, and the answer never arrives.
    let house = ready(Plan { faults: vec!["drop-after-dot:to=cy@*"], ..Plan::default() }).await;
    assert!(house.run().await.unwrap().is_finished);
    let before = house.status().await.deliveries;
    assert_eq!((class_of(&house, "C0000003").await, before.in_doubt), ("in-doubt/held".into(), 1));
    house.amended("C0000001", to("ana@new.example")).await;
    house.amended("C0000002", to("bo@new.example")).await;
    house.amended("C0000002", Change::Hold).await;
    house.amended("C0000003", Change::ChangeChannel(Channel::Post)).await;
    house.amended("C0000009", to("ida@new.example")).await;

    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let cancelled =
        house.engine.cancel(CAMPAIGN, "the wrong list", &signer, &Silent).await.unwrap();
    assert_eq!((cancelled.told, cancelled.possibly_told), (before.told, 1), "{cancelled:?}");
    for (account, class) in [
        ("C0000001", "told/accepted"),
        ("C0000002", "told/accepted"),
        ("C0000003", "in-doubt/held"),
        ("C0000009", "waived/cancelled"),
        ("C0000010", "waived/cancelled"),
    ] {
        assert_eq!(class_of(&house, account).await, class, "{account}");
    }
    sums_hold(&house).await;
}

/// Twelve people after a run: five in doubt, two held, one with a dead address, four told.
async fn after_doubts() -> House {
    let faults = vec![
        "drop-after-dot:to=p1@*",
        "drop-after-dot:to=p2@*",
        "drop-after-dot:to=p3@*",
        "drop-after-dot:to=p4@*",
        "drop-after-dot:to=p5@*",
        "rcpt:550:to=p12@*:text=5.1.1 nobody",
    ];
    let campaign = campaign_file("[in_doubt]\nthen = \"hold\"");
    let house = plain_as(Plan { faults, campaign, ..Plan::default() }, 12).await;
    for held in ["10", "11"] {
        house.amended(held, Change::Hold).await;
    }
    house.run().await.unwrap();
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_have_been_told_is_found_by_what_was_sent_whatever_class_they_came_to() {
    let house = after_doubts().await;
    let before = totals(&house).await;
    assert_eq!((before.told, before.in_doubt, before.held, before.fallback), (4, 5, 2, 1));
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let resolve = async |account: &str, verdict| {
        let numbers = [house.number(account).await];
        house.engine.resolve(CAMPAIGN, &numbers, verdict, "relay log", &signer).await
    };
    // five doubts: left to post, readdressed, let go, proved unsent, and as it is
    house.amended("1", Change::ChangeChannel(Channel::Post)).await;
    house.amended("2", Change::ReplaceAddress("two@new.example".parse().unwrap())).await;
    resolve("3", Verdict::Waive).await.unwrap();
    resolve("4", Verdict::NotSent).await.unwrap();
    // told, and to be told anew at another address
    house.amended("6", Change::ReplaceAddress("six@new.example".parse().unwrap())).await;
    assert_eq!(totals(&house).await.queued, 3);

    // a second list less those who may have been told has the others alone
    house.write_campaign(
        "second",
        &csv_audience("minus = [{ campaign = \"thaw\", classes = [\"told\", \"in-doubt\"] }]"),
    );
    assert_eq!(house.seal_of("second").await.unwrap().totals.sealed, 4);
    // who is left to post is found by that class, too
    house.write_campaign(
        "letters",
        "[audience.campaign]\nname = \"thaw\"\nclasses = [\"fallback\"]",
    );
    assert_eq!(house.seal_of("letters").await.unwrap().totals.sealed, 2);

    for round in 0..2 {
        let cancelled = cancel(&house).await;
        let sums = (cancelled.told, cancelled.possibly_told, cancelled.untold);
        assert_eq!(sums, (4, 4, 4), "{round}: {:?}", cancelled.totals);
        assert!(totals(&house).await.balances());
    }
    for (account, class, reason) in [
        ("1", "in-doubt", "held"),
        ("2", "in-doubt", "held"),
        ("3", "waived", "in-doubt:held"),
        ("4", "waived", "cancelled"),
        ("5", "in-doubt", "held"),
        ("6", "told", "accepted"),
        ("12", "waived", "cancelled"),
    ] {
        assert_eq!(house.delivery_of(account).await, (class, reason.into()), "{account}");
    }
    let correction = house.seal_of(&format!("{CAMPAIGN}-correction")).await.unwrap();
    assert_eq!(correction.totals.sealed, 8, "told and possibly told");

    // nobody is queued in a campaign that tells nobody any more
    assert_eq!(resolve("5", Verdict::NotSent).await.unwrap().moved, 1);
    assert_eq!(house.delivery_of("5").await, ("waived", "cancelled".into()));
    assert_eq!(resolve("2", Verdict::NotSent).await.unwrap().moved, 1, "of an earlier generation");
    let again = cancel(&house).await;
    assert_eq!((again.told, again.possibly_told, again.untold), (4, 2, 6));
}
