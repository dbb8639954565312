//! What was approved, proved again each time it is used: bytes, list, signatures, rule.

use super::people::People;
use super::plan::{Parts, snapshot_of};
use super::progress::Progress;
use super::{Engine, EngineError};
use crate::domain::snapshot::{Difference, Snapshot, describe};
use crate::domain::track::Track;
use crate::store::campaigns::CampaignRow;

/// An approved snapshot with its bytes.
#[derive(Debug, Clone)]
pub struct Approved {
    /// Its digest.
    pub digest: [u8; 32],
    /// Its list.
    pub snapshot: Snapshot,
    /// Its bytes.
    pub parts: Parts,
}

impl Engine {
    /// The approved snapshot of a track, or a refusal that says what does not hold.
    pub async fn approved(
        &self,
        row: &CampaignRow,
        people: &People,
        track: Track,
    ) -> Result<Approved, EngineError> {
        let digest = match track {
            Track::Containment => row.containment_digest,
            Track::Notice => row.notice_digest,
        };
        let not_yet = || {
            EngineError::refused(format!(
                "the {track} track of `{}` is not approved; hint: two operators run `forthwith {} \
                 approve {}`",
                row.name,
                super::approve::noun(track),
                row.name
            ))
        };
        let digest = digest.ok_or_else(not_yet)?;
        let planned = self.store.snapshot(digest).await?.ok_or_else(not_yet)?;
        let seal = self.store.live_seal(row.id).await?.ok_or_else(not_yet)?;
        let parts = self.approved_parts(&planned).await?;
        let operators = self.operators().await?;
        let verified = self.verified(people, track, &planned, &seal, &operators).await?;
        super::approve::check_rule(track, &verified, &operators)?;
        if parts.get("environment").map(Vec::as_slice) != Some(row.environment.word().as_bytes()) {
            return Err(EngineError::refused(format!(
                "campaign `{}` stands in the database as {}, but another environment was approved; \
                 hint: restore the database from a backup",
                row.name, row.environment
            )));
        }
        Ok(Approved { digest, snapshot: planned.snapshot, parts })
    }

    /// How the files differ by now from what was approved: the run uses the approved bytes and warns.
    /// Files that can no longer be read or rendered count as changed.
    pub async fn drift(
        &self,
        row: &CampaignRow,
        people: &People,
        track: Track,
        approved: &Approved,
    ) -> Vec<Difference> {
        match self.parts(row, people, track).await {
            Ok(parts) => approved.snapshot.differences(&snapshot_of(&parts)),
            Err(error) => vec![Difference::Changed(format!("files ({error})"))],
        }
    }

    /// Tells the operator of a run that the files say otherwise by now.
    pub(super) async fn warn_of_drift(
        &self,
        row: &CampaignRow,
        people: &People,
        track: Track,
        approved: &Approved,
        progress: &dyn Progress,
    ) {
        let drift = self.drift(row, people, track, approved).await;
        if drift.is_empty() {
            return;
        }
        let used = match track {
            Track::Containment => "statements",
            Track::Notice => "bytes",
        };
        progress.note(&format!(
            "warning: since the {track} of `{}` was approved, {}; the approved {used} are used",
            row.name,
            describe(&drift)
        ));
    }
}
