//! The directory as an LDAP server: passwords in the entries below one base.
//!
//! There are no transactions: each entry is changed by itself, if it still holds what was read, and what
//! was changed stays. Every call has a connection of its own, kept for the next one for some seconds; a
//! read-back opens a new one, so that it never shares anything with the write it proves. Values are wiped
//! where they are ours; what the client keeps while an operation runs is its own.

mod adapter;
mod connection;
mod entry;
mod error;
mod octets;
mod place;
mod settings;
mod write;

use std::path::Path;

use ldap3::Scope;

use self::connection::{Conn, Login};
use super::{DirectoryError, SessionEnd};
use crate::secret::password::PasswordForm;
use crate::secret::replacement::Scheme;

pub use error::{EntryFault, LdapFault};
pub use settings::{LdapDirectorySettings, LdapScope};

/// The assertion control (RFC 4528), by which a modification is a compare-and-set.
const ASSERTION: &str = "1.3.6.1.1.12";

/// The entry that marks a copy for rehearsals, below the base.
const MARKER: &str = "cn=forthwith-rehearsal";

/// An LDAP server.
#[derive(Debug)]
pub struct LdapDirectory {
    login: Login,
    base: String,
    scope: Scope,
    filter: String,
    account: String,
    password: String,
    changed_at: Option<String>,
    scheme: Scheme,
    form: PasswordForm,
    ends_sessions: SessionEnd,
    batch: usize,
    concurrency: usize,
    own_account: Option<String>,
}

impl LdapDirectory {
    /// Logs in once, and looks whether the server can do what is needed.
    pub async fn open(
        settings: &LdapDirectorySettings,
        workspace: &Path,
    ) -> Result<Self, DirectoryError> {
        if let Some((key, said)) = settings.faults().into_iter().next() {
            return Err(LdapFault::Setting { key, said }.into());
        }
        let mut directory = Self {
            login: Login::parse(settings, workspace)?,
            base: settings.base.clone(),
            scope: match settings.scope {
                LdapScope::Subtree => Scope::Subtree,
                LdapScope::OneLevel => Scope::OneLevel,
            },
            filter: settings.filter.clone().unwrap_or_else(|| "(objectClass=*)".to_owned()),
            account: settings.account.clone(),
            password: settings.password.clone(),
            changed_at: settings.changed_at.clone(),
            scheme: settings.scheme,
            form: settings.form,
            ends_sessions: settings
                .lapse_within
                .map_or(SessionEnd::Unknown, SessionEnd::LapseWithin),
            batch: settings.batch,
            concurrency: settings.concurrency,
            own_account: None,
        };
        let conn = directory.login.open().await?;
        if !offers_assertions(&conn).await? {
            return Err(LdapFault::NoAssertion { place: directory.login.name() }.into());
        }
        directory.own_account = directory.own_account(&conn).await?;
        conn.close().await;
        Ok(directory)
    }
}

async fn offers_assertions(conn: &Conn) -> Result<bool, LdapFault> {
    let place = ("", Scope::Base, "(objectClass=*)");
    let found = conn.search("asking what it can do", place, &["supportedControl"], 1).await?;
    let offered = found.into_iter().flatten().flat_map(|entry| entry.attrs).flat_map(|of| of.1);
    Ok(offered.into_iter().any(|control| control == ASSERTION))
}
