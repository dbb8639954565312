//! A fresh copy of somebody's notice, which support may ask for: another generation of the very notice, to the
//! sealed address and nowhere else. The link in an older one stops working (promise 7).

use super::SupportLimits;
use crate::domain::amendment::AmendmentKind;
use crate::domain::delivery::{DeliveryClass, FallbackReason, ToldBy};
use crate::domain::track::NoticeState;
use crate::engine::link::renewed;
use crate::engine::people::People;
use crate::engine::tracks::check_not_over;
use crate::engine::{Engine, EngineError};
use crate::journal::WorkerLock;
use crate::store::amendments::Amendable;
use crate::store::campaigns::CampaignRow;
use crate::store::deliveries::Move;
use crate::store::support::LookUp;

/// A re-notice that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renotice {
    /// Whose notice goes out: another's, where theirs is one notice for several accounts.
    pub number: u64,
    /// Which notice of theirs it is, from 1.
    pub generation: u32,
    /// A worker runs and sends it now; else the next one does.
    pub is_running: bool,
}

impl Engine {
    /// Queues a fresh copy of somebody's notice. Kept as a look-up, and counted as one, before it is done.
    pub async fn support_renotice(
        &self,
        name: &str,
        number: u64,
        by: &str,
        limits: SupportLimits,
    ) -> Result<Renotice, EngineError> {
        self.check_shift(by, limits).await?;
        let (row, people) = self.people(name).await?;
        check_not_over(&row)?;
        let whom = Some((row.id, number));
        let look_up = LookUp { by: by.to_owned(), meant: "number", whom, what: "renotice" };
        self.store.log_look_ups(vec![look_up]).await?;
        self.check_no_copy(&row, number).await?;
        let asked = self.one_amendable(&row, number).await?;
        let person = match asked.carrier {
            Some(carrier) => self.one_amendable(&row, carrier).await?,
            None => asked,
        };
        let change = self.renotice(&row, &people, &person, by).await?;
        let generation = change.state.generation;
        if self.store.apply(row.id, vec![change], Vec::new()).await?.is_empty() {
            return Err(EngineError::refused(format!(
                "their notice moved meanwhile; hint: `forthwith support find` shows where it stands, then \
                 ask again: `forthwith support renotice {name} {number}`"
            )));
        }
        let is_running = WorkerLock::holder(&self.workspace.worker_lock()).is_some()
            && row.control.notice == NoticeState::Running;
        Ok(Renotice { number: person.number, generation, is_running })
    }

    /// A second address has no notice of its own to ask for: the person's goes to the first.
    async fn check_no_copy(&self, row: &CampaignRow, number: u64) -> Result<(), EngineError> {
        let listing = self.store.delivery(row.id, number).await?;
        let Some(person) = listing.and_then(|listing| listing.copy_of) else { return Ok(()) };
        Err(EngineError::refused(format!(
            "recipient {number} is a second address of recipient {person}; hint: `forthwith support renotice \
             {name} {person}`",
            name = row.name
        )))
    }

    async fn one_amendable(
        &self,
        row: &CampaignRow,
        number: u64,
    ) -> Result<Amendable, EngineError> {
        let found = self.store.amendable(row.id, &[number]).await?;
        found.into_iter().next().ok_or_else(|| {
            EngineError::refused(format!(
                "campaign `{name}` has no recipient {number}; hint: `forthwith support find WHO --campaign \
                 {name}` tells their number",
                name = row.name
            ))
        })
    }

