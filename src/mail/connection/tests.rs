//! Dialogues with scripted servers over loopback.

mod ahead;
mod broken;
mod life;
mod refusal;

use super::*;
use crate::domain::duration::HumanDuration;
use crate::domain::reply::ReplyClass;
use crate::mail::scripted::Act::{self, Hear, Message, Say, Silence};
use crate::mail::scripted::{Recording, Writes, serve};
use crate::mail::settings::HelloName;
use crate::mail::wire::wire_form;

const PIPELINING: &str = "250-relay.example\r\n250-PIPELINING\r\n250-SIZE 10000000\r\n250 DSN\r\n";
const PLAIN: &str = "250 relay.example\r\n";
const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.hello\r\n";
const STUFFED: &str = "Subject: x\r\n\r\n..hello\r\n.\r\n";

/// A transaction up to its final dot with an answer to each command.
const ONE_BY_ONE: [Act; 7] = [
    Hear("MAIL"),
    Say("250 ok\r\n"),
    Hear("RCPT"),
    Say("250 ok\r\n"),
    Hear("DATA"),
    Say("354 go on\r\n"),
    Message,
];

/// Greeting and both EHLOs, then `script`.
fn after_hello(ehlo: &'static str, script: &[Act]) -> Vec<Act> {
    let hello = [Say("220 relay.example\r\n"), Hear("EHLO me.example"), Say(ehlo)];
    [&hello[..], script].concat()
}

fn settings(address: SocketAddr) -> RelaySettings {
    let hello = HelloName::try_from("me.example".to_owned()).unwrap();
    let mut settings = RelaySettings::new("127.0.0.1", address.port(), hello);
    let bound = HumanDuration::from_secs(20);
    settings.timeouts = Timeouts {
        connect: bound,
        greeting: bound,
        ehlo: bound,
        tls: bound,
        auth: bound,
        mail: bound,
        rcpt: bound,
        data: bound,
        dot: bound,
    };
    settings.loopback_only = true;
    settings
}

fn envelope(to: &str) -> Envelope {
    Envelope {
        from: Some("b@bounce.example".parse().unwrap()),
        to: to.parse().unwrap(),
        report: None,
    }
}

async fn connect(settings: RelaySettings) -> Result<Connection, ConnectFault> {
    Connection::connect(&Relay::new(settings)).await
}

async fn send(connection: &mut Connection) -> Transaction {
    connection.transact(&envelope("ann@example.com"), wire_form(MESSAGE).unwrap(), || Ok(())).await
}

/// Runs one notice against `script`, which follows the EHLOs; gives back its end, whether the
/// connection can be used again, and what the server read after the EHLOs.
async fn one(ehlo: &'static str, script: &[Act]) -> (Transaction, bool, Vec<String>) {
    let (address, server) = serve(after_hello(ehlo, script)).await;
    let mut connection = connect(settings(address)).await.unwrap();
    let end = send(&mut connection).await;
    let usable = connection.is_usable();
    drop(connection);
    (end, usable, server.await.unwrap().split_off(1))
}

#[tokio::test]
async fn commands_are_one_write_and_message_with_dot_is_another() {
    let script = [
        Hear("MAIL"),
        Hear("RCPT"),
        Hear("DATA"),
        Say("250 ok\r\n250 ok\r\n354 go on\r\n"),
        Message,
        Say("250 2.0.0 Ok: queued as 4Q\r\n"),
        Silence,
    ];
    let (address, server) = serve(after_hello(PIPELINING, &script)).await;
    let writes = Writes::default();
    let stream = Recording(NodelayStream::connect(address).await.unwrap(), writes.clone());
    let mut connection =
        Connection::over(Box::new(stream), address, &Relay::new(settings(address))).await.unwrap();
    let Transaction::Accepted { reply } = send(&mut connection).await else {
        panic!("not accepted")
    };
    assert_eq!(reply.queue_id(), Some("4Q"));
    assert!(connection.still_open());
    drop(connection);
    let written: Vec<String> = writes
        .lock()
        .unwrap()
        .iter()
        .map(|bytes| String::from_utf8(bytes.clone()).unwrap())
        .collect();
    assert_eq!(
        written[1..],
        [
            "MAIL FROM:<b@bounce.example> SIZE=22\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n"
                .to_owned(),
            STUFFED.to_owned(),
        ]
    );
    assert_eq!(server.await.unwrap()[4], STUFFED);
}

#[tokio::test]
async fn without_pipelining_every_command_waits_for_its_answer() {
    let script = [
        Hear("MAIL FROM:<b@bounce.example>\r\n"),
        Say("250\r\n"),
        Hear("RCPT"),
        Say("251 will forward\r\n"),
        Hear("DATA"),
        Say("354 go on\n"),
        Message,
        Say("250 OK id=1rX-1\r\n"),
    ];
    let (end, usable, heard) = one(PLAIN, &script).await;
    let Transaction::Accepted { reply } = end else { panic!("{end:?}") };
    assert_eq!(reply.queue_id(), Some("1rX-1"));
    assert!(usable);
    assert_eq!(heard[3], STUFFED);
}
