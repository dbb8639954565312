//! One request to the admin API, under our token.

use std::path::Path;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Method};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use super::TABLE;
use super::settings::{KeycloakDirectorySettings, place};
use super::token::Identity;
use crate::directory::rest::{Answered, Line, LineSettings, RestFault};

/// The realm attribute that marks a copy for rehearsals.
const MARKER: &str = "forthwith-rehearsal";

/// How often one request asks for another token: the first may have lapsed, and the next may lapse while its
/// turn comes.
const RENEWALS: u32 = 2;

/// A realm's admin API.
pub(super) struct Server {
    pub(super) line: Line,
    realm: Url,
    identity: Identity,
}

/// A request.
pub(super) struct Ask<'a> {
    pub doing: &'static str,
    pub method: Method,
    /// Below the realm, a segment each.
    pub path: &'a [&'a str],
    pub query: &'a [(&'a str, &'a str)],
    /// JSON, where there is any.
    pub body: Option<Zeroizing<Vec<u8>>>,
}

impl<'a> Ask<'a> {
    /// Looks something up.
    pub(super) fn get(doing: &'static str, path: &'a [&'a str]) -> Self {
        Self { doing, method: Method::GET, path, query: &[], body: None }
    }
}

impl Server {
    pub(super) fn parse(
        settings: &KeycloakDirectorySettings,
        base: &Path,
    ) -> Result<Self, RestFault> {
        let wrong =
            |said: &str| RestFault::Setting { table: TABLE, key: "url", said: said.to_owned() };
        let url = place(&settings.url).map_err(wrong)?;
        let below = |path: &[&str]| {
            let mut found = url.clone();
            found
                .path_segments_mut()
                .map_err(|()| wrong("cannot be read; hint: \"https://id.brand.example\""))?
                .pop_if_empty()
                .extend(path);
            Ok::<Url, RestFault>(found)
        };
        let login_realm = settings.login_realm.as_deref().unwrap_or(&settings.realm);
        let token = below(&["realms", login_realm, "protocol", "openid-connect", "token"])?;
        let realm = below(&["admin", "realms", &settings.realm])?;
        let authorities = settings.authorities.as_ref().map(|path| base.join(path));
        let line = Line::new(&LineSettings {
            table: TABLE,
            url: &url,
            authorities: authorities.as_deref(),
            authorities_key: "directory.keycloak.authorities",
            load: settings.load(),
        })?;
        let secret_file = base.join(&settings.secret_file);
        let identity = Identity::new(token, settings.client_id.clone(), secret_file);
        Ok(Self { line, realm, identity })
    }

    /// Asks; the answer with whatever status but 401, upon which a token is asked for anew, a few times.
    pub(super) async fn ask(&self, client: &Client, ask: &Ask<'_>) -> Result<Answered, RestFault> {
        let url = self.url(ask);
        let (mut refused, mut renewals) = (None, 0);
        loop {
            let token = self.identity.token(&self.line, client, refused.as_ref()).await?;
            let build = || {
                let request = client
                    .request(ask.method.clone(), url.clone())
                    .header(ACCEPT, "application/json")
                    .bearer_auth(token.expose());
                match &ask.body {
                    Some(body) => {
                        request.header(CONTENT_TYPE, "application/json").body(body.to_vec())
                    }
                    None => request,
                }
            };
            let answer = self.line.send(build).await;
            let answer = answer.map_err(|trouble| RestFault::of(TABLE, ask.doing, trouble))?;
            match answer.status {
                401 if renewals < RENEWALS => (refused, renewals) = (Some(token), renewals + 1),
                status @ 401 => {
                    return Err(RestFault::Forbidden { table: TABLE, doing: ask.doing, status });
                }
                _ => return Ok(answer),
            }
        }
    }

    /// Looks something up; `None` where it is not there (404).
    pub(super) async fn look_up<T: DeserializeOwned>(
        &self,
        client: &Client,
        ask: &Ask<'_>,
    ) -> Result<Option<T>, RestFault> {
        let answer = self.ask(client, ask).await?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map(Some)
                .map_err(|_| RestFault::Unreadable { table: TABLE, doing: ask.doing }),
            404 => Ok(None),
            status => Err(unexpected(ask.doing, status)),
        }
    }

    fn url(&self, ask: &Ask<'_>) -> Url {
        let mut url = self.realm.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(ask.path);
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(ask.query);
        }
        url
    }

    /// The database id in the realm's attribute. Whoever may not see the realm is told its name alone, and
    /// must not take that for a realm without a marker.
    pub(super) async fn marker(&self, client: &Client) -> Result<Option<String>, RestFault> {
        let doing = "looking for the marker";
        let realm: Option<Realm> = self.look_up(client, &Ask::get(doing, &[])).await?;
        let Some(Realm { id, attributes }) = realm else {
            return Err(RestFault::Status { table: TABLE, doing, status: 404 });
        };
        if id.is_none() {
            return Err(RestFault::Forbidden { table: TABLE, doing, status: 403 });
        }
        Ok(attributes.and_then(|mut all| all.remove(MARKER)))
    }
}

/// A realm, as far as it matters here.
#[derive(Deserialize)]
struct Realm {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    attributes: Option<std::collections::HashMap<String, String>>,
}

/// A status that nothing was agreed about.
pub(super) fn unexpected(doing: &'static str, status: u16) -> RestFault {
    match status {
        401 | 403 => RestFault::Forbidden { table: TABLE, doing, status },
        status => RestFault::Status { table: TABLE, doing, status },
    }
}
