//! The same people in directories of several kinds, and who lets them in.

mod django;
mod identity;
mod wordpress;

use async_trait::async_trait;
use forthwith::directory::Directory;
use forthwith::directory::http::HttpDirectory;
use forthwith::directory::ldap::LdapDirectory;
use forthwith::directory::shop;
use forthwith::directory::sql::SqlDirectory;
use forthwith::domain::clock::SystemClock;
use forthwith::secret::password::{Params, Password, PasswordForm, hash};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::harness::database::{Database, Kind};
use crate::harness::endpoint::Endpoint;
use crate::harness::slapd::{Holding, Slapd};
use crate::harness::wire::Wire;

pub use django::DjangoStage;
pub use identity::{KeycloakStage, KratosStage};
pub use wordpress::WordPressStage;

/// People with a password of their own, by [`password_of`].
pub const PEOPLE: [&str; 4] = ["ann", "bob", "cleo", "eve"];

/// Who has no password.
pub const BARE: &str = "dan";

/// Whom nobody knows.
pub const NOBODY: &str = "nobody";

pub fn password_of(account: &str) -> String {
    format!("the old password of {account}")
}

/// A hash as cheap as one can be, in the directory's own form.
pub fn hashed(form: PasswordForm, password: &str) -> String {
    let params = Params::new(64, 1, 1).unwrap();
    let made = form.hash(&Password::new(password.to_owned()), params, &mut rand::rng());
    made.unwrap().expose().to_owned()
}

/// Takes a database file away, or brings it back.
fn take_away(file: &Path, gone: bool) {
    let away = file.with_extension("away");
    let (from, to) = if gone { (file, away.as_path()) } else { (away.as_path(), file) };
    std::fs::rename(from, to).unwrap();
}

/// A directory with [`PEOPLE`] in it, and its judge.
#[async_trait]
pub trait Stage: Send + Sync {
    fn directory(&self) -> &dyn Directory;

    /// Whether the company's own log-in lets somebody in.
    async fn logs_in(&self, account: &str, password: &str) -> bool;

    /// Somebody changes their password, past us.
    async fn chooses(&self, account: &str, password: &str);

    /// Nobody reaches it any more; or they do again.
    async fn is_gone(&self, gone: bool);

    /// Sessions alive, where any are kept.
    async fn sessions(&self) -> Option<u64>;
}

pub struct SqlStage {
    database: Database,
    directory: SqlDirectory,
}

impl SqlStage {
    pub async fn start() -> Self {
        let database = Database::start(Kind::Sqlite, None).await;
        let params = Params::new(64, 1, 1).unwrap();
        let mut admin = database.admin().await;
        for account in PEOPLE.into_iter().chain([BARE]) {
            let stored = hash(&Password::new(password_of(account)), params, &mut rand::rng());
            let stored =
                if account == BARE { "NULL".into() } else { format!("'{}'", stored.unwrap()) };
            admin
                .execute(&format!(
                    "INSERT INTO customer (id, name, email, password_hash) \
                     VALUES ('{account}', 'N', '{account}@mail.example', {stored}); \
                     INSERT INTO session (customer_id) VALUES ('{account}')"
                ))
                .await;
        }
        let settings = Database::settings(&database.directory());
        let directory = SqlDirectory::open(&settings, database.folder.path()).await.unwrap();
        Self { database, directory }
    }
}

#[async_trait]
impl Stage for SqlStage {
    fn directory(&self) -> &dyn Directory {
        &self.directory
    }

    async fn logs_in(&self, account: &str, password: &str) -> bool {
        shop::log_in(&self.database.file(), account, password).await.unwrap()
    }

    async fn chooses(&self, account: &str, password: &str) {
        let stored = hashed(PasswordForm::Argon2id, password);
        let sql = format!("UPDATE customer SET password_hash = '{stored}' WHERE id = '{account}'");
        self.database.admin().await.execute(&sql).await;
    }

    async fn is_gone(&self, gone: bool) {
        take_away(&self.database.file(), gone);
    }

    async fn sessions(&self) -> Option<u64> {
        let count = self.database.number("SELECT count(*) FROM session").await;
        Some(u64::try_from(count).unwrap())
    }
}

pub struct LdapStage {
    pub slapd: Slapd,
    wire: Wire,
    directory: LdapDirectory,
}

impl LdapStage {
    pub async fn start() -> Self {
        let scheme = ["{SSHA}", "{ARGON2}", "-", "{SSHA}"];
        let mut people: Vec<_> = PEOPLE
            .into_iter()
            .zip(scheme)
            .map(|(uid, scheme)| (uid.to_owned(), scheme, password_of(uid)))
            .collect();
        people.push((BARE.to_owned(), "-", "-".to_owned()));
        let slapd = Slapd::start(&Holding { people, ..Holding::default() });
        let wire = Wire::to(slapd.port(), Duration::ZERO).await;
        let settings = toml::from_str(&slapd.table(wire.port())).unwrap();
        let directory = LdapDirectory::open(&settings, slapd.folder.path()).await.unwrap();
        Self { slapd, wire, directory }
    }
}

#[async_trait]
impl Stage for LdapStage {
    fn directory(&self) -> &dyn Directory {
        &self.directory
    }

    async fn logs_in(&self, account: &str, password: &str) -> bool {
        self.slapd.logs_in(account, password)
    }

    async fn chooses(&self, account: &str, password: &str) {
        self.slapd.store(account, &hashed(PasswordForm::LdapArgon2, password));
    }

    async fn is_gone(&self, gone: bool) {
        self.wire.is_cut(gone);
    }

    async fn sessions(&self) -> Option<u64> {
        None
    }
}

pub struct HttpStage {
    pub endpoint: Endpoint,
    wire: Wire,
    directory: HttpDirectory,
}

impl HttpStage {
    pub async fn start() -> Self {
        let endpoint = Endpoint::start().await;
        for account in PEOPLE {
            let stored = hashed(PasswordForm::Argon2id, &password_of(account));
            endpoint.put(account, Some(stored), 1);
        }
        endpoint.put(BARE, None, 1);
        let wire = Wire::to(endpoint.port(), Duration::ZERO).await;
        let text = format!("{}rows_per_request = 2", endpoint.table(wire.port()));
        let (settings, clock) = (toml::from_str(&text).unwrap(), Arc::new(SystemClock));
        let directory = HttpDirectory::open(&settings, endpoint.folder.path(), clock).await;
        Self { endpoint, wire, directory: directory.unwrap() }
    }
}

#[async_trait]
impl Stage for HttpStage {
    fn directory(&self) -> &dyn Directory {
        &self.directory
    }

    async fn logs_in(&self, account: &str, password: &str) -> bool {
        self.endpoint.logs_in(account, password)
    }

    async fn chooses(&self, account: &str, password: &str) {
        self.endpoint.put(account, Some(hashed(PasswordForm::Argon2id, password)), 1);
    }

    async fn is_gone(&self, gone: bool) {
        self.wire.is_cut(gone);
    }

    async fn sessions(&self) -> Option<u64> {
        Some(self.endpoint.inside().accounts.values().map(|held| held.sessions).sum())
    }
}
