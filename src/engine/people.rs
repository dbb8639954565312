//! A campaign's people in clear, for as long as they are needed: opens sealed rows, names persons for the
//! ledger. The one place where a campaign's key and its rows meet.

use std::sync::Arc;

use uuid::Uuid;

use super::{Engine, EngineError};
use crate::domain::chunk::chunk_of;
use crate::domain::delivery::Outcome;
use crate::domain::ledger::Entry;
use crate::domain::recipient::Recipient;
use crate::domain::reply::ReplyClass;
use crate::domain::track::{Environment, Track};
use crate::ledger::merkle::TreeHasher;
use crate::secret::campaign_key::{Aad, CampaignKey};
use crate::secret::digest::Digest;
use crate::secret::person::{RowSalt, leaf_hash, person};
use crate::store::campaigns::CampaignRow;

/// A campaign with its key.
#[derive(Clone)]
pub struct People {
    /// Row id.
    pub campaign: i64,
    /// Identity in derivations and the ledger.
    pub uuid: Uuid,
    /// Name.
    pub name: String,
    /// Which world it may touch.
    pub environment: Environment,
    /// Scope of its account references.
    pub directory: String,
    /// The campaign's key.
    pub key: Arc<CampaignKey>,
}

impl Engine {
    /// A campaign by name.
    pub async fn campaign(&self, name: &str) -> Result<CampaignRow, EngineError> {
        self.store.campaign(name).await?.ok_or_else(|| {
            EngineError::refused(format!(
                "campaign `{name}` has no sealed people yet; \
                 hint: run `forthwith audience seal {name}`"
            ))
        })
    }

    /// A campaign's people.
    pub async fn people(&self, name: &str) -> Result<(CampaignRow, People), EngineError> {
        let row = self.campaign(name).await?;
        let wrapped = row.wrapped_key.as_ref().ok_or_else(|| {
            EngineError::refused(format!(
                "campaign `{name}` was erased: its key is destroyed; hint: what remains is in the \
                 ledger"
            ))
        })?;
        let people = People {
            campaign: row.id,
            uuid: row.uuid,
            name: row.name.clone(),
            environment: row.environment,
            directory: row.directory.clone(),
            key: Arc::new(CampaignKey::unwrap(wrapped, self.keys.data(), &row.uuid)?),
        };
        Ok((row, people))
    }
}

impl People {
    /// Where a recipient's sealed row stands.
    pub fn aad(&self, number: u64) -> Aad<'static> {
        Aad { campaign: self.uuid, table: "recipient", number, column: "body", amendment: 0 }
    }

    /// Where a peer's reply to an attempt stands.
    pub fn reply_aad(&self, number: u64) -> Aad<'static> {
        Aad { campaign: self.uuid, table: "outcome", number, column: "reply", amendment: 0 }
    }

    /// The recipient in clear.
    pub fn open(&self, number: u64, body: &[u8]) -> Result<Recipient, EngineError> {
        let row = self
            .key
            .open_blob(&self.aad(number), body)
            .map_err(|source| EngineError::Altered { number, source })?;
        Recipient::decode(&row).map_err(|source| EngineError::Row { number, source })
    }

    /// The person as the ledger knows them.
    pub fn person(&self, salt: [u8; 16], recipient: &Recipient) -> String {
        person(&RowSalt::from_bytes(salt), recipient.account.as_str().as_bytes()).to_string()
    }

    /// The campaign as the ledger knows it.
    pub fn ledger_name(&self) -> String {
        self.uuid.to_string()
    }

    /// A ledger entry for a track that moves.
    pub fn track_moved(
        &self,
        track: Track,
        from: &'static str,
        to: &'static str,
        by: &str,
    ) -> Entry {
        let campaign = self.ledger_name();
        Entry::Track { campaign, track: track.word(), from, to, by: by.to_owned() }
    }

    /// A ledger entry for a class change without an attempt.
    pub fn moved(&self, person: String, from: String, to: String, by: &str) -> Entry {
        Entry::Moved { campaign: self.ledger_name(), person, from, to, by: by.to_owned() }
    }

    /// A ledger entry for a lane that is suspended, resumed or slowed; by which refusal, if by one.
    pub fn lane_changed(
        &self,
        provider: &str,
        to: &'static str,
        refusal: Option<&Outcome>,
        per_minute: Option<f64>,
    ) -> Entry {
        Entry::Lane {
            campaign: self.ledger_name(),
            provider: provider.to_owned(),
            to,
            code: refusal.and_then(|outcome| outcome.code),
            class: refusal.and_then(|outcome| outcome.class).map(ReplyClass::word),
            per_minute: per_minute.map(|pace| format!("{pace:.1}")),
        }
    }

    /// Re-hashes a chunk's leaves against its sealed root: an altered row is seen before it is used.
    pub fn check_chunk(
        &self,
        chunk: u64,
        root: &[u8; 32],
        rows: &[(u64, [u8; 16], &Recipient)],
    ) -> Result<(), EngineError> {
        let mut tree = TreeHasher::new();
        for (number, salt, recipient) in rows {
            debug_assert_eq!(chunk_of(*number), chunk, "a row of another chunk");
            tree.push(leaf_hash(&RowSalt::from_bytes(*salt), &recipient.canonical()));
        }
        if tree.root() == Digest::from_bytes(*root) {
            Ok(())
        } else {
            Err(EngineError::refused(format!(
                "chunk {chunk} of campaign `{}` is not what was sealed: its rows were altered in \
                 the database; hint: restore it from a backup, nothing was sent from it",
                self.name
            )))
        }
    }
}
