//! Amendments as the faces show them: addresses masked, also in what people wrote.

use std::collections::BTreeMap;

use serde::Serialize;

use super::SignedAmendment;
use super::signed::effective;
use crate::domain::amendment::{AmendmentKind, Change};
use crate::domain::recipient::Recipient;
use crate::domain::reply::mask_addresses;
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::secret::person::{RowSalt, leaf_hash};
use crate::store::amendments::AmendmentRow;
use crate::store::operators::OperatorRow;
use crate::store::reports::DeliveryListing;

/// One amendment in a listing.
#[derive(Debug, Clone, Serialize)]
pub struct AmendmentView {
    /// The recipient's number.
    pub number: u64,
    /// Which of theirs, from 1.
    pub n: u32,
    /// What it does.
    pub kind: &'static str,
    /// The new address, masked, or the new channel.
    pub to: String,
    /// The class it left.
    pub was: String,
    /// The class it came to.
    pub became: String,
    /// Why.
    pub reason: String,
    /// What proves it.
    pub evidence: String,
    /// Who signed.
    pub by: Vec<String>,
    /// When.
    pub at: String,
}

/// The sum of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AmendmentSum {
    /// How many were made.
    pub made: u64,
    /// For how many people one is in force.
    pub in_force: u64,
}

pub(in crate::engine) fn view(row: &AmendmentRow, signed: SignedAmendment) -> AmendmentView {
    let amendment = signed.amendment;
    AmendmentView {
        number: row.number,
        n: row.n,
        kind: row.kind.word(),
        to: match &amendment.change {
            Change::ReplaceAddress(address) => address.to_string(),
            Change::ChangeChannel(channel) => channel.word().to_owned(),
            _ => String::new(),
        },
        was: row.was.clone(),
        became: row.became.clone(),
        reason: mask_addresses(&amendment.reason),
        evidence: mask_addresses(&amendment.evidence),
        by: signed.by,
        at: signed.at.to_string(),
    }
}

/// The amendments of a range of people, for whoever shows them.
pub(in crate::engine) struct AmendedRows {
    rows: BTreeMap<u64, Vec<AmendmentRow>>,
    operators: Vec<OperatorRow>,
}

impl AmendedRows {
    /// Proves a person's amendments and applies them to what is shown.
    pub(in crate::engine) fn apply(
        &self,
        people: &People,
        listing: &DeliveryListing,
        recipient: &mut Recipient,
    ) -> Result<Vec<AmendmentView>, EngineError> {
        let Some(rows) = self.rows.get(&listing.number) else { return Ok(Vec::new()) };
        let leaf = leaf_hash(&RowSalt::from_bytes(listing.salt), &recipient.canonical());
        let signed = people.verify(listing.number, leaf.as_bytes(), rows, &self.operators)?;
        effective(recipient, &signed);
        Ok(rows.iter().zip(signed).map(|(row, signed)| view(row, signed)).collect())
    }
}

impl Engine {
    /// The amendments of the recipients from `first` to `last`.
    pub(in crate::engine) async fn amended_between(
        &self,
        people: &People,
        first: u64,
        last: u64,
    ) -> Result<AmendedRows, EngineError> {
        let found = self.store.amendments_between(people.campaign, first, last).await?;
        let operators = if found.is_empty() { Vec::new() } else { self.operators().await? };
        let mut rows: BTreeMap<u64, Vec<AmendmentRow>> = BTreeMap::new();
        for row in found {
            rows.entry(row.number).or_default().push(row);
        }
        Ok(AmendedRows { rows, operators })
    }

    /// A page of amendments after a (number, n), each proved.
    pub async fn amendments(
        &self,
        name: &str,
        after: (u64, u32),
        limit: u32,
    ) -> Result<Vec<AmendmentView>, EngineError> {
        let (row, people) = self.people(name).await?;
        let page = self.store.list_amendments(row.id, after, limit).await?;
        let operators = self.operators().await?;
        page.iter()
            .map(|(row, leaf)| Ok(view(row, people.verify_one(leaf, row, &operators)?)))
            .collect()
    }

    /// How many amendments of each kind there are.
    pub async fn amendment_sums(
        &self,
        name: &str,
    ) -> Result<BTreeMap<&'static str, AmendmentSum>, EngineError> {
        let row = self.campaign(name).await?;
        let totals = self.store.amendment_totals(row.id).await?;
        Ok(AmendmentKind::ALL
            .iter()
            .filter_map(|kind| {
                let (made, in_force) = *totals.get(kind.word())?;
                Some((kind.word(), AmendmentSum { made, in_force }))
            })
            .collect())
    }
}
