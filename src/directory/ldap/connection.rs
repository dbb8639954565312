//! A connection to an LDAP server: how it is secured, and by whom it is entered. Each call has one for itself,
//! and all its operations go over it side by side.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ldap3::controls::RawControl;
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, Mod, Scope, SearchEntry, SearchOptions,
    StdStream,
};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::LdapDirectorySettings;
use super::error::LdapFault;
use super::place::Place;
use crate::directory::kept::Kept;
use crate::domain::database::DatabaseTls;
use crate::secret::directory::DirectoryPassword;
use crate::tls::{self, Trusted};

/// How long a server may take to let us in.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(1);

const PASSWORD_FILE: &str = "directory.ldap.password_file";
const AUTHORITIES: &str = "directory.ldap.authorities";

/// A way into a server.
#[derive(Debug)]
pub(super) struct Login {
    place: Place,
    bind_dn: String,
    password_file: PathBuf,
    tls: DatabaseTls,
    authorities: Option<PathBuf>,
    patience: Duration,
    /// As many operations may be under way as there are permits, whatever connections they go over.
    lanes: Arc<Semaphore>,
    kept: Kept<(), Conn>,
}

/// How a connection is secured, once it is known where its server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    Clear,
    IfOffered,
    Checked,
}

/// A connection that was let in.
pub(super) struct Conn {
    ldap: Ldap,
    patience: Duration,
    lanes: Arc<Semaphore>,
}

impl Login {
    /// Reads the settings; relative paths start at `base`.
    pub(super) fn parse(settings: &LdapDirectorySettings, base: &Path) -> Result<Self, LdapFault> {
        let place = Place::parse(&settings.url, settings.tls)
            .map_err(|said| LdapFault::Setting { key: "url", said: said.to_owned() })?;
        Ok(Self {
            place,
            bind_dn: settings.bind_dn.clone(),
            password_file: base.join(&settings.password_file),
            tls: settings.tls,
            authorities: settings.authorities.as_ref().map(|path| base.join(path)),
            patience: settings.timeout.unsigned(),
            lanes: Arc::new(Semaphore::new(settings.concurrency.max(1))),
            kept: Kept::default(),
        })
    }

    /// `host:port`, for messages.
    pub(super) fn name(&self) -> String {
        self.place.name()
    }

    pub(super) fn bind_dn(&self) -> &str {
        &self.bind_dn
    }

    /// A connection that another call left, while its server has not hung up; else a new one.
    pub(super) async fn any(&self) -> Result<Conn, LdapFault> {
        while let Some(mut conn) = self.kept.take(&()) {
            if !conn.ldap.is_closed() {
                return Ok(conn);
            }
        }
        self.open().await
    }

    /// Leaves a connection on which nothing is under way to the next call.
    pub(super) async fn leave(&self, conn: Conn) {
        if let Some(conn) = self.kept.put((), conn) {
            conn.close().await;
        }
    }

    /// A new connection, secured and let in.
    pub(super) async fn open(&self) -> Result<Conn, LdapFault> {
        let (addresses, security) = self.route().await?;
        let mut last = self.unreachable("it has no address".into());
        for address in addresses {
            let tried = tokio::time::timeout(PATIENCE, self.enter(address, security)).await;
            last = match tried {
                Ok(Ok(conn)) => return Ok(conn),
                Ok(Err(fault @ LdapFault::Unreachable { .. })) => fault,
                Ok(Err(other)) => return Err(other),
                Err(_) => self.unreachable(format!("no answer within {PATIENCE:?}")),
            };
        }
        Err(last)
    }

    async fn route(&self) -> Result<(Vec<SocketAddr>, Security), LdapFault> {
        let found: Vec<SocketAddr> =
            tokio::net::lookup_host((self.place.host.as_str(), self.place.port))
                .await
                .map_err(|error| LdapFault::Unresolved { cause: error.to_string() })?
                .collect();
        let here = !found.is_empty()
            && found.iter().all(|address| address.ip().to_canonical().is_loopback());
        let security = match self.tls {
            DatabaseTls::Required => Security::Checked,
            DatabaseTls::Auto if !here => Security::Checked,
            _ if !here => return Err(LdapFault::InClear { place: self.name() }),
            DatabaseTls::None => Security::Clear,
            DatabaseTls::Auto | DatabaseTls::Opportunistic => Security::IfOffered,
        };
        Ok((found, security))
    }

