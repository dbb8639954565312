//! The one adapter that a section sets up, and how messages speak of it.

use crate::directory::http::HttpDirectorySettings;
use crate::directory::keycloak::KeycloakDirectorySettings;
use crate::directory::kratos::KratosDirectorySettings;
use crate::directory::ldap::LdapDirectorySettings;
use crate::directory::sql::SqlDirectorySettings;
use crate::domain::credential::CredentialKind;

/// The one adapter that a section sets up.
#[derive(Debug, Clone, Copy)]
pub enum Adapter<'a> {
    /// `[directory.sql]`.
    Sql(&'a SqlDirectorySettings),
    /// `[directory.ldap]`.
    Ldap(&'a LdapDirectorySettings),
    /// `[directory.http]`.
    Http(&'a HttpDirectorySettings),
    /// `[directory.keycloak]`.
    Keycloak(&'a KeycloakDirectorySettings),
    /// `[directory.kratos]`.
    Kratos(&'a KratosDirectorySettings),
}

impl<'a> Adapter<'a> {
    /// Its table in the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Sql(_) => "directory.sql",
            Self::Ldap(_) => "directory.ldap",
            Self::Http(_) => "directory.http",
            Self::Keycloak(_) => "directory.keycloak",
            Self::Kratos(_) => "directory.kratos",
        }
    }

    /// Where it leads.
    pub fn url(self) -> &'a str {
        match self {
            Self::Sql(settings) => &settings.url,
            Self::Ldap(settings) => &settings.url,
            Self::Http(settings) => &settings.url,
            Self::Keycloak(settings) => &settings.url,
            Self::Kratos(settings) => &settings.url,
        }
    }

    /// What expires a kind.
    pub fn expiry(self, kind: CredentialKind) -> String {
        match self {
            Self::Sql(_) => format!("directory.sql.{kind}.expire"),
            Self::Ldap(_) | Self::Http(_) | Self::Keycloak(_) | Self::Kratos(_) => {
                self.key().to_owned()
            }
        }
    }

    /// What to do where it does not expire a kind.
    pub fn for_kind(self, kind: CredentialKind) -> String {
        match self {
            Self::Sql(_) => format!("add [directory.sql.{kind}]"),
            Self::Ldap(_) => {
                "an LDAP directory holds passwords alone; end others where they are kept, and take them \
                 out of the incident's `credentials`"
                    .to_owned()
            }
            Self::Http(_) => format!("let the endpoint name {kind} among its `kinds`"),
            Self::Keycloak(_) | Self::Kratos(_) => {
                "an identity server holds passwords and sessions; end others where they are kept, and take \
                 them out of the incident's `credentials`"
                    .to_owned()
            }
        }
    }

    /// What to do where it cannot end sessions.
    pub fn for_sessions(self) -> &'static str {
        match self {
            Self::Sql(_) => "add directory.sql.sessions.end and .count",
            Self::Ldap(_) => {
                "end them where they are kept, and take them out of the incident's `credentials`"
            }
            Self::Http(_) => "let the endpoint say \"ends_sessions\": \"ended\"",
            Self::Keycloak(_) | Self::Kratos(_) => "update forthwith: this one ends them",
        }
    }

    /// What to do where it does not say when a value of a kind changed.
    pub fn for_change_time(self, kind: CredentialKind) -> String {
        match self {
            Self::Sql(_) => {
                format!("let directory.sql.{kind}.read return a column `changed_at`")
            }
            Self::Ldap(_) => "set directory.ldap.changed_at".to_owned(),
            Self::Http(_) => format!("let the endpoint name {kind} in `change_time`"),
            Self::Keycloak(_) => "update forthwith: this one knows it of passwords".to_owned(),
            Self::Kratos(_) => "there is none in Kratos".to_owned(),
        }
    }

    /// That it does not say when values of these kinds changed, as far as its text tells.
    pub fn silence(self, kinds: &[CredentialKind]) -> Option<String> {
        match self {
            Self::Sql(sql) => {
                let is_silent = |kind: &&CredentialKind| {
                    sql.statements(**kind).is_some_and(|of| !of.read.contains("changed_at"))
                };
                let silent: Vec<&str> =
                    kinds.iter().filter(is_silent).map(|kind| kind.word()).collect();
                let of = silent.join("|");
                (!silent.is_empty())
                    .then(|| format!("directory.sql.{of}.read returns no `changed_at`"))
            }
            Self::Ldap(ldap) => {
                ldap.changed_at.is_none().then(|| "directory.ldap.changed_at is not set".to_owned())
            }
            // the endpoint is asked when it is opened
            Self::Http(_) | Self::Keycloak(_) => None,
            Self::Kratos(_) => Some("directory.kratos tells no time of a change".to_owned()),
        }
    }
}
