//! The page that a notice's link leads to. Opening it changes nothing: mail scanners open links. The token is
//! consumed by the form that carries the new password, and by nothing else.

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
use super::{Site, message, password, start};
use crate::secret::token::PlainToken;

const FORM: &str = "link";

pub(super) fn page<'a>(site: &'a Site, visitor: &'a Visitor, token: &str) -> Page<'a> {
    let (least, most) = site.0.portal.password_bounds();
    Page::new((site, visitor), "password", "/link", "link_title").with(json!({
        "proof": visitor.proof(site, FORM),
        "action": format!("{}/link", site.0.base),
        "lead": "link_lead",
        "is_link": true,
        "token": token,
        "accounts": [],
        "account": "",
        "username": "",
        "least": least,
        "most": most,
    }))
}

/// Shows it; the token is not in the address that reached us.
pub(super) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    page(&site, &visitor, "").answer(StatusCode::OK)
}

/// Takes the token and the new password together.
pub(super) async fn set(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    let fields = match form::read(&site, &visitor, form, FORM) {
        Ok(fields) => fields,
        Err(response) => return *response,
    };
    let shown = |token: &str| page(&site, &visitor, token);
    let unusable = StatusCode::UNPROCESSABLE_ENTITY;
    if fields.token.trim().is_empty() {
        return shown("").problem("token_missing", "token", &[]).answer(unusable);
    }
    // people paste the whole link
    let typed = fields.token.trim().rsplit('#').next().unwrap_or_default();
    let Ok(token) = PlainToken::parse(typed) else {
        return shown(&fields.token).problem("token_form", "token", &[]).answer(unusable);
    };
    let limits = &site.0.limits;
    let of_token = format!("token {}", token.limit_key());
    if !limits.allows(For::Try, &visitor.network) || !limits.allows(For::Try, &of_token) {
        return message::too_many(&site, &visitor);
    }
    match site.0.portal.by_token(&token).await {
        Ok(Some(choice)) => {
            let page = shown(token.expose());
            password::save(&site, &visitor, choice, fields, page).await
        }
        Ok(None) => start::instead_of_link(&site, &visitor),
        Err(error) => message::failed(&site, &visitor, &error),
    }
}
