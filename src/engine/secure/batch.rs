//! One batch of the kill: read, note, compare-and-set, read back on a new connection, settle.

use std::collections::HashMap;

use super::{Containment, replacement};
use crate::directory::{Controls, Current, Directory, Replacement, SessionEnd};
use crate::domain::credential::{CredentialClass, CredentialKind, ExpiryPolicy};
use crate::domain::delivery::{DeliveryClass, HeldReason};
use crate::domain::ledger::Entry;
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::store::credentials::{OwnWrite, SealedAccount, Settlement};
use crate::store::deliveries::{DeliveryState, Move};

/// How often a value that moves under us is chased before the account counts as failed.
const ROUNDS: u32 = 3;

/// What one batch needs.
pub(super) struct Batch<'a> {
    pub engine: &'a Engine,
    pub people: &'a People,
    pub directory: &'a dyn Directory,
    pub containment: &'a Containment,
    pub kind: CredentialKind,
    pub controls: &'a Controls,
}

/// An account on its way through a batch.
struct Account {
    sealed: SealedAccount,
    reference: String,
    person: String,
    verdict: Option<(CredentialClass, String)>,
}

/// What is to be done with accounts after they were read.
#[derive(Default)]
struct Work {
    replace: Vec<Replacement>,
    writes: Vec<OwnWrite>,
    end_sessions: Vec<String>,
}

