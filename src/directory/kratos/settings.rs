//! `[directory.kratos]`: where its admin API is, and how its identities are named.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use crate::directory::rest::settings::{self, Load};
use crate::domain::duration::HumanDuration;
use crate::domain::endpoint::{self, WrongUrl};
use crate::secret::password::PasswordForm;

/// How an Ory Kratos is spoken to:
///
/// ```toml
/// [directory.kratos]
/// url = "https://kratos-admin.brand.example"
/// token_file = "secrets/kratos"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KratosDirectorySettings {
    /// Where the admin API is, up to where `/admin` begins.
    pub url: String,
    /// A file that only its owner may use, with a bearer token for whatever guards the admin API, which has no
    /// guard of its own.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// A PEM file with authorities whose certificates are taken besides those this machine knows.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// What the audience's account column holds.
    #[serde(default)]
    pub account: KratosAccount,
    /// The form in which a new password is written.
    #[serde(default)]
    pub form: PasswordForm,
    /// The most accounts in one call.
    #[serde(default = "settings::hundred")]
    pub batch: usize,
    /// The most accounts under way at once.
    #[serde(default = "settings::eight")]
    pub concurrency: usize,
    /// The most requests in a second; as many as go where absent.
    #[serde(default)]
    pub per_second: Option<u32>,
    /// How long the server may work at one request.
    #[serde(default = "settings::thirty_seconds")]
    pub timeout: HumanDuration,
}

/// What names an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KratosAccount {
    /// Its id, a UUID in small letters.
    #[default]
    Id,
    /// What somebody logs in by, such as an address, which Kratos compares without case.
    Identifier,
}

impl KratosDirectorySettings {
    /// What is wrong by its text alone: the key, and what to say about it.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if let Err(said) = place(&self.url) {
            found.push(("url", said.to_owned()));
        }
        if !matches!(self.form, PasswordForm::Argon2id | PasswordForm::Bcrypt) {
            let said = "is none that Kratos reads; hint: \"argon2id\" or \"bcrypt\"";
            found.push(("form", said.into()));
        }
        found.extend(self.load().faults());
        found
    }

    /// How hard it may be asked.
    pub(super) fn load(&self) -> Load {
        Load {
            rows: ("batch", self.batch),
            concurrency: self.concurrency,
            per_second: self.per_second,
            timeout: self.timeout,
        }
    }
}

/// Reads the URL; what is said of a wrong one never repeats it.
pub(super) fn place(url: &str) -> Result<Url, &'static str> {
    endpoint::place(url).map_err(|wrong| match wrong {
        WrongUrl::Unreadable => "cannot be read; hint: \"https://kratos-admin.brand.example\"",
        WrongUrl::Identified => {
            "holds a user or a password; hint: take them out, for files are signed and kept in git, and \
             put a token into `token_file`"
        }
        WrongUrl::Clear => "would let others on the way read password hashes; hint: \"https://…\"",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(more: &str) -> Vec<String> {
        let url = if more.contains("url =") { "" } else { "url = 'https://k.example'\n" };
        let settings: KratosDirectorySettings = toml::from_str(&format!("{url}{more}")).unwrap();
        settings.faults().into_iter().map(|(key, said)| format!("{key} {said}")).collect()
    }

    #[test]
    fn what_makes_no_sense_is_told_with_a_hint() {
        assert!(faults("").is_empty() && faults("url = 'http://[::1]:4434'").is_empty());
        for (text, key) in [
            ("url = 'http://k.example'", "url would let others"),
            ("url = 'https://ann:hunter2@k.example'", "url holds a user"),
            ("url = 'k.example'", "url cannot"),
            ("form = 'django-argon2'", "form "),
            ("batch = 0", "batch "),
            ("concurrency = 65", "concurrency "),
            ("per_second = 0", "per_second "),
            ("timeout = '0s'", "timeout "),
        ] {
            let found = faults(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with(key) && found[0].contains("hint: "), "{found:?}");
            assert!(!found[0].contains("hunter2"));
        }
    }
}
