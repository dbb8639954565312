//! The published notice, and questions people have.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::page::Page;
use super::visitor::Visitor;
use super::{Site, message};

/// The notice for everybody: the incident's own words.
pub(super) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let Some((told, facts, resets)) = site.0.portal.published(&visitor.language) else {
        return message::missing(State(site), Extension(visitor)).await;
    };
    let values = json!({"facts_lang": told, "facts": facts, "resets": resets});
    Page::new((&site, &visitor), "notice", "/notice", "notice_title")
        .with(values)
        .answer(StatusCode::OK)
}

/// Questions and answers.
pub(super) async fn questions(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    Page::new((&site, &visitor), "questions", "/questions", "questions_title")
        .answer(StatusCode::OK)
}
