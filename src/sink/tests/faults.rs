//! Every fault at every phase, heard over loopback.

use std::time::{Duration, Instant};

use super::super::phase::Phase;
use super::super::spoil::GARBAGE;
use super::super::{AuthSettings, Counts, Settings, Sink, TlsMode, TlsSettings};
use super::client::Wire;
use super::{faults, loopback};

/// What a client says to come through each phase, and the code that is due. The TLS phase ends the
/// clear text, so it is passed by.
const WAY: [(Phase, &str, &str); 9] = [
    (Phase::Greeting, "", "220"),
    (Phase::Ehlo, "EHLO me\r\n", "250"),
    (Phase::Auth, "AUTH PLAIN AGFubgBzM2NyZXQ=\r\n", "235"),
    (Phase::Mail, "MAIL FROM:<a@example.net>\r\n", "250"),
    (Phase::Rcpt, "RCPT TO:<b@example.org>\r\n", "250"),
    (Phase::Data, "DATA\r\n", "354"),
    (Phase::Dot, "Subject: x\r\n\r\nhi\r\n.\r\n", "250"),
    (Phase::Rset, "RSET\r\n", "250"),
    (Phase::Quit, "QUIT\r\n", "221"),
];

async fn relay(rule: &str) -> Sink {
    let tls = TlsSettings { mode: TlsMode::Starttls, ..TlsSettings::default() };
    let auth = Some(AuthSettings::new("ann", "s3cret".to_owned()));
    Sink::start(Settings { faults: faults(&[rule]), tls, auth, ..loopback() }).await.unwrap()
}

/// Goes up to `phase` and says its command, hearing every reply before.
async fn come_to(sink: &Sink, phase: Phase) -> Wire {
    let mut wire = Wire::connect(sink).await;
    for (here, line, due) in WAY {
        if here == phase {
            wire.say(line).await;
            return wire;
        }
        if phase == Phase::Tls && here == Phase::Auth {
            wire.say("STARTTLS\r\n").await;
            return wire;
        }
        assert!(wire.ask(line).await.starts_with(due), "{here:?} on the way to {phase:?}");
    }
    unreachable!("{phase:?} is on the way");
}

fn due(phase: Phase) -> &'static str {
    WAY.iter().find(|(here, ..)| *here == phase).map_or("220", |(.., due)| due)
}

async fn stopped(sink: Sink) -> Counts {
    let shared = std::sync::Arc::clone(&sink.shared);
    sink.stop().await;
    shared.conduct.tally.counts()
}

#[tokio::test]
async fn a_refusal_is_heard_at_every_phase_and_421_closes() {
    for phase in Phase::ALL {
        for code in ["421", "450", "550"] {
            let sink = relay(&format!("{}:{code}", phase.name())).await;
            let mut wire = come_to(&sink, phase).await;
            let said = wire.reply().await;
            assert!(said.starts_with(&format!("{code} {}.", &code[..1])), "{phase:?}: {said}");
            if code == "421" {
                assert_eq!(wire.rest().await, b"", "{phase:?}");
            } else {
                let next = wire.ask("NOOP\r\n").await;
                let due = if phase == Phase::Greeting { "503" } else { "250" };
                assert!(next.starts_with(due), "{phase:?}: {next}");
            }
            let counts = stopped(sink).await;
            assert_eq!((counts.taken(), counts.tls_sessions), (u64::from(phase > Phase::Dot), 0));
        }
    }
}

#[tokio::test]
async fn a_cut_says_nothing_and_does_nothing() {
    for phase in Phase::ALL {
        let sink = relay(&format!("{}:cut", phase.name())).await;
        assert_eq!(come_to(&sink, phase).await.rest().await, b"", "{phase:?}");
        let counts = stopped(sink).await;
        assert_eq!((counts.cut, counts.taken()), (1, u64::from(phase > Phase::Dot)), "{phase:?}");
    }
}

#[tokio::test]
async fn silence_keeps_the_connection_open_and_hears_no_more() {
    for phase in Phase::ALL {
        let sink = relay(&format!("{}:silent", phase.name())).await;
        let mut wire = come_to(&sink, phase).await;
        assert!(wire.is_silent().await, "{phase:?}");
        wire.say("NOOP\r\nQUIT\r\n").await;
        assert!(wire.is_silent().await, "{phase:?}");
        drop(wire);
        let counts = stopped(sink).await;
        assert_eq!((counts.silenced, counts.taken()), (1, u64::from(phase > Phase::Dot)));
    }
}

#[tokio::test]
async fn a_silent_session_ends_when_the_sink_stops() {
    let sink = relay("greeting:silent").await;
    let mut wire = come_to(&sink, Phase::Greeting).await;
    assert!(wire.is_silent().await);
    sink.stop().await;
    assert_eq!(wire.rest().await, b"");
}

