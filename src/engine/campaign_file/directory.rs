//! `[directory]`: the company's identity store, and what keeps a wrong statement from doing harm.

mod adapter;
mod second_factor;
mod statements;

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::directory::http::HttpDirectorySettings;
use crate::directory::keycloak::KeycloakDirectorySettings;
use crate::directory::kratos::KratosDirectorySettings;
use crate::directory::ldap::LdapDirectorySettings;
use crate::directory::sql::SqlDirectorySettings;
use crate::domain::credential::ExpiryPolicy;
use crate::domain::duration::HumanDuration;
use crate::domain::toml_file::Problems;
use crate::domain::track::Environment;

pub use adapter::Adapter;
pub use second_factor::SecondFactor;

/// The most control accounts: they are read in every transaction.
const MOST_CONTROLS: usize = 50;

/// The largest first batch: it is there to be small.
const LARGEST_FIRST_BATCH: usize = 100;

/// The company's identity store.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectorySection {
    /// Scopes account references; the same for every campaign on this directory.
    pub name: String,
    /// What happens to a credential that changed after the window.
    #[serde(default)]
    pub policy: ExpiryPolicy,
    /// Accounts outside of every seal that must come out of every write unchanged; live needs one.
    #[serde(default)]
    pub control_accounts: Vec<String>,
    /// The account this program itself logs in to the directory by, where it is one of its accounts.
    pub own_account: Option<String>,
    /// Accounts the company must not lock itself out of.
    #[serde(default)]
    pub protected_accounts: Vec<String>,
    /// What happens where one of them is sealed.
    #[serde(default)]
    pub protected: Protection,
    /// Accounts in the first batch.
    #[serde(default = "twenty")]
    pub first_batch: usize,
    /// Whether a pass stops after its first batch, so that somebody looks; in live, unless told
    /// otherwise.
    pub pause_after_first_batch: Option<bool>,
    /// How long whoever can't be secured is held, from the first pass on; for ever where absent.
    pub give_up_after: Option<HumanDuration>,
    /// Whether a re-check ends sessions found on an account whose password is still our replacement.
    #[serde(default = "yes")]
    pub recheck_sessions: bool,
    /// Whether every log-in of these accounts asks for a second factor besides the password.
    #[serde(default)]
    pub second_factor: SecondFactor,
    /// The fewest code points of a new password, where more are wanted than have to be.
    pub shortest_password: Option<usize>,
    /// A SQL user table.
    pub sql: Option<SqlDirectorySettings>,
    /// An LDAP server.
    pub ldap: Option<LdapDirectorySettings>,
    /// An endpoint of the company's own.
    pub http: Option<HttpDirectorySettings>,
    /// A realm of Keycloak.
    pub keycloak: Option<KeycloakDirectorySettings>,
    /// An Ory Kratos.
    pub kratos: Option<KratosDirectorySettings>,
}

/// What happens to protected accounts that are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Protection {
    /// The plan is refused.
    #[default]
    Refuse,
    /// Their credentials are exempt; their notices say so.
    Exempt,
    /// They are secured before all others, and the pass stops where that does not go well.
    First,
}

fn twenty() -> usize {
    20
}

fn yes() -> bool {
    true
}

