//! One request and its answer: signed both ways, paced, and made again with the same id where no answer
//! came.

use std::path::Path;
use std::sync::Arc;

use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::HttpDirectorySettings;
use super::error::HttpFault;
use super::message::{AskedRow, Request};
use super::settings::place;
use crate::directory::rest::{Line, LineSettings};
use crate::domain::clock::Clock;
use crate::domain::credential::CredentialKind;
use crate::secret::webhook::WebhookKey;

const SIGNATURE: &str = "forthwith-signature";

/// How an endpoint is reached.
pub(super) struct Endpoint {
    url: Url,
    key: WebhookKey,
    line: Line,
    clock: Arc<dyn Clock>,
}

impl Endpoint {
    /// Reads the settings; relative paths start at `base`.
    pub(super) fn parse(
        settings: &HttpDirectorySettings,
        base: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HttpFault> {
        let url = place(&settings.url)
            .map_err(|said| HttpFault::Setting { key: "url", said: said.to_owned() })?;
        let key = WebhookKey::read(&base.join(&settings.key_file), "directory.http.key_file")?;
        let authorities = settings.authorities.as_ref().map(|path| base.join(path));
        let line = Line::new(&LineSettings {
            table: "directory.http",
            url: &url,
            authorities: authorities.as_deref(),
            authorities_key: "directory.http.authorities",
            load: settings.load(),
        })?;
        Ok(Self { url, key, line, clock })
    }

    /// A client whose connections are opened for this call.
    pub(super) fn fresh(&self) -> Result<Client, HttpFault> {
        Ok(self.line.fresh()?)
    }

    /// The client whose connections are kept.
    pub(super) fn lasting(&self) -> Client {
        self.line.lasting()
    }

    /// Asks, and returns the answer's body, which the endpoint signed for this request.
    pub(super) async fn ask(
        &self,
        client: &Client,
        verb: &'static str,
        kind: Option<CredentialKind>,
        rows: &[AskedRow<'_>],
    ) -> Result<Zeroizing<Vec<u8>>, HttpFault> {
        // random, so that nobody who saw other requests knows it before
        let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let request = Request { verb, kind, rows, id, sent_at: self.clock.now() };
        let body = serde_json::to_vec(&request).map(Zeroizing::new);
        let body = body.map_err(|_| HttpFault::Unreadable { verb })?;
        let signed = || {
            let now = self.clock.now().as_second().to_string();
            let signature = format!("t={now},v1={}", self.key.sign(&[&now], &body));
            client
                .post(self.url.clone())
                .header(CONTENT_TYPE, "application/json")
                .header(SIGNATURE, signature)
                .body(body.to_vec())
        };
        let answer =
            self.line.send(signed).await.map_err(|trouble| HttpFault::of(verb, trouble))?;
        if answer.status != 200 {
            return Err(HttpFault::Status { verb, status: answer.status });
        }
        if !self.is_signed(answer.headers.get(SIGNATURE), id, &answer.body) {
            return Err(HttpFault::Unsigned { verb });
        }
        Ok(answer.body)
    }

    /// Whether this is the endpoint's answer to that request and no other's.
    fn is_signed(&self, signature: Option<&HeaderValue>, id: Uuid, body: &[u8]) -> bool {
        let Some(text) = signature.and_then(|value| value.to_str().ok()) else { return false };
        let mut parts = text.split(',').map(str::trim);
        let mut named = |name: &str| parts.next().and_then(|part| part.strip_prefix(name));
        let (Some(at), Some(mac)) = (named("t="), named("v1=")) else { return false };
        at.bytes().all(|byte| byte.is_ascii_digit())
            && self.key.verify(&[at, &id.to_string()], body, mac)
    }
}
