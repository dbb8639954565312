//! From placed rows to staged ones: each gets its salt, leaf, ciphertext and digests. It owns all it needs, so
//! that a thread seals one batch while the next is read.

use crate::domain::recipient::Recipient;
use crate::engine::people::People;
use crate::secret::keys::Key;
use crate::secret::lookup::Lookups;
use crate::secret::person::{RowSalt, leaf_hash};
use crate::store::seals::{CopyOf, StagedRow};

/// A person with their place in the seal.
pub(super) struct Placed {
    pub(super) line: u64,
    pub(super) number: u64,
    pub(super) person: Box<Recipient>,
    /// Where there is one: the number and content of their second address.
    pub(super) copy: Option<(u64, Box<Recipient>)>,
}

/// Seals rows under a campaign's key.
pub(super) struct Sealer {
    people: People,
    lookups: Lookups,
}

impl Sealer {
    pub(super) fn new(people: &People, digest_key: &Key) -> Self {
        let lookups = Lookups::new(digest_key, &people.directory);
        Self { people: people.clone(), lookups }
    }

    pub(super) fn seal(&self, rows: Vec<Placed>) -> Vec<StagedRow> {
        let mut staged = Vec::with_capacity(rows.len());
        let mut rng = rand::rng();
        for Placed { line, number, person, copy } in rows {
            let canonical = person.canonical();
            let copied = copy.as_ref().map(|(_, copy)| copy.canonical());
            // Keyed, so that a stolen staging file gives nobody's row away to a guess; over both rows, since
            // two source rows that differ in the newer address alone differ.
            let whole = copied.as_ref().map(|copied| [&canonical[..], copied].concat());
            let row_digest = self.people.key.seen(whole.as_ref().unwrap_or(&canonical)).truncated();
            let mut row = |number, recipient: &Recipient, canonical: &[u8], copy_of| {
                let salt = RowSalt::random(&mut rng);
                let person = |of| CopyOf {
                    number: of,
                    person: self.people.person(*salt.as_bytes(), recipient),
                };
                let address = recipient.address.as_ref();
                StagedRow {
                    number,
                    line,
                    leaf: *leaf_hash(&salt, canonical).as_bytes(),
                    body: self.people.key.seal_blob(&self.people.aad(number), canonical, &mut rng),
                    row_digest,
                    account: self.lookups.account(recipient.account.as_str().as_bytes()),
                    address: address.map(|address| self.lookups.address(&address.canonical())),
                    address_reason: recipient.reason,
                    name_refused: recipient.name_refused,
                    copy_of: Option::map(copy_of, person),
                    salt: *salt.as_bytes(),
                }
            };
            staged.push(row(number, &person, &canonical, None));
            if let Some(((place, copy), canonical)) = copy.zip(copied) {
                staged.push(row(place, &copy, &canonical, Some(number)));
            }
        }
        staged
    }
}
