//! The way back in: codes by mail, links, and passwords set by their owners. What the public pages call.
//!
//! A portal serves one brand: the campaigns it is started for. It answers everybody alike, decides outside
//! of the request, and gives no secret to an address that may be another's.

mod answer;
mod claims;
mod errands;
mod events;
mod forget;
mod mail;
mod pool;
mod proof;
mod redeem;
mod revoke;
mod served;
mod status;
mod verify;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;

pub use self::pool::Place;
pub use self::proof::{Choice, Typed};
use self::redeem::Redeems;
pub use self::redeem::{Progress, Reset, Way};
pub use self::revoke::Revoked;
use self::served::Served;
pub use self::status::{Question, SignedAnswer, SignedQuestion};
pub use self::verify::Confirmed;
use super::plan::files_below;
use super::{Engine, EngineError};
use crate::domain::address::EmailAddress;
use crate::domain::incident::Brand;
use crate::journal::WorkerLock;
use crate::mail::settings::RelaySettings;
use crate::password_filter::PasswordFilter;
use crate::render::Pages;
use crate::secret::lookup::address_digest;
use crate::secret::mail::{Reference, random_id};
use crate::secret::password::Params;
use crate::secret::visit::{Visit, network_digest, reference_digest};
use crate::store::codes::NewRequest;
use crate::webhook::WebhookSettings;

/// How long a code works (design §7).
pub const CODE_FOR: SignedDuration = SignedDuration::from_mins(60);
/// Tries at the code of one request.
pub const TRIES: u32 = 5;
/// How long a visit that typed its code may take to choose a password.
pub const PROVED_FOR: SignedDuration = SignedDuration::from_mins(30);
/// Wrong codes in an hour, over all people of a campaign, from which on somebody is guessing: so many people
/// mistype in no wave.
pub const WRONG_CODES_ALARM: u64 = 500;

/// What a portal may use of its machine, and where its mail goes.
#[derive(Debug, Clone)]
pub struct PortalSettings {
    /// The address people see, where it is not the brand's `reset_url`.
    pub address: Option<url::Url>,
    /// Passwords hashed at the same time.
    pub hashes_at_once: usize,
    /// The relay of codes and confirmations.
    pub relay: RelaySettings,
    /// Mails at the same time.
    pub connections: usize,
    /// The file of the key by which the company's log-in page signs what it asks; nothing is answered without
    /// one.
    pub status_key: Option<PathBuf>,
    /// Where the company is told of each reset; nobody is where there is none.
    pub events: Option<WebhookSettings>,
    /// The filter of breached passwords.
    pub password_filter: Option<PathBuf>,
}

/// A request for a code as it came in.
#[derive(Debug)]
pub struct Asked<'a> {
    /// The browser's visit.
    pub visit: &'a Visit,
    /// The typed address.
    pub address: &'a EmailAddress,
    /// The network it came from.
    pub network: &'a str,
    /// The reference number that came with it.
    pub reference: Option<Reference>,
    /// The language of the page.
    pub locale: &'a str,
}

/// The portal of one brand. Cheap to clone.
#[derive(Clone)]
pub struct Portal(Arc<Inner>);

struct Inner {
    engine: Engine,
    settings: PortalSettings,
    served: Vec<Served>,
    pages: Pages,
    page: url::Url,
    /// This process among all that ever served this database.
    life: String,
    pool: pool::Pool,
    redeems: Redeems,
    /// Passwords known from breaches, where there is such a file.
    breached: Option<Arc<PasswordFilter>>,
    /// What is asked about notices.
    watch: verify::Watch,
    /// What the company's log-in page asks, where it may.
    desk: Option<status::Desk>,
    /// Where the company is told of resets.
    bell: Option<events::Bell>,
    /// People whose password is being set by this process at this moment.
    in_flight: Mutex<HashSet<(i64, u64)>>,
    /// Held as long as the portal lives: whatever an earlier life left open is nobody's any more.
    _lock: WorkerLock,
}

impl std::fmt::Debug for Portal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Portal").field("page", &self.0.page.as_str()).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the portal of these campaigns; without any, of all whose containment is approved and whose
    /// notice is not closed.
    pub async fn portal(
        &self,
        names: &[String],
        settings: PortalSettings,
    ) -> Result<Portal, EngineError> {
        self.check_keys().await?;
        self.check_high_water().await?;
        let served = self.served(names).await?;
        let page = portal_page(&served, &settings)?;
        let pages = self.portal_pages()?;
        for one in &served {
            Self::check_errand_relay(&settings.relay, one.row.environment)?;
            events::check_endpoint(settings.events.as_ref(), one.row.environment)?;
        }
        let desk = settings.status_key.as_deref().map(status::Desk::open).transpose()?;
        let bell = events::Bell::open(settings.events.as_ref(), &self.clock)?;
        let breached = open_filter(settings.password_filter.clone()).await?;
        let lock = WorkerLock::acquire(&self.workspace.portal_lock())?;
        let inner = Inner {
            engine: self.clone(),
            pool: pool::Pool::new(settings.hashes_at_once, Params::default())
                .map_err(|error| EngineError::Broken(error.to_string()))?,
            life: random_id(&mut rand::rng()),
            redeems: Redeems::default(),
            in_flight: Mutex::default(),
            watch: verify::Watch::default(),
            desk,
            bell,
            breached,
            settings,
            served,
            pages,
            page,
            _lock: lock,
        };
        Ok(Portal(Arc::new(inner)))
    }

    /// The portal's templates and texts; the workspace's own win over the shipped ones.
    fn portal_pages(&self) -> Result<Pages, EngineError> {
        let folders = ["page/", "mail/", "texts/"].map(|folder| format!("portal/{folder}"));
        let files = files_below(&self.workspace, self.shipped_templates, &folders)?;
        let mut texts = Vec::with_capacity(files.len());
        for (name, bytes) in &files {
            let text = std::str::from_utf8(bytes).map_err(|_| {
                EngineError::refused(format!(
                    "`templates/{name}` is not UTF-8; hint: save it as UTF-8"
                ))
            })?;
            texts.push((name.as_str(), text));
        }
        Pages::compile(texts).map_err(|error| EngineError::refused(error.to_string()))
    }
}

