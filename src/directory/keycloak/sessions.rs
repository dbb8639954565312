//! A user's sessions: those of a browser, and those that an application keeps with an offline token.

use reqwest::{Client, Method};
use serde::Deserialize;

use super::Keycloak;
use super::server::{Ask, unexpected};
use crate::directory::rest::{RestFault, Written};

const COUNTING: &str = "counting sessions";
const ENDING: &str = "ending sessions";

/// A session (`UserSessionRepresentation`).
#[derive(Debug, Deserialize)]
struct Session {
    id: String,
}

/// What a user let an application do (`UserConsentRepresentation`). Of offline tokens it says which client has
/// any, by the client's id (`UserResource.toConsent`).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consent {
    #[serde(default)]
    additional_grants: Vec<Grant>,
}

#[derive(Debug, Deserialize)]
struct Grant {
    #[serde(default)]
    client: String,
}

/// A user's sessions.
pub(super) struct Sessions {
    online: usize,
    offline: Vec<String>,
}

impl Sessions {
    pub(super) fn count(&self) -> u64 {
        (self.online + self.offline.len()) as u64
    }
}

impl Keycloak {
    /// A user's sessions; `None` where the user is gone.
    pub(super) async fn sessions(
        &self,
        client: &Client,
        id: &str,
    ) -> Result<Option<Sessions>, RestFault> {
        let path = ["users", id, "sessions"];
        let online: Option<Vec<Session>> =
            self.server.look_up(client, &Ask::get(COUNTING, &path)).await?;
        let Some(online) = online else { return Ok(None) };
        let offline = self.offline_sessions(client, id).await?;
        Ok(Some(Sessions { online: online.len(), offline }))
    }

    async fn offline_sessions(&self, client: &Client, id: &str) -> Result<Vec<String>, RestFault> {
        let path = ["users", id, "consents"];
        let consents: Option<Vec<Consent>> =
            self.server.look_up(client, &Ask::get(COUNTING, &path)).await?;
        let grants = consents.into_iter().flatten().flat_map(|one| one.additional_grants);
        let mut found = Vec::new();
        for grant in grants.filter(|grant| !matches!(grant.client.as_str(), "" | "." | "..")) {
            let path = ["users", id, "offline-sessions", grant.client.as_str()];
            let of_client: Option<Vec<Session>> =
                self.server.look_up(client, &Ask::get(COUNTING, &path)).await?;
            found.extend(of_client.into_iter().flatten().map(|session| session.id));
        }
        Ok(found)
    }

    /// Logs a user out everywhere, which also makes Keycloak refuse whatever token was given before, and ends the
    /// offline sessions, which that leaves standing.
    pub(super) async fn end_sessions_of(
        &self,
        client: &Client,
        id: &str,
    ) -> Result<Written, RestFault> {
        let path = ["users", id, "logout"];
        let ask = Ask { method: Method::POST, ..Ask::get(ENDING, &path) };
        match self.server.ask(client, &ask).await?.status {
            204 => {}
            404 => return Ok(Written::Moved),
            status @ 403 => return Ok(Written::Refused(status)),
            status => return Err(unexpected(ENDING, status)),
        }
        for session in self.offline_sessions(client, id).await? {
            let (path, query) = (["sessions", session.as_str()], [("isOffline", "true")]);
            let ask = Ask { method: Method::DELETE, query: &query, ..Ask::get(ENDING, &path) };
            match self.server.ask(client, &ask).await?.status {
                204 | 404 => {}
                status @ 403 => return Ok(Written::Refused(status)),
                status => return Err(unexpected(ENDING, status)),
            }
        }
        Ok(Written::Done)
    }
}
