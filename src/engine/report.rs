//! What the faces show: status, listings, one person's whole story. Addresses masked, replies masked.

mod launch;
mod views;

use jiff::Timestamp;

pub use views::{
    ApprovalView, AttemptView, CredentialView, CrowdedAddress, DeliveryView, RecheckView,
    ResolutionView, SlowedLane, Status, Story, SuspendedLane, TokenView,
};

use super::amend::{AmendedRows, AmendmentView};
use super::people::People;
use super::{Engine, EngineError};
use crate::domain::address::EmailAddress;
use crate::domain::credential::CredentialClass;
use crate::domain::recipient::Recipient;
use crate::domain::reply::{ReplyClass, mask_addresses};
use crate::domain::track::{ContainmentPause, PauseCause, Track};
use crate::journal::WorkerLock;
use crate::secret::mail::reference;
use crate::store::campaigns::CampaignRow;
use crate::store::deliveries::LaneRow;
use crate::store::rechecks::RecheckRow;
use crate::store::reports::{AttemptListing, DeliveryFilter, DeliveryListing};
use crate::store::tokens::TokenListing;

fn text(at: Timestamp) -> String {
    at.to_string()
}

/// An account reference as screens show it: accounts are often addresses, so its middle is hidden.
pub fn mask_account(account: &str) -> String {
    if let Ok(address) = EmailAddress::parse(account) {
        return address.to_string();
    }
    let characters: Vec<char> = account.chars().collect();
    if characters.len() <= 12 && !account.contains('@') {
        return account.to_owned();
    }
    let head: String = characters.iter().take(3).collect();
    let tail: String = characters.iter().skip(characters.len().saturating_sub(2)).collect();
    format!("{head}…{tail}")
}

fn suspended(lane: LaneRow) -> Option<SuspendedLane> {
    let suspension = lane.suspended?;
    Some(SuspendedLane {
        provider: lane.lane.provider,
        cause: suspension.cause,
        until: text(suspension.until),
    })
}

/// A provider has a lane in each wave, and they rest alike.
fn once_each<T: PartialEq>(lanes: impl Iterator<Item = T>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for lane in lanes {
        if !kept.contains(&lane) {
            kept.push(lane);
        }
    }
    kept
}

/// A slowing that is over leaves its row behind and is not shown.
fn slowed(lane: &LaneRow, now: Timestamp) -> Option<SlowedLane> {
    let slowing = lane.slowed.as_ref().filter(|slowing| slowing.until > now)?;
    Some(SlowedLane {
        provider: lane.lane.provider.clone(),
        per_minute: slowing.per_second * 60.0,
        cause: slowing.cause.clone(),
        until: text(slowing.until),
    })
}

/// Why a person has no address, where the source's text is none: in parentheses, without the text.
fn fault_of(recipient: Option<&Recipient>) -> String {
    let text = recipient.and_then(|person| person.address_text.as_deref());
    let fault = text.and_then(|text| EmailAddress::parse(text).err());
    fault.map(|fault| format!("({fault})")).unwrap_or_default()
}

impl Engine {
    /// Where a campaign stands, its personal links counted one by one.
    pub async fn status(&self, name: &str) -> Result<Status, EngineError> {
        let status = self.standing(name).await?;
        let row = self.campaign(name).await?;
        let tokens = self.store.token_totals(row.id, self.clock.now()).await?;
        let events = self.store.waiting_events(row.id).await?;
        Ok(Status { tokens: (tokens.issued > 0).then_some(tokens), events, ..status })
    }

