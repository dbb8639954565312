//! A realm of Keycloak, as far as its published client types and its sources tell: users with credentials,
//! sessions and tokens, the admin API of them, and its own log-in. It is as strict as the server: other paths,
//! methods, queries and fields are refused. It knows nothing of who asks.

mod admin;
mod login;
mod password;

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use forthwith::directory::keycloak::KeycloakDirectorySettings;
use forthwith::domain::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tempfile::TempDir;

pub const REALM: &str = "brand";
/// The client that we are, and its secret, which must never be seen.
pub const CLIENT: &str = "forthwith";
pub const SECRET: &str = "a client's secret: 100% its own";
/// The shop that people log in to.
pub const SHOP: &str = "shop";
const SHOP_ID: &str = "5f0c1c5e-0d5e-4b8e-9d55-8d8f2a9a0001";

/// A stored credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub id: String,
    pub kind: String,
    pub created: Option<i64>,
    pub label: Option<String>,
    pub data: String,
    pub secret: String,
}

/// A session, by whose refresh token an application gets new ones.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: String,
    pub is_offline: bool,
    pub refresh: String,
    pub issued: i64,
}

#[derive(Debug, Clone, Default)]
pub struct User {
    pub id: String,
    pub username: String,
    pub federation_link: Option<String>,
    pub required_actions: Vec<String>,
    pub credentials: Vec<Credential>,
    pub sessions: Vec<Session>,
    pub not_before: i64,
    /// The profile lacks what the realm demands by now.
    pub is_incomplete: bool,
    /// We may see the user, and no more.
    pub is_out_of_reach: bool,
}

impl User {
    fn password(&self) -> Option<&Credential> {
        self.credentials.iter().find(|one| one.kind == "password")
    }
}

