//! Credentials of a person in the company's directory: their kinds, the classes a containment
//! pass settles them in, and the policy for values that changed since.
//!
//! The words are part of the database, the ledger and the notice's blocks: they never change.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What kind of secret a credential is. One person may have several kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// A password, kept as a hash.
    Password,
    /// Sessions that are logged in now; they have no value, only a number.
    Session,
    /// A long-lived token that mints access tokens.
    RefreshToken,
    /// A key for programs.
    ApiKey,
    /// The seed of time-based one-time codes.
    TotpSeed,
    /// One-time codes for a lost second factor.
    RecoveryCode,
    /// The answer to a security question.
    SecurityAnswer,
}

impl CredentialKind {
    /// Whether an account may have several values of this kind at once: keys, tokens, codes.
    pub fn has_several(self) -> bool {
        !matches!(self, Self::Password | Self::Session)
    }
}

/// How far a credential of a sealed account has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialClass {
    /// Nothing is proved yet.
    Pending,
    /// Our replacement was read back and no session is left.
    Expired,
    /// Changed by the person after the window; spared under [`ExpiryPolicy::Respect`] only.
    ChangedSince,
    /// The account logs in elsewhere (SSO, passkey): sessions ended, nothing to replace.
    NoPassword,
    /// The directory does not know the account.
    NotFound,
    /// Taken out by name before the pass.
    Exempt,
    /// Tried and not proved; the cause is beside it.
    Failed,
    /// The old value came back after it was expired, as a restored backup does it.
    Regressed,
    /// A new value was set through our portal.
    Reset,
    /// A new value was set elsewhere, with evidence for it.
    ResetElsewhere,
}

/// What to do with a value that changed after the breach's window.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ExpiryPolicy {
    /// Expire it too: a thief may have been the one who changed it.
    #[default]
    ExpireAnyway,
    /// Spare it, where the directory's own change time is after the window's end.
    Respect,
}

/// A word that names nothing of its type.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{word}` is no {what}; hint: one of {known}")]
pub struct UnknownWord {
    /// The word as it was given.
    pub word: String,
    /// What was expected, in words.
    pub what: &'static str,
    /// Every word that is known, joined by commas.
    pub known: String,
}

macro_rules! words {
    ($type:ident, $what:literal, $($variant:ident = $word:literal),+ $(,)?) => {
        impl $type {
            /// Every value, in the order of its declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable word, as stored, logged and printed.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value of a word from [`Self::word`].
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }

        impl FromStr for $type {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                Self::parse(word).ok_or_else(|| UnknownWord {
                    word: word.to_owned(),
                    what: $what,
                    known: [$($word),+].join(", "),
                })
            }
        }
    };
}

words!(
    CredentialKind,
    "credential kind",
    Password = "password",
    Session = "session",
    RefreshToken = "refresh-token",
    ApiKey = "api-key",
    TotpSeed = "totp-seed",
    RecoveryCode = "recovery-code",
    SecurityAnswer = "security-answer",
);

words!(
    CredentialClass,
    "credential class",
    Pending = "pending",
    Expired = "expired",
    ChangedSince = "changed-since",
    NoPassword = "no-password",
    NotFound = "not-found",
    Exempt = "exempt",
    Failed = "failed",
    Regressed = "regressed",
    Reset = "reset",
    ResetElsewhere = "reset-elsewhere",
);

words!(ExpiryPolicy, "expiry policy", ExpireAnyway = "expire-anyway", Respect = "respect",);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_parsing_and_serde_agree_on_every_word() {
        for kind in CredentialKind::ALL {
            assert_eq!(kind.to_string().parse::<CredentialKind>().unwrap(), *kind);
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{kind}\""));
        }
        for class in CredentialClass::ALL {
            assert_eq!(class.to_string().parse::<CredentialClass>().unwrap(), *class);
            assert_eq!(serde_json::to_string(class).unwrap(), format!("\"{class}\""));
        }
        for policy in ExpiryPolicy::ALL {
            assert_eq!(policy.to_string().parse::<ExpiryPolicy>().unwrap(), *policy);
            assert_eq!(serde_json::to_string(policy).unwrap(), format!("\"{policy}\""));
        }
    }

    #[test]
    fn the_words_are_the_ones_already_stored() {
        let kinds: Vec<_> = CredentialKind::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(
            kinds.join(" "),
            "password session refresh-token api-key totp-seed recovery-code security-answer"
        );
        let classes: Vec<_> = CredentialClass::ALL.iter().map(|class| class.word()).collect();
        assert_eq!(
            classes.join(" "),
            "pending expired changed-since no-password not-found exempt failed regressed reset \
             reset-elsewhere"
        );
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let error = "lenient".parse::<ExpiryPolicy>().unwrap_err().to_string();
        assert_eq!(error, "`lenient` is no expiry policy; hint: one of expire-anyway, respect");
    }

    #[test]
    fn a_person_has_one_password_and_any_number_of_keys() {
        let several: Vec<_> =
            CredentialKind::ALL.iter().filter(|kind| kind.has_several()).collect();
        assert_eq!(several.len(), 5);
        assert!(!CredentialKind::Password.has_several() && !CredentialKind::Session.has_several());
    }

    #[test]
    fn a_value_that_changed_is_expired_unless_told_otherwise() {
        assert_eq!(ExpiryPolicy::default(), ExpiryPolicy::ExpireAnyway);
    }
}
