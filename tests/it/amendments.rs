//! Amendments: what may be changed about sealed people, by whom, and that a database altered behind the
//! program's back changes nobody.

mod bulk;
mod cancelled;
mod credentials;
mod groups;
mod race;
mod whom;

use forthwith::domain::amendment::{Change, Channel};
use forthwith::domain::track::Track;
use forthwith::engine::EngineError;
use forthwith::store::reports::DeliveryFilter;

use crate::harness::amending::{EVIDENCE, REASON};
use crate::harness::files_under;
use crate::harness::running::{begun, finished, until};
use crate::harness::snapshot::Told;
use crate::harness::tampering::{hours, query, standing_clock};
use crate::harness::{ANN, BOB, CAMPAIGN, House, Plan, campaign_file, link, person};

/// Ten people of the shop: 8 has two addresses to choose from, 9 none, 10 rubbish for one.
const PEOPLE: &str = "customer_id,name,email\n\
     C0000001,Ana,ana@post.example\n\
     C0000002,Bo,bo@post.example\n\
     C0000003,Cy,cy@post.example\n\
     C0000004,Di,di@post.example\n\
     C0000005,Ed,ed@post.example\n\
     C0000006,Fe,fe@post.example\n\
     C0000007,Gil,gil@post.example\n\
     C0000008,Hal,hal@post.example\n\
     C0000008,Hal,hal@elsewhere.example\n\
     C0000009,Ida,\n\
     C0000010,Jo,not an address\n";

fn to(address: &str) -> Change {
    Change::ReplaceAddress(address.parse().unwrap())
}

/// A house of these ten people, sealed and nothing else.
async fn sealed(plan: Plan) -> House {
    let house = House::furnished(plan).await;
    std::fs::write(house.path("affected.csv"), PEOPLE).unwrap();
    house.seal().await;
    house
}

/// The same, approved on both tracks; the conflict keeps its sealed row.
async fn ready(plan: Plan) -> House {
    let house = sealed(plan).await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    house
}

async fn sums_hold(house: &House) {
    let status = house.status().await;
    assert!(status.source.balances() && status.deliveries.balances(), "{status:?}");
}

