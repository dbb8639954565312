//! A company's own endpoint, as strict as `docs/directories.md` lets one be: it checks every signature,
//! takes no message twice, and answers the same request with the same answer.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use forthwith::directory::http::HttpDirectorySettings;
use forthwith::domain::clock::{Clock as _, SystemClock};
use forthwith::secret::password::{self, Password};
use forthwith::secret::webhook::WebhookKey;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The key both sides share, which must never be seen.
pub const KEY: &str = "correct-horse-17-battery-staple-0123456789";

const WINDOW: i64 = 300;
const SIGNATURE: &str = "forthwith-signature";

/// What an account holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    pub hash: Option<String>,
    pub sessions: u64,
    pub changed_at: Option<String>,
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
    /// Its answers are somebody else's.
    Unsigned,
    /// It redirects.
    Redirects,
    /// It refuses this account.
    Refuses(&'static str),
    /// It changes control accounts along with the others.
    Reaches(&'static str),
}

#[derive(Default)]
pub struct Inside {
    pub accounts: BTreeMap<String, Account>,
    pub mood: Mood,
    pub rehearsal: Option<String>,
    /// The accounts it takes in one call; 50 where it is 0.
    pub batch: usize,
    /// The form it says it reads passwords in; Argon2id where it is empty.
    pub form: &'static str,
    /// Verbs in their order, each answer that was made.
    pub done: Vec<String>,
    pub requests: usize,
    answered: HashMap<String, (Vec<u8>, Vec<u8>)>,
}

#[derive(Clone)]
struct Served {
    inside: Arc<Mutex<Inside>>,
    key: WebhookKey,
}

pub struct Endpoint {
    inside: Arc<Mutex<Inside>>,
    pub folder: TempDir,
    port: u16,
    serving: tokio::task::JoinHandle<()>,
}

impl Endpoint {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, KEY).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let key = WebhookKey::read(&path, "test").unwrap();
        let inside = Arc::<Mutex<Inside>>::default();
        let served = Served { inside: Arc::clone(&inside), key };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(serve).with_state(served);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { inside, folder, port, serving }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn table(&self, port: u16) -> String {
        let key = self.folder.path().join("key");
        format!("url = \"http://127.0.0.1:{port}/f\"\nkey_file = \"{}\"\n", key.display())
    }

    pub fn settings(&self, more: &str) -> HttpDirectorySettings {
        toml::from_str(&format!("{}{more}", self.table(self.port))).unwrap()
    }

    pub fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    pub fn put(&self, account: &str, hash: Option<String>, sessions: u64) {
        let held = Account { hash, sessions, changed_at: Some("2011-06-01T00:00:00Z".into()) };
        self.inside().accounts.insert(account.to_owned(), held);
    }

    pub fn logs_in(&self, account: &str, word: &str) -> bool {
        let hash = self.inside().accounts.get(account).and_then(|held| held.hash.clone());
        hash.is_some_and(|hash| password::verify(&Password::new(word.into()), &hash).unwrap())
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(State(served): State<Served>, headers: HeaderMap, body: Bytes) -> Response {
    let mut inside = served.inside.lock().unwrap();
    inside.requests += 1;
    let refuse = |status: StatusCode| status.into_response();
    let Some(signed) = headers.get(SIGNATURE).and_then(|value| value.to_str().ok()) else {
        return refuse(StatusCode::UNAUTHORIZED);
    };
    let (at, mac) = signed.strip_prefix("t=").and_then(|rest| rest.split_once(",v1=")).unwrap();
    let age = SystemClock.now().as_second() - at.parse::<i64>().unwrap();
    if !served.key.verify(&[at], &body, mac) || age.abs() > WINDOW {
        return refuse(StatusCode::UNAUTHORIZED);
    }
    match inside.mood {
        Mood::Busy(left @ 1..) => {
            inside.mood = Mood::Busy(left - 1);
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
        }
        Mood::Redirects => {
            return (StatusCode::TEMPORARY_REDIRECT, [("location", "http://127.0.0.1:1/")])
                .into_response();
        }
        _ => {}
    }
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let id = asked["id"].as_str().unwrap().to_owned();
    let answer = match inside.answered.get(&id) {
        // a retry says what it said before, octet for octet
        Some((known, answer)) if *known == body => answer.clone(),
        Some(_) => return refuse(StatusCode::CONFLICT),
        None => {
            let answer = inside.answer(&asked).to_string().into_bytes();
            inside.answered.insert(id.clone(), (body.to_vec(), answer.clone()));
            answer
        }
    };
    if let Mood::LosesAnswers(left @ 1..) = inside.mood {
        inside.mood = Mood::LosesAnswers(left - 1);
        return refuse(StatusCode::BAD_GATEWAY);
    }
    let now = SystemClock.now().as_second().to_string();
    let named = if inside.mood == Mood::Unsigned { "another request" } else { &id };
    let mac = served.key.sign(&[&now, named], &answer);
    ([(SIGNATURE, format!("t={now},v1={mac}"))], answer).into_response()
}

impl Inside {
    fn answer(&mut self, asked: &Value) -> Value {
        let verb = asked["verb"].as_str().unwrap().to_owned();
        self.done.push(verb.clone());
        let rows: Vec<Value> = asked["rows"].as_array().unwrap().clone();
        match verb.as_str() {
            "capabilities" => json!({
                "kinds": ["password"], "change_time": ["password"], "counts_sessions": true,
                "ends_sessions": "ended", "batch": if self.batch == 0 { 50 } else { self.batch }, "rehearsal": self.rehearsal,
                "form": if self.form.is_empty() { "argon2id" } else { self.form },
            }),
            "read" | "confirm" => json!({ "rows": self.read(&rows) }),
            "replace" | "set" => self.replace(&rows),
            "end-sessions" => {
                let mut ended = 0;
                for row in &rows {
                    if let Some(held) = self.accounts.get_mut(row["account"].as_str().unwrap()) {
                        ended += std::mem::take(&mut held.sessions);
                    }
                }
                json!({ "sessions_ended": ended })
            }
            "check" => {
                let before = self.accounts.clone();
                let mut answer = self.replace(&rows);
                answer["rows"] = json!(self.read(&rows));
                answer["tried"] = json!(true);
                self.accounts = before;
                answer
            }
            other => panic!("no such verb: {other}"),
        }
    }

    fn read(&self, rows: &[Value]) -> Vec<Value> {
        let held = |row: &Value| {
            let account = row["account"].as_str().unwrap();
            let held = self.accounts.get(account)?;
            Some(json!({ "account": account, "current": held.hash, "sessions": held.sessions,
                         "changed_at": held.changed_at }))
        };
        rows.iter().filter_map(held).collect()
    }

    fn replace(&mut self, rows: &[Value]) -> Value {
        let (mut changed, mut ended, mut errors) = (0, 0, Vec::new());
        if let Mood::Reaches(account) = self.mood {
            self.accounts.get_mut(account).unwrap().hash = Some("somebody else's".into());
        }
        for row in rows {
            let account = row["account"].as_str().unwrap();
            if matches!(self.mood, Mood::Refuses(refused) if refused == account) {
                errors.push(json!({ "account": account, "error": "locked-by-policy" }));
                continue;
            }
            let Some(held) = self.accounts.get_mut(account) else { continue };
            if held.hash.as_deref() == row["current"].as_str() {
                held.hash = row["replacement"].as_str().map(str::to_owned);
                held.changed_at = Some(SystemClock.now().to_string());
                changed += 1;
            }
            ended += std::mem::take(&mut held.sessions);
        }
        json!({ "changed": changed, "sessions_ended": ended, "errors": errors })
    }
}
