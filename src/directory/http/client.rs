//! One request and its answer: signed both ways, paced, and made again with the same id where no answer
//! came.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Response, redirect};
use rustls::ClientConfig;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::HttpDirectorySettings;
use super::error::HttpFault;
use super::message::{AskedRow, Request};
use super::settings::place;
use crate::directory::tls;
use crate::domain::clock::Clock;
use crate::domain::credential::CredentialKind;
use crate::secret::webhook::WebhookKey;

/// The longest answer that is read.
pub(super) const MOST_BYTES: usize = 16 * 1_048_576;

/// How often a request is made.
const TRIES: u32 = 4;

/// How long the second try waits, each further one twice as long; up to as much again by chance.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest that an endpoint may make us wait before the next try.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

const SIGNATURE: &str = "forthwith-signature";

/// How an endpoint is reached.
pub(super) struct Endpoint {
    url: Url,
    key: WebhookKey,
    tls: ClientConfig,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    lasting: Client,
    /// When the next request may begin, and how long after each other they do.
    pace: Option<(Mutex<Instant>, Duration)>,
}

/// What one try came to.
enum Tried {
    Answered(Zeroizing<Vec<u8>>),
    /// Again, not before so long.
    Later(HttpFault, Option<Duration>),
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
        let tls = if url.scheme() == "https" {
            tls::checked(authorities.as_deref(), "directory.http.authorities")?
        } else {
            // never used: nothing is redirected
            tls::unchecked()?
        };
        let timeout = settings.timeout.unsigned();
        let lasting = client(tls.clone(), timeout)?;
        let gap = settings.per_second.map(|most| Duration::from_secs(1) / most.max(1));
        let pace = gap.map(|gap| (Mutex::new(Instant::now()), gap));
        Ok(Self { url, key, tls, timeout, clock, lasting, pace })
    }

    /// A client whose connections are opened for this call.
    pub(super) fn fresh(&self) -> Result<Client, HttpFault> {
        client(self.tls.clone(), self.timeout)
    }

    /// The client whose connections are kept.
    pub(super) fn lasting(&self) -> Client {
        self.lasting.clone()
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
        let mut pause = PAUSE;
        let mut tries = 1;
        loop {
            self.wait_for_a_turn().await;
            match self.once(client, verb, id, &body, tries).await? {
                Tried::Answered(answer) => return Ok(answer),
                Tried::Later(fault, _) if tries == TRIES => return Err(fault),
                Tried::Later(_, asked) => {
                    let own = pause.mul_f64(rand::random_range(1.0..2.0));
                    let wait = asked.map_or(own, |asked| asked.min(LONGEST_PAUSE).max(own));
                    tokio::time::sleep(wait).await;
                    (pause, tries) = (pause * 2, tries + 1);
                }
            }
        }
    }

    async fn wait_for_a_turn(&self) {
        let Some((next, gap)) = &self.pace else { return };
        let turn = {
            let mut next = next.lock().await;
            let turn = (*next).max(Instant::now());
            *next = turn + *gap;
            turn
        };
        tokio::time::sleep_until(turn).await;
    }

    async fn once(
        &self,
        client: &Client,
        verb: &'static str,
        id: Uuid,
        body: &[u8],
        tries: u32,
    ) -> Result<Tried, HttpFault> {
        let now = self.clock.now().as_second().to_string();
        let signature = format!("t={now},v1={}", self.key.sign(&[&now], body));
        let sent = client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNATURE, signature)
            .body(body.to_vec())
            .send()
            .await;
        let broken = |error: &reqwest::Error| {
            let fault = HttpFault::Unreachable { verb, tries, cause: cause(error) };
            Ok(Tried::Later(fault, None))
        };
        let mut answer = match sent {
            Ok(answer) => answer,
            Err(error) => return broken(&error),
        };
        match answer.status().as_u16() {
            200 => {}
            status @ (429 | 503) => {
                let fault = HttpFault::Busy { verb, tries, status };
                return Ok(Tried::Later(fault, retry_after(answer.headers())));
            }
            status @ (408 | 500 | 502 | 504) => {
                return Ok(Tried::Later(HttpFault::Status { verb, status }, None));
            }
            status => return Err(HttpFault::Status { verb, status }),
        }
        let signature = answer.headers().get(SIGNATURE).cloned();
        let read = match read(verb, &mut answer).await? {
            Ok(read) => read,
            Err(error) => return broken(&error),
        };
        if !self.is_signed(signature.as_ref(), id, &read) {
            return Err(HttpFault::Unsigned { verb });
        }
        Ok(Tried::Answered(read))
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

fn client(tls: ClientConfig, timeout: Duration) -> Result<Client, HttpFault> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .timeout(timeout)
        .user_agent("forthwith")
        .build()
        .map_err(|error| HttpFault::Client(cause(&error)))
}

/// The body, or how its transport failed.
async fn read(
    verb: &'static str,
    answer: &mut Response,
) -> Result<Result<Zeroizing<Vec<u8>>, reqwest::Error>, HttpFault> {
    let mut body = Zeroizing::new(Vec::new());
    loop {
        match answer.chunk().await {
            Ok(Some(part)) if body.len() + part.len() > MOST_BYTES => {
                return Err(HttpFault::TooLarge { verb });
            }
            Ok(Some(part)) => body.extend_from_slice(&part),
            Ok(None) => return Ok(Ok(body)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Seconds alone: who writes a date has a clock that need not be ours.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// What is at the bottom of it; the layers above repeat the URL.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer within directory.http.timeout".into();
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    if inner.is::<reqwest::Error>() {
        return "the request was not carried out".into();
    }
    inner.to_string()
}
