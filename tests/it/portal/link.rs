//! The link of a notice: opened as often as anybody likes, spent by the form that carries the password.

use forthwith::directory::shop;
use forthwith::engine::progress::Silent;
use forthwith::store::credentials::{OwnWrite, Pick};
use forthwith::store::resets::{Claimed, NewClaim, Proof};
use mail_parser::MessageParser;
use reqwest::{Method, StatusCode};

use super::NEW;
use crate::harness::link::{PAGE, link_file, link_of, ready};
use crate::harness::tampering::{execute, query};
use crate::harness::visitor::Served;
use crate::harness::{CAMPAIGN, House, Plan};

/// A house whose people were told, each by a link of their own.
pub(super) async fn told() -> House {
    let plan = Plan { campaign: link_file(""), ..Plan::default() };
    let house = ready(plan).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    assert!(house.run().await.unwrap().is_finished);
    house
}

/// The link in the mail to the shop's customer of this place, with its number.
pub(super) async fn link(house: &House, place: u32) -> (String, u64) {
    let account = format!("C{place:07}");
    let number = house.number(&account).await;
    let found = house.mails().into_iter().find_map(|mail| {
        let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
        let to = parsed.to().unwrap().first().unwrap().address().unwrap().to_owned();
        (to == crate::harness::visitor::address(place)).then(|| link_of(&parsed).unwrap())
    });
    (found.expect("they got a link"), number)
}

async fn consumed(house: &House, number: u64) -> i64 {
    let sql = format!("SELECT COUNT(consumed_at) FROM reset_token WHERE number = {number}");
    query::<(i64,)>(&house.database(), &sql).await[0].0
}

