//! A credential's class with its ledger line, and the hold or release of the notice that goes with it.

use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::delivery::{DeliveryClass, HeldReason};
use crate::domain::ledger::Entry;
use crate::engine::Engine;
use crate::engine::people::People;
use crate::store::credentials::{SealedAccount, Settlement};
use crate::store::deliveries::{DeliveryState, Move};

/// What is the same for every credential settled at once.
#[derive(Clone, Copy)]
pub(super) struct Settling<'a> {
    pub engine: &'a Engine,
    pub people: &'a People,
    pub kind: CredentialKind,
    /// Nobody is held for a credential any more: they are told that it could not be secured.
    pub gave_up: bool,
}

/// The class an account comes to that could not be expired, or was spared: what had come back is still what
/// had come back.
pub(super) fn after_try(sealed: &SealedAccount, to: CredentialClass) -> CredentialClass {
    let keeps = sealed.class == CredentialClass::Regressed
        && matches!(to, CredentialClass::Failed | CredentialClass::ChangedSince);
    if keeps { CredentialClass::Regressed } else { to }
}

impl Settling<'_> {
    /// The settlement of one account's credential; nothing where its class stays.
    pub(super) fn of(
        &self,
        sealed: &SealedAccount,
        person: &str,
        to: CredentialClass,
        reason: String,
    ) -> Option<Settlement> {
        if to == sealed.class {
            return None;
        }
        let entry = Entry::Credential {
            campaign: self.people.ledger_name(),
            person: person.to_owned(),
            credential: self.kind.word(),
            from: sealed.class.word(),
            to: to.word(),
        };
        Some(Settlement {
            number: sealed.number,
            from: sealed.class,
            to,
            reason,
            line: entry.line(self.engine.clock.now()),
            delivery: self.hold_or_release(sealed, person, to),
        })
    }

    /// Who could not be secured, or whose secret came back, is held; who is secured after all is queued
    /// again. The store leaves an attempt on its way to its end.
    pub(super) fn hold_or_release(
        &self,
        sealed: &SealedAccount,
        person: &str,
        to: CredentialClass,
    ) -> Option<Move> {
        let held = DeliveryClass::Held(HeldReason::Credential);
        let (class, reason) = &sealed.delivery;
        let now = DeliveryClass::parse(class, reason).ok()?;
        let unsecured = matches!(to, CredentialClass::Failed | CredentialClass::Regressed);
        let (from, to) = match (now, to) {
            (now @ (DeliveryClass::Queued | DeliveryClass::Deferred), _)
                if unsecured && !self.gave_up =>
            {
                (now, held)
            }
            (now, _) if now == held && !unsecured => (held, DeliveryClass::Queued),
            _ => return None,
        };
        let entry = self.people.moved(person.to_owned(), from.label(), to.label(), "secure");
        Some(Move {
            number: sealed.number,
            from,
            state: DeliveryState { class: to.clone(), ..DeliveryState::default() },
            to,
            line: entry.line(self.engine.clock.now()),
        })
    }
}
