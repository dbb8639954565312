//! Limits, greylists, EHLO in other forms, and replies by address.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::*;
use super::client::{PATIENCE, Wire};
use super::{faults, loopback};

/// Replies of real providers, one for each row of the research they come from.
const PROVIDERS: &str = include_str!("../../../tests/replies/providers.tsv");

#[tokio::test]
async fn a_crowded_sink_turns_further_connections_away() {
    for (limit, said) in [("2", "421 4.7.0 Too many connections\r\n"), ("2:cut", "")] {
        let max_connections = Some(limit.parse().unwrap());
        let sink = Sink::start(Settings { max_connections, ..loopback() }).await.unwrap();
        let (first, _second) = (Wire::greeted(&sink).await, Wire::greeted(&sink).await);
        for _ in 0..2 {
            let rest = Wire::connect(&sink).await.rest().await;
            assert_eq!(String::from_utf8(rest).unwrap(), said);
        }
        drop(first);
        let again = async {
            while !Wire::connect(&sink).await.reply().await.starts_with("220 ") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, again).await.expect("a seat is free again");
        let counts = sink.counts();
        assert!(counts.connections_refused >= 2 && counts.connections >= 5, "{counts:?}");
    }
}

#[tokio::test]
async fn a_connection_may_send_its_number_of_messages() {
    let settings = Settings { messages_per_connection: Some(2), ..loopback() };
    let sink = Sink::start(settings).await.unwrap();
    for _ in 0..2 {
        let mut wire = Wire::greeted(&sink).await;
        assert!(wire.send("b@example.org").await.starts_with("250"));
        assert!(wire.send("b@example.org").await.starts_with("250"));
        assert!(wire.send("b@example.org").await.starts_with("421 4.7.0 Too many messages"));
        assert_eq!(wire.rest().await, b"");
    }
    assert_eq!((sink.counts().accepted, sink.counts().refused_limit), (4, 2));
}

#[tokio::test]
async fn a_greylisted_recipient_is_taken_later() {
    let greylist = Some("250ms".parse().unwrap());
    let sink = Sink::start(Settings { greylist, ..loopback() }).await.unwrap();
    let mut wire = Wire::greeted(&sink).await;
    assert!(wire.send("b@example.org").await.starts_with("451 4.7.1 Greylisted"));
    wire.ask("RSET\r\n").await;
    tokio::time::sleep(Duration::from_millis(260)).await;
    assert!(wire.send("b@example.org").await.starts_with("250"));
    assert!(wire.send("c@example.org").await.starts_with("451 4.7.1 Greylisted"));
    assert_eq!((sink.counts().greylisted, sink.counts().accepted), (2, 1));
}

#[tokio::test]
async fn a_greylist_spends_no_attempt_of_a_fault() {
    let (greylist, faults) = (Some("1h".parse().unwrap()), faults(&["rcpt:550:times=1"]));
    let sink = Sink::start(Settings { faults, greylist, ..loopback() }).await.unwrap();
    let mut wire = Wire::greeted(&sink).await;
    assert!(wire.send("b@example.org").await.starts_with("451"));
    assert_eq!(sink.counts().refused_rcpt, 0);
}

#[tokio::test]
async fn what_is_not_offered_is_refused_when_used() {
    let settings = Settings { offer: Some(Vec::new()), ..loopback() };
    let sink = Sink::start(settings).await.unwrap();
    let mut wire = Wire::connect(&sink).await;
    wire.reply().await;
    assert_eq!(wire.ask("EHLO me\r\n").await, "250 localhost at your service\r\n");
    for (line, said) in [
        ("MAIL FROM:<a@n.test> SIZE=10", "555 5.5.4"),
        ("MAIL FROM:<a@n.test> BODY=8BITMIME", "555 5.5.4"),
        ("MAIL FROM:<a@n.test> SMTPUTF8", "555 5.5.4"),
        ("MAIL FROM:<a@n.test> RET=HDRS", "555 5.5.4"),
        ("MAIL FROM:<a@n.test> ENVID=x", "555 5.5.4"),
        ("STARTTLS", "502 5.5.1"),
        ("AUTH PLAIN AAAA", "502 5.5.1"),
        ("MAIL FROM:<a@n.test>", "250 2.1.0"),
        ("RCPT TO:<b@example.org> NOTIFY=NEVER", "555 5.5.4"),
        ("RCPT TO:<b@example.org> ORCPT=rfc822;b@example.org", "555 5.5.4"),
        ("RCPT TO:<b@example.org>", "250 2.1.5"),
        ("DATA", "354"),
        ("S: x\r\n\r\nj\u{fc}rgen\r\n.", "554 5.6.3"),
    ] {
        let heard = wire.ask(&format!("{line}\r\n")).await;
        assert!(heard.starts_with(said), "{line:?}: {heard}");
    }
    assert_eq!((sink.counts().pipelined, sink.counts().taken()), (0, 0));
}

