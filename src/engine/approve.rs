//! Approvals: two operators sign a snapshot and the seal's root (promise 2).

use jiff::Timestamp;

use super::operators::{Signer, check_two_voices};
use super::people::People;
use super::plan::{Parts, digest_of, snapshot_of};
use super::tracks::check_not_over;
use super::{Engine, EngineError};
use crate::domain::delivery::{DeliveryClass, HeldReason};
use crate::domain::ledger::Entry;
use crate::domain::operator::{Signed, approves, may_sign};
use crate::domain::snapshot::describe;
use crate::domain::track::Track;
use crate::secret::digest::{Digest, LpBuilder, sha256};
use crate::secret::signing::{PublicKey, Signature};
use crate::store::campaigns::CampaignRow;
use crate::store::operators::OperatorRow;
use crate::store::plans::{ApprovalRow, SnapshotRow};
use crate::store::seals::SealRow;

/// What a signature came to.
#[derive(Debug, Clone)]
pub struct Approval {
    /// The snapshot signed.
    pub digest: Digest,
    /// Names of those who signed so far.
    pub signed_by: Vec<String>,
    /// Two people signed: the track is approved.
    pub is_complete: bool,
    /// People it is for.
    pub head_count: u64,
}

/// The exact bytes an operator signs.
fn statement(
    people: &People,
    track: Track,
    snapshot: &[u8; 32],
    seal: &SealRow,
    operator: &OperatorRow,
    signed_at: Timestamp,
) -> Vec<u8> {
    LpBuilder::new()
        .lp(b"forthwith approval v1")
        .lp(people.uuid.as_bytes())
        .lp(track.word().as_bytes())
        .lp(people.environment.word().as_bytes())
        .lp(snapshot)
        .lp(&seal.root)
        .lp(seal.totals.sealed.to_string().as_bytes())
        .lp(&operator.public_key)
        .lp(if operator.operator.is_founder { b"founding" } else { b"" })
        .lp(signed_at.as_microsecond().to_string().as_bytes())
        .finish()
}

impl Engine {
    /// Signs the plan of a track for one operator.
    pub async fn approve(
        &self,
        name: &str,
        track: Track,
        signer: &Signer,
    ) -> Result<Approval, EngineError> {
        let (row, people) = self.people(name).await?;
        let seal =
            self.store.live_seal(row.id).await?.ok_or_else(|| super::plan::not_sealed(name))?;
        let planned = self.store.latest_snapshot(row.id, track).await?.ok_or_else(|| {
            EngineError::refused(format!(
                "nothing is planned on the {track} track of `{name}`; hint: run `forthwith {} plan \
                 {name}` first",
                noun(track)
            ))
        })?;
        if track == Track::Notice {
            self.check_settled(&row).await?;
        }
        self.check_unedited(&row, &people, track, &planned).await?;
        let parts = self.approved_parts(&planned).await?;
        if track == Track::Containment {
            check_not_over(&row)?;
            self.check_anew(&row, &people, &planned).await?;
        }

        let operators = self.operators().await?;
        let beside = self.store.approvals(row.id, track, planned.digest).await?.len();
        let before = self.verified(&people, track, &planned, &seal, &operators).await?;
        let me = &signer.row.operator;
        let now = self.clock.now();
        may_sign(me, now)?;
        for (earlier, _) in &before {
            check_two_voices(&operators, earlier, &signer.row)?;
        }
        let mut signed = before;
        signed.push((signer.row.clone(), now));
        let is_complete = check_rule(track, &signed, &operators).is_ok();
        let statement = statement(&people, track, &planned.digest, &seal, &signer.row, now);
        let approval = ApprovalRow {
            track,
            snapshot: planned.digest,
            operator_id: me.id,
            signature: *signer.sign(&statement).as_bytes(),
            statement,
            signed_at: now,
        };
        let founding = signed.len() == 2 && signed.iter().all(|(one, _)| one.operator.is_founder);
        let entry = Entry::Approved {
            campaign: people.ledger_name(),
            track: track.word(),
            snapshot: hex::encode(planned.digest),
            root: hex::encode(seal.root),
            key: signer.ledger_name(),
            founding,
        };
        let waves = self.waves_to_arrange(&people, track, is_complete, &parts).await?;
        let lines = vec![entry.line(now)];
        self.store.add_approval(row.id, approval, beside, is_complete, waves, lines).await?;
        Ok(Approval {
            digest: Digest::from_bytes(planned.digest),
            signed_by: signed.iter().map(|(one, _)| one.operator.name.clone()).collect(),
            is_complete,
            head_count: seal.totals.sealed,
        })
    }

