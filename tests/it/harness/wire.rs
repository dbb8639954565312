//! A wire in front of a server: it adds latency, and can be cut and mended.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// How a wire is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Whole,
    /// Nothing comes through, and whoever is connected is cut off.
    Cut,
    /// As [`Condition::Cut`], once so many octets more have gone towards the server.
    CutAfter(usize),
}

/// A wire; it ends with this value.
pub struct Wire {
    port: u16,
    condition: watch::Sender<Condition>,
    serving: tokio::task::JoinHandle<()>,
}

impl Wire {
    /// A wire to a server on loopback, on which every octet takes so long in each direction.
    pub async fn to(server: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (condition, seen) = watch::channel(Condition::Whole);
        let sender = condition.clone();
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *seen.borrow() == Condition::Cut {
                    continue;
                }
                let server = SocketAddr::from(([127, 0, 0, 1], server));
                tokio::spawn(join(client, server, delay, seen.clone(), sender.clone()));
            }
        });
        Self { port, condition, serving }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn is(&self, condition: Condition) {
        self.condition.send_replace(condition);
    }

    /// Cut, or mended.
    pub fn is_cut(&self, cut: bool) {
        self.is(if cut { Condition::Cut } else { Condition::Whole });
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.condition.send_replace(Condition::Cut);
        self.serving.abort();
    }
}

async fn join(
    client: TcpStream,
    server: SocketAddr,
    delay: Duration,
    mut seen: watch::Receiver<Condition>,
    sender: watch::Sender<Condition>,
) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = carry(from_client, to_server, delay, Some(sender));
    let back = carry(from_server, to_client, delay, None);
    let cut = async {
        while *seen.borrow_and_update() != Condition::Cut {
            if seen.changed().await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(there, back) } => {}
        () = cut => {}
    }
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    delay: Duration,
    counted: Option<watch::Sender<Condition>>,
) {
    let (sender, mut due) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            if let Some(condition) = &counted {
                condition.send_if_modified(|now| match *now {
                    Condition::CutAfter(left) if left <= count => {
                        *now = Condition::Cut;
                        true
                    }
                    Condition::CutAfter(left) => {
                        *now = Condition::CutAfter(left - count);
                        false
                    }
                    _ => false,
                });
                if *condition.borrow() == Condition::Cut {
                    return;
                }
            }
            if sender.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((at, octets)) = due.recv().await {
            wait(at).await;
            if to.write_all(&octets).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}

/// The runtime's clock ticks once in a millisecond, which is much of a short wire's time: the last of a wait is
/// slept by a thread.
async fn wait(until: Instant) {
    const TICKS: Duration = Duration::from_millis(2);
    tokio::time::sleep_until(until - TICKS).await;
    let left = until.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        let _ = tokio::task::spawn_blocking(move || std::thread::sleep(left)).await;
    }
}
