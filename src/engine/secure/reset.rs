//! A new stored value set by us for a person who proved who they are: the one way to class `reset`.
//!
//! The directory is another system, so this is a saga that may die at any step: claimed and noted in our
//! database, set and read back in the company's, finished in ours. Whoever finds a claim that nobody ended
//! asks the directory what became of it ([`unended`]).

mod unended;

use super::safety::Safety;
use super::settle::Settling;
use super::{Containment, replacement};
use crate::directory::{Chosen, Directory, DirectoryError, Replacement, SessionEnd};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::ledger::Entry;
use crate::domain::recipient::Recipient;
use crate::domain::track::Track;
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::secret::replacement::SecretValue;
use crate::store::campaigns::CampaignRow;
use crate::store::credentials::{OwnWrite, SealedAccount, Settlement};
use crate::store::events::NewEvent;
use crate::store::resets::{Claimed, Finish, NewClaim, Proof};

const PASSWORD: CredentialKind = CredentialKind::Password;

/// A company's directory, opened under an approved containment.
pub(in crate::engine) struct Company {
    pub directory: Box<dyn Directory>,
    safety: Safety,
}

/// A person in one campaign.
#[derive(Clone, Copy)]
pub(in crate::engine) struct Sealed<'a> {
    pub people: &'a People,
    pub number: u64,
}

/// What is asked for: a value for an account, by somebody who proved that it is theirs.
pub(in crate::engine) struct Wanted<'a> {
    /// The account in the campaign whose proof it is, then in every other that sealed it.
    pub persons: &'a [Sealed<'a>],
    pub proof: Proof,
    /// The life of the portal.
    pub life: &'a str,
    /// The language of the page.
    pub locale: &'a str,
    /// Whether the company is told of it by an event.
    pub is_told: bool,
}

/// How a reset ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetEnd {
    /// The new value is in the directory and nothing else opens the account.
    Done,
    /// Another reset of the same account is under way.
    Busy,
    /// The proof is spent, taken back or over.
    Void,
    /// The account is not one whose value we replaced: whoever looks after it must help.
    NotOurs,
    /// The directory could not be asked or did not answer; nothing is lost by it.
    Unreachable,
}

/// The account as one campaign knows it.
struct Known<'a> {
    sealed: Sealed<'a>,
    account: SealedAccount,
    recipient: Recipient,
}

impl Known<'_> {
    fn mark(&self, value: &SecretValue) -> [u8; 32] {
        *self.sealed.people.key.seen(value.expose().as_bytes()).as_bytes()
    }
}

impl Engine {
    /// Opens a campaign's directory for resets.
    pub(in crate::engine) async fn company(
        &self,
        row: &CampaignRow,
        people: &People,
    ) -> Result<Company, EngineError> {
        let approved = self.approved(row, people, Track::Containment).await?;
        let containment = Containment::read(&approved.parts)?;
        let directory = self.open_directory(&containment.section, row.environment).await?;
        let kinds = [PASSWORD];
        let safety = self.safety(people, &containment.section, directory.as_ref(), &kinds).await?;
        Ok(Company { directory, safety })
    }

    /// Sets the stored form of a new password, ends the account's sessions, and proves it by read-back. Its
    /// HMAC is committed as a further own write before, so that a crash between the two never takes it for
    /// a stranger's.
    pub(in crate::engine) async fn reset(
        &self,
        company: &Company,
        wanted: &Wanted<'_>,
        new: SecretValue,
    ) -> Result<ResetEnd, EngineError> {
        let known = self.known(wanted.persons).await?;
        let Some(first) = known.first().filter(|known| may_be_reset(known.account.class)) else {
            return Ok(ResetEnd::NotOurs);
        };
        let reference = first.recipient.account.as_str().to_owned();
        let asked = std::slice::from_ref(&reference);
        let Ok(read) = told(company.directory.read(PASSWORD, asked).await) else {
            return Ok(ResetEnd::Unreachable);
        };
        let Some(current) = read.into_iter().next().and_then(|now| now.value) else {
            return Ok(ResetEnd::NotOurs);
        };
        if !first.account.planned.contains(&first.mark(&current)) {
            return Ok(ResetEnd::NotOurs);
        }
        let Chosen { written: new, shown } = company.directory.chosen(new);
        let writes = known.iter().map(|one| {
            let (planned, seen) = (one.mark(&shown), one.mark(&current));
            (one.sealed.people.campaign, OwnWrite { number: one.sealed.number, planned, seen })
        });
        let claim = NewClaim {
            campaign: first.sealed.people.campaign,
            number: first.sealed.number,
            proof: wanted.proof,
            life: wanted.life.to_owned(),
            writes: writes.collect(),
        };
        let claim = match self.store.claim_reset(claim).await? {
            Claimed::Yes(claim) => claim,
            Claimed::Busy => return Ok(ResetEnd::Busy),
            Claimed::Void => return Ok(ResetEnd::Void),
        };
        let planned = first.mark(&shown);
        let change = Replacement { account: reference.clone(), current, replacement: new };
        let written = told(
            company.directory.set(PASSWORD, &[change], company.safety.controls(PASSWORD)).await,
        );
        match self.stands(company, &reference, first, planned).await {
            // whether the write was kept is not known; who asks again later finds out
            Err(()) => Ok(ResetEnd::Unreachable),
            Ok(true) => {
                self.end_well(claim, wanted, &known).await?;
                Ok(ResetEnd::Done)
            }
            Ok(false) => {
                self.store.release_claim(claim).await?;
                Ok(if written.is_err() { ResetEnd::Unreachable } else { ResetEnd::NotOurs })
            }
        }
    }

