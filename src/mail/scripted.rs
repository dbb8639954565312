//! A server that follows a script, and a stream that keeps what is written: for tests only.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::stream::NodelayStream;

/// One step of a script. At its end the server closes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// Write these bytes.
    Say(&'static str),
    /// Read one line, which must start like this.
    Hear(&'static str),
    /// Read a message up to its final dot.
    Message,
    /// Say nothing more until the client is gone.
    Silence,
    /// Go on under TLS, with a certificate of this kind; a client that refuses ends the script.
    Secure(Certificate),
}

/// Certificates of the scripted server, all by [`authority`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certificate {
    /// For 127.0.0.1 and `relay.example`.
    Valid,
    /// Its time is over.
    Expired,
    /// For another host.
    OtherName,
}

/// A throw-away authority, the same for the whole test process, with its certificate as PEM.
fn authority() -> &'static (CertifiedIssuer<'static, KeyPair>, String) {
    static AUTHORITY: OnceLock<(CertifiedIssuer<'static, KeyPair>, String)> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let issuer = CertifiedIssuer::self_signed(parameters, key).unwrap();
        let pem = issuer.pem();
        (issuer, pem)
    })
}

/// Writes the authority's certificate to a file that a relay's settings can name.
pub(super) fn authority_file(folder: &Path) -> PathBuf {
    let path = folder.join("authority.pem");
    std::fs::write(&path, &authority().1).unwrap();
    path
}

fn acceptor(kind: Certificate) -> TlsAcceptor {
    let names = match kind {
        Certificate::OtherName => vec!["other.example".to_owned()],
        _ => vec!["127.0.0.1".to_owned(), "relay.example".to_owned()],
    };
    let mut parameters = CertificateParams::new(names).unwrap();
    if kind == Certificate::Expired {
        parameters.not_before = date_time_ymd(2019, 1, 1);
        parameters.not_after = date_time_ymd(2020, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, &authority().0).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// What the script is played on, in clear or not.
trait Peer: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Peer for T {}

/// Serves one connection; the handle gives back every line and message read, and fails where the
/// client left the script.
pub(super) async fn serve(script: Vec<Act>) -> (SocketAddr, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        let served = timeout(Duration::from_secs(25), follow(listener, script)).await;
        served.expect("the client never came to the end of the script")
    });
    (address, server)
}

async fn follow(listener: TcpListener, script: Vec<Act>) -> Vec<String> {
    let (socket, _) = listener.accept().await.unwrap();
    socket.set_nodelay(true).unwrap();
    let mut socket: BufReader<Box<dyn Peer>> = BufReader::new(Box::new(socket));
    let mut log = Vec::new();
    for act in script {
        match act {
            Act::Say(text) => {
                socket.get_mut().write_all(text.as_bytes()).await.unwrap();
                socket.get_mut().flush().await.unwrap();
            }
            Act::Secure(kind) => {
                assert!(socket.buffer().is_empty(), "the client spoke before the handshake");
                match acceptor(kind).accept(socket.into_inner()).await {
                    Ok(secure) => socket = BufReader::new(Box::new(secure)),
                    Err(error) => {
                        log.push(format!("no handshake: {error}"));
                        return log;
                    }
                }
            }
            Act::Hear(start) => {
                let mut line = String::new();
                socket.read_line(&mut line).await.unwrap();
                assert!(line.starts_with(start), "{start:?} was to come, {line:?} came");
                log.push(line);
            }
            Act::Message => {
                let mut message = String::new();
                while !(message == ".\r\n" || message.ends_with("\r\n.\r\n")) {
                    assert_ne!(socket.read_line(&mut message).await.unwrap(), 0, "no final dot");
                }
                log.push(message);
            }
            Act::Silence => {
                let mut rest = String::new();
                // A client that drops unread bytes resets; that is its leave to take.
                let _ = socket.read_to_string(&mut rest).await;
                log.push(rest);
            }
        }
    }
    log
}

/// What a [`Recording`] stream was given to write, one entry a write.
pub(super) type Writes = Arc<Mutex<Vec<Vec<u8>>>>;

/// A stream that keeps every write apart.
#[derive(Debug)]
pub(super) struct Recording(pub(super) NodelayStream, pub(super) Writes);

impl AsyncRead for Recording {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Recording {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.0).poll_write(context, bytes))?;
        self.1.lock().unwrap().push(bytes[..written].to_vec());
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Recording {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}
