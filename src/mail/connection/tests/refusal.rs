//! What a relay that refuses costs: the notice, the connection, or neither.

use super::*;

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
    let at_dot = [&ONE_BY_ONE[..], &[Say("554 5.7.1 spam\r\n")]].concat();
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
async fn a_utf8_recipient_needs_a_server_that_offers_it() {
    let (address, server) = serve(after_hello(PIPELINING, &[Silence])).await;
    let mut connection = connect(settings(address)).await.unwrap();
    let wire = wire_form(MESSAGE).unwrap();
    let end = connection.transact(&envelope("émile@example.com"), wire.clone(), || Ok(())).await;
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
    let end = connection.transact(&envelope("émile@example.com"), wire, || Ok(())).await;
    assert!(matches!(end, Transaction::Refused { phase: Phase::Mail, .. }), "{end:?}");
    server.await.unwrap();
}
