//! What templates see of credentials: kinds and classes as yes/no tests, one entry per sentence.
//!
//! A notice that stands for several accounts must say only what is true of each account it speaks of:
//! equal classes are told once, with how many accounts they are true for, never for which.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::domain::credential::{CredentialClass, CredentialKind};

/// The tests a template can make on the kind of a credential.
const KIND_FLAGS: [(&str, CredentialKind); 7] = [
    ("is_password", CredentialKind::Password),
    ("is_session", CredentialKind::Session),
    ("is_refresh_token", CredentialKind::RefreshToken),
    ("is_api_key", CredentialKind::ApiKey),
    ("is_totp_seed", CredentialKind::TotpSeed),
    ("is_recovery_code", CredentialKind::RecoveryCode),
    ("is_security_answer", CredentialKind::SecurityAnswer),
];

/// The tests a template must make on the class of a credential; exactly one of them holds.
pub(in crate::render) const CLASS_FLAGS: [&str; 7] =
    ["expired", "changed_since", "no_password", "not_found", "exempt", "not_yet", "renewed"];

/// The one flag of [`CLASS_FLAGS`] that holds.
fn flag_of(class: CredentialClass) -> &'static str {
    match class {
        CredentialClass::Expired => "expired",
        CredentialClass::ChangedSince => "changed_since",
        CredentialClass::NoPassword => "no_password",
        CredentialClass::NotFound => "not_found",
        CredentialClass::Exempt => "exempt",
        // None of the three can promise that the old secret is dead.
        CredentialClass::Pending | CredentialClass::Failed | CredentialClass::Regressed => {
            "not_yet"
        }
        CredentialClass::Reset | CredentialClass::ResetElsewhere => "renewed",
    }
}

/// One exposed credential of one account, and what has become of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialContext {
    /// What it is.
    pub kind: CredentialKind,
    /// What has become of it, by read-back.
    pub class: CredentialClass,
}

impl CredentialContext {
    /// Whether the account has a password with us that should now be replaced.
    pub fn needs_new_password(self) -> bool {
        self.kind == CredentialKind::Password
            && matches!(flag_of(self.class), "expired" | "not_yet" | "exempt")
    }

    /// Whether it is something people know and use in several places.
    pub(super) fn is_remembered(self) -> bool {
        matches!(self.kind, CredentialKind::Password | CredentialKind::SecurityAnswer)
            && self.class != CredentialClass::NoPassword
    }
}

/// One sentence: a kind, what became of it, and of how many accounts that is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ToldCredential {
    kind: CredentialKind,
    class: CredentialClass,
    accounts: u64,
}

/// The sentences for the credentials of one or more accounts, by kind as the incident lists them, then
/// by flag.
pub(super) fn told(accounts: &[&[CredentialContext]]) -> Vec<ToldCredential> {
    let all = || accounts.iter().flat_map(|account| account.iter().copied());
    let mut kinds = Vec::new();
    for credential in all() {
        if !kinds.contains(&credential.kind) {
            kinds.push(credential.kind);
        }
    }
    let mut told: Vec<ToldCredential> = Vec::new();
    for kind in kinds {
        for flag in CLASS_FLAGS {
            let mut same = all().filter(|one| one.kind == kind && flag_of(one.class) == flag);
            if let Some(first) = same.next() {
                let accounts = 1 + same.count() as u64;
                told.push(ToldCredential { kind, class: first.class, accounts });
            }
        }
    }
    told
}

impl Serialize for ToldCredential {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", &self.kind)?;
        kind_flags(&mut map, self.kind)?;
        map.serialize_entry("class", &self.class)?;
        let holds = flag_of(self.class);
        CLASS_FLAGS.iter().try_for_each(|flag| map.serialize_entry(flag, &(*flag == holds)))?;
        map.serialize_entry("accounts", &self.accounts)?;
        map.end()
    }
}

/// A kind of secret that strangers may have, by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Secret(pub(super) CredentialKind);

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", &self.0)?;
        kind_flags(&mut map, self.0)?;
        map.end()
    }
}

fn kind_flags<M: SerializeMap>(map: &mut M, kind: CredentialKind) -> Result<(), M::Error> {
    KIND_FLAGS.iter().try_for_each(|(flag, of)| map.serialize_entry(flag, &(*of == kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(class: CredentialClass) -> CredentialContext {
        CredentialContext { kind: CredentialKind::Password, class }
    }

    #[test]
    fn exactly_one_class_flag_holds_for_every_class() {
        for class in CredentialClass::ALL {
            let told = told(&[&[password(*class)]]);
            let value = serde_json::to_value(&told).unwrap();
            let holding = CLASS_FLAGS.iter().filter(|flag| value[0][**flag] == true).count();
            assert_eq!(holding, 1, "{value}");
        }
    }

    #[test]
    fn equal_fates_are_told_once_with_how_many_they_are_true_for() {
        use CredentialClass::{Expired, Failed, NoPassword, Pending};
        let session = |class| CredentialContext { kind: CredentialKind::Session, class };
        let accounts = [
            vec![password(Expired), session(Expired)],
            vec![password(Pending), session(Expired)],
            vec![password(NoPassword), session(Expired)],
            vec![password(Failed), session(Expired)],
        ];
        let accounts: Vec<&[CredentialContext]> = accounts.iter().map(Vec::as_slice).collect();
        let told: Vec<_> = told(&accounts)
            .iter()
            .map(|one| (one.kind, flag_of(one.class), one.accounts))
            .collect();
        let (password, session) = (CredentialKind::Password, CredentialKind::Session);
        assert_eq!(
            told,
            [
                (password, "expired", 1),
                (password, "no_password", 1),
                (password, "not_yet", 2),
                (session, "expired", 4),
            ]
        );
    }
}
