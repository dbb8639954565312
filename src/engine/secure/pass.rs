//! One pass over the sealed accounts: protected ones, first batches, then everybody in growing batches.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::Containment;
use super::batch::{Batch, Tally};
use super::pipeline::Pipeline;
use super::reading::Reader;
use super::safety::Safety;
use super::settle::Settling;
use crate::directory::Directory;
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::track::ContainmentPause;
use crate::engine::campaign_file::Protection;
use crate::engine::people::People;
use crate::engine::progress::Progress;
use crate::engine::{Engine, EngineError};
use crate::store::credentials::Pick;

/// What a pass works with.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub engine: &'a Engine,
    pub people: &'a People,
    pub directory: &'a dyn Directory,
    pub containment: &'a Containment,
    pub safety: &'a Safety,
    pub progress: &'a dyn Progress,
    pub stop: &'a CancellationToken,
    pub gave_up: bool,
}

/// Why a pass stops itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stop {
    pub cause: ContainmentPause,
    /// What happened, in words for the operator.
    pub note: String,
}

impl Stop {
    /// Most of a first batch was not proved.
    pub(super) fn unproved(expiry: &str, tally: &Tally) -> Self {
        let note = format!(
            "of {} accounts in the first batch, the read-back shows {} with another value or a \
             session than they were given by {expiry}",
            tally.touched, tally.unproved
        );
        Self { cause: ContainmentPause::ReadBack, note }
    }
}

