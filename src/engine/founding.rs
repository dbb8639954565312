//! `forthwith init`: keys, database identity and two founders in one act.

use jiff::Timestamp;

use super::operators::{Person, voucher_free};
use super::{Engine, EngineError};
use crate::domain::ledger::Entry;
use crate::secret::keyring::Keyring;
use crate::store::campaigns::KeyRow;
use crate::store::operators::NewOperator;

impl Engine {
    /// Notes the workspace's keys and makes the two founders, each with their own password.
    pub async fn found(&self, founders: [Person; 2]) -> Result<(), EngineError> {
        if !self.store.operators().await?.is_empty() {
            return Err(EngineError::refused(
                "this workspace has its founders already; hint: `forthwith operator add`",
            ));
        }
        if founders[0].name == founders[1].name {
            return Err(EngineError::refused(
                "two founders are two people; hint: give each their own name",
            ));
        }
        let now = self.clock.now();
        let mut new: Vec<NewOperator> = Vec::new();
        for person in founders {
            new.push(voucher_free(person, true, now).await?);
        }
        let mut keys: Vec<String> = new.iter().map(|made| hex::encode(made.public_key)).collect();
        keys.sort();
        let entry = Entry::Founded { founders: keys };
        self.note_keys(now).await?;
        self.store.add_operators(new, vec![entry.line(now)]).await?;
        Ok(())
    }

    async fn note_keys(&self, now: Timestamp) -> Result<(), EngineError> {
        if self.store.keys().await?.is_empty() {
            self.store.add_keys(key_rows(&self.keys), now).await?;
        }
        Ok(())
    }

    /// Refuses to work with other keys than those the database was written under.
    pub async fn check_keys(&self) -> Result<Vec<KeyRow>, EngineError> {
        let known = self.store.keys().await?;
        let mine = key_rows(&self.keys);
        for key in &known {
            let same = mine.iter().find(|other| other.purpose == key.purpose);
            if same.is_none_or(|same| same.fingerprint != key.fingerprint) {
                return Err(EngineError::refused(format!(
                    "`keys/{}.key` is not the key this database was written under (it knows {} with \
                     fingerprint {}); hint: put the right key file back, then `forthwith key check`",
                    key.purpose, key.id, key.fingerprint
                )));
            }
        }
        Ok(mine)
    }
}

/// The keys as the database notes them.
pub fn key_rows(keys: &Keyring) -> Vec<KeyRow> {
    keys.iter()
        .map(|key| KeyRow {
            purpose: key.purpose().as_str().to_owned(),
            id: key.id().to_string(),
            fingerprint: key.fingerprint(),
        })
        .collect()
}
