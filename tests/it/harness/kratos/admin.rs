//! The admin API of identities, as far as anybody here asks it.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Asked, Identity, Inside, Mood, TOKEN, error, json_with, refused};

/// The most sessions that it gives in one page, whatever is asked.
const PAGE: usize = 2;

/// `JsonPatch` of the client types.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Operation {
    op: String,
    path: String,
    value: Option<Value>,
}

pub fn answer(inside: &mut Inside, path: &[&str], asked: &Asked<'_>) -> Option<Response> {
    let token = asked.headers.get("authorization").and_then(|of| of.to_str().ok());
    if token != Some(&format!("Bearer {TOKEN}")) {
        return refused(401, "the guard does not know you");
    }
    if asked.method != "PATCH" && !asked.body.is_empty() {
        return None;
    }
    match (asked.method.as_str(), path) {
        ("GET", ["identities"]) => list(inside, asked),
        ("GET", ["identities", "by", "external", id]) if asked.query.is_empty() => {
            let all = inside.identities.values();
            match all.clone().find(|one| one.external_id.as_deref() == Some(id)) {
                Some(one) => Some(json_with(StatusCode::OK, &rep(one, Shown::All))),
                None => refused(404, "Unable to locate the resource"),
            }
        }
        ("GET", ["identities", id]) if asked.asks_only(&["include_credential"]) => {
            let shown = includes(asked)?;
            match inside.identities.get(*id) {
                Some(one) => Some(json_with(StatusCode::OK, &rep(one, shown))),
                None => refused(404, "Unable to locate the resource"),
            }
        }
        ("PATCH", ["identities", id]) if asked.query.is_empty() => patch(inside, id, asked),
        (method @ ("GET" | "DELETE"), ["identities", id, "sessions"]) => {
            if Uuid::parse_str(id).is_err() {
                return refused(400, "could not parse UUID");
            }
            match method {
                "GET" => sessions(inside, id, asked),
                _ if asked.query.is_empty() => end_sessions(inside, id),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What of credentials is shown.
#[derive(Clone, Copy)]
enum Shown {
    None,
    Metadata,
    All,
}

fn includes(asked: &Asked<'_>) -> Option<Shown> {
    match asked.all("include_credential").as_slice() {
        [] => Some(Shown::Metadata),
        ["password"] => Some(Shown::All),
        _ => None,
    }
}

fn rep(one: &Identity, shown: Shown) -> Value {
    let mut rep = json!({
        "id": one.id, "schema_id": "default", "schema_url": "http://fake/schemas/default",
        "state": "active", "traits": { "email": one.identifier },
        "metadata_admin": one.metadata_admin, "metadata_public": null,
        "created_at": "2011-06-01T00:00:00Z", "updated_at": "2011-06-01T00:00:00Z",
    });
    let mut credentials = json!({});
    let of = |kind: &str| {
        json!({ "type": kind, "identifiers": [one.identifier], "version": 0,
                "updated_at": "2011-06-01T00:00:00Z" })
    };
    if one.has_oidc {
        credentials["oidc"] = of("oidc");
    }
    if let Some(password) = &one.password {
        credentials["password"] = of("password");
        if matches!(shown, Shown::All) {
            credentials["password"]["config"] = config(password);
        }
    }
    if !matches!(shown, Shown::None) {
        rep["credentials"] = credentials;
    }
    rep
}

fn config(password: &super::Password) -> Value {
    let mut config = json!({ "hashed_password": password.hash });
    if password.uses_hook {
        config["use_password_migration_hook"] = json!(true);
    }
    config
}

fn list(inside: &mut Inside, asked: &Asked<'_>) -> Option<Response> {
    let known = ["ids", "credentials_identifier", "include_credential", "consistency"];
    if !asked.asks_only(&known) || !matches!(asked.one("consistency"), None | Some("strong")) {
        return None;
    }
    let (ids, identifier) = (asked.all("ids"), asked.one("credentials_identifier"));
    if ids.iter().any(|id| Uuid::parse_str(id).is_err()) {
        return refused(400, "Invalid UUID value for parameter `ids`.");
    }
    if ids.len() > 500 {
        return refused(400, "The number of ids to filter must not exceed 500.");
    }
    if identifier.is_some() && !ids.is_empty() {
        return refused(400, "You cannot combine multiple filters in this API");
    }
    let shown = if inside.is_old { Shown::None } else { includes(asked)? };
    let wanted = identifier.map(|of| of.trim().to_lowercase());
    let fits = |one: &&Identity| match &wanted {
        Some(wanted) => one.identifier == *wanted,
        None => ids.is_empty() || ids.contains(&one.id.as_str()),
    };
    // in an order of its own
    let found: Value =
        inside.identities.values().rev().filter(fits).map(|one| rep(one, shown)).collect();
    Some(json_with(StatusCode::OK, &found))
}

fn sessions(inside: &mut Inside, id: &str, asked: &Asked<'_>) -> Option<Response> {
    if !asked.asks_only(&["active", "page_size", "page_token"]) {
        return None;
    }
    let only = asked.one("active").map(|text| text == "true");
    let first: usize = asked.one("page_token").map_or(Some(0), |token| token.parse().ok())?;
    let Some(one) = inside.identities.get(id) else {
        return Some(json_with(StatusCode::OK, &json!([])));
    };
    let fits = |session: &&super::Session| only.is_none_or(|only| session.active == only);
    let all: Vec<_> = one.sessions.iter().filter(fits).collect();
    let page: Value = all.iter().skip(first).take(PAGE).map(|session| {
        json!({ "id": session.id, "active": session.active, "authenticator_assurance_level": "aal1" })
    }).collect();
    let mut answer = json_with(StatusCode::OK, &page);
    if first + PAGE < all.len() {
        // behind a proxy it does not know what it is called
        let link = format!(
            "<https://kratos.internal/admin/identities/{id}/sessions?page_size={PAGE}&page_token=0>; rel=\"first\",\
             <https://kratos.internal/admin/identities/{id}/sessions?page_size={PAGE}&page_token={}>; rel=\"next\"",
            first + PAGE
        );
        answer.headers_mut().insert("link", link.parse().unwrap());
    }
    Some(answer)
}

/// As `DeleteSessionsByIdentity`: no row is 404.
fn end_sessions(inside: &mut Inside, id: &str) -> Option<Response> {
    let ended = inside.identities.get_mut(id).map(|one| std::mem::take(&mut one.sessions));
    if ended.is_none_or(|ended| ended.is_empty()) {
        return refused(404, "Unable to locate the resource");
    }
    Some(StatusCode::NO_CONTENT.into_response())
}

/// As `Handler.patch`: the patch is applied to the identity with its credentials, `/credentials` itself and what
/// is below `oidc` are out of bounds, and the whole identity is then validated and written.
fn patch(inside: &mut Inside, id: &str, asked: &Asked<'_>) -> Option<Response> {
    if asked.headers.get("content-type").is_none_or(|of| of != "application/json") {
        return refused(400, "wrong content type");
    }
    let Ok(operations) = serde_json::from_slice::<Vec<Operation>>(asked.body) else {
        return refused(400, "unable to parse the patch");
    };
    if let Mood::Deletes(identifier) = inside.mood
        && inside.identities.get(id).is_some_and(|one| one.identifier == identifier)
    {
        inside.identities.remove(id);
    }
    if let Mood::Reaches(identifier) = inside.mood {
        let other = inside.by_identifier(identifier).unwrap();
        other.password.as_mut().unwrap().hash = "$2b$12$somebodyelses".into();
    }
    let Some(one) = inside.identities.get(id) else {
        return refused(404, "Unable to locate the resource");
    };
    let mut document = rep(one, Shown::All);
    for operation in &operations {
        if operation.path == "/credentials" || operation.path.starts_with("/credentials/oidc") {
            return refused(400, "An error occured when applying the JSON patch");
        }
        let value = operation.value.clone().unwrap_or(Value::Null);
        let Some(place) = document.pointer_mut(&operation.path) else {
            return refused(400, "An error occured when applying the JSON patch");
        };
        match operation.op.as_str() {
            "test" if *place == value || inside.mood == Mood::TestsNothing => {}
            "replace" => *place = value,
            _ => return refused(400, "An error occured when applying the JSON patch"),
        }
    }
    if one.is_outdated {
        return refused(400, "I[#/traits] S[#/required] missing properties");
    }
    if let Mood::Conflicts(left @ 1..) = inside.mood {
        inside.mood = Mood::Conflicts(left - 1);
        return Some(error(StatusCode::CONFLICT, "The resource could not be updated"));
    }
    let hash = document.pointer("/credentials/password/config/hashed_password");
    let hash = hash.and_then(Value::as_str).map(str::to_owned);
    let one = inside.identities.get_mut(id).unwrap();
    if let (Some(password), Some(hash)) = (&mut one.password, hash) {
        password.hash = hash;
    }
    Some(json_with(StatusCode::OK, &rep(one, Shown::Metadata)))
}
