//! A small SMTP client that hears octets, not replies.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::Sink;

/// Longest wait for anything that must come.
pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// How long nothing must come, for a server to count as silent.
pub(super) const HUSH: std::time::Duration = std::time::Duration::from_millis(60);

pub(super) struct Wire<S = TcpStream>(pub(super) BufReader<S>);

impl Wire {
    pub(super) async fn connect(sink: &Sink) -> Self {
        let stream = TcpStream::connect(sink.addr()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Connected, greeted, and EHLO answered.
    pub(super) async fn greeted(sink: &Sink) -> Self {
        let mut wire = Self::connect(sink).await;
        assert!(wire.reply().await.starts_with("220 "));
        assert!(wire.ask("EHLO me\r\n").await.starts_with("250"));
        wire
    }

    /// STARTTLS, and the handshake.
    pub(super) async fn secured(mut self, sink: &Sink) -> Wire<TlsStream<TcpStream>> {
        assert!(self.ask("STARTTLS\r\n").await.starts_with("220 "));
        self.shake(sink.authority_pem().unwrap(), "localhost").await.unwrap()
    }

    /// A handshake with a server that this authority vouches for.
    pub(super) async fn shake(
        self,
        authority_pem: &str,
        name: &str,
    ) -> std::io::Result<Wire<TlsStream<TcpStream>>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority_pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let shaking = TlsConnector::from(Arc::new(config)).connect(name, self.0.into_inner());
        let stream = tokio::time::timeout(PATIENCE, shaking).await.unwrap()?;
        Ok(Wire(BufReader::new(stream)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// Says one thing and hears its reply.
    pub(super) async fn ask(&mut self, text: &str) -> String {
        self.say(text).await;
        self.reply().await
    }

    /// A whole reply, all its lines; empty once the sink has closed.
    pub(super) async fn reply(&mut self) -> String {
        let mut reply = Vec::new();
        loop {
            let before = reply.len();
            let line = self.0.read_until(b'\n', &mut reply);
            let read = tokio::time::timeout(PATIENCE, line).await.expect("a reply in time");
            let line = &reply[before..];
            if read.unwrap_or(0) == 0 || line.get(3) != Some(&b'-') {
                return String::from_utf8_lossy(&reply).into_owned();
            }
        }
    }

    /// All octets up to the end of the stream.
    pub(super) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = self.0.read_to_end(&mut rest);
        let _reset = tokio::time::timeout(PATIENCE, read).await.expect("an end in time");
        rest
    }

    /// Whether nothing comes, and the connection stays open.
    pub(super) async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(HUSH, self.0.fill_buf()).await.is_err()
    }

    /// One message from MAIL to its dot; the last reply that was heard.
    pub(super) async fn send(&mut self, to: &str) -> String {
        let rcpt = format!("RCPT TO:<{to}>\r\n");
        let mut said = String::new();
        for (line, due) in [
            ("MAIL FROM:<a@example.net>\r\n", "250"),
            (rcpt.as_str(), "250"),
            ("DATA\r\n", "354"),
            ("Subject: x\r\n\r\nhi\r\n.\r\n", "250"),
        ] {
            said = self.ask(line).await;
            if !said.starts_with(due) {
                break;
            }
        }
        said
    }
}
