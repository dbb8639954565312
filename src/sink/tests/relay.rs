//! The sink as a relay with TLS and AUTH.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::{CertificateError as Refused, Error as TlsFault};

use super::super::spoil::GARBAGE;
use super::super::*;
use super::client::Wire;
use super::{faults, loopback};

fn tls(mode: TlsMode) -> TlsSettings {
    TlsSettings { mode, ..TlsSettings::default() }
}

fn account() -> AuthSettings {
    AuthSettings::new("ann", "s3cret".to_owned())
}

fn coded(text: &str) -> String {
    STANDARD.encode(text)
}

async fn starttls(rules: &[&str]) -> Sink {
    let settings = Settings { tls: tls(TlsMode::Starttls), faults: faults(rules), ..loopback() };
    Sink::start(settings).await.unwrap()
}

async fn implicit(rules: &[&str]) -> Sink {
    let settings = Settings { tls: tls(TlsMode::Implicit), faults: faults(rules), ..loopback() };
    Sink::start(settings).await.unwrap()
}

async fn kind(kind: CertificateKind) -> Sink {
    let certificate =
        CertificateSource::Made { kind, names: vec!["relay.test".into()], authority_out: None };
    let tls = TlsSettings { certificate, ..tls(TlsMode::Implicit) };
    Sink::start(Settings { tls, ..loopback() }).await.unwrap()
}

/// Why a handshake by this name failed; nothing if it did not.
async fn handshake_fault(sink: &Sink, name: &str) -> Option<TlsFault> {
    let wire = Wire::connect(sink).await;
    let error = wire.shake(sink.authority_pem().unwrap(), name).await.err()?;
    Some(error.get_ref().unwrap().downcast_ref::<TlsFault>().unwrap().clone())
}

#[tokio::test]
async fn a_mail_goes_through_starttls_and_auth() {
    let auth = Some(AuthSettings { only_under_tls: true, required: true, ..account() });
    let tls = TlsSettings { required: true, ..tls(TlsMode::Starttls) };
    let sink = Sink::start(Settings { tls, auth, ..loopback() }).await.unwrap();
    let mut wire = Wire::greeted(&sink).await;
    assert!(wire.ask("MAIL FROM:<>\r\n").await.starts_with("530 5.7.0 Must issue a STARTTLS"));
    let plain = format!("AUTH PLAIN {}\r\n", coded("\0ann\0s3cret"));
    assert!(wire.ask(&plain).await.starts_with("530 5.7.0 Must issue a STARTTLS"));
    let mut wire = wire.secured(&sink).await;
    assert!(wire.ask("MAIL FROM:<>\r\n").await.starts_with("503 5.5.1"), "EHLO is forgotten");
    let offers = wire.ask("EHLO me\r\n").await;
    assert!(offers.contains("250 AUTH PLAIN LOGIN XOAUTH2") && !offers.contains("STARTTLS"));
    assert!(wire.ask("MAIL FROM:<>\r\n").await.starts_with("530 5.7.0 Authentication required"));
    assert!(wire.ask("STARTTLS\r\n").await.starts_with("503 5.5.1"));
    assert!(wire.ask(&plain).await.starts_with("235 2.7.0"));
    assert!(wire.ask(&plain).await.starts_with("503 5.5.1"));
    assert!(wire.send("b@example.org").await.starts_with("250 2.0.0 Ok: queued"));
    assert!(wire.ask("QUIT\r\n").await.starts_with("221"));
    assert_eq!(wire.rest().await, b"");
    let counts = sink.counts();
    assert_eq!((counts.tls_sessions, counts.tls_failures), (1, 0));
    assert_eq!((counts.auth_successes, counts.auth_failures, counts.accepted), (1, 0, 1));
}

