//! The dialogue without a socket.

use super::*;
use crate::sink::Settings;

fn settings(rules: &[&str]) -> Settings {
    let faults = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    Settings { faults, ..Settings::counting("127.0.0.1:0".parse().unwrap()) }
}

fn dialogue_of(settings: &Settings) -> Dialogue {
    Dialogue::new(Arc::new(Conduct::new(settings).unwrap()), 0)
}

fn dialogue(rules: &[&str]) -> Dialogue {
    dialogue_of(&settings(rules))
}

/// Feeds `wire`, answers every taken message with `250 taken`; the replies without their texts.
fn talk(dialogue: &mut Dialogue, wire: &str) -> (Vec<String>, Vec<Message>) {
    let (mut input, mut out, mut messages) = (wire.as_bytes(), Replies::default(), Vec::new());
    loop {
        match dialogue.advance(&mut input, &mut out) {
            Step::Read => break,
            Step::Hangup => {
                out.say("hangup");
                break;
            }
            Step::Cut => {
                out.say("cut");
                break;
            }
            Step::Silence => {
                out.say("silence");
                break;
            }
            Step::StartTls(how) => {
                out.say(&format!("handshake {how:?}"));
                dialogue.secured();
            }
            Step::Message(message) => {
                out.say("dot");
                messages.push(message);
            }
        }
    }
    let replies = String::from_utf8(out.since(0).to_vec()).unwrap();
    let short = |line: &str| {
        let mut words = line.split(' ');
        let code = words.next().unwrap_or_default();
        match words.next() {
            Some(enhanced) if enhanced.contains('.') => format!("{code} {enhanced}"),
            _ => code.to_owned(),
        }
    };
    (replies.lines().filter(|line| !line.starts_with("250-")).map(short).collect(), messages)
}

fn replies(rules: &[&str], wire: &str) -> Vec<String> {
    talk(&mut dialogue(rules), wire).0
}

#[test]
fn a_pipelined_group_is_answered_in_order() {
    let (said, messages) = talk(
        &mut dialogue(&[]),
        "EHLO me\r\nMAIL FROM:<a@example.net> SIZE=10 BODY=8BITMIME RET=HDRS ENVID=x\r\n\
         RCPT TO:<b@example.org> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@example.org\r\n\
         RCPT TO:<c@example.org>\r\nDATA\r\n..hi\r\n.\r\nRSET\r\nNOOP\r\nVRFY b\r\nHELP\r\nQUIT\r\n",
    );
    assert_eq!(
        said,
        [
            "250",
            "250 2.1.0",
            "250 2.1.5",
            "250 2.1.5",
            "354",
            "dot",
            "250 2.0.0",
            "250 2.0.0",
            "252 2.0.0",
            "214 2.0.0",
            "221 2.0.0",
            "hangup"
        ]
    );
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].from, "a@example.net");
    assert_eq!(messages[0].to, ["b@example.org", "c@example.org"]);
    assert_eq!(messages[0].body, b".hi\r\n");
}