    /// The values of an account that the company keeps of those we replaced, without such as were ours: a
    /// claim that nobody ended is fenced by replacing one of them. Nothing where the directory does not answer.
    pub(in crate::engine) async fn stolen(
        &self,
        company: &Company,
        person: Sealed<'_>,
    ) -> Result<Option<Vec<SecretValue>>, EngineError> {
        if !company.directory.keeps_replaced() {
            return Ok(Some(Vec::new()));
        }
        let known = self.known(&[person]).await?;
        let Some(known) = known.first() else { return Ok(Some(Vec::new())) };
        let kept = told(company.directory.replaced(known.recipient.account.as_str()).await).ok();
        Ok(kept.map(|mut kept| {
            kept.retain(|value| !known.account.planned.contains(&known.mark(value)));
            kept
        }))
    }

    /// The account in each campaign that has it.
    async fn known<'a>(&self, persons: &[Sealed<'a>]) -> Result<Vec<Known<'a>>, EngineError> {
        let mut known = Vec::with_capacity(persons.len());
        for sealed in persons {
            let (people, number) = (sealed.people, sealed.number);
            let found = self.store.accounts_of(people.campaign, PASSWORD, &[number]).await?;
            for account in found {
                let recipient = people.open(number, &account.body)?;
                known.push(Known { sealed: *sealed, account, recipient });
            }
        }
        Ok(known)
    }

    /// Whether the planned value is in the directory and no old session is, read where writes go. The
    /// error is that nobody knows.
    async fn stands(
        &self,
        company: &Company,
        reference: &str,
        first: &Known<'_>,
        planned: [u8; 32],
    ) -> Result<bool, ()> {
        let asked = [reference.to_owned()];
        let after = told(company.directory.confirm(PASSWORD, &asked).await).map_err(drop)?;
        let lapse = matches!(
            company.directory.capabilities().ends_sessions,
            SessionEnd::LapseWithin(_) | SessionEnd::WithPassword | SessionEnd::Unknown
        );
        let is_planned = |value: &SecretValue| first.mark(value) == planned;
        Ok(after
            .iter()
            .any(|now| now.value.as_ref().is_some_and(is_planned) && (lapse || now.sessions == 0)))
    }

    /// Ends a claim whose value stands.
    async fn end_well(
        &self,
        claim: i64,
        wanted: &Wanted<'_>,
        known: &[Known<'_>],
    ) -> Result<bool, EngineError> {
        let Some(first) = known.first() else { return Ok(false) };
        let mut settlements: Vec<(i64, Settlement)> = Vec::new();
        for one in known.iter().filter(|one| may_be_reset(one.account.class)) {
            let people = one.sealed.people;
            let settling = Settling { engine: self, people, kind: PASSWORD, gave_up: false };
            let person = people.person(one.account.salt, &one.recipient);
            let to = CredentialClass::Reset;
            let settled = settling.of(&one.account, &person, to, String::new());
            settlements.extend(settled.map(|settled| (people.campaign, settled)));
        }
        let proof = match wanted.proof {
            Proof::Code { .. } => "code",
            Proof::Token { .. } => "link",
        };
        let entry = Entry::Reset {
            campaign: first.sealed.people.ledger_name(),
            person: first.sealed.people.person(first.account.salt, &first.recipient),
            by: proof,
        };
        let event = wanted.is_told.then(|| NewEvent {
            event: uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string(),
            proof,
        });
        let persons = known.iter().map(|one| (one.sealed.people.campaign, one.sealed.number));
        let finish = Finish {
            claim,
            persons: persons.collect(),
            settlements,
            line: entry.line(self.clock.now()),
            confirm: true,
            locale: wanted.locale.to_owned(),
            event,
        };
        Ok(self.store.finish_reset(finish).await?)
    }
}

/// A stolen value was replaced by us, or its owner's own by theirs.
fn may_be_reset(class: CredentialClass) -> bool {
    matches!(class, CredentialClass::Expired | CredentialClass::Reset)
}

/// A directory's failure is told in the log and is no answer to whoever waits.
fn told<T>(result: Result<T, DirectoryError>) -> Result<T, DirectoryError> {
    result.inspect_err(|error| {
        tracing::error!(
            error = error.told(),
            "the directory failed while a password was being set"
        );
    })
}
