//! What is sent by whoever means no good: other sites, other hosts, too much, too slowly, too often.

use std::time::{Duration, Instant};

use forthwith::secret::mail::reference;
use reqwest::StatusCode;
use reqwest::header::{HOST, ORIGIN, SET_COOKIE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::secured;
use super::verify::reference_of;
use crate::harness::form::between;
use crate::harness::visitor::{address, ask};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_of_another_site_or_another_visit_is_not_taken() {
    let house = secured().await;
    let served = house.portal().await;
    let visitor = served.visitor();
    let start = visitor.get("/reset").await;
    let proof = between(&start.html, "name=\"proof\" value=\"", "\"").unwrap();
    let url = format!("http://{}/reset", served.address);
    let form = [("proof", proof), ("address", "customer10@inbox.example")];
    let post = || visitor.client().post(&url).form(&form);
    for (name, value) in [
        (ORIGIN, "https://evil.example"),
        ("sec-fetch-site".parse().unwrap(), "cross-site"),
        ("sec-fetch-site".parse().unwrap(), "same-site"),
    ] {
        let refused = post().header(name, value).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{value}");
    }
    let stranger = served.visitor();
    stranger.get("/reset").await;
    let refused = stranger.client().post(&url).form(&form).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN, "the proof is another visit's");
    // what browsers send of our own pages: the first two with `no-referrer`, as ours have it
    let own = format!("http://{}", served.address);
    for (site, origin) in
        [(Some("same-origin"), "null"), (None, "null"), (Some("same-origin"), &own), (None, &own)]
    {
        let post = post().header(ORIGIN, origin);
        let post = site.into_iter().fold(post, |post, site| post.header("sec-fetch-site", site));
        assert_eq!(post.send().await.unwrap().status(), StatusCode::SEE_OTHER, "{site:?} {origin}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_carries_its_headers_and_none_believes_the_host() {
    let house = secured().await;
    let served = house.portal().await;
    let visitor = served.visitor();
    for path in ["/reset", "/reset/code", "/reset/link", "/reset/not-me", "/reset/style.css", "/no"]
    {
        let url = format!("http://{}{path}", served.address);
        let answer = visitor.client().get(&url).header(HOST, "evil.example").send().await.unwrap();
        let headers = answer.headers().clone();
        let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert!(header("cache-control").contains(if path.ends_with("css") {
            "600"
        } else {
            "no-store"
        }));
        assert!(!answer.text().await.unwrap().contains("evil"), "{path}");
    }
    let fresh = served.visitor().raw("/reset").await;
    let cookie = fresh.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_much_is_refused_and_too_slow_is_ended() {
    let house = secured().await;
    let served = house.portal().await;
    let visitor = served.visitor();
    let start = visitor.get("/reset").await;
    let huge = "a".repeat(40_000);
    let shown = visitor.send(&start, &[("address", &huge)]).await;
    assert_eq!(shown.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", shown.html);
    // a header that never ends: the connection is closed, and others are served meanwhile
    let mut slow = TcpStream::connect(served.address).await.unwrap();
    slow.write_all(b"GET /reset HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let asked = Instant::now();
    assert_eq!(visitor.get("/reset").await.status, StatusCode::OK);
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(30), slow.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "it is still open after {:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_asked_for_the_reference_number_and_people_who_have_it_pass() {
    let house = secured().await;
    let served = house.portal_with(|web| web.anonymous_per_minute = 6).await;
    let mut asked = None;
    for at in 0..10 {
        let visitor = served.visitor_from(&format!("198.51.{at}.1"));
        let shown = ask(&visitor, &address(20 + at)).await;
        if shown.path == "/reset" {
            asked = Some((visitor, shown));
        }
    }
    let (visitor, page) = asked.expect("at some point the page asks for the reference number");
    assert!(page.html.contains("name=\"reference\""), "{}", page.html);
    let typed = [("address", "customer10@inbox.example"), ("reference", "nonsense")];
    let wrong = visitor.send(&page, &typed).await;
    assert!(wrong.problem().unwrap().contains("reference number"), "{}", wrong.html);
    assert!(wrong.html.contains("value=\"nonsense\""), "what was typed stays");
    let typed = [("address", address(10)), ("reference", reference_of(&house, "C0000010").await)];
    let typed: Vec<(&str, &str)> =
        typed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let through = visitor.send(&page, &typed).await;
    assert_eq!(through.path, "/reset/code", "{}", through.html);
    served.post().await;
    assert!(house.code_to(&address(10)).is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flooded_mailbox_gets_a_few_mails_and_its_owner_still_a_code() {
    let house = secured().await;
    let served = house.portal().await;
    for at in 0..12 {
        ask(&served.visitor_from(&format!("198.51.{at}.1")), &address(10)).await;
        served.post().await;
    }
    let flooded = house.mails_to(&address(10)).len();
    assert!(flooded <= 4, "{flooded} mails in an hour");
    let visitor = served.visitor_from("203.0.113.5");
    let start = visitor.get("/reset").await;
    let (to, reference) = (address(10), reference_of(&house, "C0000010").await);
    let shown = visitor.send(&start, &[("address", &to), ("reference", &reference)]).await;
    served.post().await;
    let code = house.code_to(&address(10)).unwrap();
    let form = visitor.send(&shown, &[("code", &code)]).await;
    assert_eq!(form.path, "/reset/password", "{}", form.html);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_number_of_nobody_s_or_of_somebody_else_s_gets_no_mail_past_the_limit() {
    let house = secured().await;
    let served = house.portal().await;
    let visitor = served.visitor();
    let nobodys = reference(house.engine.keys.mail(), &uuid::Uuid::nil(), 10).to_string();
    for wrong in [nobodys, reference_of(&house, "C0000011").await] {
        let start = visitor.get("/reset").await;
        let (to, fields) = (address(10), wrong.as_str());
        let shown = visitor.send(&start, &[("address", &to), ("reference", fields)]).await;
        assert_eq!(shown.path, "/reset/code", "the answer is everybody's: {}", shown.html);
        served.post().await;
        assert!(house.mails_to(&address(10)).is_empty(), "{wrong}");
    }
}