/// How it misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    #[default]
    Well,
    /// So many requests are put off with 429 and a second's wait.
    Busy(u32),
    /// So many answers are lost on the way, after the work.
    LosesAnswers(u32),
    /// Writes to this user's account end in a conflict.
    Conflicts(&'static str),
    /// This user is deleted just before a write to them.
    Deletes(&'static str),
    /// Control accounts are changed along with the others.
    Reaches(&'static str),
}

pub struct Inside {
    pub users: BTreeMap<String, User>,
    pub mood: Mood,
    pub marker: Option<String>,
    /// Whether our client has `view-realm`.
    pub may_see_realm: bool,
    /// How often a token is good before it has lapsed.
    pub token_uses: u32,
    /// Whether the realm hashes otherwise by now, so that a log-in hashes anew.
    pub rehashes: bool,
    /// `METHOD path?query` of every request that came.
    pub requests: Vec<String>,
    /// Requests for what is not there.
    pub strays: Vec<String>,
    tokens: HashMap<String, u32>,
    given: u64,
}

impl Inside {
    /// Every token that was given ends.
    pub fn end_tokens(&mut self) {
        self.tokens.clear();
    }

    /// How many requests began so.
    pub fn count(&self, start: &str) -> usize {
        self.requests.iter().filter(|request| request.starts_with(start)).count()
    }

    fn next(&mut self, of: &str) -> String {
        self.given += 1;
        format!("{of}-{}", self.given)
    }
}

type Shared = Arc<Mutex<Inside>>;

pub struct Keycloak {
    inside: Shared,
    pub folder: TempDir,
    port: u16,
    serving: tokio::task::JoinHandle<()>,
}

impl Keycloak {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, SECRET).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let inside = Arc::new(Mutex::new(Inside {
            users: BTreeMap::new(),
            mood: Mood::Well,
            marker: None,
            may_see_realm: true,
            token_uses: 1_000,
            rehashes: false,
            requests: Vec::new(),
            strays: Vec::new(),
            tokens: HashMap::new(),
            given: 0,
        }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(serve).with_state(Arc::clone(&inside));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let keycloak = Self { inside, folder, port, serving };
        keycloak.put(&format!("service-account-{CLIENT}"), None, 0);
        keycloak
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn table(&self, port: u16) -> String {
        let secret = self.folder.path().join("secret");
        format!(
            "url = \"http://127.0.0.1:{port}\"\nrealm = \"{REALM}\"\nclient_id = \"{CLIENT}\"\n\
             secret_file = \"{}\"\n",
            secret.display()
        )
    }

    pub fn settings(&self, more: &str) -> KeycloakDirectorySettings {
        toml::from_str(&format!("{}{more}", self.table(self.port))).unwrap()
    }

    pub fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// A user with a password of long ago and so many sessions; the user's id.
    pub fn put(&self, username: &str, word: Option<&str>, sessions: u32) -> String {
        let mut inside = self.inside();
        let id = format!("0193-{username}");
        let mut user =
            User { id: id.clone(), username: username.to_lowercase(), ..User::default() };
        if let Some(word) = word {
            let (data, secret) = password::encode(word);
            user.credentials.push(Credential {
                id: inside.next("credential"),
                kind: "password".into(),
                created: Some(1_306_886_400_000),
                label: None,
                data,
                secret,
            });
        }
        for _ in 0..sessions {
            user.sessions.push(inside.session(false));
        }
        inside.users.insert(id.clone(), user);
        id
    }

    pub fn with<T>(&self, username: &str, of: impl FnOnce(&mut User) -> T) -> T {
        of(self.inside().by_name(username).unwrap())
    }

    /// Somebody chooses a password on the account's own page.
    pub fn chooses(&self, username: &str, word: &str) {
        let encoded = password::encode(word);
        self.inside().set_password(username, encoded, None, Some(millis()));
    }

    /// Sessions alive.
    pub fn sessions(&self) -> u64 {
        self.inside().users.values().map(|user| user.sessions.len() as u64).sum()
    }
}

impl Drop for Keycloak {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Inside {
    fn by_name(&mut self, username: &str) -> Option<&mut User> {
        let name = username.to_lowercase();
        self.users.values_mut().find(|user| user.username == name)
    }

    fn session(&mut self, is_offline: bool) -> Session {
        let (id, refresh) = (self.next("session"), self.next("refresh"));
        Session { id, is_offline, refresh, issued: millis() / 1_000 }
    }

    /// As `PasswordCredentialProvider.createCredential`: over the password there is, else as a new one.
    fn set_password(
        &mut self,
        username: &str,
        (data, secret): (String, String),
        label: Option<String>,
        created: Option<i64>,
    ) {
        let id = self.next("credential");
        let created = Some(created.unwrap_or_else(millis));
        let user = self.by_name(username).unwrap();
        let kind = "password".to_owned();
        let mut new = Credential { id, kind, created, label, data, secret };
        if let Some(held) = user.credentials.iter_mut().find(|one| one.kind == "password") {
            new.id.clone_from(&held.id);
            *held = new;
        } else {
            user.credentials.push(new);
        }
    }
}

fn millis() -> i64 {
    SystemClock.now().as_millisecond()
}

/// A request, its path in decoded segments.
struct Asked<'a> {
    method: Method,
    path: Vec<String>,
    query: HashMap<String, String>,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

async fn serve(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut inside = shared.lock().unwrap();
    let asked = format!("{method} {uri}");
    inside.requests.push(asked.clone());
    if let Mood::Busy(left @ 1..) = inside.mood {
        inside.mood = Mood::Busy(left - 1);
        return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
    }
    let url = url::Url::parse(&format!("http://fake{uri}")).unwrap();
    let decoded = |segment: &str| form_decoded(&segment.replace('+', "%2B").replace('&', "%26"));
    let path: Vec<String> = url.path_segments().unwrap().map(decoded).collect();
    let query = url.query_pairs().into_owned().collect();
    let request = Asked { method, path, query, headers: &headers, body: &body };
    let words: Vec<&str> = request.path.iter().map(String::as_str).collect();
    let answer = match words.as_slice() {
        ["realms", REALM, "protocol", "openid-connect", what] => {
            login::answer(&mut inside, what, &request)
        }
        ["admin", "realms", REALM, rest @ ..] => admin::answer(&mut inside, rest, &request),
        _ => None,
    };
    let Some(answer) = answer else {
        inside.strays.push(asked);
        return error(StatusCode::NOT_FOUND, "no such path, method or query");
    };
    if let Mood::LosesAnswers(left @ 1..) = inside.mood {
        inside.mood = Mood::LosesAnswers(left - 1);
        return StatusCode::BAD_GATEWAY.into_response();
    }
    answer
}

/// One value as a form has it.
fn form_decoded(text: &str) -> String {
    let pair = format!("x={text}");
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes()).into_owned();
    pairs.next().unwrap().1
}

fn error(status: StatusCode, said: &str) -> Response {
    json_with(status, &json!({ "errorMessage": said }))
}

fn json_with(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

#[expect(clippy::unnecessary_wraps, reason = "an answer among those that may be missing")]
fn found(body: &Value) -> Option<Response> {
    Some(json_with(StatusCode::OK, body))
}

#[expect(clippy::unnecessary_wraps, reason = "an answer among those that may be missing")]
fn done() -> Option<Response> {
    Some(StatusCode::NO_CONTENT.into_response())
}

#[expect(clippy::unnecessary_wraps, reason = "an answer among those that may be missing")]
fn not_found(what: &str) -> Option<Response> {
    Some(error(StatusCode::NOT_FOUND, what))
}