#[tokio::test]
async fn pipelining_without_leave_is_answered_and_noted() {
    let settings = Settings { offer: Some(vec![Extension::Size]), ..loopback() };
    let sink = Sink::start(settings).await.unwrap();
    let mut wire = Wire::greeted(&sink).await;
    wire.say("MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n").await;
    for due in ["250", "250", "354"] {
        assert!(wire.reply().await.starts_with(due));
    }
    assert!(wire.ask("hi\r\n.\r\n").await.starts_with("250"));
    assert_eq!((sink.counts().pipelined, sink.counts().protocol_errors), (2, 2));
}

#[tokio::test]
async fn an_ehlo_refused_as_unknown_leaves_helo() {
    let settings = Settings { faults: faults(&["ehlo:502"]), ..loopback() };
    let sink = Sink::start(settings).await.unwrap();
    let mut wire = Wire::connect(&sink).await;
    wire.reply().await;
    assert!(wire.ask("EHLO me\r\n").await.starts_with("502 5.5.1"));
    assert!(wire.ask("HELO me\r\n").await.starts_with("250 "));
    assert!(wire.send("b@example.org").await.starts_with("250"));
}

#[tokio::test]
async fn an_ehlo_of_hundreds_of_unknown_lines_is_one_reply() {
    let ehlo = "unknown=400,lower-case".parse().unwrap();
    let sink = Sink::start(Settings { ehlo, ..loopback() }).await.unwrap();
    let mut wire = Wire::connect(&sink).await;
    wire.reply().await;
    let said = wire.ask("EHLO me\r\n").await;
    assert_eq!(said.lines().count(), 407);
    assert!(said.contains("\r\n250-pipelining\r\n250-size 33554432\r\n"), "{said}");
    assert!(wire.ask("NOOP\r\n").await.starts_with("250 "));
}

#[tokio::test]
async fn a_reply_that_is_said_in_place_of_another_does_the_command() {
    let replies = ReplyScript::parse(
        "*\tgreeting\t220-mx.provider.test\\n220 ESMTP ready - gsmtp\n\
         *\tdot\t250 OK 1353 a1-2003.42 - gsmtp\n*\tquit\t221 closing connection - gsmtp\n",
    );
    let sink = Sink::start(Settings { replies: replies.unwrap(), ..loopback() }).await.unwrap();
    let mut wire = Wire::connect(&sink).await;
    assert_eq!(wire.reply().await, "220-mx.provider.test\r\n220 ESMTP ready - gsmtp\r\n");
    wire.ask("EHLO me\r\n").await;
    assert_eq!(wire.send("b@example.org").await, "250 OK 1353 a1-2003.42 - gsmtp\r\n");
    assert_eq!(wire.ask("QUIT\r\n").await, "221 closing connection - gsmtp\r\n");
    assert_eq!(sink.counts().accepted, 1);
}

/// Each line of the providers' replies, said word for word to the recipient it names.
#[tokio::test]
async fn every_reply_of_real_providers_is_replayed_to_its_recipient() {
    let replies = ReplyScript::parse(PROVIDERS).unwrap();
    let faults = faults(&["rcpt:550"]);
    let sink = Sink::start(Settings { faults, replies, ..loopback() }).await.unwrap();
    let mut heard = BTreeSet::new();
    let lines = PROVIDERS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let [address, _phase, reply] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        let mut wire = Wire::greeted(&sink).await;
        let said = wire.send(&address.replace('*', "example.org")).await;
        assert_eq!(said, format!("{}\r\n", reply.replace("\\n", "\r\n")), "{address}");
        assert!(heard.insert(address), "{address} stands twice");
    }
    assert!(heard.len() >= 30, "{}", heard.len());
    let mut wire = Wire::greeted(&sink).await;
    assert!(wire.send("nobody-named@example.org").await.starts_with("550 5.1.1"));
}
