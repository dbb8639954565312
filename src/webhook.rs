//! Messages of ours to an endpoint of the company's own, signed as `docs/integrate.md` says. It must not know
//! what they tell.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, redirect};
use thiserror::Error;
use url::Url;

use crate::domain::clock::Clock;
use crate::secret::webhook::{WebhookKey, WebhookKeyError, signature};
use crate::tls::{self, TlsSetupError, Trusted};

/// How long an endpoint may take for one message.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The header that carries the signature.
const SIGNATURE: &str = "forthwith-signature";

/// Where messages go, and by which key they are signed.
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Everything is posted there.
    pub url: Url,
    /// The file of the key that both sides share.
    pub key_file: PathBuf,
    /// A PEM file with authorities that are trusted besides those of this machine.
    pub authorities: Option<PathBuf>,
}

/// Why messages cannot be sent at all.
#[derive(Debug, Error)]
pub enum WebhookError {
    /// The shared key.
    #[error(transparent)]
    Key(#[from] WebhookKeyError),
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    /// The client.
    #[error("TLS cannot be set up: {0}; hint: this is a fault in forthwith, please report it")]
    Client(String),
}

/// Why one message was not taken; the next may be.
#[derive(Debug, Error)]
pub enum WebhookFault {
    /// The endpoint was not reached, or did not answer in time.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// It is not able to answer now.
    #[error("it answers with status {0}")]
    Unable(u16),
    /// It does not want this message.
    #[error("it refuses with status {0}")]
    Refused(u16),
}

impl WebhookFault {
    /// Whether the endpoint as a whole is in trouble, and not with this message alone.
    pub fn is_everybodys(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// The names of the keys that files stand in, for refusals.
#[derive(Debug, Clone, Copy)]
pub struct WebhookNames {
    /// Of the shared key's file.
    pub key_file: &'static str,
    /// Of the authorities' file.
    pub authorities: &'static str,
}

/// An endpoint.
pub struct Webhook {
    url: Url,
    key: WebhookKey,
    client: Client,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

impl Webhook {
    /// Reads the key and the authorities; nothing is sent.
    pub fn open(
        settings: &WebhookSettings,
        names: WebhookNames,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WebhookError> {
        let key = WebhookKey::read(&settings.key_file, names.key_file)?;
        let trusted = Trusted::with(settings.authorities.as_deref());
        let tls = tls::checked(trusted, names.authorities)?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .timeout(TIMEOUT)
            .user_agent("forthwith")
            .build()
            .map_err(|error| WebhookError::Client(error.to_string()))?;
        Ok(Self { url: settings.url.clone(), key, client, clock })
    }

    /// Posts one message, signed at this moment. It is taken where the answer is of the 200s.
    pub async fn post(&self, body: Vec<u8>) -> Result<(), WebhookFault> {
        let now = self.clock.now().as_second().to_string();
        let signature = signature(&now, &self.key.sign(&[&now], &body));
        let sent = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNATURE, signature)
            .body(body)
            .send()
            .await;
        match sent.map(|answer| answer.status().as_u16()) {
            Ok(200..=299) => Ok(()),
            Ok(status @ (408 | 425 | 429 | 500..=599)) => Err(WebhookFault::Unable(status)),
            Ok(status) => Err(WebhookFault::Refused(status)),
            Err(error) => Err(WebhookFault::Unreachable(cause(&error))),
        }
    }
}

/// What is at the bottom of it; the layers above repeat the URL.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("none within {} s", TIMEOUT.as_secs());
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