impl Portal {
    /// Its pages and texts.
    pub fn pages(&self) -> &Pages {
        &self.0.pages
    }

    /// The address that people see.
    pub fn page(&self) -> &url::Url {
        &self.0.page
    }

    /// Whose it is.
    pub fn brand(&self) -> &Brand {
        // a portal without a campaign is refused when it is opened
        &self.0.served[0].brand
    }

    /// The language of whoever asks for none.
    pub fn locale(&self) -> &str {
        &self.0.served[0].locale
    }

    /// Whether any notice carried links.
    pub fn has_links(&self) -> bool {
        self.0.served.iter().any(Served::has_links)
    }

    /// The fewest characters of a password here, and the most bytes where there is such a bound.
    pub fn password_bounds(&self) -> (usize, Option<usize>) {
        let rules = self.0.served.iter().map(Served::rule);
        let least = rules.clone().map(|rule| rule.shortest).max().unwrap_or(0);
        (least, rules.filter_map(|rule| rule.longest_bytes).min())
    }

    /// The secret of forms and visits.
    pub fn keys(&self) -> &crate::secret::keyring::Keyring {
        &self.0.engine.keys
    }

    /// Keeps a request for a code: one row, whoever asks and whatever they typed.
    pub async fn ask(&self, asked: &Asked<'_>) -> Result<(), EngineError> {
        let keys = self.keys();
        let request = NewRequest {
            visit: asked.visit.digest(keys.portal()),
            address: address_digest(keys.digest(), &asked.address.canonical()),
            network: network_digest(keys.portal(), asked.network),
            reference: asked
                .reference
                .as_ref()
                .map(|reference| reference_digest(keys.portal(), &reference.to_string())),
            locale: asked.locale.to_owned(),
        };
        Ok(self.0.engine.store.request_code(request).await?)
    }
}

/// Reads the whole filter once: a portal does not begin with a damaged one.
async fn open_filter(path: Option<PathBuf>) -> Result<Option<Arc<PasswordFilter>>, EngineError> {
    let Some(path) = path else { return Ok(None) };
    let opened = tokio::task::spawn_blocking(move || PasswordFilter::open(&path)).await;
    let opened = opened.map_err(|error| EngineError::Broken(error.to_string()))?;
    let filter = opened.map_err(|error| EngineError::refused(error.to_string()))?;
    Ok(Some(Arc::new(filter)))
}

/// The address that people see: one for all campaigns.
fn portal_page(served: &[Served], settings: &PortalSettings) -> Result<url::Url, EngineError> {
    if let Some(address) = &settings.address {
        return Ok(address.clone());
    }
    let mut pages = served.iter().map(|one| (one, one.brand.reset_url.as_ref()));
    let missing = |name: &str| {
        EngineError::refused(format!(
            "the incident of `{name}` has no `brand.reset_url`, and the portal must know its own \
             address; hint: the page that takes a new password, on the brand's own site, or \
             `portal.address` in `forthwith.toml` for a rehearsal"
        ))
    };
    let Some((first, page)) = pages.next() else { return Err(no_campaign()) };
    let page = page.ok_or_else(|| missing(&first.row.name))?;
    for (one, other) in pages {
        if other.ok_or_else(|| missing(&one.row.name))? != page {
            return Err(EngineError::refused(format!(
                "`{}` and `{}` lead to different pages, and a portal is one brand's; hint: name the \
                 campaigns of one brand: `forthwith portal serve {}`",
                first.row.name, one.row.name, first.row.name
            )));
        }
    }
    page.as_str().parse().map_err(|_| EngineError::Broken("a page without an address".into()))
}

fn no_campaign() -> EngineError {
    EngineError::refused(
        "there is no campaign whose credentials are secured, so nobody needs the portal yet; hint: \
         `forthwith containment approve NAME`, then `forthwith portal serve`",
    )
}

/// How a reset that was asked for ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The password is set.
    Done,
    /// Another one is under way for the same account.
    Busy,
    /// The proof is spent, taken back or over.
    Void,
    /// Whoever looks after the account must help.
    NotOurs,
    /// It is the password that was stolen; nothing is lost.
    Stolen,
    /// The directory is out of reach; nothing is lost.
    Unreachable,
}
