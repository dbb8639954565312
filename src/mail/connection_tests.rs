//! Dialogues with scripted servers over loopback.

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
    connection.transact(&envelope("ann@example.com"), &wire_form(MESSAGE).unwrap(), || Ok(())).await
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

#[tokio::test]
async fn a_refused_recipient_costs_a_lone_dot_and_the_connection_serves_the_next() {
    let script = [
        Hear("MAIL"),
        Hear("RCPT TO:<ann@"),
        Hear("DATA"),
        Say("250 ok\r\n550-5.1.1 <ann@example.com>\r\n550 5.1.1 unknown\r\n354 go on\r\n"),
        Hear(".\r\n"),
        Say("554 5.5.1 no valid recipients\r\n"),
        Hear("RSET"),
        Say("250 ok\r\n"),
        Hear("MAIL"),
        Hear("RCPT TO:<ann@"),
        Hear("DATA"),
        Say("250 ok\r\n250 ok\r\n354 go on\r\n"),
        Message,
        Say("250 ok\r\n"),
        Hear("QUIT"),
        Say("221 bye\r\n"),
    ];
    let (address, server) = serve(after_hello(PIPELINING, &script)).await;
    let mut connection = connect(settings(address)).await.unwrap();
    let end = send(&mut connection).await;
    let Transaction::Refused { phase, reply } = end else { panic!("{end:?}") };
    assert_eq!(ReplyClass::of(phase, &reply), ReplyClass::AddressDead);
    assert!(!format!("{reply:?}").contains("ann@"));
    assert!(connection.is_usable());
    assert!(matches!(send(&mut connection).await, Transaction::Accepted { .. }));
    assert_eq!(connection.messages(), 2);
    connection.close().await;
    assert_eq!(server.await.unwrap().last().unwrap(), "QUIT\r\n");
}

#[tokio::test]
async fn a_refusal_is_followed_by_rset_in_every_phase() {
    let reset = [Hear("RSET"), Say("250 ok\r\n")];
    let at_rcpt = [Hear("MAIL"), Say("250 ok\r\n"), Hear("RCPT"), Say("450 4.2.1 later\r\n")];
    let at_dot = [
        Hear("MAIL"),
        Say("250 ok\r\n"),
        Hear("RCPT"),
        Say("250 ok\r\n"),
        Hear("DATA"),
        Say("354 go on\r\n"),
        Message,
        Say("554 5.7.1 spam\r\n"),
    ];
    for (ehlo, script, expected) in [
        (PLAIN, &[Hear("MAIL"), Say("550 5.7.1 no\r\n")][..], Phase::Mail),
        (PLAIN, &at_rcpt[..], Phase::Rcpt),
        (PLAIN, &at_dot[..], Phase::Dot),
        (
            PIPELINING,
            &[
                Hear("MAIL"),
                Hear("RCPT"),
                Hear("DATA"),
                Say("452 4.3.1 full\r\n503 no\r\n503 no\r\n"),
            ][..],
            Phase::Mail,
        ),
        (
            PIPELINING,
            &[Hear("MAIL"), Hear("RCPT"), Hear("DATA"), Say("250 ok\r\n450 later\r\n503 no\r\n")][..],
            Phase::Rcpt,
        ),
    ] {
        let (end, usable, heard) = one(ehlo, &[script, &reset[..]].concat()).await;
        assert!(matches!(end, Transaction::Refused { phase, .. } if phase == expected), "{end:?}");
        assert!(usable, "{expected}");
        assert_eq!(heard.last().unwrap(), "RSET\r\n");
    }
}

#[tokio::test]
async fn a_cut_before_the_dot_and_one_after_it_are_told_apart() {
    let opened = [Hear("MAIL"), Hear("RCPT"), Hear("DATA")];
    let (end, usable, _) =
        one(PIPELINING, &[&opened[..], &[Say("250 ok\r\n250 ok\r\n")]].concat()).await;
    assert!(
        matches!(
            end,
            Transaction::Broken { phase: Phase::Data, after_dot: false, cause: BreakCause::Closed }
        ),
        "{end:?}"
    );
    assert!(!usable);
    for last in [&[][..], &[Say("250 cut in the mid")], &[Say("250-one of two\r\n")]] {
        let taken = [Say("250 ok\r\n250 ok\r\n354 go on\r\n"), Message];
        let (end, usable, _) = one(PIPELINING, &[&opened[..], &taken[..], last].concat()).await;
        assert!(
            matches!(
                end,
                Transaction::Broken {
                    phase: Phase::Dot,
                    after_dot: true,
                    cause: BreakCause::Closed
                }
            ),
            "{end:?}"
        );
        assert!(!usable);
    }
}

