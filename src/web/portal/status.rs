//! `GET /status`: what the company's own log-in page asks. To everybody else it is a page that does not exist.

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::visitor::Visitor;
use super::{Site, message};
use crate::engine::portal::SignedQuestion;

const SIGNATURE: HeaderName = HeaderName::from_static("forthwith-signature");
const ID: HeaderName = HeaderName::from_static("forthwith-id");
const ACCOUNT: HeaderName = HeaderName::from_static("forthwith-account");
const DIRECTORY: HeaderName = HeaderName::from_static("forthwith-directory");

fn asked(headers: &HeaderMap) -> SignedQuestion<'_> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    SignedQuestion {
        signature: text(SIGNATURE),
        id: text(ID),
        directory: text(DIRECTORY),
        account: text(ACCOUNT),
    }
}

/// Answers whoever has the key. Nothing is looked up for anybody else, so that neither text nor time tells
/// them anything; they see what every address sees that is no page of ours.
pub(super) async fn ask(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    headers: HeaderMap,
) -> Response {
    let asked = asked(&headers);
    let question = match site.0.portal.checked(&asked) {
        Ok(question) => question,
        Err(why) => {
            // whoever links the log-in page up looks here; a flood of such requests is no flood of lines
            if !asked.signature.is_empty() && site.0.limits.allows_a_line() {
                tracing::info!("a question to /status is not answered: {why}");
            }
            return message::missing(State(site), Extension(visitor)).await;
        }
    };
    if !site.0.limits.allows_question() {
        return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "1")]).into_response();
    }
    match site.0.portal.standing(&question).await {
        Ok(answer) => {
            let status =
                if answer.is_error { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
            let json = HeaderValue::from_static("application/json");
            let Ok(signature) = HeaderValue::from_str(&answer.signature) else {
                return message::plain(StatusCode::INTERNAL_SERVER_ERROR);
            };
            (status, [(CONTENT_TYPE, json), (SIGNATURE, signature)], answer.body).into_response()
        }
        Err(error) => message::failed(&site, &visitor, &error),
    }
}
