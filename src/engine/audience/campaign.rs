//! The sealed people of an earlier campaign as a source: each row as it was sealed, by number.

use async_trait::async_trait;

use crate::domain::class_selector::ClassSelector;
use crate::domain::totals::DeliveryTotals;
use crate::engine::EngineError;
use crate::engine::people::People;
use crate::source::{PeopleOf, Progress, Row, Source, SourceError, Tap, Unit};
use crate::store::Handle;
use crate::store::audiences::SealedPerson;

/// Sealed people being read.
pub(super) struct CampaignSource {
    store: Handle,
    people: People,
    classes: Vec<ClassSelector>,
    origin: String,
    /// The number of the last one read.
    after: u64,
    read: u64,
    total: u64,
}

impl CampaignSource {
    /// Those of `part`, who are counted from where all stand now; everybody where it names no class.
    pub(super) fn new(
        store: Handle,
        people: People,
        part: &PeopleOf,
        totals: &DeliveryTotals,
    ) -> Self {
        let origin = format!("campaign {part}");
        let total = total(&part.classes, totals);
        let classes = part.classes.clone();
        Self { store, people, classes, origin, after: 0, read: 0, total }
    }

    /// The next people as rows; their line is how many came before, and one.
    fn rows(&mut self, page: Vec<SealedPerson>, tap: Tap<'_>) -> Result<Vec<Row>, EngineError> {
        let mut rows = Vec::with_capacity(page.len());
        for SealedPerson { number, body } in page {
            let body = body.ok_or_else(|| {
                EngineError::refused(format!(
                    "recipient {number} of `{}` was purged; hint: take the audience from its own source",
                    self.people.name
                ))
            })?;
            let recipient = self.people.open(number, &body)?;
            tap(&recipient.canonical());
            self.after = number;
            self.read += 1;
            rows.push(Row::Good { line: self.read, recipient: Box::new(recipient) });
        }
        Ok(rows)
    }
}

#[async_trait]
impl Source for CampaignSource {
    async fn next_batch(&mut self, max: usize, tap: Tap<'_>) -> Result<Vec<Row>, SourceError> {
        let limit = u32::try_from(max.max(1)).unwrap_or(u32::MAX);
        let page =
            self.store.sealed_people(self.people.campaign, &self.classes, self.after, limit).await;
        let rows = page.map_err(EngineError::from).and_then(|page| self.rows(page, tap));
        rows.map_err(|source| SourceError::Stopped {
            origin: self.origin.clone(),
            rows: self.read,
            source: Box::new(source),
        })
    }

    fn progress(&self) -> Progress {
        Progress { done: self.read, total: Some(self.total), unit: Unit::Rows }
    }

    fn origin(&self) -> &str {
        &self.origin
    }
}

/// How many people stand in these classes.
fn total(classes: &[ClassSelector], totals: &DeliveryTotals) -> u64 {
    let wanted = |class: &str, reason: &str| {
        classes.is_empty() || classes.iter().any(|selector| selector.takes(class, reason))
    };
    let open = [("queued", totals.queued + totals.in_flight), ("deferred", totals.deferred)];
    let by_reason = totals.reasons.iter().map(|(label, people)| {
        let (class, reason) = label.split_once('/').unwrap_or((label, ""));
        (class, reason, *people)
    });
    open.into_iter()
        .map(|(class, people)| (class, "", people))
        .chain(by_reason)
        .filter(|(class, reason, _)| wanted(class, reason))
        .map(|(.., people)| people)
        .sum()
}
