//! The company's databases on servers: who logs in, how the connection is secured, what every
//! session begins with. It knows no statement of anybody's.
//!
//! A SQLite file is only located here; whoever reads or writes it opens it in their own way.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Executor as _};
use thiserror::Error;

use crate::domain::database::{DatabaseTls, Engine, Place, PlaceError, ServerPlace};
use crate::secret::database::DatabasePassword;
use crate::secret::secret_file::SecretFileError;

/// How long a server may take to let us in.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a MariaDB session reads SQL by, whatever the server's default: backslashes escape, `"` quotes
/// text, and a value that does not fit is an error and never cut.
const SQL_MODE: &str = "SET SESSION sql_mode = \
    'STRICT_TRANS_TABLES,STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'";

/// What a `PostgreSQL` transaction begins with: backslashes do not escape, and no notice, which may
/// quote a stored value, comes back to be logged.
pub const POSTGRES_LOCAL: &str =
    "SET LOCAL standard_conforming_strings = on; SET LOCAL client_min_messages = 'error'";

/// The table of a file that names a database, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// `[directory.sql]`
    Directory,
    /// `[audience.sql]`
    Audience,
}

impl Table {
    fn word(self) -> &'static str {
        match self {
            Self::Directory => "directory.sql",
            Self::Audience => "audience.sql",
        }
    }

    fn password_file(self) -> &'static str {
        match self {
            Self::Directory => "directory.sql.password_file",
            Self::Audience => "audience.sql.password_file",
        }
    }
}

/// What a file says about a database.
#[derive(Debug, Clone, Copy)]
pub struct DatabaseSettings<'a> {
    /// `url`
    pub url: &'a str,
    /// `user`
    pub user: Option<&'a str>,
    /// `password_file`
    pub password_file: Option<&'a Path>,
    /// `tls`
    pub tls: DatabaseTls,
    /// `authorities`
    pub authorities: Option<&'a Path>,
}

/// A database that can be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Database {
    /// An SQLite file.
    File(PathBuf),
    /// A server's.
    Server(Login),
}

/// A way into a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    table: Table,
    place: ServerPlace,
    user: String,
    password_file: Option<PathBuf>,
    tls: DatabaseTls,
    authorities: Option<PathBuf>,
}

/// Why a database cannot be opened. None of these shows a password.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// The URL.
    #[error("{}.url {source}", table.word())]
    Place {
        /// Where it stands.
        table: Table,
        /// What is wrong with it.
        #[source]
        source: PlaceError,
    },
    /// A server is named, and no user.
    #[error("{}.user is not set; hint: the user that the server shall know us by", table.word())]
    NoUser {
        /// Where it is missing.
        table: Table,
    },
    /// A SQLite file is named, and something that only a server takes.
    #[error("{}.{key} means nothing to a SQLite file; hint: remove it", table.word())]
    NotForFiles {
        /// Where it stands.
        table: Table,
        /// The key.
        key: &'static str,
    },
    /// The password's file.
    #[error(transparent)]
    Password(#[from] SecretFileError),
    /// The file with authorities.
    #[error("cannot read {}: {source}; hint: `{}.authorities`", path.display(), table.word())]
    Authorities {
        /// Where it is named.
        table: Table,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The host has no address.
    #[error("the database's host in {}.url does not resolve: {cause}; hint: `{}.url`", table.word(), table.word())]
    Unresolved {
        /// Where it is named.
        table: Table,
        /// What the system said.
        cause: String,
    },
    /// The connection could be overheard.
    #[error(
        "the database at {place} is not on this machine, and {}.tls would let others on the way read \
         password hashes; hint: tls = \"required\", or a tunnel that ends on this machine", table.word()
    )]
    InClear {
        /// Where it is set.
        table: Table,
        /// Host, port and name.
        place: String,
    },
    /// The server does not let us in.
    #[error(
        "the database at {place} does not let user `{user}` in: {cause}; hint: `{}.user` and the file \
         `{}`", table.word(), table.password_file()
    )]
    Refused {
        /// Where it is set.
        table: Table,
        /// Host, port and name.
        place: String,
        /// The user.
        user: String,
        /// The server's words.
        cause: String,
    },
    /// No connection that may be used.
    #[error("the database at {place} cannot be reached: {cause}; hint: {hint}")]
    Unreachable {
        /// Host, port and name.
        place: String,
        /// What happened.
        cause: String,
        /// What to do.
        hint: &'static str,
    },
}

