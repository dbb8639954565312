//! Several accounts at one address: one notice stands for all of them, whatever becomes of it.

use forthwith::domain::amendment::Change;
use forthwith::domain::delivery::{AttemptKey, DeliveryClass, FallbackReason, HeldReason};
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::engine::report::Status;
use forthwith::engine::resolve::Verdict;
use forthwith::store::credentials::Pick;
use forthwith::store::deliveries::{Claimant, DeliveryState, Flush, Lane, Move, NewIntent};
use jiff::{SignedDuration, Timestamp};

use super::{CHANGED, account, at_one, house_of, mails_to, ready, reason, sums};
use crate::harness::tampering::{execute, query};
use crate::harness::{ANN, CAMPAIGN, House, campaign_file, person};

/// The group of seven after a run against a relay that plays these faults.
async fn group_after(file: &str, faults: Vec<&'static str>) -> (House, Status) {
    let rows = at_one(1, 7, "group@post.example") + &at_one(8, 1, "other@post.example");
    let house = ready(&rows, file, faults).await;
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    let status = sums(&house).await;
    (house, status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_a_carriers_notice_becomes_of_all_it_names() {
    let file = campaign_file("");
    let dead = vec!["rcpt:550:to=group@*:text=5.1.1 no such user"];
    let (house, status) = group_after(&file, dead).await;
    assert_eq!((reason(&status, "fallback/bounced"), status.deliveries.told), (7, 1));
    let bounced = house.ledger_lines().await;
    let bounced = bounced.iter().filter(|line| line.contains("\"to\":\"fallback/bounced\""));
    assert_eq!(bounced.count(), 7, "a line each");

    let (house, status) = group_after(&file, vec!["rcpt:451:to=group@*:times=1"]).await;
    assert_eq!((reason(&status, "told/accepted"), reason(&status, "told/carrier")), (2, 6));
    let lines = house.ledger_lines().await;
    let deferred = lines.iter().filter(|line| line.contains("\"to\":\"deferred\"")).count();
    assert_eq!(deferred, 7);
    assert_eq!(mails_to(&house, "group@"), 1);
}

/// The group after a relay hung up on its notice, and all seven in doubt.
async fn group_in_doubt() -> (House, Vec<u64>) {
    let file = campaign_file("[in_doubt]\nthen = \"hold\"");
    let doubtful = vec!["drop-before-dot:to=nobody@*", "drop-after-dot:to=group@*:times=1"];
    let (house, status) = group_after(&file, doubtful).await;
    assert_eq!(reason(&status, "in-doubt/held"), 7);
    let numbers = house.engine.doubts(CAMPAIGN).await.unwrap();
    assert_eq!(numbers.len(), 7);
    (house, numbers)
}

/// Settles the doubts of these people as not sent; how many moved.
async fn not_sent(house: &House, numbers: &[u64]) -> u64 {
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let settled =
        house.engine.resolve(CAMPAIGN, numbers, Verdict::NotSent, "relay log", &signer).await;
    settled.unwrap().moved
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carriers_doubt_is_everybodys_and_ends_for_everybody_at_once() {
    let (house, numbers) = group_in_doubt().await;
    // asked for a carried account and for all of them: it is one doubt
    assert_eq!(not_sent(&house, &numbers[3..]).await, 7);
    assert_eq!(sums(&house).await.deliveries.queued, 7);
    assert!(house.run().await.unwrap().is_finished);
    let status = sums(&house).await;
    assert_eq!((reason(&status, "told/carrier"), mails_to(&house, "group@")), (6, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settled_as_not_sent_a_group_waits_for_every_credential_its_notice_names() {
    let (house, numbers) = group_in_doubt().await;
    // a restored database has it so: in doubt, and one of those who are carried is not secured
    let one_of_them = format!(
        "UPDATE credential SET class = 'failed' WHERE number = {} AND kind = 'password'",
        numbers[5]
    );
    assert_eq!(execute(&house.database(), &one_of_them).await, 1);
    assert_eq!(not_sent(&house, &numbers[3..4]).await, 7);
    let status = sums(&house).await;
    assert_eq!(reason(&status, "held/credential"), 7, "{status:?}");
    house.run().await.unwrap();
    assert_eq!(mails_to(&house, "group@"), 1, "the one of the doubt, and none since");
}

fn claimant(now: Timestamp) -> Claimant {
    let until = now + SignedDuration::from_mins(1);
    Claimant { worker: "00000000-0000-7000-8000-000000000001".into(), incarnation: 1, now, until }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_dies_with_a_carriers_notice_on_its_way_leaves_one_doubt_for_the_group() {
    let rows = at_one(1, 7, "group@post.example") + &at_one(8, 1, "other@post.example");
    let house = ready(&rows, &campaign_file(""), Vec::new()).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let store = &house.engine.store;
    let campaign = house.engine.campaign(CAMPAIGN).await.unwrap().id;
    let now = house.engine.clock.now();
    assert!(store.open_wave(campaign, 1, now, Vec::new()).await.unwrap());
    let lane: Lane = store.runnable_lanes(campaign, now).await.unwrap().remove(0).lane;
    let lease = store.claim(campaign, &lane, &claimant(now), 1).await.unwrap().remove(0);
    let loaded = store.load(campaign, &lease).await.unwrap();
    let carried: Vec<_> = loaded.iter().filter(|row| row.carrier.is_some()).collect();
    assert_eq!(carried.len(), 6);
    assert!(carried.iter().all(|row| row.carrier == Some(loaded[0].number)));
    assert_eq!((loaded[0].at_address, loaded[0].carried.len()), (7, 6));
    assert!(loaded[0].carried.iter().all(|one| one.contains_key("password")), "{:?}", loaded[0]);

    let intent = |number, carried| NewIntent {
        key: AttemptKey { number, generation: 1, n: 1 },
        dated_at: now,
        content: [7; 32],
        from: DeliveryClass::Queued,
        epoch: lease.epoch,
        segment: 0,
        relay: "relay".into(),
        token: None,
        amendments: 0,
        carried,
    };
    // Even who overlooks that a row is carried starts nothing for it.
    let intents = vec![intent(loaded[0].number, 6), intent(carried[2].number, 0)];
    let flush = Flush { intents, ..Flush::default() };
    let flushed = store.flush(campaign, &claimant(now), flush).await.unwrap();
    let refused: Vec<u64> = flushed.refused.iter().map(|key| key.number).collect();
    assert_eq!(refused, [carried[2].number]);
    assert_eq!(sums(&house).await.deliveries.in_flight, 1);

    // Its journal is gone, so nobody knows: the rescue moves all seven into doubt, the policy out of it
    // again, and since that notice was another than the one that would go out now, all are held.
    assert!(house.run().await.unwrap().is_finished);
    let status = sums(&house).await;
    assert_eq!((reason(&status, "held/content"), status.deliveries.told), (7, 1));
    let lines = house.ledger_lines().await;
    for step in ["\"to\":\"in-doubt/due\"", "\"to\":\"queued\"", "\"to\":\"held/content\""] {
        assert_eq!(lines.iter().filter(|line| line.contains(step)).count(), 7, "{step}");
    }

    // So cancelling lets none of the seven go untold: the dead worker's notice may have named them.
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    let cancelled = house.engine.cancel(CAMPAIGN, "wrong list", &signer, &Silent).await.unwrap();
    assert_eq!((cancelled.told, cancelled.possibly_told, cancelled.untold), (1, 7, 0));
    assert_eq!(reason(&sums(&house).await, "in-doubt/held"), 7);
    let correction = house.seal_of(&format!("{CAMPAIGN}-correction")).await.unwrap();
    assert_eq!(correction.totals.sealed, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carrier_that_is_withdrawn_or_moves_away_hands_over_to_the_next_number() {
    let rows = at_one(1, 7, "group@post.example") + &at_one(11, 7, "second@post.example");
    let house = ready(&rows, &campaign_file(""), Vec::new()).await;
    let store = &house.engine.store;
    let campaign = house.engine.campaign(CAMPAIGN).await.unwrap().id;
    let number = async |n| house.engine.find(CAMPAIGN, &account(n)).await.unwrap()[0];
    let step = |number: u64, from: DeliveryClass, to: DeliveryClass| Move {
        number,
        from,
        state: DeliveryState { class: to.clone(), ..DeliveryState::default() },
        to,
        line: "{}".into(),
    };
    let (queued, held) = (DeliveryClass::Queued, DeliveryClass::Held(HeldReason::Operator));
    let apply =
        async |moves: Vec<Move>| store.apply(campaign, moves, Vec::new()).await.unwrap().len();

    let first = number(1).await;
    assert_eq!(apply(vec![step(first, queued.clone(), DeliveryClass::Withdrawn)]).await, 1);
    assert_eq!(
        house.engine.story(CAMPAIGN, number(3).await).await.unwrap().carrier,
        Some(number(2).await)
    );
    sums(&house).await;
    // a carried account's own end is its own
    let by_post = DeliveryClass::Fallback(FallbackReason::Channel);
    assert_eq!(apply(vec![step(number(4).await, queued.clone(), by_post)]).await, 1);
    // holding a carried account holds its carrier, and so all of them; asked twice it is one hold
    let mut moves = Vec::new();
    for n in [3, 5] {
        moves.push(step(number(n).await, queued.clone(), held.clone()));
    }
    assert_eq!(apply(moves).await, 5);
    assert_eq!(reason(&sums(&house).await, "held/operator"), 5);
    assert_eq!(apply(vec![step(number(7).await, held, queued.clone())]).await, 5);

    // before its address is changed a carrier hands over, and a carried account goes alone
    let eleven = number(11).await;
    assert_eq!(store.hand_over(campaign, eleven).await.unwrap(), Some(number(12).await));
    assert_eq!(store.hand_over(campaign, eleven).await.unwrap(), None, "done twice");
    assert_eq!(store.hand_over(campaign, number(17).await).await.unwrap(), None);
    sums(&house).await;

    assert!(house.run().await.unwrap().is_finished);
    let status = sums(&house).await;
    assert_eq!((status.deliveries.told, status.deliveries.withdrawn), (12, 1));
    assert_eq!(reason(&status, "told/carrier"), 4 + 4);
    assert_eq!((mails_to(&house, "group@"), mails_to(&house, "second@")), (1, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_credential_holds_its_whole_group_and_a_persons_copy_until_it_is_settled() {
    let rows = at_one(1, 7, "group@post.example")
        + &format!("C0000010,Ana,new@elsewhere.example,former@post.example,{CHANGED},,\n");
    let house = house_of(&rows, &campaign_file(""), Vec::new()).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    let shop = house.path("shop.db");
    let before: Vec<(String, String)> = query(
        &shop,
        "SELECT id, password_hash FROM customer WHERE id IN ('C0000003', 'C0000005', 'C0000010')",
    )
    .await;
    execute(
        &shop,
        "UPDATE customer SET password_hash = 'legacy(3):0xUNKNOWN'
         WHERE id IN ('C0000003', 'C0000005', 'C0000010')",
    )
    .await;
    house.run().await.unwrap();
    let status = sums(&house).await;
    assert_eq!(reason(&status, "held/credential"), 8, "seven at one address, and one alone");
    assert_eq!(status.deliveries.copies.person_open, 1, "the copy waits with its person");
    assert!(house.taken().is_empty());
    // a second address has no credential of its own, and is released no sooner
    let copy: Vec<(i64,)> =
        query(&house.database(), "SELECT number FROM recipient WHERE copy_of IS NOT NULL").await;
    house
        .tamper(&format!(
            "UPDATE delivery SET reason = 'operator' WHERE number = {copy};
             UPDATE chunk SET reasons = json_remove(json_set(reasons, '$.held/operator', 1),
                                                    '$.held/credential')
             WHERE first_number <= {copy} AND last_number >= {copy}",
            copy = copy[0].0
        ))
        .await;
    let released = house.amend(&[copy[0].0.unsigned_abs()], Change::Release).await;
    assert_eq!(released.done[0].2, "held/credential", "{released:?}");

    let mend = |id: &str| {
        let hash = &before.iter().find(|(known, _)| known == id).unwrap().1;
        format!("UPDATE customer SET password_hash = '{hash}' WHERE id = '{id}'")
    };
    execute(&shop, &mend("C0000003")).await;
    house.secure(Pick::Failed, &Silent).await.unwrap();
    assert_eq!(reason(&sums(&house).await, "held/credential"), 8, "one of the group is still open");
    execute(&shop, &mend("C0000005")).await;
    execute(&shop, &mend("C0000010")).await;
    house.secure(Pick::Failed, &Silent).await.unwrap();
    assert_eq!(sums(&house).await.deliveries.queued, 8);
    assert!(house.run().await.unwrap().is_finished);
    let status = sums(&house).await;
    assert_eq!((status.deliveries.told, status.deliveries.copies.told), (8, 1));
    assert_eq!(house.taken().len(), 3);
}
