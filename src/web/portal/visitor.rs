//! Who asks, as far as pages must know: the browser's visit, its language, its network.

use axum::extract::Request;
use axum::extract::connect_info::ConnectInfo;
use axum::http::header::{ACCEPT_LANGUAGE, COOKIE, HeaderName, ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, Response};

use super::Site;
use crate::secret::visit::Visit;
use crate::web::client;

/// How long a visit lasts: a code's hour and the time to choose a password.
const VISIT_FOR: u32 = 2 * 60 * 60;

/// One request's visitor.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub visit: Visit,
    pub language: String,
    pub network: String,
    /// The browser had no cookie of ours yet.
    is_new: bool,
    /// The language was chosen with this request.
    chose_language: bool,
    /// Another site sent the request, by the browser's own word.
    pub is_foreign: bool,
}

impl Visitor {
    pub(super) fn of(site: &Site, request: &Request) -> Self {
        let headers = request.headers();
        let cookies = cookies(headers);
        let cookie = |name: String| {
            cookies.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
        };
        let known = cookie(visit_cookie(site)).and_then(Visit::parse);
        let chosen = chosen_language(site, request.uri().query().unwrap_or_default());
        let language = chosen.clone().unwrap_or_else(|| {
            let accepted = accepted(headers);
            let wanted = cookie(language_cookie(site)).into_iter().chain(accepted.iter().copied());
            site.0.portal.pages().choose(wanted.chain([site.0.portal.locale()])).to_owned()
        });
        Self {
            is_new: known.is_none(),
            visit: known.unwrap_or_else(|| Visit::draw(&mut rand::rng())),
            language,
            network: network(site, request),
            chose_language: chosen.is_some(),
            is_foreign: is_foreign(site, headers),
        }
    }

    /// Whether a form that came back is this visit's own, and no other site had it sent.
    pub(super) fn sent(&self, site: &Site, form: &str, proof: &str) -> bool {
        !self.is_foreign && self.visit.proves(site.0.portal.keys().portal(), form, proof)
    }

    /// What a form of this visit carries.
    pub(super) fn proof(&self, site: &Site, form: &str) -> String {
        self.visit.form_proof(site.0.portal.keys().portal(), form)
    }

    /// Gives a new browser its cookie, and remembers a chosen language.
    pub(super) fn remember<B>(&self, site: &Site, response: &mut Response<B>) {
        let kind = "Path=/; HttpOnly; SameSite=Lax";
        let secure = if site.0.is_secure { "; Secure" } else { "" };
        let mut set = |name: String, value: &str| {
            let cookie = format!("{name}={value}; Max-Age={VISIT_FOR}; {kind}{secure}");
            if let Ok(value) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(SET_COOKIE, value);
            }
        };
        if self.is_new {
            set(visit_cookie(site), self.visit.expose());
        }
        if self.chose_language {
            set(language_cookie(site), &self.language);
        }
    }
}

/// The prefix keeps every other host of the domain from setting it (RFC 6265bis §4.1.3.2); browsers take it
/// over HTTPS alone.
fn visit_cookie(site: &Site) -> String {
    if site.0.is_secure { "__Host-visit".into() } else { "visit".into() }
}

fn language_cookie(site: &Site) -> String {
    if site.0.is_secure { "__Host-language".into() } else { "language".into() }
}

fn cookies(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The tags of `Accept-Language` in the browser's own order; weights are left aside, browsers sort by them.
fn accepted(headers: &HeaderMap) -> Vec<&str> {
    let line = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let tags = line.unwrap_or_default().split(',').take(20);
    tags.map(|tag| tag.split(';').next().unwrap_or_default()).collect()
}

fn chosen_language(site: &Site, query: &str) -> Option<String> {
    let tag = query.split('&').find_map(|pair| pair.strip_prefix("lang="))?;
    let pages = site.0.portal.pages();
    pages.languages().map(|(known, _)| known).find(|known| *known == tag).map(str::to_owned)
}

fn network(site: &Site, request: &Request) -> String {
    let peer = request.extensions().get::<ConnectInfo<std::net::SocketAddr>>();
    let peer = peer.map_or(std::net::IpAddr::from([0, 0, 0, 0]), |info| info.0.ip());
    let forwarded: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let forwarded = forwarded.join(",");
    client::network(client::address(peer, Some(&forwarded), &site.0.trusted_proxies))
}

/// By `Sec-Fetch-Site` (W3C Fetch Metadata), else by `Origin`, where the browser sends them. `null` says nothing:
/// our own forms have it, since their page lets nothing be referred to (Fetch, "append a request Origin header").
fn is_foreign(site: &Site, headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(HeaderName::from_static("sec-fetch-site")), text(ORIGIN)) {
        (Some("same-origin" | "none") | None, Some(origin)) => {
            origin != "null" && origin != site.0.origin
        }
        (Some("same-origin" | "none") | None, None) => false,
        (Some(_), _) => true,
    }
}