#[test]
fn ehlo_offers_what_the_dialogue_keeps() {
    let (mut input, mut out) = (&b"EHLO me\r\n"[..], Replies::default());
    assert!(matches!(dialogue(&[]).advance(&mut input, &mut out), Step::Read));
    let said = String::from_utf8(out.since(0).to_vec()).unwrap();
    let offers: Vec<&str> = said.lines().skip(1).map(|line| &line[4..]).collect();
    assert_eq!(
        offers,
        ["PIPELINING", "SIZE 33554432", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"]
    );
    assert!(said.lines().last().unwrap().starts_with("250 "));
}

#[test]
fn commands_out_of_sequence_are_refused() {
    for (wire, said) in [
        ("MAIL FROM:<>\r\n", &["503 5.5.1"][..]),
        ("RCPT TO:<a@b.test>\r\nDATA\r\n", &["503 5.5.1", "503 5.5.1"]),
        ("HELO me\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\n", &["250", "250 2.1.0", "503 5.5.1"]),
        ("HELO me\r\nMAIL FROM:<>\r\nDATA\r\n", &["250", "250 2.1.0", "554 5.5.1"]),
        (
            "HELO me\r\nMAIL FROM:<>\r\nRSET\r\nDATA\r\n",
            &["250", "250 2.1.0", "250 2.0.0", "503 5.5.1"],
        ),
    ] {
        assert_eq!(replies(&[], wire), said, "{wire:?}");
    }
}

#[test]
fn broken_commands_are_refused_and_the_next_one_is_heard() {
    let hello = "EHLO me\r\nMAIL FROM:<> SMTPUTF8\r\n";
    for (line, said) in [
        ("FOO bar", "500 5.5.2"),
        ("", "500 5.5.2"),
        ("RCPT a@b.test", "501 5.5.2"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<a@>", "501 5.1.3"),
        ("RCPT TO:<no-domain>", "501 5.1.3"),
        ("RCPT TO:<a@b.test", "501 5.5.2"),
        ("RCPT TO:<a\tb@b.test>", "501 5.5.2"),
        ("RCPT TO:<a@b.test> NOTIFY=MAYBE", "501 5.5.4"),
        ("RCPT TO:<a@b.test> WHAT=1", "555 5.5.4"),
        ("RCPT TO:<postmaster>", "250 2.1.5"),
        ("RCPT TO:<jürgen@b.test>", "250 2.1.5"),
        ("EHLO", "501 5.5.2"),
        ("STARTTLS", "502 5.5.1"),
        ("AUTH PLAIN AAAA", "502 5.5.1"),
    ] {
        let said = ["250", "250 2.1.0", said, "250 2.0.0"];
        assert_eq!(replies(&[], &format!("{hello}{line}\r\nNOOP\r\n")), said, "{line:?}");
    }
    for (line, said) in [
        ("MAIL FROM:<> SIZE=99999999999", "552 5.3.4"),
        ("MAIL FROM:<> BODY=BINARYMIME", "555 5.5.4"),
        ("MAIL FROM:<jürgen@b.test>", "553 5.6.7"),
        ("MAIL FROM:<a b@b.test>", "501 5.1.7"),
    ] {
        let wire = format!("EHLO me\r\n{line}\r\nNOOP\r\n");
        assert_eq!(replies(&[], &wire), ["250", said, "250 2.0.0"], "{line:?}");
    }
}

#[test]
fn an_address_beyond_ascii_needs_smtputf8() {
    let wire = "EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<jürgen@b.test>\r\n";
    assert_eq!(replies(&[], wire), ["250", "250 2.1.0", "553 5.6.7"]);
}

#[test]
fn an_overlong_line_is_refused_once_and_skipped_whole() {
    let mut dialogue = dialogue(&[]);
    let long = format!("NOOP {}", "x".repeat(LINE_LIMIT));
    assert_eq!(talk(&mut dialogue, &long).0, ["500 5.5.2"]);
    assert_eq!(talk(&mut dialogue, "QUIT QUIT QUIT").0, [""; 0]);
    assert_eq!(talk(&mut dialogue, "QUIT\r\nNOOP\r\n").0, ["250 2.0.0"]);
}

#[test]
fn the_octets_of_a_refused_bdat_are_no_commands() {
    assert_eq!(replies(&[], "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"), ["502 5.5.1", "250 2.0.0"]);
}

#[test]
fn a_message_beyond_the_size_limit_is_refused_at_its_dot() {
    let mut dialogue = dialogue(&[]);
    let head = "EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.test>\r\nDATA\r\n";
    talk(&mut dialogue, head);
    let megabyte = format!("{}\r\n", "x".repeat(1024 * 1024 - 2));
    for _ in 0..33 {
        talk(&mut dialogue, &megabyte);
    }
    let (_, messages) = talk(&mut dialogue, ".\r\n");
    let [message] = messages.as_slice() else { panic!("{}", messages.len()) };
    assert!(
        matches!(&message.verdict, Verdict::Refuse(why) if why.text().starts_with("552 5.3.4"))
    );
    let (_, messages) = talk(&mut dialogue, &format!("{head}hi\r\n.\r\n"));
    assert!(matches!(messages[0].verdict, Verdict::Take));
}

#[test]
fn faults_strike_in_the_phase_they_name() {
    let wire =
        "EHLO me\r\nMAIL FROM:<s@n.test>\r\nRCPT TO:<a@b.test>\r\nDATA\r\nhi\r\n.\r\nNOOP\r\n";
    // The lines after a refused DATA are no body, but commands nobody knows.
    for (rule, said) in [
        ("mail:451", "250,451 4.7.1,503 5.5.1,503 5.5.1,500 5.5.2,500 5.5.2,250 2.0.0"),
        ("rcpt:550", "250,250 2.1.0,550 5.1.1,554 5.5.1,500 5.5.2,500 5.5.2,250 2.0.0"),
        ("data:451", "250,250 2.1.0,250 2.1.5,451 4.7.1,500 5.5.2,500 5.5.2,250 2.0.0"),
        ("rcpt:421", "250,250 2.1.0,421 4.3.2,hangup"),
        ("dot:452", "250,250 2.1.0,250 2.1.5,354,dot,250 2.0.0"),
        ("drop-after-dot", "250,250 2.1.0,250 2.1.5,354,dot,250 2.0.0"),
        ("drop-before-dot", "250,250 2.1.0,250 2.1.5,354,cut"),
    ] {
        let mut dialogue = dialogue(&[rule]);
        let (replies, messages) = talk(&mut dialogue, wire);
        assert_eq!(replies.join(","), said, "{rule}");
        let fits = |message: &Message| match &message.verdict {
            Verdict::Take | Verdict::TakeSpoilt(_) => false,
            Verdict::TakeInSilence => rule == "drop-after-dot",
            Verdict::Refuse(why) => rule == "dot:452" && why.text().starts_with("452 4.3.1"),
        };
        assert!(messages.iter().all(fits), "{rule}");
    }
}

#[test]
fn one_refused_recipient_does_not_stop_the_others() {
    let (said, messages) = talk(
        &mut dialogue(&["rcpt:550:to=bob@*"]),
        "EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<bob@b.test>\r\nRCPT TO:<eve@b.test>\r\n\
         DATA\r\nhi\r\n.\r\n",
    );
    assert_eq!(said, ["250", "250 2.1.0", "550 5.1.1", "250 2.1.5", "354", "dot"]);
    assert_eq!(messages[0].to, ["eve@b.test"]);
}