    /// Nobody is told while two rows of one account contradict each other (protocol §1).
    async fn check_settled(&self, row: &CampaignRow) -> Result<(), EngineError> {
        let totals = self.store.delivery_totals(row.id).await?;
        let held = DeliveryClass::Held(HeldReason::Conflict).label();
        let conflicts = totals.reasons.get(&held).copied().unwrap_or(0);
        if conflicts == 0 {
            return Ok(());
        }
        Err(EngineError::refused(format!(
            "{conflicts} accounts of `{name}` have source rows that contradict each other, and the \
             notice is approved once each is settled; hint: see `forthwith audience conflicts \
             {name}`, then `forthwith amendment release {name} WHO` keeps the sealed row, \
             `replace-address`, `withdraw` and `waive` do not",
            name = row.name
        )))
    }

    /// The files still say what was planned.
    async fn check_unedited(
        &self,
        row: &CampaignRow,
        people: &People,
        track: Track,
        planned: &SnapshotRow,
    ) -> Result<(), EngineError> {
        let parts = self.parts(row, people, track).await?;
        let differences = planned.snapshot.differences(&snapshot_of(&parts));
        if differences.is_empty() {
            return Ok(());
        }
        Err(EngineError::refused(format!(
            "since the {track} plan of `{}` was made, {}; hint: look at it and run `forthwith {} \
             plan {}` again",
            row.name,
            describe(&differences),
            noun(track),
            row.name
        )))
    }

    /// The bytes of a snapshot, each hashed again.
    pub(super) async fn approved_parts(&self, planned: &SnapshotRow) -> Result<Parts, EngineError> {
        if digest_of(&planned.snapshot) != Digest::from_bytes(planned.digest) {
            return Err(EngineError::refused(
                "the planned list of names was altered in the database; \
                 hint: restore it from a backup, or plan and approve anew",
            ));
        }
        let mut parts = Parts::new();
        for (name, expected) in &planned.snapshot.0 {
            let digest: Digest = expected.parse().map_err(|_| {
                EngineError::refused(format!(
                    "the planned digest of `{name}` is no digest; hint: restore the database from a \
                     backup, or plan and approve anew"
                ))
            })?;
            let bytes = self.store.blob(*digest.as_bytes()).await?;
            match bytes.filter(|bytes| sha256(bytes) == digest) {
                Some(bytes) => parts.insert(name.clone(), bytes),
                None => {
                    return Err(EngineError::refused(format!(
                        "the planned bytes of `{name}` were altered in the database; \
                         hint: restore it from a backup, or plan and approve anew"
                    )));
                }
            };
        }
        Ok(parts)
    }

    /// The operators whose signatures over this snapshot hold, with the instants they signed at.
    pub(super) async fn verified(
        &self,
        people: &People,
        track: Track,
        planned: &SnapshotRow,
        seal: &SealRow,
        operators: &[OperatorRow],
    ) -> Result<Vec<(OperatorRow, Timestamp)>, EngineError> {
        let mut verified = Vec::new();
        for approval in self.store.approvals(people.campaign, track, planned.digest).await? {
            let found = operators.iter().find(|row| row.operator.id == approval.operator_id);
            let Some(found) = found else { continue };
            let expected =
                statement(people, track, &planned.digest, seal, found, approval.signed_at);
            let holds = expected == approval.statement
                && PublicKey::from_bytes(&found.public_key)?
                    .verify(&expected, &Signature::from_bytes(approval.signature))
                    .is_ok();
            if !holds {
                return Err(EngineError::refused(format!(
                    "the signature of `{}` over the {track} plan does not fit what stands in the \
                     database; hint: restore it from a backup, or plan and approve anew",
                    found.operator.name
                )));
            }
            verified.push((found.clone(), approval.signed_at));
        }
        Ok(verified)
    }
}

/// Two of these signatures amount to an approval.
pub(super) fn check_rule(
    track: Track,
    signatures: &[(OperatorRow, Timestamp)],
    operators: &[OperatorRow],
) -> Result<(), EngineError> {
    let signed: Vec<Signed<'_>> =
        signatures.iter().map(|(row, at)| Signed { by: &row.operator, at: *at }).collect();
    approves(track, &signed)?;
    let mut refusal = None;
    for (place, first) in signatures.iter().enumerate() {
        for (other, second) in signatures.iter().enumerate().skip(place + 1) {
            let two = approves(track, &[signed[place], signed[other]])
                .map_err(EngineError::from)
                .and_then(|()| check_two_voices(operators, &first.0, &second.0));
            match two {
                Ok(()) => return Ok(()),
                Err(why) => refusal = Some(why),
            }
        }
    }
    refusal.map_or(Ok(()), Err)
}

/// The CLI noun that plans and approves a track.
pub(super) fn noun(track: Track) -> &'static str {
    match track {
        Track::Containment => "containment",
        Track::Notice => "campaign",
    }
}
