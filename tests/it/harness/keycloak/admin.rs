//! The admin API of users, as far as anybody here asks it.

use axum::http::{Method, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Asked, Credential, Inside, Mood, SHOP_ID, User, done, error, found, millis, not_found, password,
};

/// The most users in one page where nobody says.
const PAGE: usize = 100;

/// `CredentialRepresentation` of the client types.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CredentialRep {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    created_date: Option<i64>,
    user_label: Option<String>,
    credential_data: Option<String>,
    secret_data: Option<String>,
    value: Option<String>,
    #[serde(default)]
    temporary: bool,
}

/// `UserRepresentation` of the client types, as far as a change of it is known here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UserRep {
    credentials: Option<Vec<CredentialRep>>,
    required_actions: Option<Vec<String>>,
}

pub fn answer(inside: &mut Inside, path: &[&str], asked: &Asked<'_>) -> Option<Response> {
    let token = asked.headers.get("authorization").and_then(|of| of.to_str().ok());
    let token = token.and_then(|of| of.strip_prefix("Bearer ")).unwrap_or_default();
    match inside.tokens.get_mut(token) {
        Some(left @ 1..) => *left -= 1,
        _ => return Some(error(StatusCode::UNAUTHORIZED, "HTTP 401 Unauthorized")),
    }
    if asked.method != Method::PUT && !asked.body.is_empty() {
        return None;
    }
    let known: &[&str] = match path {
        ["users"] => &["username", "exact", "first", "max"],
        ["sessions", _] => &["isOffline"],
        _ => &[],
    };
    if asked.query.keys().any(|name| !known.contains(&name.as_str())) {
        return None;
    }
    match (asked.method.as_str(), path) {
        ("GET", []) => Some(realm(inside)),
        ("GET", ["users"]) => search(inside, asked),
        ("DELETE", ["sessions", id]) => end_session(inside, id, asked),
        (method, ["users", id, rest @ ..]) => {
            if !inside.users.contains_key(*id) {
                return not_found("User not found");
            }
            of_user(inside, method, id, rest, asked)
        }
        _ => None,
    }
}

fn realm(inside: &Inside) -> Response {
    if !inside.may_see_realm {
        return super::json_with(StatusCode::OK, &json!({ "realm": super::REALM }));
    }
    let mut attributes = json!({ "userProfileEnabled": "true" });
    if let Some(marker) = &inside.marker {
        attributes["forthwith-rehearsal"] = json!(marker);
    }
    let body = json!({ "id": "a realm", "realm": super::REALM, "attributes": attributes });
    super::json_with(StatusCode::OK, &body)
}

/// Without `exact` whatever holds the text is found, as the server does it.
fn search(inside: &Inside, asked: &Asked<'_>) -> Option<Response> {
    let number = |key: &str, usual: usize| {
        asked.query.get(key).map_or(Some(usual), |text| text.parse().ok())
    };
    let (first, max) = (number("first", 0)?, number("max", PAGE)?);
    let name = asked.query.get("username").map(|name| name.to_lowercase()).unwrap_or_default();
    let is_exact = asked.query.get("exact").is_some_and(|exact| exact == "true");
    let fits = |user: &&User| {
        if is_exact { user.username == name } else { user.username.contains(&name) }
    };
    let all = inside.users.values().filter(fits).skip(first).take(max);
    found(&all.map(user_rep).collect())
}

fn user_rep(user: &User) -> Value {
    let mut rep = json!({
        "id": user.id, "username": user.username, "enabled": true, "emailVerified": true,
        "createdTimestamp": 1_300_000_000_000_i64, "totp": false, "notBefore": user.not_before,
        "disableableCredentialTypes": [], "requiredActions": user.required_actions,
        "access": { "manage": !user.is_out_of_reach, "view": true },
    });
    if let Some(link) = &user.federation_link {
        rep["federationLink"] = json!(link);
    }
    rep
}

fn credential_rep(held: &Credential) -> Value {
    let mut rep = json!({ "id": held.id, "type": held.kind, "credentialData": held.data });
    if let Some(created) = held.created {
        rep["createdDate"] = json!(created);
    }
    if let Some(label) = &held.label {
        rep["userLabel"] = json!(label);
    }
    rep
}