#[tokio::test]
async fn silence_is_a_timeout_of_its_own_phase() {
    let opened = [Hear("MAIL"), Hear("RCPT"), Hear("DATA")];
    let answered = [Say("250 ok\r\n250 ok\r\n354 go on\r\n"), Message];
    for (phase, script) in [
        (Phase::Mail, opened.to_vec()),
        (Phase::Data, [&opened[..], &[Say("250 ok\r\n250 ok\r\n")]].concat()),
        (Phase::Dot, [&opened[..], &answered[..]].concat()),
    ] {
        let (address, server) =
            serve(after_hello(PIPELINING, &[&script[..], &[Silence]].concat())).await;
        let mut settings = settings(address);
        let short = HumanDuration::from_millis(60);
        match phase {
            Phase::Mail => settings.timeouts.mail = short,
            Phase::Data => settings.timeouts.data = short,
            _ => settings.timeouts.dot = short,
        }
        let mut connection = connect(settings).await.unwrap();
        let end = send(&mut connection).await;
        let Transaction::Broken { phase: at, after_dot, cause: BreakCause::Timeout } = end else {
            panic!("{end:?}")
        };
        assert_eq!((at, after_dot), (phase, phase == Phase::Dot));
        assert!(!connection.is_usable());
        connection.close().await;
        assert_eq!(server.await.unwrap().last().unwrap(), "", "no QUIT after a break");
    }
}

#[tokio::test]
async fn a_positive_code_out_of_place_is_never_acceptance() {
    let opened = [Hear("MAIL"), Hear("RCPT"), Hear("DATA")];
    for (script, expected, doubt) in [
        (vec![Say("354 ok\r\n250 ok\r\n354 go\r\n")], Phase::Mail, false),
        (vec![Say("250 ok\r\n220 ok\r\n354 go\r\n")], Phase::Rcpt, false),
        (vec![Say("250 ok\r\n250 ok\r\n250 go\r\n")], Phase::Data, false),
        (vec![Say("250 ok\r\n250 ok\r\n354 go\r\n"), Message, Say("251 ok\r\n")], Phase::Dot, true),
        (vec![Say("250 ok\r\n250 ok\r\n354 go\r\n"), Message, Say("354 ok\r\n")], Phase::Dot, true),
        (
            vec![Say("250 ok\r\n250 ok\r\n354 go\r\n"), Message, Say("hello a@b.c\r\n")],
            Phase::Dot,
            true,
        ),
    ] {
        let (end, usable, _) = one(PIPELINING, &[&opened[..], &script[..]].concat()).await;
        let Transaction::Broken { phase, after_dot, cause: BreakCause::Garbage(words) } = &end
        else {
            panic!("{end:?}")
        };
        assert_eq!((*phase, *after_dot), (expected, doubt));
        assert!(!words.contains("a@b"), "{words}");
        assert!(!usable);
    }
}

#[tokio::test]
async fn a_server_one_answer_ahead_is_found_out_before_the_dot() {
    let script = [
        Hear("MAIL"),
        Hear("RCPT"),
        Hear("DATA"),
        Say("250 ok\r\n250 ok\r\n354 go on\r\n250 already queued\r\n"),
        Silence,
    ];
    let (end, usable, heard) = one(PIPELINING, &script).await;
    assert!(
        matches!(
            end,
            Transaction::Broken {
                phase: Phase::Data,
                after_dot: false,
                cause: BreakCause::Garbage(_)
            }
        ),
        "{end:?}"
    );
    assert!(!usable);
    assert_eq!(heard[3], "", "no message was written");
}

#[tokio::test]
async fn a_stray_answer_between_two_notices_ends_the_connection_before_the_next() {
    let script = [
        Hear("MAIL"),
        Hear("RCPT"),
        Hear("DATA"),
        Say("250 ok\r\n250 ok\r\n354 go on\r\n"),
        Message,
        Say("250 ok\r\n250 and again\r\n"),
        Silence,
    ];
    let (address, server) = serve(after_hello(PIPELINING, &script)).await;
    let mut connection = connect(settings(address)).await.unwrap();
    assert!(matches!(send(&mut connection).await, Transaction::Accepted { .. }));
    let end = send(&mut connection).await;
    assert!(
        matches!(
            end,
            Transaction::Broken {
                phase: Phase::Mail,
                after_dot: false,
                cause: BreakCause::Garbage(_)
            }
        ),
        "{end:?}"
    );
    assert!(!connection.is_usable() && !connection.still_open());
    drop(connection);
    assert_eq!(server.await.unwrap().last().unwrap(), "");
}

