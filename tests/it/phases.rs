//! Every step of the dialogue × every way it can go wrong: the class a person must end in.
//!
//! One person, one relay that fails at one step, every time, in one way. Before the final dot nobody is
//! ever in doubt; after it, whenever no clean answer came.

use crate::harness::CAMPAIGN;
use crate::harness::stage::Stage;

/// How it must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing was begun for the person, and the worker goes on trying.
    Queued,
    /// Nothing was begun for the person, and the campaign has paused itself.
    Paused,
    /// The attempt counts, and there will be another.
    Deferred,
    /// Nobody knows, and an operator is asked.
    InDoubt,
    /// The address is dead.
    Bounced,
    /// Told.
    Told,
}

/// Plays one fault and holds the end against what it must be.
async fn ends(fault: &str, end: End) {
    let stage = Stage::with(&[fault], &["ada@mail.example"]).await;
    let said = stage
        .run_until(async |stage| match end {
            // Tried twice at least, so that whatever the first attempt would do has been done.
            End::Queued => stage.sink.counts().connections >= 2,
            End::Paused => false,
            _ => stage.class().await.1 > 0,
        })
        .await;
    let (class, attempts) = stage.class().await;
    let expected = match end {
        End::Queued | End::Paused => "queued",
        End::Deferred => "deferred",
        End::InDoubt => "in-doubt/held",
        End::Bounced => "fallback/bounced",
        End::Told => "told/accepted",
    };
    assert_eq!(class, expected, "{fault}: {said:?}");
    let status = stage.house.engine.status(CAMPAIGN).await.unwrap();
    assert!(status.deliveries.balances());
    assert_eq!(status.deliveries.in_flight, 0);
    let taken = stage.sink.counts().taken();
    match end {
        End::Paused => {
            let said = said.expect("the run ends by itself");
            assert!(said.contains("has paused itself") && said.contains("hint: "), "{said}");
            assert_eq!((status.notice, status.pause_cause), ("paused", Some("configuration")));
        }
        End::Queued => assert_eq!((attempts, status.notice), (0, "running"), "{said:?}"),
        End::Told => assert_eq!(taken, 1),
        End::Deferred | End::Bounced => assert_eq!(taken, 0, "{fault}"),
        End::InDoubt => {}
    }
}

macro_rules! matrix {
    ($($name:ident: $fault:literal => $end:ident;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            ends($fault, End::$end).await;
        }
    )+};
}

