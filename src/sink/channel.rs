//! The octets of one connection, in clear or under TLS, and the ways in which replies leave.
//!
//! Knows streams and marks; not what is said.

use std::io;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::replies::{Delivery, Replies};

/// How long a client that reads no replies is kept; the socket's buffer holds thousands of them.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

/// The pause between two octets of a bytewise reply.
const OCTET_GAP: Duration = Duration::from_millis(2);

/// One connection.
pub(super) enum Channel {
    Clear(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
    /// Taken for a handshake, or gone.
    Closed,
}

impl Channel {
    /// Reads what there is; 0 once the client has closed.
    pub(super) async fn read(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Clear(stream) => stream.read_buf(into).await,
            Self::Secure(stream) => stream.read_buf(into).await,
            Self::Closed => Ok(0),
        }
    }

    /// Ends once the client has closed or broken the line; as long as it is there, or has sent more than
    /// was read, it does not end.
    pub(super) async fn gone(&self) {
        let stream = match self {
            Self::Clear(stream) => stream,
            Self::Secure(stream) => stream.get_ref().0,
            Self::Closed => return std::future::pending().await,
        };
        if stream.peek(&mut [0]).await.is_ok_and(|octets| octets > 0) {
            std::future::pending::<()>().await;
        }
    }

    /// Sends all replies as they are marked, in one write where none is. A stopping sink cuts
    /// waits short, never a reply.
    pub(super) async fn send(
        &mut self,
        replies: &mut Replies,
        bytewise: bool,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        let (octets, marks) = replies.parts();
        let mut at = 0;
        for mark in marks {
            self.write(&octets[at..mark.from.max(at)], bytewise, stop).await?;
            at = mark.from.max(at);
            match mark.how {
                Delivery::After(wait) => pause(wait, stop).await,
                Delivery::Bytewise => {
                    self.write(&octets[at..mark.to], true, stop).await?;
                    at = mark.to;
                }
            }
        }
        self.write(&octets[at..], bytewise, stop).await?;
        replies.clear();
        Ok(())
    }

    async fn write(
        &mut self,
        octets: &[u8],
        bytewise: bool,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        if octets.is_empty() {
            return Ok(());
        }
        if !bytewise {
            return self.write_whole(octets).await;
        }
        for octet in octets {
            self.write_whole(std::slice::from_ref(octet)).await?;
            pause(OCTET_GAP, stop).await;
        }
        Ok(())
    }

    async fn write_whole(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Clear(stream) => {
                tokio::time::timeout(WRITE_LIMIT, stream.write_all(octets)).await??;
            }
            Self::Secure(stream) => {
                tokio::time::timeout(WRITE_LIMIT, stream.write_all(octets)).await??;
                tokio::time::timeout(WRITE_LIMIT, stream.flush()).await??;
            }
            Self::Closed => {}
        }
        Ok(())
    }

    /// Says a last word if it fits into the socket's buffer: a client that does not read cannot
    /// hold us.
    pub(super) fn farewell(&mut self, octets: &[u8]) {
        let _sent = self.write_whole(octets).now_or_never();
    }

    /// Closes as one should: TLS ends with its own notice.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.shutdown().await,
            Self::Secure(stream) => stream.shutdown().await,
            Self::Closed => Ok(()),
        }
    }

    /// Closes as a broken line does: TLS ends in the middle.
    pub(super) async fn cut(&mut self) -> io::Result<()> {
        match self {
            Self::Clear(stream) => stream.shutdown().await,
            Self::Secure(stream) => stream.get_mut().0.shutdown().await,
            Self::Closed => Ok(()),
        }
    }

    /// Takes the clear stream out, for a handshake.
    pub(super) fn take_clear(&mut self) -> Option<TcpStream> {
        match std::mem::replace(self, Self::Closed) {
            Self::Clear(stream) => Some(stream),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// Waits, unless the sink is stopping.
async fn pause(wait: Duration, stop: &CancellationToken) {
    stop.run_until_cancelled(tokio::time::sleep(wait)).await;
}
