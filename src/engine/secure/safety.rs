//! What keeps a wrong statement or a wrong list from doing harm: control accounts, the adapter's own
//! identity, accounts the company must not lock itself out of.

use std::collections::BTreeMap;

use crate::directory::{Controls, Directory};
use crate::domain::credential::CredentialKind;
use crate::domain::track::Environment;
use crate::engine::campaign_file::{DirectorySection, Protection};
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::secret::lookup::account_digest;

/// The control accounts as they are now, and the numbers of protected accounts that are sealed.
#[derive(Debug, Default)]
pub(super) struct Safety {
    controls: BTreeMap<CredentialKind, Controls>,
    none: Controls,
    pub protected: Vec<u64>,
}

impl Safety {
    /// The control accounts for one kind.
    pub(super) fn controls(&self, kind: CredentialKind) -> &Controls {
        self.controls.get(&kind).unwrap_or(&self.none)
    }
}

impl Engine {
    /// Checks the lists against the seal and reads the control accounts.
    pub(super) async fn safety(
        &self,
        people: &People,
        section: &DirectorySection,
        directory: &dyn Directory,
        kinds: &[CredentialKind],
    ) -> Result<Safety, EngineError> {
        self.check_own(people, section, directory).await?;
        self.check_controls(people, section).await?;
        let protected = self.sealed_among(people, &section.protected_accounts).await?;
        if section.protected == Protection::Refuse && !protected.is_empty() {
            return Err(EngineError::refused(format!(
                "{} of directory.protected_accounts are sealed; hint: seal without them, or set \
                 directory.protected to \"exempt\" (their credentials stay as they are) or \"first\" \
                 (they are secured before all others, and the pass stops if that goes wrong)",
                protected.len()
            )));
        }
        let mut safety = Safety { protected, ..Safety::default() };
        for kind in kinds {
            let controls = read_controls(section, directory, *kind).await?;
            safety.controls.insert(*kind, controls);
        }
        Ok(safety)
    }

    /// The adapter would lock itself out half way.
    async fn check_own(
        &self,
        people: &People,
        section: &DirectorySection,
        directory: &dyn Directory,
    ) -> Result<(), EngineError> {
        let login = directory.logs_in_as();
        let own = [(&section.own_account, "directory.own_account"), (&login, "its log-in name")];
        for (account, what) in own {
            let Some(account) = account else { continue };
            if !self.numbers_of(people, account).await?.is_empty() {
                return Err(EngineError::refused(format!(
                    "the account by which directory `{}` is changed ({what}) is itself sealed: the \
                     pass would lock itself out; hint: seal without it, and change its secret by \
                     hand afterwards",
                    section.name
                )));
            }
        }
        Ok(())
    }

    async fn check_controls(
        &self,
        people: &People,
        section: &DirectorySection,
    ) -> Result<(), EngineError> {
        if section.control_accounts.is_empty() {
            if people.environment == Environment::Rehearsal {
                return Ok(());
            }
            return Err(EngineError::refused(
                "a live campaign needs at least one control account: an account outside of the seal, \
                 by which a statement that reaches too far is caught before it is committed; hint: \
                 directory.control_accounts = [\"…\"], best of test accounts that nobody uses",
            ));
        }
        for (at, account) in section.control_accounts.iter().enumerate() {
            if !self.numbers_of(people, account).await?.is_empty() {
                return Err(EngineError::refused(format!(
                    "entry {} of directory.control_accounts is itself sealed, so it would change and \
                     control nothing; hint: name accounts that are not affected",
                    at + 1
                )));
            }
        }
        Ok(())
    }

    /// The numbers sealed under any of these accounts, in order.
    async fn sealed_among(
        &self,
        people: &People,
        accounts: &[String],
    ) -> Result<Vec<u64>, EngineError> {
        let mut numbers = Vec::new();
        for account in accounts {
            numbers.extend(self.numbers_of(people, account).await?);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    async fn numbers_of(&self, people: &People, account: &str) -> Result<Vec<u64>, EngineError> {
        let digest = account_digest(self.keys.digest(), &people.directory, account.as_bytes());
        Ok(self.store.find_numbers(people.campaign, &digest).await?)
    }
}

/// The control accounts as they are now. Those without a value of the kind show no wrong write of it.
async fn read_controls(
    section: &DirectorySection,
    directory: &dyn Directory,
    kind: CredentialKind,
) -> Result<Controls, EngineError> {
    let accounts = section.control_accounts.clone();
    if accounts.is_empty() {
        return Ok(Controls::none());
    }
    let mut expected = Vec::new();
    for part in accounts.chunks(directory.capabilities().batch.max(1)) {
        expected.extend(directory.read(kind, part).await?);
    }
    let controls = Controls::new(accounts, expected);
    if kind != CredentialKind::Session && controls.with_value() == 0 {
        return Err(EngineError::refused(format!(
            "none of directory.control_accounts holds a credential of kind {kind}, so none would \
             show a wrong write of it; hint: name an account that has one"
        )));
    }
    Ok(controls)
}
