//! The whole difference: where no journal proves that somebody was left alone, they may have been told.

use super::page::Recovering;
use super::report::CampaignRecovery;
use crate::domain::delivery::{AttemptKey, AttemptResult, DeliveryClass, Doubt, Outcome};
use crate::domain::ledger::Entry;
use crate::engine::EngineError;
use crate::engine::progress::Progress;
use crate::store::deliveries::{DeliveryState, Move};
use crate::store::rewinds::{AttemptOrigin, FoundAttempt, RecoveringRow, RecoveryPage};

/// People held in one transaction.
const PAGE: u32 = 1_000;
/// The phase of an attempt of which nobody knows whether it was made.
const REWIND: &str = "rewind";

impl Recovering<'_> {
    /// Holds everybody in doubt whom the machine would send to by itself. May die anywhere: who is held
    /// already is passed over.
    pub(super) async fn hold(
        &self,
        incarnation: u64,
        report: &mut CampaignRecovery,
        progress: &dyn Progress,
    ) -> Result<(), EngineError> {
        let (store, campaign) = (&self.engine.store, self.people.campaign);
        let mut after = 0;
        loop {
            let numbers = store.sendable(campaign, after, PAGE).await?;
            let Some(last) = numbers.last() else { return Ok(()) };
            after = *last;
            let mut page = RecoveryPage::default();
            for row in store.recovering(campaign, &numbers).await? {
                self.hold_one(&row, incarnation, &mut page)?;
            }
            report.held += page.moves.len() as u64;
            store.record(campaign, page).await?;
            progress.at(report.held);
        }
    }

    fn hold_one(
        &self,
        row: &RecoveringRow,
        incarnation: u64,
        page: &mut RecoveryPage,
    ) -> Result<(), EngineError> {
        let now = self.engine.clock.now();
        let generation = row.state.generation;
        let of_now = row.known.iter().filter(|known| known.key.generation == generation);
        let n = 1 + of_now.map(|known| known.key.n).max().unwrap_or(0);
        let from = row.state.class.clone();
        let to = DeliveryClass::InDoubt(Doubt::Held);
        let recipient = self.people.open(row.number, &row.body)?;
        let entry = Entry::Recovered {
            campaign: self.people.ledger_name(),
            person: self.people.person(row.salt, &recipient),
            generation,
            n,
            from: from.label(),
            to: to.label(),
            result: AttemptResult::InDoubt.word(),
            evidence: "none",
        };
        page.attempts.push(FoundAttempt {
            key: AttemptKey { number: row.number, generation, n },
            dated_at: now,
            content: [0; 32],
            from: from.clone(),
            worker: String::new(),
            incarnation,
            segment: 0,
            origin: AttemptOrigin::Rewind,
            outcome: Outcome::bare(AttemptResult::InDoubt, REWIND, now),
        });
        let doubts = row.state.doubts + 1;
        let state = DeliveryState { class: to.clone(), doubts, due_at: None, ..row.state.clone() };
        page.moves.push(Move { number: row.number, from, to, state, line: entry.line(now) });
        Ok(())
    }
}
