//! What a stored value is to a pass: our own write, spared, to be replaced, or of no known form.

use super::{Containment, replacement};
use crate::directory::{Current, Directory, Replacement};
use crate::domain::credential::{CredentialClass, CredentialKind, ExpiryPolicy};
use crate::engine::people::People;
use crate::store::credentials::{OwnWrite, SealedAccount};

/// How values of one kind are judged.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub people: &'a People,
    pub directory: &'a dyn Directory,
    pub containment: &'a Containment,
    pub kind: CredentialKind,
    /// Whether policy `respect` may spare an account whole: never after it was once expired. Of several
    /// values those that were not exposed are spared all the same.
    pub may_spare: bool,
}

/// What one value is.
pub(super) enum Standing {
    /// One of our own writes.
    Ours,
    /// Changed after the window, by the directory's own word, and the policy respects that.
    Spared,
    /// To be replaced by this.
    Replace(Box<(Replacement, OwnWrite)>),
    /// Of a form nobody knows; in words, without the value.
    Unknown(String),
}

impl Reader<'_> {
    /// HMAC of a value under the campaign's key.
    pub(super) fn mark(&self, value: &str) -> [u8; 32] {
        *self.people.key.seen(value.as_bytes()).as_bytes()
    }

    /// What the account's value is; `None` where it has none.
    pub(super) fn standing(&self, sealed: &SealedAccount, current: &Current) -> Option<Standing> {
        let value = current.value.as_ref()?;
        let seen = self.mark(value.expose());
        if sealed.planned.contains(&seen) {
            return Some(Standing::Ours);
        }
        if self.is_spared(sealed, seen, current) {
            return Some(Standing::Spared);
        }
        let (key, account) = (&self.people.key, &current.account);
        let forged = replacement(key, self.directory, self.kind, account, value.expose());
        Some(match forged {
            Ok(replacement) => {
                let planned = self.mark(replacement.expose());
                let write = OwnWrite { number: sealed.number, planned, seen };
                let row =
                    Replacement { account: account.clone(), current: value.clone(), replacement };
                Standing::Replace(Box::new((row, write)))
            }
            Err(unknown) => Standing::Unknown(unknown.to_string()),
        })
    }

    fn is_spared(&self, sealed: &SealedAccount, seen: [u8; 32], current: &Current) -> bool {
        // what came back was expired once, whoever asks
        let is_whole = self.may_spare && sealed.class != CredentialClass::Regressed;
        let is_one_of_several = self.kind.has_several() && !sealed.seen.contains(&seen);
        (is_whole || is_one_of_several) && self.is_respected(current)
    }

    /// Policy `respect` spares a value only where the directory's own change time is after the window.
    pub(super) fn is_respected(&self, current: &Current) -> bool {
        self.containment.section.policy == ExpiryPolicy::Respect
            && current.changed_at.is_some_and(|changed| changed > self.containment.window_until)
    }
}
