//! The sealed people of an earlier campaign as a source, by number: each at the addresses where their
//! notices stand as asked for.

mod addresses;

use std::collections::HashMap;

use async_trait::async_trait;

use self::addresses::{Addresses, Copy, Replacement};
use crate::domain::amendment::Change;
use crate::domain::class_selector::ClassSelector;
use crate::domain::recipient::Recipient;
use crate::domain::totals::DeliveryTotals;
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::secret::person::{RowSalt, leaf_hash};
use crate::source::{PeopleOf, Progress, Row, Source, SourceError, Tap, Unit};
use crate::store::audiences::SealedPerson;

/// The addresses that amendments brought, by number.
type Replacements = HashMap<u64, Vec<Replacement>>;

/// Sealed people being read.
pub(super) struct CampaignSource {
    engine: Engine,
    people: People,
    classes: Vec<ClassSelector>,
    origin: String,
    /// The number of the last one read.
    after: u64,
    read: u64,
    total: u64,
    /// Addresses that are meant and that no row names.
    left: u64,
}

impl CampaignSource {
    /// Those of `part`, who are counted from where all stand now; everybody as sealed where it names no
    /// class.
    pub(super) fn new(
        engine: Engine,
        people: People,
        part: &PeopleOf,
        totals: &DeliveryTotals,
    ) -> Self {
        let origin = format!("campaign {part}");
        let total = total(&part.classes, totals);
        let classes = part.classes.clone();
        Self { engine, people, classes, origin, after: 0, read: 0, total, left: 0 }
    }

    /// The next people as rows; their line is how many came before, and one.
    async fn rows(&mut self, max: u32, tap: Tap<'_>) -> Result<Vec<Row>, EngineError> {
        let store = &self.engine.store;
        let campaign = self.people.campaign;
        let page = store.sealed_people(campaign, &self.classes, self.after, max).await?;
        let mut replaced = self.replacements(&page).await?;
        let mut rows = Vec::with_capacity(page.len());
        for person in page {
            let recipient =
                self.row(&person, replaced.remove(&person.number).unwrap_or_default())?;
            tap(&recipient.canonical());
            self.after = person.number;
            self.read += 1;
            rows.push(Row::Good { line: self.read, recipient: Box::new(recipient) });
        }
        Ok(rows)
    }

    /// A person as a row.
    fn row(
        &mut self,
        person: &SealedPerson,
        replaced: Vec<Replacement>,
    ) -> Result<Recipient, EngineError> {
        let sealed = self.open(person.number, person.body.as_deref())?;
        let copy = match &person.copy {
            Some(copy) => {
                let row = self.open(copy.number, copy.body.as_deref())?;
                Some(Copy { row, is_meant: copy.is_meant })
            }
            None => None,
        };
        let addresses = Addresses { sealed, is_meant: person.is_meant, copy, replaced };
        if self.classes.is_empty() {
            return Ok(addresses.into_read());
        }
        let (row, left) = addresses.row();
        self.left += left;
        Ok(row)
    }

    fn open(&self, number: u64, body: Option<&[u8]>) -> Result<Recipient, EngineError> {
        let body = body.ok_or_else(|| {
            EngineError::refused(format!(
                "recipient {number} of `{}` was purged; hint: take the audience from its own source",
                self.people.name
            ))
        })?;
        self.people.open(number, body)
    }

    /// What amendments say of the addresses of those of a page, each proved first.
    async fn replacements(&self, page: &[SealedPerson]) -> Result<Replacements, EngineError> {
        let mut found = Replacements::new();
        let amended: HashMap<u64, &SealedPerson> = page
            .iter()
            .filter(|person| !self.classes.is_empty() && !person.replaced.is_empty())
            .map(|person| (person.number, person))
            .collect();
        if amended.is_empty() {
            return Ok(found);
        }
        let operators = self.engine.operators().await?;
        let numbers: Vec<u64> = amended.keys().copied().collect();
        for person in self.engine.store.amendable(self.people.campaign, &numbers).await? {
            let number = person.number;
            let sealed = self.open(number, person.body.as_deref())?;
            let leaf = leaf_hash(&RowSalt::from_bytes(person.salt), &sealed.canonical());
            let signed =
                self.people.verify(number, leaf.as_bytes(), &person.amendments, &operators)?;
            let left_told = |n| {
                let replaced = amended.get(&number).map(|person| &person.replaced);
                replaced.is_some_and(|all| all.iter().any(|one| one.n == n && one.left_told))
            };
            let replaced = signed.into_iter().filter_map(|one| match one.amendment.change {
                Change::ReplaceAddress(address) => {
                    Some(Replacement { address, at: one.at, left_told: left_told(one.n) })
                }
                _ => None,
            });
            found.insert(number, replaced.collect());
        }
        Ok(found)
    }
}

#[async_trait]
impl Source for CampaignSource {
    async fn next_batch(&mut self, max: usize, tap: Tap<'_>) -> Result<Vec<Row>, SourceError> {
        let max = u32::try_from(max.max(1)).unwrap_or(u32::MAX);
        self.rows(max, tap).await.map_err(|source| SourceError::Stopped {
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

    fn warning(&self) -> Option<String> {
        (self.left > 0).then(|| {
            format!(
                "warning: {} addresses of people of `{name}` stand in no row: a row names one newer \
                 address and a trusted one before it, and theirs were told at more, or at several that \
                 may not be theirs; hint: `forthwith amendment list {name}` has whose address was replaced",
                self.left,
                name = self.people.name
            )
        })
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
