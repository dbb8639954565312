//! One batch of the kill: read, note, compare-and-set, read back on a new connection, settle. Each stage is
//! a function of its own, so that a pass can lay the batches over each other ([`super::pipeline`]).

use std::collections::HashMap;

use super::reading::{Reader, Standing};
use super::settle::{Settling, after_try};
use crate::directory::{Controls, Current, Replacement, SessionEnd};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::engine::EngineError;
use crate::store::credentials::{OwnWrite, SealedAccount, Settlement};

/// How often a value that moves under us is chased before the account counts as failed.
const ROUNDS: u32 = 3;

/// A first batch of fewer accounts than this proves nothing about a statement.
const FEWEST: u64 = 3;

/// Accounts between which the others of a pass get their turn: a stage that computes must not keep
/// the answers to another one's statements waiting.
const TURN: usize = 32;

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
    /// Whoever is to be read back.
    touched: Vec<String>,
}

/// Accounts that were read and judged. What is to be written must be noted before it is tried.
pub(super) struct Prepared {
    accounts: Vec<Account>,
    work: Work,
}

impl Prepared {
    /// Who is in it.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.accounts.iter().map(|account| account.sealed.number).collect()
    }

    /// What is to be noted.
    pub(super) fn take_writes(&mut self) -> Vec<OwnWrite> {
        std::mem::take(&mut self.work.writes)
    }
}

