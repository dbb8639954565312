//! A real Django with the same people, on either of two databases; Django itself says whom it lets in.

use std::time::Duration;

use async_trait::async_trait;
use forthwith::directory::Directory;
use forthwith::directory::sql::SqlDirectory;

use super::{BARE, PEOPLE, Stage, password_of, take_away};
use crate::harness::database::{Database, Kind};
use crate::harness::django::home::Home;
use crate::harness::django::judge::Judge;
use crate::harness::wire::Wire;

/// How Django keeps the password of each of [`PEOPLE`]. Hers whose session must outlive a log-in is as Django
/// would store it today: any other is hashed anew by the log-in, and sessions die with a stored value.
const KINDS: [&str; 4] = ["argon2", "pbkdf2_sha256", "bcrypt_sha256", "argon2"];

pub struct DjangoStage {
    home: Home,
    judge: Judge,
    /// Everybody's, of before.
    sessions: Vec<String>,
    /// To the database, where that is a server.
    wire: Option<Wire>,
    directory: SqlDirectory,
}

impl DjangoStage {
    pub async fn on(kind: Kind) -> Self {
        let home = Home::on(kind).await;
        let judge = Judge::start(&home);
        let people = PEOPLE.into_iter().zip(KINDS).chain([(BARE, "unusable")]);
        let made = people
            .map(|(account, kind)| judge.ask("person", &[account, kind, &password_of(account)]));
        let sessions = made.collect();
        home.admit().await;
        let wire = match kind {
            Kind::Sqlite => None,
            _ => Some(Wire::to(home.database.port(), Duration::ZERO).await),
        };
        // of the two forms that Django reads, one on each
        let form = if wire.is_none() { "form = \"django-argon2\"" } else { "" };
        let settings = Database::settings(&format!("{}{form}", home.table(wire.as_ref())));
        let directory = SqlDirectory::open(&settings, home.database.folder.path()).await.unwrap();
        Self { home, judge, sessions, wire, directory }
    }
}

#[async_trait]
impl Stage for DjangoStage {
    fn directory(&self) -> &dyn Directory {
        &self.directory
    }

    async fn logs_in(&self, account: &str, password: &str) -> bool {
        self.judge.ask("authenticate", &[account, password]) == "yes"
    }

    async fn chooses(&self, account: &str, password: &str) {
        assert_eq!(self.judge.ask("choose", &[account, password]), "yes");
    }

    async fn is_gone(&self, gone: bool) {
        match &self.wire {
            Some(wire) => wire.is_cut(gone),
            None => take_away(&self.home.database.file(), gone),
        }
    }

    async fn sessions(&self) -> Option<u64> {
        let is_alive = |session: &&String| self.judge.ask("session", &[session]) != "no";
        Some(self.sessions.iter().filter(is_alive).count().try_into().unwrap())
    }
}
