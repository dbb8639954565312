//! The wall between rehearsal and the living (promise 14, protocol §2 "Rehearsal marker").

use super::{Engine, EngineError};
use crate::directory::Directory;
use crate::directory::http::HttpDirectory;
use crate::directory::keycloak::KeycloakDirectory;
use crate::directory::kratos::KratosDirectory;
use crate::directory::ldap::LdapDirectory;
use crate::directory::sql::SqlDirectory;
use crate::domain::loopback::{is_loopback_host, leads_elsewhere};
use crate::domain::track::Environment;
use crate::engine::campaign_file::{Adapter, DirectorySection, elsewhere};
use crate::mail::settings::is_this_machine;

impl Engine {
    /// Opens a directory for a campaign of this environment, if it is of the same world.
    pub async fn open_directory(
        &self,
        section: &DirectorySection,
        environment: Environment,
    ) -> Result<Box<dyn Directory>, EngineError> {
        let adapter = section.adapter().ok_or_else(|| {
            EngineError::refused(format!(
                "directory `{}` does not say what it is; hint: add [directory.sql], [directory.ldap], \
                 [directory.keycloak], [directory.kratos] or [directory.http]",
                section.name
            ))
        })?;
        if environment == Environment::Rehearsal
            && let Some(place) = leads_elsewhere(adapter.url())
        {
            return Err(EngineError::refused(elsewhere(&format!("{}.url", adapter.key()), &place)));
        }
        let (root, clock) = (self.workspace.root(), std::sync::Arc::clone(&self.clock));
        let directory: Box<dyn Directory> = match adapter {
            Adapter::Sql(sql) => Box::new(Box::pin(SqlDirectory::open(sql, root)).await?),
            Adapter::Ldap(ldap) => Box::new(Box::pin(LdapDirectory::open(ldap, root)).await?),
            Adapter::Http(http) => {
                Box::new(Box::pin(HttpDirectory::open(http, root, clock)).await?)
            }
            Adapter::Keycloak(keycloak) => {
                Box::new(Box::pin(KeycloakDirectory::open(keycloak, root, clock)).await?)
            }
            Adapter::Kratos(kratos) => Box::new(KratosDirectory::open(kratos, root)?),
        };
        self.check_marker(directory.as_ref(), section, adapter, environment).await?;
        Ok(directory)
    }

    /// The statements that make a directory one for rehearsals of this workspace.
    pub async fn marker(&self) -> Result<[String; 2], EngineError> {
        Ok(marking(&self.store.identity().await?.database_id.to_string()))
    }

    /// The entry that makes an LDAP directory one for rehearsals of this workspace, as LDIF.
    pub async fn marker_entry(&self, base: &str) -> Result<String, EngineError> {
        let mine = self.store.identity().await?.database_id;
        Ok(format!(
            "dn: {MARKER_ENTRY},{base}\nobjectClass: applicationProcess\ncn: forthwith-rehearsal\n\
             description: {mine}"
        ))
    }

    async fn check_marker(
        &self,
        directory: &dyn Directory,
        section: &DirectorySection,
        adapter: Adapter<'_>,
        environment: Environment,
    ) -> Result<(), EngineError> {
        let name = &section.name;
        let mine = self.store.identity().await?.database_id.to_string();
        let marker = directory.rehearsal_marker().await?;
        match (environment, marker) {
            (Environment::Rehearsal, Some(marker)) if marker == mine => Ok(()),
            (Environment::Rehearsal, Some(_)) => Err(EngineError::refused(format!(
                "directory `{name}` carries the rehearsal marker of another workspace; \
                 hint: {}",
                marked_otherwise(adapter, &mine)
            ))),
            (Environment::Rehearsal, None) => Err(EngineError::refused(format!(
                "directory `{name}` carries no rehearsal marker, so a rehearsal does not touch it; \
                 hint: on a copy, never on the living: {}",
                unmarked(adapter, &mine)
            ))),
            (Environment::Live, None) => Ok(()),
            (Environment::Live, Some(_)) => Err(EngineError::refused(format!(
                "directory `{name}` carries a rehearsal marker, so a live campaign does not touch \
                 it; hint: name the living directory, or set environment = \"rehearsal\""
            ))),
        }
    }

