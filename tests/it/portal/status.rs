//! What the company's own log-in page is told, and that nobody else is told anything.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forthwith::domain::clock::{Clock as _, SystemClock};
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::secret::webhook::{WebhookKey, signature, signed_parts};
use forthwith::store::credentials::Pick;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use super::{NEW, secured};
use crate::harness::visitor::{Served, address};
use crate::harness::{House, Plan, secret_file};

const KEY: &str = "the-log-in-page-and-we-share-this-key";

/// A portal that answers whoever has the key.
async fn portal(house: &House) -> Served {
    let path = key_file(house);
    house.portal_set(|settings| settings.status_key = Some(path)).await
}

fn key_file(house: &House) -> std::path::PathBuf {
    secret_file(&house.path("status.key"), KEY)
}

fn key(path: &Path) -> WebhookKey {
    WebhookKey::read(path, "test").unwrap()
}

/// The headers of a question, signed at a second.
fn question(key: &WebhookKey, account: &str, id: &str, second: i64) -> Vec<(&'static str, String)> {
    let account = STANDARD.encode(account);
    let at = second.to_string();
    let mac = key.sign(&[&at, id], format!(".{account}").as_bytes());
    vec![
        ("forthwith-id", id.to_owned()),
        ("forthwith-account", account),
        ("forthwith-signature", signature(&at, &mac)),
    ]
}

