//! What one amendment does to one person: class, generation, signatures, ledger line.

use super::signed::statement;
use super::{Act, SignedAmendment};
use crate::domain::address::AddressReason;
use crate::domain::amendment::{Amendment, AmendmentKind, BodyError, Change, Standing};
use crate::domain::delivery::{DeliveryClass, HeldReason};
use crate::domain::ledger::Entry;
use crate::domain::recipient::Recipient;
use crate::engine::{Engine, EngineError};
use crate::secret::lookup::address_digest;
use crate::secret::person::{RowSalt, leaf_hash};
use crate::store::amendments::{Amendable, AmendmentRow, NewAmendment};
use crate::store::deliveries::{DeliveryState, Move, Resolution};

impl Engine {
    /// The amendment of one person, or a refusal that says why it cannot be.
    pub(super) async fn plan_amendment(
        &self,
        act: &Act<'_>,
        person: &Amendable,
    ) -> Result<NewAmendment, EngineError> {
        check_carried(act.request.change.kind(), person)?;
        let recipient = opened(act, person)?;
        let leaf = leaf_hash(&RowSalt::from_bytes(person.salt), &recipient.canonical());
        let before =
            act.people.verify(person.number, leaf.as_bytes(), &person.amendments, act.operators)?;
        let change = &act.request.change;
        let from = person.state.class.clone();
        let standing = standing(person, &recipient, &before);
        let to = change.lands(&from, standing).map_err(|why| {
            EngineError::refused(format!("recipient {} is {from}: {why}", person.number))
        })?;
        check_address(change, &recipient, &before)?;
        if matches!(to, DeliveryClass::Queued | DeliveryClass::Held(HeldReason::Credential)) {
            let account = &recipient.account;
            self.check_not_in_later(act.people, act.later, person.number, account).await?;
        }
        let amendment = drawn(act, &from)?;
        let row = self.row(act, person, leaf.as_bytes(), &amendment, &from, &to);
        let line = Entry::Amended {
            campaign: act.people.ledger_name(),
            person: act.people.person(person.salt, &recipient),
            amendment: row.kind.word(),
            n: row.n,
            from: from.label(),
            to: to.label(),
            keys: act.signers.iter().map(super::Signer::ledger_name).collect(),
        }
        .line(row.at);
        let made = Move {
            number: person.number,
            from,
            state: afterwards(change, person, to.clone()),
            to,
            line,
        };
        Ok(NewAmendment {
            address: match change {
                Change::ReplaceAddress(new) => {
                    Some(address_digest(self.keys.digest(), &new.canonical()))
                }
                _ => None,
            },
            resolution: resolution(act, person, &row),
            change: made,
            generation: person.state.generation,
            along: person.copies.iter().copied().chain(person.carrier).collect(),
            row,
        })
    }

    /// The row, encrypted and signed.
    fn row(
        &self,
        act: &Act<'_>,
        person: &Amendable,
        leaf: &[u8; 32],
        amendment: &Amendment,
        from: &DeliveryClass,
        to: &DeliveryClass,
    ) -> AmendmentRow {
        let body = amendment.canonical();
        let n = u32::try_from(person.amendments.len() + 1).unwrap_or(u32::MAX);
        let aad = act.people.amendment_aad(person.number, n);
        let mut row = AmendmentRow {
            number: person.number,
            n,
            kind: amendment.change.kind(),
            was: from.label(),
            became: to.label(),
            body: Some(act.people.key.seal_blob(&aad, &body, &mut rand::rng())),
            at: self.clock.now(),
            signatures: Vec::new(),
        };
        row.signatures = act
            .signers
            .iter()
            .map(|signer| {
                let bytes = statement(act.people, leaf, &row, &body, &signer.row.public_key);
                (signer.row.operator.id, *signer.sign(&bytes).as_bytes())
            })
            .collect();
        row
    }
}

