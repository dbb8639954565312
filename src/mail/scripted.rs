//! A server that follows a script, and a stream that keeps what is written: for tests only.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf,
};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

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
}

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
    let mut socket = BufReader::new(socket);
    let mut log = Vec::new();
    for act in script {
        match act {
            Act::Say(text) => socket.get_mut().write_all(text.as_bytes()).await.unwrap(),
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
