//! The realm's endpoints of `OpenID` Connect: tokens for our client, and the log-in of people, which is the judge of
//! whether a password opens an account and whether a session is alive.

use std::collections::HashMap;

use axum::http::{Method, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{
    Asked, CLIENT, Inside, Keycloak, REALM, SECRET, SHOP, done, form_decoded, found, json_with,
    millis, password,
};

type Form = HashMap<String, String>;

pub fn answer(inside: &mut Inside, what: &str, asked: &Asked<'_>) -> Option<Response> {
    let form_type = "application/x-www-form-urlencoded";
    let is_form = asked.headers.get("content-type").is_some_and(|of| of == form_type);
    if asked.method != Method::POST || !is_form || !asked.query.is_empty() {
        return None;
    }
    let form: Form = url::form_urlencoded::parse(asked.body).into_owned().collect();
    match (what, form.get("grant_type").map(String::as_str)) {
        ("token", Some("client_credentials")) if form.len() == 1 => client_token(inside, asked),
        ("token", Some("password")) => log_in(inside, &form),
        ("token", Some("refresh_token")) => refresh(inside, &form),
        ("logout", None) => {
            let token = form.get("refresh_token")?;
            for user in inside.users.values_mut() {
                user.sessions.retain(|session| session.refresh != *token);
            }
            done()
        }
        _ => None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an answer among those that may be missing")]
fn refused(status: StatusCode, error: &str) -> Option<Response> {
    Some(json_with(status, &json!({ "error": error, "error_description": "refused" })))
}

fn client_token(inside: &mut Inside, asked: &Asked<'_>) -> Option<Response> {
    let basic = asked.headers.get("authorization")?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(basic).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    // each part is form-encoded before (RFC 6749, section 2.3.1)
    if (form_decoded(id).as_str(), form_decoded(secret).as_str()) != (CLIENT, SECRET) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    let token = inside.next("token");
    let uses = inside.token_uses;
    inside.tokens.insert(token.clone(), uses);
    found(&json!({ "access_token": token, "expires_in": 60, "token_type": "Bearer",
                   "not-before-policy": 0, "scope": "profile email" }))
}

fn log_in(inside: &mut Inside, form: &Form) -> Option<Response> {
    assert_eq!(form.get("client_id").map(String::as_str), Some(SHOP));
    let (username, word) = (form.get("username")?, form.get("password")?);
    let is_offline = form.get("scope").is_some_and(|scope| scope.contains("offline_access"));
    let rehashes = inside.rehashes;
    let Some(user) = inside.by_name(username) else {
        return refused(StatusCode::UNAUTHORIZED, "invalid_grant");
    };
    let Some(held) = user.password().cloned() else {
        return refused(StatusCode::UNAUTHORIZED, "invalid_grant");
    };
    if !password::verify(word, &held.data, &held.secret) {
        return refused(StatusCode::UNAUTHORIZED, "invalid_grant");
    }
    if !user.required_actions.is_empty() {
        // "Account is not fully set up"
        return refused(StatusCode::BAD_REQUEST, "invalid_grant");
    }
    if rehashes {
        let (data, secret) = password::encode_with(word, 128, 2);
        let now = user.credentials.iter_mut().find(|one| one.id == held.id).unwrap();
        (now.data, now.secret) = (data, secret);
    }
    let session = inside.session(is_offline);
    let refresh = session.refresh.clone();
    inside.by_name(username).unwrap().sessions.push(session);
    found(
        &json!({ "access_token": "an access token", "refresh_token": refresh, "expires_in": 300 }),
    )
}

fn refresh(inside: &mut Inside, form: &Form) -> Option<Response> {
    let token = form.get("refresh_token")?;
    let is_alive = inside.users.values().any(|user| {
        let live = |session: &super::Session| {
            session.refresh == *token && session.issued >= user.not_before
        };
        user.sessions.iter().any(live)
    });
    if is_alive {
        found(&json!({ "access_token": "another", "refresh_token": token, "at": millis() }))
    } else {
        refused(StatusCode::BAD_REQUEST, "invalid_grant")
    }
}

fn client() -> reqwest::Client {
    // as the whole program does where it begins
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

impl Keycloak {
    async fn post(&self, what: &str, form: &[(&str, &str)]) -> Option<Value> {
        let url = format!(
            "http://127.0.0.1:{}/realms/{REALM}/protocol/openid-connect/{what}",
            self.port()
        );
        let client = client();
        let answer = client.post(url).form(form).send().await.unwrap();
        let is_well = answer.status().is_success();
        let body = answer.bytes().await.unwrap();
        is_well.then(|| serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Logs somebody in to the shop; the refresh token of the session.
    pub async fn session_of(&self, username: &str, word: &str, scope: &str) -> Option<String> {
        let form = [
            ("grant_type", "password"),
            ("client_id", SHOP),
            ("username", username),
            ("password", word),
            ("scope", scope),
        ];
        let answer = self.post("token", &form).await?;
        Some(answer["refresh_token"].as_str().unwrap().to_owned())
    }

    /// Whether the realm's own log-in lets somebody in; logged out again at once.
    pub async fn logs_in(&self, username: &str, word: &str) -> bool {
        let Some(token) = self.session_of(username, word, "openid").await else { return false };
        let form = [("client_id", SHOP), ("refresh_token", &token)];
        assert!(self.post("logout", &form).await.is_some());
        true
    }

    /// Whether a session goes on.
    pub async fn is_alive(&self, refresh: &str) -> bool {
        let form =
            [("grant_type", "refresh_token"), ("client_id", SHOP), ("refresh_token", refresh)];
        self.post("token", &form).await.is_some()
    }
}
