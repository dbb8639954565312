//! `campaign cancel`: nobody more is told, everybody is accounted for, and those who were told by mistake
//! get a correction drafted. May die anywhere: cancelling again goes on.

mod correction;

use std::path::PathBuf;
use std::time::Duration;

use super::operators::Signer;
use super::people::People;
use super::progress::Progress;
use super::{Engine, EngineError};
use crate::domain::delivery::{DeliveryClass, Doubt, ToldBy};
use crate::domain::totals::DeliveryTotals;
use crate::domain::track::{ContainmentState, NoticeState, Track};
use crate::journal::WorkerLock;
use crate::store::acts::ActKind;
use crate::store::deliveries::{DeliveryState, Move};
use crate::store::reports::{DeliveryFilter, DeliveryListing, Reached};

/// The reason of everybody who is let go by it.
const REASON: &str = "cancelled";
/// People moved in one transaction.
const PAGE: u32 = 1_000;
/// How long a running worker has to come to its end.
const PATIENCE: Duration = Duration::from_mins(2);

/// What was left when a campaign was cancelled.
#[derive(Debug, Clone)]
pub struct Cancelled {
    /// Where the people stand now.
    pub totals: DeliveryTotals,
    /// People who were told.
    pub told: u64,
    /// People who may have been told.
    pub possibly_told: u64,
    /// People who were not told and will not be.
    pub untold: u64,
    /// Of those not told, the ones of whom a credential was expired: they cannot sign in and nobody
    /// says why.
    pub secured_untold: u64,
    /// The drafted campaign that corrects what was told; none where nobody was.
    pub correction: Option<PathBuf>,
}

impl Engine {
    /// Cancels the notice of a campaign.
    pub async fn cancel(
        &self,
        name: &str,
        reason: &str,
        signer: &Signer,
        progress: &dyn Progress,
    ) -> Result<Cancelled, EngineError> {
        if reason.trim().is_empty() {
            return Err(EngineError::refused(
                "a campaign is cancelled for a reason; hint: `--reason`",
            ));
        }
        let (row, people) = self.people(name).await?;
        let from = row.control.notice;
        match from {
            NoticeState::Closed => {
                return Err(EngineError::refused(format!(
                    "campaign `{name}` is closed: everybody was told or let go by name; hint: \
                     `forthwith campaign status {name}`"
                )));
            }
            NoticeState::Cancelled => progress.note("it was cancelled before; going on from there"),
            _ => {
                let change = (from, NoticeState::Cancelled);
                self.act(&people, ActKind::Cancel, change, reason, signer).await?;
            }
        }
        self.stop_containment(&people, &signer.ledger_name()).await?;
        let _lock = self.wait_for_quiet(&people).await?;
        self.let_go(&people, &signer.ledger_name(), progress).await?;
        self.cancelled(&people).await
    }

    /// A campaign that is given up expires nothing more either.
    async fn stop_containment(&self, people: &People, by: &str) -> Result<(), EngineError> {
        let now = self.store.control(people.campaign).await?.containment;
        if !matches!(now, ContainmentState::Approved | ContainmentState::Running) {
            return Ok(());
        }
        let to = ContainmentState::Paused;
        let line = people
            .track_moved(Track::Containment, now.word(), to.word(), by)
            .line(self.clock.now());
        self.store.move_containment(people.campaign, &[now], to, vec![line]).await?;
        Ok(())
    }

    /// Waits until no worker has anything of this campaign on its way. With the lock in hand a dead
    /// worker's attempts are settled first; without it another campaign's worker is running, which
    /// holds nothing of this one.
    async fn wait_for_quiet(&self, people: &People) -> Result<Option<WorkerLock>, EngineError> {
        let began = std::time::Instant::now();
        loop {
            if let Ok(lock) = WorkerLock::acquire(&self.workspace.worker_lock()) {
                self.check_high_water().await?;
                self.rescue_all().await?;
                return Ok(Some(lock));
            }
            if self.store.leased_chunks(people.campaign).await? == 0 {
                return Ok(None);
            }
            if began.elapsed() > PATIENCE {
                return Err(EngineError::refused(format!(
                    "`{name}` is cancelled and nothing more starts, but its worker has not come to \
                     an end; hint: stop it, then `forthwith campaign cancel {name}` again",
                    name = people.name
                )));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Lets everybody go who is open, page by page; doubts are held: nothing is sent again.
    async fn let_go(
        &self,
        people: &People,
        by: &str,
        progress: &dyn Progress,
    ) -> Result<(), EngineError> {
        let totals = self.store.delivery_totals(people.campaign).await?;
        progress.begin("Letting go", Some(totals.sealed), "people");
        let (mut after, mut seen) = (None, 0);
        loop {
            let filter = DeliveryFilter::default();
            let page = self.store.list_deliveries(people.campaign, &filter, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.number);
            seen += page.len() as u64;
            let mut moves = Vec::new();
            for listing in &page {
                moves.extend(self.farewell(people, listing, by)?);
            }
            if !moves.is_empty() {
                self.store.apply_to_idle(people.campaign, moves).await?;
            }
            progress.at(seen);
        }
        progress.end();
        Ok(())
    }

    fn farewell(
        &self,
        people: &People,
        listing: &DeliveryListing,
        by: &str,
    ) -> Result<Option<Move>, EngineError> {
        let from = listing.state.class.clone();
        let to = match &from {
            DeliveryClass::InDoubt(Doubt::Due) => DeliveryClass::InDoubt(Doubt::Held),
            // an earlier notice may have been read: the first copy of a doubt, or one to an address
            // that was replaced since
            DeliveryClass::Queued
            | DeliveryClass::Deferred
            | DeliveryClass::Held(_)
            | DeliveryClass::Fallback(_) => match listing.reached {
                Reached::Yes => DeliveryClass::Told(ToldBy::Accepted),
                Reached::Perhaps => DeliveryClass::InDoubt(Doubt::Held),
                Reached::No => DeliveryClass::Waived(REASON.to_owned()),
            },
            DeliveryClass::InDoubt(Doubt::Held)
            | DeliveryClass::Told(_)
            | DeliveryClass::Withdrawn
            | DeliveryClass::Waived(_) => return Ok(None),
        };
        let recipient = people.open(listing.number, listing.body.as_deref().unwrap_or_default())?;
        let person = people.person(listing.salt, &recipient);
        let line = people.moved(person, from.label(), to.label(), by).line(self.clock.now());
        let state = DeliveryState { class: to.clone(), due_at: None, ..listing.state.clone() };
        Ok(Some(Move { number: listing.number, from, to, state, line }))
    }

    async fn cancelled(&self, people: &People) -> Result<Cancelled, EngineError> {
        let totals = self.store.delivery_totals(people.campaign).await?;
        let untold = totals.reasons.get("waived/cancelled").copied().unwrap_or(0);
        let possibly_told = totals.in_doubt + totals.in_flight;
        let correction = if self.was_anybody_told(people).await? {
            Some(self.draft_correction(people)?)
        } else {
            None
        };
        Ok(Cancelled {
            told: totals.told,
            possibly_told,
            untold,
            secured_untold: self.store.secured_untold(people.campaign).await?,
            correction,
            totals,
        })
    }
}