fn session_reps(user: &User, is_offline: bool) -> Value {
    let of = user.sessions.iter().filter(|session| session.is_offline == is_offline);
    of.map(|one| json!({ "id": one.id, "userId": user.id, "username": user.username })).collect()
}

fn of_user(
    inside: &mut Inside,
    method: &str,
    id: &str,
    rest: &[&str],
    asked: &Asked<'_>,
) -> Option<Response> {
    match (method, rest) {
        ("GET", []) => found(&user_rep(&inside.users[id])),
        ("GET", ["credentials"]) => {
            found(&inside.users[id].credentials.iter().map(credential_rep).collect())
        }
        ("GET", ["sessions"]) => found(&session_reps(&inside.users[id], false)),
        ("GET", ["offline-sessions", SHOP_ID]) => found(&session_reps(&inside.users[id], true)),
        ("GET", ["offline-sessions", _]) => not_found("Client not found"),
        ("GET", ["consents"]) => {
            let user = &inside.users[id];
            let offline = json!([{
                "clientId": super::SHOP, "grantedClientScopes": [], "createdDate": null,
                "additionalGrants": [{ "client": SHOP_ID, "key": "Offline Token" }],
            }]);
            let has_any = user.sessions.iter().any(|session| session.is_offline);
            found(&if has_any { offline } else { json!([]) })
        }
        ("POST", ["logout"]) => {
            let user = inside.users.get_mut(id).unwrap();
            if user.is_out_of_reach {
                return Some(error(StatusCode::FORBIDDEN, "HTTP 403 Forbidden"));
            }
            user.sessions.retain(|session| session.is_offline);
            user.not_before = millis() / 1_000;
            done()
        }
        ("PUT", []) => update(inside, id, asked),
        _ => None,
    }
}

/// As `UserResource.updateUser`: all or nothing.
fn update(inside: &mut Inside, id: &str, asked: &Asked<'_>) -> Option<Response> {
    if asked.headers.get("content-type").is_none_or(|of| of != "application/json") {
        return Some(error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "HTTP 415"));
    }
    let bad = |said: &str| Some(error(StatusCode::BAD_REQUEST, said));
    let Ok(rep) = serde_json::from_slice::<UserRep>(asked.body) else {
        return bad("Unrecognized field");
    };
    let user = inside.users.get(id).unwrap().clone();
    match inside.mood {
        Mood::Conflicts(name) if name == user.username => {
            return Some(error(StatusCode::CONFLICT, "User exists with same username or email"));
        }
        Mood::Deletes(name) if name == user.username => {
            inside.users.remove(id);
            return not_found("User not found");
        }
        Mood::Reaches(name) => {
            let encoded = password::encode("somebody else's");
            inside.set_password(name, encoded, None, None);
        }
        _ => {}
    }
    if user.is_out_of_reach {
        return Some(error(StatusCode::FORBIDDEN, "HTTP 403 Forbidden"));
    }
    if user.is_incomplete {
        return bad("error-user-attribute-required");
    }
    if let Some(actions) = rep.required_actions {
        inside.users.get_mut(id).unwrap().required_actions = actions;
    }
    for one in rep.credentials.into_iter().flatten() {
        assert_eq!(one.kind, "password", "no other kind is known here");
        if one.id.is_some_and(|known| user.credentials.iter().any(|held| held.id == known)) {
            continue;
        }
        let encoded = match (one.value.filter(|value| !value.is_empty()), one.credential_data) {
            (Some(word), _) => password::encode(&word),
            (None, Some(data)) => (data, one.secret_data.unwrap_or_default()),
            (None, None) => return bad("Could not update user!"),
        };
        if one.temporary {
            let actions = &mut inside.users.get_mut(id).unwrap().required_actions;
            actions.push("UPDATE_PASSWORD".into());
        }
        inside.set_password(&user.username, encoded, one.user_label, one.created_date);
    }
    done()
}

fn end_session(inside: &mut Inside, id: &str, asked: &Asked<'_>) -> Option<Response> {
    let is_offline = asked.query.get("isOffline").is_some_and(|of| of == "true");
    for user in inside.users.values_mut() {
        let before = user.sessions.len();
        user.sessions.retain(|one| one.id != id || one.is_offline != is_offline);
        if user.sessions.len() < before {
            return done();
        }
    }
    not_found("Sesssion not found")
}
