//! Counts who passes by, for a dry run.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::provider::ProviderTable;
use crate::domain::recipient::Recipient;
use crate::source::{Progress, Row, Source, SourceError, Tap};

/// Different values counted at most; a region is free text, and memory must not grow with it.
const MOST_VALUES: usize = 5_000;

/// Where those are counted that find no place of their own.
const OTHERS: &str = "(others)";

/// Rows with an account, by what a notice depends on.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    pub(super) locales: BTreeMap<String, u64>,
    pub(super) regions: BTreeMap<String, u64>,
    pub(super) addressees: BTreeMap<String, u64>,
    pub(super) addresses: BTreeMap<String, u64>,
    pub(super) providers: BTreeMap<String, u64>,
    pub(super) refused: BTreeMap<String, u64>,
}

/// A source whose rows are counted as they pass.
pub(super) struct Census {
    inner: Box<dyn Source>,
    providers: Arc<ProviderTable>,
    pub(super) counts: Counts,
}

impl Census {
    pub(super) fn new(inner: Box<dyn Source>, providers: Arc<ProviderTable>) -> Self {
        Self { inner, providers, counts: Counts::default() }
    }

    fn count(&mut self, person: &Recipient) {
        let counts = &mut self.counts;
        let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "(none)".into());
        add(&mut counts.locales, or_none(&person.locale));
        add(&mut counts.regions, or_none(&person.region));
        add(&mut counts.addressees, person.addressee.word().into());
        add(&mut counts.addresses, person.reason.word().into());
        if let Some(address) = &person.address {
            let provider = self.providers.lookup(address.domain());
            add(&mut counts.providers, provider.as_str().to_owned());
        }
        for field in &person.refused {
            add(&mut counts.refused, field.clone());
        }
    }
}

fn add(counts: &mut BTreeMap<String, u64>, value: String) {
    let is_known = counts.len() < MOST_VALUES || counts.contains_key(&value);
    *counts.entry(if is_known { value } else { OTHERS.into() }).or_default() += 1;
}

#[async_trait]
impl Source for Census {
    async fn next_batch(&mut self, max: usize, tap: Tap<'_>) -> Result<Vec<Row>, SourceError> {
        let batch = self.inner.next_batch(max, tap).await?;
        for row in &batch {
            if let Row::Good { recipient, .. } = row {
                self.count(recipient);
            }
        }
        Ok(batch)
    }

    fn progress(&self) -> Progress {
        self.inner.progress()
    }

    fn origin(&self) -> &str {
        self.inner.origin()
    }

    fn excluded(&self) -> BTreeMap<String, u64> {
        self.inner.excluded()
    }

    fn warning(&self) -> Option<String> {
        self.inner.warning()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_beyond_number_are_counted_together() {
        let mut counts = BTreeMap::new();
        for value in 0..MOST_VALUES + 10 {
            add(&mut counts, value.to_string());
        }
        add(&mut counts, "7".into());
        assert_eq!((counts.len(), counts[OTHERS], counts["7"]), (MOST_VALUES + 1, 10, 2));
    }
}
