//! Who is not let in, and how long a connection serves.

use super::*;

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
