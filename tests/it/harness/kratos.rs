//! An Ory Kratos, as far as its published client types and its sources tell: identities with credentials and
//! sessions, the admin API of them, and its self-service log-in. It is as strict as the server: other paths,
//! methods, queries and fields are refused. It knows nothing of who asks.

mod admin;
mod selfservice;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use forthwith::directory::kratos::KratosDirectorySettings;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

/// The token of the guard before the admin API, which must never be seen.
pub const TOKEN: &str = "a guard's token of 42 letters and more 0123";

/// What is kept of a password.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Password {
    pub hash: String,
    pub uses_hook: bool,
}

#[derive(Debug, Clone)]
pub struct Session {
    pub id: String,
    pub token: String,
    pub active: bool,
}

#[derive(Debug, Clone)]
pub struct Identity {
    pub id: String,
    pub identifier: String,
    pub external_id: Option<String>,
    pub metadata_admin: Value,
    pub password: Option<Password>,
    /// Whether another provider logs in, too.
    pub has_oidc: bool,
    pub sessions: Vec<Session>,
    /// The traits do not follow the schema of today.
    pub is_outdated: bool,
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
    /// So many writes meet another one of the same identity.
    Conflicts(u32),
    /// This identity is deleted just before a write to it.
    Deletes(&'static str),
    /// Control accounts are changed along with the others.
    Reaches(&'static str),
    /// It does not test before it replaces.
    TestsNothing,
}

#[derive(Default)]
pub struct Inside {
    pub identities: BTreeMap<String, Identity>,
    pub mood: Mood,
    /// An older server: lists come without credentials.
    pub is_old: bool,
    /// `METHOD path?query` of every request that came.
    pub requests: Vec<String>,
    /// Requests for what is not there.
    pub strays: Vec<String>,
    flows: Vec<String>,
}

impl Inside {
    /// How many requests began so.
    pub fn count(&self, start: &str) -> usize {
        self.requests.iter().filter(|request| request.starts_with(start)).count()
    }

    fn by_identifier(&mut self, identifier: &str) -> Option<&mut Identity> {
        let wanted = identifier.trim().to_lowercase();
        self.identities.values_mut().find(|one| one.identifier == wanted)
    }
}

type Shared = Arc<Mutex<Inside>>;

pub struct Kratos {
    inside: Shared,
    pub folder: TempDir,
    port: u16,
    serving: tokio::task::JoinHandle<()>,
}

impl Kratos {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, TOKEN).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let inside = Shared::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(serve).with_state(Arc::clone(&inside));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { inside, folder, port, serving }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Accounts are named by what they log in by.
    pub fn table(&self, port: u16) -> String {
        format!("{}account = \"identifier\"\n", self.table_of_ids(port))
    }

    pub fn table_of_ids(&self, port: u16) -> String {
        let token = self.folder.path().join("token");
        format!("url = \"http://127.0.0.1:{port}/\"\ntoken_file = \"{}\"\n", token.display())
    }

    pub fn settings(&self, more: &str) -> KratosDirectorySettings {
        toml::from_str(&format!("{}{more}", self.table(self.port))).unwrap()
    }

    pub fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// An identity with the hash of a password and so many sessions; its id.
    pub fn put(&self, identifier: &str, hash: Option<String>, sessions: u32) -> String {
        let id = Uuid::from_u128(rand::random()).to_string();
        let session = |_| Session {
            id: Uuid::from_u128(rand::random()).to_string(),
            token: hex::encode(rand::random::<[u8; 16]>()),
            active: true,
        };
        let identity = Identity {
            id: id.clone(),
            identifier: identifier.to_lowercase(),
            external_id: None,
            metadata_admin: Value::Null,
            has_oidc: hash.is_none(),
            password: hash.map(|hash| Password { hash, uses_hook: false }),
            sessions: (0..sessions).map(session).collect(),
            is_outdated: false,
        };
        self.inside().identities.insert(id.clone(), identity);
        id
    }

    pub fn with<T>(&self, identifier: &str, of: impl FnOnce(&mut Identity) -> T) -> T {
        of(self.inside().by_identifier(identifier).unwrap())
    }

    /// Marks it for the rehearsals of a database.
    pub fn mark(&self, database: Option<&str>) {
        let id = self.put("marker", None, 0);
        let mut inside = self.inside();
        let marker = inside.identities.get_mut(&id).unwrap();
        marker.external_id = Some("forthwith-rehearsal".into());
        if let Some(database) = database {
            marker.metadata_admin = json!({ "forthwith_rehearsal": database });
        }
    }

    /// Sessions alive.
    pub fn sessions(&self) -> u64 {
        let inside = self.inside();
        let all = inside.identities.values().flat_map(|identity| &identity.sessions);
        all.filter(|session| session.active).count() as u64
    }
}

impl Drop for Kratos {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A request, its path in segments.
struct Asked<'a> {
    method: Method,
    query: Vec<(String, String)>,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

impl Asked<'_> {
    fn all(&self, name: &str) -> Vec<&str> {
        let of = self.query.iter().filter(|(known, _)| known == name);
        of.map(|(_, value)| value.as_str()).collect()
    }

    fn one(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Whether nothing else is asked than these.
    fn asks_only(&self, known: &[&str]) -> bool {
        self.query.iter().all(|(name, _)| known.contains(&name.as_str()))
    }
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
    let query = url.query_pairs().into_owned().collect();
    let request = Asked { method, query, headers: &headers, body: &body };
    let path: Vec<&str> = url.path_segments().unwrap().collect();
    let answer = match path.as_slice() {
        ["admin", rest @ ..] => admin::answer(&mut inside, rest, &request),
        rest => selfservice::answer(&mut inside, rest, &request),
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

/// `ErrorGeneric` of the client types.
fn error(status: StatusCode, reason: &str) -> Response {
    let said =
        json!({ "error": { "code": status.as_u16(), "message": "refused", "reason": reason } });
    json_with(status, &said)
}

fn json_with(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

fn refused(status: u16, reason: &str) -> Option<Response> {
    StatusCode::from_u16(status).ok().map(|status| error(status, reason))
}