    /// Where a campaign stands, without its personal links: cheap enough to ask every second.
    pub async fn standing(&self, name: &str) -> Result<Status, EngineError> {
        let (row, people) = self.people(name).await?;
        let seal =
            self.store.live_seal(row.id).await?.ok_or_else(|| super::plan::not_sealed(name))?;
        let kinds = self.secured_kinds(&row, &people).await?;
        let words: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
        let control = self.store.control(row.id).await?;
        let (recheck, recheck_overdue) = self.recheck_stand(&row).await?;
        let lanes = self.store.lanes(row.id).await?;
        let launch = self.launch_views(&row, &people).await?;
        let ledger_head = self.store.ledger_head().await?;
        Ok(Status {
            name: row.name.clone(),
            rewound: self.rewound().await?.map(|rewound| rewound.words()),
            ledger_batch: ledger_head.map_or(0, |head| head.batch_id),
            second_copies: self.store.second_copies(row.id).await?,
            environment: row.environment.word(),
            containment: control.containment.word(),
            containment_cause: control.containment_cause.map(ContainmentPause::word),
            containment_note: control.containment_note,
            recheck: recheck.map(recheck_view),
            recheck_overdue,
            notice: control.notice.word(),
            pause_cause: control.pause_cause.map(PauseCause::word),
            pause_note: control.pause_note,
            source: seal.totals,
            excluded: seal.excluded,
            sealed_at: seal.sealed_at.map(text),
            names_refused: seal.names_refused,
            credentials: self.store.credential_totals(row.id, &words).await?,
            deliveries: self.store.delivery_totals(row.id).await?,
            amendments: self.amendment_sums(name).await?,
            tokens: None,
            events: None,
            slowed: once_each(lanes.iter().filter_map(|lane| slowed(lane, self.clock.now()))),
            suspended: once_each(lanes.into_iter().filter_map(suspended)),
            waves: launch.waves,
            gates: launch.gates,
            breaker: launch.breaker,
            forecast: launch.forecast,
            approvals: self.approval_views(&row).await?,
            worker: WorkerLock::holder(&self.workspace.worker_lock()),
            next_due: self.store.next_due(row.id).await?.map(text),
        })
    }

    async fn approval_views(&self, row: &CampaignRow) -> Result<Vec<ApprovalView>, EngineError> {
        let operators = self.store.operators().await?;
        let mut views = Vec::new();
        for (track, digest) in
            [(Track::Containment, row.containment_digest), (Track::Notice, row.notice_digest)]
        {
            let planned = match digest {
                Some(digest) => Some(digest),
                None => self.store.latest_snapshot(row.id, track).await?.map(|found| found.digest),
            };
            let Some(planned) = planned else { continue };
            for approval in self.store.approvals(row.id, track, planned).await? {
                let by = operators.iter().find(|o| o.operator.id == approval.operator_id);
                views.push(ApprovalView {
                    track: track.word(),
                    operator: by.map(|o| o.operator.name.clone()).unwrap_or_default(),
                    signed_at: text(approval.signed_at),
                });
            }
        }
        Ok(views)
    }

    /// A page of deliveries.
    pub async fn deliveries(
        &self,
        name: &str,
        filter: &DeliveryFilter,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<DeliveryView>, EngineError> {
        let (row, people) = self.people(name).await?;
        let page = self.store.list_deliveries(row.id, filter, after, limit).await?;
        let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(Vec::new()) };
        let amended = self.amended_between(&people, first.number, last.number).await?;
        page.iter().map(|listing| Ok(self.view(&people, listing, &amended)?.0)).collect()
    }

    fn view(
        &self,
        people: &People,
        listing: &DeliveryListing,
        amended: &AmendedRows,
    ) -> Result<(DeliveryView, Option<Recipient>, Vec<AmendmentView>), EngineError> {
        let mut recipient =
            listing.body.as_ref().map(|body| people.open(listing.number, body)).transpose()?;
        let amendments = match &mut recipient {
            Some(recipient) => amended.apply(people, listing, recipient)?,
            None => Vec::new(),
        };
        let address = recipient.as_ref().and_then(|person| person.address.as_ref());
        let view = DeliveryView {
            number: listing.number,
            account: recipient
                .as_ref()
                .map(|person| mask_account(person.account.as_str()))
                .unwrap_or_default(),
            address: address.map_or_else(|| fault_of(recipient.as_ref()), ToString::to_string),
            class: listing.state.class.word(),
            reason: listing.state.class.reason(),
            in_flight: listing.is_in_flight,
            attempts: listing.state.attempts,
            due_at: listing.state.due_at.map(text),
            changed_at: listing.changed_at.map(text),
            reference: reference(self.keys.mail(), &people.uuid, listing.number).to_string(),
        };
        Ok((view, recipient, amendments))
    }

