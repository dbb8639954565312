//! The public pages: a code by mail, the link of a notice, a new password. They work without scripts, are
//! the same for everybody until a mailbox is proved, and change nothing when they are opened.

mod code;
mod form;
mod link;
mod message;
mod notice;
mod page;
mod password;
mod start;
mod status;
mod verify;
mod visitor;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ipnet::IpNet;

use self::page::Pages;
use super::limits::Limits;
use super::{headers, limits};
use crate::config::WebSettings;
use crate::domain::colour::Colour;
use crate::engine::portal::Portal;

/// The largest form: a long link and a long password, each character as three.
const FORM_BYTES: usize = 16 * 1024;
/// The time for a whole request, so that one who sends or reads slowly holds nothing for long.
const REQUEST_FOR: Duration = Duration::from_secs(20);

/// What every page has at hand.
#[derive(Clone)]
struct Site(Arc<Inner>);

struct Inner {
    portal: Portal,
    pages: Pages,
    limits: Limits,
    trusted_proxies: Vec<IpNet>,
    /// The path of the first page, without its closing slash.
    base: String,
    /// Scheme, host and port, as browsers say in `Origin`.
    origin: String,
    is_secure: bool,
}

/// The pages of a portal.
pub fn router(portal: Portal, settings: &WebSettings) -> Router {
    let address = portal.page();
    let base = address.path().trim_end_matches('/').to_owned();
    let site = Site(Arc::new(Inner {
        pages: Pages::new(&portal, base.clone()),
        limits: Limits::new(settings.anonymous_per_minute, settings.questions_per_second),
        trusted_proxies: settings.trusted_proxies.clone(),
        origin: address.origin().ascii_serialization(),
        is_secure: address.scheme() == "https",
        base: base.clone(),
        portal,
    }));
    let answers = site.0.portal.answers_questions();
    let pages = Router::new()
        .route("/", get(start::show).post(start::ask))
        .route("/code", get(code::show).post(code::enter))
        .route("/password", get(password::show).post(password::set))
        .route("/link", get(link::show).post(link::set))
        .route("/wait", get(password::wait))
        .route("/done", get(password::done))
        .route("/notice", get(notice::show))
        .route("/questions", get(notice::questions))
        .route("/not-me", get(message::not_me))
        .route("/verify", get(verify::show).post(verify::ask))
        .route("/style.css", get(async || asset("text/css; charset=utf-8", STYLE)))
        .route("/theme.css", get(theme))
        .route("/link.js", get(async || asset("text/javascript; charset=utf-8", LINK)))
        .route("/password.js", get(async || asset("text/javascript; charset=utf-8", PASSWORD)));
    let pages = if answers { pages.route("/status", get(status::ask)) } else { pages };
    let pages = if base.is_empty() {
        pages
    } else {
        // the page itself has no closing slash; whoever types one finds it all the same
        let first = get(start::show).post(start::ask);
        Router::new().nest(&base, pages).route(&format!("{base}/"), first)
    };
    pages
        .fallback(message::missing)
        .method_not_allowed_fallback(message::missing)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(middleware::from_fn_with_state(site.clone(), around))
        .with_state(site)
}

const STYLE: &str = include_str!("../../../templates/portal/style.css");
const LINK: &str = include_str!("../../../templates/portal/link.js");
const PASSWORD: &str = include_str!("../../../templates/portal/password.js");

/// The brand's own colour, in both schemes.
async fn theme(State(site): State<Site>) -> Response {
    let css = site.0.portal.brand().accent.map_or_else(String::new, |accent| {
        let scheme = |paper: Colour| {
            let accent = accent.readable_on(paper);
            format!(":root {{ --accent: {accent}; --on-accent: {}; }}", accent.text_upon())
        };
        let (light, dark) = (scheme(Colour::WHITE), scheme(Colour::INK));
        format!("{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}\n")
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=600")),
    ];
    (headers, css).into_response()
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("public, max-age=600")),
    ];
    (headers, text).into_response()
}

/// Around every answer: who asks, the time it may take, the headers it carries.
async fn around(State(site): State<Site>, mut request: Request, next: Next) -> Response {
    let visitor = visitor::Visitor::of(&site, &request);
    request.extensions_mut().insert(visitor.clone());
    let answered = tokio::time::timeout(REQUEST_FOR, next.run(request)).await;
    let mut response = match answered {
        Ok(response) => response,
        Err(_) => message::broken(&site, &visitor, StatusCode::REQUEST_TIMEOUT),
    };
    if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
        response = message::too_large(&site, &visitor);
    }
    visitor.remember(&site, &mut response);
    headers::add(response.headers_mut(), site.0.is_secure);
    response
}
