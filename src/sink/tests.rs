//! A whole sink over loopback.

mod client;
mod faults;
mod manners;
mod record;
mod relay;

use std::path::Path;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::*;

const BODY: &str =
    "Message-ID: <m1@example.net>\r\n\r\n..dot\r\nlow\n.\nhigh\r\n.\r\r\nend\r\n\r\n.\r\n";
const PLAIN: &str = "Message-ID: <m1@example.net>\r\n\r\n.dot\r\nlow\n.\nhigh\r\n\r\r\nend\r\n\r\n";

fn loopback() -> Settings {
    Settings::counting("127.0.0.1:0".parse().unwrap())
}

fn faults(rules: &[&str]) -> FaultRules {
    rules.iter().map(|rule| rule.parse().unwrap()).collect()
}

struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(sink: &Sink) -> Self {
        let mut client = Self(BufReader::new(TcpStream::connect(sink.addr()).await.unwrap()));
        client.0.get_ref().set_nodelay(true).unwrap();
        assert!(client.hear().await.starts_with("220 "));
        client.say("HELO me\r\n").await;
        assert!(client.hear().await.starts_with("250 "));
        client
    }

    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next line; empty once the sink has closed.
    async fn hear(&mut self) -> String {
        let mut line = String::new();
        let _closed = self.0.read_line(&mut line).await;
        line.trim_end().to_owned()
    }

    /// One envelope up to the reply to DATA.
    async fn envelope(&mut self, to: &str) -> Vec<String> {
        self.say(&format!("MAIL FROM:<a@example.net>\r\nRCPT TO:<{to}>\r\nDATA\r\n")).await;
        let mut said = Vec::new();
        for _ in 0..3 {
            said.push(self.hear().await);
        }
        said
    }

    /// The code of the reply to a whole message, or of its refused recipient.
    async fn send(&mut self, to: &str) -> String {
        let said = self.envelope(to).await;
        if !said[2].starts_with("354") {
            self.say("RSET\r\n").await;
            self.hear().await;
            return said[1][..3].to_owned();
        }
        self.say(BODY).await;
        self.hear().await.chars().take(3).collect()
    }
}

fn stored(root: &Path) -> Vec<String> {
    let files = std::fs::read_dir(root.join("new")).unwrap();
    files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect()
}

#[tokio::test]
async fn a_pipelined_dialogue_is_answered_in_order_over_the_wire() {
    let sink = Sink::start(loopback()).await.unwrap();
    let mut client = Client::connect(&sink).await;
    client
        .say(&format!(
            "MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<>\r\nDATA\r\n{BODY}\
             MAIL FROM:<a@example.net>\r\nQUIT\r\n"
        ))
        .await;
    let mut said = String::new();
    client.0.read_to_string(&mut said).await.unwrap();
    let codes: Vec<&str> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["250", "250", "501", "354", "250", "250", "221"]);
    assert!(said.contains("\r\n250 2.0.0 Ok: queued as "), "{said}");
    let counts = sink.counts();
    assert_eq!((counts.connections, counts.accepted, counts.recipients), (1, 1, 1));
    assert_eq!(counts.octets, PLAIN.len() as u64);
    assert_eq!((counts.protocol_errors, counts.taken()), (1, 1));
    sink.stop().await;
}

