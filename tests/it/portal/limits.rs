//! Limits: one network's flood is its own, tries at links are counted by the token's start too, and what must
//! outlive the process does.

use reqwest::StatusCode;

use super::{NEW, secured};
use crate::harness::House;
use crate::harness::visitor::{Served, Shown, address, ask};

/// Asks so often that a network has nothing left.
const FLOOD: u32 = 30;

async fn link(served: &Served, from: &str, token: &str) -> Shown {
    let visitor = served.visitor_from(from);
    let page = visitor.get("/reset/link").await;
    visitor.send(&page, &[("token", token), ("password", NEW)]).await
}

/// A token of the right form that was never issued.
fn token(start: &str) -> String {
    format!("fw1_00{start}{}A", "x".repeat(38))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_floods_takes_nothing_from_another() {
    let house = secured().await;
    let served = house.portal().await;
    let mut refused = 0;
    for at in 0..FLOOD {
        let shown = ask(&served.visitor_from("198.51.100.7"), &address(10 + at)).await;
        refused += u32::from(shown.path == "/reset");
    }
    assert!(refused > 0, "at some point the page asks for the reference number");
    // the neighbour is in the same network, the other is not
    assert_eq!(ask(&served.visitor_from("198.51.100.99"), &address(50)).await.path, "/reset");
    assert_eq!(ask(&served.visitor_from("198.51.101.7"), &address(51)).await.path, "/reset/code");
    for at in 0..FLOOD {
        ask(&served.visitor_from(&format!("2001:db8:0:1{at:02x}::1")), &address(52)).await;
    }
    assert_eq!(ask(&served.visitor_from("2001:db8:0:1ff::9"), &address(53)).await.path, "/reset");
    assert_eq!(
        ask(&served.visitor_from("2001:db8:0:2ff::9"), &address(54)).await.path,
        "/reset/code"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_at_codes_are_a_network_s_own_too() {
    let house = secured().await;
    let served = house.portal().await;
    let guesser = served.visitor_from("198.51.100.7");
    let page = ask(&guesser, &address(10)).await;
    let mut last = page.status;
    for _ in 0..3 * FLOOD {
        last = guesser.send(&page, &[("code", "0000-0000-0000")]).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let answer = guesser.sent(&page, &[("code", "0000-0000-0000")]).await;
    assert!(answer.headers().contains_key("retry-after"));
    let visitor = served.visitor_from("203.0.113.9");
    let form = house.prove(&served, &visitor, 12).await;
    assert_eq!(form.path, "/reset/password", "{}", form.html);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_at_links_are_counted_by_network_and_by_the_token_s_start() {
    let house = secured().await;
    let served = house.portal().await;
    // each from a network of its own, all with the same first four characters
    let mut refused = Vec::new();
    for at in 0..3 * FLOOD {
        let shown = link(&served, &format!("198.51.{at}.1"), &token("AAAA")).await;
        refused.push(shown.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(!refused[0] && refused[refused.len() - 1], "{refused:?}");
    let other = link(&served, "203.0.113.9", &token("AAAB")).await;
    assert!(other.problem().unwrap().contains("no longer valid"), "{}", other.html);
    // one network, each time another start
    let mut last = StatusCode::OK;
    for at in 0..3 * FLOOD {
        last = link(&served, "192.0.2.7", &token(&format!("B{at:03}"))).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    let other = link(&served, "203.0.113.10", &token("C000")).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_gives_nobody_new_tries_at_a_code_and_nobody_more_mail() {
    let house = secured().await;
    let to = address(10);
    let (visit, page, code) = {
        let served = house.portal().await;
        let visitor = served.visitor();
        let page = ask(&visitor, &to).await;
        served.post().await;
        let code = house.code_to(&to).unwrap();
        for _ in 0..5 {
            visitor.send(&page, &[("code", "123412341234")]).await;
        }
        for at in 0..6 {
            ask(&served.visitor_from(&format!("198.51.{at}.1")), &to).await;
        }
        served.post().await;
        (visitor, page, code)
    };
    let mails = house.mails_to(&to).len();
    assert_eq!(mails, 4, "four an hour");
    let served = reopened(&house).await;
    let visitor = visit.at(&served);
    let late = visitor.send(&page, &[("code", &code)]).await;
    assert!(late.problem().is_some(), "the five tries are spent: {}", late.html);
    ask(&served.visitor_from("203.0.113.9"), &to).await;
    served.post().await;
    assert_eq!(house.mails_to(&to).len(), mails);
}

/// Another portal, once the first has let go of its lock.
async fn reopened(house: &House) -> Served {
    let address = "127.0.0.1:9".parse().unwrap();
    while house.engine.portal(&[], house.portal_settings(address)).await.is_err() {
        tokio::task::yield_now().await;
    }
    house.portal().await
}
