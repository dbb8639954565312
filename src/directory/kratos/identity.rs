//! Who an account is there, and the hash of their password.

use std::collections::HashMap;

use reqwest::Client;
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::server::Ask;
use super::{Kratos, KratosAccount, TABLE};
use crate::directory::concurrent;
use crate::directory::rest::RestFault;
use crate::secret::replacement::{KEPT_ELSEWHERE, SecretValue};

const DOING: &str = "looking identities up";
const COUNTING: &str = "counting sessions";

/// Ids in one request: Kratos takes 500, and proxies on the way about 8,000 octets.
const IDS: usize = 100;

/// Sessions in one page.
const PAGE: &str = "250";

/// The identity that marks a copy for rehearsals, by its external id.
const MARKER: &str = "forthwith-rehearsal";

/// An identity, as far as it matters here (`Identity` of the client types).
#[derive(Debug, Deserialize)]
pub(super) struct Identity {
    pub id: String,
    #[serde(default)]
    credentials: Option<HashMap<String, Credential>>,
    #[serde(default)]
    metadata_admin: Option<serde_json::Value>,
}

/// `IdentityCredentials`; only a password comes with what is in it.
#[derive(Debug, Deserialize)]
struct Credential {
    #[serde(default)]
    identifiers: Option<Vec<String>>,
    #[serde(default)]
    config: Option<PasswordConfig>,
}

/// `IdentityCredentialsPassword`.
#[derive(Debug, Deserialize)]
struct PasswordConfig {
    #[serde(default)]
    hashed_password: Option<Zeroizing<String>>,
    #[serde(default)]
    use_password_migration_hook: bool,
}

/// `Session` of the client types.
#[derive(Debug, Deserialize)]
struct Session {
    #[serde(default)]
    active: Option<bool>,
}

impl Identity {
    /// Whether it came without its credentials: older servers list identities so, and to whoever takes that for
    /// none nobody would have a password.
    fn is_bare(&self) -> bool {
        let Some(all) = &self.credentials else { return true };
        all.get("password").is_some_and(|password| password.config.is_none())
    }

    /// The hash of the password.
    pub(super) fn into_password(self) -> Result<Option<SecretValue>, RestFault> {
        let password = self.credentials.and_then(|mut all| all.remove("password"));
        let Some(password) = password else { return Ok(None) };
        let config = password.config.ok_or(RestFault::Unreadable { table: TABLE, doing: DOING })?;
        Ok(match config.hashed_password {
            Some(mut hash) if !hash.is_empty() => {
                Some(SecretValue::new(std::mem::take(&mut *hash)))
            }
            // a webhook asks the store that the password is still to come from
            _ if config.use_password_migration_hook => {
                Some(SecretValue::new(KEPT_ELSEWHERE.to_owned()))
            }
            _ => None,
        })
    }

    fn goes_by(&self, name: &str) -> bool {
        let all = self.credentials.iter().flat_map(HashMap::values);
        let mut names = all.flat_map(|one| one.identifiers.iter().flatten());
        names.any(|known| known.trim().to_lowercase() == name.trim().to_lowercase())
    }
}

/// Whether it is an id as Kratos writes them.
fn is_id(account: &str) -> bool {
    Uuid::parse_str(account).is_ok_and(|id| id.to_string() == account)
}

impl Kratos {
    /// The identities that accounts name, with their credentials, in the order asked.
    pub(super) async fn identities(
        &self,
        client: &Client,
        accounts: &[String],
    ) -> Result<Vec<(String, Identity)>, RestFault> {
        match self.account {
            KratosAccount::Id => self.by_ids(client, accounts).await,
            KratosAccount::Identifier => {
                let one = async |(at, account): (usize, &String)| {
                    let found = self.by_identifier(client, at, account).await?;
                    Ok::<_, RestFault>(found.map(|identity| (account.clone(), identity)))
                };
                let parts = accounts.iter().enumerate().map(one);
                let found = concurrent::all(parts.collect(), self.bounds.concurrency).await?;
                Ok(found.into_iter().flatten().collect())
            }
        }
    }

