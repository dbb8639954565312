//! `delivery resolve`: an operator settles a doubt, with a reason and a signature.

use std::collections::HashSet;

use jiff::Timestamp;

use super::audience::later::Later;
use super::campaign_file::Mode;
use super::link::sent_again;
use super::notice::approved_file;
use super::operators::Signer;
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::amendment::waived;
use crate::domain::delivery::{AttemptKey, AttemptResult, DeliveryClass, Doubt, ToldBy};
use crate::domain::duration::HumanDuration;
use crate::domain::operator::may_sign;
use crate::domain::track::Track;
use crate::secret::digest::LpBuilder;
use crate::store::campaigns::CampaignRow;
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

/// What settling came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    /// People who really moved.
    pub moved: u64,
    /// Those of them who get a new notice with a new link, as the old link's life was half over.
    pub renewed: u64,
}

/// What is the same for everybody settled at once.
#[derive(Clone, Copy)]
struct Settling<'a> {
    people: &'a People,
    verdict: Verdict,
    reason: &'a str,
    signer: &'a Signer,
    token_for: Option<HumanDuration>,
    /// Campaigns that were sealed of this one, where somebody would be told again.
    later: &'a [Later],
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

    fn class(self, from: &DeliveryClass) -> DeliveryClass {
        match self {
            Self::Accepted => DeliveryClass::Told(ToldBy::Accepted),
            Self::NotSent => DeliveryClass::Queued,
            // the operator's words are no class: they stand in the resolution
            Self::Waive => waived(from),
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

    /// Settles doubts; tells how many people really moved.
    pub async fn resolve(
        &self,
        name: &str,
        numbers: &[u64],
        verdict: Verdict,
        reason: &str,
        signer: &Signer,
    ) -> Result<Resolved, EngineError> {
        if reason.trim().is_empty() {
            return Err(EngineError::refused("a doubt is settled with a reason; hint: `--reason`"));
        }
        may_sign(&signer.row.operator, self.clock.now())?;
        let (row, people) = self.people(name).await?;
        let (token_for, later) = match verdict {
            Verdict::NotSent => (self.token_for(&row, &people).await?, self.later(row.id).await?),
            Verdict::Accepted | Verdict::Waive => (None, Vec::new()),
        };
        let settling =
            Settling { people: &people, verdict, reason, signer, token_for, later: &later };
        let (mut moves, mut resolutions) = (Vec::new(), Vec::new());
        let mut renewed = HashSet::new();
        let mut settled = HashSet::new();
        for number in numbers {
            // The doubt of a group is about its carrier's notice, and ends once for all of them.
            let found = self.store.delivery(row.id, *number).await?;
            let number = &found.and_then(|listing| listing.carrier).unwrap_or(*number);
            if !settled.insert(*number) {
                continue;
            }
            let (change, resolution) = self.settle(&settling, *number).await?;
            if change.state.generation > resolution.key.generation {
                renewed.insert(*number);
            }
            moves.push(change);
            resolutions.push(resolution);
        }
        let moved = self.store.apply(row.id, moves, resolutions).await?;
        Ok(Resolved {
            moved: moved.len() as u64,
            renewed: moved.iter().filter(|number| renewed.contains(number)).count() as u64,
        })
    }

    /// How long links live, where the approved notice is of mode `link`.
    async fn token_for(
        &self,
        row: &CampaignRow,
        people: &People,
    ) -> Result<Option<HumanDuration>, EngineError> {
        let approved = self.approved(row, people, Track::Notice).await?;
        let notice = approved_file(self, people, &approved.parts)?.notice;
        Ok((notice.mode == Mode::Link).then_some(notice.token_for))
    }

    /// The move that one person's doubt comes to, and its resolution.
    async fn settle(
        &self,
        settling: &Settling<'_>,
        number: u64,
    ) -> Result<(Move, Resolution), EngineError> {
        let Settling { people, verdict, reason, signer, token_for, later } = *settling;
        let (name, now) = (&people.name, self.clock.now());
        let Some(found) = self.store.delivery(people.campaign, number).await? else {
            return Err(EngineError::refused(format!(
                "there is no recipient {number}; hint: `forthwith delivery list {name} --class in-doubt`"
            )));
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
        let recipient = people.open(number, &found.body.unwrap_or_default())?;
        self.check_not_in_later(people, later, number, &recipient.account).await?;
        let (key, dated_at) = self.doubtful_attempt(people.campaign, number).await?;
        let from = found.state.class.clone();
        let to = verdict.class(&from);
        let entry = people.moved(
            people.person(found.salt, &recipient),
            from.label(),
            to.label(),
            &signer.ledger_name(),
        );
        let state = if verdict == Verdict::NotSent {
            let tokens = self.store.tokens(people.campaign, number).await?;
            let has_token = tokens.iter().any(|token| token.generation == key.generation);
            sent_again(&found.state, dated_at, token_for.filter(|_| has_token), now)
        } else {
            DeliveryState { class: to.clone(), due_at: None, ..found.state }
        };
        let statement = LpBuilder::new()
            .lp(b"forthwith resolution v1")
            .lp(people.uuid.as_bytes())
            .number(number)
            .number(u64::from(key.generation))
            .number(u64::from(key.n))
            .lp(verdict.word().as_bytes())
            .lp(reason.as_bytes())
            .finish();
        let resolution = Resolution {
            key,
            result: verdict.word(),
            by: signer.row.operator.name.clone(),
            reason: reason.to_owned(),
            signature: Some(*signer.sign(&statement).as_bytes()),
            at: now,
        };
        Ok((Move { number, from, state, to, line: entry.line(now) }, resolution))
    }

    /// The attempt whose fate is unknown, with its message's Date.
    async fn doubtful_attempt(
        &self,
        campaign: i64,
        number: u64,
    ) -> Result<(AttemptKey, Timestamp), EngineError> {
        let attempts = self.store.attempts(campaign, number).await?;
        attempts
            .iter()
            .rev()
            .find(|attempt| attempt.result == Some(AttemptResult::InDoubt))
            .map(|attempt| (attempt.key, attempt.dated_at))
            .ok_or_else(|| {
                EngineError::Broken(format!("recipient {number} is in doubt without an attempt"))
            })
    }
}