#[tokio::test]
async fn a_mail_goes_through_implicit_tls_by_name_and_by_address() {
    let sink = kind(CertificateKind::Valid).await;
    for name in ["localhost", "127.0.0.1", "::1", "relay.test"] {
        let wire = Wire::connect(&sink).await;
        let mut wire = wire.shake(sink.authority_pem().unwrap(), name).await.unwrap();
        assert!(wire.reply().await.starts_with("220 "), "{name}");
        assert!(wire.ask("EHLO me\r\n").await.starts_with("250"));
        assert!(wire.send("b@example.org").await.starts_with("250"));
    }
    assert_eq!((sink.counts().tls_sessions, sink.counts().accepted), (4, 4));
}

#[tokio::test]
async fn each_wrong_certificate_is_refused_for_its_own_reason() {
    for name in ["localhost", "127.0.0.1"] {
        let fault = async |of| handshake_fault(&kind(of).await, name).await;
        assert_eq!(fault(CertificateKind::Valid).await, None);
        let expired = fault(CertificateKind::Expired).await;
        assert!(
            matches!(expired, Some(TlsFault::InvalidCertificate(Refused::ExpiredContext { .. }))),
            "{expired:?}"
        );
        let other = fault(CertificateKind::OtherName).await;
        assert!(
            matches!(
                other,
                Some(TlsFault::InvalidCertificate(Refused::NotValidForNameContext { .. }))
            ),
            "{other:?}"
        );
        let own = fault(CertificateKind::SelfSigned).await;
        assert_eq!(own, Some(TlsFault::InvalidCertificate(Refused::UnknownIssuer)));
    }
    let sink = kind(CertificateKind::Expired).await;
    handshake_fault(&sink, "localhost").await;
    let shared = Arc::clone(&sink.shared);
    sink.stop().await;
    let counts = shared.conduct.tally.counts();
    assert_eq!((counts.tls_sessions, counts.tls_failures, counts.commands), (0, 1, 0));
}

#[tokio::test]
async fn several_servers_can_share_one_authority_given_by_the_caller() {
    let authority = Authority::make().unwrap();
    for _ in 0..2 {
        let given = authority.certificates(CertificateKind::Valid, &[]).unwrap();
        let tls =
            TlsSettings { certificate: CertificateSource::Given(given), ..tls(TlsMode::Implicit) };
        let sink = Sink::start(Settings { tls, ..loopback() }).await.unwrap();
        let shaken = Wire::connect(&sink).await.shake(authority.pem(), "localhost").await;
        assert!(shaken.is_ok());
    }
}

#[tokio::test]
async fn certificates_are_read_from_files_and_the_authority_is_written_to_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let made = Certificates::make(CertificateKind::Valid, &[]).unwrap();
    std::fs::write(at("chain.pem"), &made.chain_pem).unwrap();
    std::fs::write(at("key.pem"), &made.key_pem).unwrap();
    let start = async |certificate| {
        let tls = TlsSettings { certificate, ..tls(TlsMode::Implicit) };
        Sink::start(Settings { tls, ..loopback() }).await
    };
    let files = |chain, key| CertificateSource::Files { chain: at(chain), key: at(key) };
    let sink = start(files("chain.pem", "key.pem")).await.unwrap();
    assert_eq!(sink.authority_pem(), None);
    let wire = Wire::connect(&sink).await;
    assert!(wire.shake(&made.authority_pem, "localhost").await.is_ok());
    let other = Certificates::make(CertificateKind::Valid, &[]).unwrap();
    std::fs::write(at("other.pem"), &other.key_pem).unwrap();
    for (chain, key, hint) in [
        ("none.pem", "key.pem", "name a file this user may read"),
        ("chain.pem", "chain.pem", "a chain file and a key file"),
        ("chain.pem", "other.pem", "the key that the certificate was made for"),
        ("key.pem", "key.pem", "hint: "),
    ] {
        let error = start(files(chain, key)).await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains(hint), "{cause}");
    }
    let out = at("authority.pem");
    let sink = start(CertificateSource::Made {
        kind: CertificateKind::Valid,
        names: Vec::new(),
        authority_out: Some(out.clone()),
    });
    let sink = sink.await.unwrap();
    let written = std::fs::read_to_string(out).unwrap();
    assert_eq!(sink.authority_pem(), Some(written.as_str()));
    assert!(Wire::connect(&sink).await.shake(&written, "localhost").await.is_ok());
}