#[tokio::test]
async fn a_body_split_at_every_octet_arrives_whole() {
    let root = tempfile::tempdir().unwrap();
    let store = MailStore::Maildir(root.path().into());
    let sink = Sink::start(Settings { store, ..loopback() }).await.unwrap();
    let mut client = Client::connect(&sink).await;
    for split in 0..=BODY.len() {
        client.envelope("b@example.org").await;
        client.say(&BODY[..split]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        client.say(&BODY[split..]).await;
        let said = client.hear().await;
        let id = said.strip_prefix("250 2.0.0 Ok: queued as ").unwrap();
        // Before the 250 was heard, the mail was in new/ already.
        let file = root.path().join(format!("new/{id}.1.sink"));
        let text = std::fs::read_to_string(file).unwrap();
        let head = format!("Delivered-To: b@example.org\r\nX-Sink-Queue-Id: {id}\r\n");
        assert!(
            text.starts_with("Return-Path: <a@example.net>\r\nX-Original-To: b@example.org\r\n")
        );
        assert_eq!(text.split_once(&head).unwrap().1, PLAIN, "split at {split}");
    }
    let record = std::fs::read_to_string(root.path().join(ACCEPTED_LOG)).unwrap();
    assert_eq!(record.lines().count(), BODY.len() + 1);
    assert!(record.lines().all(|line| line.ends_with("\tb@example.org\t<m1@example.net>")));
    sink.stop().await;
}

#[tokio::test]
async fn a_mail_dropped_after_its_dot_lies_in_the_maildir() {
    let root = tempfile::tempdir().unwrap();
    let store = MailStore::Maildir(root.path().into());
    let faults = faults(&["drop-after-dot:times=1"]);
    let sink = Sink::start(Settings { store, faults, ..loopback() }).await.unwrap();
    assert_eq!(Client::connect(&sink).await.send("b@example.org").await, "");
    assert!(stored(root.path())[0].ends_with(PLAIN));
    assert_eq!((sink.counts().accepted, sink.counts().dropped_after_dot), (0, 1));
    assert_eq!(Client::connect(&sink).await.send("b@example.org").await, "250");
    let record = std::fs::read_to_string(root.path().join(ACCEPTED_LOG)).unwrap();
    assert_eq!((record.lines().count(), stored(root.path()).len()), (2, 2));
    assert_eq!(sink.counts().taken(), 2);
}

#[tokio::test]
async fn a_mail_dropped_before_its_dot_or_refused_at_it_is_not_stored() {
    let root = tempfile::tempdir().unwrap();
    let store = MailStore::Maildir(root.path().into());
    let faults = faults(&["drop-before-dot:to=b@*", "dot:552:to=c@*", "dot:421:to=d@*"]);
    let sink = Sink::start(Settings { store, faults, ..loopback() }).await.unwrap();
    for (to, said) in [("b@example.org", ""), ("c@example.org", "552"), ("d@example.org", "421")] {
        let mut client = Client::connect(&sink).await;
        client.envelope(to).await;
        client.say("Subject: x\r\n\r\n").await;
        if said.is_empty() {
            assert_eq!(client.hear().await, "");
        } else {
            client.say("hi\r\n.\r\n").await;
            assert_eq!(client.hear().await[..3], *said);
        }
    }
    assert_eq!(stored(root.path()), [""; 0]);
    let counts = sink.counts();
    assert_eq!((counts.dropped_before_dot, counts.refused_dot, counts.taken()), (1, 2, 0));
}

#[tokio::test]
async fn a_body_without_its_dot_is_no_mail() {
    let sink = Sink::start(loopback()).await.unwrap();
    let mut client = Client::connect(&sink).await;
    client.envelope("b@example.org").await;
    client.say("Subject: x\r\n\r\nhi\r\n.").await;
    drop(client);
    // Serving the next client tells that the sink lives on; stopping waits for the first session.
    assert_eq!(Client::connect(&sink).await.send("c@example.org").await, "250");
    let shared = Arc::clone(&sink.shared);
    sink.stop().await;
    assert_eq!(shared.conduct.tally.counts().taken(), 1);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_faults_over_the_wire() {
    async fn fates(seed: u64) -> Vec<String> {
        let faults = faults(&["rcpt:550:0.2", "dot:451:share=0.2:times=1"]);
        let sink = Sink::start(Settings { faults, seed, ..loopback() }).await.unwrap();
        let mut client = Client::connect(&sink).await;
        let mut fates = Vec::new();
        for attempt in 0..120 {
            fates.push(client.send(&format!("p{}@example.org", attempt % 60)).await);
        }
        fates
    }
    let first = fates(5).await;
    assert_eq!(first, fates(5).await);
    assert_ne!(first, fates(6).await);
    for code in ["250", "451", "550"] {
        assert!(first.iter().any(|said| said == code), "{code}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_loopback_is_refused() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:25", "[::ffff:192.0.2.1]:25"] {
        let refused = Sink::start(Settings::counting(address.parse().unwrap())).await.unwrap_err();
        assert!(matches!(refused, SinkError::NotLoopback { .. }), "{address}");
        assert!(refused.to_string().contains("hint: listen on 127.0.0.1"));
    }
}

#[tokio::test]
async fn a_reply_to_the_dot_waits_but_the_mail_is_counted_at_once() {
    let dot_delay = Duration::from_millis(500);
    let sink = Sink::start(Settings { dot_delay, ..loopback() }).await.unwrap();
    let mut client = Client::connect(&sink).await;
    client.envelope("b@example.org").await;
    let begun = std::time::Instant::now();
    client.say(BODY).await;
    while sink.counts().accepted == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(begun.elapsed() < dot_delay);
    assert!(client.hear().await.starts_with("250 "));
    assert!(begun.elapsed() >= dot_delay);
}

#[tokio::test]
async fn stopping_says_421_to_idle_sessions_and_frees_the_port() {
    let sink = Sink::start(loopback()).await.unwrap();
    let mut client = Client::connect(&sink).await;
    let addr = sink.addr();
    sink.stop().await;
    assert!(client.hear().await.starts_with("421 4.3.2 "));
    assert_eq!(client.hear().await, "");
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn many_connections_at_once_lose_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = MailStore::Maildir(root.path().into());
    let sink = Arc::new(Sink::start(Settings { store, ..loopback() }).await.unwrap());
    let clients: Vec<_> = (0..20)
        .map(|number| {
            let sink = Arc::clone(&sink);
            tokio::spawn(async move {
                let mut client = Client::connect(&sink).await;
                for mail in 0..10 {
                    let to = format!("p{number}.{mail}@example.org");
                    assert_eq!(client.send(&to).await, "250");
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let record = std::fs::read_to_string(root.path().join(ACCEPTED_LOG)).unwrap();
    let ids: std::collections::HashSet<&str> =
        record.lines().filter_map(|line| line.split('\t').next()).collect();
    assert_eq!((ids.len(), stored(root.path()).len()), (200, 200));
    assert_eq!(sink.counts().accepted, 200);
}
