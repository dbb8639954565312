//! `audience conflicts`: whose source rows contradict each other, by their lines.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, ErrorKind};

use serde::Serialize;

use crate::domain::delivery::{DeliveryClass, HeldReason};
use crate::engine::report::DeliveryView;
use crate::engine::{Engine, EngineError};
use crate::store::reports::DeliveryFilter;

/// An account that waits until an operator says which of its rows is right.
#[derive(Debug, Clone, Serialize)]
pub struct ConflictView {
    /// The recipient's number.
    pub number: u64,
    /// The account, shortened.
    pub account: String,
    /// The sealed address, masked.
    pub address: String,
    /// The sealed row's line in the source; absent where the list of duplicates is gone.
    pub line: Option<u64>,
    /// The lines that contradict it.
    pub others: Vec<u64>,
}

/// By recipient: the sealed line and those that contradict it.
type Lines = BTreeMap<u64, (u64, Vec<u64>)>;

/// People of whom the lines are looked up in one reading of the list of duplicates.
const AT_ONCE: u32 = 10_000;

impl Engine {
    /// A page of those whose conflict is open, by number, after `after`; an empty one ends them.
    pub async fn conflicts(
        &self,
        name: &str,
        after: Option<u64>,
    ) -> Result<Vec<ConflictView>, EngineError> {
        let held = DeliveryClass::Held(HeldReason::Conflict);
        let filter = DeliveryFilter {
            class: Some(held.word().to_owned()),
            reason: Some(held.reason()),
            ..DeliveryFilter::default()
        };
        let page = self.deliveries(name, &filter, after, AT_ONCE).await?;
        let numbers: BTreeSet<u64> = page.iter().map(|one| one.number).collect();
        let mut lines = self.conflicting_lines(name, &numbers)?;
        let view = |one: DeliveryView| {
            let (line, others) = match lines.remove(&one.number) {
                Some((line, others)) => (Some(line), others),
                None => (None, Vec::new()),
            };
            ConflictView {
                number: one.number,
                account: one.account,
                address: one.address,
                line,
                others,
            }
        };
        Ok(page.into_iter().map(view).collect())
    }

    /// Reads of these people in `rejects/NAME.duplicates.csv`, whose columns the seal writes: line, `of_line`, kind, number.
    fn conflicting_lines(&self, name: &str, numbers: &BTreeSet<u64>) -> Result<Lines, EngineError> {
        if numbers.is_empty() {
            return Ok(Lines::new());
        }
        let path = self.workspace.duplicates(name);
        let file = match std::fs::File::open(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Lines::new()),
            other => other.map_err(EngineError::file(&path))?,
        };
        let mut lines = Lines::new();
        for row in BufReader::new(file).lines() {
            let row = row.map_err(EngineError::file(&path))?;
            let mut parts = row.split(',');
            let (line, of_line) = (parts.next(), parts.next());
            let (kind, number) = (parts.next(), parts.next());
            let read = (
                line.and_then(|text| text.parse().ok()),
                of_line.and_then(|text| text.parse().ok()),
                number.and_then(|text| text.parse().ok()),
            );
            if let (Some("conflict"), (Some(line), Some(of_line), Some(number))) = (kind, read)
                && numbers.contains(&number)
            {
                lines.entry(number).or_insert((of_line, Vec::new())).1.push(line);
            }
        }
        Ok(lines)
    }
}
