//! `delivery resolve`: an operator settles a doubt, with a reason and a signature.

use super::operators::Signer;
use super::{Engine, EngineError};
use crate::domain::delivery::{AttemptKey, AttemptResult, DeliveryClass, Doubt, ToldBy};
use crate::secret::digest::LpBuilder;
use crate::store::deliveries::{DeliveryState, Move, Resolution};

/// What the operator knows about an attempt in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The relay took it: the person is told.
    Accepted,
    /// It never left: it may be sent again.
    NotSent,
    /// It is let go: nobody will know.
    Waive,
}

impl Verdict {
    /// The word of the resolution.
    pub fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::NotSent => "not-sent",
            Self::Waive => "waived",
        }
    }

    fn class(self, reason: &str) -> DeliveryClass {
        match self {
            Self::Accepted => DeliveryClass::Told(ToldBy::Accepted),
            Self::NotSent => DeliveryClass::Queued,
            Self::Waive => DeliveryClass::Waived(reason.to_owned()),
        }
    }
}

impl Engine {
    /// Numbers of everybody in doubt who waits for an operator.
    pub async fn doubts(&self, name: &str) -> Result<Vec<u64>, EngineError> {
        let row = self.campaign(name).await?;
        let filter = crate::store::reports::DeliveryFilter {
            class: Some("in-doubt".into()),
            ..Default::default()
        };
        let (mut numbers, mut after) = (Vec::new(), None);
        loop {
            let page = self.store.list_deliveries(row.id, &filter, after, 1_000).await?;
            let Some(last) = page.last() else { return Ok(numbers) };
            after = Some(last.number);
            numbers.extend(page.iter().map(|listing| listing.number));
        }
    }

    /// Settles doubts; returns how many people really moved.
    pub async fn resolve(
        &self,
        name: &str,
        numbers: &[u64],
        verdict: Verdict,
        reason: &str,
        signer: &Signer,
    ) -> Result<u64, EngineError> {
        if reason.trim().is_empty() {
            return Err(EngineError::refused("a doubt is settled with a reason; hint: `--reason`"));
        }
        let (row, people) = self.people(name).await?;
        let now = self.clock.now();
        let (mut moves, mut resolutions) = (Vec::new(), Vec::new());
        for number in numbers {
            let Some(found) = self.store.delivery(row.id, *number).await? else {
                return Err(EngineError::refused(format!("there is no recipient {number}")));
            };
            let doubtful =
                matches!(found.state.class, DeliveryClass::InDoubt(Doubt::Held | Doubt::Due));
            if !doubtful {
                return Err(EngineError::refused(format!(
                    "recipient {number} is {}, not in doubt; hint: `forthwith delivery list {name} \
                     --class in-doubt`",
                    found.state.class
                )));
            }
            let recipient = people.open(*number, &found.body.unwrap_or_default())?;
            let key = self.doubtful_attempt(row.id, *number).await?;
            let (from, to) = (found.state.class.clone(), verdict.class(reason));
            let entry = people.moved(
                people.person(found.salt, &recipient),
                from.word().to_owned(),
                to.word().to_owned(),
                &signer.ledger_name(),
            );
            moves.push(Move {
                number: *number,
                from,
                state: DeliveryState { class: to.clone(), due_at: None, ..found.state },
                to,
                line: entry.line(now),
            });
            let statement = LpBuilder::new()
                .lp(b"forthwith resolution v1")
                .lp(people.uuid.as_bytes())
                .number(*number)
                .number(u64::from(key.generation))
                .number(u64::from(key.n))
                .lp(verdict.word().as_bytes())
                .lp(reason.as_bytes())
                .finish();
            resolutions.push(Resolution {
                key,
                result: verdict.word(),
                by: signer.row.operator.name.clone(),
                reason: reason.to_owned(),
                signature: Some(*signer.sign(&statement).as_bytes()),
                at: now,
            });
        }
        Ok(self.store.apply(row.id, moves, resolutions).await?.len() as u64)
    }

    async fn doubtful_attempt(
        &self,
        campaign: i64,
        number: u64,
    ) -> Result<AttemptKey, EngineError> {
        let attempts = self.store.attempts(campaign, number).await?;
        attempts
            .iter()
            .rev()
            .find(|attempt| attempt.result == Some(AttemptResult::InDoubt))
            .map(|attempt| attempt.key)
            .ok_or_else(|| {
                EngineError::Broken(format!("recipient {number} is in doubt without an attempt"))
            })
    }
}