    /// One person's whole story.
    pub async fn story(&self, name: &str, number: u64) -> Result<Story, EngineError> {
        let (row, people) = self.people(name).await?;
        let seal =
            self.store.live_seal(row.id).await?.ok_or_else(|| super::plan::not_sealed(name))?;
        let listing = self.store.delivery(row.id, number).await?.ok_or_else(|| {
            EngineError::refused(format!(
                "campaign `{name}` has no recipient {number}; hint: `forthwith delivery list {name}`"
            ))
        })?;
        let salt = listing.salt;
        let amended = self.amended_between(&people, number, number).await?;
        let (delivery, recipient, amendments) = self.view(&people, &listing, &amended)?;
        let attempts = self.store.attempts(row.id, number).await?;
        let (tokens, now) = (self.store.tokens(row.id, number).await?, self.clock.now());
        let before = number.saturating_sub(1);
        let credentials = self.store.list_credentials(row.id, None, before, 16).await?;
        Ok(Story {
            person: recipient.as_ref().map(|r| people.person(salt, r)).unwrap_or_default(),
            address_reason: recipient.as_ref().map_or("", |person| person.reason.word()),
            at_address: listing.at_address,
            carrier: listing.carrier,
            copy_of: listing.copy_of,
            delivery,
            sealed_at: seal.sealed_at.map(text),
            seal_root: hex::encode(seal.root),
            credentials: credentials
                .into_iter()
                .filter(|found| found.number == number)
                .map(|found| credential_view(&people, found))
                .collect::<Result<_, _>>()?,
            attempts: attempts
                .into_iter()
                .map(|attempt| attempt_view(&people, attempt))
                .collect::<Result<_, _>>()?,
            tokens: tokens.into_iter().map(|token| token_view(token, now)).collect(),
            amendments,
        })
    }

    /// A page of credentials.
    pub async fn credentials(
        &self,
        name: &str,
        class: Option<CredentialClass>,
        after: u64,
        limit: u32,
    ) -> Result<Vec<CredentialView>, EngineError> {
        let (row, people) = self.people(name).await?;
        let page = self.store.list_credentials(row.id, class, after, limit).await?;
        page.into_iter().map(|found| credential_view(&people, found)).collect()
    }
}

fn credential_view(
    people: &People,
    found: crate::store::credentials::CredentialListing,
) -> Result<CredentialView, EngineError> {
    let account = match &found.body {
        Some(body) => mask_account(people.open(found.number, body)?.account.as_str()),
        None => String::new(),
    };
    Ok(CredentialView {
        number: found.number,
        account,
        kind: found.kind.word(),
        class: found.class.word(),
        reason: found.reason,
        changed_at: text(found.changed_at),
    })
}

fn recheck_view(found: RecheckRow) -> RecheckView {
    RecheckView {
        started_at: text(found.started_at),
        ended_at: found.ended_at.map(text),
        checked: found.counts.checked,
        fine: found.counts.fine,
        regressed: found.counts.regressed,
        mended: found.counts.mended,
        reset_elsewhere: found.counts.reset_elsewhere,
    }
}

fn token_view(token: TokenListing, now: Timestamp) -> TokenView {
    let state = match token {
        TokenListing { consumed_at: Some(_), .. } => "consumed",
        TokenListing { revoked_at: Some(_), .. } => "revoked",
        TokenListing { expires_at: Some(at), .. } if at > now => "live",
        _ => "expired",
    };
    TokenView {
        generation: token.generation,
        state,
        issued_at: token.issued_at.map(text),
        expires_at: token.expires_at.map(text),
        consumed_at: token.consumed_at.map(text),
        revoked_at: token.revoked_at.map(text),
    }
}

fn attempt_view(people: &People, attempt: AttemptListing) -> Result<AttemptView, EngineError> {
    let reply = match &attempt.reply {
        Some(sealed) => {
            let words = people.key.open_blob(&people.reply_aad(attempt.key.number), sealed)?;
            Some(mask_addresses(&String::from_utf8_lossy(&words)))
        }
        None => None,
    };
    Ok(AttemptView {
        generation: attempt.key.generation,
        n: attempt.key.n,
        dated_at: text(attempt.dated_at),
        content: hex::encode(attempt.content),
        relay: attempt.relay,
        result: attempt.result.map(crate::domain::delivery::AttemptResult::word),
        phase: attempt.phase,
        code: attempt.code,
        enhanced: attempt.enhanced,
        class: attempt.class.map(ReplyClass::word),
        queue_id: attempt.queue_id,
        reply,
        ended_at: attempt.ended_at.map(text),
        resolutions: attempt
            .resolutions
            .into_iter()
            .map(|(result, by, reason, at)| ResolutionView { result, by, reason, at: text(at) })
            .collect(),
    })
}