fn opened(act: &Act<'_>, person: &Amendable) -> Result<Recipient, EngineError> {
    let body = person.body.as_ref().ok_or_else(|| {
        EngineError::refused(format!(
            "recipient {} was erased; hint: what remains is in the ledger",
            person.number
        ))
    })?;
    act.people.open(person.number, body)
}

/// The request as one person's amendment, with a salt of its own.
fn drawn(act: &Act<'_>, from: &DeliveryClass) -> Result<Amendment, EngineError> {
    let Act { request, .. } = act;
    let refused = |why: BodyError| EngineError::refused(why.to_string());
    if request.change.kind().needs_evidence(from) && request.evidence.trim().is_empty() {
        return Err(refused(BodyError::NoEvidence));
    }
    let change = request.change.clone();
    Amendment::new(rand::random(), change, &request.reason, &request.evidence).map_err(refused)
}

/// Where a person stands who may be told again: an amended address replaces the sealed one's reason.
fn standing(person: &Amendable, recipient: &Recipient, before: &[SignedAmendment]) -> Standing {
    let replaced = before.iter().any(|one| one.kind() == AmendmentKind::ReplaceAddress);
    Standing {
        address: if replaced { AddressReason::Suspect } else { recipient.reason },
        is_unsecured: person.is_unsecured,
    }
}

/// The row after the amendment. Something that reached the old address makes the next notice another
/// one: a new generation has its own Message-ID, and the old one's tokens are revoked.
fn afterwards(change: &Change, person: &Amendable, to: DeliveryClass) -> DeliveryState {
    let now = &person.state;
    if !matches!(change, Change::ReplaceAddress(_)) {
        // whoever waited for a person does not find their retry window over
        let first_attempt_at = now.first_attempt_at.filter(|_| to != DeliveryClass::Queued);
        return DeliveryState { class: to, due_at: None, first_attempt_at, ..now.clone() };
    }
    let reached = now.attempts > 0
        || now.doubts > 0
        || person.has_token
        || matches!(now.class, DeliveryClass::Told(_));
    DeliveryState {
        class: to,
        generation: now.generation + u32::from(reached),
        ..DeliveryState::default()
    }
}

/// How an open doubt ends with this: the notice it is about is let go, or another one is sent.
fn resolution(act: &Act<'_>, person: &Amendable, row: &AmendmentRow) -> Option<Resolution> {
    let key = person.doubt.filter(|_| matches!(person.state.class, DeliveryClass::InDoubt(_)))?;
    Some(Resolution {
        key,
        result: if row.kind == AmendmentKind::ReplaceAddress { "re-sent" } else { "waived" },
        by: act.signers.first().map(|one| one.row.operator.name.clone()).unwrap_or_default(),
        reason: format!("amendment {} ({})", row.n, row.kind.word()),
        signature: None,
        at: row.at,
    })
}

/// A new address has to be another one than the notice goes to as it is.
fn check_address(
    change: &Change,
    recipient: &Recipient,
    before: &[SignedAmendment],
) -> Result<(), EngineError> {
    let Change::ReplaceAddress(new) = change else { return Ok(()) };
    let mut now = recipient.clone();
    super::signed::effective(&mut now, before);
    if now.address.is_some_and(|address| address.canonical() == new.canonical()) {
        return Err(EngineError::refused(format!(
            "{new} is the address the notice goes to now; hint: `--to` with another"
        )));
    }
    Ok(())
}

/// A doubt over a notice for several accounts is about all of them, and ends once.
fn check_carried(kind: AmendmentKind, person: &Amendable) -> Result<(), EngineError> {
    let is_in_doubt = matches!(person.state.class, DeliveryClass::InDoubt(_));
    match person.carrier.filter(|_| is_in_doubt && kind != AmendmentKind::ReplaceAddress) {
        None => Ok(()),
        Some(carrier) => Err(EngineError::refused(format!(
            "the notice that names recipient {} is in doubt; settle that of recipient {carrier} \
             first: `forthwith delivery resolve`",
            person.number
        ))),
    }
}
