//! Amendments beside a worker at work: what was amended is in force at once, and no outcome is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forthwith::domain::amendment::{Change, Channel};
use forthwith::domain::pace::PaceSetting;
use forthwith::engine::amend::Request;

use super::{mails_to, ready, sums_hold};
use crate::harness::amending::{EVIDENCE, REASON};
use crate::harness::running::{begun, finished};
use crate::harness::{ANN, BOB, CAMPAIGN, House, Plan, campaign_file, person};

const PEOPLE: u32 = 400;

/// A house whose worker tells so many a second, eight transactions open at any time.
async fn slow(per_second: u32) -> House {
    House::ready(Plan {
        customers: PEOPLE,
        campaign: campaign_file("")
            .replace("per_second = 2000", &format!("per_second = {per_second}")),
        dot_delay: Duration::from_millis(60),
        ..Plan::default()
    })
    .await
}

fn kind(number: u64) -> Change {
    match number % 5 {
        0 => Change::Withdraw,
        1 => Change::ReplaceAddress(format!("moved{number}@new.example").parse().unwrap()),
        2 => Change::Hold,
        3 => Change::Waive,
        _ => Change::ChangeChannel(Channel::Post),
    }
}

/// What was done, when it was in force: number → (kind, class left), and what the server had by then.
#[derive(Default)]
struct Done {
    was: BTreeMap<u64, (Change, String)>,
    taken_before: BTreeMap<u64, usize>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_that_is_open_starts_nothing_that_was_amended() {
    let house = slow(15).await;
    let addresses = addresses(&house).await;
    let (run, _soft) = begun(&house, 10).await;
    let mut both = Vec::new();
    for who in [ANN, BOB] {
        both.push(house.engine.signer(person(who)).await.unwrap());
    }
    let mut done = Done::default();
    // Everybody's neighbour at both ends: those about to be sent, and those whose turn is far off.
    let numbers: Vec<u64> = addresses.keys().copied().collect();
    for number in numbers.iter().step_by(7).chain(numbers.iter().rev().step_by(11)) {
        // on a busy machine fewer are amended, and all of them beside a worker at work
        if house.taken().len() > 300 {
            break;
        }
        let change = kind(*number);
        let request = Request { change, reason: REASON.into(), evidence: EVIDENCE.into() };
        let amended = house.engine.amend(CAMPAIGN, &[*number], &request, &both).await.unwrap();
        sums_hold(&house).await;
        for (number, was, _) in amended.done {
            done.taken_before.insert(number, mails_to(&house, &addresses[&number]));
            done.was.insert(number, (kind(number), was));
        }
    }
    assert!(!run.is_finished(), "the worker is at work throughout");
    let fast = PaceSetting { per_second: Some(2000.0), per_day: None };
    house.engine.set_pace(CAMPAIGN, None, fast, "test").await.unwrap();
    assert!(finished(run).await.is_finished);
    check(&house, &addresses, &done).await;
}

async fn check(house: &House, addresses: &BTreeMap<u64, String>, done: &Done) {
    let taken = house.taken();
    let kinds: BTreeSet<&str> = done.was.values().map(|(change, _)| change.kind().word()).collect();
    assert!(kinds.len() == 5 && done.was.len() > 40, "{} of {kinds:?}", done.was.len());
    for (number, (change, was)) in &done.was {
        let old = taken.iter().filter(|(_, to, _)| *to == addresses[number]).count();
        assert_eq!(old, done.taken_before[number], "{number} ({was}) was amended: {change:?}");
        let new = format!("moved{number}@new.example");
        let new = taken.iter().filter(|(_, to, _)| *to == new).count();
        let is_readdressed = matches!(change, Change::ReplaceAddress(_));
        assert_eq!(new, usize::from(is_readdressed), "{number}");
        assert!(old == 0 || is_readdressed, "only who is readdressed may have been told: {number}");
    }
    let status = house.status().await.deliveries;
    assert!(status.balances() && status.machine_open() == 0, "{status:?}");
    // whoever had something at the old address and is told anew has two mails
    let twice = done.taken_before.values().filter(|count| **count > 0).count();
    assert_eq!(taken.len() as u64, status.told + twice as u64, "{status:?}");
    assert_eq!(status.withdrawn + status.waived, {
        let gone = |change: &Change| matches!(change, Change::Withdraw | Change::Waive);
        done.was.values().filter(|(change, _)| gone(change)).count() as u64
    });
}

async fn addresses(house: &House) -> BTreeMap<u64, String> {
    let (row, people) = house.engine.people(CAMPAIGN).await.unwrap();
    let filter = forthwith::store::reports::DeliveryFilter {
        class: Some("queued".into()),
        ..Default::default()
    };
    let page = house.engine.store.list_deliveries(row.id, &filter, None, 10_000).await.unwrap();
    let address = |listing: &forthwith::store::reports::DeliveryListing| {
        let recipient = people.open(listing.number, listing.body.as_ref().unwrap()).unwrap();
        recipient.address.unwrap().as_str().to_owned()
    };
    page.iter().map(|listing| (listing.number, address(listing))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_held_and_released_again_while_their_chunk_is_open_is_told_once() {
    let house = slow(40).await;
    let addresses = addresses(&house).await;
    let (run, _soft) = begun(&house, 10).await;
    let last: Vec<u64> = addresses.keys().rev().take(60).copied().collect();
    let held = house.amend(&last, Change::Hold).await;
    assert!(held.done.len() > 50, "{held:?}");
    let numbers: Vec<u64> = held.done.iter().map(|(number, ..)| *number).collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let released = house.amend(&numbers, Change::Release).await;
    assert_eq!(released.left, Vec::new());
    assert!(finished(run).await.is_finished);
    for number in numbers {
        assert_eq!(mails_to(&house, &addresses[&number]), 1, "{number}");
    }
    sums_hold(&house).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_attempt_comes_first_and_is_not_lost() {
    let house = ready(Plan::default()).await;
    let number = house.number("C0000001").await;
    // What a worker leaves that died after its intent was committed.
    house
        .tamper(&format!(
            "INSERT INTO intent SELECT c.id, {number}, 1, 1, 0, zeroblob(32), 'queued', 1, 1, 1,
                                       'dead', 1, 'relay', '' FROM campaign AS c;
             UPDATE chunk SET owner = 'dead', epoch = 1, incarnation = 1, in_flight_queued = 1
             WHERE number = 1;"
        ))
        .await;
    for change in [Change::Withdraw, Change::Hold, Change::Waive, super::to("ana@new.example")] {
        let said = house.not_amended("C0000001", change).await;
        assert!(said.contains("in flight, and its outcome comes first"), "{said}");
    }
    sums_hold(&house).await;
    // Nobody knows what became of it, so it is in doubt and sent once more; then it may be amended.
    assert!(house.run().await.unwrap().is_finished);
    sums_hold(&house).await;
    let story = house.engine.story(CAMPAIGN, number).await.unwrap();
    assert_eq!(story.attempts[0].result, Some("in-doubt"), "{story:?}");
    house.amended("C0000001", super::to("ana@new.example")).await;
    assert!(house.run().await.unwrap().is_finished);
    assert_eq!(mails_to(&house, "ana@new.example"), 1);
    sums_hold(&house).await;
}
