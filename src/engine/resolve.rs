//! `delivery resolve`: an operator settles a doubt, with a reason and a signature.

use std::collections::HashSet;

use jiff::Timestamp;

use super::audience::later::Later;
use super::campaign_file::Mode;
use super::cancel::CANCELLED;
use super::link::{renewed, sent_again};
use super::notice::approved_file;
use super::operators::Signer;
use super::people::People;
use super::progress::Progress;
use super::{Engine, EngineError};
use crate::domain::amendment::{sendable, waived};
use crate::domain::delivery::{DeliveryClass, Doubt, ToldBy};
use crate::domain::duration::HumanDuration;
use crate::domain::operator::may_sign;
use crate::domain::track::{NoticeState, Track};
use crate::secret::digest::LpBuilder;
use crate::store::acts::Doubtful;
use crate::store::amendments::Amendable;
use crate::store::campaigns::CampaignRow;
use crate::store::deliveries::{DeliveryState, Move, Resolution};
use crate::store::reports::DeliveryFilter;

/// People settled in one transaction.
const PAGE: u32 = 1_000;

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
    is_cancelled: bool,
    /// Campaigns that were sealed of this one, where somebody would be told again.
    later: &'a [Later],
    /// Whoever would be told again waits for their credential.
    secured_first: bool,
}

/// The same before anybody is looked at.
struct Ready {
    people: People,
    token_for: Option<HumanDuration>,
    is_cancelled: bool,
    later: Vec<Later>,
    secured_first: bool,
}

impl Ready {
    fn settling<'a>(
        &'a self,
        verdict: Verdict,
        reason: &'a str,
        signer: &'a Signer,
    ) -> Settling<'a> {
        Settling {
            people: &self.people,
            verdict,
            reason,
            signer,
            token_for: self.token_for,
            is_cancelled: self.is_cancelled,
            later: &self.later,
            secured_first: self.secured_first,
        }
    }
}

/// What one person's doubt comes to.
struct Settled {
    change: Move,
    resolutions: Vec<Resolution>,
    /// A notice of another generation is sent.
    is_renewed: bool,
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

    /// The class a doubt ends in; a cancelled campaign tells nobody any more.
    fn class(self, from: &DeliveryClass, is_cancelled: bool, is_unsecured: bool) -> DeliveryClass {
        match self {
            Self::Accepted => DeliveryClass::Told(ToldBy::Accepted),
            Self::NotSent if is_cancelled => DeliveryClass::Waived(CANCELLED.to_owned()),
            Self::NotSent => sendable(is_unsecured),
            // the operator's words are no class: they stand in the resolution
            Self::Waive => waived(from),
        }
    }
}

impl Engine {
    /// Numbers of everybody in doubt who waits for an operator; of few, for they are all held in memory.
    pub async fn doubts(&self, name: &str) -> Result<Vec<u64>, EngineError> {
        let row = self.campaign(name).await?;
        let filter = DeliveryFilter { class: Some("in-doubt".into()), ..DeliveryFilter::default() };
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
        let ready = self.ready_to_settle(name, verdict, reason, signer).await?;
        self.settle_page(&ready.settling(verdict, reason, signer), numbers).await
    }

    /// Settles everybody in doubt, page by page. May die anywhere: settling again goes on with the rest.
    pub async fn resolve_all(
        &self,
        name: &str,
        verdict: Verdict,
        reason: &str,
        signer: &Signer,
        progress: &dyn Progress,
    ) -> Result<Resolved, EngineError> {
        let ready = self.ready_to_settle(name, verdict, reason, signer).await?;
        let settling = ready.settling(verdict, reason, signer);
        let campaign = ready.people.campaign;
        let total = self.store.delivery_totals(campaign).await?.in_doubt;
        progress.begin("Settling", Some(total), "people");
        let filter = DeliveryFilter { class: Some("in-doubt".into()), ..DeliveryFilter::default() };
        let (mut all, mut after) = (Resolved { moved: 0, renewed: 0 }, None);
        loop {
            let page = self.store.list_deliveries(campaign, &filter, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.number);
            let numbers: Vec<u64> = page.iter().map(|listing| listing.number).collect();
            let settled = self.settle_page(&settling, &numbers).await?;
            all.moved += settled.moved;
            all.renewed += settled.renewed;
            progress.at(all.moved);
        }
        progress.end();
        Ok(all)
    }

    async fn ready_to_settle(
        &self,
        name: &str,
        verdict: Verdict,
        reason: &str,
        signer: &Signer,
    ) -> Result<Ready, EngineError> {
        if reason.trim().is_empty() {
            return Err(EngineError::refused("a doubt is settled with a reason; hint: `--reason`"));
        }
        may_sign(&signer.row.operator, self.clock.now())?;
        let (row, people) = self.people(name).await?;
        let is_cancelled = row.control.notice == NoticeState::Cancelled;
        let is_sent_again = verdict == Verdict::NotSent && !is_cancelled;
        let (token_for, later, secured_first) = if is_sent_again {
            let gave_up = self.has_given_up(&row, &people).await?;
            (self.token_for(&row, &people).await?, self.later(row.id).await?, !gave_up)
        } else {
            (None, Vec::new(), false)
        };
        Ok(Ready { people, token_for, is_cancelled, later, secured_first })
    }

