//! Pages that say what happened and where to go on.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::Site;
use super::page::Page;
use super::visitor::Visitor;
use crate::engine::EngineError;

/// A page of one title and one paragraph, with a button to the first page.
fn message(
    site: &Site,
    visitor: &Visitor,
    status: StatusCode,
    (title, lead): (&'static str, &'static str),
) -> Response {
    let next = if site.0.base.is_empty() { "/" } else { &site.0.base };
    let values = json!({"lead": lead, "also": "", "next": next, "next_label": "begin_again"});
    let mut response = Page::new((site, visitor), "message", "", title).with(values).answer(status);
    if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        response.headers_mut().insert(RETRY_AFTER, axum::http::HeaderValue::from_static("120"));
    }
    response
}

macro_rules! messages {
    ($($(#[$about:meta])* $name:ident: $status:ident, $title:literal, $lead:literal;)+) => {$(
        $(#[$about])*
        pub(super) fn $name(site: &Site, visitor: &Visitor) -> Response {
            message(site, visitor, StatusCode::$status, ($title, $lead))
        }
    )+};
}

messages! {
    /// The form is of another visit, or another site sent it.
    stale: FORBIDDEN, "stale_title", "stale_lead";
    /// More than a form holds.
    too_large: PAYLOAD_TOO_LARGE, "too_large_title", "too_large_lead";
    /// The network asks too often.
    too_many: TOO_MANY_REQUESTS, "too_many_title", "too_many_lead";
    /// Another reset of the same account is under way.
    busy: CONFLICT, "busy_title", "busy_lead";
    /// The proof is spent.
    void: GONE, "void_title", "void_lead";
    /// Somebody must help.
    not_ours: CONFLICT, "not_ours_title", "not_ours_lead";
    /// A system behind us does not answer.
    unreachable: SERVICE_UNAVAILABLE, "unreachable_title", "unreachable_lead";
}

/// Our own fault.
pub(super) fn broken(site: &Site, visitor: &Visitor, status: StatusCode) -> Response {
    message(site, visitor, status, ("broken_title", "broken_lead"))
}

/// Our own fault, told in the log.
pub(super) fn failed(site: &Site, visitor: &Visitor, error: &EngineError) -> Response {
    tracing::error!(%error, "a page of the portal failed");
    broken(site, visitor, StatusCode::INTERNAL_SERVER_ERROR)
}

/// No page of ours.
pub(super) async fn missing(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    message(&site, &visitor, StatusCode::NOT_FOUND, ("missing_title", "missing_lead"))
}

/// Where a confirmation leads whoever did not change a password.
pub(super) async fn not_me(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let next = if site.0.base.is_empty() { "/" } else { &site.0.base };
    let values = json!({
        "lead": "not_me_lead",
        "also": "not_me_help",
        "next": next,
        "next_label": "not_me_button",
    });
    Page::new((&site, &visitor), "message", "/not-me", "not_me_title")
        .with(values)
        .answer(StatusCode::OK)
}

/// Where not even a page can be made.
pub(super) fn plain(status: StatusCode) -> Response {
    (status, "Something went wrong on our side. Please try again in a few minutes.\n")
        .into_response()
}