/// Accounts on which everything was tried, still to be settled.
pub(super) struct Tried {
    accounts: Vec<Account>,
    pub tally: Tally,
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
        let mut prepared = self.prepare(sealed).await?;
        self.note(prepared.take_writes()).await?;
        let (mut tried, controls) = self.carry_out(prepared, is_first).await?;
        let settlements = self.settlements(&mut tried).await;
        tried.tally.settled = self.record_and_settle(Vec::new(), settlements).await?;
        controls?;
        Ok(tried.tally)
    }

    /// Opens these accounts, reads what the directory holds of them, and judges it.
    pub(super) async fn prepare(
        &self,
        sealed: Vec<SealedAccount>,
    ) -> Result<Prepared, EngineError> {
        let people = self.reader.people;
        let mut accounts = Vec::with_capacity(sealed.len());
        for mut found in sealed {
            let recipient = people.open(found.number, &std::mem::take(&mut found.body))?;
            accounts.push(Account {
                person: people.person(found.salt, &recipient),
                reference: recipient.account.as_str().to_owned(),
                sealed: found,
                verdict: None,
                unknown: None,
            });
            take_turns(accounts.len()).await;
        }
        let work = self.read(&mut accounts).await?;
        Ok(Prepared { accounts, work })
    }

    /// Writes what was noted, reads it back, and does all of it again for whoever is not proved. Ends where a
    /// control account has changed, which it tells beside: what was proved is settled first.
    pub(super) async fn carry_out(
        &self,
        prepared: Prepared,
        is_first: bool,
    ) -> Result<(Tried, Result<(), EngineError>), EngineError> {
        let Prepared { mut accounts, mut work } = prepared;
        let (mut tally, mut controls) = (Tally::default(), Ok(()));
        for round in 0..ROUNDS {
            if round > 0 {
                work = self.read(&mut accounts).await?;
                self.note(std::mem::take(&mut work.writes)).await?;
            }
            let touched;
            (touched, controls) = self.write(&mut accounts, std::mem::take(&mut work)).await?;
            let open = accounts.iter().filter(|account| account.verdict.is_none()).count() as u64;
            if round == 0 {
                (tally.touched, tally.unproved) = (touched, open);
                tally.halted = is_first && touched >= FEWEST && open * 2 > touched;
            }
            if open == 0 || tally.halted || controls.is_err() {
                break;
            }
        }
        if !tally.halted && controls.is_ok() {
            for open in accounts.iter_mut().filter(|account| account.verdict.is_none()) {
                open.verdict = Some((
                    CredentialClass::Failed,
                    format!(
                        "the directory still shows another value or a session after {ROUNDS} tries"
                    ),
                ));
            }
        }
        Ok((Tried { accounts, tally }, controls))
    }

    /// Committed before it is tried: a crash from here on never takes our write for a person's.
    async fn note(&self, writes: Vec<OwnWrite>) -> Result<(), EngineError> {
        self.record_and_settle(writes, Vec::new()).await.map(drop)
    }

    /// Notes what is about to be written to some accounts and settles others, in one transaction; how
    /// many classes changed.
    pub(super) async fn record_and_settle(
        &self,
        writes: Vec<OwnWrite>,
        settlements: Vec<Settlement>,
    ) -> Result<u64, EngineError> {
        let (store, campaign) = (&self.settling.engine.store, self.reader.people.campaign);
        Ok(store.record_and_settle(campaign, self.kind(), writes, settlements).await?)
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

    /// Reads whoever is still open and judges what is to be done.
    async fn read(&self, accounts: &mut [Account]) -> Result<Work, EngineError> {
        let open: Vec<String> = accounts
            .iter()
            .filter(|account| account.verdict.is_none())
            .map(|account| account.reference.clone())
            .collect();
        let mut work = Work::default();
        if open.is_empty() {
            return Ok(work);
        }
        let read = by_account(self.reader.directory.read(self.kind(), &open).await?);
        let mut judged = 0;
        for account in accounts.iter_mut().filter(|account| account.verdict.is_none()) {
            self.judge_read(account, values_of(&read, &account.reference), &mut work);
            judged += 1;
            take_turns(judged).await;
        }
        Ok(work)
    }

    /// Writes what was noted, then reads it back and looks at the control accounts at the same time; how many
    /// accounts were touched, and what the control accounts are.
    async fn write(
        &self,
        accounts: &mut [Account],
        work: Work,
    ) -> Result<(u64, Result<(), EngineError>), EngineError> {
        let (directory, kind) = (self.reader.directory, self.kind());
        debug_assert!(work.writes.is_empty(), "what is written was noted before");
        if !work.replace.is_empty() {
            directory.replace(kind, &work.replace, self.controls).await?;
        }
        if !work.end_sessions.is_empty() && self.ends_sessions() == SessionEnd::Ended {
            directory.end_sessions(kind, &work.end_sessions, self.controls).await?;
        }
        if work.touched.is_empty() {
            return Ok((0, self.check_controls().await));
        }
        let (confirmed, controls) =
            tokio::join!(directory.confirm(kind, &work.touched), self.check_controls());
        let confirmed = by_account(confirmed?);
        let mut judged = 0;
        for account in accounts.iter_mut().filter(|account| account.verdict.is_none()) {
            self.judge_read_back(account, values_of(&confirmed, &account.reference));
            judged += 1;
            take_turns(judged).await;
        }
        Ok((work.touched.len() as u64, controls))
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
            work.touched.push(account.reference.clone());
            return;
        }
        if let Some(why) = account.unknown.take() {
            account.verdict = Some((CredentialClass::Failed, why));
        } else if spared > 0 && ours == 0 && !self.is_rest(account) {
            account.verdict = Some((CredentialClass::ChangedSince, String::new()));
        } else {
            // Where none was counted there is none to end; the read-back has to show none all the same.
            let is_counted = self.kind() == CredentialKind::Session;
            if !is_counted || values.iter().any(|current| current.sessions > 0) {
                work.end_sessions.push(account.reference.clone());
            }
            work.touched.push(account.reference.clone());
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

    /// How these accounts ended, ready to be settled.
    pub(super) async fn settlements(&self, tried: &mut Tried) -> Vec<Settlement> {
        let mut settlements = Vec::with_capacity(tried.accounts.len());
        for (at, account) in tried.accounts.iter_mut().enumerate() {
            let Some((to, reason)) = account.verdict.take() else { continue };
            tried.tally.failed += u64::from(to == CredentialClass::Failed);
            let to = after_try(&account.sealed, to);
            settlements.extend(self.settling.of(&account.sealed, &account.person, to, reason));
            take_turns(at).await;
        }
        settlements
    }
}

/// Lets the other stages go on, now and then.
async fn take_turns(done: usize) {
    if done.is_multiple_of(TURN) {
        tokio::task::yield_now().await;
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