    /// A rehearsal's relay is this machine by its name alone: asking a name server about a relay of the
    /// living would be a touch already.
    pub fn check_relay_named(&self, environment: Environment) -> Result<(), EngineError> {
        if environment == Environment::Live || is_loopback_host(&self.relay.host) {
            return Ok(());
        }
        Err(EngineError::refused(format!(
            "a rehearsal sends to loopback only, and relay.host is `{}`; hint: start `forthwith sink` \
             and set relay.host = \"127.0.0.1\"",
            self.relay.host
        )))
    }

    /// A rehearsal's relay resolves to loopback only.
    pub async fn check_relay(&self, environment: Environment) -> Result<(), EngineError> {
        if environment == Environment::Live {
            return Ok(());
        }
        self.check_relay_named(environment)?;
        let place = format!("{}:{}", self.relay.host, self.relay.port);
        let resolved = tokio::net::lookup_host(&place).await.map_err(|error| {
            EngineError::refused(format!(
                "relay `{place}` does not resolve: {error}; hint: set relay.host"
            ))
        })?;
        for address in resolved {
            if !is_this_machine(address) {
                return Err(EngineError::refused(format!(
                    "a rehearsal sends to loopback only, and relay `{}` resolves to {}; \
                     hint: start `forthwith sink` and set relay.host = \"127.0.0.1\"",
                    self.relay.host,
                    address.ip()
                )));
            }
        }
        Ok(())
    }
}

/// The entry of an LDAP directory for rehearsals, below its base.
const MARKER_ENTRY: &str = "cn=forthwith-rehearsal";

/// How a directory that another workspace marked becomes one of this workspace's.
fn marked_otherwise(adapter: Adapter<'_>, mine: &str) -> String {
    match adapter {
        Adapter::Sql(_) => {
            format!("its table `forthwith_rehearsal` must hold database_id '{mine}'")
        }
        Adapter::Ldap(_) => {
            format!("the description of its entry `{MARKER_ENTRY}` must be {mine}")
        }
        Adapter::Http(_) => format!("its `rehearsal` must be \"{mine}\""),
        Adapter::Keycloak(_) => {
            format!("the realm's attribute `forthwith-rehearsal` must be {mine}")
        }
        Adapter::Kratos(_) => format!(
            "the admin metadata of the identity whose external id is forthwith-rehearsal must be \
             {{\"forthwith_rehearsal\": \"{mine}\"}}"
        ),
    }
}

/// How a directory becomes one for rehearsals.
fn unmarked(adapter: Adapter<'_>, mine: &str) -> String {
    match adapter {
        Adapter::Sql(_) => {
            format!("{}, as `forthwith directory marker` prints it", marking(mine).join("; "))
        }
        Adapter::Ldap(_) => format!(
            "an entry `{MARKER_ENTRY}` below directory.ldap.base, as `forthwith directory marker --ldap \
             BASE` prints it"
        ),
        Adapter::Http(_) => {
            format!("let the endpoint answer `capabilities` with \"rehearsal\": \"{mine}\"")
        }
        Adapter::Keycloak(_) => format!(
            "kcadm.sh update realms/REALM -s 'attributes.\"forthwith-rehearsal\"=\"{mine}\"'"
        ),
        Adapter::Kratos(_) => format!(
            "create an identity with \"external_id\": \"forthwith-rehearsal\" and \"metadata_admin\": \
             {{\"forthwith_rehearsal\": \"{mine}\"}}"
        ),
    }
}

/// A table with one row, this database's id.
fn marking(database_id: &str) -> [String; 2] {
    [
        "CREATE TABLE forthwith_rehearsal (database_id TEXT)".into(),
        format!("INSERT INTO forthwith_rehearsal VALUES ('{database_id}')"),
    ]
}
