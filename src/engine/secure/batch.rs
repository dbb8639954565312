//! One batch of the kill: read, note, compare-and-set, read back on a new connection, settle.

use std::collections::{BTreeSet, HashMap};

use super::reading::{Reader, Standing};
use super::settle::Settling;
use crate::directory::{Controls, Current, Replacement, SessionEnd};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::engine::EngineError;
use crate::store::credentials::{OwnWrite, SealedAccount};

/// How often a value that moves under us is chased before the account counts as failed.
const ROUNDS: u32 = 3;

/// A first batch of fewer accounts than this proves nothing about a statement.
const FEWEST: u64 = 3;

/// What one batch needs.
#[derive(Clone, Copy)]
pub(super) struct Batch<'a> {
    pub reader: Reader<'a>,
    pub settling: Settling<'a>,
    pub controls: &'a Controls,
}

/// What a batch came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Classes that changed.
    pub settled: u64,
    /// Accounts that were written to, or whose sessions were to end, in the first round.
    pub touched: u64,
    /// Of those, the ones the first read-back did not prove.
    pub unproved: u64,
    /// Accounts that could not be secured.
    pub failed: u64,
    /// Most of a first batch was not proved: nothing more was tried.
    pub halted: bool,
}

/// An account on its way through a batch.
struct Account {
    sealed: SealedAccount,
    reference: String,
    person: String,
    verdict: Option<(CredentialClass, String)>,
    /// A value of no known form stays beside those that are replaced.
    unknown: Option<String>,
}

/// What is to be done with accounts after they were read.
#[derive(Default)]
struct Work {
    replace: Vec<Replacement>,
    writes: Vec<OwnWrite>,
    end_sessions: Vec<String>,
}

