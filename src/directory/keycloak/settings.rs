//! `[directory.keycloak]`: which realm, who we are there, and how its users are named.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use crate::directory::rest::settings::{self, Load};
use crate::domain::duration::HumanDuration;
use crate::domain::endpoint::{self, WrongUrl};
use crate::secret::password::PasswordForm;

/// How a realm of Keycloak is spoken to:
///
/// ```toml
/// [directory.keycloak]
/// url = "https://id.brand.example"
/// realm = "brand"
/// client_id = "forthwith"
/// secret_file = "secrets/keycloak"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeycloakDirectorySettings {
    /// Where Keycloak is, up to where `/realms` and `/admin` begin.
    pub url: String,
    /// The realm whose users are secured.
    pub realm: String,
    /// The realm that the client is of, where that is another one: `master`.
    #[serde(default)]
    pub login_realm: Option<String>,
    /// A client with a service account.
    pub client_id: String,
    /// A file that only its owner may use, with the client's secret in its first line.
    pub secret_file: PathBuf,
    /// A PEM file with authorities whose certificates are taken besides those this machine knows.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// What the audience's account column holds.
    #[serde(default)]
    pub account: KeycloakAccount,
    /// The form in which a new password is written.
    #[serde(default = "argon2")]
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

/// What names a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeycloakAccount {
    /// Its user name, which Keycloak compares without case.
    #[default]
    Username,
    /// Its id.
    Id,
}

fn argon2() -> PasswordForm {
    PasswordForm::KeycloakArgon2
}

impl KeycloakDirectorySettings {
    /// What is wrong by its text alone: the key, and what to say about it.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if let Err(said) = place(&self.url) {
            found.push(("url", said.to_owned()));
        }
        let login_realm = self.login_realm.as_deref().unwrap_or("master");
        for (key, text, usual) in [
            ("realm", self.realm.as_str(), "realm = \"brand\""),
            ("login_realm", login_realm, "leave it out for `realm`"),
            ("client_id", self.client_id.as_str(), "client_id = \"forthwith\""),
        ] {
            if matches!(text.trim(), "" | "." | "..") || text.trim() != text {
                found.push((key, format!("is no name; hint: {usual}")));
            }
        }
        if !self.form.is_for_keycloak() {
            let said =
                "is none that Keycloak reads; hint: \"keycloak-argon2\" or \"keycloak-pbkdf2\"";
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
        WrongUrl::Unreadable => "cannot be read; hint: \"https://id.brand.example\"",
        WrongUrl::Identified => {
            "holds a user or a password; hint: take them out, for files are signed and kept in git; who \
             we are is `client_id` and `secret_file`"
        }
        WrongUrl::Clear => "would let others on the way read our tokens; hint: \"https://…\"",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "realm = 'brand'\nclient_id = 'forthwith'\nsecret_file = 's'\n";

    fn faults(more: &str) -> Vec<String> {
        let mut text = if more.contains("url =") {
            String::new()
        } else {
            "url = 'https://id.example'\n".into()
        };
        for line in LEAST.lines() {
            if !more.starts_with(line.split_once(" =").unwrap().0) {
                text.push_str(line);
                text.push('\n');
            }
        }
        let settings: KeycloakDirectorySettings = toml::from_str(&format!("{text}{more}")).unwrap();
        settings.faults().into_iter().map(|(key, said)| format!("{key} {said}")).collect()
    }

    #[test]
    fn what_makes_no_sense_is_told_with_a_hint() {
        assert!(faults("").is_empty() && faults("url = 'http://127.0.0.1:8080/auth'").is_empty());
        for (text, key) in [
            ("url = 'http://id.example'", "url would let others"),
            ("url = 'https://ann:hunter2@id.example'", "url holds a user"),
            ("url = 'id.example'", "url cannot"),
            ("realm = ' '", "realm is no name"),
            ("realm = '..'", "realm is no name"),
            ("client_id = ''", "client_id is no name"),
            ("login_realm = ''", "login_realm is no name"),
            ("form = 'argon2id'", "form "),
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
