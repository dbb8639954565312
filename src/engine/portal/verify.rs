//! "Did you send this?": whether a notice of ours went to an address. Takes both its reference number and the
//! address, and has one answer for all that is not so.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::Portal;
use super::served::Served;
use crate::domain::address::EmailAddress;
use crate::domain::delivery::AttemptResult;
use crate::engine::EngineError;
use crate::engine::notice::Facing;
use crate::secret::lookup::address_digest;
use crate::secret::mail::Reference;
use crate::secret::visit::reference_digest;

/// Addresses tried with one reference number from which on somebody is guessing.
const MANY: usize = 10;
/// Reference numbers that are watched at the same time.
const WATCHED: usize = 10_000;

/// A notice of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// When it was sent last, in the incident's own zone.
    pub sent_at: Zoned,
    /// Its subject.
    pub subject: String,
    /// Whether it holds a link to this portal's page.
    pub has_link: bool,
}

/// Which addresses were tried with which reference number.
#[derive(Default)]
pub(super) struct Watch(Mutex<HashMap<[u8; 16], HashSet<[u8; 16]>>>);

impl Watch {
    /// Notes one more; how many there are, where it is a new one.
    fn note(&self, reference: [u8; 16], address: [u8; 16]) -> Option<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= WATCHED {
            all.retain(|_, addresses| addresses.len() > 1);
        }
        if all.len() >= WATCHED {
            all.clear();
        }
        let addresses = all.entry(reference).or_default();
        (addresses.len() <= MANY && addresses.insert(address)).then_some(addresses.len())
    }
}

impl Portal {
    /// Whether we sent a notice with this reference number to this address.
    pub async fn verify(
        &self,
        reference: &Reference,
        address: &EmailAddress,
    ) -> Result<Option<Confirmed>, EngineError> {
        let (inner, keys) = (&self.0, self.keys());
        let digest = address_digest(keys.digest(), &address.canonical());
        let typed = reference_digest(keys.portal(), &reference.to_string());
        if inner.watch.note(typed, digest) == Some(MANY) {
            tracing::warn!(
                addresses = MANY,
                "one reference number was tried with many addresses: somebody wants to learn whose it is"
            );
        }
        for served in &inner.served {
            for number in inner.engine.store.find_numbers(served.row.id, &digest).await? {
                if reference.is_for(keys.mail(), &served.people.uuid, number) {
                    return self.confirmed(served, number, digest).await;
                }
            }
        }
        Ok(None)
    }

    async fn confirmed(
        &self,
        served: &Served,
        number: u64,
        typed: [u8; 16],
    ) -> Result<Option<Confirmed>, EngineError> {
        let store = &self.0.engine.store;
        let Some(writer) = &served.writer else { return Ok(None) };
        let Some(sent_at) = self.last_sent(served, number).await? else { return Ok(None) };
        let Some(row) = store.load_row(served.row.id, number).await? else { return Ok(None) };
        let recipient = served.people.open(number, &row.body)?;
        let sealed = recipient.address.as_ref().map(EmailAddress::canonical);
        let is_sealed =
            sealed.is_some_and(|sealed| address_digest(self.keys().digest(), &sealed) == typed);
        if !is_sealed {
            return Ok(None);
        }
        let rendered =
            writer.render_sample(number, &recipient, &Facing::of(&row, &recipient), None)?;
        let zone: TimeZone = served.zone.clone();
        Ok(Some(Confirmed {
            sent_at: sent_at.to_zoned(zone),
            subject: rendered.subject,
            has_link: served.has_links(),
        }))
    }

    async fn last_sent(
        &self,
        served: &Served,
        number: u64,
    ) -> Result<Option<Timestamp>, EngineError> {
        let attempts = self.0.engine.store.attempts(served.row.id, number).await?;
        let accepted = attempts.iter().filter(|one| one.result == Some(AttemptResult::Accepted));
        Ok(accepted.map(|one| one.dated_at).max())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_new_address_for_one_number_counts_and_no_more_than_is_watched() {
        let watch = Watch::default();
        let counts: Vec<Option<usize>> = (0..12).map(|at| watch.note([1; 16], [at; 16])).collect();
        assert_eq!(counts[..3], [Some(1), Some(2), Some(3)]);
        assert_eq!(counts[9], Some(MANY));
        assert_eq!(counts[11], None, "told once is enough");
        assert_eq!(watch.note([1; 16], [0; 16]), None, "the same again is nothing new");
        for at in 0..30_000_u32 {
            let mut reference = [0; 16];
            reference[..4].copy_from_slice(&at.to_be_bytes());
            watch.note(reference, [0; 16]);
        }
        assert!(watch.0.lock().unwrap().len() <= WATCHED);
    }
}
