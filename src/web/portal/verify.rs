//! "Did you send this?": a notice's reference number and the address it came to. Never says that a message is
//! genuine: who writes a copy writes its number too.

use std::time::Duration;

use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Form};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::form::{self, Fields};
use super::limits::For;
use super::page::Page;
use super::visitor::Visitor;
use super::{Site, message};
use crate::domain::address::EmailAddress;
use crate::engine::portal::Confirmed;
use crate::secret::mail::Reference;

const FORM: &str = "verify";
/// Every answer takes so long: many times what looking takes, so that time tells nothing.
const ANSWER_AFTER: Duration = Duration::from_millis(400);

fn page<'a>(site: &'a Site, visitor: &'a Visitor, fields: &Fields, told: &Value) -> Page<'a> {
    Page::new((site, visitor), "verify", "/verify", "verify_title").with(json!({
        "proof": visitor.proof(site, FORM),
        "address": fields.address.trim(),
        "reference": fields.reference.trim(),
        "told": told,
    }))
}

/// What the page says of it.
fn told(site: &Site, visitor: &Visitor, confirmed: Option<Confirmed>) -> Value {
    let Some(confirmed) = confirmed else { return json!({"sent": false}) };
    json!({
        "sent": true,
        "date": site.0.portal.pages().day(&visitor.language, confirmed.sent_at.date()),
        "subject": confirmed.subject,
        "links": if confirmed.has_link { "verify_links_some" } else { "verify_links_none" },
        "page": site.0.portal.page().as_str(),
    })
}

/// Shows it.
pub(super) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    page(&site, &visitor, &Fields::default(), &Value::Null).answer(StatusCode::OK)
}

/// Answers; what is not ours and what is not theirs alike.
pub(super) async fn ask(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    let begun = Instant::now();
    let fields = match form::read(&site, &visitor, form, FORM) {
        Ok(fields) => fields,
        Err(response) => return *response,
    };
    let wrong = |key: &str, field| {
        let page = page(&site, &visitor, &fields, &Value::Null);
        let page = page.problem(key, field, &[("example", "FW-7K2M-9QXT-41ZB")]);
        page.answer(StatusCode::UNPROCESSABLE_ENTITY)
    };
    let Ok(reference) = fields.reference.trim().parse::<Reference>() else {
        return wrong("verify_reference", "reference");
    };
    if fields.address.trim().is_empty() {
        return wrong("address_missing", "address");
    }
    let Ok(address) = EmailAddress::parse(fields.address.trim()) else {
        return wrong("address_form", "address");
    };
    if !site.0.limits.allows(For::Try, &visitor.network) {
        return message::too_many(&site, &visitor);
    }
    let confirmed = site.0.portal.verify(&reference, &address).await;
    tokio::time::sleep_until(begun + ANSWER_AFTER).await;
    match confirmed {
        Ok(confirmed) => {
            let told = told(&site, &visitor, confirmed);
            page(&site, &visitor, &fields, &told).answer(StatusCode::OK)
        }
        Err(error) => message::failed(&site, &visitor, &error),
    }
}
