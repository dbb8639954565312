//! "Did you send this?", the published notice, and every page in every language.

use std::collections::BTreeSet;
use std::time::Instant;

use forthwith::engine::progress::Silent;
use forthwith::secret::mail::reference;
use forthwith::store::credentials::Pick;
use reqwest::StatusCode;

use crate::harness::visitor::{Served, Shown, address};
use crate::harness::{CAMPAIGN, House, Plan};

async fn told() -> House {
    let house = House::ready(Plan::default()).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    assert!(house.run().await.unwrap().is_finished);
    house
}

pub async fn reference_of(house: &House, account: &str) -> String {
    let (_, people) = house.engine.people(CAMPAIGN).await.unwrap();
    let number = house.number(account).await;
    reference(house.engine.keys.mail(), &people.uuid, number).to_string()
}

async fn check(served: &Served, reference: &str, address: &str) -> Shown {
    let visitor = served.visitor();
    let page = visitor.get("/reset/verify").await;
    visitor.send(&page, &[("reference", reference), ("address", address)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notice_is_confirmed_to_whoever_has_its_number_and_its_address() {
    let house = told().await;
    let served = house.portal().await;
    let reference = reference_of(&house, "C0000010").await;
    let yes = check(&served, &reference, &address(10)).await;
    assert!(yes.html.contains("we sent a message to this address"), "{}", yes.html);
    assert!(yes.html.contains("<q>") && yes.html.contains("contains no link"), "{}", yes.html);
    assert!(!yes.html.contains("genuine"));
    let other = reference_of(&house, "C0000011").await;
    let mut bodies = BTreeSet::new();
    let mut times = Vec::new();
    for (reference, to) in [
        (other.as_str(), address(10)),
        (reference.as_str(), address(11)),
        (reference.as_str(), "nobody@nowhere.example".to_owned()),
        ("FW-0000-0000-0000", address(10)),
    ] {
        let begun = Instant::now();
        let no = check(&served, reference, &to).await;
        times.push(begun.elapsed());
        assert!(no.html.contains("cannot confirm"), "{}", no.html);
        let told = crate::harness::form::between(&no.html, "role=\"status\">", "</div>").unwrap();
        bodies.insert(told.to_owned());
    }
    assert_eq!(bodies.len(), 1, "one answer for all that is not so");
    assert!(times.iter().all(|time| time.as_millis() >= 400), "{times:?}");
    let bad = check(&served, "nonsense", &address(10)).await;
    assert!(bad.problem().unwrap().contains("FW-"), "{}", bad.html);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_notice_is_published_before_anybody_is_told_and_confirms_nothing_then() {
    let house = House::ready(Plan::default()).await;
    let served = house.portal().await;
    let notice = served.visitor().get("/reset/notice").await;
    assert!(notice.html.contains("Someone without permission reached a server"), "{}", notice.html);
    assert!(notice.html.contains("14\u{a0}January 2012"), "{}", notice.html);
    let reference = reference_of(&house, "C0000010").await;
    let not_yet = check(&served, &reference, &address(10)).await;
    assert!(not_yet.html.contains("cannot confirm"), "{}", not_yet.html);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_there_in_every_language_and_remembers_it() {
    let house = House::ready(Plan::default()).await;
    let served = house.portal().await;
    let languages: Vec<String> =
        served.portal.pages().languages().map(|(tag, _)| tag.to_owned()).collect();
    assert_eq!(languages, ["de", "en", "es", "fr", "pt"]);
    let pages = ["", "/code", "/link", "/notice", "/questions", "/verify", "/not-me", "/no-page"];
    for language in &languages {
        let visitor = served.visitor();
        for (at, page) in pages.iter().enumerate() {
            let query = if at == 0 { format!("?lang={language}") } else { String::new() };
            let shown = visitor.get(&format!("/reset{page}{query}")).await;
            let wanted = if *page == "/no-page" { StatusCode::NOT_FOUND } else { StatusCode::OK };
            assert_eq!(shown.status, wanted, "{page}");
            assert!(
                shown.html.contains(&format!("<html lang=\"{language}\"")),
                "{page} {language}"
            );
            // no text was left without its values
            assert!(!shown.html.contains('{') && !shown.html.contains('}'), "{}", shown.html);
        }
    }
}
