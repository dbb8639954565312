//! Campaigns of 500 people through Postfix, OpenSMTPD and Exim: everybody who can be told is told once,
//! over few connections, and what a relay refuses is booked where it belongs.

use std::collections::BTreeSet;
use std::path::PathBuf;

use forthwith::domain::track::Track;
use forthwith::engine::relay::RelayReport;
use forthwith::mail::auth::{AuthSettings, Mechanism};
use forthwith::mail::settings::RelaySettings;
use forthwith::mail::tls::TlsMode;
use forthwith::secret::relay::RelaySecret;
use forthwith::sink::{CertificateKind, Certificates};
use mail_parser::MessageParser;
use tempfile::TempDir;

use crate::harness::confined::MailServer;
use crate::harness::exim::Exim;
use crate::harness::foreign::workspace;
use crate::harness::guests::{BOUNCE_DOMAIN, CONNECTIONS, Fates, GUESTS, Guests, MARKER};
use crate::harness::link::{self, Log};
use crate::harness::opensmtpd::OpenSmtpd;
use crate::harness::postfix::{Postfix, PostfixPlan};
use crate::harness::{CAMPAIGN, House, Plan};

const PASSWORD: &str = "the right one";

/// 12 % of the addresses are dead, strewn over the list as in a real one.
const STREWN: Fates = Fates { unknown: |n| n * 3 % 25 < 3, failing: |_| false };
/// As many, at its beginning.
const FIRST: Fates = Fates { unknown: |n| n < 60, failing: |_| false };
/// 4 % bounce after they were accepted.
const BOUNCING: Fates = Fates { unknown: |_| false, failing: |n| n % 25 == 7 };

/// A server's certificate, and the file with the authority that our side trusts.
struct Trust {
    certificates: Certificates,
    folder: TempDir,
}

impl Trust {
    fn new() -> Self {
        Self::with(CertificateKind::Valid)
    }