impl Batch<'_> {
    /// Settles these accounts and returns how many classes changed.
    pub(super) async fn run(&self, sealed: Vec<SealedAccount>) -> Result<u64, EngineError> {
        let mut accounts = Vec::with_capacity(sealed.len());
        for found in sealed {
            let recipient = self.people.open(found.number, &found.body)?;
            accounts.push(Account {
                person: self.people.person(found.salt, &recipient),
                reference: recipient.account.as_str().to_owned(),
                sealed: found,
                verdict: None,
            });
        }
        for _ in 0..ROUNDS {
            if !self.round(&mut accounts).await? {
                break;
            }
        }
        for open in accounts.iter_mut().filter(|account| account.verdict.is_none()) {
            open.verdict = Some((
                CredentialClass::Failed,
                format!(
                    "the directory still shows another value or a session after {ROUNDS} tries"
                ),
            ));
        }
        self.settle(&accounts).await
    }

    /// One read, write and read-back of whoever is still open; tells whether somebody is left.
    async fn round(&self, accounts: &mut [Account]) -> Result<bool, EngineError> {
        let open: Vec<String> = accounts
            .iter()
            .filter(|account| account.verdict.is_none())
            .map(|account| account.reference.clone())
            .collect();
        if open.is_empty() {
            return Ok(false);
        }
        let read = by_account(self.directory.read(self.kind, &open).await?);
        let mut work = Work::default();
        for account in accounts.iter_mut().filter(|account| account.verdict.is_none()) {
            self.judge_read(account, read.get(&account.reference), &mut work);
        }
        // Committed before it is tried: a crash from here on never takes our write for a person's.
        if !work.writes.is_empty() {
            self.engine.store.record_writes(self.people.campaign, self.kind, work.writes).await?;
        }
        if !work.replace.is_empty() {
            self.directory.replace(self.kind, &work.replace, self.controls).await?;
        }
        if !work.end_sessions.is_empty() && self.ends_sessions() == SessionEnd::Ended {
            self.directory.end_sessions(self.kind, &work.end_sessions, self.controls).await?;
        }
        let touched: Vec<String> =
            work.replace.into_iter().map(|row| row.account).chain(work.end_sessions).collect();
        if touched.is_empty() {
            return Ok(false);
        }
        let confirmed = by_account(self.directory.confirm(self.kind, &touched).await?);
        for account in accounts.iter_mut().filter(|account| account.verdict.is_none()) {
            self.judge_read_back(account, confirmed.get(&account.reference));
        }
        Ok(accounts.iter().any(|account| account.verdict.is_none()))
    }

    /// What the first read says: settled at once, to be replaced, or only sessions to be ended.
    fn judge_read(&self, account: &mut Account, current: Option<&Current>, work: &mut Work) {
        let Some(current) = current else {
            account.verdict = Some((CredentialClass::NotFound, String::new()));
            return;
        };
        let Some(value) = &current.value else {
            work.end_sessions.push(account.reference.clone());
            return;
        };
        let seen = self.people.key.seen(value.expose().as_bytes());
        if account.sealed.planned.contains(seen.as_bytes()) {
            work.end_sessions.push(account.reference.clone());
            return;
        }
        if self.is_spared(current) {
            account.verdict = Some((CredentialClass::ChangedSince, String::new()));
            return;
        }
        let forged = replacement(
            &self.people.key,
            self.directory,
            self.kind,
            &account.reference,
            value.expose(),
        );
        match forged {
            Ok(replacement) => {
                let planned = *self.people.key.seen(replacement.expose().as_bytes()).as_bytes();
                account.sealed.planned.push(planned);
                work.writes.push(OwnWrite {
                    number: account.sealed.number,
                    planned,
                    seen: *seen.as_bytes(),
                });
                work.replace.push(Replacement {
                    account: account.reference.clone(),
                    current: value.clone(),
                    replacement,
                });
            }
            Err(unknown) => {
                account.verdict = Some((CredentialClass::Failed, unknown.to_string()));
            }
        }
    }

    fn ends_sessions(&self) -> SessionEnd {
        self.directory.capabilities().ends_sessions
    }

    /// What the read-back proves; nothing proved leaves the account open for another round.
    fn judge_read_back(&self, account: &mut Account, current: Option<&Current>) {
        let Some(current) = current else { return };
        // Sessions that lapse by themselves are no proof missing: the operator said how long they live.
        if current.sessions > 0 && !matches!(self.ends_sessions(), SessionEnd::LapseWithin(_)) {
            return;
        }
        let class = match &current.value {
            None if self.kind == CredentialKind::Session => CredentialClass::Expired,
            None => CredentialClass::NoPassword,
            Some(value) => {
                let seen = self.people.key.seen(value.expose().as_bytes());
                if !account.sealed.planned.contains(seen.as_bytes()) {
                    return;
                }
                CredentialClass::Expired
            }
        };
        account.verdict = Some((class, String::new()));
    }

    /// Policy `respect` spares a value only where the directory's own change time is after the window.
    fn is_spared(&self, current: &Current) -> bool {
        self.containment.section.policy == ExpiryPolicy::Respect
            && current.changed_at.is_some_and(|changed| changed > self.containment.window_until)
    }

    async fn settle(&self, accounts: &[Account]) -> Result<u64, EngineError> {
        let now = self.engine.clock.now();
        let mut settlements = Vec::new();
        for account in accounts {
            let Some((to, reason)) = account.verdict.clone() else { continue };
            if to == account.sealed.class {
                continue;
            }
            let entry = Entry::Credential {
                campaign: self.people.ledger_name(),
                person: account.person.clone(),
                credential: self.kind.word(),
                from: account.sealed.class.word(),
                to: to.word(),
            };
            settlements.push(Settlement {
                number: account.sealed.number,
                from: account.sealed.class,
                to,
                reason,
                line: entry.line(now),
                delivery: self.hold_or_release(account, to),
            });
        }
        Ok(self.engine.store.settle(self.people.campaign, self.kind, settlements).await?)
    }

    /// Who could not be secured is held; who is secured after all is queued again.
    fn hold_or_release(&self, account: &Account, to: CredentialClass) -> Option<Move> {
        let held = DeliveryClass::Held(HeldReason::Credential);
        let (class, reason) = &account.sealed.delivery;
        let now = DeliveryClass::parse(class, reason).ok()?;
        let (from, to) = match (now, to) {
            (DeliveryClass::Queued, CredentialClass::Failed) => (DeliveryClass::Queued, held),
            (now, to) if now == held && to != CredentialClass::Failed => {
                (held, DeliveryClass::Queued)
            }
            _ => return None,
        };
        let entry = self.people.moved(account.person.clone(), from.label(), to.label(), "secure");
        Some(Move {
            number: account.sealed.number,
            from,
            state: DeliveryState { class: to.clone(), ..DeliveryState::default() },
            to,
            line: entry.line(self.engine.clock.now()),
        })
    }
}

fn by_account(rows: Vec<Current>) -> HashMap<String, Current> {
    rows.into_iter().map(|current| (current.account.clone(), current)).collect()
}
