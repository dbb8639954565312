//! How long one message takes on one connection to a sink on this machine that answers at once.
//!
//! Run with `scripts/bench latency`. Without `TCP_NODELAY` it would be about 42 ms.

use std::io::Write as _;
use std::time::Instant;

use forthwith::mail::connection::Connection;
use forthwith::mail::envelope::Envelope;
use forthwith::mail::relay::Relay;
use forthwith::mail::settings::RelaySettings;
use forthwith::mail::wire::wire_form;
use forthwith::sink::{Settings, Sink};

const MESSAGES: usize = 2_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut times = runtime.block_on(measure());
    times.sort_unstable();
    let at = |hundredths: usize| times[(times.len() - 1) * hundredths / 100].as_secs_f64() * 1e3;
    let text = format!(
        "{MESSAGES} messages of 10 KB, one connection: median {:.3} ms, p99 {:.3} ms, longest {:.3} ms\n",
        at(50),
        at(99),
        at(100)
    );
    std::io::stdout().write_all(text.as_bytes()).expect("stdout");
}

async fn measure() -> Vec<std::time::Duration> {
    let sink = Sink::start(Settings::counting(([127, 0, 0, 1], 0).into())).await.expect("a sink");
    let hello = "localhost".to_owned().try_into().expect("a name");
    let mut relay = RelaySettings::new("127.0.0.1", sink.addr().port(), hello);
    relay.messages_per_connection = u32::MAX;
    let mut connection = Connection::connect(&Relay::new(relay)).await.expect("a connection");
    let envelope = Envelope {
        from: Some("b@bounce.example".parse().expect("an address")),
        to: "ann@mail.example".parse().expect("an address"),
        report: None,
    };
    let line = format!("{}\r\n", "x".repeat(74));
    let message = format!("Subject: latency\r\n\r\n{}", line.repeat(10_240 / line.len()));
    let wire = wire_form(message.as_bytes()).expect("a message");
    let mut times = Vec::with_capacity(MESSAGES);
    for _ in 0..MESSAGES {
        let began = Instant::now();
        let end = connection.transact(&envelope, wire.clone(), || Ok(())).await;
        times.push(began.elapsed());
        assert!(
            matches!(end, forthwith::mail::transaction::Transaction::Accepted { .. }),
            "{end:?}"
        );
    }
    connection.close().await;
    sink.stop().await;
    times
}