async fn sent(served: &Served, headers: &[(&'static str, String)]) -> Response {
    let request = served.visitor().client().get(format!("http://{}/reset/status", served.address));
    let add = |request: reqwest::RequestBuilder, (name, value): &(&'static str, String)| {
        request.header(*name, value)
    };
    headers.iter().fold(request, add).send().await.unwrap()
}

/// Asks and checks the answer's signature.
async fn ask(house: &House, served: &Served, account: &str) -> Value {
    let key = key(&key_file(house));
    let id = forthwith::secret::mail::random_id(&mut rand::rng());
    let headers = question(&key, account, &id, SystemClock.now().as_second());
    let answer = sent(served, &headers).await;
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let signed = answer.headers()["forthwith-signature"].to_str().unwrap().to_owned();
    let body = answer.bytes().await.unwrap();
    let (at, mac) = signed_parts(&signed).unwrap();
    assert!(key.verify(&[at, &id], &body, mac), "{signed}");
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["id"], id);
    let text = answer.to_string();
    assert!(!text.contains('@') && !text.contains("C00000"), "{text}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_in_page_learns_where_an_account_stands_and_where_it_goes_on() {
    let house = House::ready(Plan::default()).await;
    let served = portal(&house).await;
    let before = ask(&house, &served, "C0000010").await;
    assert_eq!((before["state"].as_str(), before.get("portal")), (Some("pending"), None));
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let expired = ask(&house, &served, "C0000010").await;
    assert_eq!(expired["state"], "expired");
    assert_eq!(expired["portal"], served.portal.page().as_str());
    assert!(expired["since"].as_str().unwrap().ends_with('Z'), "{expired}");
    for (account, state) in [
        ("C0000007", "no-password"),
        ("C9999999", "not-found"),
        ("C8888888", "unaffected"),
        // an address is no account, whoever it belongs to
        (&address(10), "unaffected"),
        ("c0000010", "unaffected"),
    ] {
        let told = ask(&house, &served, account).await;
        assert_eq!((told["state"].as_str(), told.get("portal")), (Some(state), None), "{account}");
    }
    let visitor = served.visitor();
    let form = house.prove(&served, &visitor, 10).await;
    let done = visitor.send_and_wait(&form, &[("password", NEW)]).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
    let reset = ask(&house, &served, "C0000010").await;
    assert_eq!((reset["state"].as_str(), reset.get("portal")), (Some("reset"), None));
    let nothing = ask(&house, &served, "").await;
    assert_eq!(nothing["error"], "account-unreadable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_no_key_sees_a_page_that_does_not_exist() {
    let house = secured().await;
    let served = portal(&house).await;
    let (ours, now) = (key(&key_file(&house)), SystemClock.now().as_second());
    let theirs = key(&secret_file(&house.path("their.key"), &KEY.replace("we", "they")));
    let id = "0123456789abcdef";
    let good = question(&ours, "C0000010", id, now);
    let with = |name: &str, value: &str| {
        let mut headers = good.clone();
        headers.iter_mut().find(|(known, _)| *known == name).unwrap().1 = value.to_owned();
        headers
    };
    let visitor = served.visitor();
    let missing = visitor.raw("/reset/no-such-page").await;
    let (status, missing) = (missing.status(), missing.text().await.unwrap());
    assert_eq!(status, StatusCode::NOT_FOUND);
    let other = STANDARD.encode("C0000011");
    for headers in [
        Vec::new(),
        question(&theirs, "C0000010", id, now),
        question(&theirs, "C9999999", id, now),
        question(&ours, "C0000010", id, now - 301),
        question(&ours, "C0000010", id, now + 310),
        with("forthwith-account", &other),
        with("forthwith-id", "0123456789abcdeF"),
        with("forthwith-signature", "nonsense"),
        [good.clone(), vec![("forthwith-directory", "shop".to_owned())]].concat(),
    ] {
        let answer = sent(&served, &headers).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{headers:?}");
        assert!(answer.headers().get("forthwith-signature").is_none());
        assert_eq!(answer.text().await.unwrap(), missing, "{headers:?}");
    }
    assert_eq!(sent(&served, &good).await.status(), StatusCode::OK);
    let again = sent(&served, &good).await;
    assert_eq!(again.text().await.unwrap(), missing, "a question is answered once");
    drop(served);
    let off = house.portal().await;
    let asked = question(&ours, "C0000010", "fedcba9876543210", now);
    let off = sent(&off, &asked).await;
    assert_eq!((off.status(), off.text().await.unwrap()), (StatusCode::NOT_FOUND, missing));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_directories_are_told_apart_by_name_and_too_many_questions_wait() {
    let house = secured().await;
    let path = key_file(&house);
    let settings = |settings: &mut forthwith::engine::portal::PortalSettings| {
        settings.status_key = Some(path.clone());
    };
    let served = house.portal_of(settings, |web| web.questions_per_second = 2).await;
    let (key, now) = (key(&path), SystemClock.now().as_second());
    let account = STANDARD.encode("C0000010");
    let named = |id: &str, directory: &str| {
        let at = now.to_string();
        let mac = key.sign(&[&at, id], format!("{directory}.{account}").as_bytes());
        vec![
            ("forthwith-id", id.to_owned()),
            ("forthwith-account", account.clone()),
            ("forthwith-directory", directory.to_owned()),
            ("forthwith-signature", signature(&at, &mac)),
        ]
    };
    let own = house.engine.campaign(crate::harness::CAMPAIGN).await.unwrap().directory;
    let right = sent(&served, &named("0123456789abcde1", &own)).await;
    assert_eq!(right.status(), StatusCode::OK);
    assert!(right.text().await.unwrap().contains("\"expired\""));
    let wrong = sent(&served, &named("0123456789abcde2", "another")).await;
    assert_eq!(wrong.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(wrong.text().await.unwrap().contains("directory-unknown"));
    let mut waits = false;
    for at in 0..9 {
        let answer = sent(&served, &named(&format!("0123456789abcd3{at}"), &own)).await;
        waits |= answer.status() == StatusCode::TOO_MANY_REQUESTS
            && answer.headers().get("retry-after").is_some();
    }
    assert!(waits, "nine more at once are more than two a second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_cannot_be_used_is_refused_when_the_portal_begins() {
    let house = House::furnished(Plan::default()).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    let short = secret_file(&house.path("short.key"), "hunter2");
    let mut settings = house.portal_settings("127.0.0.1:1".parse().unwrap());
    settings.status_key = Some(short);
    let refused = house.engine.portal(&[], settings).await.unwrap_err().to_string();
    assert!(refused.contains("portal.status.key_file") && refused.contains("hint: "), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
}
