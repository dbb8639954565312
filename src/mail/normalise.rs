//! Makes a server's replies well-formed before the mail library reads them, and counts them.
//!
//! The library turns a byte above 0x7f, a bare LF, a lone `250` or a long line into a network
//! error, which would make a clear refusal look like a broken connection. The count shows whether a
//! server has sent a reply that nobody asked for: from then on every answer would be read as the
//! answer to the wrong question.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest reply line passed on, without its CRLF; RFC 5321 §4.5.3.1.5 allows 510.
const MAX_LINE: usize = 900;
/// How much is read from the socket at once.
const CHUNK: usize = 4096;

/// What the stream saw, shared with the connection that reads through the mail library.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<SeenInner>);

#[derive(Debug, Default)]
struct SeenInner {
    replies: AtomicU64,
    ended: AtomicBool,
}

impl Seen {
    /// How many complete replies have come in so far.
    pub(super) fn replies(&self) -> u64 {
        self.0.replies.load(Ordering::Acquire)
    }

    /// Whether the server has closed its side.
    pub(super) fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }
}

/// A stream whose incoming reply lines are normalised; what is written passes untouched.
#[derive(Debug)]
pub(super) struct Normalised {
    inner: Box<dyn AsyncTokioStream>,
    lines: Lines,
    /// Whole normalised lines not yet read, from `given` on.
    ready: Vec<u8>,
    given: usize,
    seen: Seen,
}

impl Normalised {
    /// Wraps a stream on which nothing was read yet.
    pub(super) fn new(inner: Box<dyn AsyncTokioStream>) -> Self {
        Self { inner, lines: Lines::default(), ready: Vec::new(), given: 0, seen: Seen::default() }
    }

    /// The shared counts.
    pub(super) fn seen(&self) -> Seen {
        self.seen.clone()
    }

    /// Waits for the first reply and shows it without consuming it; none if the server closed
    /// before it was complete.
    pub(super) async fn peek_first_reply(&mut self) -> io::Result<Option<String>> {
        std::future::poll_fn(|context| {
            while self.seen.replies() == 0 {
                if !ready!(self.poll_fill(context))? {
                    return Poll::Ready(Ok(None));
                }
            }
            Poll::Ready(Ok(Some(String::from_utf8_lossy(&self.ready).into_owned())))
        })
        .await
    }

    /// Reads once from the socket; false at its end. A line cut off by the end is dropped.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut chunk = [0; CHUNK];
        let mut buffer = ReadBuf::new(&mut chunk);
        ready!(Pin::new(&mut self.inner).poll_read(context, &mut buffer))?;
        if buffer.filled().is_empty() {
            self.seen.0.ended.store(true, Ordering::Release);
            return Poll::Ready(Ok(false));
        }
        if self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
        }
        let complete = self.lines.take(buffer.filled(), &mut self.ready);
        self.seen.0.replies.fetch_add(complete, Ordering::AcqRel);
        Poll::Ready(Ok(true))
    }
}

/// The line being put together.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// Takes in bytes, puts finished lines out, and tells how many replies they finished.
    fn take(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> u64 {
        let mut complete = 0;
        for &byte in bytes {
            if byte == b'\n' {
                complete += u64::from(self.finish(output));
            } else if self.0.len() <= MAX_LINE {
                self.0.push(byte);
            }
        }
        complete
    }

    /// Puts the line out; true if it ends a reply.
    fn finish(&mut self, output: &mut Vec<u8>) -> bool {
        let end = self.0.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
        let line = &self.0[..end.min(MAX_LINE)];
        output.extend(line.iter().map(|byte| match byte {
            0x80.. => b'?',
            b'\t' | b' '..=b'~' => *byte,
            _ => b' ',
        }));
        if line.len() == 3 && line.iter().all(u8::is_ascii_digit) {
            output.push(b' ');
        }
        output.extend_from_slice(b"\r\n");
        let goes_on = line.len() > 3 && line[..3].iter().all(u8::is_ascii_digit) && line[3] == b'-';
        self.0.clear();
        !goes_on
    }
}

impl AsyncRead for Normalised {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.given == self.ready.len() {
            if !ready!(self.poll_fill(context))? {
                return Poll::Ready(Ok(()));
            }
        }
        let fits = buffer.remaining().min(self.ready.len() - self.given);
        buffer.put_slice(&self.ready[self.given..self.given + fits]);
        self.given += fits;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Normalised {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Normalised {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the bytes in pieces of `size` and gives back the lines and the count of replies.
    fn normalised(bytes: &[u8], size: usize) -> (String, u64) {
        let (mut lines, mut output) = (Lines::default(), Vec::new());
        let complete = bytes.chunks(size).map(|piece| lines.take(piece, &mut output)).sum();
        (String::from_utf8(output).unwrap(), complete)
    }

    #[test]
    fn replies_come_out_as_the_mail_library_wants_them() {
        for (wire, lines, complete) in [
            (&b"250 ok\r\n"[..], "250 ok\r\n", 1),
            (b"250\r\n", "250 \r\n", 1),
            (b"250\n", "250 \r\n", 1),
            (b"250 ok\n250 two\n", "250 ok\r\n250 two\r\n", 2),
            (b"250-a\n250-b\r\n250 c\r\n", "250-a\r\n250-b\r\n250 c\r\n", 1),
            (b"550 Benutzer ung\xfcltig\r\n", "550 Benutzer ung?ltig\r\n", 1),
            ("550 é\r\n".as_bytes(), "550 ??\r\n", 1),
            (b"250 a\rb\x1b[31m\0c\r\r\n", "250 a b [31m c\r\n", 1),
            (b"250 cut off", "", 0),
            (b"SSH-2.0-x\r\n", "SSH-2.0-x\r\n", 1),
            (b"\r\n", "\r\n", 1),
        ] {
            for size in [1, 2, 3, 100] {
                assert_eq!(normalised(wire, size), (lines.into(), complete), "{wire:?}");
            }
        }
    }

    #[test]
    fn an_over_long_line_is_cut_and_the_next_one_is_whole() {
        let wire = format!("550 {}\r\n250 ok\r\n", "x".repeat(100_000));
        let (lines, complete) = normalised(wire.as_bytes(), 1000);
        assert_eq!(lines, format!("550 {}\r\n250 ok\r\n", "x".repeat(MAX_LINE - 4)));
        assert_eq!(complete, 2);
    }
}
