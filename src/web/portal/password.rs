//! The third page: the new password; and what follows it, in line or done.

use std::time::Duration;

use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Form};
use serde_json::{Value, json};

use super::form::{self, Fields};
use super::page::Page;
use super::visitor::Visitor;
use super::{Site, link, message};
use crate::domain::password_rule::PasswordRefusal;
use crate::engine::portal::{Choice, Ended, Progress, Reset};
use crate::secret::password::Password;

const FORM: &str = "password";
/// How long a form waits for its password to be saved before the line is shown.
const PATIENCE: Duration = Duration::from_millis(2_500);

fn page<'a>(
    site: &'a Site,
    visitor: &'a Visitor,
    choices: &[Choice],
    chosen: Option<&Choice>,
) -> Page<'a> {
    let is_one = choices.len() == 1;
    let one = chosen.or_else(|| choices.first().filter(|_| is_one));
    let account = one.map(|choice| choice.account.as_str()).unwrap_or_default();
    let accounts: Vec<Value> = choices
        .iter()
        .filter(|_| !is_one)
        .map(|choice| {
            let chosen = chosen == Some(choice);
            json!({"key": choice.key, "name": choice.account, "chosen": chosen})
        })
        .collect();
    let (least, most) = site.0.portal.password_bounds();
    Page::new((site, visitor), "password", "/password", "password_title").step(3).with(json!({
        "proof": visitor.proof(site, FORM),
        "action": format!("{}/password", site.0.base),
        "lead": "",
        "is_link": false,
        "token": "",
        "accounts": accounts,
        "account": account,
        "username": account,
        "least": least,
        "most": most,
    }))
}

/// Shows it to whoever proved a mailbox; others begin with the first page.
pub(super) async fn show(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    match site.0.portal.choices(&visitor.visit).await {
        Ok(choices) if choices.is_empty() => form::on_to(&site, ""),
        Ok(choices) => page(&site, &visitor, &choices, None).answer(StatusCode::OK),
        Err(error) => message::failed(&site, &visitor, &error),
    }
}

/// Takes a new password for one of the proved accounts.
pub(super) async fn set(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    let fields = match form::read(&site, &visitor, form, FORM) {
        Ok(fields) => fields,
        Err(response) => return *response,
    };
    let choices = match site.0.portal.choices(&visitor.visit).await {
        Ok(choices) => choices,
        Err(error) => return message::failed(&site, &visitor, &error),
    };
    let chosen = match choices.as_slice() {
        [] => return message::void(&site, &visitor),
        [one] => one,
        several => {
            let Some(choice) = several.iter().find(|choice| choice.key == fields.account) else {
                let page = page(&site, &visitor, &choices, None);
                let page = page.problem("choose_missing", "account", &[]);
                return page.answer(StatusCode::UNPROCESSABLE_ENTITY);
            };
            choice
        }
    };
    let shown = page(&site, &visitor, &choices, Some(chosen));
    save(&site, &visitor, chosen.clone(), fields, shown).await
}

/// Judges a password, and where it may be chosen sets it; `shown` is the form it came from.
pub(super) async fn save(
    site: &Site,
    visitor: &Visitor,
    choice: Choice,
    mut fields: Fields,
    shown: Page<'_>,
) -> Response {
    if fields.password.is_empty() {
        let shown = shown.problem("password_missing", "password", &[]);
        return shown.answer(StatusCode::UNPROCESSABLE_ENTITY);
    }
    match site.0.portal.check_password(&choice, &fields.password).await {
        Ok(Ok(())) => {}
        Ok(Err(refusal)) => {
            return refused(shown, refusal).answer(StatusCode::UNPROCESSABLE_ENTITY);
        }
        Err(error) => return message::failed(site, visitor, &error),
    }
    if site.0.portal.is_crowded() {
        return message::unreachable(site, visitor);
    }
    let password = Password::new(std::mem::take(&mut *fields.password));
    let locale = visitor.language.clone();
    let token = Some(std::mem::take(&mut fields.token)).filter(|token| !token.is_empty());
    site.0.portal.begin(&visitor.visit, Reset { choice, password, locale, token });
    progress(site, visitor, PATIENCE, Some(shown)).await
}

fn refused(shown: Page<'_>, refusal: PasswordRefusal) -> Page<'_> {
    let (key, name, number) = match refusal {
        PasswordRefusal::TooShort { least } => ("refused_short", "least", least),
        PasswordRefusal::TooLong { most, bytes: false } => ("refused_long", "most", most),
        PasswordRefusal::TooLong { most, bytes: true } => ("refused_bytes", "most", most),
        PasswordRefusal::Control => ("refused_control", "", 0),
        PasswordRefusal::Brand => ("refused_brand", "", 0),
        PasswordRefusal::Own => ("refused_own", "", 0),
        PasswordRefusal::Common => ("refused_common", "", 0),
        PasswordRefusal::Breached => ("refused_breached", "", 0),
        PasswordRefusal::Stolen => ("refused_stolen", "", 0),
    };
    shown.problem(key, "password", &[(name, &number.to_string())])
}

/// Where a visit's password stands.
pub(super) async fn wait(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    progress(&site, &visitor, Duration::from_millis(500), None).await
}

/// Where it stands; `shown` is the form it came from, where that is at hand.
async fn progress(
    site: &Site,
    visitor: &Visitor,
    patience: Duration,
    shown: Option<Page<'_>>,
) -> Response {
    match site.0.portal.wait(&visitor.visit, patience).await {
        Progress::None => form::on_to(site, "/password"),
        Progress::Waiting(place) => {
            let page = Page::new((site, visitor), "wait", "/wait", "wait_title");
            page.with(json!({"place": place.max(1)})).answer(StatusCode::OK)
        }
        Progress::Ended(Ended::Done) => form::on_to(site, "/done"),
        Progress::Ended(Ended::Busy) => message::busy(site, visitor),
        Progress::Ended(Ended::Void) => message::void(site, visitor),
        Progress::Ended(Ended::NotOurs) => message::not_ours(site, visitor),
        Progress::Ended(Ended::Stolen) => match shown {
            Some(shown) => stolen(shown),
            None => again(site, visitor).await,
        },
        Progress::Ended(Ended::Unreachable) => message::unreachable(site, visitor),
    }
}

fn stolen(shown: Page<'_>) -> Response {
    refused(shown, PasswordRefusal::Stolen).answer(StatusCode::UNPROCESSABLE_ENTITY)
}

/// The form once more, for whoever stood in line with the stolen password.
async fn again(site: &Site, visitor: &Visitor) -> Response {
    if let Some(token) = site.0.portal.token_of(&visitor.visit) {
        return stolen(link::page(site, visitor, &token));
    }
    match site.0.portal.choices(&visitor.visit).await {
        Ok(choices) if choices.is_empty() => message::void(site, visitor),
        Ok(choices) => stolen(page(site, visitor, &choices, None)),
        Err(error) => message::failed(site, visitor, &error),
    }
}

/// The last page. Nobody is signed in by it.
pub(super) async fn done(
    State(site): State<Site>,
    Extension(visitor): Extension<Visitor>,
) -> Response {
    let saved = site.0.portal.wait(&visitor.visit, Duration::ZERO).await;
    if saved != Progress::Ended(Ended::Done) {
        return form::on_to(&site, "");
    }
    match site.0.portal.choices(&visitor.visit).await {
        Ok(more) => {
            let page = Page::new((&site, &visitor), "done", "/done", "done_title");
            page.with(json!({"more": !more.is_empty()})).answer(StatusCode::OK)
        }
        Err(error) => message::failed(&site, &visitor, &error),
    }
}