impl<'a> Pass<'a> {
    /// A batch of one kind.
    pub(super) fn batch(&self, kind: CredentialKind, may_spare: bool) -> Batch<'a> {
        let Self { engine, people, directory, containment, gave_up, .. } = *self;
        Batch {
            reader: Reader { people, directory, containment, kind, may_spare },
            settling: Settling { engine, people, kind, gave_up },
            controls: self.safety.controls(kind),
        }
    }

    /// The whole pass; `settled` counts what it changed, also where it ends in an error.
    pub(super) async fn run(
        &self,
        pick: Pick,
        settled: &mut u64,
    ) -> Result<Option<Stop>, EngineError> {
        if pick == Pick::Pending {
            let begun = self.protected(settled).await?;
            let (was_first, stop) = begun;
            if stop.is_some() {
                return Ok(stop);
            }
            if let Some(stop) = self.first_batches(was_first, settled).await? {
                return Ok(Some(stop));
            }
        }
        for kind in &self.containment.kinds {
            if let Some(stop) = self.sweep(*kind, pick, settled).await? {
                return Ok(Some(stop));
            }
        }
        Ok(None)
    }

    /// Protected accounts that are sealed: exempted, or secured before all others. Tells whether any
    /// was secured just now.
    async fn protected(&self, settled: &mut u64) -> Result<(bool, Option<Stop>), EngineError> {
        let (section, numbers) = (&self.containment.section, &self.safety.protected);
        let mut was_any = false;
        for kind in self.containment.kinds.iter().filter(|_| !numbers.is_empty()) {
            let batch = self.batch(*kind, true);
            let store = &self.engine.store;
            let mut open = store.accounts_of(self.people.campaign, *kind, numbers).await?;
            open.retain(|account| account.class == CredentialClass::Pending);
            if section.protected == Protection::Exempt {
                // Whoever we wrote to already is not spared any more, whatever the list says now.
                open.retain(|account| account.planned.is_empty());
                let mut settlements = Vec::new();
                for account in open {
                    let recipient = self.people.open(account.number, &account.body)?;
                    let person = self.people.person(account.salt, &recipient);
                    let (to, why) = (CredentialClass::Exempt, "protected account".to_owned());
                    settlements.extend(batch.settling.of(&account, &person, to, why));
                }
                *settled += store.settle(self.people.campaign, *kind, settlements).await?;
                continue;
            }
            for (at, part) in open.chunks(self.smallest()).enumerate() {
                was_any = true;
                let tally = batch.run(part.to_vec(), at == 0).await?;
                *settled += tally.settled;
                if tally.halted || tally.failed > 0 {
                    let note = format!(
                        "{} of {} protected accounts could not be secured ({kind}); nobody else was \
                         touched",
                        tally.failed.max(tally.unproved),
                        part.len()
                    );
                    return Ok((true, Some(Stop { cause: ContainmentPause::ReadBack, note })));
                }
            }
        }
        Ok((was_any, None))
    }

    /// Where a pass is to be looked at early: one small batch of each kind (or the protected accounts
    /// just secured), and then a stop, once in a campaign's life and only if others are pending.
    async fn first_batches(
        &self,
        was_first: bool,
        settled: &mut u64,
    ) -> Result<Option<Stop>, EngineError> {
        let (campaign, store) = (self.people.campaign, &self.engine.store);
        let is_over = store.pass_state(campaign).await?.first_batch_at.is_some();
        if is_over || !self.containment.section.pauses(self.people.environment) {
            return Ok(None);
        }
        let kinds = &self.containment.kinds;
        for kind in kinds.iter().filter(|_| !was_first) {
            if self.is_stopped().await? {
                return Ok(None);
            }
            let limit = u32::try_from(self.smallest()).unwrap_or(u32::MAX);
            let page = store.next_accounts(campaign, *kind, Pick::Pending, 0, limit).await?;
            let tally = self.batch(*kind, true).run(page, true).await?;
            *settled += tally.settled;
            if tally.halted {
                return Ok(Some(Stop::unproved(&self.containment.expiry(*kind), &tally)));
            }
        }
        let words: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
        let totals = store.credential_totals(campaign, &words).await?;
        let pending = |kind: &&str| totals.get(&format!("{kind}/pending")).copied().unwrap_or(0);
        if words.iter().all(|kind| pending(kind) == 0) || self.is_stopped().await? {
            return Ok(None);
        }
        let note = format!("its first batch came to {}", came_to(&totals));
        Ok(Some(Stop { cause: ContainmentPause::FirstBatch, note }))
    }

    /// Everybody picked of one kind, in batches that begin small and double.
    async fn sweep(
        &self,
        kind: CredentialKind,
        pick: Pick,
        settled: &mut u64,
    ) -> Result<Option<Stop>, EngineError> {
        let (campaign, store) = (self.people.campaign, &self.engine.store);
        let totals = store.credential_totals(campaign, &[kind.word()]).await?;
        let words: &[&str] =
            if pick == Pick::Failed { &["failed", "regressed"] } else { &["pending"] };
        let of = |word: &&str| totals.get(&format!("{kind}/{word}")).copied().unwrap_or(0);
        let total: u64 = words.iter().map(of).sum();
        // The counters move with the classes, so nobody has to be looked for where they say nobody: a run
        // that goes on after a crash would walk all people for it.
        if pick == Pick::Pending && total == 0 {
            return Ok(None);
        }
        self.progress.begin(&format!("Expiring each {kind}"), Some(total), "accounts");
        let batch = self.batch(kind, true);
        let (mut after, mut done, mut size) = (0, 0, self.smallest());
        // Nothing is laid over a first batch: by it a wrong statement is to show. Those that failed before
        // prove nothing about a statement by failing again.
        if pick == Pick::Pending && !self.is_stopped().await? {
            let limit = u32::try_from(size).unwrap_or(u32::MAX);
            let accounts = store.next_accounts(campaign, kind, pick, after, limit).await?;
            let Some(last) = accounts.last() else {
                self.progress.end();
                return Ok(None);
            };
            after = last.number;
            let tally = batch.run(accounts, true).await?;
            done += tally.settled;
            *settled += tally.settled;
            if tally.halted {
                self.progress.end();
                return Ok(Some(Stop::unproved(&self.containment.expiry(kind), &tally)));
            }
            self.progress.at(done);
            size = (size * 2).min(self.directory.capabilities().batch);
        }
        let mut on_settled = |changed: u64| {
            done += changed;
            *settled += changed;
            self.progress.at(done);
        };
        Pipeline::new(self, batch, pick, after, size).run(&mut on_settled).await?;
        self.progress.end();
        Ok(None)
    }

    /// The first batch is small: a wrong statement shows on 20 accounts, not on 1,000.
    pub(super) fn smallest(&self) -> usize {
        let section = &self.containment.section;
        section.first_batch.min(self.directory.capabilities().batch)
    }

    /// Whether the pass has to stop: asked to, paused, or approved anew.
    pub(super) async fn is_stopped(&self) -> Result<bool, EngineError> {
        Ok(self.stop.is_cancelled() || self.engine.is_called_off(self.people.campaign).await?)
    }
}

/// `18 password/expired, 2 password/not-found`: whatever is settled.
fn came_to(totals: &BTreeMap<String, u64>) -> String {
    let settled: Vec<String> = totals
        .iter()
        .filter(|(label, count)| **count > 0 && !label.ends_with("/pending"))
        .map(|(label, count)| format!("{count} {label}"))
        .collect();
    settled.join(", ")
}