impl Batch<'_> {
    fn kind(&self) -> CredentialKind {
        self.reader.kind
    }

    /// Settles these accounts, or fails for all of them. `is_first`: no statement of this kind was seen to
    /// work yet, so that the batch stops after one round where most of it is not proved.
    pub(super) async fn attempt(
        &self,
        sealed: Vec<SealedAccount>,
        is_first: bool,
    ) -> Result<Tally, EngineError> {
        let people = self.reader.people;
        let mut accounts = Vec::with_capacity(sealed.len());
        for found in sealed {
            let recipient = people.open(found.number, &found.body)?;
            accounts.push(Account {
                person: people.person(found.salt, &recipient),
                reference: recipient.account.as_str().to_owned(),
                sealed: found,
                verdict: None,
                unknown: None,
            });
        }
        let mut tally = Tally::default();
        for round in 0..ROUNDS {
            let touched = self.round(&mut accounts).await?;
            let open = accounts.iter().filter(|account| account.verdict.is_none()).count() as u64;
            if round == 0 {
                (tally.touched, tally.unproved) = (touched, open);
                tally.halted = is_first && touched >= FEWEST && open * 2 > touched;
            }
            if open == 0 || tally.halted {
                break;
            }
        }
        if !tally.halted {
            for open in accounts.iter_mut().filter(|account| account.verdict.is_none()) {
                open.verdict = Some((
                    CredentialClass::Failed,
                    format!(
                        "the directory still shows another value or a session after {ROUNDS} tries"
                    ),
                ));
            }
        }
        self.settle(&accounts, &mut tally).await?;
        self.check_controls().await?;
        Ok(tally)
    }

    /// Looks at the control accounts where writes go, on a connection of its own.
    pub(super) async fn check_controls(&self) -> Result<(), EngineError> {
        let directory = self.reader.directory;
        let mut now = Vec::new();
        for part in self.controls.accounts().chunks(directory.capabilities().batch.max(1)) {
            now.extend(directory.confirm(self.kind(), part).await?);
        }
        Ok(self.controls.check_values(&now)?)
    }

    /// One read, write and read-back of whoever is still open; how many accounts were touched.
    async fn round(&self, accounts: &mut [Account]) -> Result<u64, EngineError> {
        let (directory, kind) = (self.reader.directory, self.kind());
        let open: Vec<String> = accounts
            .iter()
            .filter(|account| account.verdict.is_none())
            .map(|account| account.reference.clone())
            .collect();
        if open.is_empty() {
            return Ok(0);
        }
        let read = by_account(directory.read(kind, &open).await?);
        let mut work = Work::default();
        for account in accounts.iter_mut().filter(|account| account.verdict.is_none()) {
            self.judge_read(account, values_of(&read, &account.reference), &mut work);
        }
        let touched: BTreeSet<String> = work
            .replace
            .iter()
            .map(|row| row.account.clone())
            .chain(work.end_sessions.iter().cloned())
            .collect();
        // Committed before it is tried: a crash from here on never takes our write for a person's.
        if !work.writes.is_empty() {
            let store = &self.settling.engine.store;
            store.record_writes(self.reader.people.campaign, kind, work.writes).await?;
        }
        if !work.replace.is_empty() {
            directory.replace(kind, &work.replace, self.controls).await?;
        }
        if !work.end_sessions.is_empty() && self.ends_sessions() == SessionEnd::Ended {
            directory.end_sessions(kind, &work.end_sessions, self.controls).await?;
        }
        if touched.is_empty() {
            return Ok(0);
        }
        let touched: Vec<String> = touched.into_iter().collect();
        let confirmed = by_account(directory.confirm(kind, &touched).await?);
        for account in accounts.iter_mut().filter(|account| account.verdict.is_none()) {
            self.judge_read_back(account, values_of(&confirmed, &account.reference));
        }
        Ok(touched.len() as u64)
    }

    /// What the first read says: settled at once, to be replaced, or only sessions to be ended.
    fn judge_read(&self, account: &mut Account, values: &[Current], work: &mut Work) {
        if values.is_empty() {
            account.verdict = Some((CredentialClass::NotFound, String::new()));
            return;
        }
        account.unknown = None;
        let (mut ours, mut spared, mut replaced) = (0, 0, 0);
        for current in values {
            match self.reader.standing(&account.sealed, current) {
                None => {}
                Some(Standing::Ours) => ours += 1,
                Some(Standing::Spared) => spared += 1,
                Some(Standing::Unknown(why)) => account.unknown = Some(why),
                Some(Standing::Replace(row)) => {
                    let (row, write) = *row;
                    replaced += 1;
                    account.sealed.planned.push(write.planned);
                    work.writes.push(write);
                    work.replace.push(row);
                }
            }
        }
        if replaced > 0 {
            return;
        }
        if let Some(why) = account.unknown.take() {
            account.verdict = Some((CredentialClass::Failed, why));
        } else if spared > 0 && ours == 0 && !self.is_rest(account) {
            account.verdict = Some((CredentialClass::ChangedSince, String::new()));
        } else {
            work.end_sessions.push(account.reference.clone());
        }
    }

    fn ends_sessions(&self) -> SessionEnd {
        self.reader.directory.capabilities().ends_sessions
    }

    /// What the read-back proves; nothing proved leaves the account open for another round.
    fn judge_read_back(&self, account: &mut Account, values: &[Current]) {
        let Some(first) = values.first() else { return };
        // Sessions that lapse by themselves are no proof missing: the operator said how long they live.
        if first.sessions > 0 && !matches!(self.ends_sessions(), SessionEnd::LapseWithin(_)) {
            return;
        }
        let (mut ours, mut held) = (0, 0);
        for current in values {
            match self.reader.standing(&account.sealed, current) {
                None => continue,
                Some(Standing::Ours) => ours += 1,
                Some(Standing::Spared) => {}
                Some(Standing::Unknown(_)) if account.unknown.is_some() => {}
                Some(Standing::Replace(_) | Standing::Unknown(_)) => return,
            }
            held += 1;
        }
        account.verdict = Some(match account.unknown.take() {
            Some(why) => (CredentialClass::Failed, why),
            None => (self.proved(account, ours, held), String::new()),
        });
    }

    /// The class of an account whose every value is ours or spared. One without a value that we were
    /// about to replace lost it to the statement: it is gone for good.
    fn proved(&self, account: &Account, ours: u32, held: u32) -> CredentialClass {
        let was_written = !account.sealed.planned.is_empty();
        match (ours, held) {
            _ if self.kind() == CredentialKind::Session => CredentialClass::Expired,
            (0, 0) if !was_written => CredentialClass::NoPassword,
            (0, held) if held > 0 && !self.is_rest(account) => CredentialClass::ChangedSince,
            _ => CredentialClass::Expired,
        }
    }

    /// Whether what is spared is what a statement left that takes the exposed ones of several away.
    fn is_rest(&self, account: &Account) -> bool {
        self.kind().has_several() && !account.sealed.planned.is_empty()
    }

    async fn settle(&self, accounts: &[Account], tally: &mut Tally) -> Result<(), EngineError> {
        let mut settlements = Vec::new();
        for account in accounts {
            let Some((to, reason)) = account.verdict.clone() else { continue };
            tally.failed += u64::from(to == CredentialClass::Failed);
            // What had come back and could not be expired again is still what had come back.
            let keeps = account.sealed.class == CredentialClass::Regressed
                && matches!(to, CredentialClass::Failed | CredentialClass::ChangedSince);
            let to = if keeps { CredentialClass::Regressed } else { to };
            settlements.extend(self.settling.of(&account.sealed, &account.person, to, reason));
        }
        let (store, campaign) = (&self.settling.engine.store, self.reader.people.campaign);
        tally.settled = store.settle(campaign, self.kind(), settlements).await?;
        Ok(())
    }
}

fn by_account(rows: Vec<Current>) -> HashMap<String, Vec<Current>> {
    let mut found: HashMap<String, Vec<Current>> = HashMap::new();
    for current in rows {
        found.entry(current.account.clone()).or_default().push(current);
    }
    found
}

fn values_of<'r>(rows: &'r HashMap<String, Vec<Current>>, account: &str) -> &'r [Current] {
    rows.get(account).map(Vec::as_slice).unwrap_or_default()
}
