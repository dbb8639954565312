//! The company's SQL databases as settings name them: which engine, where, and how an operator may
//! write it. It opens nothing.

pub mod token;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::{Host, Url};

/// A SQL engine that a company's data may lie in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// An SQLite file.
    Sqlite,
    /// `PostgreSQL`.
    Postgres,
    /// MariaDB; `MySQL` speaks the same protocol.
    MariaDb,
}

impl Engine {
    /// The engine's name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
        }
    }

    /// Its word in settings and origins.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadb",
        }
    }

    fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mariadb" | "mysql" => Some(Self::MariaDb),
            _ => None,
        }
    }
}

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An SQLite file, resolved against the workspace.
    File(PathBuf),
    /// A server.
    Server(ServerPlace),
}

/// A database on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPlace {
    /// What runs there; never SQLite.
    pub engine: Engine,
    /// Its host name or IP address, an IPv6 one without brackets.
    pub host: String,
    /// Its port; the engine's own where the URL gives none.
    pub port: u16,
    /// The database's name.
    pub database: String,
}

impl ServerPlace {
    /// `host:port/database`, for messages.
    pub fn name(&self) -> String {
        format!("{}:{}/{}", self.host, self.port, self.database)
    }
}

/// How a connection to a server is secured; the words are those of `relay.tls` where they mean the
/// same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatabaseTls {
    /// `opportunistic` on this machine, `required` anywhere else.
    #[default]
    Auto,
    /// Never; on this machine only.
    None,
    /// Where the server offers it, with whatever certificate; on this machine only.
    Opportunistic,
    /// Always, with a certificate that is checked and names the host.
    Required,
}

/// Why a URL names no database. Nothing of it repeats the URL, for it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlaceError {
    /// It holds a user or a password.
    #[error(
        "holds a user or a password; hint: take them out, for files are signed and kept in git; \
        name the user by `user` and a file with the password by `password_file`"
    )]
    UserInUrl,
    /// It cannot be read as one.
    #[error(
        "{0}; hint: \"sqlite:path\", \"postgres://host:5432/name\" or \"mariadb://host:3306/name\""
    )]
    Unreadable(&'static str),
}

impl Place {
    /// Reads a URL; a relative path starts at `base`.
    pub fn parse(url: &str, base: &Path) -> Result<Self, PlaceError> {
        let (scheme, rest) = url.split_once(':').ok_or(PlaceError::Unreadable("has no scheme"))?;
        let engine =
            Engine::of_scheme(scheme).ok_or(PlaceError::Unreadable("has a scheme unknown here"))?;
        let after = rest.strip_prefix("//");
        if let Some(after) = after {
            let authority = after.split(['/', '?', '#']).next().unwrap_or(after);
            if authority.contains('@') || after.to_ascii_lowercase().contains("password=") {
                return Err(PlaceError::UserInUrl);
            }
        }
        match (engine, after) {
            (Engine::Sqlite, after) => file(after.unwrap_or(rest), base),
            (_, None) => Err(PlaceError::Unreadable("has no // before its host")),
            (engine, Some(after)) => server(engine, after).map(Self::Server),
        }
    }

    /// The engine there.
    pub fn engine(&self) -> Engine {
        match self {
            Self::File(_) => Engine::Sqlite,
            Self::Server(server) => server.engine,
        }
    }
}

fn file(path: &str, base: &Path) -> Result<Place, PlaceError> {
    if path.contains('?') {
        return Err(PlaceError::Unreadable("has parameters, which a SQLite file does not take"));
    }
    if path.is_empty() || path == ":memory:" {
        return Err(PlaceError::Unreadable("names no file"));
    }
    Ok(Place::File(base.join(path)))
}

fn server(engine: Engine, rest: &str) -> Result<ServerPlace, PlaceError> {
    let unreadable = PlaceError::Unreadable;
    // a known scheme, so that hosts are read by the rules of the web's URLs
    let url = Url::parse(&format!("https://{rest}"))
        .map_err(|_| unreadable("has no host and port that can be read"))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(unreadable("has parameters; they are keys of this table"));
    }
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Err(unreadable("names no host")),
    };
    // the URL's own default port is no database's
    let written = rest.split('/').next().unwrap_or(rest).ends_with(":443");
    let port = url.port().unwrap_or(match (written, engine) {
        (true, _) => 443,
        (false, Engine::MariaDb) => 3306,
        (false, _) => 5432,
    });
    let database = url.path().trim_start_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.$".contains(c);
    if database.is_empty() || !database.chars().all(plain) {
        return Err(unreadable(
            "names no database behind its host, in letters, digits, _, -, . or $",
        ));
    }
    Ok(ServerPlace { engine, host, port, database: database.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(url: &str) -> Result<Place, PlaceError> {
        Place::parse(url, Path::new("/srv/work"))
    }

    fn named(url: &str) -> (Engine, String) {
        match found(url) {
            Ok(Place::Server(server)) => (server.engine, server.name()),
            other => panic!("{url}: {other:?}"),
        }
    }

    #[test]
    fn a_relative_path_begins_at_the_workspace() {
        for (url, path) in [
            ("sqlite:shop/users.db", "/srv/work/shop/users.db"),
            ("sqlite://shop/users.db", "/srv/work/shop/users.db"),
            ("sqlite:/var/users.db", "/var/users.db"),
            ("sqlite:///var/users.db", "/var/users.db"),
            ("SQLite:at@home.db", "/srv/work/at@home.db"),
        ] {
            assert_eq!(found(url), Ok(Place::File(path.into())), "{url}");
        }
    }

    #[test]
    fn a_server_has_a_host_a_port_and_a_database() {
        for (url, engine, name) in [
            (
                "postgres://db.brand.example:5433/shop",
                Engine::Postgres,
                "db.brand.example:5433/shop",
            ),
            ("postgresql://db/shop", Engine::Postgres, "db:5432/shop"),
            ("mariadb://127.0.0.1/shop_eu", Engine::MariaDb, "127.0.0.1:3306/shop_eu"),
            ("MySQL://db:443/shop", Engine::MariaDb, "db:443/shop"),
            ("mariadb://[::1]:3307/shop", Engine::MariaDb, "::1:3307/shop"),
        ] {
            assert_eq!(named(url), (engine, name.into()), "{url}");
        }
    }

    #[test]
    fn a_user_or_password_in_the_url_is_refused_and_not_repeated() {
        for url in [
            "postgres://app:hunter2@db/users",
            "postgres://app@db/users",
            "mariadb://app:hunter2@db/users",
            "sqlite://app:hunter2@users.db",
            "mysql://db/users?password=hunter2",
        ] {
            let error = found(url).unwrap_err();
            assert_eq!(error, PlaceError::UserInUrl, "{url}");
            let said = format!("{error} {error:?}");
            assert!(!said.contains("hunter2") && said.contains("hint: "), "{said}");
        }
    }

    #[test]
    fn what_names_no_database_is_said_so() {
        for url in [
            "users.db",
            "oracle:users",
            "sqlite:",
            "sqlite::memory:",
            "sqlite:a.db?mode=ro",
            "postgres:shop",
            "postgres:///shop",
            "postgres://db",
            "postgres://db/",
            "postgres://db/shop?sslmode=disable",
            "mariadb://db:port/shop",
            "mariadb://db/shop/customer",
        ] {
            assert!(matches!(found(url), Err(PlaceError::Unreadable(_))), "{url}");
        }
    }
}