/// How a connection is secured, once it is known where its server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    Clear,
    IfOffered,
    Checked,
}

impl Database {
    /// Reads what a file says; relative paths start at `base`. Opens nothing.
    pub fn parse(
        table: Table,
        settings: DatabaseSettings<'_>,
        base: &Path,
    ) -> Result<Self, DatabaseError> {
        let place = Place::parse(settings.url, base)
            .map_err(|source| DatabaseError::Place { table, source })?;
        let under = |path: Option<&Path>| path.map(|path| base.join(path));
        match place {
            Place::File(path) => {
                let set = [
                    ("user", settings.user.is_some()),
                    ("password_file", settings.password_file.is_some()),
                    ("tls", settings.tls != DatabaseTls::Auto),
                    ("authorities", settings.authorities.is_some()),
                ];
                match set.into_iter().find(|(_, is_set)| *is_set) {
                    Some((key, _)) => Err(DatabaseError::NotForFiles { table, key }),
                    None => Ok(Self::File(path)),
                }
            }
            Place::Server(place) => Ok(Self::Server(Login {
                table,
                place,
                user: settings.user.ok_or(DatabaseError::NoUser { table })?.to_owned(),
                password_file: under(settings.password_file),
                tls: settings.tls,
                authorities: under(settings.authorities),
            })),
        }
    }

    /// The user a server knows us by; a file knows nobody.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::File(_) => None,
            Self::Server(login) => Some(&login.user),
        }
    }

    /// The engine.
    pub fn engine(&self) -> Engine {
        match self {
            Self::File(_) => Engine::Sqlite,
            Self::Server(login) => login.place.engine,
        }
    }
}

impl Login {
    /// `host:port/database`, for messages.
    pub fn name(&self) -> String {
        self.place.name()
    }

    /// A new connection to a `PostgreSQL` server.
    pub async fn postgres(&self) -> Result<PgConnection, DatabaseError> {
        let (addresses, security) = self.route().await?;
        let password = self.password().await?;
        // An empty one where there is none, so that the environment's is not taken.
        let password = password.as_ref().map_or("", DatabasePassword::expose);
        let mut options = PgConnectOptions::new_without_pgpass()
            .port(self.place.port)
            .username(&self.user)
            .password(password)
            .database(&self.place.database)
            .application_name("forthwith")
            .ssl_mode(match security {
                Security::Clear => PgSslMode::Disable,
                Security::IfOffered => PgSslMode::Prefer,
                Security::Checked => PgSslMode::VerifyFull,
            })
            .disable_statement_logging();
        if let Some(pem) = self.authorities().await? {
            options = options.ssl_root_cert_from_pem(pem);
        }
        self.first(addresses, |host| options.clone().host(host)).await
    }

    /// A new connection to a MariaDB server.
    pub async fn mariadb(&self) -> Result<MySqlConnection, DatabaseError> {
        let (addresses, security) = self.route().await?;
        let password = self.password().await?;
        let mut options = MySqlConnectOptions::new()
            .port(self.place.port)
            .username(&self.user)
            .database(&self.place.database)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .ssl_mode(match security {
                Security::Clear => MySqlSslMode::Disabled,
                Security::IfOffered => MySqlSslMode::Preferred,
                Security::Checked => MySqlSslMode::VerifyIdentity,
            })
            .disable_statement_logging();
        if let Some(password) = &password {
            options = options.password(password.expose());
        }
        if let Some(pem) = self.authorities().await? {
            options = options.ssl_ca_from_pem(pem);
        }
        let mut connection: MySqlConnection =
            self.first(addresses, |host| options.clone().host(host)).await?;
        connection.execute(SQL_MODE).await.map_err(|error| self.failed(&error))?;
        Ok(connection)
    }

