//! The next notice begun with the final dot of the one before (RFC 2920 §3.1).

use super::*;

const BOTH: [Act; 7] = [
    Hear("MAIL FROM:<b@bounce.example> SIZE=22\r\n"),
    Hear("RCPT TO:<ann@example.com>\r\n"),
    Hear("DATA"),
    Say("250 ok\r\n250 ok\r\n354 go on\r\n"),
    Message,
    Hear("MAIL FROM:<b@bounce.example> SIZE=22\r\n"),
    Hear("RCPT TO:<bob@example.com>\r\n"),
];

fn wire() -> Wire {
    wire_form(MESSAGE).unwrap()
}

/// Ann's notice, with Bob's begun with its dot, if there is room.
async fn ann_then_bob(connection: &mut Connection) -> (Transaction, bool) {
    let mut had_room = false;
    let before_dot = |room: Option<Capabilities>| {
        had_room = room.is_some();
        Ok(room.map(|offered| envelope("bob@example.com").offer(offered, wire().message_size())))
    };
    let end = connection.transact_ahead(&envelope("ann@example.com"), wire(), before_dot).await;
    (end, had_room)
}

async fn bob(connection: &mut Connection) -> Transaction {
    connection.transact(&envelope("bob@example.com"), wire(), || Ok(())).await
}

/// The ends of both notices against `script`, which follows the DATA of Bob's; whether the connection can be
/// used again, and what the server read after Ann's message.
async fn both(script: &[Act]) -> (Transaction, Transaction, bool, Vec<String>) {
    let script = [&BOTH[..], &[Hear("DATA")], script].concat();
    let (address, server) = serve(after_hello(PIPELINING, &script)).await;
    let mut connection = connect(settings(address)).await.unwrap();
    let (first, had_room) = ann_then_bob(&mut connection).await;
    assert!(had_room);
    let second = bob(&mut connection).await;
    let usable = connection.is_usable();
    connection.close().await;
    (first, second, usable, server.await.unwrap().split_off(8))
}

