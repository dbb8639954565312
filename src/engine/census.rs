//! Who a notice would go to, counted once over the whole seal before it is planned: languages, the words
//! their variants need, and what of their merge fields is missing.
//!
//! One pass in pages of constant size; nothing of it is kept. What it finds wanting is refused here, since
//! nothing may be found missing when sending.

use std::collections::{BTreeMap, BTreeSet};

use super::notice::{Facing, NoticeWriter};
use super::people::People;
use super::progress::Progress;
use super::{Engine, EngineError};
use crate::domain::recipient::Recipient;
use crate::render::needed_flags;
use crate::store::reports::DeliveryFilter;

/// People read at a time.
const PAGE: u32 = 5_000;
/// Missed languages told apart; the rest are counted together.
const MOST_MISSED: usize = 100;

/// What a look at all sealed people came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Everybody.
    pub people: u64,
    /// Language → people whose notice is in it.
    pub locales: BTreeMap<String, u64>,
    /// Language tag → people who would have had it, were the notice told in it; `other` beyond 100 tags.
    pub missed: BTreeMap<String, u64>,
    /// Merge field → people who have none.
    pub lacking: BTreeMap<String, u64>,
    /// Names that may not stand in a notice: those people are greeted neutrally.
    pub names_refused: u64,
    /// The words each language needs.
    needs: BTreeSet<(String, &'static str)>,
}

impl Census {
    fn count(&mut self, writer: &NoticeWriter, recipient: &Recipient, is_copy: bool) {
        self.people += 1;
        self.names_refused += u64::from(recipient.name_refused);
        let locale = writer.locales().choose(recipient);
        add(&mut self.locales, locale);
        if let Some(missed) = writer.locales().missed(recipient) {
            let is_full = self.missed.len() >= MOST_MISSED && !self.missed.contains_key(missed);
            add(&mut self.missed, if is_full { "other" } else { missed });
        }
        for field in writer.fields().keys().filter(|name| !recipient.fields.contains_key(*name)) {
            add(&mut self.lacking, field);
        }
        let facing = Facing::alone(recipient, BTreeMap::new());
        for flag in needed_flags(facing.variant, writer.trust(recipient, is_copy)) {
            if !self.needs.contains(&(locale.to_owned(), flag)) {
                self.needs.insert((locale.to_owned(), flag));
            }
        }
    }
}

fn add(counts: &mut BTreeMap<String, u64>, key: &str) {
    match counts.get_mut(key) {
        Some(count) => *count += 1,
        None => drop(counts.insert(key.to_owned(), 1)),
    }
}

impl Engine {
    /// Counts the sealed people of a campaign as this writer would write to them, and refuses templates
    /// that lack words for some of them.
    pub(super) async fn census(
        &self,
        people: &People,
        writer: &NoticeWriter,
        head_count: u64,
        progress: &dyn Progress,
    ) -> Result<Census, EngineError> {
        let mut census = Census::default();
        let mut after = None;
        progress.begin("Counting", Some(head_count), "people");
        loop {
            let filter = DeliveryFilter::default();
            let page = self.store.list_deliveries(people.campaign, &filter, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.number);
            for row in &page {
                if let Some(body) = &row.body {
                    census.count(writer, &people.open(row.number, body)?, row.copy_of.is_some());
                }
            }
            progress.at(census.people);
        }
        progress.end();
        for locale in census.locales.keys() {
            let of_locale = census.needs.iter().filter(|(of, _)| of == locale);
            let found = of_locale.map(|(_, flag)| *flag);
            // Amendments come later: a replaced address is as good as a suspect one, and may be a mailbox
            // that others use.
            let always = ["shared", "combined", "suspect"];
            writer.check_variants(locale, found.chain(always))?;
        }
        Ok(census)
    }
}
