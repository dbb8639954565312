//! Whom the mailer trusts with people's names: no mail where the relay is not proved to be itself.

use forthwith::sink::{CertificateKind, CertificateSource, Certificates, Extension};

use crate::harness::CAMPAIGN;
use crate::harness::stage::Stage;

const ADA: [&str; 1] = ["ada@mail.example"];

/// Runs a stage that must pause itself; gives back what the run said.
async fn paused(stage: &Stage) -> String {
    let said = stage.run_until(async |_| false).await.expect("the run ends by itself");
    assert!(said.contains("has paused itself, 0 told so far") && said.contains("hint: "), "{said}");
    assert!(said.contains("campaign resume"), "{said}");
    let status = stage.house.engine.status(CAMPAIGN).await.unwrap();
    assert_eq!((status.notice, status.pause_cause), ("paused", Some("configuration")));
    let note = status.pause_note.unwrap_or_default();
    assert!(said.contains(&note) && !note.is_empty(), "{note}");
    assert_eq!(stage.class().await, ("queued".to_owned(), 0));
    assert_eq!(stage.sink.counts().taken(), 0);
    said
}

async fn with_certificate(kind: CertificateKind) -> Stage {
    Stage::shaped(&ADA, |settings| {
        let certificates = Certificates::make(kind, &[]).unwrap();
        settings.tls.certificate = CertificateSource::Given(certificates);
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_pauses_the_campaign_and_no_mail_is_sent() {
    let said = paused(&with_certificate(CertificateKind::Expired).await).await;
    assert!(said.contains("not valid today"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_pauses_the_campaign_and_no_mail_is_sent() {
    let said = paused(&with_certificate(CertificateKind::OtherName).await).await;
    assert!(said.contains("relay.certificate_name"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_nobody_vouches_for_pauses_the_campaign_and_no_mail_is_sent() {
    let said = paused(&with_certificate(CertificateKind::SelfSigned).await).await;
    assert!(said.contains("relay.authorities"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_starttls_that_was_stripped_pauses_the_campaign_and_no_mail_is_sent() {
    let stage = Stage::shaped(&ADA, |settings| {
        settings.offer = Some(vec![Extension::Pipelining, Extension::Size]);
        settings.tls.required = false;
        settings.auth = None;
    })
    .await;
    let said = paused(&stage).await;
    assert!(said.contains("offers no STARTTLS"), "{said}");
    let commands = stage.sink.counts().commands;
    assert_eq!(commands, stage.sink.counts().connections, "EHLO, and nothing after it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_injects_behind_starttls_gets_nothing() {
    let stage = Stage::with(&["tls:inject"], &ADA).await;
    let said = paused(&stage).await;
    assert!(said.contains("tampers with the connection"), "{said}");
    let counts = stage.sink.counts();
    assert_eq!(
        counts.commands,
        2 * counts.connections,
        "EHLO and STARTTLS, and nothing after them"
    );
    assert_eq!((counts.tls_sessions, counts.commands_after_injection), (0, 0));
    assert_eq!(counts.injected, counts.connections);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_tried_twice_at_the_most_however_many_connections_there_are() {
    let mut stage = Stage::with(&[], &ADA).await;
    stage.house.engine.relay.connections = 16;
    let wrong = forthwith::secret::relay::RelaySecret::new("not the secret".into());
    stage.house.engine.relay.auth.secret = Some(wrong);
    let said = paused(&stage).await;
    assert!(said.contains("relay.auth.user") && !said.contains("not the secret"), "{said}");
    assert_eq!(stage.sink.counts().auth_failures, 2, "more could lock our user out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_it_is_mended_resume_and_run_go_on() {
    let mut stage = Stage::with(&[], &ADA).await;
    let right = stage.house.engine.relay.auth.secret.take();
    paused(&stage).await;
    stage.house.engine.relay.auth.secret = right;
    let track = forthwith::domain::track::Track::Notice;
    stage.house.engine.resume(CAMPAIGN, track, "test").await.unwrap();
    assert_eq!(stage.run_until(async |_| false).await, None);
    assert_eq!(stage.class().await, ("told/accepted".to_owned(), 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relay_that_knows_helo_only_still_carries_mail_where_no_tls_is_asked_for() {
    let mut stage = Stage::shaped(&ADA, |settings| {
        settings.faults = vec!["ehlo:502".parse().unwrap()].into();
        settings.tls.required = false;
        settings.auth = None;
    })
    .await;
    stage.house.engine.relay.auth.user = String::new();
    stage.house.engine.relay.tls = forthwith::mail::tls::TlsMode::None;
    stage.house.approve(forthwith::domain::track::Track::Notice).await;
    assert_eq!(stage.run_until(async |_| false).await, None);
    assert_eq!(stage.class().await, ("told/accepted".to_owned(), 1));
}
