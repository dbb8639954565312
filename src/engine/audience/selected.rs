//! A source less the people of earlier campaigns, or of their people only, by account.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::class_selector::ClassSelector;
use crate::engine::Engine;
use crate::journal::HostLock;
use crate::secret::keyring::Keyring;
use crate::secret::lookup::account_digest;
use crate::source::{PeopleOf, Progress, Row, Source, SourceError, Tap};
use crate::store::{Handle, StoreError};

/// What one earlier campaign does to the rows.
pub(super) struct Step {
    campaign: i64,
    classes: Vec<ClassSelector>,
    /// Only its people are kept, else only others are.
    keeps: bool,
    /// `minus first-wave (told)`.
    name: String,
}

impl Step {
    pub(super) fn new(campaign: i64, part: &PeopleOf, keeps: bool) -> Self {
        let kind = if keeps { "intersect" } else { "minus" };
        Self { campaign, classes: part.classes.clone(), keeps, name: format!("{kind} {part}") }
    }
}

/// A source with its steps. Rejected rows name no account and pass: they are counted as rejected.
pub(super) struct Selected {
    inner: Box<dyn Source>,
    steps: Vec<Step>,
    store: Handle,
    keys: Arc<Keyring>,
    directory: String,
    excluded: BTreeMap<String, u64>,
    /// Held until the last row: no class moves meanwhile.
    _lock: HostLock,
}

impl Selected {
    pub(super) fn new(
        engine: &Engine,
        inner: Box<dyn Source>,
        steps: Vec<Step>,
        directory: &str,
        lock: HostLock,
    ) -> Self {
        Self {
            inner,
            excluded: steps.iter().map(|step| (step.name.clone(), 0)).collect(),
            steps,
            store: engine.store.clone(),
            keys: Arc::clone(&engine.keys),
            directory: directory.to_owned(),
            _lock: lock,
        }
    }

    /// The rows that every step leaves; one statement a step.
    async fn select(&mut self, batch: Vec<Row>) -> Result<Vec<Row>, StoreError> {
        let digest = |row: &Row| match row {
            Row::Good { recipient, .. } => {
                let account = recipient.account.as_str().as_bytes();
                Some(account_digest(self.keys.digest(), &self.directory, account))
            }
            Row::Rejected(_) => None,
        };
        let mut rows: Vec<(Option<[u8; 16]>, Row)> =
            batch.into_iter().map(|row| (digest(&row), row)).collect();
        for step in &self.steps {
            let accounts: Vec<[u8; 16]> = rows.iter().filter_map(|(digest, _)| *digest).collect();
            let standings = self.store.standings(step.campaign, &accounts).await?;
            let before = rows.len();
            rows.retain(|(digest, _)| {
                let Some(digest) = digest else { return true };
                let is_theirs = standings.get(digest).is_some_and(|(class, reason)| {
                    step.classes.iter().any(|selector| selector.takes(class, reason))
                });
                is_theirs == step.keeps
            });
            if let Some(count) = self.excluded.get_mut(&step.name) {
                *count += (before - rows.len()) as u64;
            }
        }
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }
}

#[async_trait]
impl Source for Selected {
    async fn next_batch(&mut self, max: usize, tap: Tap<'_>) -> Result<Vec<Row>, SourceError> {
        loop {
            let batch = self.inner.next_batch(max, tap).await?;
            if batch.is_empty() {
                return Ok(batch);
            }
            let rows = self.select(batch).await.map_err(|source| SourceError::Stopped {
                origin: self.inner.origin().to_owned(),
                rows: self.inner.progress().done,
                source: Box::new(source),
            })?;
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
    }

    fn progress(&self) -> Progress {
        self.inner.progress()
    }

    fn origin(&self) -> &str {
        self.inner.origin()
    }

    fn excluded(&self) -> BTreeMap<String, u64> {
        self.excluded.clone()
    }

    fn warning(&self) -> Option<String> {
        self.inner.warning()
    }
}
