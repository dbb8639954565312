//! Openings against scripted servers over loopback: TLS, log-in, and what must not be said.

use super::*;
use crate::domain::duration::HumanDuration;
use crate::mail::auth::AuthSettings;
use crate::mail::scripted::Act::{self, Hear, Message, Say, Secure, Silence};
use crate::mail::scripted::Certificate::{Expired, OtherName, Valid};
use crate::mail::scripted::{authority_file, serve};
use crate::mail::settings::HelloName;
use crate::mail::tls::{TlsFault, TlsMode};
use crate::mail::wire::wire_form;
use crate::secret::relay::RelaySecret;

const GREETING: Act = Say("220 relay.example\r\n");
const EHLO: Act = Hear("EHLO me.example\r\n");
const OFFER: &str = "250-relay.example\r\n250-STARTTLS\r\n250 PIPELINING\r\n";
const SECURED: &str = "250-relay.example\r\n250-AUTH PLAIN LOGIN\r\n250 PIPELINING\r\n";
const GO_AHEAD: &str = "220 2.0.0 go ahead\r\n";

/// A relay at `address`, its secrets and authorities in `folder`.
fn settings(address: SocketAddr, tls: TlsMode, folder: &std::path::Path) -> RelaySettings {
    let hello = HelloName::try_from("me.example".to_owned()).unwrap();
    let mut settings = RelaySettings::new("127.0.0.1", address.port(), hello);
    let bound = HumanDuration::from_secs(20);
    settings.timeouts.greeting = bound;
    settings.timeouts.ehlo = bound;
    settings.timeouts.dot = bound;
    settings.tls = tls;
    settings.authorities = Some(authority_file(folder));
    settings
}

fn as_ann(mut settings: RelaySettings) -> RelaySettings {
    settings.auth = AuthSettings {
        user: "ann".into(),
        secret: Some(RelaySecret::new("pass".into())),
        ..AuthSettings::default()
    };
    settings
}

/// Opens a connection to a server with `script`; gives back what came of it and what it heard.
async fn open_with(
    script: &[Act],
    shape: impl Fn(RelaySettings) -> RelaySettings,
    tls: TlsMode,
) -> (Result<Connection, ConnectFault>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (address, server) = serve(script.to_vec()).await;
    let relay = Relay::new(shape(settings(address, tls, folder.path())));
    let opened = Connection::connect(&relay).await;
    let opened = match opened {
        // Whoever stays open would keep the server waiting.
        Ok(open) => {
            open.close().await;
            Connection::connect(&relay).await.map(|_| unreachable!("one connection is served"))
        }
        Err(fault) => Err(fault),
    };
    (opened, server.await.unwrap())
}

async fn fault(script: &[Act], tls: TlsMode) -> (ConnectFault, Vec<String>) {
    let (opened, heard) = open_with(script, |settings| settings, tls).await;
    (opened.unwrap_err(), heard)
}

#[tokio::test]
async fn starttls_secures_the_connection_and_asks_anew_what_is_offered() {
    let folder = tempfile::tempdir().unwrap();
    let script = [
        GREETING,
        EHLO,
        Say(OFFER),
        Hear("STARTTLS\r\n"),
        Say(GO_AHEAD),
        Secure(Valid),
        EHLO,
        Say(SECURED),
        Hear("AUTH PLAIN AGFubgBwYXNz\r\n"),
        Say("235 2.7.0 welcome\r\n"),
        Hear("MAIL"),
        Hear("RCPT"),
        Hear("DATA"),
        Say("250 ok\r\n250 ok\r\n354 go on\r\n"),
        Message,
        Say("250 2.0.0 Ok: queued as 4Q\r\n"),
        Hear("QUIT"),
    ];
    let (address, server) = serve(script.to_vec()).await;
    let relay = Relay::new(as_ann(settings(address, TlsMode::Starttls, folder.path())));
    let mut connection = Connection::connect(&relay).await.unwrap();
    assert!(connection.security().is_private(), "{}", connection.security());
    assert_eq!(connection.logged_in(), Some(Mechanism::Plain));
    assert!(!connection.capabilities().starttls, "what was offered in clear counts no more");
    let envelope = Envelope { from: None, to: "ann@example.com".parse().unwrap(), report: None };
    let wire = wire_form(b"Subject: x\r\n\r\nhello\r\n").unwrap();
    let end = connection.transact(&envelope, wire, || Ok(())).await;
    assert!(matches!(end, Transaction::Accepted { .. }), "{end:?}");
    connection.close().await;
    server.await.unwrap();
}