#[tokio::test]
async fn a_server_that_closed_while_idle_is_noticed() {
    let script = [
        Hear("MAIL"),
        Hear("RCPT"),
        Hear("DATA"),
        Say("250 ok\r\n250 ok\r\n354 go on\r\n"),
        Message,
        Say("250 ok\r\n421 4.4.2 idle too long\r\n"),
    ];
    let (address, server) = serve(after_hello(PIPELINING, &script)).await;
    let mut connection = connect(settings(address)).await.unwrap();
    assert!(matches!(send(&mut connection).await, Transaction::Accepted { .. }));
    server.await.unwrap();
    while connection.still_open() {
        tokio::task::yield_now().await;
    }
    let end = send(&mut connection).await;
    assert!(
        matches!(end, Transaction::Broken { after_dot: false, cause: BreakCause::Closed, .. }),
        "{end:?}"
    );
}

#[tokio::test]
async fn service_closing_is_a_refusal_that_ends_the_connection() {
    let script = [
        Hear("MAIL"),
        Hear("RCPT"),
        Hear("DATA"),
        Say("250 ok\r\n421 4.7.0 slow down\r\n"),
        Silence,
    ];
    let (end, usable, heard) = one(PIPELINING, &script).await;
    let Transaction::Refused { phase: Phase::Rcpt, reply } = end else { panic!("{end:?}") };
    assert_eq!(ReplyClass::of(Phase::Rcpt, &reply), ReplyClass::Policy);
    assert!(!usable);
    assert_eq!(heard[3], "", "neither RSET nor QUIT");
}

#[tokio::test]
async fn data_opened_for_a_taken_recipient_of_a_refused_mail_is_dropped_without_a_dot() {
    let script = [
        Hear("MAIL"),
        Hear("RCPT"),
        Hear("DATA"),
        Say("550 5.7.1 no\r\n250 ok\r\n354 go on\r\n"),
        Silence,
    ];
    let (end, usable, heard) = one(PIPELINING, &script).await;
    assert!(matches!(end, Transaction::Refused { phase: Phase::Mail, .. }), "{end:?}");
    assert!(!usable);
    assert_eq!(heard[3], "");
}

#[tokio::test]
async fn without_its_mark_no_byte_of_the_message_is_written() {
    let script = [
        Hear("MAIL"),
        Hear("RCPT"),
        Hear("DATA"),
        Say("250 ok\r\n250 ok\r\n354 go on\r\n"),
        Silence,
    ];
    let (address, server) = serve(after_hello(PIPELINING, &script)).await;
    let mut connection = connect(settings(address)).await.unwrap();
    let wire = wire_form(MESSAGE).unwrap();
    let full = || Err(io::Error::from(io::ErrorKind::StorageFull));
    let end = connection.transact(&envelope("ann@example.com"), &wire, full).await;
    assert!(
        matches!(
            end,
            Transaction::Broken { phase: Phase::Dot, after_dot: false, cause: BreakCause::Mark(_) }
        ),
        "{end:?}"
    );
    assert!(!connection.is_usable());
    connection.close().await;
    assert_eq!(server.await.unwrap().last().unwrap(), "");
}

#[tokio::test]
async fn a_transaction_dropped_half_way_leaves_no_usable_connection() {
    let (address, _server) = serve(after_hello(PIPELINING, &[Hear("MAIL"), Silence])).await;
    let mut connection = connect(settings(address)).await.unwrap();
    assert!(timeout(Duration::from_millis(60), send(&mut connection)).await.is_err());
    assert!(!connection.is_usable());
}

#[tokio::test]
async fn a_utf8_recipient_needs_a_server_that_offers_it() {
    let (address, server) = serve(after_hello(PIPELINING, &[Silence])).await;
    let mut connection = connect(settings(address)).await.unwrap();
    let wire = wire_form(MESSAGE).unwrap();
    let end = connection.transact(&envelope("émile@example.com"), &wire, || Ok(())).await;
    assert!(matches!(end, Transaction::NeedsSmtputf8));
    assert!(connection.is_usable());
    drop(connection);
    assert_eq!(server.await.unwrap().last().unwrap(), "", "the wire was not touched");

    let ehlo = "250-relay.example\r\n250 SMTPUTF8\r\n";
    let script = [
        Hear("MAIL FROM:<b@bounce.example> SMTPUTF8\r\n"),
        Say("450 later\r\n"),
        Hear("RSET"),
        Say("250\r\n"),
    ];
    let (address, server) = serve(after_hello(ehlo, &script)).await;
    let mut connection = connect(settings(address)).await.unwrap();
    let end = connection.transact(&envelope("émile@example.com"), &wire, || Ok(())).await;
    assert!(matches!(end, Transaction::Refused { phase: Phase::Mail, .. }), "{end:?}");
    server.await.unwrap();
}

