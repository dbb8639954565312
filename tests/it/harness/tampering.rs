//! Hands inside a house: editing files, altering the database behind the program's back, listening.

use std::path::Path;
use std::sync::{Arc, Mutex};

use forthwith::engine::progress::Progress;
use forthwith::engine::report::Status;
use forthwith::engine::secure::SecureReport;
use forthwith::engine::{EngineError, Workspace};
use forthwith::store::credentials::Pick;
use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, FromRow};
use tokio_util::sync::CancellationToken;

use forthwith::domain::clock::{Clock, ManualClock};

use super::{CAMPAIGN, House};

/// Called with the stage and how far it is.
type AtStep = Box<dyn Fn(&str, u64) + Send + Sync>;

/// A progress that keeps its notes and does something at each step.
#[derive(Default)]
pub struct Notes {
    said: Mutex<Vec<String>>,
    stage: Mutex<String>,
    at_step: Option<AtStep>,
}

impl Notes {
    /// Calls `at_step` with the stage and how far it is.
    pub fn with(at_step: impl Fn(&str, u64) + Send + Sync + 'static) -> Self {
        Self { at_step: Some(Box::new(at_step)), ..Self::default() }
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }
}

impl Progress for Notes {
    fn begin(&self, stage: &str, _: Option<u64>, _: &str) {
        stage.clone_into(&mut self.stage.lock().unwrap());
    }
    fn at(&self, done: u64) {
        let stage = self.stage.lock().unwrap().clone();
        if let Some(at_step) = &self.at_step {
            at_step(&stage, done);
        }
    }
    fn end(&self) {}
    fn note(&self, text: &str) {
        self.said.lock().unwrap().push(text.to_owned());
    }
}

/// A clock that stands at noon until it is moved.
pub fn standing_clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at("2026-03-02T12:00:00Z".parse().unwrap()))
}

pub fn hours(clock: &ManualClock, hours: i64) -> Timestamp {
    clock.advance(SignedDuration::from_hours(hours));
    clock.now()
}

async fn open(path: &Path) -> SqliteConnection {
    let options =
        SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::from_secs(10));
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Runs statements on a database file and returns how many rows they changed.
pub async fn execute(path: &Path, sql: &str) -> u64 {
    let mut conn = open(path).await;
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    done.rows_affected()
}

/// Reads rows of a database file.
pub async fn query<T>(path: &Path, sql: &str) -> Vec<T>
where
    T: for<'r> FromRow<'r, SqliteRow> + Send + Unpin,
{
    let mut conn = open(path).await;
    let rows = sqlx::query_as(AssertSqlSafe(sql.to_owned())).fetch_all(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    rows
}

impl House {
    /// Alters our own database behind the program's back; at least one row must change.
    pub async fn tamper(&self, sql: &str) {
        let changed = execute(&self.database(), sql).await;
        assert!(changed > 0, "nothing altered by {sql}");
    }

    pub fn database(&self) -> std::path::PathBuf {
        Workspace::at(self.dir.path()).database()
    }

    /// Replaces a piece of a file of the workspace, which must be there.
    pub fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
    }

    pub async fn status(&self) -> Status {
        self.engine.status(CAMPAIGN).await.unwrap()
    }

    /// One pass over those picked.
    pub async fn secure(
        &self,
        pick: Pick,
        progress: &dyn Progress,
    ) -> Result<SecureReport, EngineError> {
        self.engine.secure_alone(CAMPAIGN, pick, progress, &CancellationToken::new()).await
    }

    /// What the shop has stored for a customer: their hash, where there is one.
    pub async fn hash_of(&self, customer: &str) -> Option<String> {
        let sql = format!("SELECT password_hash FROM customer WHERE id = '{customer}'");
        let rows: Vec<(Option<String>,)> = query(&self.shop, &sql).await;
        rows.into_iter().next().and_then(|row| row.0)
    }

    /// The class and reason of one account's password.
    pub async fn credential_of(&self, account: &str) -> (String, String) {
        let found = self.engine.find(CAMPAIGN, account).await.unwrap();
        assert_eq!(found.len(), 1, "{account}");
        let story = self.engine.story(CAMPAIGN, found[0]).await.unwrap();
        story
            .credentials
            .first()
            .map(|known| (known.class.to_owned(), known.reason.clone()))
            .unwrap_or_default()
    }

    /// The class and reason of one account's notice.
    pub async fn delivery_of(&self, account: &str) -> (&'static str, String) {
        let found = self.engine.find(CAMPAIGN, account).await.unwrap();
        assert_eq!(found.len(), 1, "{account}");
        let story = self.engine.story(CAMPAIGN, found[0]).await.unwrap();
        (story.delivery.class, story.delivery.reason)
    }

    /// A refusal's words.
    pub async fn run_refused(&self) -> String {
        let taken = self.taken().len();
        let refused = self.run().await.unwrap_err().to_string();
        assert_eq!(self.taken().len(), taken, "nothing is sent: {refused}");
        refused
    }
}