#[tokio::test]
async fn implicit_tls_begins_with_the_handshake_and_logs_in_by_login() {
    let folder = tempfile::tempdir().unwrap();
    let script = [
        Secure(Valid),
        GREETING,
        EHLO,
        Say("250-relay.example\r\n250 AUTH=LOGIN\r\n"),
        Hear("AUTH LOGIN\r\n"),
        Say("334 VXNlcm5hbWU6\r\n"),
        Hear("YW5u\r\n"),
        Say("334 UGFzc3dvcmQ6\r\n"),
        Hear("cGFzcw==\r\n"),
        Say("235 ok\r\n"),
        Hear("QUIT"),
    ];
    let (address, server) = serve(script.to_vec()).await;
    let relay = Relay::new(as_ann(settings(address, TlsMode::Implicit, folder.path())));
    let connection = Connection::connect(&relay).await.unwrap();
    assert_eq!(connection.logged_in(), Some(Mechanism::Login));
    connection.close().await;
    server.await.unwrap();
}

#[tokio::test]
async fn clear_text_behind_starttls_ends_the_connection_and_nothing_follows() {
    for injected in [
        "220 2.0.0 go ahead\r\n250 injected\r\n",
        "220 2.0.0 go ahead\r\n250-half",
        "220-2.0.0 go\r\n220 ahead\r\n220 2.0.0 go ahead\r\n",
    ] {
        let script = [GREETING, EHLO, Say(OFFER), Hear("STARTTLS\r\n"), Say(injected), Silence];
        let (fault, heard) = fault(&script, TlsMode::Starttls).await;
        let injected = matches!(fault, ConnectFault::Tls { cause: TlsFault::Injected(_), .. });
        assert!(injected && fault.is_ours(), "{fault:?}");
        assert_eq!(heard.last().map(String::as_str), Some(""), "not an octet more was said");
    }
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_is_refused_and_says_why() {
    for (kind, word) in [(Expired, "not valid today"), (OtherName, "relay.certificate_name")] {
        let script =
            [GREETING, EHLO, Say(OFFER), Hear("STARTTLS\r\n"), Say(GO_AHEAD), Secure(kind)];
        let (fault, heard) = fault(&script, TlsMode::Starttls).await;
        assert!(fault.to_string().contains(word) && fault.is_ours(), "{fault}");
        assert!(heard.last().is_some_and(|line| line.starts_with("no handshake")), "{heard:?}");
    }
    let script = [Secure(Valid)];
    let foreign = |mut settings: RelaySettings| {
        settings.authorities = None;
        settings
    };
    let (opened, _) = open_with(&script, foreign, TlsMode::Implicit).await;
    let said = opened.unwrap_err().to_string();
    assert!(said.contains("relay.authorities"), "{said}");
}

#[tokio::test]
async fn a_certificate_of_another_name_holds_where_that_name_is_asked_for() {
    let named = |mut settings: RelaySettings| {
        settings.certificate_name = Some("relay.example".into());
        settings
    };
    let script = [Secure(Valid), Say("421 not now\r\n"), Silence];
    let (opened, _) = open_with(&script, named, TlsMode::Implicit).await;
    assert!(matches!(opened, Err(ConnectFault::Refused { .. })), "{opened:?}");
}

#[tokio::test]
async fn without_starttls_nothing_is_sent_where_it_is_required() {
    let script = [GREETING, EHLO, Say("250 relay.example\r\n"), Silence];
    let (fault, heard) = fault(&script, TlsMode::Starttls).await;
    assert!(matches!(fault, ConnectFault::Tls { cause: TlsFault::NotOffered, .. }), "{fault:?}");
    assert!(fault.is_ours());
    assert_eq!(heard.last().map(String::as_str), Some(""));
}

#[tokio::test]
async fn opportunistic_takes_any_certificate_and_goes_on_in_clear_without_an_offer() {
    let secured = [
        GREETING,
        EHLO,
        Say(OFFER),
        Hear("STARTTLS\r\n"),
        Say(GO_AHEAD),
        Secure(OtherName),
        EHLO,
        Say("421 later\r\n"),
    ];
    let (fault, _) = fault(&secured, TlsMode::Opportunistic).await;
    let reached = matches!(&fault, ConnectFault::Refused { phase: Phase::Ehlo, .. });
    assert!(reached && !fault.is_ours(), "{fault:?}");
    let folder = tempfile::tempdir().unwrap();
    let (address, server) =
        serve(vec![GREETING, EHLO, Say("250 relay.example\r\n"), Hear("QUIT")]).await;
    let relay = Relay::new(settings(address, TlsMode::Opportunistic, folder.path()));
    let connection = Connection::connect(&relay).await.unwrap();
    assert_eq!(connection.security(), Security::Clear);
    connection.close().await;
    server.await.unwrap();
}

#[tokio::test]
async fn a_handshake_that_is_none_is_told_from_one_that_broke() {
    let clear = [Say("220 relay.example in clear\r\n"), Silence];
    let (fault, _) = fault(&clear, TlsMode::Implicit).await;
    let none = matches!(fault, ConnectFault::Tls { cause: TlsFault::Handshake(_), .. });
    assert!(none && fault.to_string().contains("relay.tls"), "{fault:?}");
    let cut = [GREETING, EHLO, Say(OFFER), Hear("STARTTLS\r\n"), Say(GO_AHEAD)];
    let (opened, _) = open_with(&cut, |settings| settings, TlsMode::Starttls).await;
    let fault = opened.unwrap_err();
    let broke = matches!(
        fault,
        ConnectFault::Broken {
            phase: Phase::Tls,
            cause: BreakCause::Closed | BreakCause::Io(_),
            ..
        }
    );
    assert!(broke && !fault.is_ours(), "{fault:?}");
}

#[tokio::test]
async fn a_refused_log_in_is_ours_and_a_passing_one_is_not() {
    for (reply, ours) in [
        ("535 5.7.8 wrong\r\n", true),
        ("454 4.7.0 later\r\n", false),
        ("421 4.7.0 too many\r\n", false),
        ("250 what\r\n", true),
    ] {
        let script = [GREETING, EHLO, Say(SECURED), Hear("AUTH PLAIN"), Say(reply)];
        let (opened, _) = open_with(&script, as_ann, TlsMode::None).await;
        let fault = opened.unwrap_err();
        assert!(matches!(fault, ConnectFault::Auth { .. }), "{fault:?}");
        assert_eq!(fault.is_ours(), ours, "{fault}");
        assert!(!format!("{fault} {fault:?}").contains("AGFubg"), "{fault:?}");
    }
}

#[tokio::test]
async fn xoauth2_hears_the_servers_reasons_out() {
    let by_token = |settings: RelaySettings| {
        let mut settings = as_ann(settings);
        settings.auth.mechanism = Mechanism::Xoauth2;
        settings
    };
    let script = [
        GREETING,
        EHLO,
        Say("250-relay.example\r\n250 AUTH XOAUTH2\r\n"),
        Hear("AUTH XOAUTH2 "),
        Say("334 eyJzdGF0dXMiOiI0MDEifQ==\r\n"),
        Hear("\r\n"),
        Say("535 5.7.8 token expired\r\n"),
    ];
    let (opened, _) = open_with(&script, by_token, TlsMode::None).await;
    let fault = opened.unwrap_err();
    assert!(fault.to_string().contains("token expired") && fault.is_ours(), "{fault}");
}

#[tokio::test]
async fn a_secret_is_not_told_where_it_is_missing_or_the_mechanism_is_not_offered() {
    let plain = [GREETING, EHLO, Say("250 relay.example\r\n"), Silence];
    let (opened, heard) = open_with(&plain, as_ann, TlsMode::None).await;
    assert!(opened.unwrap_err().to_string().contains("relay.auth.mechanism"));
    assert_eq!(heard.last().map(String::as_str), Some(""));
    let without = |settings: RelaySettings| {
        let mut settings = as_ann(settings);
        settings.auth.secret = None;
        settings
    };
    let offered = [GREETING, EHLO, Say(SECURED), Silence];
    let (opened, _) = open_with(&offered, without, TlsMode::None).await;
    assert!(opened.unwrap_err().to_string().contains("FORTHWITH_RELAY_SECRET"));
}

#[tokio::test]
async fn a_server_that_knows_no_ehlo_is_greeted_by_helo() {
    let folder = tempfile::tempdir().unwrap();
    let script = [
        GREETING,
        EHLO,
        Say("502 5.5.1 not implemented\r\n"),
        Hear("HELO me.example\r\n"),
        Say("250 relay.example\r\n"),
        Hear("QUIT"),
    ];
    let (address, server) = serve(script.to_vec()).await;
    let relay = Relay::new(settings(address, TlsMode::Auto, folder.path()));
    let connection = Connection::connect(&relay).await.unwrap();
    assert_eq!(connection.capabilities(), Capabilities::default());
    connection.close().await;
    server.await.unwrap();
}
