//! What a notice depends on besides its sealed row.

use std::collections::BTreeMap;

use crate::domain::address::EmailAddress;
use crate::domain::credential::{CredentialClass, CredentialKind};
use crate::domain::recipient::Recipient;
use crate::domain::variant::Variant;
use crate::store::deliveries::LoadedRow;

/// Classes by kind, as read back from the directory.
pub type Classes = BTreeMap<CredentialKind, CredentialClass>;

/// Who reads a notice, and what became of the credentials of all accounts it stands for.
#[derive(Debug, Clone)]
pub struct Facing {
    /// Whom it speaks to, and who else may read it.
    pub variant: Variant,
    /// It goes to a second, newer address of somebody.
    pub is_copy: bool,
    /// The classes of the recipient's own account.
    pub classes: Classes,
    /// Those of each account it stands for besides.
    pub carried: Vec<Classes>,
}

impl Facing {
    /// As a loaded row says.
    pub fn of(row: &LoadedRow, recipient: &Recipient) -> Self {
        let is_role = is_role(recipient);
        let carried = row.carried.len() as u64;
        Self {
            variant: Variant::of(recipient.addressee, is_role, row.at_address, carried),
            is_copy: row.copy_of.is_some(),
            classes: classes(&row.credentials),
            carried: row.carried.iter().map(classes).collect(),
        }
    }

    /// As if no other account used the address.
    pub fn alone(recipient: &Recipient, classes: Classes) -> Self {
        let variant = Variant::of(recipient.addressee, is_role(recipient), 1, 0);
        Self { variant, is_copy: false, classes, carried: Vec::new() }
    }

    /// The same with every one of these kinds in this class, of all accounts.
    #[must_use]
    pub fn all_in(mut self, class: CredentialClass, kinds: &[CredentialKind]) -> Self {
        let all: Classes = kinds.iter().map(|kind| (*kind, class)).collect();
        self.carried.fill(all.clone());
        Self { classes: all, ..self }
    }
}

fn is_role(recipient: &Recipient) -> bool {
    recipient.address.as_ref().is_some_and(EmailAddress::is_role)
}

fn classes(words: &BTreeMap<String, String>) -> Classes {
    words
        .iter()
        .filter_map(|(kind, class)| {
            Some((CredentialKind::parse(kind)?, CredentialClass::parse(class)?))
        })
        .collect()
}