#[tokio::test]
async fn handshakes_break_as_the_rule_says() {
    for (rule, begins) in [
        ("tls:handshake-cut", &b"\x16\x03\x03"[..]),
        ("tls:handshake-garbage", GARBAGE),
        ("tls:handshake-silent", b""),
    ] {
        // By hand, to see the octets.
        let sink = starttls(&[rule]).await;
        let mut wire = Wire::greeted(&sink).await;
        assert!(wire.ask("STARTTLS\r\n").await.starts_with("220 "));
        wire.say("some client hello").await;
        if begins.is_empty() {
            assert!(wire.is_silent().await);
        } else {
            let mut heard = vec![0; begins.len()];
            tokio::io::AsyncReadExt::read_exact(&mut wire.0, &mut heard).await.unwrap();
            assert_eq!(heard, begins, "{rule}");
        }
        drop(wire);
        let shared = Arc::clone(&sink.shared);
        sink.stop().await;
        let counts = shared.conduct.tally.counts();
        assert_eq!((counts.tls_sessions, counts.tls_failures), (0, 1), "{rule}");
    }
}

#[tokio::test]
async fn a_real_client_gives_up_a_broken_handshake() {
    for (rule, fault) in [
        ("tls:handshake-cut", "eof"),
        ("tls:handshake-garbage", "corrupt message"),
        ("tls:cut", "eof"),
    ] {
        let sink = implicit(&[rule]).await;
        let wire = Wire::connect(&sink).await;
        let error = wire.shake(sink.authority_pem().unwrap(), "localhost").await.err().unwrap();
        assert!(error.to_string().contains(fault), "{rule}: {error}");
    }
    let sink = implicit(&["tls:silent"]).await;
    let mut wire = Wire::connect(&sink).await;
    wire.say("some client hello").await;
    assert!(wire.is_silent().await);
}

#[tokio::test]
async fn starttls_can_be_offered_and_refused_or_stripped() {
    let sink = starttls(&["tls:454"]).await;
    let mut wire = Wire::greeted(&sink).await;
    assert!(wire.ask("STARTTLS\r\n").await.starts_with("454 4.7.0 TLS not available"));
    assert!(wire.ask("NOOP\r\n").await.starts_with("250"));
    assert_eq!(sink.counts().refused_tls, 1);
    let offer = Some(vec![Extension::Pipelining]);
    let settings = Settings { tls: tls(TlsMode::Starttls), offer, ..loopback() };
    let sink = Sink::start(settings).await.unwrap();
    let mut wire = Wire::connect(&sink).await;
    wire.reply().await;
    assert!(!wire.ask("EHLO me\r\n").await.contains("STARTTLS"));
    assert!(wire.ask("STARTTLS\r\n").await.starts_with("502"));
}

#[tokio::test]
async fn injected_octets_come_with_the_220_and_a_careful_client_is_told_from_a_careless_one() {
    let sink = starttls(&["tls:inject"]).await;
    let mut wire = Wire::greeted(&sink).await;
    assert!(wire.ask("STARTTLS\r\n").await.starts_with("220 "));
    assert_eq!(wire.0.buffer(), b"250 injected\r\n", "in the same write");
    drop(wire);
    let before = sink.counts();
    assert_eq!((before.injected, before.commands_after_injection, before.taken()), (1, 0, 0));
    // Dropping the buffer with the injected line is what a careless client does by luck; it goes on.
    let mut wire = Wire::greeted(&sink).await.secured(&sink).await;
    assert!(wire.ask("EHLO me\r\n").await.starts_with("250"));
    assert!(wire.send("b@example.org").await.starts_with("250"));
    let counts = sink.counts();
    assert_eq!((counts.injected, counts.commands_after_injection, counts.taken()), (2, 4, 1));
}

