//! Notices that are begun with the final dot of the one before.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forthwith::domain::duration::HumanDuration;
use forthwith::domain::track::Track;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::running::{begun, finished};
use crate::harness::{CAMPAIGN, House, Plan};
use crate::notify::paced;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_begun_with_anothers_dot_is_not_told_after_a_pause() {
    let dot_delay = Duration::from_secs(2);
    let house = House::ready(Plan { dot_delay, ..paced(2000, 60) }).await;
    let connections = house.engine.relay.connections as usize;
    let (run, soft) = begun(&house, connections).await;
    house.engine.pause(CAMPAIGN, Track::Notice, "test").await.unwrap();
    tokio::time::sleep(dot_delay * 2).await;
    soft.cancel();
    let report = finished(run).await;
    let told = connections as u64;
    assert_eq!((report.totals.told, report.totals.in_doubt, report.totals.in_flight), (told, 0, 0));
    assert_eq!(house.taken().len(), connections);
    let [journal] = &house.engine.journals().await.unwrap()[..] else { panic!("one life") };
    assert!(journal.attempts > told, "nobody was begun with another's dot: {journal:?}");
}

/// Passes everything on to the sink, but what follows a final dot before its answer.
async fn forgetful(sink: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from_client, mut to_client) = client.into_split();
            let server = TcpStream::connect(sink).await.unwrap();
            let (mut from_server, mut to_server) = server.into_split();
            let is_deaf = Arc::new(AtomicBool::new(false));
            let hears = Arc::clone(&is_deaf);
            tokio::spawn(async move {
                let (mut chunk, mut tail) = ([0; 4096], Vec::new());
                while let Ok(count @ 1..) = from_client.read(&mut chunk).await {
                    if is_deaf.load(Ordering::SeqCst) {
                        continue;
                    }
                    let before = tail.len();
                    tail.extend_from_slice(&chunk[..count]);
                    let dot = tail.windows(5).position(|five| five == b"\r\n.\r\n");
                    let end = dot.map_or(tail.len(), |dot| dot + 5);
                    is_deaf.store(dot.is_some(), Ordering::SeqCst);
                    if to_server.write_all(&tail[before..end]).await.is_err() {
                        break;
                    }
                    let kept =
                        if dot.is_some() { tail.len() } else { tail.len().saturating_sub(4) };
                    tail.drain(..kept);
                }
            });
            tokio::spawn(async move {
                let mut chunk = [0; 4096];
                while let Ok(count @ 1..) = from_server.read(&mut chunk).await {
                    hears.store(false, Ordering::SeqCst);
                    if to_client.write_all(&chunk[..count]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_loses_what_follows_a_dot_is_asked_one_by_one_and_nobody_hears_twice() {
    let mut house = House::furnished(paced(2000, 200)).await;
    house.engine.relay.port = forgetful(house.sink.addr()).await.port();
    house.engine.relay.timeouts.mail = HumanDuration::from_secs(1);
    house.make_ready().await;
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    assert_eq!((report.totals.in_doubt, report.totals.in_flight), (0, 0));
    assert_eq!(house.taken().len() as u64, report.totals.told, "each of them once");
    let [journal] = &house.engine.journals().await.unwrap()[..] else { panic!("one life") };
    let again = journal.attempts - report.totals.told;
    let most = u64::from(house.engine.relay.connections);
    assert!((1..=most).contains(&again), "{again} were begun in vain");
}
