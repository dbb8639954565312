//! The directory as a realm of Keycloak, by its admin REST API.
//!
//! Paths, queries, bodies and statuses are those of the published client types
//! (`@keycloak/keycloak-admin-client` 26.7.4: `resources/users`, `resources/realms`, `utils/auth`) and of the server
//! behind them (`UserResource`, `RepresentationToModel.createCredentials`, `PasswordCredentialProvider`,
//! `JpaUserCredentialStore`). No Keycloak ran in our tests: `docs/directories.md` says what that means.
//!
//! Keycloak gives no hash back. What is compared is when a password was made and the label beside it
//! (`credential::Version`); both are replaced together with the password, in one request.

mod credential;
mod server;
mod sessions;
mod settings;
mod token;
mod user;
mod write;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Client;

use self::server::Server;
use super::rest::{Backend, Bounds, Found, Line, RestFault, Served, Trial, Written};
use super::{Chosen, Current, DirectoryError, Replacement, concurrent};
use crate::domain::clock::Clock;
use crate::secret::password::PasswordForm;
use crate::secret::replacement::{Scheme, SecretValue};

pub use settings::{KeycloakAccount, KeycloakDirectorySettings};

const TABLE: &str = "directory.keycloak";

/// A realm of Keycloak.
pub type KeycloakDirectory = Served<Keycloak>;

/// A realm, and how its users are named.
pub struct Keycloak {
    server: Server,
    account: KeycloakAccount,
    form: PasswordForm,
    bounds: Bounds,
    clock: Arc<dyn Clock>,
    own_account: Option<String>,
}

impl KeycloakDirectory {
    /// Logs in once, and looks who we are there.
    pub async fn open(
        settings: &KeycloakDirectorySettings,
        workspace: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, DirectoryError> {
        if let Some((key, said)) = settings.faults().into_iter().next() {
            return Err(RestFault::Setting { table: TABLE, key, said }.into());
        }
        let mut keycloak = Keycloak {
            server: Server::parse(settings, workspace)?,
            account: settings.account,
            form: settings.form,
            bounds: Bounds { batch: settings.batch, concurrency: settings.concurrency },
            clock,
            own_account: None,
        };
        // the user that Keycloak makes of a client with a service account
        let own = format!("service-account-{}", settings.client_id.to_lowercase());
        let client = keycloak.server.line.lasting();
        let user = keycloak.by_username(&client, &own).await.map_err(user::Lookup::fault)?;
        keycloak.own_account = match settings.account {
            KeycloakAccount::Username => Some(own),
            KeycloakAccount::Id => user.map(|user| user.id),
        };
        Ok(Served(keycloak))
    }
}

impl Keycloak {
    async fn found_one(
        &self,
        client: &Client,
        (at, account): (usize, &String),
        with_sessions: bool,
    ) -> Result<Option<Found>, RestFault> {
        let Some(user) = self.user(client, account).await.map_err(|not| not.at(at))? else {
            return Ok(None);
        };
        let Some((value, changed_at)) = self.password(client, &user).await? else {
            return Ok(None);
        };
        let sessions = if with_sessions {
            match self.sessions(client, &user.id).await? {
                Some(all) => all.count(),
                None => return Ok(None),
            }
        } else {
            0
        };
        let current = Current { account: account.clone(), value, sessions, changed_at };
        Ok(Some(Found { id: user.id, current }))
    }
}

#[async_trait]
impl Backend for Keycloak {
    const TABLE: &'static str = TABLE;
    const TELLS_CHANGE_TIME: bool = true;

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
        let parts =
            accounts.iter().enumerate().map(|one| self.found_one(client, one, with_sessions));
        let found = concurrent::all(parts.collect(), self.bounds.concurrency).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn change(
        &self,
        client: &Client,
        row: &Replacement,
        is_chosen: bool,
    ) -> Result<Written, RestFault> {
        self.replace_password(client, row, is_chosen).await
    }

    async fn end(&self, client: &Client, account: &str) -> Result<Written, RestFault> {
        match self.user(client, account).await.map_err(|not| not.at(0))? {
            Some(user) => self.end_sessions_of(client, &user.id).await,
            None => Ok(Written::Moved),
        }
    }

    async fn rehearse(&self, client: &Client, row: &Replacement) -> Result<Trial, RestFault> {
        let user = self.user(client, &row.account).await.map_err(|not| not.at(0))?;
        let is_refused = user.is_some_and(|user| user.access.manage == Some(false));
        Ok(if is_refused { Trial::Refused(403) } else { Trial::Well })
    }

    async fn marker(&self, client: &Client) -> Result<Option<String>, RestFault> {
        self.server.marker(client).await
    }

    fn scheme(&self) -> Scheme {
        Scheme::Keycloak
    }

    fn form(&self) -> PasswordForm {
        self.form
    }

    fn chosen(&self, hashed: SecretValue) -> Chosen {
        credential::dated(&hashed, self.clock.now()).unwrap_or_else(|| Chosen::as_it_is(hashed))
    }

    fn own_account(&self) -> Option<String> {
        self.own_account.clone()
    }
}
