//! `[directory.ldap]`: where the server is, who we are there, and where a password stands.

use std::path::PathBuf;

use jiff::SignedDuration;
use serde::Deserialize;

use crate::domain::database::DatabaseTls;
use crate::domain::duration::HumanDuration;
use crate::secret::password::PasswordForm;
use crate::secret::replacement::Scheme;

/// How an LDAP directory is spoken to:
///
/// ```toml
/// [directory.ldap]
/// url = "ldaps://ldap.brand.example"
/// bind_dn = "cn=forthwith,ou=services,dc=brand,dc=example"
/// password_file = "secrets/ldap"
/// base = "ou=people,dc=brand,dc=example"
/// account = "uid"
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LdapDirectorySettings {
    /// `ldap://host:port` or `ldaps://host:port`, nothing more.
    pub url: String,
    /// The entry we log in as.
    pub bind_dn: String,
    /// A file that only its owner may use, with that entry's password in its first line.
    pub password_file: PathBuf,
    /// How a connection is secured.
    #[serde(default)]
    pub tls: DatabaseTls,
    /// A PEM file with authorities whose certificates are taken besides those this machine knows.
    #[serde(default)]
    pub authorities: Option<PathBuf>,
    /// The entry below which all accounts are.
    pub base: String,
    /// How far below.
    #[serde(default)]
    pub scope: LdapScope,
    /// What an entry must fulfil besides, as a filter in parentheses.
    #[serde(default)]
    pub filter: Option<String>,
    /// The attribute that holds what the audience's account column holds.
    #[serde(default = "uid")]
    pub account: String,
    /// The attribute that holds the password.
    #[serde(default = "user_password")]
    pub password: String,
    /// The attribute by which the server says when the password changed last.
    #[serde(default)]
    pub changed_at: Option<String>,
    /// How stored values are understood.
    #[serde(default = "ldap_scheme")]
    pub scheme: Scheme,
    /// The form in which a new password is written.
    #[serde(default = "ldap_form")]
    pub form: PasswordForm,
    /// How long a session lives at the most that was begun with such a password, as `"12h"`.
    #[serde(default)]
    pub lapse_within: Option<SignedDuration>,
    /// The most accounts in one call.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// The most operations under way at once.
    #[serde(default = "default_concurrency")]
    pub concurrency: usize,
    /// How long a server may work at one operation.
    #[serde(default = "thirty_seconds")]
    pub timeout: HumanDuration,
}

/// How far below the base accounts are sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LdapScope {
    /// At any depth.
    #[default]
    Subtree,
    /// Directly below.
    OneLevel,
}

fn uid() -> String {
    "uid".to_owned()
}

fn user_password() -> String {
    "userPassword".to_owned()
}

fn ldap_scheme() -> Scheme {
    Scheme::Ldap
}

fn ldap_form() -> PasswordForm {
    PasswordForm::LdapArgon2
}

fn default_batch() -> usize {
    1_000
}

fn default_concurrency() -> usize {
    8
}

fn thirty_seconds() -> HumanDuration {
    HumanDuration::from_secs(30)
}

impl LdapDirectorySettings {
    /// What is wrong by its text alone: the key, and what to say about it.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        if let Err(fault) = super::place::Place::parse(&self.url, self.tls) {
            found.push(("url", fault.to_owned()));
        }
        for (key, text) in [("bind_dn", &self.bind_dn), ("base", &self.base)] {
            if !text.contains('=') {
                found.push((key, "is no distinguished name; hint: \"dc=brand,dc=example\"".into()));
            }
        }
        let attributes = [("account", Some(&self.account)), ("password", Some(&self.password))];
        for (key, name) in attributes.into_iter().chain([("changed_at", self.changed_at.as_ref())])
        {
            if name.is_some_and(|name| !is_attribute(name)) {
                found.push((key, "is no attribute's name; hint: letters, digits and -".into()));
            }
        }
        if self.filter.as_ref().is_some_and(|filter| ldap3::parse_filter(filter).is_err()) {
            found.push((
                "filter",
                "cannot be read; hint: in parentheses, \"(objectClass=inetOrgPerson)\"".into(),
            ));
        }
        for (key, value, most, usual) in
            [("batch", self.batch, 5_000, 1_000), ("concurrency", self.concurrency, 64, 8)]
        {
            if !(1..=most).contains(&value) {
                found.push((
                    key,
                    format!("must be between 1 and {most}; hint: leave it out for {usual}"),
                ));
            }
        }
        if !self.form.is_for_ldap() {
            let said =
                "would be taken for a password in clear; hint: \"ldap-argon2\" or \"ldap-crypt\"";
            found.push(("form", said.into()));
        }
        if self.lapse_within.is_some_and(|span| span.is_negative()) {
            found.push(("lapse_within", "is negative; hint: lapse_within = \"12h\"".into()));
        }
        found
    }
}

/// RFC 4512's `keystring`, without options.
fn is_attribute(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = "url = 'ldap://localhost'\nbind_dn = 'cn=f,dc=x'\npassword_file = 'p'\n";

    fn faults(more: &str) -> Vec<String> {
        let base = if more.contains("base =") { "" } else { "base = 'dc=x'\n" };
        let settings: LdapDirectorySettings =
            toml::from_str(&format!("{LEAST}{base}{more}")).unwrap();
        settings.faults().into_iter().map(|(key, said)| format!("{key} {said}")).collect()
    }

    #[test]
    fn a_table_is_read_with_its_defaults() {
        let settings: LdapDirectorySettings =
            toml::from_str(&format!("{LEAST}base = 'dc=x'")).unwrap();
        assert_eq!(
            (settings.account.as_str(), settings.password.as_str()),
            ("uid", "userPassword")
        );
        assert_eq!((settings.batch, settings.concurrency), (1_000, 8));
        assert_eq!((settings.scheme, settings.form), (Scheme::Ldap, PasswordForm::LdapArgon2));
        assert!(settings.faults().is_empty() && settings.changed_at.is_none());
        assert!(
            toml::from_str::<LdapDirectorySettings>(&format!("{LEAST}base = 'x'\nbnd = 1"))
                .is_err()
        );
    }

    #[test]
    fn what_makes_no_sense_is_told_with_a_hint() {
        for (text, key) in [
            ("base = 'people'", "base "),
            ("account = 'uid)(x=*'", "account "),
            ("changed_at = ''", "changed_at "),
            ("filter = 'objectClass=*)'", "filter "),
            ("filter = '(a=b)(c=d)'", "filter "),
            ("batch = 0", "batch "),
            ("concurrency = 65", "concurrency "),
            ("form = 'bcrypt'", "form "),
            ("lapse_within = '-1h'", "lapse_within "),
        ] {
            let found = faults(text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with(key) && found[0].contains("hint: "), "{found:?}");
        }
    }
}
