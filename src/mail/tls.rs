//! TLS below the mail library: how it is asked for, the handshake, and what a failed one means.
//!
//! The library never sees TLS: it keeps clear text that was injected before STARTTLS, after which
//! every reply is read one step off (`docs/protocol.md`, SMTP).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lettre::transport::smtp::client::AsyncTokioStream;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::settings::is_this_machine;
use crate::tls::{self, TlsSetupError, Trusted};

/// How a connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// As the relay's place calls for: `implicit` at port 465; `opportunistic` on this machine;
    /// `starttls` anywhere else.
    #[default]
    Auto,
    /// Never.
    None,
    /// By STARTTLS where it is offered, with whatever certificate: against listeners, not against
    /// impostors (RFC 7435).
    Opportunistic,
    /// By STARTTLS (RFC 3207), with a certificate that is checked; without it nothing is sent.
    Starttls,
    /// From the first octet (RFC 8314), with a certificate that is checked.
    Implicit,
}

impl TlsMode {
    /// What `auto` means for a relay at `address`; every other mode means itself.
    #[must_use]
    pub fn at(self, address: SocketAddr) -> Self {
        match self {
            Self::Auto if address.port() == 465 => Self::Implicit,
            Self::Auto if is_this_machine(address) => Self::Opportunistic,
            Self::Auto => Self::Starttls,
            named => named,
        }
    }

    /// The word of the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::None => "none",
            Self::Opportunistic => "opportunistic",
            Self::Starttls => "starttls",
            Self::Implicit => "implicit",
        }
    }
}

/// How a connection turned out to be secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// In clear.
    Clear,
    /// Encrypted.
    Encrypted {
        /// `TLSv1.2` or `TLSv1.3`.
        version: &'static str,
        /// Whether the certificate was checked.
        checked: bool,
    },
}

impl Security {
    /// Whether only the relay itself can read what is written.
    pub fn is_private(self) -> bool {
        matches!(self, Self::Encrypted { checked: true, .. })
    }
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clear => f.write_str("in clear"),
            Self::Encrypted { version, checked: true } => {
                write!(f, "{version}, certificate checked")
            }
            Self::Encrypted { version, checked: false } => {
                write!(f, "{version}, certificate not checked")
            }
        }
    }
}

/// Why a handshake did not come about. Nobody's address is to blame for any of these.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// It cannot be set up: the file with authorities, or this machine has none.
    #[error(transparent)]
    Setup(#[from] TlsSetupError),
    /// The name to be on the certificate is none.
    #[error("{0:?} cannot be on a certificate; hint: `relay.certificate_name` is a host name")]
    Name(String),
    /// The server offers no STARTTLS, and it is required.
    #[error(
        "it offers no STARTTLS, so nothing is sent; hint: is something between stripping it, or does \
         this port speak TLS from the start (relay.tls = \"implicit\")?"
    )]
    NotOffered,
    /// The server sent clear text behind its answer to STARTTLS.
    #[error(
        "{0} octets in clear stood behind its answer to STARTTLS, so nothing was sent; hint: something \
         between this machine and the relay tampers with the connection"
    )]
    Injected(usize),
    /// The certificate's time is over or has not begun.
    #[error(
        "its certificate is not valid today ({0}); hint: renew the relay's certificate, or set this machine's clock right"
    )]
    Expired(String),
    /// The certificate is for somebody else.
    #[error(
        "its certificate is not for {0}; hint: relay.host, or relay.certificate_name where the \
         certificate has another name"
    )]
    OtherName(String),
    /// Nobody we trust has signed the certificate.
    #[error(
        "its certificate is signed by no authority this machine trusts; hint: relay.authorities names \
         a PEM file with your own"
    )]
    Unknown,
    /// The certificate is wrong in another way.
    #[error("its certificate is refused: {0}; hint: look at it with `openssl s_client`")]
    Certificate(String),
    /// What came was no TLS, or not of a kind we speak.
    #[error(
        "the TLS handshake failed: {0}; hint: does this port speak TLS as relay.tls says, in version \
         1.2 or later?"
    )]
    Handshake(String),
}

/// A handshake's end other than success.
#[derive(Debug)]
pub(super) enum HandshakeEnd {
    /// It says something about the relay or our settings.
    Fault(TlsFault),
    /// The network broke.
    Broken(io::Error),
}

