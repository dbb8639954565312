//! What support is told of somebody who calls: whether, when and how, never who.

use forthwith::engine::progress::Silent;
use forthwith::engine::support::{SupportLimits, SupportView};
use forthwith::store::credentials::Pick;
use jiff::SignedDuration;

use crate::harness::tampering::query;
use crate::harness::visitor::address;
use crate::harness::{CAMPAIGN, House, Plan};

const LIMITS: SupportLimits = SupportLimits { look_ups: 6, shift: SignedDuration::from_hours(8) };

async fn find(house: &House, who: &str, by: &str) -> Vec<SupportView> {
    house.engine.support_find(who, None, by, LIMITS, &Silent).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn support_learns_whether_when_and_how_and_nothing_else() {
    let house = House::ready(Plan::default()).await;
    let [before] = find(&house, "C0000010", "kim").await.try_into().unwrap();
    assert_eq!((before.notice.as_str(), before.password.as_str()), ("queued", ""));
    assert!(before.told_on.is_none() && before.due_about.is_some(), "{before:?}");
    house.secure(Pick::Pending, &Silent).await.unwrap();
    assert!(house.run().await.unwrap().is_finished);
    assert_eq!(house.reset(10, "harbour lantern fig").await.path, "/reset/done");
    let [by_account] = find(&house, "C0000010", "kim").await.try_into().unwrap();
    assert_eq!(
        (by_account.notice.as_str(), by_account.password.as_str()),
        ("told/accepted", "reset")
    );
    assert!(by_account.told_on.is_some() && by_account.reset_on.is_some(), "{by_account:?}");
    assert!(by_account.due_about.is_none());
    let [by_address] = find(&house, &address(10), "kim").await.try_into().unwrap();
    let typed = by_account.reference.to_lowercase().replace("fw-", " ");
    let [by_reference] = find(&house, &typed, "kim").await.try_into().unwrap();
    assert!(by_address == by_account && by_reference == by_account);
    let shown = serde_json::to_string(&by_account).unwrap();
    for value in ["C0000010", &address(10), "customer10"] {
        assert!(!shown.contains(value), "{shown}");
    }
    let told = house.engine.support_text(CAMPAIGN, by_account.number, "kim", LIMITS).await.unwrap();
    let mails = house.mails_to(&address(10));
    assert!(
        mails.iter().any(|mail| mail.starts_with(&told.rendered.subject)),
        "the words they got"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_look_up_is_kept_and_a_shift_has_so_many() {
    let house = House::furnished(Plan::default()).await;
    house.seal().await;
    for who in ["C0000010", "C0000011", "nobody@nowhere.example", "C0000012", "C0000013"] {
        let found = find(&house, who, "kim").await;
        assert_eq!(found.len(), usize::from(who.starts_with('C')), "{who}");
    }
    let number = house.number("C0000010").await;
    house.engine.support_text(CAMPAIGN, number, "kim", LIMITS).await.unwrap();
    let refused = house.engine.support_find("C0000010", None, "kim", LIMITS, &Silent).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("6 people were looked up") && refused.contains("hint:"), "{refused}");
    assert_eq!(find(&house, "C0000010", "lee").await.len(), 1, "a colleague may");
    let sql = "SELECT looked_up_by, meant, number IS NULL, what FROM support_look_up ORDER BY id";
    let kept: Vec<(String, String, bool, String)> = query(&house.database(), sql).await;
    let row =
        |by: &str, meant: &str, nobody, what: &str| (by.into(), meant.into(), nobody, what.into());
    assert_eq!(kept[0], row("kim", "account", false, "find"));
    assert_eq!(kept[2], row("kim", "account", true, "find"));
    assert_eq!(kept[5], row("kim", "number", false, "text"));
    assert_eq!(kept.len(), 7);
    let dump = format!("{kept:?}");
    assert!(!dump.contains("C00000") && !dump.contains('@'), "{dump}");
}