    async fn by_ids(
        &self,
        client: &Client,
        accounts: &[String],
    ) -> Result<Vec<(String, Identity)>, RestFault> {
        // one that is no UUID would have the whole request refused
        let ids: Vec<&String> = accounts.iter().filter(|account| is_id(account)).collect();
        let part = async |part: &[&String]| {
            let mut query: Vec<(&str, String)> =
                part.iter().map(|id| ("ids", (*id).clone())).collect();
            query.extend(with_passwords());
            let ask = Ask { query, ..Ask::get(DOING, &["identities"]) };
            self.server.list::<Identity>(client, ask).await
        };
        let parts = ids.chunks(IDS).map(part);
        let found = concurrent::all(parts.collect(), self.bounds.concurrency).await?;
        let mut known = HashMap::new();
        for identity in found.into_iter().flatten() {
            // a server that does not know the filter lists everybody
            if !ids.iter().any(|id| **id == identity.id) {
                return Err(RestFault::Unreadable { table: TABLE, doing: DOING });
            }
            let Some(identity) = self.whole(client, identity).await? else { continue };
            known.insert(identity.id.clone(), identity);
        }
        let in_order = ids.into_iter().filter_map(|id| Some((id.clone(), known.remove(id)?)));
        Ok(in_order.collect())
    }

    async fn by_identifier(
        &self,
        client: &Client,
        at: usize,
        account: &str,
    ) -> Result<Option<Identity>, RestFault> {
        if account.trim().is_empty() {
            return Ok(None);
        }
        let mut query = vec![("credentials_identifier", account.to_owned())];
        query.extend(with_passwords());
        let ask = Ask { query, ..Ask::get(DOING, &["identities"]) };
        let mut whole = Vec::new();
        for identity in self.server.list::<Identity>(client, ask).await? {
            whole.extend(self.whole(client, identity).await?);
        }
        let mut found = whole.into_iter().filter(|identity| identity.goes_by(account));
        match (found.next(), found.next()) {
            (identity, None) => Ok(identity),
            _ => Err(RestFault::Ambiguous { table: TABLE, place: at + 1 }),
        }
    }

    /// An identity with its credentials; `None` where it is gone by now.
    async fn whole(
        &self,
        client: &Client,
        identity: Identity,
    ) -> Result<Option<Identity>, RestFault> {
        if identity.is_bare() { self.by_id(client, &identity.id).await } else { Ok(Some(identity)) }
    }

    /// One identity, with what is in its password.
    pub(super) async fn by_id(
        &self,
        client: &Client,
        id: &str,
    ) -> Result<Option<Identity>, RestFault> {
        let path = ["identities", id];
        let query = vec![("include_credential", "password".to_owned())];
        self.server.look_up(client, &Ask { query, ..Ask::get(DOING, &path) }).await
    }

    /// The id of the identity that an account names.
    pub(super) async fn id_of(
        &self,
        client: &Client,
        account: &str,
    ) -> Result<Option<String>, RestFault> {
        match self.account {
            KratosAccount::Id => Ok(is_id(account).then(|| account.to_owned())),
            KratosAccount::Identifier => {
                Ok(self.by_identifier(client, 0, account).await?.map(|identity| identity.id))
            }
        }
    }

    /// An identity's sessions that are alive.
    pub(super) async fn sessions(&self, client: &Client, id: &str) -> Result<u64, RestFault> {
        let path = ["identities", id, "sessions"];
        let query = vec![("active", "true".to_owned()), ("page_size", PAGE.to_owned())];
        let ask = Ask { query, ..Ask::get(COUNTING, &path) };
        let all: Vec<Session> = self.server.list(client, ask).await?;
        Ok(all.iter().filter(|session| session.active != Some(false)).count() as u64)
    }

    /// The database id in the admin metadata of the identity that marks a copy.
    pub(super) async fn read_marker(&self, client: &Client) -> Result<Option<String>, RestFault> {
        let path = ["identities", "by", "external", MARKER];
        let doing = "looking for the marker";
        let found: Option<Identity> = self.server.look_up(client, &Ask::get(doing, &path)).await?;
        let Some(identity) = found else { return Ok(None) };
        let said = identity
            .metadata_admin
            .and_then(|mut all| all.get_mut("forthwith_rehearsal").map(serde_json::Value::take));
        match said {
            None => Ok(Some(String::new())),
            Some(serde_json::Value::String(id)) => Ok(Some(id)),
            Some(_) => Err(RestFault::Marker { table: TABLE }),
        }
    }
}

/// That passwords come along, and as they are now wherever that is a choice.
fn with_passwords() -> [(&'static str, String); 2] {
    [("include_credential", "password".to_owned()), ("consistency", "strong".to_owned())]
}
