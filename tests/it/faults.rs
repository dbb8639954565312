//! Faults from outside: what the product does for its operator when the world around it fails.

mod clock;
mod directory;
mod disk;
mod limits;
mod locked;
mod moved;
mod points;
mod relay;
mod second;
mod signals;
mod stopped;

use std::collections::{HashMap, HashSet};

use forthwith::domain::totals::DeliveryTotals;
use forthwith::engine::Engine;
use forthwith::store::reports::DeliveryFilter;

use crate::harness::process::write_settings;
use crate::harness::{CAMPAIGN, House, Plan, campaign_file};

/// A campaign that takes its time.
fn paced(per_second: u32) -> String {
    campaign_file("").replace("per_second = 2000", &format!("per_second = {per_second}"))
}

/// A house that the real binary can work on.
async fn house(plan: Plan) -> House {
    let house = House::ready(plan).await;
    write_settings(&house, house.sink.addr().port(), "");
    house
}

/// Both lines of sums hold.
async fn sums_hold(engine: &Engine) -> DeliveryTotals {
    let status = engine.status(CAMPAIGN).await.unwrap();
    assert!(status.source.balances() && status.deliveries.balances(), "{status:?}");
    status.deliveries
}

/// By address, the Message-IDs of what the relay took.
fn copies(house: &House) -> HashMap<String, Vec<String>> {
    let mut copies: HashMap<String, Vec<String>> = HashMap::new();
    for (_, to, message_id) in house.taken() {
        copies.entry(to).or_default().push(message_id);
    }
    copies
}

/// The addresses of everybody of whom an attempt was ever in doubt.
async fn doubtful(engine: &Engine) -> HashSet<String> {
    let (row, people) = engine.people(CAMPAIGN).await.unwrap();
    let filter = DeliveryFilter { ever_in_doubt: true, ..DeliveryFilter::default() };
    let page = engine.store.list_deliveries(row.id, &filter, None, 10_000).await.unwrap();
    page.iter()
        .map(|found| {
            let person = people.open(found.number, found.body.as_ref().unwrap()).unwrap();
            person.address.unwrap().as_str().to_owned()
        })
        .collect()
}

/// Nobody is lost: everybody with an address was told, once, or the same message twice after a doubt; and
/// at most so many were ever in doubt.
async fn everybody_is_told(house: &House, engine: &Engine, most_doubtful: usize) {
    let people = sums_hold(engine).await;
    assert_eq!((people.machine_open(), people.in_doubt), (0, 0), "{people:?}");
    let copies = copies(house);
    assert_eq!(people.told, copies.len() as u64, "{people:?}");
    let doubtful = doubtful(engine).await;
    assert!(doubtful.len() <= most_doubtful, "{doubtful:?}");
    for (to, ids) in copies.iter().filter(|(_, ids)| ids.len() > 1) {
        assert!(doubtful.contains(to), "{to} got {} copies and was never in doubt", ids.len());
        assert!(ids.len() == 2 && ids[0] == ids[1], "{to}: {ids:?}");
    }
}