fn mails_to(house: &House, address: &str) -> usize {
    house.taken().iter().filter(|(_, to, _)| to == address).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_kind_moves_its_person_with_the_sums_and_leaves_no_clear_text() {
    let house = ready(Plan::default()).await;
    house.amended("C0000001", Change::Withdraw).await;
    house.amended("C0000002", Change::Hold).await;
    house.amended("C0000003", Change::Waive).await;
    house.amended("C0000004", Change::ChangeChannel(Channel::Post)).await;
    house.amended("C0000005", to("Edward@new.example")).await;
    house.amended("C0000009", to("ida@new.example")).await;
    sums_hold(&house).await;
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    sums_hold(&house).await;
    for (account, class, reason) in [
        ("C0000001", "withdrawn", ""),
        ("C0000002", "held", "operator"),
        ("C0000003", "waived", "queued"),
        ("C0000004", "fallback", "channel"),
        ("C0000005", "told", "accepted"),
        ("C0000006", "told", "accepted"),
        ("C0000008", "told", "accepted"),
        ("C0000009", "told", "accepted"),
        ("C0000010", "fallback", "address:invalid"),
    ] {
        assert_eq!(house.delivery_of(account).await, (class, reason.into()), "{account}");
    }
    let mut told: Vec<String> = house.taken().into_iter().map(|(_, to, _)| to).collect();
    told.sort();
    let expected = ["Edward@new.example", "fe@post.example", "gil@post.example"];
    assert_eq!(told[..3], expected);
    assert_eq!(told[3..], ["hal@post.example", "ida@new.example"]);

    house.amended("C0000002", Change::Release).await;
    assert!(house.run().await.unwrap().is_finished);
    assert_eq!(mails_to(&house, "bo@post.example"), 1);
    let sums = house.status().await.amendments;
    let force: Vec<_> = sums.iter().map(|(kind, sum)| (*kind, sum.made, sum.in_force)).collect();
    let expected = [
        ("change-channel", 1, 1),
        ("hold", 1, 0),
        ("release", 2, 2),
        ("replace-address", 2, 2),
        ("waive", 1, 1),
        ("withdraw", 1, 1),
    ];
    assert_eq!(force, expected);
    for folder in ["data", "journal", "state"] {
        for file in files_under(&house.path(folder)) {
            let bytes = std::fs::read(&file).unwrap();
            for text in ["@new.example", "@NEW.", REASON, EVIDENCE, "Edward"] {
                let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
                assert!(!found, "{} holds {text}", file.display());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_found_and_shown_by_the_new_address_masked() {
    let house = ready(Plan::default()).await;
    house.amended("C0000005", to("Edward@new.example")).await;
    house.run().await.unwrap();
    let number = house.number("C0000005").await;
    for address in ["edward@new.example", "ed@post.example"] {
        assert_eq!(house.engine.find(CAMPAIGN, address).await.unwrap(), [number], "{address}");
    }
    let story = house.engine.story(CAMPAIGN, number).await.unwrap();
    assert_eq!(story.delivery.address, "E***@n***.example");
    let [amendment] = story.amendments.as_slice() else { panic!("{story:?}") };
    assert_eq!((amendment.kind, amendment.by.join(" ")), ("replace-address", "ann bob".into()));
    assert_eq!((amendment.reason.as_str(), amendment.evidence.as_str()), (REASON, EVIDENCE));
    assert_eq!((amendment.was.as_str(), amendment.became.as_str()), ("queued", "queued"));
    let text = serde_json::to_string(&story).unwrap();
    assert!(!text.contains("@new.example") && !text.contains("ed@"), "{text}");
    let filter = DeliveryFilter::default();
    let page = house.engine.deliveries(CAMPAIGN, &filter, None, 100).await.unwrap();
    let shown = page.iter().find(|one| one.number == number).unwrap();
    assert_eq!(shown.address, "E***@n***.example");
    let listed = house.engine.amendments(CAMPAIGN, (0, 0), 100).await.unwrap();
    assert_eq!(listed.len(), 2, "the conflict's release and this: {listed:?}");
    assert_eq!(house.engine.amendments(CAMPAIGN, (number, 1), 100).await.unwrap().len(), 1);
    let lines = house.ledger_lines().await;
    let line = lines.iter().find(|line| line.contains("replace-address")).unwrap();
    assert!(!line.contains(REASON) && line.matches("keys").count() == 1, "{line}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_and_says_why() {
    let house = ready(Plan::default()).await;
    house.amended("C0000001", Change::Hold).await;
    house.amended("C0000002", Change::Withdraw).await;
    let mut told = Told::of("amendment-that-does-not-fit");
    for (input, account, change) in [
        ("a hold of the held", "C0000001", Change::Hold),
        ("a release of the withdrawn", "C0000002", Change::Release),
        ("an address for the withdrawn", "C0000002", to("bo@new.example")),
        ("a release of the queued", "C0000003", Change::Release),
        ("a hold of who gets no mail", "C0000010", Change::Hold),
        ("the address it goes to anyway", "C0000005", to("ED@post.example")),
    ] {
        told.error(input, EngineError::refused(house.not_amended(account, change).await));
    }
    house.run().await.unwrap();
    let said = house.not_amended("C0000003", Change::Withdraw).await;
    told.error("a withdrawal of the told", EngineError::refused(said));

    let one = [house.number("C0000010").await];
    let refused =
        async |change, texts, who: &[&str]| match house.amend_as(&one, change, texts, who).await {
            Err(error) => error,
            Ok(amended) => {
                EngineError::refused(amended.left.into_iter().next().expect("it must be refused").1)
            }
        };
    let said = refused(Change::Withdraw, (" ", "x"), &[ANN]).await;
    told.error("no reason", said);
    let said = refused(Change::Waive, (REASON, " "), &[ANN]).await;
    told.error("a waiver without evidence", said);
    let said = refused(to("jo@new.example"), (REASON, ""), &[ANN, BOB]).await;
    told.error("an address without evidence", said);
    told.same();
    let said = house.amend(&[77], Change::Withdraw).await.left;
    assert_eq!(
        said,
        [(77, "there is no such recipient; hint: `forthwith delivery list`".to_owned())]
    );
    sums_hold(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_a_notice_goes_is_signed_by_two_voices() {
    let clock = standing_clock();
    let house = ready(Plan { clock: clock.clone(), ..Plan::default() }).await;
    let number = [house.number("C0000001").await];
    let ann = house.engine.signer(person(ANN)).await.unwrap();
    house.engine.add_operator(person("eve"), vec![ann]).await.unwrap();
    let refused = async |who: &[&str]| {
        let change = to("ana@new.example");
        house.amend_as(&number, change, (REASON, EVIDENCE), who).await.unwrap_err().to_string()
    };
    assert!(refused(&[ANN]).await.contains("only `ann` signs; hint: `--operator` twice"));
    assert!(refused(&[ANN, ANN]).await.contains("`ann` has signed this already"));
    assert!(refused(&[BOB, "eve"]).await.contains("`eve` was added with one signature"));
    assert!(refused(&[]).await.contains("takes an operator's signature"));
    hours(&clock, 24);
    assert!(refused(&[ANN, "eve"]).await.contains("`eve` was added by `ann` alone"));
    let change = Change::ChangeChannel(Channel::Phone);
    let texts = (REASON, EVIDENCE);
    let alone = house.amend_as(&number, change.clone(), texts, &[BOB]).await;
    assert!(alone.unwrap_err().to_string().contains("two operators"));
    let together = house.amend_as(&number, change, texts, &[BOB, "eve"]).await.unwrap();
    assert_eq!(together.done.len(), 1);
    let other = [house.number("C0000002").await];
    let hold = house.amend_as(&other, Change::Hold, texts, &["eve"]);
    assert_eq!(hold.await.unwrap().done.len(), 1, "a hold takes one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_amendment_altered_in_the_database_is_refused_by_name_and_sends_nothing() {
    let swapped = "UPDATE amendment_signature AS s SET signature =
                       (SELECT o.signature FROM amendment_signature AS o
                        WHERE o.number = s.number AND o.n = s.n
                          AND o.operator_id <> s.operator_id)";
    let two = "DELETE FROM amendment_signature WHERE operator_id = 2";
    for (sql, why) in [
        ("UPDATE amendment_signature SET signature = zeroblob(64) WHERE operator_id = 2", "`bob`"),
        (swapped, "`ann`"),
        ("UPDATE amendment SET became = 'told/accepted' WHERE n = 2", "`ann`"),
        ("UPDATE amendment SET amended_at = amended_at + 1 WHERE n = 2", "`ann`"),
        ("UPDATE amendment SET body = (SELECT body FROM amendment WHERE n = 1)", "another place"),
        ("UPDATE amendment SET body = NULL", "its body is gone"),
        ("UPDATE amendment SET kind = 'withdraw'", "another kind"),
        ("DELETE FROM amendment WHERE n = 1", "amendment 1 of recipient 1000"),
        (two, "it has 1 of 2 signatures"),
    ] {
        let house = ready(Plan { customers: 20, ..Plan::default() }).await;
        house.amended("C0000001", Change::Hold).await;
        house.amended("C0000001", to("ana@new.example")).await;
        house.amended("C0000008", Change::Withdraw).await;
        house.tamper(sql).await;
        let refused = house.run_refused().await;
        assert!(refused.contains("was altered in the database"), "{sql}: {refused}");
        assert!(refused.contains(why), "{sql}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_dies_leaves_the_person_as_they_were() {
    let house = ready(Plan::default()).await;
    house
        .tamper(
            "CREATE TABLE doomed (x); INSERT INTO doomed VALUES (1);
             CREATE TRIGGER power BEFORE INSERT ON ledger_batch
             BEGIN SELECT RAISE(ABORT, 'the power goes'); END;",
        )
        .await;
    let one = [house.number("C0000001").await];
    let died = house.amend_as(&one, to("a@new.example"), (REASON, EVIDENCE), &[ANN, BOB]).await;
    assert!(died.is_err());
    assert_eq!(house.delivery_of("C0000001").await.0, "queued");
    let left: Vec<(i64,)> = query(
        &house.database(),
        "SELECT (SELECT COUNT(*) FROM amendment WHERE number = 1000)
              + (SELECT COUNT(*) FROM amendment_signature WHERE number = 1000)",
    )
    .await;
    assert_eq!(left[0].0, 0);
    house.tamper("DROP TRIGGER power; DELETE FROM doomed;").await;
    house.amended("C0000001", to("a@new.example")).await;
    house.run().await.unwrap();
    assert_eq!((mails_to(&house, "a@new.example"), mails_to(&house, "ana@post.example")), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_notice_is_not_approved_while_rows_contradict_each_other() {
    let house = sealed(Plan::default()).await;
    house.approve(Track::Containment).await;
    house.engine.plan(CAMPAIGN, Track::Notice, false).await.unwrap();
    let mut told = Told::of("conflict-at-approval");
    told.error("one account", house.sign(Track::Notice, ANN).await.unwrap_err());
    told.same();
    let open = house.engine.conflicts(CAMPAIGN, None).await.unwrap();
    let [conflict] = open.as_slice() else { panic!("{open:?}") };
    assert_eq!((conflict.line, &conflict.others[..]), (Some(9), &[10][..]), "{conflict:?}");
    assert_eq!(
        (conflict.account.as_str(), conflict.address.as_str()),
        ("C0000008", "h***@p***.example")
    );
    house.amended("C0000008", to("hal@right.example")).await;
    assert!(house.engine.conflicts(CAMPAIGN, None).await.unwrap().is_empty());
    assert!(!house.sign(Track::Notice, ANN).await.unwrap());
    assert!(house.sign(Track::Notice, BOB).await.unwrap());
    house.run().await.unwrap();
    let to_hal: Vec<_> =
        house.taken().into_iter().filter(|row| row.1.starts_with("hal@")).collect();
    assert_eq!(to_hal.len(), 1);
    assert_eq!(to_hal[0].1, "hal@right.example");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_told_person_with_a_new_address_gets_a_new_notice_without_a_link() {
    let plan = Plan { campaign: link::link_file(""), ..Plan::default() };
    let house = link::furnished(plan).await;
    std::fs::write(house.path("affected.csv"), PEOPLE).unwrap();
    house.make_ready().await;
    house.run().await.unwrap();
    let number = house.number("C0000001").await;
    let row = async || {
        let rows = link::rows(&house).await;
        rows.into_iter().filter(|row| row.number.cast_unsigned() == number).collect::<Vec<_>>()
    };
    assert_eq!(row().await.len(), 1);
    let done = house.amend(&[number], to("ana@new.example")).await;
    assert_eq!((done.done.len(), done.renewed), (1, 1), "{done:?}");
    let rows = row().await;
    assert!(rows.len() == 1 && rows[0].revoked_at.is_some(), "{rows:?}");
    assert!(house.run().await.unwrap().is_finished);
    assert_eq!(row().await.len(), 1, "no token for the new address");
    let taken = house.taken();
    let to_ana: Vec<_> = taken.iter().filter(|(_, to, _)| to.starts_with("ana@")).collect();
    assert_eq!((to_ana.len(), to_ana[1].1.as_str()), (2, "ana@new.example"));
    assert_ne!(to_ana[0].2, to_ana[1].2, "another Message-ID");
    let mails = house.mails();
    let new = mails.iter().find(|mail| mail.contains("Delivered-To: ana@new.example")).unwrap();
    assert!(!new.contains("fw1_"), "{new}");
    sums_hold(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_blames_us_for_ever_keeps_no_campaign_open_once_it_is_waived() {
    let plan = Plan {
        faults: vec!["rcpt:451:to=ed@*", "rcpt:451:to=fe@*"],
        campaign: campaign_file("")
            .replace("schedule = [\"1s\"]", "schedule = [\"1h\"]")
            .replace("max_age = \"1h\"", "max_age = \"5d\""),
        ..Plan::default()
    };
    let house = ready(plan).await;
    let (run, _soft) = begun(&house, 1).await;
    until("both are deferred", async || house.status().await.deliveries.deferred == 2).await;
    // while the worker waits beside it
    house.amended("C0000005", Change::Waive).await;
    house.amended("C0000006", to("felicia@new.example")).await;
    // an hour before their next turn
    assert!(finished(run).await.is_finished);
    assert_eq!(house.delivery_of("C0000005").await, ("waived", "deferred".into()));
    assert_eq!(mails_to(&house, "felicia@new.example"), 1);
    assert_eq!(house.status().await.notice, "sending-finished");
    sums_hold(&house).await;
}