#[tokio::test]
async fn clear_text_behind_starttls_is_not_read_as_if_it_came_under_tls() {
    let sink = starttls(&[]).await;
    let mut wire = Wire::greeted(&sink).await;
    wire.say("STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.net>\r\n").await;
    assert!(wire.reply().await.starts_with("220 "));
    let mut wire = wire.shake(sink.authority_pem().unwrap(), "localhost").await.unwrap();
    // Had the lines been kept, EHLO's answer would stand here and MAIL would be open.
    assert!(wire.ask("MAIL FROM:<a@example.net>\r\n").await.starts_with("503 5.5.1 Say EHLO"));
    assert_eq!(sink.counts().protocol_errors, 2);
}

#[tokio::test]
async fn a_cut_under_tls_ends_in_the_middle_and_a_quit_does_not() {
    let sink = implicit(&["rset:cut"]).await;
    for (line, whole) in [("RSET\r\n", false), ("QUIT\r\n", true)] {
        let wire = Wire::connect(&sink).await;
        let mut wire = wire.shake(sink.authority_pem().unwrap(), "localhost").await.unwrap();
        wire.reply().await;
        wire.say(line).await;
        let mut rest = Vec::new();
        let read = tokio::io::AsyncReadExt::read_to_end(&mut wire.0, &mut rest).await;
        assert_eq!(read.is_ok(), whole, "{line}: {read:?}");
    }
}

#[tokio::test]
async fn every_mechanism_lets_the_right_secret_in_and_no_other() {
    let auth = Some(AuthSettings { required: true, ..account() });
    let sink = Sink::start(Settings { auth, ..loopback() }).await.unwrap();
    let bearer = |token: &str| coded(&format!("user=ann\x01auth=Bearer {token}\x01\x01"));
    let say = |lines: &[String]| lines.iter().map(|line| format!("{line}\r\n")).collect::<Vec<_>>();
    for secret in ["s3cret", "wrong"] {
        let right = secret == "s3cret";
        let plain = coded(&format!("\0ann\0{secret}"));
        let mut ways = vec![
            vec![format!("AUTH PLAIN {plain}")],
            vec!["AUTH PLAIN".into(), plain],
            vec!["AUTH LOGIN".into(), coded("ann"), coded(secret)],
            vec![format!("AUTH LOGIN {}", coded("ann")), coded(secret)],
            vec![format!("AUTH XOAUTH2 {}", bearer(secret))],
            vec!["AUTH XOAUTH2".into(), bearer(secret)],
        ];
        if !right {
            ways[4].push(String::new());
            ways[5].push(String::new());
        }
        for way in ways {
            let mut wire = Wire::greeted(&sink).await;
            let (last, before) =
                say(&way).split_last().map(|(l, b)| (l.clone(), b.to_vec())).unwrap();
            for line in before {
                assert!(wire.ask(&line).await.starts_with("334 "), "{way:?}");
            }
            let said = wire.ask(&last).await;
            assert!(said.starts_with(if right { "235 2.7.0" } else { "535 5.7.8" }), "{said}");
            let mail = wire.ask("MAIL FROM:<>\r\n").await;
            assert!(mail.starts_with(if right { "250" } else { "530 5.7.0" }), "{mail}");
        }
    }
    let counts = sink.counts();
    assert_eq!((counts.auth_successes, counts.auth_failures), (6, 6));
}