#[tokio::test]
async fn a_notice_costs_one_write_where_another_follows_it() {
    let script = [
        &BOTH[..],
        &[
            Hear("DATA"),
            Say("250 2.0.0 Ok: queued as 1\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
            Message,
            Say("250 2.0.0 Ok: queued as 2\r\n"),
            Silence,
        ],
    ]
    .concat();
    let (address, _server) = serve(after_hello(PIPELINING, &script)).await;
    let writes = Writes::default();
    let stream = Recording(NodelayStream::connect(address).await.unwrap(), writes.clone());
    let mut connection =
        Connection::over(Box::new(stream), address, &Relay::new(settings(address))).await.unwrap();
    for (end, id) in
        [(ann_then_bob(&mut connection).await.0, "1"), (bob(&mut connection).await, "2")]
    {
        let Transaction::Accepted { reply } = end else { panic!("{end:?}") };
        assert_eq!(reply.queue_id(), Some(id));
    }
    assert!(connection.still_open());
    let written = writes.lock().unwrap();
    let written: Vec<&str> =
        written[1..].iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect();
    let group = |to: &str| {
        format!("MAIL FROM:<b@bounce.example> SIZE=22\r\nRCPT TO:<{to}@example.com>\r\nDATA\r\n")
    };
    assert_eq!(written, [&group("ann"), &(STUFFED.to_owned() + &group("bob")), STUFFED]);
}

#[tokio::test]
async fn a_refusal_at_the_dot_is_that_notices_alone() {
    let (first, second, usable, heard) = both(&[
        Say("550 5.7.1 no\r\n250 ok\r\n250 ok\r\n354 go on\r\n"),
        Message,
        Say("250 2.0.0 Ok: queued as 2\r\n"),
        Hear("QUIT"),
    ])
    .await;
    assert!(matches!(first, Transaction::Refused { phase: Phase::Dot, .. }), "{first:?}");
    assert!(matches!(second, Transaction::Accepted { .. }), "{second:?}");
    assert!(usable);
    assert_eq!(heard[0], STUFFED, "no RSET in between");
}

#[tokio::test]
async fn a_next_recipient_who_is_refused_is_reset_as_ever() {
    let (first, second, usable, heard) = both(&[
        Say("250 2.0.0 Ok\r\n250 ok\r\n550 5.1.1 unknown\r\n554 no valid recipients\r\n"),
        Hear("RSET"),
        Say("250 ok\r\n"),
        Hear("QUIT"),
    ])
    .await;
    assert!(matches!(first, Transaction::Accepted { .. }), "{first:?}");
    assert!(matches!(second, Transaction::Refused { phase: Phase::Rcpt, .. }), "{second:?}");
    assert!(usable);
    assert!(heard[0].starts_with("RSET"), "{heard:?}");
}

#[tokio::test]
async fn a_reply_that_nobody_asked_for_keeps_the_next_message_back() {
    let (first, second, usable, heard) =
        both(&[Say("250 2.0.0 Ok\r\n250 stray\r\n250 ok\r\n250 ok\r\n354 go on\r\n"), Silence])
            .await;
    assert!(matches!(first, Transaction::Accepted { .. }), "{first:?}");
    assert!(
        matches!(second, Transaction::Broken { phase: Phase::Data, after_dot: false, .. }),
        "{second:?}"
    );
    assert!(!usable);
    assert_eq!(heard, [""], "no message");
}

#[tokio::test]
async fn a_connection_that_is_cut_after_the_dot_says_nothing_of_the_next_notice() {
    let (first, second, usable, _) = both(&[Say("250 2.0.0 Ok\r\n")]).await;
    assert!(matches!(first, Transaction::Accepted { .. }), "{first:?}");
    assert!(
        matches!(second, Transaction::Broken { phase: Phase::Mail, after_dot: false, .. }),
        "{second:?}"
    );
    assert!(!usable);
}

/// A connection on which Ann's notice was accepted and Bob's waits for its message, and the server.
async fn bob_begun() -> (Connection, tokio::task::JoinHandle<Vec<String>>) {
    let script = [&BOTH[..], &[Hear("DATA"), Say("250 Ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")]];
    let (address, server) = serve(after_hello(PIPELINING, &script.concat())).await;
    let mut connection = connect(settings(address)).await.unwrap();
    assert!(matches!(ann_then_bob(&mut connection).await.0, Transaction::Accepted { .. }));
    (connection, server)
}

#[tokio::test]
async fn a_message_never_goes_to_whom_another_was_begun_for() {
    let (mut connection, server) = bob_begun().await;
    let end = send(&mut connection).await;
    assert!(matches!(end, Transaction::Broken { phase: Phase::Mail, .. }), "{end:?}");
    assert!(!connection.is_usable());
    drop(connection);
    assert_eq!(server.await.unwrap().len(), 8, "nothing was written");
}

#[tokio::test]
async fn a_notice_that_was_begun_can_be_kept_back_before_its_own_dot() {
    let (mut connection, server) = bob_begun().await;
    let withheld = || Err(io::ErrorKind::Interrupted.into());
    let end = connection.transact(&envelope("bob@example.com"), wire(), withheld).await;
    assert!(
        matches!(end, Transaction::Broken { phase: Phase::Dot, after_dot: false, .. }),
        "{end:?}"
    );
    connection.close().await;
    assert_eq!(server.await.unwrap().len(), 8, "neither message nor QUIT");
}

#[tokio::test]
async fn nothing_is_begun_ahead_without_pipelining_or_on_a_connection_that_ends() {
    let alone = [&ONE_BY_ONE[..], &[Say("250 2.0.0 Ok\r\n")]].concat();
    let (address, _server) = serve(after_hello(PLAIN, &alone)).await;
    let mut connection = connect(settings(address)).await.unwrap();
    let (end, had_room) = ann_then_bob(&mut connection).await;
    assert!(matches!(end, Transaction::Accepted { .. }) && !had_room, "{end:?}");

    let last = [&BOTH[..5], &[Say("250 2.0.0 Ok\r\n")]].concat();
    let (address, _server) = serve(after_hello(PIPELINING, &last)).await;
    let mut connection =
        connect(RelaySettings { messages_per_connection: 1, ..settings(address) }).await.unwrap();
    let (end, had_room) = ann_then_bob(&mut connection).await;
    assert!(matches!(end, Transaction::Accepted { .. }) && !had_room, "{end:?}");
    assert!(connection.is_spent());
}
