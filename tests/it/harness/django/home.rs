//! Where a Django site keeps its tables: a database that is the site's own, with a user of ours who may do no
//! more in it than `docs/directories.md` asks for.

use std::path::{Path, PathBuf};

use crate::harness::database::{Database, Kind};
use crate::harness::wire::Wire;
use crate::harness::{House, secret_file};

pub struct Home {
    pub database: Database,
    /// The site's own password, where it needs one.
    secret: Option<PathBuf>,
}

impl Home {
    pub async fn on(kind: Kind) -> Self {
        let database = Database::empty(kind, None).await;
        if kind != Kind::Postgres {
            return Self { database, secret: None };
        }
        let mut admin = database.admin().await;
        admin.execute("CREATE ROLE site LOGIN PASSWORD 'site-password'").await;
        admin.execute("ALTER DATABASE shop OWNER TO site").await;
        let secret = secret_file(&database.folder.path().join("site"), "site-password");
        Self { database, secret: Some(secret) }
    }

    /// What the site is told of it.
    pub fn url(&self) -> String {
        match self.database.kind {
            Kind::Sqlite => format!("sqlite:{}", self.database.file().display()),
            Kind::Postgres => format!("postgres://site@127.0.0.1:{}/shop", self.database.port()),
            Kind::MariaDb => panic!("the site has no driver for it"),
        }
    }

    pub fn secret(&self) -> Option<&Path> {
        self.secret.as_deref()
    }

    /// The keys of `[directory.sql]` for our user, by whom the server is found behind a wire or at its own port.
    pub fn table(&self, wire: Option<&Wire>) -> String {
        let access = match wire {
            Some(wire) => self.database.access_at(wire.port()),
            None => self.database.access(),
        };
        format!("{access}preset = \"django\"\n")
    }

    /// Lets our user at the site's tables, which are there by now.
    pub async fn admit(&self) {
        self.grant("SELECT, UPDATE (password) ON auth_user").await;
    }

    /// Marks it as the house's.
    pub async fn mark(&self, house: &House) {
        let mut admin = self.database.admin().await;
        for statement in house.engine.marker().await.unwrap() {
            admin.execute(&statement).await;
        }
        self.grant("SELECT ON forthwith_rehearsal").await;
    }

    async fn grant(&self, what: &str) {
        if self.database.kind == Kind::Postgres {
            self.database.admin().await.execute(&format!("GRANT {what} TO app")).await;
        }
    }
}