    async fn enter(&self, address: SocketAddr, security: Security) -> Result<Conn, LdapFault> {
        let config = match security {
            Security::Checked => {
                let trusted = Trusted::with(self.authorities.as_deref());
                Some(tls::checked(trusted, AUTHORITIES)?)
            }
            Security::IfOffered => Some(tls::unchecked()?),
            Security::Clear => None,
        };
        let mut ldap = match self.connect(address, config.map(Arc::new)).await {
            // whoever offers no STARTTLS says so, and may be spoken to in clear where that is allowed
            Err(LdapError::LdapResult { .. }) if security == Security::IfOffered => {
                self.connect(address, None).await
            }
            other => other,
        }
        .map_err(|error| self.unsecured(&error))?;
        let (path, key) = (self.password_file.clone(), PASSWORD_FILE);
        let read = tokio::task::spawn_blocking(move || DirectoryPassword::read(&path, key)).await;
        let password = read.map_err(|died| self.unreachable(died.to_string()))??;
        let bound = ldap
            .simple_bind(&self.bind_dn, password.expose())
            .await
            .map_err(|_| self.unreachable("the connection broke".into()))?;
        match bound.rc {
            0 => Ok(Conn { ldap, patience: self.patience, lanes: Arc::clone(&self.lanes) }),
            code @ (51 | 52) => Err(LdapFault::Busy { doing: "logging in", code }),
            code => Err(LdapFault::Refused { place: self.name(), code }),
        }
    }

    /// Secured where TLS is set up: from the first octet where the URL says so, by STARTTLS elsewhere.
    async fn connect(
        &self,
        address: SocketAddr,
        config: Option<Arc<ClientConfig>>,
    ) -> Result<Ldap, LdapError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut settings =
            LdapConnSettings::new().set_std_stream(StdStream::Tcp(stream.into_std()?));
        if let Some(config) = config {
            settings = settings.set_config(config).set_starttls(!self.place.is_tls);
        }
        let (conn, ldap) = LdapConnAsync::with_settings(settings, &self.place.url()).await?;
        tokio::spawn(async move {
            // whoever waits for an answer is told that it will not come
            let _ = conn.drive().await;
        });
        Ok(ldap)
    }

    fn unreachable(&self, cause: String) -> LdapFault {
        LdapFault::Unreachable { place: self.name(), cause }
    }

    fn unsecured(&self, error: &LdapError) -> LdapFault {
        let place = self.name();
        match error {
            LdapError::Io { source } => match source.get_ref() {
                Some(inner) if inner.is::<rustls::Error>() => {
                    LdapFault::Unsecured { place, cause: inner.to_string() }
                }
                _ => self.unreachable(source.to_string()),
            },
            LdapError::Rustls { source } => {
                LdapFault::Unsecured { place, cause: source.to_string() }
            }
            LdapError::LdapResult { .. } => {
                LdapFault::Unsecured { place, cause: "it offers no STARTTLS".into() }
            }
            LdapError::DNSName { .. } => {
                LdapFault::Unsecured { place, cause: "its host cannot be on a certificate".into() }
            }
            _ => self.unreachable("the connection broke".into()),
        }
    }
}

impl Conn {
    /// What a search finds: at most `limit` entries, or it fails. `None` where its base is no entry.
    pub(super) async fn search(
        &self,
        doing: &'static str,
        (base, scope, filter): (&str, Scope, &str),
        attributes: &[&str],
        limit: usize,
    ) -> Result<Option<Vec<SearchEntry>>, LdapFault> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let _lane = self.lanes.acquire().await;
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(self.patience).with_search_options(SearchOptions::new().sizelimit(limit));
        let found = ldap.search(base, scope, filter, attributes.to_vec()).await;
        let ldap3::SearchResult(entries, result) = found.map_err(|error| broken(doing, &error))?;
        match result.rc {
            0 if result.refs.is_empty() => {
                Ok(Some(entries.into_iter().map(SearchEntry::construct).collect()))
            }
            32 => Ok(None),
            0 => Err(LdapFault::Referral { doing }),
            code => Err(failed(doing, code)),
        }
    }

    /// The result code of a modification.
    pub(super) async fn modify(
        &self,
        doing: &'static str,
        dn: &str,
        changes: Vec<Mod<Vec<u8>>>,
        controls: Vec<RawControl>,
    ) -> Result<u32, LdapFault> {
        let _lane = self.lanes.acquire().await;
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(self.patience).with_controls(controls);
        let result = ldap.modify(dn, changes).await.map_err(|error| broken(doing, &error))?;
        match result.rc {
            code @ (1..=3 | 10 | 11 | 51 | 52) => Err(failed(doing, code)),
            code => Ok(code),
        }
    }

    /// The result code of a comparison.
    pub(super) async fn compare(
        &self,
        doing: &'static str,
        dn: &str,
        attribute: &str,
    ) -> Result<u32, LdapFault> {
        let _lane = self.lanes.acquire().await;
        let mut ldap = self.ldap.clone();
        ldap.with_timeout(self.patience);
        let result = ldap.compare(dn, attribute, "x").await;
        Ok(result.map_err(|error| broken(doing, &error))?.0.rc)
    }

    pub(super) async fn close(mut self) {
        let _ = tokio::time::timeout(FAREWELL, self.ldap.unbind()).await;
    }
}

/// What a code means that concerns no single entry.
pub(super) fn failed(doing: &'static str, code: u32) -> LdapFault {
    match code {
        10 => LdapFault::Referral { doing },
        51 | 52 => LdapFault::Busy { doing, code },
        code => LdapFault::Failed { doing, code },
    }
}

fn broken(doing: &'static str, error: &LdapError) -> LdapFault {
    match error {
        LdapError::Timeout { .. } => LdapFault::Slow { doing },
        _ => LdapFault::Lost { doing },
    }
}