#[tokio::test]
async fn auth_is_refused_by_rule_where_a_real_server_refuses_it() {
    let start = async |rule| {
        let settings = Settings { auth: Some(account()), faults: faults(&[rule]), ..loopback() };
        Sink::start(settings).await.unwrap()
    };
    let good = format!("AUTH PLAIN {}\r\n", coded("\0ann\0s3cret"));
    let sink = start("auth:454").await;
    let mut wire = Wire::greeted(&sink).await;
    assert!(wire.ask("AUTH LOGIN\r\n").await.starts_with("334 "));
    wire.ask(&format!("{}\r\n", coded("ann"))).await;
    assert!(wire.ask(&format!("{}\r\n", coded("s3cret"))).await.starts_with("454 4.7.0"));
    let sink = start("auth:504").await;
    let mut wire = Wire::greeted(&sink).await;
    assert!(wire.ask("AUTH LOGIN\r\n").await.starts_with("504 5.5.1"));
    assert!(wire.ask(&good).await.starts_with("504 5.5.1"));
    let sink = start("auth:535:raw=5.7.8 Username and Password not accepted").await;
    let mut wire = Wire::greeted(&sink).await;
    let token = coded("user=ann\x01auth=Bearer s3cret\x01\x01");
    assert!(wire.ask(&format!("AUTH XOAUTH2 {token}\r\n")).await.starts_with("334 "));
    assert!(wire.ask("\r\n").await.starts_with("535 5.7.8 Username and"));
    assert!(wire.ask(&good).await.starts_with("535 5.7.8 Username and"));
    assert_eq!((sink.counts().refused_auth, sink.counts().auth_successes), (2, 0));
}

#[tokio::test]
async fn auth_out_of_place_is_an_error() {
    let auth = Some(AuthSettings {
        only_under_tls: true,
        mechanisms: vec![Mechanism::Login],
        ..account()
    });
    let tls = tls(TlsMode::Starttls);
    let sink = Sink::start(Settings { tls, auth, ..loopback() }).await.unwrap();
    let mut wire = Wire::connect(&sink).await;
    wire.reply().await;
    assert!(wire.ask("AUTH LOGIN\r\n").await.starts_with("503 5.5.1"));
    assert!(!wire.ask("EHLO me\r\n").await.contains("AUTH"));
    assert!(wire.ask("AUTH LOGIN\r\n").await.starts_with("538 5.7.11"));
    let mut wire = wire.secured(&sink).await;
    assert!(wire.ask("EHLO me\r\n").await.contains("AUTH LOGIN\r\n"));
    for (line, said) in [
        ("AUTH PLAIN AAAA\r\n", "504 5.5.4"),
        ("AUTH CRAM-MD5\r\n", "504 5.5.4"),
        ("AUTH LOGIN %%%\r\n", "501 5.5.2"),
        ("AUTH LOGIN\r\n", "334 "),
        ("*\r\n", "501 5.7.0"),
        ("NOOP\r\n", "250"),
        ("MAIL FROM:<>\r\n", "250"),
        ("AUTH LOGIN\r\n", "503 5.5.1"),
    ] {
        let heard = wire.ask(line).await;
        assert!(heard.starts_with(said), "{line:?}: {heard}");
    }
}

#[tokio::test]
async fn a_fault_that_can_never_strike_is_refused_at_the_start() {
    for (rule, mode, hint) in [
        ("tls:454", TlsMode::None, "take the TLS mode starttls"),
        ("tls:454", TlsMode::Implicit, "take cut, silent or a handshake fault"),
        ("tls:inject", TlsMode::Implicit, "take cut, silent or a handshake fault"),
        ("auth:535", TlsMode::None, "name a user and a secret"),
    ] {
        let settings = Settings { tls: tls(mode), faults: faults(&[rule]), ..loopback() };
        let error = Sink::start(settings).await.unwrap_err().to_string();
        assert!(error.contains(&format!("hint: {hint}")) || error.contains(hint), "{error}");
    }
    let offer = Some(vec![Extension::Auth]);
    assert!(matches!(
        Sink::start(Settings { offer, ..loopback() }).await.unwrap_err(),
        SinkError::Setting(_)
    ));
}