impl DirectorySection {
    /// Every adapter that is set up; a section that was checked has one.
    fn adapters(&self) -> impl Iterator<Item = Adapter<'_>> {
        let sql = self.sql.iter().map(Adapter::Sql);
        let ldap = self.ldap.iter().map(Adapter::Ldap);
        let http = self.http.iter().map(Adapter::Http);
        let keycloak = self.keycloak.iter().map(Adapter::Keycloak);
        let kratos = self.kratos.iter().map(Adapter::Kratos);
        sql.chain(ldap).chain(http).chain(keycloak).chain(kratos)
    }

    /// The one adapter; none where the section was never checked.
    pub fn adapter(&self) -> Option<Adapter<'_>> {
        self.adapters().next()
    }

    /// What a preset's statements come to, each after its key; nothing where there is no preset. Part of what
    /// is approved: another version of this program may write others.
    pub fn preset_statements(&self) -> Option<String> {
        match self.adapter()? {
            Adapter::Sql(sql) if sql.preset.is_some() => statements::text(sql),
            _ => None,
        }
    }

    /// The most bytes of a password that the directory takes, where there is such a bound.
    pub fn longest_password(&self) -> Option<usize> {
        match self.adapter()? {
            Adapter::Sql(sql) => sql.password_form().longest(),
            Adapter::Ldap(ldap) => ldap.form.longest(),
            // it says its form when it is opened; a password that does not fit is refused then
            Adapter::Http(_) => None,
            Adapter::Keycloak(keycloak) => keycloak.form.longest(),
            Adapter::Kratos(kratos) => kratos.form.longest(),
        }
    }

    /// Whether the company keeps replaced passwords, so that nobody chooses the stolen one again.
    pub fn keeps_replaced(&self) -> bool {
        self.sql.as_ref().is_some_and(|sql| sql.archive.is_some())
    }

    /// Whether a pass stops after its first batch.
    pub fn pauses(&self, environment: Environment) -> bool {
        self.pause_after_first_batch.unwrap_or(environment == Environment::Live)
    }

    /// What is wrong with it by its text alone: nothing is opened.
    pub(super) fn check(&self, problems: &mut Problems<'_>) {
        if self.name.trim().is_empty() {
            problems.at("directory.name", "`directory.name` is empty; hint: name = \"shop\"");
        }
        if !(1..=LARGEST_FIRST_BATCH).contains(&self.first_batch) {
            problems.at(
                "directory.first_batch",
                format!(
                    "`directory.first_batch` is {}; it must be between 1 and {LARGEST_FIRST_BATCH}; \
                     hint: `first_batch = 20`",
                    self.first_batch
                ),
            );
        }
        if self.control_accounts.len() > MOST_CONTROLS {
            problems.at(
                "directory.control_accounts",
                format!(
                    "`directory.control_accounts` names {} accounts, and each is read in every \
                     transaction; hint: {MOST_CONTROLS} at the most, a handful is enough",
                    self.control_accounts.len()
                ),
            );
        }
        let own: Vec<String> = self.own_account.iter().cloned().collect();
        for (key, accounts) in [
            ("control_accounts", &self.control_accounts),
            ("own_account", &own),
            ("protected_accounts", &self.protected_accounts),
        ] {
            check_accounts(key, accounts, problems);
        }
        self.check_shortest(problems);
        if self.adapters().count() != 1 {
            problems.at(
                "directory",
                "`[directory]` must have exactly one table that says what it is; hint: [directory.sql] \
                 for a user table in SQL, [directory.ldap] for an LDAP server, [directory.keycloak] for a \
                 realm of Keycloak, [directory.kratos] for an Ory Kratos, [directory.http] for an endpoint of your own",
            );
        }
        if let Some(sql) = &self.sql {
            statements::check(sql, problems);
        }
        let ldap = self.ldap.iter().flat_map(LdapDirectorySettings::faults);
        let http = self.http.iter().flat_map(HttpDirectorySettings::faults);
        let keycloak = self.keycloak.iter().flat_map(KeycloakDirectorySettings::faults);
        let named = ldap.map(|fault| ("ldap", fault)).chain(http.map(|fault| ("http", fault)));
        let kratos = self.kratos.iter().flat_map(KratosDirectorySettings::faults);
        let named = named.chain(keycloak.map(|fault| ("keycloak", fault)));
        let named = named.chain(kratos.map(|fault| ("kratos", fault)));
        for (table, (key, said)) in named {
            let key = format!("directory.{table}.{key}");
            problems.at(&key, format!("`{key}` {said}"));
        }
    }
}

