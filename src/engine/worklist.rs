//! The worklist: addresses that more accounts have than mail should serve before a person has looked.

use std::collections::BTreeMap;

use super::report::CrowdedAddress;
use super::{Engine, EngineError};
use crate::domain::delivery::{DeliveryClass, HeldReason};
use crate::store::reports::DeliveryFilter;

/// Rows looked at a statement.
const PAGE: u32 = 1_000;

impl Engine {
    /// Crowded addresses, masked, the most crowded first. Keeps one entry an address in memory.
    pub async fn worklist(&self, name: &str) -> Result<Vec<CrowdedAddress>, EngineError> {
        let (row, people) = self.people(name).await?;
        let held = DeliveryClass::Held(HeldReason::Shared);
        let filter = DeliveryFilter {
            class: Some(held.word().into()),
            reason: Some(held.reason()),
            ever_in_doubt: false,
        };
        let mut places: BTreeMap<String, CrowdedAddress> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.store.list_deliveries(row.id, &filter, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.number);
            for listing in &page {
                let Some(body) = &listing.body else { continue };
                let Some(address) = people.open(listing.number, body)?.address else { continue };
                let new = || CrowdedAddress {
                    address: address.to_string(),
                    accounts: 0,
                    first: listing.number,
                };
                places.entry(address.canonical()).or_insert_with(new).accounts += 1;
            }
        }
        let mut crowded: Vec<_> = places.into_values().collect();
        crowded.sort_by_key(|place| (std::cmp::Reverse(place.accounts), place.first));
        Ok(crowded)
    }
}