#[tokio::test]
async fn garbage_and_halves_are_no_replies() {
    for phase in Phase::ALL {
        let sink = relay(&format!("{}:garbage", phase.name())).await;
        let mut wire = come_to(&sink, phase).await;
        let mut heard = vec![0; GARBAGE.len()];
        tokio::io::AsyncReadExt::read_exact(&mut wire.0, &mut heard).await.unwrap();
        assert_eq!(heard, GARBAGE, "{phase:?}");
        let sink = relay(&format!("{}:half", phase.name())).await;
        let heard = come_to(&sink, phase).await.rest().await;
        let half = String::from_utf8(heard).unwrap();
        assert!(half.starts_with(due(phase)) && half.len() >= 4, "{phase:?}: {half}");
        assert!(!half.contains(['\r', '\n']), "{phase:?}: {half}");
        let counts = stopped(sink).await;
        // The command was done: only its reply is half.
        assert_eq!((counts.spoilt, counts.taken()), (1, u64::from(phase >= Phase::Dot)));
    }
}

#[tokio::test]
async fn a_wrong_code_and_an_unasked_reply_come_in_place() {
    for phase in Phase::ALL {
        let sink = relay(&format!("{}:wrong", phase.name())).await;
        let said = come_to(&sink, phase).await.reply().await;
        assert!(said.starts_with(&phase.wrong_code().to_string()), "{phase:?}: {said}");
        assert!(!said.starts_with(due(phase)), "{phase:?}: {said}");
        let sink = relay(&format!("{}:twice", phase.name())).await;
        let mut wire = come_to(&sink, phase).await;
        let (first, second) = (wire.reply().await, wire.reply().await);
        assert!(first.starts_with(due(phase)), "{phase:?}: {first}");
        assert_eq!(first, second, "{phase:?}");
    }
}

#[tokio::test]
async fn a_huge_reply_has_the_code_that_is_due_on_all_its_lines() {
    for phase in Phase::ALL {
        let sink = relay(&format!("{}:huge", phase.name())).await;
        let said = come_to(&sink, phase).await.reply().await;
        assert!(said.len() > 100_000, "{phase:?}: {}", said.len());
        assert!(said.lines().all(|line| line.starts_with(due(phase))), "{phase:?}");
    }
}

#[tokio::test]
async fn a_bytewise_reply_comes_whole_in_many_pieces() {
    for phase in Phase::ALL {
        let sink = relay(&format!("{}:bytewise", phase.name())).await;
        let mut wire = come_to(&sink, phase).await;
        let (mut said, mut pieces) = (Vec::new(), 0);
        while !said.ends_with(b"\n") {
            let read = tokio::io::AsyncBufReadExt::fill_buf(&mut wire.0).await.unwrap().to_vec();
            assert!(!read.is_empty(), "{phase:?}");
            tokio::io::AsyncBufReadExt::consume(&mut wire.0, read.len());
            said.extend(read);
            pieces += 1;
        }
        assert!(said.starts_with(due(phase).as_bytes()), "{phase:?}");
        assert!(pieces > 3, "{phase:?} came in {pieces} pieces");
    }
}

#[tokio::test]
async fn a_slow_reply_waits_and_is_then_the_one_that_is_due() {
    for phase in Phase::ALL {
        let sink = relay(&format!("{}:slow=150ms", phase.name())).await;
        let begun = Instant::now();
        let said = come_to(&sink, phase).await.reply().await;
        assert!(said.starts_with(due(phase)), "{phase:?}: {said}");
        assert!(begun.elapsed() >= Duration::from_millis(150), "{phase:?}");
    }
}

#[tokio::test]
async fn all_replies_can_be_slow_and_bytewise_at_once() {
    let slow = Duration::from_millis(20);
    let sink = Sink::start(Settings { slow, bytewise: true, ..loopback() }).await.unwrap();
    let begun = Instant::now();
    let mut wire = Wire::connect(&sink).await;
    assert!(wire.reply().await.starts_with("220 "));
    wire.say("HELO me\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nQUIT\r\n").await;
    let said = String::from_utf8(wire.rest().await).unwrap();
    let codes: Vec<&str> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["250", "250", "250", "221"]);
    assert!(begun.elapsed() >= slow * 5, "each of five replies waits");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_slow_reply() {
    let sink = relay("greeting:slow=1h").await;
    let mut wire = Wire::connect(&sink).await;
    assert!(wire.is_silent().await);
    sink.stop().await;
    assert!(String::from_utf8(wire.rest().await).unwrap().starts_with("220 "));
}

#[tokio::test]
async fn the_same_seed_strikes_the_same_connections_over_the_wire() {
    async fn heard(seed: u64) -> Vec<String> {
        let faults = faults(&["greeting:421:0.3", "ehlo:cut:0.3", "greeting:554:times=1"]);
        let sink = Sink::start(Settings { faults, seed, ..loopback() }).await.unwrap();
        let mut heard = Vec::new();
        for _ in 0..40 {
            let mut wire = Wire::connect(&sink).await;
            let greeting = wire.reply().await;
            wire.say("EHLO me\r\n").await;
            let ehlo = if greeting.starts_with("220") { wire.reply().await } else { String::new() };
            heard.push(format!("{} {}", &greeting[..3], ehlo.get(..3).unwrap_or("cut")));
        }
        heard
    }
    let first = heard(11).await;
    assert_eq!(first, heard(11).await);
    assert_ne!(first, heard(12).await);
    for kind in ["421 cut", "220 cut", "220 250", "554 cut"] {
        assert!(first.iter().any(|one| one == kind), "{kind}: {first:?}");
    }
    assert_eq!(first.iter().filter(|one| one.starts_with("554")).count(), 1);
}
