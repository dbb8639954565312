//! The directory as an Ory Kratos, by its admin API.
//!
//! Paths, queries, bodies and statuses are those of the published client types (`@ory/kratos-client` 26.2.0:
//! `IdentityApi`) and of the server behind them (`identity/handler.go`, `session/handler.go`,
//! `persistence/sql`). No Kratos ran in our tests: `docs/directories.md` says what that means.
//!
//! Kratos gives hashes back (`include_credential=password`) and takes a JSON Patch (RFC 6902) of them, whose
//! `test` compares what it read itself right before it writes.

mod identity;
mod pages;
mod server;
mod settings;
mod write;

use std::path::Path;

use async_trait::async_trait;
use reqwest::Client;

use self::server::Server;
use super::rest::{Backend, Bounds, Found, Line, RestFault, Served, Trial, Written};
use super::{Current, DirectoryError, Replacement, concurrent};
use crate::secret::password::PasswordForm;
use crate::secret::replacement::Scheme;

pub use settings::{KratosAccount, KratosDirectorySettings};

const TABLE: &str = "directory.kratos";

/// An Ory Kratos.
pub type KratosDirectory = Served<Kratos>;

/// An Ory Kratos, and how its identities are named.
pub struct Kratos {
    server: Server,
    account: KratosAccount,
    form: PasswordForm,
    bounds: Bounds,
}

impl KratosDirectory {
    /// Reads the settings; whether the server is one is shown by the first request, which is for the marker.
    pub fn open(
        settings: &KratosDirectorySettings,
        workspace: &Path,
    ) -> Result<Self, DirectoryError> {
        if let Some((key, said)) = settings.faults().into_iter().next() {
            return Err(RestFault::Setting { table: TABLE, key, said }.into());
        }
        Ok(Served(Kratos {
            server: Server::parse(settings, workspace)?,
            account: settings.account,
            form: settings.form,
            bounds: Bounds { batch: settings.batch, concurrency: settings.concurrency },
        }))
    }
}

#[async_trait]
impl Backend for Kratos {
    const TABLE: &'static str = TABLE;
    /// `updated_at` of a credential moves whenever anything of its identity is written, and would tell of a
    /// password that nobody changed.
    const TELLS_CHANGE_TIME: bool = false;

    fn line(&self) -> &Line {
        &self.server.line
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }

    async fn found(
        &self,
        client: &Client,
        accounts: &[String],
        with_sessions: bool,
    ) -> Result<Vec<Found>, RestFault> {
        let identities = self.identities(client, accounts).await?;
        let counted = if with_sessions {
            let ids = identities.iter().map(|(_, identity)| self.sessions(client, &identity.id));
            concurrent::all(ids.collect(), self.bounds.concurrency).await?
        } else {
            vec![0; identities.len()]
        };
        let mut found = Vec::with_capacity(identities.len());
        for ((account, identity), sessions) in identities.into_iter().zip(counted) {
            let (id, value) = (identity.id.clone(), identity.into_password()?);
            let current = Current { account, value, sessions, changed_at: None };
            found.push(Found { id, current });
        }
        Ok(found)
    }

    async fn change(
        &self,
        client: &Client,
        row: &Replacement,
        _: bool,
    ) -> Result<Written, RestFault> {
        self.replace_password(client, row).await
    }

    async fn end(&self, client: &Client, account: &str) -> Result<Written, RestFault> {
        match self.id_of(client, account).await? {
            Some(id) => self.end_sessions_of(client, &id).await,
            None => Ok(Written::Moved),
        }
    }

    async fn rehearse(&self, client: &Client, row: &Replacement) -> Result<Trial, RestFault> {
        self.try_stale(client, row).await
    }

    async fn marker(&self, client: &Client) -> Result<Option<String>, RestFault> {
        self.read_marker(client).await
    }

    fn scheme(&self) -> Scheme {
        Scheme::Detect
    }

    fn form(&self) -> PasswordForm {
        self.form
    }
}