/// Makes handshakes with one relay.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
    shown: String,
    checked: bool,
}

impl Tls {
    /// For a relay whose certificate must name `name` and come from `authorities` (a PEM file; the
    /// machine's own where there is none).
    pub(super) fn checked(name: &str, authorities: Option<&Path>) -> Result<Self, TlsFault> {
        let trusted = authorities.map_or(Trusted::Machine, Trusted::Only);
        let config = tls::checked(trusted, "relay.authorities")?;
        Self::new(name, config, true)
    }

    /// For a relay whose certificate may be anybody's.
    pub(super) fn unchecked(name: &str) -> Result<Self, TlsFault> {
        let config = tls::unchecked()?;
        Self::new(name, config, false)
    }

    fn new(name: &str, config: ClientConfig, checked: bool) -> Result<Self, TlsFault> {
        let server =
            ServerName::try_from(name.to_owned()).map_err(|_| TlsFault::Name(name.to_owned()))?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Self { connector, name: server, shown: name.to_owned(), checked })
    }

    /// The handshake. The stream must hold nothing unread.
    pub(super) async fn handshake(
        &self,
        stream: Box<dyn AsyncTokioStream>,
    ) -> Result<(SecureStream, Security), HandshakeEnd> {
        let peer = stream.peer_addr().map_err(HandshakeEnd::Broken)?;
        let stream = self
            .connector
            .connect(self.name.clone(), stream)
            .await
            .map_err(|error| self.judge(error))?;
        let version = match stream.get_ref().1.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        };
        Ok((SecureStream { stream, peer }, Security::Encrypted { version, checked: self.checked }))
    }

    fn judge(&self, error: io::Error) -> HandshakeEnd {
        let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
        else {
            return HandshakeEnd::Broken(error);
        };
        HandshakeEnd::Fault(match cause {
            rustls::Error::InvalidCertificate(what) => self.judge_certificate(what),
            other => TlsFault::Handshake(other.to_string()),
        })
    }

    fn judge_certificate(&self, what: &CertificateError) -> TlsFault {
        use CertificateError as E;
        match what {
            E::Expired
            | E::ExpiredContext { .. }
            | E::NotValidYet
            | E::NotValidYetContext { .. } => TlsFault::Expired(what.to_string()),
            E::NotValidForName | E::NotValidForNameContext { .. } => {
                TlsFault::OtherName(self.shown.clone())
            }
            E::UnknownIssuer => TlsFault::Unknown,
            other => TlsFault::Certificate(other.to_string()),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("name", &self.shown)
            .field("checked", &self.checked)
            .finish_non_exhaustive()
    }
}

/// A stream under TLS.
#[derive(Debug)]
pub(super) struct SecureStream {
    stream: TlsStream<Box<dyn AsyncTokioStream>>,
    peer: SocketAddr,
}

impl AsyncRead for SecureStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for SecureStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for SecureStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_asks_for_what_the_relays_place_calls_for() {
        for (address, mode) in [
            ("192.0.2.1:465", TlsMode::Implicit),
            ("127.0.0.1:465", TlsMode::Implicit),
            ("127.0.0.1:25", TlsMode::Opportunistic),
            ("[::1]:2525", TlsMode::Opportunistic),
            ("[::ffff:127.0.0.1]:25", TlsMode::Opportunistic),
            ("192.0.2.1:25", TlsMode::Starttls),
            ("[2001:db8::1]:587", TlsMode::Starttls),
        ] {
            assert_eq!(TlsMode::Auto.at(address.parse().unwrap()), mode, "{address}");
        }
        assert_eq!(TlsMode::None.at("192.0.2.1:465".parse().unwrap()), TlsMode::None);
    }

    #[test]
    fn a_file_without_authorities_is_named_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        for text in
            [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
        {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let said = Tls::checked("relay.example", Some(&path)).unwrap_err().to_string();
            assert!(said.contains("ca.pem") && said.contains("relay.authorities"), "{said}");
        }
        let said = Tls::unchecked("not a name").unwrap_err().to_string();
        assert!(said.contains("relay.certificate_name"), "{said}");
    }
}
