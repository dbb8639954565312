//! The token that stands for us: asked for by our client's secret, kept until shortly before it lapses, and
//! asked for anew when the server no longer takes it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::ACCEPT;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use super::TABLE;
use crate::directory::rest::{Line, RestFault};
use crate::secret::directory::DirectoryPassword;

const ASKING: &str = "asking for a token";

/// How long before it lapses a token is given up: a request may be under way that long.
const MARGIN: Duration = Duration::from_secs(10);

/// Who we are.
pub(super) struct Identity {
    /// The realm's token endpoint.
    pub url: Url,
    pub client_id: String,
    pub secret_file: PathBuf,
    held: Mutex<Option<Held>>,
}

struct Held {
    token: Token,
    until: Instant,
}

/// A bearer token; never shown.
#[derive(Clone)]
pub(super) struct Token(std::sync::Arc<Zeroizing<String>>);

impl Token {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// The answer of a token endpoint (RFC 6749, section 5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: Zeroizing<String>,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Identity {
    pub(super) fn new(url: Url, client_id: String, secret_file: PathBuf) -> Self {
        Self { url, client_id, secret_file, held: Mutex::new(None) }
    }

    /// The token to show. `refused` is one that the server did not take: it is never shown again, and of
    /// many that found this out at once one asks for the next.
    pub(super) async fn token(
        &self,
        line: &Line,
        client: &Client,
        refused: Option<&Token>,
    ) -> Result<Token, RestFault> {
        let mut held = self.held.lock().await;
        if let Some(known) = held.as_ref() {
            let is_refused = refused.is_some_and(|token| token.expose() == known.token.expose());
            if !is_refused && Instant::now() < known.until {
                return Ok(known.token.clone());
            }
        }
        let granted = self.ask(line, client).await?;
        let life = Duration::from_secs(granted.expires_in.unwrap_or(60));
        // a very short life leaves no room for the margin: half of it then
        let until = Instant::now() + life.saturating_sub(MARGIN.min(life / 2));
        let token = Token(std::sync::Arc::new(granted.access_token));
        *held = Some(Held { token: token.clone(), until });
        Ok(token)
    }

    /// By our id and secret in the header, as RFC 6749 (section 2.3.1) has it, each form-encoded.
    async fn ask(&self, line: &Line, client: &Client) -> Result<Granted, RestFault> {
        let key = "directory.keycloak.secret_file";
        let secret = DirectoryPassword::read(&self.secret_file, key)?;
        let encoded = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let (id, secret) = (encoded(&self.client_id), Zeroizing::new(encoded(secret.expose())));
        let build = || {
            client
                .post(self.url.clone())
                .header(ACCEPT, "application/json")
                .basic_auth(&id, Some(secret.as_str()))
                .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body("grant_type=client_credentials")
        };
        let answer =
            line.send(build).await.map_err(|trouble| RestFault::of(TABLE, ASKING, trouble))?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map_err(|_| RestFault::Unreadable { table: TABLE, doing: ASKING }),
            status @ (400 | 401 | 403) => {
                Err(RestFault::Forbidden { table: TABLE, doing: ASKING, status })
            }
            status => Err(RestFault::Status { table: TABLE, doing: ASKING, status }),
        }
    }
}
