//! The second page: the code from the mail.

use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Form};
use serde_json::json;

use super::form::{self, Fields};
use super::limits::For;
use super::page::Page;
use super::visitor::Visitor;
use super::{Site, message};
use crate::engine::portal::Typed;
use crate::secret::code::ResetCode;

const FORM: &str = "code";

fn page<'a>(site: &'a Site, visitor: &'a Visitor, code: &str) -> Page<'a> {
    let proof = visitor.proof(site, FORM);
    Page::new((site, visitor), "code", "/code", "code_title")
        .step(2)
        .with(json!({"proof": proof, "code": code}))
}

/// Shows it.
pub(super) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    page(&site, &visitor, "").answer(StatusCode::OK)
}

/// Takes a code. A wrong one, one that is over and one of nobody are told alike.
pub(super) async fn enter(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    let fields = match form::read(&site, &visitor, form, FORM) {
        Ok(fields) => fields,
        Err(response) => return *response,
    };
    let wrong = |key: &str| {
        let page = page(&site, &visitor, &fields.code).problem(key, "code", &[]);
        page.answer(StatusCode::UNPROCESSABLE_ENTITY)
    };
    if fields.code.trim().is_empty() {
        return wrong("code_missing");
    }
    let Ok(code) = ResetCode::parse(&fields.code) else { return wrong("code_form") };
    if !site.0.limits.allows(For::Try, &visitor.network) {
        return message::too_many(&site, &visitor);
    }
    match site.0.portal.try_code(&visitor.visit, &code).await {
        Ok(Typed::Right) => form::on_to(&site, "/password"),
        Ok(Typed::Wrong) => wrong("code_wrong"),
        Err(error) => message::failed(&site, &visitor, &error),
    }
}
