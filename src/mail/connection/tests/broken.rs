//! Breaks, before the final dot and after it.

use super::*;

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
    let end = connection.transact(&envelope("ann@example.com"), wire, full).await;
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
