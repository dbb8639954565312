//! `give_up_after`: whoever can't be secured is held until then, and then told so truthfully.

use tokio_util::sync::CancellationToken;

use super::{Containment, SecureReport};
use crate::domain::delivery::{DeliveryClass, HeldReason};
use crate::domain::track::Track;
use crate::engine::campaign_file::DirectorySection;
use crate::engine::people::People;
use crate::engine::progress::Progress;
use crate::engine::{Engine, EngineError};
use crate::store::campaigns::CampaignRow;
use crate::store::credentials::Pick;
use crate::store::deliveries::{DeliveryState, Move};
use crate::store::reports::DeliveryFilter;

/// People released in one transaction.
const PAGE: u32 = 500;

impl Engine {
    /// Whether `give_up_after` is over, counted from the first pass.
    pub(super) async fn gave_up(
        &self,
        campaign: i64,
        section: &DirectorySection,
    ) -> Result<bool, EngineError> {
        let Some(after) = section.give_up_after else { return Ok(false) };
        let began = self.store.pass_state(campaign).await?.began_at;
        let over = |began: jiff::Timestamp| began.saturating_add(after.signed()).ok();
        Ok(began.and_then(over).is_some_and(|at| self.clock.now() >= at))
    }

    /// The same by the approved containment, for whoever is about to queue somebody.
    pub(in crate::engine) async fn has_given_up(
        &self,
        row: &CampaignRow,
        people: &People,
    ) -> Result<bool, EngineError> {
        let has_begun = self.store.pass_state(row.id).await?.began_at.is_some();
        if row.containment_digest.is_none() || !has_begun {
            return Ok(false);
        }
        let approved = self.approved(row, people, Track::Containment).await?;
        self.gave_up(row.id, &Containment::read(&approved.parts)?.section).await
    }

    /// As [`Engine::secure`] over what is pending. Once given up, a directory that can't be reached and
    /// a pause are no reasons any more to leave everybody untold.
    pub(in crate::engine) async fn secure_for_run(
        &self,
        name: &str,
        progress: &dyn Progress,
        stop: &CancellationToken,
    ) -> Result<SecureReport, EngineError> {
        let refused = match self.secure(name, Pick::Pending, progress, stop).await {
            Ok(report) => return Ok(report),
            Err(refused) => refused,
        };
        let (row, people) = self.people(name).await?;
        let approved = self.approved(&row, &people, Track::Containment).await?;
        let containment = Containment::read(&approved.parts)?;
        if !self.gave_up(row.id, &containment.section).await? {
            return Err(refused);
        }
        progress.note(&format!(
            "warning: {refused}; `directory.give_up_after` is over, so people are told that their \
             credentials could not be secured"
        ));
        self.release_unsecured(&people).await?;
        let words: Vec<&str> = containment.kinds.iter().map(|kind| kind.word()).collect();
        let totals = self.store.credential_totals(row.id, &words).await?;
        Ok(SecureReport { totals, settled: 0, is_done: false, paused: None, gave_up: true })
    }

    /// Queues everybody who is held for a credential; their notices say that it may still work.
    pub(super) async fn release_unsecured(&self, people: &People) -> Result<u64, EngineError> {
        let held = DeliveryClass::Held(HeldReason::Credential);
        let filter = DeliveryFilter {
            class: Some(held.word().to_owned()),
            reason: Some(held.reason()),
            ..DeliveryFilter::default()
        };
        let (mut released, mut after) = (0, None);
        loop {
            let page = self.store.list_deliveries(people.campaign, &filter, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(released) };
            after = Some(last.number);
            let mut moves = Vec::with_capacity(page.len());
            for found in page {
                let recipient = people.open(found.number, &found.body.unwrap_or_default())?;
                let person = people.person(found.salt, &recipient);
                let (from, to) = (held.clone(), DeliveryClass::Queued);
                let entry = people.moved(person, from.label(), to.label(), "give-up");
                moves.push(Move {
                    number: found.number,
                    from,
                    state: DeliveryState { class: to.clone(), ..found.state },
                    to,
                    line: entry.line(self.clock.now()),
                });
            }
            released += self.store.apply(people.campaign, moves, Vec::new()).await?.len() as u64;
        }
    }
}