#[tokio::test]
async fn every_way_not_to_be_let_in_is_told_by_its_phase() {
    let ehlo = [Say("220 hi\r\n"), Hear("EHLO")];
    for (script, phase, words) in [
        (vec![Say("554 5.7.1 go away\r\n")], Phase::Greeting, "554"),
        (vec![Say("421 busy\r\n")], Phase::Greeting, "421"),
        (vec![Say("SSH-2.0-x\r\n"), Silence], Phase::Greeting, "broke at greeting"),
        (vec![Say("250 hi\r\n"), Silence], Phase::Greeting, "broke at greeting"),
        (vec![Say("220 hi\r\n250 early\r\n"), Silence], Phase::Greeting, "broke at greeting"),
        (vec![], Phase::Greeting, "broke at greeting"),
        ([&ehlo[..], &[Say("550 no\r\n"), Hear("QUIT")]].concat(), Phase::Ehlo, "550"),
        (ehlo.to_vec(), Phase::Ehlo, "broke at ehlo"),
        (
            [&ehlo[..], &[Say("502 no\r\n"), Hear("HELO me"), Say("502 neither\r\n")]].concat(),
            Phase::Ehlo,
            "502 neither",
        ),
        ([&ehlo[..], &[Say("250 hi\r\n250 hi\r\n")]].concat(), Phase::Ehlo, "nobody asked for"),
        ([&ehlo[..], &[Say("250 hi\r\n421 bye\r\n")]].concat(), Phase::Ehlo, "closed"),
        ([&ehlo[..], &[Say("250-hi\r\n550 hi\r\n")]].concat(), Phase::Ehlo, "broke at ehlo"),
    ] {
        let (address, _server) = serve(script).await;
        let fault = connect(settings(address)).await.unwrap_err();
        assert_eq!(fault.phase(), phase, "{fault}");
        assert!(fault.to_string().contains(words), "{fault}");
    }
    let (address, _server) = serve(vec![Silence]).await;
    let mut silent = settings(address);
    silent.timeouts.greeting = HumanDuration::from_millis(60);
    let fault = connect(silent).await.unwrap_err();
    assert!(
        matches!(
            fault,
            ConnectFault::Broken { phase: Phase::Greeting, cause: BreakCause::Timeout, .. }
        ),
        "{fault:?}"
    );
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_and_a_relay_off_this_machine_are_faults() {
    let free = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let fault = connect(settings(address)).await.unwrap_err();
    assert!(
        matches!(
            fault,
            ConnectFault::Broken { phase: Phase::Connect, cause: BreakCause::Io(_), .. }
        ),
        "{fault:?}"
    );
    let mut abroad = settings(address);
    abroad.host = "192.0.2.1".into();
    let fault = connect(abroad).await.unwrap_err();
    assert!(matches!(fault, ConnectFault::NotLoopback { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_connection_is_spent_by_its_messages_or_by_lying_idle() {
    let script = [Hear("MAIL"), Say("450 later\r\n"), Hear("RSET"), Say("250 ok\r\n"), Silence];
    let (address, _server) = serve(after_hello(PLAIN, &script)).await;
    let mut once = settings(address);
    once.messages_per_connection = 1;
    let mut connection = connect(once).await.unwrap();
    assert!(!connection.is_spent());
    assert!(matches!(send(&mut connection).await, Transaction::Refused { .. }));
    assert!(connection.is_spent() && connection.is_usable());

    let (address, _server) = serve(after_hello(PLAIN, &[Silence])).await;
    let mut brief = settings(address);
    brief.idle_for = HumanDuration::from_secs(0);
    assert!(connect(brief).await.unwrap().is_spent());
}

#[tokio::test]
async fn a_connection_can_move_into_a_task() {
    let (address, _server) =
        serve(after_hello(PLAIN, &[Hear("MAIL"), Say("450 later\r\n"), Silence])).await;
    let mut connection = connect(settings(address)).await.unwrap();
    let task = tokio::spawn(async move {
        timeout(Duration::from_millis(300), send(&mut connection)).await.is_err()
    });
    assert!(task.await.unwrap(), "RSET stays unanswered");
}