    /// Which hosts to try, and how: a server on this machine by its address, so that nobody is asked
    /// for it twice; any other by the name that its certificate must have.
    async fn route(&self) -> Result<(Vec<String>, Security), DatabaseError> {
        let (table, place) = (self.table, &self.place);
        let unresolved =
            |error: std::io::Error| DatabaseError::Unresolved { table, cause: error.to_string() };
        let found: Vec<SocketAddr> = tokio::net::lookup_host((place.host.as_str(), place.port))
            .await
            .map_err(unresolved)?
            .collect();
        let here = !found.is_empty()
            && found.iter().all(|address| address.ip().to_canonical().is_loopback());
        let security = match self.tls {
            DatabaseTls::Required => Security::Checked,
            DatabaseTls::Auto if !here => Security::Checked,
            _ if !here => return Err(DatabaseError::InClear { table, place: place.name() }),
            DatabaseTls::None => Security::Clear,
            DatabaseTls::Auto | DatabaseTls::Opportunistic => Security::IfOffered,
        };
        Ok(match security {
            Security::Checked => (vec![place.host.clone()], security),
            _ => (found.iter().map(|address| address.ip().to_string()).collect(), security),
        })
    }

    async fn first<O, C>(
        &self,
        hosts: Vec<String>,
        options: impl Fn(&str) -> O,
    ) -> Result<C, DatabaseError>
    where
        O: ConnectOptions<Connection = C>,
        C: sqlx::Connection<Options = O>,
    {
        let mut last = self.unreachable("it has no address".into());
        for host in hosts {
            last = match tokio::time::timeout(PATIENCE, options(&host).connect()).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => self.failed(&error),
                Err(_) => self.unreachable(format!("no answer within {PATIENCE:?}")),
            };
        }
        Err(last)
    }

    /// No stored value was in play yet, so that the server's words may be told.
    fn failed(&self, error: &sqlx::Error) -> DatabaseError {
        match error {
            sqlx::Error::Database(said) if is_refusal(said.as_ref()) => DatabaseError::Refused {
                table: self.table,
                place: self.name(),
                user: self.user.clone(),
                cause: said.message().to_owned(),
            },
            sqlx::Error::Database(said) => self.unreachable(said.message().to_owned()),
            sqlx::Error::Tls(cause) => self.unsecured(cause.as_ref()),
            // the driver hands on what a handshake came to as an error of the stream
            sqlx::Error::Io(error) => match error.get_ref() {
                Some(inner) if inner.is::<rustls::Error>() => self.unsecured(inner),
                _ => self.unreachable(error.to_string()),
            },
            other => self.unreachable(other.to_string()),
        }
    }

    fn unsecured(&self, cause: &dyn std::error::Error) -> DatabaseError {
        DatabaseError::Unreachable {
            place: self.name(),
            cause: format!("no secured connection, {cause}"),
            hint: "the server's certificate must name its host and be signed by an authority that \
                   this machine or the file `authorities` knows",
        }
    }

    fn unreachable(&self, cause: String) -> DatabaseError {
        let hint = "is the server running, and is the URL right?";
        DatabaseError::Unreachable { place: self.name(), cause, hint }
    }

    /// The password, its file read off the runtime's threads.
    async fn password(&self) -> Result<Option<DatabasePassword>, DatabaseError> {
        let Some(path) = self.password_file.clone() else { return Ok(None) };
        let key = self.table.password_file();
        let read = tokio::task::spawn_blocking(move || DatabasePassword::read(&path, key)).await;
        match read {
            Ok(read) => Ok(Some(read?)),
            Err(died) => Err(self.unreachable(died.to_string())),
        }
    }

    async fn authorities(&self) -> Result<Option<Vec<u8>>, DatabaseError> {
        let Some(path) = &self.authorities else { return Ok(None) };
        let failed =
            |source| DatabaseError::Authorities { table: self.table, path: path.clone(), source };
        tokio::fs::read(path).await.map(Some).map_err(failed)
    }
}

/// Whether the server knows us and does not want us, or not the database: classes 28 (authorization), 3D
/// (no such database) and 42 (MariaDB: no right to it).
fn is_refusal(error: &dyn sqlx::error::DatabaseError) -> bool {
    let code = error.code().unwrap_or_default();
    ["28", "3D", "42"].iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests;
