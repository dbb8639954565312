//! `audience conflicts`: whose source rows contradict each other, by their lines.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind};

use serde::Serialize;

use crate::domain::delivery::{DeliveryClass, HeldReason};
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

impl Engine {
    /// Everybody whose conflict is open, by number.
    pub async fn conflicts(&self, name: &str) -> Result<Vec<ConflictView>, EngineError> {
        let lines = self.conflicting_lines(name)?;
        let filter = DeliveryFilter {
            class: Some(DeliveryClass::Held(HeldReason::Conflict).word().to_owned()),
            reason: Some(DeliveryClass::Held(HeldReason::Conflict).reason()),
            ..DeliveryFilter::default()
        };
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.deliveries(name, &filter, after, 1_000).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = Some(last.number);
            found.extend(page.into_iter().map(|one| {
                let (line, others) = match lines.get(&one.number) {
                    Some((line, others)) => (Some(*line), others.clone()),
                    None => (None, Vec::new()),
                };
                ConflictView {
                    number: one.number,
                    account: one.account,
                    address: one.address,
                    line,
                    others,
                }
            }));
        }
    }

    /// Reads `rejects/NAME.duplicates.csv`, whose columns the seal writes: line, `of_line`, kind, number.
    fn conflicting_lines(&self, name: &str) -> Result<Lines, EngineError> {
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
            let numbers = (
                line.and_then(|text| text.parse().ok()),
                of_line.and_then(|text| text.parse().ok()),
                number.and_then(|text| text.parse().ok()),
            );
            if let (Some("conflict"), (Some(line), Some(of_line), Some(number))) = (kind, numbers) {
                lines.entry(number).or_insert((of_line, Vec::new())).1.push(line);
            }
        }
        Ok(lines)
    }
}
