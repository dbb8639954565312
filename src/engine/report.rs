//! What the faces show: status, listings, one person's whole story. Addresses masked, replies masked.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::people::People;
use super::{Engine, EngineError};
use crate::domain::address::EmailAddress;
use crate::domain::credential::CredentialClass;
use crate::domain::recipient::Recipient;
use crate::domain::reply::mask_addresses;
use crate::domain::totals::{DeliveryTotals, SourceTotals};
use crate::domain::track::{PauseCause, Track};
use crate::journal::WorkerLock;
use crate::secret::lookup::{account_digest, address_digest};
use crate::secret::mail::reference;
use crate::store::campaigns::CampaignRow;
use crate::store::reports::{AttemptListing, DeliveryFilter, DeliveryListing};

/// Where a campaign stands.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// `rehearsal` or `live`.
    pub environment: &'static str,
    /// State of the containment track.
    pub containment: &'static str,
    /// State of the notice track.
    pub notice: &'static str,
    /// Why it is paused.
    pub pause_cause: Option<&'static str>,
    /// In words.
    pub pause_note: Option<String>,
    /// First line of promise 1.
    pub source: SourceTotals,
    /// When people were frozen.
    pub sealed_at: Option<String>,
    /// Names replaced by the neutral salutation.
    pub names_refused: u64,
    /// `kind/class` → accounts.
    pub credentials: BTreeMap<String, u64>,
    /// Second line of promise 1.
    pub deliveries: DeliveryTotals,
    /// Providers that rest.
    pub suspended: Vec<SuspendedLane>,
    /// Who signed what.
    pub approvals: Vec<ApprovalView>,
    /// The process that works on this database now.
    pub worker: Option<u32>,
    /// When the machine has something to do next.
    pub next_due: Option<String>,
}

/// A provider that rests.
#[derive(Debug, Clone, Serialize)]
pub struct SuspendedLane {
    /// Which.
    pub provider: String,
    /// The code and status that made it rest.
    pub cause: String,
    /// Until when.
    pub until: String,
}

/// A signature.
#[derive(Debug, Clone, Serialize)]
pub struct ApprovalView {
    /// Which track.
    pub track: &'static str,
    /// Whose.
    pub operator: String,
    /// When.
    pub signed_at: String,
}

/// One delivery in a listing.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryView {
    /// The recipient's number.
    pub number: u64,
    /// The account, shortened.
    pub account: String,
    /// The address, masked.
    pub address: String,
    /// Class word.
    pub class: &'static str,
    /// Reason word.
    pub reason: String,
    /// An attempt is open.
    pub in_flight: bool,
    /// Attempts that reached the wire.
    pub attempts: u32,
    /// When the next is due.
    pub due_at: Option<String>,
    /// When the class last changed.
    pub changed_at: Option<String>,
    /// The number in the person's notice.
    pub reference: String,
}

/// One attempt in a story.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptView {
    /// Generation of the notice.
    pub generation: u32,
    /// Which attempt of it.
    pub n: u32,
    /// The message's Date.
    pub dated_at: String,
    /// SHA-256 of the message, hex.
    pub content: String,
    /// The relay.
    pub relay: String,
    /// How it ended; absent while in flight.
    pub result: Option<&'static str>,
    /// The phase it ended in.
    pub phase: String,
    /// The peer's code.
    pub code: Option<u16>,
    /// The peer's enhanced status.
    pub enhanced: Option<String>,
    /// The peer's queue id.
    pub queue_id: Option<String>,
    /// The peer's words, addresses masked.
    pub reply: Option<String>,
    /// When it ended.
    pub ended_at: Option<String>,
    /// How its doubt ended.
    pub resolutions: Vec<ResolutionView>,
}

/// How a doubt ended.
#[derive(Debug, Clone, Serialize)]
pub struct ResolutionView {
    /// `accepted`, `not-sent`, `waived`, `re-sent`.
    pub result: String,
    /// `policy` or an operator.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: String,
}

/// One person's whole story.
#[derive(Debug, Clone, Serialize)]
pub struct Story {
    /// The delivery.
    pub delivery: DeliveryView,
    /// When the person was sealed.
    pub sealed_at: Option<String>,
    /// The seal's root, hex.
    pub seal_root: String,
    /// Their leaf's person id in the ledger, hex.
    pub person: String,
    /// Whether the address could be mailed.
    pub address_reason: &'static str,
    /// Their credentials: (kind, class, since, reason).
    pub credentials: Vec<CredentialView>,
    /// Their attempts.
    pub attempts: Vec<AttemptView>,
}

