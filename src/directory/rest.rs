//! Directories that are spoken to over HTTP: one client, its pace, and how often what did not come through is
//! asked again. What is said, and by whose authority, is each adapter's own.
//!
//! Bodies are wiped where they are ours; what the client keeps while a request is under way is its own.

mod adapter;
mod backend;
mod fault;
pub(super) mod settings;
mod trial;

use std::path::Path;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, redirect};
use rustls::ClientConfig;
use thiserror::Error;
use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;
use url::Url;
use zeroize::Zeroizing;

use self::settings::Load;
use crate::tls::{self, TlsSetupError, Trusted};

pub(super) use adapter::Served;
pub(super) use backend::{Backend, Bounds, Found, Trial, Written};
pub use fault::RestFault;

/// The longest answer that is read.
pub(super) const MOST_BYTES: usize = 16 * 1_048_576;

/// How often a request is made.
const TRIES: u32 = 4;

/// How long the second try waits, each further one twice as long; up to as much again by chance.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest that whoever is asked may make us wait before the next try.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How a line to a server is set up.
pub(super) struct LineSettings<'a> {
    /// The table in the settings, for messages.
    pub table: &'static str,
    /// Where it leads.
    pub url: &'a Url,
    /// A PEM file with authorities besides those of this machine.
    pub authorities: Option<&'a Path>,
    /// The key that names it.
    pub authorities_key: &'static str,
    /// How hard the server may be asked, whatever calls the requests are of.
    pub load: Load,
}

/// A line to one server.
pub struct Line {
    table: &'static str,
    tls: ClientConfig,
    timeout: Duration,
    lasting: Client,
    /// When the next request may begin, and how long after each other they do.
    pace: Option<(Mutex<Instant>, Duration)>,
    /// As many requests may be under way as there are permits.
    lanes: Semaphore,
}

/// Why there is no line.
#[derive(Debug, Error)]
pub(super) enum LineError {
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
    #[error(
        "no HTTP client can be set up: {0}; hint: this is a fault in forthwith, please report it"
    )]
    Client(String),
}

/// Why there is no answer that says anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nobody answers, or the answer breaks off.
    Unreachable { tries: u32, cause: String },
    /// It asks for patience (429, 503).
    Busy { tries: u32, status: u16 },
    /// It fails (408, 500, 502, 504).
    Failed { status: u16 },
    /// It answers without end.
    TooLarge,
}

/// An answer with whatever status.
pub(super) struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Zeroizing<Vec<u8>>,
}

/// What one try came to.
enum Tried {
    Answered(Answered),
    /// Again, not before so long.
    Later(Trouble, Option<Duration>),
}

impl Line {
    /// Sets one up; nobody is asked yet.
    pub(super) fn new(settings: &LineSettings<'_>) -> Result<Self, LineError> {
        let tls = if settings.url.scheme() == "https" {
            tls::checked(Trusted::with(settings.authorities), settings.authorities_key)?
        } else {
            // never used: nothing is redirected
            tls::unchecked()?
        };
        let Load { concurrency, per_second, timeout, .. } = settings.load;
        let timeout = timeout.unsigned();
        let lasting = client(settings.table, tls.clone(), timeout)?;
        let gap = per_second.map(|most| Duration::from_secs(1) / most.max(1));
        let pace = gap.map(|gap| (Mutex::new(Instant::now()), gap));
        let lanes = Semaphore::new(concurrency.max(1));
        Ok(Self { table: settings.table, tls, timeout, lasting, pace, lanes })
    }

    /// A client whose connections are opened for this call.
    pub(super) fn fresh(&self) -> Result<Client, LineError> {
        client(self.table, self.tls.clone(), self.timeout)
    }

    /// The client whose connections are kept.
    pub(super) fn lasting(&self) -> Client {
        self.lasting.clone()
    }

    /// Makes a request, again where it may help, and returns the answer with whatever other status. `build` is
    /// called for each try. Whatever is asked must be such that asking twice does no more than asking once.
    pub(super) async fn send(
        &self,
        build: impl Fn() -> RequestBuilder,
    ) -> Result<Answered, Trouble> {
        let mut pause = PAUSE;
        let mut tries = 1;
        loop {
            self.wait_for_a_turn().await;
            // never closed; whoever waits for another try leaves its lane to others
            let lane = self.lanes.acquire().await;
            let tried = self.once(build(), tries).await?;
            drop(lane);
            match tried {
                Tried::Answered(answer) => return Ok(answer),
                Tried::Later(trouble, _) if tries == TRIES => return Err(trouble),
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

    async fn once(&self, request: RequestBuilder, tries: u32) -> Result<Tried, Trouble> {
        let broken = |error: &reqwest::Error| {
            let cause = cause(self.table, error);
            Ok(Tried::Later(Trouble::Unreachable { tries, cause }, None))
        };
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return broken(&error),
        };
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        match status {
            429 | 503 => {
                let trouble = Trouble::Busy { tries, status };
                Ok(Tried::Later(trouble, retry_after(&headers)))
            }
            408 | 500 | 502 | 504 => Ok(Tried::Later(Trouble::Failed { status }, None)),
            _ => match read(&mut answer).await? {
                Ok(body) => Ok(Tried::Answered(Answered { status, headers, body })),
                Err(error) => broken(&error),
            },
        }
    }
}

fn client(table: &str, tls: ClientConfig, timeout: Duration) -> Result<Client, LineError> {
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .referer(false)
        .timeout(timeout)
        .user_agent("forthwith")
        .build()
        .map_err(|error| LineError::Client(cause(table, &error)))
}

/// The body, or how its transport failed.
async fn read(
    answer: &mut Response,
) -> Result<Result<Zeroizing<Vec<u8>>, reqwest::Error>, Trouble> {
    let mut body = Zeroizing::new(Vec::new());
    loop {
        match answer.chunk().await {
            Ok(Some(part)) if body.len() + part.len() > MOST_BYTES => {
                return Err(Trouble::TooLarge);
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
fn cause(table: &str, error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {table}.timeout");
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
