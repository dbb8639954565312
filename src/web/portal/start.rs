//! The first page: the address a code is sent to.

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
use crate::domain::address::EmailAddress;
use crate::engine::portal::Asked;
use crate::secret::mail::Reference;

const FORM: &str = "start";

/// What stands in the fields.
#[derive(Default)]
struct Typed<'a> {
    address: &'a str,
    reference: &'a str,
    asks_reference: bool,
}

fn page<'a>(site: &'a Site, visitor: &'a Visitor, typed: &Typed<'_>) -> Page<'a> {
    Page::new((site, visitor), "start", "", "start_title").step(1).with(json!({
        "proof": visitor.proof(site, FORM),
        "address": typed.address,
        "reference": typed.reference,
        "asks_reference": typed.asks_reference,
        "has_links": site.0.portal.has_links(),
    }))
}

/// Shows it.
pub(super) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    page(&site, &visitor, &Typed::default()).answer(StatusCode::OK)
}

/// As the first page, where a link is no longer valid.
pub(super) fn instead_of_link(site: &Site, visitor: &Visitor) -> Response {
    let page = page(site, visitor, &Typed::default());
    page.problem("link_over", "address", &[]).answer(StatusCode::UNPROCESSABLE_ENTITY)
}

/// Takes an address. Known and unknown ones are answered alike, after the same work.
pub(super) async fn ask(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    let fields = match form::read(&site, &visitor, form, FORM) {
        Ok(fields) => fields,
        Err(response) => return *response,
    };
    let (address, reference) = (fields.address.trim(), fields.reference.trim());
    let mut typed = Typed { address, reference, asks_reference: !reference.is_empty() };
    let wrong = |typed: &Typed<'_>, key: &str, field| {
        let page = page(&site, &visitor, typed).problem(key, field, &[]);
        page.answer(StatusCode::UNPROCESSABLE_ENTITY)
    };
    if address.is_empty() {
        return wrong(&typed, "address_missing", "address");
    }
    let Ok(address) = EmailAddress::parse(address) else {
        return wrong(&typed, "address_form", "address");
    };
    let reference = match (reference, reference.parse::<Reference>()) {
        ("", _) => None,
        (_, Ok(reference)) => Some(reference),
        (_, Err(_)) => return wrong(&typed, "reference_missing", "reference"),
    };
    let limits = &site.0.limits;
    if reference.is_none()
        && !(limits.allows(For::Code, &visitor.network) && limits.allows_anonymous())
    {
        typed.asks_reference = true;
        return wrong(&typed, "reference_missing", "reference");
    }
    if reference.is_some() && !limits.allows(For::Try, &visitor.network) {
        return message::too_many(&site, &visitor);
    }
    let asked = Asked {
        visit: &visitor.visit,
        address: &address,
        network: &visitor.network,
        reference,
        locale: &visitor.language,
    };
    match site.0.portal.ask(&asked).await {
        Ok(()) => form::on_to(&site, "/code"),
        Err(error) => message::failed(&site, &visitor, &error),
    }
}
