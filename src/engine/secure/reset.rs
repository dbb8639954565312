//! A new stored value set by us for a person who proved who they are: what the reset pages call, and
//! the one way to class `reset`.

use super::Containment;
use super::reading::Reader;
use super::settle::Settling;
use crate::directory::{Directory as _, Replacement};
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::track::Track;
use crate::engine::{Engine, EngineError};
use crate::secret::replacement::SecretValue;
use crate::store::credentials::OwnWrite;

impl Engine {
    /// Sets the stored form of a new password for one expired account, ends its sessions, and proves it
    /// by read-back. Its HMAC is committed as a further own write before, so that a crash between the
    /// two never takes it for a stranger's.
    pub async fn reset_password(
        &self,
        name: &str,
        number: u64,
        new: SecretValue,
    ) -> Result<(), EngineError> {
        let kind = CredentialKind::Password;
        let (row, people) = self.people(name).await?;
        let approved = self.approved(&row, &people, Track::Containment).await?;
        let containment = Containment::read(&approved.parts)?;
        let directory = self.open_directory(&containment.section, row.environment).await?;
        let kinds = &containment.kinds;
        let safety = self.safety(&people, &containment.section, &directory, kinds).await?;
        let not_reset = |why: &str| {
            EngineError::refused(format!(
                "the password of recipient {number} was not reset: {why}; hint: `forthwith delivery \
                 show {name} {number}`"
            ))
        };
        let found = self.store.accounts_of(row.id, kind, &[number]).await?;
        let account =
            found.into_iter().next().ok_or_else(|| not_reset("there is nobody like that"))?;
        if account.class != CredentialClass::Expired {
            return Err(not_reset(&format!("it is {}, not expired", account.class)));
        }
        let recipient = people.open(number, &account.body)?;
        let reference = recipient.account.as_str().to_owned();
        let reader = Reader {
            people: &people,
            directory: &directory,
            containment: &containment,
            kind,
            may_spare: false,
        };
        let asked = std::slice::from_ref(&reference);
        let now = directory.read(kind, asked).await?.into_iter().next().and_then(|now| now.value);
        let now = now.ok_or_else(|| not_reset("the directory has no password for it"))?;
        let seen = reader.mark(now.expose());
        if !account.planned.contains(&seen) {
            return Err(not_reset("the directory holds a value that is not ours; re-check first"));
        }
        let planned = reader.mark(new.expose());
        let write = OwnWrite { number, planned, seen };
        self.store.record_writes(row.id, kind, vec![write]).await?;
        let change = Replacement { account: reference.clone(), current: now, replacement: new };
        directory.replace(kind, &[change], safety.controls(kind)).await?;
        let after = directory.confirm(kind, asked).await?.into_iter().next();
        let is_set = after
            .and_then(|now| now.value)
            .is_some_and(|value| reader.mark(value.expose()) == planned);
        if !is_set {
            return Err(not_reset("the read-back shows another value"));
        }
        let settling = Settling { engine: self, people: &people, kind, gave_up: false };
        let person = people.person(account.salt, &recipient);
        let to = CredentialClass::Reset;
        let settlement = settling.of(&account, &person, to, String::new());
        self.store.settle(row.id, kind, settlement.into_iter().collect()).await?;
        Ok(())
    }
}
