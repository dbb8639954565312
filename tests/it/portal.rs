//! The way back in, over HTTP and mail: whoever proves a mailbox gets a new password, and nobody else.

mod abuse;
mod alike;
mod events;
mod forget;
mod integrate;
mod limits;
mod link;
mod people;
mod rules;
mod scanner;
mod status;
mod stolen;
mod verify;

use forthwith::directory::shop;
use forthwith::engine::progress::Silent;
use forthwith::store::credentials::Pick;
use reqwest::StatusCode;

use crate::harness::form::{between, code_in};
use crate::harness::visitor::{Shown, address, ask};
use crate::harness::{House, Plan};

const NEW: &str = "harbour lantern fig";

async fn secured() -> House {
    let house = House::ready(Plan::default()).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_the_mailbox_sets_a_new_password_and_the_old_one_stays_dead() {
    let house = secured().await;
    let served = house.portal().await;
    let visitor = served.visitor();
    let code_page = ask(&visitor, &address(10)).await;
    assert_eq!((code_page.status, code_page.path.as_str()), (StatusCode::OK, "/reset/code"));
    served.post().await;
    let code = house.code_to(&address(10)).unwrap();
    let wrong = visitor.send(&code_page, &[("code", "0000 0000 0000")]).await;
    assert!(wrong.problem().unwrap().contains("not valid"), "{}", wrong.html);
    assert!(wrong.html.contains("value=\"0000 0000 0000\""), "what was typed stays");
    let form = visitor.send(&code_page, &[("code", &code.replace('-', " "))]).await;
    assert_eq!(form.path, "/reset/password", "{}", form.html);
    assert!(form.html.contains("C0000010"), "{}", form.html);
    let weak = visitor.send(&form, &[("password", "northwindnorthwind")]).await;
    assert!(weak.problem().unwrap().contains("our name"), "{}", weak.html);
    let done = visitor.send_and_wait(&form, &[("password", NEW)]).await;
    assert_eq!((done.path.as_str(), done.status), ("/reset/done", StatusCode::OK), "{}", done.html);
    assert!(shop::log_in(&house.shop, "C0000010", NEW).await.unwrap());
    assert!(!shop::log_in(&house.shop, "C0000010", "old-password-10").await.unwrap());
    assert_eq!(house.credential_of("C0000010").await.0, "reset");
    served.post().await;
    let confirmation = house.mails_to(&address(10)).remove(0);
    assert!(confirmation.contains("was changed") && code_in(&confirmation).is_none());
    assert!(confirmation.contains("/reset/not-me"), "{confirmation}");
    let ledger = house.ledger_lines().await;
    assert!(ledger.iter().any(|line| line.contains(r#""by":"code""#)), "it is in the ledger");
    // the code is spent, and so is the visit's proof
    let again = visitor.send(&code_page, &[("code", &code)]).await;
    assert!(again.problem().is_some(), "{}", again.html);
    assert_eq!(visitor.get("/reset/password").await.path, "/reset");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_opens_nothing_in_another_browser_or_after_five_tries() {
    let house = secured().await;
    let served = house.portal().await;
    let (visitor, thief) = (served.visitor(), served.visitor());
    let page = ask(&visitor, &address(10)).await;
    served.post().await;
    let code = house.code_to(&address(10)).unwrap();
    let theirs = ask(&thief, &address(10)).await;
    let stolen = thief.send(&theirs, &[("code", &code)]).await;
    assert!(stolen.problem().is_some(), "{}", stolen.html);
    for _ in 0..5 {
        assert!(visitor.send(&page, &[("code", "123412341234")]).await.problem().is_some());
    }
    let late = visitor.send(&page, &[("code", &code)]).await;
    assert!(late.problem().is_some(), "five tries are spent: {}", late.html);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_and_unknown_addresses_are_answered_alike() {
    let house = secured().await;
    let served = house.portal().await;
    let known = ask(&served.visitor(), &address(10)).await;
    let unknown = ask(&served.visitor(), "nobody@nowhere.example").await;
    served.post().await;
    assert!(house.code_to(&address(10)).is_some());
    assert!(house.mails_to("nobody@nowhere.example").is_empty());
    let plain = |shown: &Shown| {
        let proof = between(&shown.html, "name=\"proof\" value=\"", "\"");
        shown.html.replace(proof.unwrap(), "")
    };
    assert_eq!(plain(&known), plain(&unknown));
}
