//! Forms as they come back: small, ours, and kept in no log.

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::visitor::Visitor;
use super::{Site, message};

/// A form with every field that any page has; what a page does not have is empty.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Fields {
    pub proof: String,
    pub address: String,
    pub reference: String,
    pub code: Zeroizing<String>,
    pub token: Zeroizing<String>,
    pub account: String,
    pub password: Zeroizing<String>,
}

/// The fields of a form that this visit was given; else the page that says so.
pub(super) fn read(
    site: &Site,
    visitor: &Visitor,
    form: Result<Form<Fields>, FormRejection>,
    name: &str,
) -> Result<Fields, Box<Response>> {
    match form {
        Ok(Form(fields)) if visitor.sent(site, name, &fields.proof) => Ok(fields),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            Err(Box::new(message::too_large(site, visitor)))
        }
        _ => Err(Box::new(message::stale(site, visitor))),
    }
}

/// Sends the browser on after a form, so that going back or loading anew sends nothing twice.
pub(super) fn on_to(site: &Site, path: &str) -> Response {
    let place = format!("{}{path}", site.0.base);
    let place = if place.is_empty() { "/".to_owned() } else { place };
    (StatusCode::SEE_OTHER, [(LOCATION, place)]).into_response()
}
