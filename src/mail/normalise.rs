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

use futures_util::FutureExt as _;
use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};

/// The longest reply line passed on, without its CRLF; RFC 5321 §4.5.3.1.5 allows 510.
const MAX_LINE: usize = 900;
/// The most of one reply that is passed on, in octets: the library gives up at 100,000, and a reply
/// that is merely long would look like a broken connection. What ends it always passes.
const MAX_REPLY: usize = 40_000;
/// How much is read from the socket at once.
const CHUNK: usize = 4096;
/// What the mail library reads in place of the greeting and the answer to its EHLO, which were
/// read before it came.
const OPENED: &[u8] = b"220 opened\r\n250 opened\r\n";

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

/// A stream whose incoming reply lines are normalised; what is written passes untouched, but for the
/// library's own EHLO.
#[derive(Debug)]
pub(super) struct Normalised {
    inner: Box<dyn AsyncTokioStream>,
    lines: Lines,
    /// Whole normalised lines not yet read, from `given` on.
    ready: Vec<u8>,
    given: usize,
    seen: Seen,
    /// Whether the next line written is the library's EHLO, which was said already.
    swallowing: bool,
}

impl Normalised {
    /// Wraps a stream on which nothing was read yet.
    pub(super) fn new(inner: Box<dyn AsyncTokioStream>) -> Self {
        Self {
            inner,
            lines: Lines::default(),
            ready: Vec::new(),
            given: 0,
            seen: Seen::default(),
            swallowing: false,
        }
    }

    /// The shared counts.
    pub(super) fn seen(&self) -> Seen {
        self.seen.clone()
    }

    /// Writes `text` at once.
    pub(super) async fn say(&mut self, text: &str) -> io::Result<()> {
        self.inner.write_all(text.as_bytes()).await?;
        self.inner.flush().await
    }

    /// Waits for a reply and takes it out, line by line; none if the server closed before it was
    /// complete.
    pub(super) async fn reply(&mut self) -> io::Result<Option<Vec<String>>> {
        std::future::poll_fn(|context| {
            while !self.has_reply() {
                if !ready!(self.poll_fill(context))? {
                    return Poll::Ready(Ok(None));
                }
            }
            Poll::Ready(Ok(Some(self.take_reply())))
        })
        .await
    }

    /// Whether a whole reply lies ready.
    pub(super) fn has_reply(&self) -> bool {
        self.lines_ready().any(ends_reply)
    }

    /// Whether the next line begins like this.
    pub(super) fn next_is(&self, code: &str) -> bool {
        self.ready[self.given..].starts_with(code.as_bytes())
    }

    fn lines_ready(&self) -> impl Iterator<Item = &[u8]> {
        self.ready[self.given..].split_inclusive(|byte| *byte == b'\n')
    }

    fn take_reply(&mut self) -> Vec<String> {
        let mut taken = Vec::new();
        let mut octets = 0;
        for line in self.lines_ready() {
            octets += line.len();
            taken.push(String::from_utf8_lossy(line).trim_end_matches("\r\n").to_owned());
            if ends_reply(line) {
                break;
            }
        }
        self.given += octets;
        taken
    }

    /// How many octets the server has sent that nobody has read, without waiting for more.
    pub(super) fn unread(&mut self) -> io::Result<usize> {
        // One look at the socket: what came in the same packet was read with the reply already.
        let looked = std::future::poll_fn(|context| self.poll_fill(context)).now_or_never();
        if let Some(Err(error)) = looked {
            return Err(error);
        }
        Ok(self.ready.len() - self.given + self.lines.octets())
    }

    /// The stream below; nothing unread may be left.
    pub(super) fn into_inner(self) -> Box<dyn AsyncTokioStream> {
        self.inner
    }

    /// Makes ready for the mail library, which wants a greeting and says EHLO: it hears that both
    /// went well, and its EHLO goes nowhere. Gives back how many replies count as heard.
    pub(super) fn hand_over(&mut self) -> u64 {
        self.ready.extend_from_slice(OPENED);
        self.swallowing = true;
        self.seen.replies()
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

/// The line being put together, and how much of its reply was passed on.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    passed_on: usize,
}

impl Lines {
    /// Octets of a line that has not ended.
    fn octets(&self) -> usize {
        self.line.len()
    }

    /// Takes in bytes, puts finished lines out, and tells how many replies they finished.
    fn take(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> u64 {
        let mut complete = 0;
        for &byte in bytes {
            if byte == b'\n' {
                complete += u64::from(self.finish(output));
            } else if self.line.len() <= MAX_LINE {
                self.line.push(byte);
            }
        }
        complete
    }

    /// Puts the line out, unless its reply has become too long; true if it ends a reply.
    fn finish(&mut self, output: &mut Vec<u8>) -> bool {
        let end = self.line.iter().rposition(|byte| *byte != b'\r').map_or(0, |last| last + 1);
        let line = &self.line[..end.min(MAX_LINE)];
        let ends = ends_reply(line);
        if ends || self.passed_on + line.len() <= MAX_REPLY {
            self.passed_on += line.len() + 2;
            output.extend(line.iter().map(|byte| match byte {
                0x80.. => b'?',
                b'\t' | b' '..=b'~' => *byte,
                _ => b' ',
            }));
            if line.len() == 3 && line.iter().all(u8::is_ascii_digit) {
                output.push(b' ');
            }
            output.extend_from_slice(b"\r\n");
        }
        if ends {
            self.passed_on = 0;
        }
        self.line.clear();
        ends
    }
}

/// Whether a line is the last of its reply: all but `250-…`.
fn ends_reply(line: &[u8]) -> bool {
    !(line.len() > 3 && line[..3].iter().all(u8::is_ascii_digit) && line[3] == b'-')
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
        if self.swallowing {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            self.swallowing = end.is_none();
            return Poll::Ready(Ok(end.map_or(bytes.len(), |at| at + 1)));
        }
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
    fn a_reply_without_end_is_bounded_and_keeps_its_last_line() {
        let line = format!("250-{}\r\n", "x".repeat(96));
        let wire = format!("{}250 2.0.0 Ok: queued as 4Q\r\n250 ok\r\n", line.repeat(5_000));
        let (lines, complete) = normalised(wire.as_bytes(), 1000);
        assert!(lines.len() < MAX_REPLY + 200, "{}", lines.len());
        assert!(lines.ends_with("250 2.0.0 Ok: queued as 4Q\r\n250 ok\r\n"));
        assert_eq!(complete, 2);
    }

    #[test]
    fn an_over_long_line_is_cut_and_the_next_one_is_whole() {
        let wire = format!("550 {}\r\n250 ok\r\n", "x".repeat(100_000));
        let (lines, complete) = normalised(wire.as_bytes(), 1000);
        assert_eq!(lines, format!("550 {}\r\n250 ok\r\n", "x".repeat(MAX_LINE - 4)));
        assert_eq!(complete, 2);
    }
}
