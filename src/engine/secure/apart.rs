//! Setting apart: a few accounts that the directory refuses must not keep all others from being secured.
//!
//! A statement writes a whole batch or nothing, so one refused row refuses the batch. It is parted in
//! halves until those remain that are refused alone; they end failed, with the directory's reason.

use super::batch::{Batch, Tally};
use super::settle::after_try;
use crate::directory::DirectoryError;
use crate::domain::credential::CredentialClass;
use crate::engine::EngineError;
use crate::store::credentials::SealedAccount;

/// A first batch in which more than one in so many accounts is refused proves the statement wrong.
const FIRST_BATCH: usize = 2;

/// So many accounts of one batch may be locked by others: each costs minutes of waiting.
const MOST_LOCKED: usize = 3;

impl Batch<'_> {
    /// Settles these accounts; `is_first` as for [`Batch::attempt`]. Where most of a first batch
    /// is refused account by account, the statement is at fault and no account is.
    pub(super) async fn run(
        &self,
        sealed: Vec<SealedAccount>,
        is_first: bool,
    ) -> Result<Tally, EngineError> {
        let numbers: Vec<u64> = sealed.iter().map(|account| account.number).collect();
        match self.attempt(sealed, is_first).await {
            Err(EngineError::Directory(error)) if error.is_of_rows() => {
                self.part(&numbers, is_first, error).await
            }
            done => done,
        }
    }

    /// Parts a batch that the directory refused with this for some row of it.
    pub(super) async fn part(
        &self,
        numbers: &[u64],
        is_first: bool,
        refusal: DirectoryError,
    ) -> Result<Tally, EngineError> {
        let (mut tally, mut apart) = (Tally::default(), Vec::new());
        let mut open = vec![(numbers, refusal)];
        while let Some((part, refusal)) = open.pop() {
            if let [number] = part {
                let is_locked = refusal.is_transient();
                apart.push((*number, refusal.to_string()));
                if is_locked && apart.len() > MOST_LOCKED {
                    return Err(refusal.into());
                }
                continue;
            }
            let (first, second) = part.split_at(part.len() / 2);
            for half in [first, second] {
                // Read anew: what the refused attempt planned for them stands in the database.
                match self.attempt(self.accounts(half).await?, is_first).await {
                    Ok(came_to) => tally.add(came_to),
                    Err(EngineError::Directory(error)) if error.is_of_rows() => {
                        open.push((half, error));
                    }
                    Err(error) => return Err(error),
                }
                if tally.halted {
                    return Ok(tally);
                }
            }
        }
        if is_first && apart.len() * FIRST_BATCH > numbers.len() {
            return Err(EngineError::refused(format!(
                "the directory refuses {} of the first {} accounts: {}; hint: `forthwith directory \
                 check` runs every statement and changes nothing",
                apart.len(),
                numbers.len(),
                apart.first().map(|(_, why)| why.as_str()).unwrap_or_default()
            )));
        }
        self.settle_apart(apart, &mut tally).await?;
        Ok(tally)
    }

    async fn accounts(&self, numbers: &[u64]) -> Result<Vec<SealedAccount>, EngineError> {
        let (store, campaign) = (&self.settling.engine.store, self.reader.people.campaign);
        Ok(store.accounts_of(campaign, self.reader.kind, numbers).await?)
    }

    async fn settle_apart(
        &self,
        apart: Vec<(u64, String)>,
        tally: &mut Tally,
    ) -> Result<(), EngineError> {
        let numbers: Vec<u64> = apart.iter().map(|(number, _)| *number).collect();
        let people = self.reader.people;
        let mut settlements = Vec::new();
        for account in self.accounts(&numbers).await? {
            let recipient = people.open(account.number, &account.body)?;
            let person = people.person(account.salt, &recipient);
            let why = apart.iter().find(|(number, _)| *number == account.number);
            let why = why.map(|(_, why)| why.clone()).unwrap_or_default();
            tracing::warn!(number = account.number, "the directory refuses an account: {why}");
            let to = after_try(&account, CredentialClass::Failed);
            settlements.extend(self.settling.of(&account, &person, to, why));
        }
        tally.failed += apart.len() as u64;
        let (store, campaign) = (&self.settling.engine.store, people.campaign);
        tally.settled += store.settle(campaign, self.reader.kind, settlements).await?;
        Ok(())
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.settled += other.settled;
        self.touched += other.touched;
        self.unproved += other.unproved;
        self.failed += other.failed;
        self.halted |= other.halted;
    }
}
