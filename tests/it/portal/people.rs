//! Who gets a code, who is told how support helps, and who is pointed elsewhere.

use forthwith::domain::amendment::Change;
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::store::credentials::Pick;

use super::{NEW, secured};
use crate::harness::form::code_in;
use crate::harness::visitor::{Served, address, ask};
use crate::harness::{House, Plan, campaign_file, write};

/// What somebody gets by mail who asks with this address.
async fn mails(house: &House, served: &Served, to: &str) -> Vec<String> {
    ask(&served.visitor(), to).await;
    served.post().await;
    house.mails_to(to)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_without_a_password_gets_none_and_one_still_to_be_secured_waits() {
    let house = House::ready(Plan::default()).await;
    let served = house.portal().await;
    let waits = mails(&house, &served, &address(10)).await;
    assert!(waits[0].contains("still securing") && code_in(&waits[0]).is_none(), "{waits:?}");
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let none = mails(&house, &served, &address(7)).await;
    assert!(none[0].contains("no password with us") && code_in(&none[0]).is_none(), "{none:?}");
    let known = mails(&house, &served, &address(10)).await;
    assert!(known.iter().any(|mail| code_in(mail).is_some()), "{known:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_was_replaced_gets_nothing_and_neither_does_the_new_one() {
    let house = secured().await;
    house.amended("C0000010", Change::ReplaceAddress("new@mail.example".parse().unwrap())).await;
    let served = house.portal().await;
    assert!(mails(&house, &served, &address(10)).await.is_empty());
    assert!(mails(&house, &served, "new@mail.example").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_may_be_another_s_is_told_how_support_helps() {
    let campaign = campaign_file("").replace(
        "columns = { account = \"customer_id\", address = \"email\", name = \"name\" }",
        "columns = { account = \"customer_id\", address = \"email\", name = \"name\", \
         address_changed_at = \"changed\" }",
    );
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    let list = "customer_id,name,email,changed\n\
                C0000010,Ann,ann@mail.example,2012-01-15T10:00:00Z\n\
                C0000011,Bo,bo@mail.example,2011-01-15T10:00:00Z\n";
    write(&house.path("affected.csv"), list);
    house.seal().await;
    house.approve(Track::Containment).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let served = house.portal().await;
    let suspect = mails(&house, &served, "ann@mail.example").await;
    assert!(suspect[0].contains("do not send a code"), "{suspect:?}");
    assert!(code_in(&suspect[0]).is_none());
    let known = mails(&house, &served, "bo@mail.example").await;
    assert!(code_in(&known[0]).is_some(), "{known:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_code_opens_all_accounts_of_a_mailbox_one_after_the_other() {
    let house = House::furnished(Plan::default()).await;
    let list = "customer_id,name,email\nC0000010,Ann,both@mail.example\n\
                C0000011,Ann,both@mail.example\n";
    write(&house.path("affected.csv"), list);
    house.seal().await;
    house.approve(Track::Containment).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let served = house.portal().await;
    let visitor = served.visitor();
    let page = ask(&visitor, "both@mail.example").await;
    served.post().await;
    assert_eq!(house.mails_to("both@mail.example").len(), 1, "one code");
    let code = house.code_to("both@mail.example").unwrap();
    let form = visitor.send(&page, &[("code", &code)]).await;
    let none = visitor.send(&form, &[("password", NEW)]).await;
    assert!(none.problem().unwrap().contains("Choose one"), "{}", none.html);
    let keys: Vec<&str> = form
        .html
        .split("name=\"account\" value=\"")
        .skip(1)
        .map(|part| part.split('"').next().unwrap())
        .collect();
    assert_eq!(keys.len(), 2, "{}", form.html);
    let first = visitor.send_and_wait(&form, &[("account", keys[0]), ("password", NEW)]).await;
    assert!(first.html.contains("/reset/password"), "the other account follows: {}", first.html);
    let form = visitor.get("/reset/password").await;
    let second = visitor.send_and_wait(&form, &[("password", "violet umbrella gravel")]).await;
    assert_eq!(second.path, "/reset/done");
    assert!(!second.html.contains("/reset/password\""), "{}", second.html);
    for account in ["C0000010", "C0000011"] {
        assert_eq!(house.credential_of(account).await.0, "reset");
    }
}