/// What is wrong with a list of accounts. None is repeated in a message: they may be addresses.
fn check_accounts(key: &str, accounts: &[String], problems: &mut Problems<'_>) {
    let mut named = BTreeSet::new();
    for (at, account) in accounts.iter().enumerate() {
        let place = at + 1;
        let path = if key == "own_account" {
            format!("directory.{key}")
        } else {
            format!("directory.{key}.{at}")
        };
        if account.trim().is_empty() || account.trim() != account {
            problems.at(
                &path,
                format!(
                    "`directory.{key}`: entry {place} is empty or has white space around it; hint: \
                     write the account reference as the audience's account column has it"
                ),
            );
        } else if !named.insert(account) {
            problems.at(
                &path,
                format!("`directory.{key}`: entry {place} was named before; hint: take it out"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(more: &str) -> Result<DirectorySection, String> {
        let text = format!("name = 'shop'\n{more}\n[sql]\nurl = 'sqlite:shop.db'");
        let section: DirectorySection = toml::from_str(&text).map_err(|error| error.to_string())?;
        let mut problems = Problems::unplaced("x.toml");
        section.check(&mut problems);
        problems.finish(Some(section)).map_err(|list| list.to_string())
    }

    #[test]
    fn a_live_pass_stops_after_its_first_batch_unless_told_otherwise() {
        let plain = parse("").unwrap();
        assert!(plain.pauses(Environment::Live) && !plain.pauses(Environment::Rehearsal));
        assert_eq!((plain.first_batch, plain.protected), (20, Protection::Refuse));
        assert!(plain.give_up_after.is_none() && plain.recheck_sessions);
        for (word, pauses) in [("true", true), ("false", false)] {
            let told = parse(&format!("pause_after_first_batch = {word}")).unwrap();
            assert_eq!(told.pauses(Environment::Live), pauses);
            assert_eq!(told.pauses(Environment::Rehearsal), pauses);
        }
    }

    #[test]
    fn a_directory_is_one_thing_and_its_table_is_checked() {
        let ldap = "[ldap]\nurl = 'ldap://localhost'\nbind_dn = 'cn=f,dc=x'\npassword_file = 'p'\n";
        let checked = |text: &str| {
            let section: DirectorySection =
                toml::from_str(&format!("name = 'shop'\n{text}")).unwrap();
            let mut problems = Problems::unplaced("x.toml");
            section.check(&mut problems);
            let key = section.adapter().map(Adapter::key);
            problems.finish(Some(())).map(|()| key).map_err(|list| list.to_string())
        };
        assert_eq!(checked(&format!("{ldap}base = 'dc=x'")), Ok(Some("directory.ldap")));
        let http = "[http]\nkey_file = 'k'\nurl = 'https://a.example'\n";
        assert_eq!(checked(http), Ok(Some("directory.http")));
        let keycloak = "[keycloak]\nurl = 'https://a.example'\nrealm = 'r'\nclient_id = 'c'\nsecret_file = 's'\n";
        assert_eq!(checked(keycloak), Ok(Some("directory.keycloak")));
        let kratos = "[kratos]\nurl = 'https://a.example'\n";
        assert_eq!(checked(kratos), Ok(Some("directory.kratos")));
        for (text, told) in [
            (format!("{keycloak}batch = 0"), "`directory.keycloak.batch` must be between"),
            (format!("{keycloak}{http}"), "exactly one table"),
            (format!("{kratos}concurrency = 0"), "`directory.kratos.concurrency` must be between"),
            (String::new(), "exactly one table"),
            (format!("{http}{ldap}base = 'dc=x'"), "exactly one table"),
            (format!("{ldap}base = 'people'"), "`directory.ldap.base` is no distinguished name"),
            (format!("{http}concurrency = 0"), "`directory.http.concurrency` must be between"),
        ] {
            let error = checked(&text).unwrap_err();
            assert!(error.contains(told) && error.contains("hint:"), "{text}: {error}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_hint() {
        for (text, told) in [
            ("first_batch = 0", "`directory.first_batch` is 0"),
            ("first_batch = 101", "`directory.first_batch` is 101"),
            ("control_accounts = ['a', 'a']", "entry 2 was named before"),
            ("control_accounts = ['a', ' b']", "entry 2 is empty or has white space"),
            ("own_account = ''", "`directory.own_account`: entry 1 is empty"),
            ("protected_accounts = ['']", "`directory.protected_accounts`: entry 1"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(told) && error.contains("hint:"), "{text}: {error}");
        }
        assert!(parse("protected = 'spare'").is_err());
        assert!(parse("give_up_after = 'soon'").is_err());
    }
}