/// One credential in a listing.
#[derive(Debug, Clone, Serialize)]
pub struct CredentialView {
    /// The recipient's number.
    pub number: u64,
    /// The account, shortened.
    pub account: String,
    /// Kind word.
    pub kind: &'static str,
    /// Class word.
    pub class: &'static str,
    /// In words, where it failed.
    pub reason: String,
    /// Since when.
    pub changed_at: String,
}

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

impl Engine {
    /// Where a campaign stands.
    pub async fn status(&self, name: &str) -> Result<Status, EngineError> {
        let (row, people) = self.people(name).await?;
        let seal =
            self.store.live_seal(row.id).await?.ok_or_else(|| super::plan::not_sealed(name))?;
        let kinds = self.secured_kinds(&row, &people).await.unwrap_or_default();
        let words: Vec<&str> = kinds.iter().map(|kind| kind.word()).collect();
        let control = self.store.control(row.id).await?;
        let lanes = self.store.lanes(row.id).await?;
        Ok(Status {
            name: row.name.clone(),
            environment: row.environment.word(),
            containment: control.containment.word(),
            notice: control.notice.word(),
            pause_cause: control.pause_cause.map(PauseCause::word),
            pause_note: control.pause_note,
            source: seal.totals,
            sealed_at: seal.sealed_at.map(text),
            names_refused: seal.names_refused,
            credentials: self.store.credential_totals(row.id, &words).await?,
            deliveries: self.store.delivery_totals(row.id).await?,
            suspended: lanes
                .into_iter()
                .filter_map(|lane| {
                    let suspension = lane.suspended?;
                    Some(SuspendedLane {
                        provider: lane.lane.provider,
                        cause: suspension.cause,
                        until: text(suspension.until),
                    })
                })
                .collect(),
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
        page.into_iter().map(|listing| Ok(self.view(&people, &listing)?.0)).collect()
    }

    fn view(
        &self,
        people: &People,
        listing: &DeliveryListing,
    ) -> Result<(DeliveryView, Option<Recipient>), EngineError> {
        let recipient =
            listing.body.as_ref().map(|body| people.open(listing.number, body)).transpose()?;
        let address = recipient.as_ref().and_then(|person| person.address.as_ref());
        let view = DeliveryView {
            number: listing.number,
            account: recipient
                .as_ref()
                .map(|person| mask_account(person.account.as_str()))
                .unwrap_or_default(),
            address: address.map(ToString::to_string).unwrap_or_default(),
            class: listing.state.class.word(),
            reason: listing.state.class.reason(),
            in_flight: listing.is_in_flight,
            attempts: listing.state.attempts,
            due_at: listing.state.due_at.map(text),
            changed_at: listing.changed_at.map(text),
            reference: reference(self.keys.mail(), &people.uuid, listing.number).to_string(),
        };
        Ok((view, recipient))
    }

    /// Finds people by number, account or address.
    pub async fn find(&self, name: &str, who: &str) -> Result<Vec<u64>, EngineError> {
        let (row, people) = self.people(name).await?;
        let key = self.keys.digest();
        let account = account_digest(key, &people.directory, who.trim().as_bytes());
        let mut found = self.store.find_numbers(row.id, &account).await?;
        if let Ok(address) = EmailAddress::parse(who) {
            let digest = address_digest(key, &address.canonical());
            found.extend(self.store.find_numbers(row.id, &digest).await?);
        }
        if found.is_empty()
            && let Ok(number) = who.parse::<u64>()
            && self.store.delivery(row.id, number).await?.is_some()
        {
            found.push(number);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// One person's whole story.
    pub async fn story(&self, name: &str, number: u64) -> Result<Story, EngineError> {
        let (row, people) = self.people(name).await?;
        let seal =
            self.store.live_seal(row.id).await?.ok_or_else(|| super::plan::not_sealed(name))?;
        let listing = self.store.delivery(row.id, number).await?.ok_or_else(|| {
            EngineError::refused(format!("campaign `{name}` has no recipient {number}"))
        })?;
        let salt = listing.salt;
        let (delivery, recipient) = self.view(&people, &listing)?;
        let attempts = self.store.attempts(row.id, number).await?;
        let before = number.saturating_sub(1);
        let credentials = self.store.list_credentials(row.id, None, before, 16).await?;
        Ok(Story {
            person: recipient.as_ref().map(|r| people.person(salt, r)).unwrap_or_default(),
            address_reason: recipient.as_ref().map_or("", |person| person.reason.word()),
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
