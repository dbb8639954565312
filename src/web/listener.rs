//! The listener: so many connections, each with its time for headers, body and answer, with TLS where no
//! proxy does it; ends when told to, after what is under way.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::config::WebSettings;

/// The time for a request's headers, and for the handshake before them.
const HEADERS_FOR: Duration = Duration::from_secs(10);
/// Bytes of a request's headers.
const HEADER_BYTES: usize = 16 * 1024;
/// The time that what is under way gets when the listener ends.
const END_FOR: Duration = Duration::from_secs(10);
/// The pause after the system gave no connection, mostly for want of files.
const PAUSE: Duration = Duration::from_millis(50);

/// Why pages cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address cannot be listened at.
    #[error(
        "cannot listen at {listen}: {source}; hint: `portal.listen`, or end whoever listens there"
    )]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// Certificate or key.
    #[error(
        "`{path}`: {what}; hint: `portal.certificate` and `portal.certificate_key` are PEM files"
    )]
    Certificate {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
}

/// A bound listener.
pub struct Listening {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    connections: Arc<Semaphore>,
}

impl Listening {
    /// Binds it; nothing is answered yet.
    pub async fn bind(settings: &WebSettings) -> Result<Self, WebError> {
        let listen = settings.listen;
        let tls =
            settings.certificate.as_ref().map(|(chain, key)| acceptor(chain, key)).transpose()?;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| WebError::Listen { listen, source })?;
        let connections = Arc::new(Semaphore::new(settings.connections.max(1)));
        Ok(Self { listener, tls, connections })
    }

    /// Where it listens: the port the system gave, where none was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until told to stop.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let graceful = GracefulShutdown::new();
        loop {
            let permit = tokio::select! {
                () = stop.cancelled() => break,
                permit = Arc::clone(&self.connections).acquire_owned() => permit,
            };
            let Ok(permit) = permit else { break };
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let (router, tls, watcher) = (router.clone(), self.tls.clone(), graceful.watcher());
            tokio::spawn(async move {
                answer(stream, peer, tls, router, watcher).await;
                drop(permit);
            });
        }
        drop(self.listener);
        let _ = tokio::time::timeout(END_FOR, graceful.shutdown()).await;
    }
}

async fn answer(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    watcher: Watcher,
) {
    stream.set_nodelay(true).ok();
    match tls {
        None => talk(stream, peer, router, watcher).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HEADERS_FOR, tls.accept(stream)).await {
                talk(stream, peer, router, watcher).await;
            }
        }
    }
}

async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: SocketAddr,
    router: Router,
    watcher: Watcher,
) {
    let service = router.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_FOR)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    // how a client ends its connection is its own affair
    let _ = watcher.watch(connection).await;
}

fn acceptor(chain: &Path, key: &Path) -> Result<TlsAcceptor, WebError> {
    let broken = |path: &Path, what: String| WebError::Certificate { path: shown(path), what };
    let bytes = fs::read(chain).map_err(|error| broken(chain, error.to_string()))?;
    let certificates = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| broken(chain, error.to_string()))?;
    let bytes = fs::read(key).map_err(|error| broken(key, error.to_string()))?;
    let secret =
        PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| broken(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(chain, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates, secret)
        .map_err(|error| broken(chain, error.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn shown(path: &Path) -> String {
    PathBuf::from(path).display().to_string()
}