    /// The move of one person, or why there is none.
    async fn renotice(
        &self,
        row: &CampaignRow,
        people: &People,
        person: &Amendable,
        by: &str,
    ) -> Result<Move, EngineError> {
        let (name, number) = (&row.name, person.number);
        if person.state.class != DeliveryClass::Told(ToldBy::Accepted) {
            return Err(EngineError::refused(not_told(name, number, &person.state.class)));
        }
        let is_replaced =
            person.amendments.iter().any(|one| one.kind == AmendmentKind::ReplaceAddress);
        if is_replaced {
            return Err(EngineError::refused(format!(
                "the address of recipient {number} was replaced by an amendment, and support has notices sent \
                 to sealed addresses alone; hint: two operators, `forthwith amendment replace-address {name} \
                 number:{number}`"
            )));
        }
        let body = person.body.as_deref().ok_or_else(|| {
            EngineError::refused(format!(
                "recipient {number} was erased; hint: what remains is in the ledger"
            ))
        })?;
        let recipient = people.open(number, body)?;
        if !recipient.reason.is_mailed() {
            return Err(EngineError::refused(letter(name, number, recipient.reason.word())));
        }
        if person.waits_for_credential() && !self.has_given_up(row, people).await? {
            return Err(EngineError::refused(format!(
                "a credential that the notice of recipient {number} calls expired works again, so it is not \
                 said once more before that is mended; hint: `forthwith secure recheck {name}`"
            )));
        }
        let later = self.later(row.id).await?;
        self.check_not_in_later(people, &later, number, &recipient.account).await?;
        let (from, to) = (person.state.class.clone(), DeliveryClass::Queued);
        let named = people.person(person.salt, &recipient);
        let entry = people.moved(named, from.label(), to.label(), by);
        let state = renewed(&person.state);
        Ok(Move { number, from, state, to, line: entry.line(self.clock.now()) })
    }
}

/// Why somebody gets no fresh copy who was not told by one of their own.
fn not_told(name: &str, number: u64, class: &DeliveryClass) -> String {
    match class {
        DeliveryClass::Queued | DeliveryClass::Deferred => format!(
            "the notice of recipient {number} is still to be sent ({class}); hint: `forthwith support find` \
             tells about when"
        ),
        DeliveryClass::InDoubt(_) => format!(
            "what became of the notice of recipient {number} is not known; hint: an operator settles it first: \
             `forthwith delivery resolve {name} {number}`"
        ),
        DeliveryClass::Held(_) => format!(
            "the notice of recipient {number} is {class}, so nothing is sent; hint: an operator looks first: \
             `forthwith delivery show {name} number:{number}`"
        ),
        DeliveryClass::Fallback(reason) => letter(name, number, &unreached(reason)),
        DeliveryClass::Told(_) | DeliveryClass::Withdrawn | DeliveryClass::Waived(_) => format!(
            "recipient {number} is {class}, so no notice of theirs went out by mail and none does again; hint: \
             `forthwith delivery show {name} number:{number}`"
        ),
    }
}

fn unreached(reason: &FallbackReason) -> String {
    DeliveryClass::Fallback(reason.clone()).reason()
}

/// Mail does not reach them, and support gives nobody another address.
fn letter(name: &str, number: u64, reason: &str) -> String {
    format!(
        "mail does not reach recipient {number} ({reason}): a letter is needed; hint: two operators, `forthwith \
         amendment change-channel {name} number:{number} --to post`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_own_way_on() {
        for (class, reason, hint) in [
            ("queued", "", "support find"),
            ("deferred", "", "support find"),
            ("in-doubt", "held", "delivery resolve c 7"),
            ("held", "operator", "delivery show c number:7"),
            ("fallback", "bounced", "amendment change-channel c number:7 --to post"),
            ("fallback", "address:own-mailbox", "amendment change-channel c number:7 --to post"),
            ("withdrawn", "", "delivery show c number:7"),
            ("waived", "cancelled", "delivery show c number:7"),
        ] {
            let said = not_told("c", 7, &DeliveryClass::parse(class, reason).unwrap());
            assert!(said.contains("hint: ") && said.contains(hint), "{class}: {said}");
        }
        let letter = not_told("c", 7, &DeliveryClass::parse("fallback", "bounced").unwrap());
        assert!(letter.contains("a letter is needed") && letter.contains("bounced"), "{letter}");
    }
}
