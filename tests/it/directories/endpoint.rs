//! What is particular to an endpoint: signatures, retries, and what it may not do.

use std::sync::Arc;

use forthwith::directory::http::{HttpDirectory, HttpFault};
use forthwith::directory::{Controls, Directory as _, DirectoryError, Replacement};
use forthwith::domain::clock::{ManualClock, SystemClock};
use forthwith::domain::credential::CredentialKind;
use forthwith::sink::{CertificateKind, Certificates};
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::stages::hashed;
use super::{PASSWORDS, change, read};
use crate::harness::endpoint::{Endpoint, KEY, Mood};

async fn open(endpoint: &Endpoint, more: &str) -> Result<HttpDirectory, DirectoryError> {
    let settings = endpoint.settings(more);
    HttpDirectory::open(&settings, endpoint.folder.path(), Arc::new(SystemClock)).await
}

/// Ten people with a hash that costs nothing.
async fn ten() -> (Endpoint, HttpDirectory, Vec<Replacement>) {
    let endpoint = Endpoint::start().await;
    let hash = hashed(forthwith::secret::password::PasswordForm::Argon2id, "word");
    for number in 0..10 {
        endpoint.put(&format!("p{number}"), Some(hash.clone()), 1);
    }
    let directory = open(&endpoint, "rows_per_request = 4").await.unwrap();
    let names: Vec<String> = (0..10).map(|number| format!("p{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = read(&directory, &names).await;
    let rows = found.iter().map(|now| change(&directory, now, 1)).collect();
    (endpoint, directory, rows)
}

fn counted(endpoint: &Endpoint, verb: &str) -> usize {
    endpoint.inside().done.iter().filter(|done| *done == verb).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_lost_is_asked_for_again_and_nothing_is_done_twice() {
    let (endpoint, directory, rows) = ten().await;
    endpoint.inside().mood = Mood::LosesAnswers(2);
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 10);
    assert_eq!(counted(&endpoint, "replace"), 3, "four, four and two rows, each done once");
    endpoint.inside().mood = Mood::LosesAnswers(1_000);
    let before = endpoint.inside().requests;
    let error = directory.confirm(PASSWORDS, &["p1".to_owned()]).await.unwrap_err();
    assert!(error.told().contains("status 502") && error.told().contains("hint: "), "{error}");
    assert_eq!(endpoint.inside().requests - before, 4, "and not for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_asks_for_patience_gets_it() {
    let (endpoint, directory, rows) = ten().await;
    endpoint.inside().mood = Mood::Busy(2);
    let begun = std::time::Instant::now();
    assert_eq!(directory.replace(PASSWORDS, &rows[..4], &Controls::none()).await.unwrap(), 4);
    assert!(begun.elapsed().as_millis() >= 2_000, "two waits of a second");
    endpoint.inside().mood = Mood::Busy(1_000);
    let error = directory.replace(PASSWORDS, &rows[4..8], &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Http(HttpFault::Busy { status: 429, tries: 4, .. })));
    assert!(error.is_transient() && error.told().contains("per_second"), "{}", error.told());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_signed_for_this_request_is_believed_by_nobody() {
    let (endpoint, directory, rows) = ten().await;
    endpoint.inside().mood = Mood::Unsigned;
    let error = directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Http(HttpFault::Unsigned { .. })), "{error}");
    assert!(error.told().contains("somebody on the way"), "{}", error.told());
    endpoint.inside().mood = Mood::Redirects;
    let error = directory.read(PASSWORDS, &["p1".to_owned()]).await.unwrap_err();
    assert!(error.told().contains("nothing is redirected"), "{}", error.told());
    endpoint.inside().mood = Mood::Well;

    std::fs::write(endpoint.folder.path().join("key"), format!("{KEY} and more")).unwrap();
    let error = open(&endpoint, "").await.unwrap_err();
    assert!(error.told().contains("status 401") && error.told().contains("clocks"), "{error}");
    std::fs::write(endpoint.folder.path().join("key"), KEY).unwrap();
    // A message of long ago is none, whoever recorded it.
    let clock = Arc::new(ManualClock::at("2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap()));
    let late = HttpDirectory::open(&endpoint.settings(""), endpoint.folder.path(), clock).await;
    let said = late.unwrap_err().told();
    assert!(said.contains("status 401") && !said.contains(KEY), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_refused_is_counted_and_the_others_are_done() {
    let (endpoint, directory, rows) = ten().await;
    endpoint.inside().mood = Mood::Refuses("p3");
    let error = directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap_err();
    assert!(error.is_of_rows() && !error.is_alarming(), "{error}");
    assert!(error.to_string().ends_with("refuses 1: locked-by-policy"), "{error}");
    assert!(endpoint.logs_in("p3", "word") && !endpoint.logs_in("p4", "word"));
    let again = directory.replace(PASSWORDS, &rows[..3], &Controls::none()).await.unwrap();
    assert_eq!(again, 0, "the others were done the first time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_reaches_further_is_caught_by_a_control_account() {
    let (endpoint, directory, rows) = ten().await;
    let controls = Controls::new(vec!["p9".into()], read(&directory, &["p9"]).await);
    endpoint.inside().mood = Mood::Reaches("p9");
    let error = directory.replace(PASSWORDS, &rows[..2], &controls).await.unwrap_err();
    assert!(matches!(error, DirectoryError::ControlChanged { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_by_themselves_and_a_marker_is_the_endpoints_word() {
    let (endpoint, directory, _) = ten().await;
    let accounts = ["p1".to_owned(), "p2".to_owned()];
    let ended = directory.end_sessions(PASSWORDS, &accounts, &Controls::none()).await.unwrap();
    assert_eq!(ended, 2);
    let after = directory.confirm(PASSWORDS, &accounts).await.unwrap();
    assert!(after.iter().all(|now| now.sessions == 0));
    assert_eq!(directory.rehearsal_marker().await.unwrap(), None);
    endpoint.inside().rehearsal = Some("0193".into());
    assert_eq!(directory.rehearsal_marker().await.unwrap().as_deref(), Some("0193"));
    let error = directory.read(CredentialKind::ApiKey, &accounts).await.unwrap_err();
    assert!(error.told().contains("api-key") && error.told().contains("`kinds`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_keep_to_the_pace_that_was_set() {
    let (endpoint, _, _) = ten().await;
    let directory = open(&endpoint, "rows_per_request = 1\nper_second = 20").await.unwrap();
    let names: Vec<String> = (0..10).map(|number| format!("p{number}")).collect();
    let begun = std::time::Instant::now();
    directory.read(PASSWORDS, &names).await.unwrap();
    assert!(begun.elapsed().as_millis() >= 450, "ten requests, twenty a second");
}

/// TLS in front of an endpoint; the port.
async fn secured(endpoint: &Endpoint, made: &Certificates) -> u16 {
    let chain = CertificateDer::pem_slice_iter(made.chain_pem.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(made.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, behind) = (listener.local_addr().unwrap().port(), endpoint.port());
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let behind = ("127.0.0.1", behind);
                let mut server = tokio::net::TcpStream::connect(behind).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_checked() {
    let endpoint = Endpoint::start().await;
    let made = Certificates::make(CertificateKind::Valid, &[]).unwrap();
    let port = secured(&endpoint, &made).await;
    let authorities = endpoint.folder.path().join("authorities.pem");
    std::fs::write(&authorities, &made.authority_pem).unwrap();
    let table = endpoint.table(port).replace("http://", "https://");
    let open = async |more: String| {
        let settings = toml::from_str(&format!("{table}{more}")).unwrap();
        HttpDirectory::open(&settings, endpoint.folder.path(), Arc::new(SystemClock)).await
    };
    let known = format!("authorities = \"{}\"", authorities.display());
    open(known.clone()).await.unwrap();
    let other = Certificates::make(CertificateKind::Valid, &[]).unwrap();
    std::fs::write(&authorities, &other.authority_pem).unwrap();
    let said = open(known).await.unwrap_err().told();
    assert!(said.contains("certificate") && said.contains("hint: "), "{said}");
    assert!(!said.contains("https://"), "{said}");
}
