//! A password in place of another. Keycloak has no compare-and-set: what is there is read and compared right
//! before it is overwritten, by two requests.

use reqwest::{Client, Method};
use serde::Serialize;
use zeroize::Zeroizing;

use super::credential::{NewPassword, new_password};
use super::server::{Ask, unexpected};
use super::{Keycloak, TABLE};
use crate::directory::Replacement;
use crate::directory::rest::{RestFault, Written};

const DOING: &str = "replacing a password";

/// The action that makes somebody choose a password at the next log-in.
const CHOOSE_ANEW: &str = "UPDATE_PASSWORD";

/// A change of a user (`UserRepresentation`). What is left out stays as it is; of the actions, those that are
/// left out of a list that is there are removed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Change<'a> {
    credentials: [NewPassword; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    required_actions: Option<Vec<&'a str>>,
}

impl Keycloak {
    pub(super) async fn replace_password(
        &self,
        client: &Client,
        row: &Replacement,
        is_chosen: bool,
    ) -> Result<Written, RestFault> {
        let Some(user) = self.user(client, &row.account).await.map_err(|not| not.at(0))? else {
            return Ok(Written::Moved);
        };
        if user.is_kept_elsewhere() {
            return Ok(Written::Moved);
        }
        let Some(Some(held)) = self.credential(client, &user.id).await? else {
            return Ok(Written::Moved);
        };
        if held.version().shown() != row.current {
            return Ok(Written::Moved);
        }
        let how = held.how.as_deref().filter(|how| !how.trim().is_empty());
        let unreadable = || RestFault::Unreadable { table: TABLE, doing: DOING };
        let password = new_password(&row.replacement, how).ok_or_else(unreadable)?;
        // else whoever chose a password in the portal would have to choose another at once
        let others = user.required_actions.iter().map(String::as_str);
        let is_asked =
            is_chosen && user.required_actions.iter().any(|action| action == CHOOSE_ANEW);
        let required_actions =
            is_asked.then(|| others.filter(|action| *action != CHOOSE_ANEW).collect());
        let change = Change { credentials: [password], required_actions };
        let body = serde_json::to_vec(&change).map(Zeroizing::new).map_err(|_| unreadable())?;
        let path = ["users", user.id.as_str()];
        let ask = Ask { method: Method::PUT, body: Some(body), ..Ask::get(DOING, &path) };
        match self.server.ask(client, &ask).await?.status {
            204 => Ok(Written::Done),
            404 => Ok(Written::Moved),
            // about this user: a profile that is not as it must be, rights, a name that is another's too
            status @ (400 | 403 | 409) => Ok(Written::Refused(status)),
            status => Err(unexpected(DOING, status)),
        }
    }
}