    async fn settle_page(
        &self,
        settling: &Settling<'_>,
        numbers: &[u64],
    ) -> Result<Resolved, EngineError> {
        let campaign = settling.people.campaign;
        let (mut moves, mut resolutions) = (Vec::new(), Vec::new());
        let mut renewed = HashSet::new();
        let mut meant = Vec::new();
        for number in numbers {
            // The doubt of a group is about its carrier's notice, and ends once for all of them.
            let found = self.store.delivery(campaign, *number).await?;
            meant.push(found.and_then(|listing| listing.carrier).unwrap_or(*number));
        }
        let mut settled = HashSet::new();
        meant.retain(|number| settled.insert(*number));
        let unsecured = self.unsecured(settling, &meant).await?;
        for number in meant {
            let one = self.settle(settling, number, unsecured.contains(&number)).await?;
            if one.is_renewed {
                renewed.insert(number);
            }
            moves.push(one.change);
            resolutions.extend(one.resolutions);
        }
        let moved = self.store.apply(campaign, moves, resolutions).await?;
        Ok(Resolved {
            moved: moved.len() as u64,
            renewed: moved.iter().filter(|number| renewed.contains(number)).count() as u64,
        })
    }

    /// Those of them who wait for a credential before they are told again. A rewind puts them in doubt too: in
    /// the time that was lost they may have been secured and told.
    async fn unsecured(
        &self,
        settling: &Settling<'_>,
        numbers: &[u64],
    ) -> Result<HashSet<u64>, EngineError> {
        if !settling.secured_first {
            return Ok(HashSet::new());
        }
        let found = self.store.amendable(settling.people.campaign, numbers).await?;
        let waiting = found.into_iter().filter(Amendable::waits_for_credential);
        Ok(waiting.map(|one| one.number).collect())
    }

    /// How long links live, where the approved notice is of mode `link`.
    async fn token_for(
        &self,
        row: &CampaignRow,
        people: &People,
    ) -> Result<Option<HumanDuration>, EngineError> {
        // A restored database may not know the approval of what may have been sent.
        if row.notice_digest.is_none() {
            return Ok(None);
        }
        let approved = self.approved(row, people, Track::Notice).await?;
        let notice = approved_file(self, people, &approved.parts)?.notice;
        Ok((notice.mode == Mode::Link).then_some(notice.token_for))
    }

    /// What one person's doubt comes to. That nothing was sent is said of every attempt whose fate was
    /// unknown, also of those that were sent again since.
    async fn settle(
        &self,
        settling: &Settling<'_>,
        number: u64,
        is_unsecured: bool,
    ) -> Result<Settled, EngineError> {
        let Settling { people, verdict, signer, is_cancelled, later, .. } = *settling;
        let (name, now) = (&people.name, self.clock.now());
        let Some(found) = self.store.delivery(people.campaign, number).await? else {
            return Err(EngineError::refused(format!(
                "there is no recipient {number}; hint: `forthwith delivery list {name} --class \
                 in-doubt`"
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
        let doubts = self.store.doubts_about(people.campaign, number).await?;
        let newest = doubts.first().ok_or_else(|| {
            EngineError::Broken(format!("recipient {number} is in doubt without an attempt"))
        })?;
        let from = found.state.class.clone();
        let to = verdict.class(&from, is_cancelled, is_unsecured);
        let entry = people.moved(
            people.person(found.salt, &recipient),
            from.label(),
            to.label(),
            &signer.ledger_name(),
        );
        let generation = found.state.generation;
        let state = if to == DeliveryClass::Queued {
            self.again(settling, &found.state, newest).await?
        } else {
            DeliveryState { class: to.clone(), due_at: None, ..found.state }
        };
        let meant = if verdict == Verdict::NotSent { &doubts[..] } else { &doubts[..1] };
        Ok(Settled {
            is_renewed: state.generation > generation,
            resolutions: meant.iter().map(|one| signed(settling, number, one, now)).collect(),
            change: Move { number, from, state, to, line: entry.line(now) },
        })
    }

    /// The row of who is sent the notice again.
    async fn again(
        &self,
        settling: &Settling<'_>,
        now: &DeliveryState,
        doubt: &Doubtful,
    ) -> Result<DeliveryState, EngineError> {
        let (campaign, key) = (settling.people.campaign, doubt.key);
        let tokens = self.store.tokens(campaign, key.number).await?;
        let has_token = tokens.iter().any(|token| token.generation == key.generation);
        if settling.token_for.is_some() && doubt.is_recovered && !has_token {
            // The salt of its link is lost with the database: the same bytes cannot be made again.
            return Ok(renewed(now));
        }
        let token_for = settling.token_for.filter(|_| has_token);
        Ok(sent_again(now, doubt.dated_at, token_for, self.clock.now()))
    }
}

/// The resolution of one attempt, signed.
fn signed(settling: &Settling<'_>, person: u64, doubt: &Doubtful, at: Timestamp) -> Resolution {
    let Settling { people, verdict, reason, signer, .. } = *settling;
    let key = doubt.key;
    let statement = LpBuilder::new()
        .lp(b"forthwith resolution v1")
        .lp(people.uuid.as_bytes())
        .number(key.number)
        .number(u64::from(key.generation))
        .number(u64::from(key.n))
        .lp(verdict.word().as_bytes())
        .lp(reason.as_bytes())
        .finish();
    Resolution {
        person,
        key,
        result: verdict.word(),
        by: signer.row.operator.name.clone(),
        reason: reason.to_owned(),
        signature: Some(*signer.sign(&statement).as_bytes()),
        at,
    }
}