async fn redeem(served: &Served, link: &str, password: &str) -> crate::harness::visitor::Shown {
    let visitor = served.visitor();
    let form = visitor.get("/reset/link").await;
    visitor.send_and_wait(&form, &[("token", link), ("password", password)]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_opened_by_anybody_and_spent_by_the_new_password_alone() {
    let house = told().await;
    let served = house.portal().await;
    let (link, number) = link(&house, 10).await;
    let (page, token) = link.split_once('#').unwrap();
    assert_eq!(page, PAGE);
    // what scanners do: no browser and no scanner sends what stands behind the `#`, some send it all the same
    let scanner = served.visitor();
    for path in
        ["/reset", "/reset/link", &format!("/reset?{token}"), &format!("/reset/link/{token}")]
    {
        for method in [Method::HEAD, Method::GET, Method::OPTIONS] {
            let url = format!("http://{}{path}", served.address);
            let answer = scanner.client().request(method, url).send().await.unwrap();
            assert!(!answer.text().await.unwrap().contains(token), "{path}");
        }
    }
    assert_eq!(consumed(&house, number).await, 0);
    let weak = redeem(&served, &link, "too short").await;
    assert!(weak.problem().unwrap().contains("too short"), "{}", weak.html);
    assert!(weak.html.contains(token), "the token stays in the form");
    assert_eq!(consumed(&house, number).await, 0);

    let done = redeem(&served, &link, NEW).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
    assert!(shop::log_in(&house.shop, "C0000010", NEW).await.unwrap());
    assert_eq!(consumed(&house, number).await, 1);
    assert_eq!(house.credential_of("C0000010").await.0, "reset");
    let again = redeem(&served, &link, "another lantern fig").await;
    assert!(again.problem().unwrap().contains("no longer valid"), "{}", again.html);
    assert!(again.html.contains("name=\"address\""), "the way by a code is there at once");
    assert!(shop::log_in(&house.shop, "C0000010", NEW).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_send_the_same_link_one_wins() {
    let house = told().await;
    let served = house.portal().await;
    let (link, number) = link(&house, 12).await;
    let passwords = ["harbour lantern fig", "violet umbrella gravel"];
    let (one, two) =
        tokio::join!(redeem(&served, &link, passwords[0]), redeem(&served, &link, passwords[1]));
    let done = [&one, &two].map(|shown| shown.path == "/reset/done");
    assert_eq!(done.iter().filter(|done| **done).count(), 1, "{} {}", one.html, two.html);
    for (password, won) in passwords.into_iter().zip(done) {
        let opens = shop::log_in(&house.shop, "C0000012", password).await.unwrap();
        assert_eq!(opens, won, "who is told so, and nobody else, gets in");
    }
    assert_eq!(consumed(&house, number).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_link_in_force_changes_nothing_and_leads_to_a_code() {
    let house = told().await;
    let served = house.portal().await;
    let (link, number) = link(&house, 10).await;
    for text in ["", "fw1_short", &link[..link.len() - 1], "https://www.northwind.example/reset"] {
        let shown = redeem(&served, text, NEW).await;
        assert!(shown.status == StatusCode::UNPROCESSABLE_ENTITY, "{text}: {}", shown.html);
        assert!(shown.html.contains("id=\"token\""), "{text}");
    }
    let huge = redeem(&served, &"x".repeat(10_000), NEW).await;
    assert_eq!(huge.status, StatusCode::UNPROCESSABLE_ENTITY);
    let other = told().await;
    let (foreign, _) = self::link(&other, 10).await;
    let shown = redeem(&served, &foreign, NEW).await;
    assert!(shown.problem().unwrap().contains("no longer valid"), "{}", shown.html);
    for change in ["expires_at = 1", "revoked_at = 1"] {
        let restore = "UPDATE reset_token SET expires_at = 9000000000000000, revoked_at = NULL";
        execute(&house.database(), restore).await;
        let spoil = format!("UPDATE reset_token SET {change} WHERE number = {number}");
        execute(&house.database(), &spoil).await;
        let shown = redeem(&served, &link, NEW).await;
        assert!(shown.problem().unwrap().contains("no longer valid"), "{change}: {}", shown.html);
        assert!(shown.html.contains("name=\"address\""), "never a dead end");
    }
    assert_eq!(house.credential_of("C0000010").await.0, "expired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_is_down_costs_nobody_their_link() {
    let house = told().await;
    let served = house.portal().await;
    let (link, number) = link(&house, 10).await;
    let away = house.path("shop.away");
    std::fs::rename(&house.shop, &away).unwrap();
    let shown = redeem(&served, &link, NEW).await;
    assert_eq!(shown.status, StatusCode::SERVICE_UNAVAILABLE, "{}", shown.html);
    assert!(shown.html.contains("still valid"), "{}", shown.html);
    assert_eq!(consumed(&house, number).await, 0);
    std::fs::rename(&away, &house.shop).unwrap();
    served.portal.end_claims().await.unwrap();
    let done = redeem(&served, &link, NEW).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
}

/// What a portal leaves that dies half way: its claim, and in the directory what `sets` says.
pub(super) async fn left_half_done(house: &House, number: u64, sets: bool) -> String {
    let (row, people) = house.engine.people(CAMPAIGN).await.unwrap();
    let before = house.hash_of("C0000010").await.unwrap();
    let word = forthwith::secret::password::Password::new(NEW.into());
    let params = forthwith::secret::password::Params::new(8, 1, 1).unwrap();
    let hash = forthwith::secret::password::hash(&word, params, &mut rand::rng()).unwrap();
    let mark = |text: &str| *people.key.seen(text.as_bytes()).as_bytes();
    let own = OwnWrite { number, planned: mark(&hash), seen: mark(&before) };
    let claim = NewClaim {
        campaign: row.id,
        number,
        proof: Proof::Token { generation: 1 },
        life: "an earlier one".into(),
        writes: vec![(row.id, own)],
    };
    let claimed = house.engine.store.claim_reset(claim).await.unwrap();
    assert!(matches!(claimed, Claimed::Yes(_)), "{claimed:?}");
    if sets {
        let sql = format!("UPDATE customer SET password_hash = '{hash}' WHERE id = 'C0000010'");
        execute(&house.shop, &sql).await;
        execute(&house.shop, "DELETE FROM session WHERE customer_id = 'C0000010'").await;
    }
    before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_that_died_after_the_directory_changed_is_finished_by_the_next() {
    let house = told().await;
    let (link, number) = link(&house, 10).await;
    left_half_done(&house, number, true).await;
    let served = house.portal().await;
    assert_eq!(served.portal.end_claims().await.unwrap(), (1, 0));
    assert_eq!(house.credential_of("C0000010").await.0, "reset");
    assert_eq!(consumed(&house, number).await, 1);
    assert!(shop::log_in(&house.shop, "C0000010", NEW).await.unwrap());
    let late = redeem(&served, &link, "another lantern fig").await;
    assert!(late.problem().is_some(), "{}", late.html);
    assert_eq!(served.portal.end_claims().await.unwrap(), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portal_that_died_before_it_leaves_the_link_as_good_as_before() {
    let house = told().await;
    let (link, number) = link(&house, 10).await;
    let before = left_half_done(&house, number, false).await;
    let served = house.portal().await;
    let busy = redeem(&served, &link, NEW).await;
    assert_eq!(busy.status, StatusCode::CONFLICT, "{}", busy.html);
    assert_eq!(served.portal.end_claims().await.unwrap(), (1, 0));
    assert_ne!(
        house.hash_of("C0000010").await.unwrap(),
        before,
        "a late write finds another value"
    );
    assert_eq!(house.credential_of("C0000010").await.0, "expired");
    assert_eq!(consumed(&house, number).await, 0);
    let done = redeem(&served, &link, NEW).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
    assert!(shop::log_in(&house.shop, "C0000010", NEW).await.unwrap());
}
