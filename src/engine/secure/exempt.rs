//! `credential exempt`: a credential is taken out of the pass by name, with a reason and a signature.

use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::ledger::Entry;
use crate::domain::operator::may_sign;
use crate::engine::operators::Signer;
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::secret::digest::LpBuilder;
use crate::store::credentials::{Exemption, SealedAccount};

use super::settle::Settling;

impl Engine {
    /// Exempts one kind of credential of these people; tells how many there were. Nobody else may work
    /// on the database meanwhile: a pass under way could have written what is exempted.
    pub async fn exempt(
        &self,
        name: &str,
        numbers: &[u64],
        kind: CredentialKind,
        reason: &str,
        signer: &Signer,
    ) -> Result<u64, EngineError> {
        if reason.trim().is_empty() {
            return Err(EngineError::refused(
                "an exemption needs its reason; hint: `--reason`, kept with your signature",
            ));
        }
        may_sign(&signer.row.operator, self.clock.now())?;
        let _lock = self.worker_lock().await?;
        let (row, people) = self.people(name).await?;
        let exposed = self.files(name)?.incident.exposed().credentials.clone();
        if !exposed.contains(&kind) {
            let exposed: Vec<&str> = exposed.iter().map(|kind| kind.word()).collect();
            return Err(EngineError::refused(format!(
                "no credentials of kind {kind} were exposed, so there is nothing to exempt; hint: \
                 exposed are {}",
                exposed.join(", ")
            )));
        }
        let accounts = self.store.accounts_of(row.id, kind, numbers).await?;
        for account in &accounts {
            check_open(account, name, kind)?;
        }
        let mut exempted = 0;
        for account in accounts {
            exempted += u64::from(self.exempt_one(&people, account, kind, reason, signer).await?);
        }
        Ok(exempted)
    }

    async fn exempt_one(
        &self,
        people: &People,
        account: SealedAccount,
        kind: CredentialKind,
        reason: &str,
        signer: &Signer,
    ) -> Result<bool, EngineError> {
        let recipient = people.open(account.number, &account.body)?;
        let person = people.person(account.salt, &recipient);
        let statement = LpBuilder::new()
            .lp(b"forthwith exemption v1")
            .lp(people.uuid.as_bytes())
            .number(account.number)
            .lp(kind.word().as_bytes())
            .lp(reason.as_bytes())
            .finish();
        let signature = *signer.sign(&statement).as_bytes();
        let settling = Settling { engine: self, people, kind, gave_up: false };
        let to = CredentialClass::Exempt;
        let Some(mut settlement) = settling.of(&account, &person, to, reason.to_owned()) else {
            return Ok(false);
        };
        let entry = Entry::Exempted {
            campaign: people.ledger_name(),
            person,
            credential: kind.word(),
            key: signer.ledger_name(),
            signature: hex::encode(signature),
        };
        settlement.line = format!("{}\n{}", settlement.line, entry.line(self.clock.now()));
        let by = signer.row.operator.name.clone();
        let exemption = Exemption { reason: reason.to_owned(), by, signature };
        Ok(self.store.exempt(people.campaign, kind, settlement, exemption).await?)
    }
}

/// Only what nothing was written to can be left as it is.
fn check_open(
    account: &SealedAccount,
    name: &str,
    kind: CredentialKind,
) -> Result<(), EngineError> {
    let is_open = matches!(account.class, CredentialClass::Pending | CredentialClass::Failed);
    if is_open && account.planned.is_empty() {
        return Ok(());
    }
    let stands = if is_open { "being written by a pass that died" } else { account.class.word() };
    Err(EngineError::refused(format!(
        "the {kind} of recipient {} is {stands}, so it can't be exempt any more; hint: an exemption \
         comes before the pass; `forthwith secure run {name}` settles what is open",
        account.number
    )))
}
