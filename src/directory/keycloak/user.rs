//! Who an account is there.

use reqwest::Client;
use serde::Deserialize;

use super::server::Ask;
use super::{Keycloak, KeycloakAccount, TABLE};
use crate::directory::rest::RestFault;

const DOING: &str = "looking users up";

/// A user, as far as it matters here (`UserRepresentation`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub id: String,
    #[serde(default)]
    pub username: String,
    /// The store behind Keycloak that the user comes from.
    #[serde(default)]
    federation_link: Option<String>,
    #[serde(default)]
    pub required_actions: Vec<String>,
    #[serde(default)]
    pub access: Access,
}

/// What we may do with a user.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Access {
    #[serde(default)]
    pub manage: Option<bool>,
}

impl User {
    /// Whether the user's password is kept in a store behind Keycloak, such as LDAP: users who are not copied
    /// from there have an id that says so.
    pub(super) fn is_kept_elsewhere(&self) -> bool {
        self.federation_link.is_some() || self.id.starts_with("f:")
    }
}

/// Why an account is not one user.
pub(super) enum Lookup {
    /// It is several.
    Several,
    /// Nobody knows.
    Fault(RestFault),
}

impl Lookup {
    /// The fault, for the account at this place of a call, from 0.
    pub(super) fn at(self, place: usize) -> RestFault {
        match self {
            Self::Several => RestFault::Ambiguous { table: TABLE, place: place + 1 },
            Self::Fault(fault) => fault,
        }
    }

    /// The fault, where there is but one account.
    pub(super) fn fault(self) -> RestFault {
        self.at(0)
    }
}

impl Keycloak {
    /// The user that an account names.
    pub(super) async fn user(
        &self,
        client: &Client,
        account: &str,
    ) -> Result<Option<User>, Lookup> {
        match self.account {
            KeycloakAccount::Username => self.by_username(client, account).await,
            // such a path would lead to all users
            KeycloakAccount::Id if matches!(account, "" | "." | "..") => Ok(None),
            KeycloakAccount::Id => {
                let path = ["users", account];
                let found: Option<User> = self
                    .server
                    .look_up(client, &Ask::get(DOING, &path))
                    .await
                    .map_err(Lookup::Fault)?;
                Ok(found.filter(|user| user.id == account))
            }
        }
    }

    /// The user of this name. `exact` is what keeps Keycloak from searching for a part of it; names are kept in
    /// lower case.
    pub(super) async fn by_username(
        &self,
        client: &Client,
        name: &str,
    ) -> Result<Option<User>, Lookup> {
        if name.is_empty() {
            return Ok(None);
        }
        let query = [("username", name), ("exact", "true"), ("max", "2")];
        let ask = Ask { query: &query, ..Ask::get(DOING, &["users"]) };
        let found: Option<Vec<User>> =
            self.server.look_up(client, &ask).await.map_err(Lookup::Fault)?;
        let Some(found) = found else {
            let fault = RestFault::Status { table: TABLE, doing: DOING, status: 404 };
            return Err(Lookup::Fault(fault));
        };
        let wanted = name.to_lowercase();
        let mut found = found.into_iter().filter(|user| user.username.to_lowercase() == wanted);
        match (found.next(), found.next()) {
            (user, None) => Ok(user),
            _ => Err(Lookup::Several),
        }
    }
}
