//! One request to the admin API, under the token of whatever guards it.

use std::path::{Path, PathBuf};

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, Method};
use serde::de::DeserializeOwned;
use url::Url;
use zeroize::Zeroizing;

use super::TABLE;
use super::settings::{KratosDirectorySettings, place};
use crate::directory::rest::{Answered, Line, LineSettings, RestFault};
use crate::secret::directory::DirectoryPassword;

/// An admin API.
pub(super) struct Server {
    pub(super) line: Line,
    pub(super) admin: Url,
    token_file: Option<PathBuf>,
}

/// A request.
pub(super) struct Ask<'a> {
    pub doing: &'static str,
    pub method: Method,
    /// Below `/admin`, a segment each.
    pub path: &'a [&'a str],
    pub query: Vec<(&'a str, String)>,
    /// JSON, where there is any.
    pub body: Option<Zeroizing<Vec<u8>>>,
}

impl<'a> Ask<'a> {
    /// Looks something up.
    pub(super) fn get(doing: &'static str, path: &'a [&'a str]) -> Self {
        Self { doing, method: Method::GET, path, query: Vec::new(), body: None }
    }
}

impl Server {
    pub(super) fn parse(
        settings: &KratosDirectorySettings,
        base: &Path,
    ) -> Result<Self, RestFault> {
        let wrong =
            |said: &str| RestFault::Setting { table: TABLE, key: "url", said: said.to_owned() };
        let url = place(&settings.url).map_err(wrong)?;
        let mut admin = url.clone();
        admin
            .path_segments_mut()
            .map_err(|()| wrong("cannot be read; hint: \"https://kratos-admin.brand.example\""))?
            .pop_if_empty()
            .push("admin");
        let authorities = settings.authorities.as_ref().map(|path| base.join(path));
        let line = Line::new(&LineSettings {
            table: TABLE,
            url: &url,
            authorities: authorities.as_deref(),
            authorities_key: "directory.kratos.authorities",
            load: settings.load(),
        })?;
        let token_file = settings.token_file.as_ref().map(|path| base.join(path));
        let server = Self { line, admin, token_file };
        server.token()?;
        Ok(server)
    }

    /// Read anew for each request, so that it can be changed while a pass runs.
    fn token(&self) -> Result<Option<DirectoryPassword>, RestFault> {
        let key = "directory.kratos.token_file";
        let read = |path: &PathBuf| DirectoryPassword::read(path, key);
        Ok(self.token_file.as_ref().map(read).transpose()?)
    }

    /// Asks; the answer with whatever status but those of a guard.
    pub(super) async fn ask(&self, client: &Client, ask: &Ask<'_>) -> Result<Answered, RestFault> {
        let mut url = self.admin.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(ask.path);
        }
        if !ask.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&ask.query);
        }
        let token = self.token()?;
        let build = || {
            let mut request =
                client.request(ask.method.clone(), url.clone()).header(ACCEPT, "application/json");
            if let Some(token) = &token {
                request = request.bearer_auth(token.expose());
            }
            match &ask.body {
                Some(body) => request.header(CONTENT_TYPE, "application/json").body(body.to_vec()),
                None => request,
            }
        };
        let answer = self.line.send(build).await;
        let answer = answer.map_err(|trouble| RestFault::of(TABLE, ask.doing, trouble))?;
        match answer.status {
            status @ (401 | 403) => {
                Err(RestFault::Forbidden { table: TABLE, doing: ask.doing, status })
            }
            _ => Ok(answer),
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
            200 => read(ask.doing, &answer).map(Some),
            404 => Ok(None),
            status => Err(RestFault::Status { table: TABLE, doing: ask.doing, status }),
        }
    }
}

/// An answer's body.
pub(super) fn read<T: DeserializeOwned>(
    doing: &'static str,
    answer: &Answered,
) -> Result<T, RestFault> {
    serde_json::from_slice(&answer.body).map_err(|_| RestFault::Unreadable { table: TABLE, doing })
}
