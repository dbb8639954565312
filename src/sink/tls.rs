//! The sink's side of TLS: certificates, handshakes, and handshakes that go wrong.
//!
//! Knows streams and rustls; not what is said through them. The ring provider is always named: a
//! process default would depend on who was first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::{CertificateError, CertificateKind, Certificates};
use super::fault::Handshake;
use super::setting::SettingError;
use super::spoil::GARBAGE;

/// How long a handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);

/// The head of a handshake record of 122 octets, and the first of a server's hello.
const RECORD_BEGUN: [u8; 7] = [0x16, 3, 3, 0, 122, 2, 0];

/// When a connection comes under TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// Never.
    #[default]
    None,
    /// After STARTTLS.
    Starttls,
    /// From its first octet.
    Implicit,
}

impl FromStr for TlsMode {
    type Err = SettingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "none" => Self::None,
            "starttls" => Self::Starttls,
            "implicit" => Self::Implicit,
            _ => return Err(SettingError::new("tls", text, "take none, starttls or implicit")),
        })
    }
}

/// How a sink speaks TLS.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// When.
    pub mode: TlsMode,
    /// With which certificate.
    pub certificate: CertificateSource,
    /// Refuses MAIL and AUTH before STARTTLS.
    pub required: bool,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateSource {
    /// Made at start, by an authority made for it.
    Made {
        /// What is wrong with it.
        #[serde(default)]
        kind: CertificateKind,
        /// Names and addresses beside the loopback ones.
        #[serde(default)]
        names: Vec<String>,
        /// Where the authority's certificate is written to, as PEM.
        #[serde(default)]
        authority_out: Option<PathBuf>,
    },
    /// Given by the caller, so that several servers can share one authority.
    #[serde(skip)]
    Given(Certificates),
    /// Read from PEM files.
    Files {
        /// The server's certificate and those between it and its authority.
        chain: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

impl Default for CertificateSource {
    fn default() -> Self {
        Self::Made { kind: CertificateKind::Valid, names: Vec::new(), authority_out: None }
    }
}

/// Why a sink cannot speak TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate could be made.
    #[error(transparent)]
    Make(#[from] CertificateError),
    /// A file could not be read or written.
    #[error("cannot use {}; hint: name a file this user may read or write", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A file holds no PEM of its kind.
    #[error(
        "no certificate and key in the PEM given; hint: a chain file and a key file as openssl writes them"
    )]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// Certificate and key do not suit each other or the library.
    #[error("certificate and key do not fit; hint: take the key that the certificate was made for")]
    Unfit(#[source] rustls::Error),
}

/// An open TLS side.
pub(super) struct TlsSide {
    acceptor: TlsAcceptor,
    /// The authority of a certificate that was made or given.
    pub(super) authority_pem: Option<String>,
}

impl std::fmt::Debug for TlsSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a TLS side")
    }
}

impl TlsSide {
    /// Reads or makes the certificate.
    pub(super) fn open(source: CertificateSource) -> Result<Self, TlsError> {
        let (chain_pem, key_pem, authority_pem) = match source {
            CertificateSource::Files { chain, key } => (read(&chain)?, read(&key)?, None),
            CertificateSource::Given(given) => {
                (given.chain_pem, given.key_pem, Some(given.authority_pem))
            }
            CertificateSource::Made { kind, names, authority_out } => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let made = Certificates::make(kind, &names)?;
                if let Some(path) = authority_out {
                    fs::write(&path, &made.authority_pem)
                        .map_err(|source| TlsError::File { path, source })?;
                }
                (made.chain_pem, made.key_pem, Some(made.authority_pem))
            }
        };
        let acceptor = acceptor(&chain_pem, &key_pem)?;
        Ok(Self { acceptor, authority_pem })
    }

    /// Plays one handshake. `None`: it was meant to break, and has.
    pub(super) async fn shake(
        &self,
        mut stream: TcpStream,
        how: Handshake,
    ) -> io::Result<Option<TlsStream<TcpStream>>> {
        let said: &[u8] = match how {
            Handshake::Whole => {
                let accepting = self.acceptor.accept(stream);
                return tokio::time::timeout(HANDSHAKE_LIMIT, accepting).await?.map(Some);
            }
            Handshake::Cut => &RECORD_BEGUN,
            Handshake::Garbage => GARBAGE,
            Handshake::Silent => b"",
        };
        let mut heard = [0; 1024];
        let _first = tokio::time::timeout(HANDSHAKE_LIMIT, stream.read(&mut heard)).await??;
        stream.write_all(said).await?;
        if how == Handshake::Cut {
            stream.shutdown().await?;
        }
        // Waits for the client to go, so that what it has sent does not reset the connection.
        while stream.read(&mut heard).await? > 0 {}
        Ok(None)
    }
}

fn read(path: &Path) -> Result<String, TlsError> {
    fs::read_to_string(path).map_err(|source| TlsError::File { path: path.to_owned(), source })
}

fn acceptor(chain_pem: &str, key_pem: &str) -> Result<TlsAcceptor, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain_pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(TlsError::Pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(TlsError::Pem)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(TlsError::Unfit)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
