//! The self-service log-in for programs, which is the judge of whether a password opens an account and whether
//! a session is alive.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use forthwith::secret::password::{Password, verify};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Asked, Inside, Kratos, Session, json_with, refused};

pub fn answer(inside: &mut Inside, path: &[&str], asked: &Asked<'_>) -> Option<Response> {
    match (asked.method.as_str(), path) {
        ("GET", ["self-service", "login", "api"]) => {
            let id = Uuid::from_u128(rand::random()).to_string();
            inside.flows.push(id.clone());
            Some(json_with(StatusCode::OK, &json!({ "id": id, "type": "api" })))
        }
        ("POST", ["self-service", "login"]) => log_in(inside, asked),
        ("DELETE", ["self-service", "logout", "api"]) => {
            let body: Value = serde_json::from_slice(asked.body).ok()?;
            let token = body["session_token"].as_str()?;
            for identity in inside.identities.values_mut() {
                identity.sessions.retain(|session| session.token != token);
            }
            Some(StatusCode::NO_CONTENT.into_response())
        }
        ("GET", ["sessions", "whoami"]) => {
            let token = asked.headers.get("x-session-token")?.to_str().ok()?;
            let is_it = |session: &Session| session.token == token && session.active;
            let is_alive = inside.identities.values().any(|one| one.sessions.iter().any(is_it));
            if is_alive {
                Some(json_with(StatusCode::OK, &json!({ "active": true })))
            } else {
                refused(401, "No valid session")
            }
        }
        _ => None,
    }
}

fn log_in(inside: &mut Inside, asked: &Asked<'_>) -> Option<Response> {
    let flow = asked.one("flow")?;
    if !inside.flows.iter().any(|known| known == flow) {
        return refused(404, "no such flow");
    }
    let body: Value = serde_json::from_slice(asked.body).ok()?;
    assert_eq!(body["method"], json!("password"));
    let (identifier, word) = (body["identifier"].as_str()?, body["password"].as_str()?);
    let wrong = "The provided credentials are invalid";
    let Some(one) = inside.by_identifier(identifier) else { return refused(400, wrong) };
    let Some(password) = &one.password else { return refused(400, wrong) };
    if !fits(word, &password.hash) {
        return refused(400, wrong);
    }
    let token = hex::encode(rand::random::<[u8; 16]>());
    let id = Uuid::from_u128(rand::random()).to_string();
    one.sessions.push(Session { id, token: token.clone(), active: true });
    Some(json_with(StatusCode::OK, &json!({ "session_token": token, "session": {} })))
}

/// By the hash's own scheme: those two that Kratos makes.
fn fits(word: &str, hash: &str) -> bool {
    if hash.starts_with("$argon2id$") {
        verify(&Password::new(word.to_owned()), hash).unwrap()
    } else {
        hash.starts_with("$2") && bcrypt::verify(word, hash).unwrap_or(false)
    }
}

fn client() -> reqwest::Client {
    // as the whole program does where it begins
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

impl Kratos {
    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port())
    }

    /// Logs somebody in; the token of the session.
    pub async fn session_of(&self, identifier: &str, word: &str) -> Option<String> {
        let client = client();
        let flow = client.get(self.url("self-service/login/api")).send().await.unwrap();
        let flow: Value = flow.json().await.unwrap();
        let place = format!("self-service/login?flow={}", flow["id"].as_str().unwrap());
        let body = json!({ "method": "password", "identifier": identifier, "password": word });
        let answer = client.post(self.url(&place)).json(&body).send().await.unwrap();
        if !answer.status().is_success() {
            return None;
        }
        let answer: Value = answer.json().await.unwrap();
        Some(answer["session_token"].as_str().unwrap().to_owned())
    }

    /// Whether its own log-in lets somebody in; logged out again at once.
    pub async fn logs_in(&self, identifier: &str, word: &str) -> bool {
        let Some(token) = self.session_of(identifier, word).await else { return false };
        let client = client();
        let body = json!({ "session_token": token });
        let answer = client.delete(self.url("self-service/logout/api")).json(&body).send().await;
        assert!(answer.unwrap().status().is_success());
        true
    }

    /// Whether a session goes on.
    pub async fn is_alive(&self, token: &str) -> bool {
        let client = client();
        let asked = client.get(self.url("sessions/whoami")).header("x-session-token", token);
        asked.send().await.unwrap().status().is_success()
    }
}