    fn with(kind: CertificateKind) -> Self {
        let trust = Self {
            certificates: Certificates::make(kind, &[]).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::write(trust.file(), &trust.certificates.authority_pem).unwrap();
        trust
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("authorities.pem")
    }

    /// Settings of a relay whose certificate is checked.
    fn by(&self, mode: TlsMode) -> impl FnOnce(&mut RelaySettings) {
        let authorities = self.file();
        move |relay| {
            relay.tls = mode;
            relay.authorities = Some(authorities);
        }
    }

    /// The same from the first octet, for an OpenSMTPD: it takes 100 mails a session, unless its
    /// `smtp limit max-mails` says otherwise, and answers 452 to every further MAIL.
    fn implicit(&self) -> impl FnOnce(&mut RelaySettings) {
        let secured = self.by(TlsMode::Implicit);
        move |relay| {
            secured(relay);
            relay.messages_per_connection = 100;
        }
    }

    /// The same by STARTTLS, with a log-in.
    fn logged_in(&self, password: &str) -> impl FnOnce(&mut RelaySettings) {
        let (secured, password) = (self.by(TlsMode::Starttls), password.to_owned());
        move |relay| {
            secured(relay);
            relay.auth = AuthSettings {
                mechanism: Mechanism::Auto,
                user: "campaigns".into(),
                secret_file: None,
                secret: Some(RelaySecret::new(password)),
            };
        }
    }
}

fn postfix(trust: &Trust, fates: Fates) -> Postfix {
    postfix_for(trust, fates.reached(), fates.failing(), BOUNCE_DOMAIN)
}

fn postfix_for(
    trust: &Trust,
    known: Vec<String>,
    failing: Vec<String>,
    bounces: &'static str,
) -> Postfix {
    Postfix::start(&PostfixPlan {
        certificates: Some(trust.certificates.clone()),
        user: Some(("campaigns", PASSWORD)),
        known,
        failing,
        bounces,
    })
}

fn plain(relay: &mut RelaySettings) {
    relay.tls = TlsMode::None;
}

/// All mails went over the connections that were opened first.
fn nothing_was_reconnected(server: &impl MailServer) {
    let connections = server.connections();
    assert!((1..=CONNECTIONS).contains(&connections), "{connections}:\n{}", server.log());
}

/// Each was closed after 100 mails and opened anew, and no more than that.
fn each_connection_was_used_up(server: &OpenSmtpd) {
    let connections = server.connections();
    assert!((1..=2 * CONNECTIONS).contains(&connections), "{connections}:\n{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postfix_tells_440_and_60_bounce_at_once() {
    let trust = Trust::new();
    let server = postfix(&trust, STREWN);
    Guests::sealed(server.port(), trust.logged_in(PASSWORD)).await.tell(&server, STREWN).await;
    nothing_was_reconnected(&server);
    let log = server.log();
    assert_eq!(log.matches("550 5.1.1").count(), STREWN.unknown(), "{log}");
    assert!(log.contains("sasl_method=PLAIN, sasl_username=campaigns"));
    assert!(log.contains("Anonymous TLS connection established") && log.contains("TLSv1.3"));
}

/// What Postfix has to say about people, to others or to itself, holds nothing of what we told them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postfix_tells_500_and_neither_its_log_nor_its_bounces_hold_the_notice() {
    let trust = Trust::new();
    let server = postfix(&trust, BOUNCING);
    Guests::sealed(server.port(), trust.logged_in(PASSWORD)).await.tell(&server, BOUNCING).await;
    nothing_was_reconnected(&server);

    let failing = BOUNCING.failing();
    let bounces = server.bounces(failing.len());
    assert_eq!(bounces.len(), failing.len());
    for bounce in &bounces {
        let text = String::from_utf8_lossy(bounce);
        assert!(text.contains("Content-Type: text/rfc822-headers"), "{text}");
        assert!(text.contains("X-Notice-Reference: FW-"), "our headers come back: {text}");
        assert!(text.contains("Original-Envelope-Id: "), "{text}");
        assert!(!text.contains(MARKER), "{text}");
    }
    let log = server.log();
    assert!(log.contains("sender non-delivery notification") && !log.contains(MARKER));
    assert!(!log.contains("Security notice"), "no subject either");
}

/// The house's people by their row of the list, in two: those whose mail arrives, and every tenth, whose
/// mail bounces. A row without an account is nobody's.
fn known_and_failing(house: &House) -> (Vec<String>, Vec<String>) {
    let listed = std::fs::read_to_string(house.path("affected.csv")).unwrap();
    let rows = listed.lines().skip(1).filter(|row| row.contains('@') && !row.starts_with(','));
    rows.map(|row| row.rsplit(',').next().unwrap().to_owned()).partition(|to| !to.contains("5@"))
}

/// The tokens of delivered mails: each is the one link of its mail, and the one its row is of.
async fn delivered(house: &House, mails: &[Vec<u8>]) -> BTreeSet<String> {
    let (rows, mut tokens) = (link::rows(house).await, BTreeSet::new());
    for mail in mails {
        let mail = MessageParser::default().parse(mail).unwrap();
        let to = mail.to().unwrap().first().unwrap().address().unwrap();
        let number = link::number_of(house, to).await;
        let row = rows.iter().find(|row| row.number == number);
        let link = link::link_of(&mail);
        assert_eq!(row.is_some(), link.is_some(), "{to}");
        let (Some(row), Some(link)) = (row, link) else { continue };
        let token = link::token_in(&link);
        assert!(link::is_digest_of(house, row, &token), "{to}");
        tokens.insert(token.expose().to_owned());
    }
    tokens
}

/// One thread, so that the log of this test is the whole log of its engine.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
async fn postfix_delivers_one_link_each_and_no_paper_of_ours_or_its_own_holds_a_token() {
    const BOUNCES: &str = "bounce.northwind.example";
    let (log, _listening) = Log::listen();
    let bouncing = format!("bounce_domain = \"{BOUNCES}\"\nfrom =");
    let campaign = link::link_file("").replace("from =", &bouncing);
    let mut house = link::furnished(Plan { customers: 60, campaign, ..Plan::default() }).await;
    let (known, failing) = known_and_failing(&house);
    let trust = Trust::new();
    let server = postfix_for(&trust, known.clone(), failing.clone(), BOUNCES);
    house.engine.relay.port = server.port();
    trust.logged_in(PASSWORD)(&mut house.engine.relay);
    house.make_ready().await;
    assert!(house.run().await.unwrap().is_finished);
    assert_eq!(house.status().await.deliveries.told, (known.len() + failing.len()) as u64);

    let (mails, bounces) = (server.mails(known.len()), server.bounces(failing.len()));
    assert_eq!((mails.len(), bounces.len()), (known.len(), failing.len()));
    let delivered = delivered(&house, &mails).await;
    // Whose mail bounced has a token too, which nobody got to see: all are made anew.
    let mut tokens = BTreeSet::new();
    for row in link::rows(&house).await {
        tokens.insert(link::token_of(&house, &row).await.expose().to_owned());
    }
    assert_eq!(link::found_in(&mails, &tokens), delivered, "the search finds what is there");
    let lost = tokens.len() - delivered.len();
    println!("{} of {} mails with a link, {lost} links bounced", delivered.len(), mails.len());
    assert!(delivered.len() > 40 && lost > 3);

    let mut papers = link::papers(&house, &log).await;
    for bounce in bounces {
        let text = String::from_utf8_lossy(&bounce);
        assert!(text.contains("Content-Type: text/rfc822-headers"), "{text}");
        assert!(text.contains("X-Notice-Reference: FW-"), "our headers come back: {text}");
        papers.push(("a bounce".into(), bounce));
    }
    papers.extend(server.logs());
    for part in ["/mail.log", "/dovecot.log"] {
        assert!(papers.iter().any(|(name, text)| name.ends_with(part) && !text.is_empty()));
    }
    link::none_holds(&papers, &tokens);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opensmtpd_tells_440_and_60_bounce_at_once() {
    let trust = Trust::new();
    let server = OpenSmtpd::start(&trust.certificates, &STREWN.reached());
    Guests::sealed(server.port(), trust.implicit()).await.tell(&server, STREWN).await;
    each_connection_was_used_up(&server);
    assert!(server.log().contains("smtp tls ciphers=TLSv1.3"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opensmtpd_tells_500() {
    let trust = Trust::new();
    let server = OpenSmtpd::start(&trust.certificates, &Fates::ALL_WELL.reached());
    Guests::sealed(server.port(), trust.implicit()).await.tell(&server, Fates::ALL_WELL).await;
    each_connection_was_used_up(&server);
}

/// From the 101st mail of a session on it answers 452 4.5.3 to every MAIL. Whoever meets that waits a
/// minute at most; the others are told meanwhile, each over a connection that still takes mail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "figures for whoever asks for them")]
async fn opensmtpd_takes_100_a_session_and_the_101st_holds_up_nobody_else() {
    let trust = Trust::new();
    let server = OpenSmtpd::start(&trust.certificates, &Fates::ALL_WELL.reached());
    let guests = Guests::sealed(server.port(), trust.by(TlsMode::Implicit)).await;
    let began = guests.engine.clock.now();
    guests.run_until_nobody_is_queued().await;
    let ended = guests.engine.clock.now();
    let waiting = guests.waiting().await;
    let status = guests.status().await.deliveries;
    assert_eq!((status.told + status.deferred, status.in_flight), (GUESTS as u64, 0), "{status:?}");
    // At most one person a session meets its end.
    assert!((1..=5).contains(&waiting.len()), "{waiting:?}:\n{}", server.log());
    assert_eq!(waiting.len() as u64, status.deferred);
    let retry = guests.engine.campaign_file(CAMPAIGN).unwrap().retry;
    let longest = retry.stretched(jiff::SignedDuration::from_mins(1), 1.0);
    for (code, enhanced, phase, due) in &waiting {
        assert_eq!((*code, enhanced.as_str(), phase.as_str()), (452, "4.5.3", "mail"));
        assert!((began..=ended + longest).contains(due), "{due} is not within {longest:#}");
    }
    let log = server.log();
    let refused = log.matches("result=\"452 4.5.3").count();
    assert_eq!(refused, waiting.len(), "{log}");
    let connections = server.connections();
    println!("{refused} refused, {connections} connections, {} told", status.told);
    assert!((5..=CONNECTIONS + refused).contains(&connections), "{connections}:\n{log}");
    assert_eq!(server.mails(GUESTS - refused).len(), GUESTS - refused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exim_tells_440_and_60_bounce_at_once() {
    let server = Exim::start(&STREWN.reached());
    Guests::sealed(server.port(), plain).await.tell(&server, STREWN).await;
    nothing_was_reconnected(&server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exim_tells_500() {
    let server = Exim::start(&Fates::ALL_WELL.reached());
    Guests::sealed(server.port(), plain).await.tell(&server, Fates::ALL_WELL).await;
    nothing_was_reconnected(&server);
}

/// Exim hangs up in place of an answer to the eleventh RSET that no mail came before. The connection is
/// lost, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exim_hangs_up_on_a_row_of_dead_addresses_and_nobody_is_lost() {
    let server = Exim::start(&FIRST.reached());
    Guests::sealed(server.port(), plain).await.tell(&server, FIRST).await;
    let (log, connections) = (server.log(), server.connections());
    assert!(log.contains("dropped: too many nonmail commands (last was \"RSET\")"), "{log}");
    let hangups = FIRST.unknown() / 11;
    assert!(connections <= CONNECTIONS + hangups, "{connections}:\n{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_pauses_the_campaign_before_postfix_locks_anybody_out() {
    let trust = Trust::new();
    let server = postfix(&trust, Fates::ALL_WELL);
    let mut guests = Guests::sealed(server.port(), trust.logged_in("the wrong one")).await;
    let said = guests.run().await.unwrap_err().to_string();
    assert!(
        said.contains("it refused our log-in: 535 5.7.8") && !said.contains("wrong one"),
        "{said}"
    );
    let status = guests.status().await;
    assert_eq!((status.notice, status.pause_cause), ("paused", Some("configuration")));
    assert_eq!((status.deliveries.queued, status.deliveries.told), (GUESTS as u64, 0));
    let failed = server.log().matches("SASL PLAIN authentication failed").count();
    // Two that count; Dovecot may have begun with a passing trouble of its own.
    assert!((2..=CONNECTIONS).contains(&failed), "{}", server.log());

    trust.logged_in(PASSWORD)(&mut guests.engine.relay);
    guests.engine.resume(CAMPAIGN, Track::Notice, "test").await.unwrap();
    guests.tell(&server, Fates::ALL_WELL).await;
}

/// `forthwith relay check` on a server with this certificate.
async fn check(
    port: u16,
    settings: impl FnOnce(&mut RelaySettings),
) -> Result<RelayReport, String> {
    let (_dir, mut engine) = workspace(port).await;
    settings(&mut engine.relay);
    engine.try_relay().await.map_err(|fault| fault.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_check_names_what_it_found() {
    let trust = Trust::new();
    let server = postfix(&trust, Fates::ALL_WELL);
    let found = check(server.port(), trust.logged_in(PASSWORD)).await.unwrap();
    assert_eq!(found.security.to_string(), "TLSv1.3, certificate checked");
    assert_eq!(found.logged_in, Some((Mechanism::Plain, "campaigns".to_owned())));
    assert!(found.offered.dsn && found.offered.pipelining && found.offered.smtputf8);
    assert_eq!(found.notes, Vec::<&str>::new());

    let refused = check(server.port(), trust.logged_in("the wrong one")).await.unwrap_err();
    assert!(refused.contains("it refused our log-in: 535 5.7.8"), "{refused}");
    let implicit = check(server.port(), trust.by(TlsMode::Implicit)).await.unwrap_err();
    assert!(implicit.contains("the TLS handshake failed"), "{implicit}");
    assert_eq!(server.log().matches("sasl_username=campaigns").count(), 1, "one that failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_proves_nothing_is_refused_before_anything_is_told() {
    for (kind, words) in [
        (CertificateKind::Expired, "its certificate is not valid today"),
        (CertificateKind::SelfSigned, "its certificate is signed by no authority"),
    ] {
        let trust = Trust::with(kind);
        let server = OpenSmtpd::start(&trust.certificates, &[]);
        let fault = check(server.port(), trust.by(TlsMode::Implicit)).await.unwrap_err();
        assert!(fault.contains(words), "{fault}");
    }
    let trust = Trust::with(CertificateKind::OtherName);
    let server = postfix(&trust, Fates::ALL_WELL);
    let fault = check(server.port(), trust.logged_in(PASSWORD)).await.unwrap_err();
    assert!(fault.contains("its certificate is not for 127.0.0.1"), "{fault}");
    assert!(!server.log().contains("sasl"), "the password was not told");
}