matrix! {
    greeting_cut_leaves_queued: "greeting:cut" => Queued;
    greeting_silent_leaves_queued: "greeting:silent" => Queued;
    greeting_421_leaves_queued: "greeting:421" => Queued;
    greeting_4yz_leaves_queued: "greeting:450" => Queued;
    greeting_5yz_pauses: "greeting:554" => Paused;
    greeting_garbage_pauses: "greeting:garbage" => Paused;
    greeting_half_leaves_queued: "greeting:half" => Queued;

    ehlo_cut_leaves_queued: "ehlo:cut" => Queued;
    ehlo_silent_leaves_queued: "ehlo:silent" => Queued;
    ehlo_421_leaves_queued: "ehlo:421" => Queued;
    ehlo_4yz_leaves_queued: "ehlo:451" => Queued;
    ehlo_5yz_pauses: "ehlo:550" => Paused;
    ehlo_garbage_pauses: "ehlo:garbage" => Paused;
    ehlo_half_leaves_queued: "ehlo:half" => Queued;

    starttls_cut_leaves_queued: "tls:cut" => Queued;
    starttls_silent_leaves_queued: "tls:silent" => Queued;
    starttls_421_leaves_queued: "tls:421" => Queued;
    starttls_4yz_leaves_queued: "tls:454" => Queued;
    starttls_5yz_pauses: "tls:554" => Paused;
    starttls_garbage_pauses: "tls:garbage" => Paused;
    starttls_half_leaves_queued: "tls:half" => Queued;

    handshake_cut_leaves_queued: "tls:handshake-cut" => Queued;
    handshake_silent_leaves_queued: "tls:handshake-silent" => Queued;
    handshake_garbage_pauses: "tls:handshake-garbage" => Paused;
    clear_text_injected_behind_starttls_pauses: "tls:inject" => Paused;

    auth_cut_leaves_queued: "auth:cut" => Queued;
    auth_silent_leaves_queued: "auth:silent" => Queued;
    auth_421_leaves_queued: "auth:421" => Queued;
    auth_4yz_leaves_queued: "auth:454" => Queued;
    auth_5yz_pauses: "auth:535" => Paused;
    auth_garbage_pauses: "auth:garbage" => Paused;
    auth_half_leaves_queued: "auth:half" => Queued;

    mail_cut_defers: "mail:cut" => Deferred;
    mail_silent_defers: "mail:silent" => Deferred;
    mail_421_defers: "mail:421" => Deferred;
    mail_4yz_defers: "mail:450" => Deferred;
    mail_5yz_defers: "mail:554" => Deferred;
    mail_garbage_defers: "mail:garbage" => Deferred;
    mail_half_defers: "mail:half" => Deferred;

    rcpt_cut_defers: "rcpt:cut" => Deferred;
    rcpt_silent_defers: "rcpt:silent" => Deferred;
    rcpt_421_defers: "rcpt:421" => Deferred;
    rcpt_4yz_defers: "rcpt:450" => Deferred;
    rcpt_5yz_of_the_address_bounces: "rcpt:550" => Bounced;
    rcpt_5yz_of_policy_defers: "rcpt:554" => Deferred;
    rcpt_garbage_defers: "rcpt:garbage" => Deferred;
    rcpt_half_defers: "rcpt:half" => Deferred;

    data_cut_defers: "data:cut" => Deferred;
    data_silent_defers: "data:silent" => Deferred;
    data_421_defers: "data:421" => Deferred;
    data_4yz_defers: "data:451" => Deferred;
    data_5yz_defers: "data:554" => Deferred;
    data_garbage_defers: "data:garbage" => Deferred;
    data_half_defers: "data:half" => Deferred;
    data_250_in_place_of_354_defers: "data:wrong=250" => Deferred;

    dot_421_defers: "dot:421" => Deferred;
    dot_4yz_defers: "dot:451" => Deferred;
    dot_5yz_defers: "dot:554" => Deferred;
    dot_cut_is_in_doubt: "dot:cut" => InDoubt;
    dot_silent_is_in_doubt: "dot:silent" => InDoubt;
    dot_garbage_is_in_doubt: "dot:garbage" => InDoubt;
    dot_half_is_in_doubt: "dot:half" => InDoubt;
    dot_354_in_place_of_250_is_in_doubt: "dot:wrong=354" => InDoubt;
    a_message_taken_in_silence_is_in_doubt: "drop-after-dot" => InDoubt;

    quit_cut_changes_nothing: "quit:cut" => Told;
    quit_silent_changes_nothing: "quit:silent" => Told;
    quit_garbage_changes_nothing: "quit:garbage" => Told;
    replies_of_100_kb_are_read: "dot:huge" => Told;
    replies_byte_by_byte_are_read: "rcpt:bytewise" => Told;
    an_ehlo_of_100_kb_is_read: "ehlo:huge" => Told;
    a_slow_reply_within_its_time_is_read: "dot:slow=100ms" => Told;
}

/// RSET comes after a refusal: whatever becomes of it, the refused person's class stands, and whoever
/// comes next is told, on the same connection or on another.
async fn after_refusal(fault: &str, connections: u64) {
    let people = ["ada@mail.example", "dead@mail.example", "eve@mail.example"];
    let stage = Stage::with(&["rcpt:550:to=dead@*", fault], &people).await;
    let said = stage.run_until(async |_| false).await;
    assert_eq!(said, None);
    let totals = stage.house.engine.status(CAMPAIGN).await.unwrap().deliveries;
    assert_eq!((totals.told, totals.fallback, totals.in_doubt), (2, 1, 0), "{fault}");
    assert_eq!(stage.sink.counts().connections, connections, "{fault}");
}

macro_rules! after_refusal {
    ($($name:ident: $fault:literal, $connections:literal;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            after_refusal($fault, $connections).await;
        }
    )+};
}

after_refusal! {
    a_refusal_costs_no_connection: "rset:slow=5ms", 1;
    rset_cut_costs_one: "rset:cut", 2;
    rset_silent_costs_one: "rset:silent", 2;
    rset_421_costs_one: "rset:421", 2;
    rset_4yz_costs_one: "rset:450", 2;
    rset_5yz_costs_one: "rset:500", 2;
    rset_garbage_costs_one: "rset:garbage", 2;
    rset_half_costs_one: "rset:half", 2;
    rset_answered_twice_costs_one: "rset:twice", 2;
}
