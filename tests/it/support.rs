//! What support is told of somebody who calls: whether, when and how, never who.

use std::collections::BTreeSet;

use forthwith::domain::amendment::Change;
use forthwith::engine::progress::Silent;
use forthwith::engine::support::{Renotice, SupportLimits, SupportView};
use forthwith::store::credentials::Pick;
use jiff::SignedDuration;

use crate::harness::link::{link_file, ready};
use crate::harness::tampering::{execute, query};
use crate::harness::visitor::address;
use crate::harness::{CAMPAIGN, House, Plan, write};

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

async fn renotice(house: &House, number: u64, by: &str) -> Result<Renotice, String> {
    let asked = house.engine.support_renotice(CAMPAIGN, number, by, LIMITS).await;
    asked.map_err(|error| error.to_string())
}

/// Message-ID and subject of each notice in an address's mailbox.
fn notices(house: &House, address: &str) -> BTreeSet<String> {
    let to = house.taken().into_iter().filter(|(_, to, _)| to == address);
    to.map(|(_, _, message_id)| message_id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_copy_goes_to_the_sealed_address_and_takes_the_older_link_back() {
    let house = ready(Plan { campaign: link_file(""), ..Plan::default() }).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    let number = house.number("C0000010").await;
    let early = renotice(&house, number, "kim").await.unwrap_err();
    assert!(early.contains("still to be sent") && early.contains("support find"), "{early}");
    assert!(house.run().await.unwrap().is_finished);
    let first = house.taken().len();
    let asked = renotice(&house, number, "kim").await.unwrap();
    assert_eq!((asked.number, asked.generation, asked.is_running), (number, 2, false));
    let again = renotice(&house, number, "kim").await.unwrap_err();
    assert!(again.contains("still to be sent"), "one at a time: {again}");
    let sql = format!(
        "SELECT generation, revoked_at IS NULL FROM reset_token WHERE number = {number} ORDER BY 1"
    );
    let tokens: Vec<(i64, bool)> = query(&house.database(), &sql).await;
    assert_eq!(tokens, [(1, false)], "the older link is taken back at once");
    assert!(house.run().await.unwrap().is_finished);
    assert_eq!(house.taken().len(), first + 1, "one notice more, and no other");
    let ids = notices(&house, &address(10));
    assert_eq!(ids.len(), 2, "a notice of its own: {ids:?}");
    let tokens: Vec<(i64, bool)> = query(&house.database(), &sql).await;
    assert_eq!(tokens, [(1, false), (2, true)], "the new one is in force");
    let sql = "SELECT looked_up_by, meant FROM support_look_up WHERE what = 'renotice'";
    let kept: Vec<(String, String)> = query(&house.database(), sql).await;
    assert_eq!(kept.len(), 3, "each is kept, done or not: {kept:?}");
    assert_eq!(kept[0], ("kim".into(), "number".into()));
    let ledger = house.ledger_lines().await;
    let moved = |line: &&String| line.contains(r#""from":"told/accepted""#);
    let lines: Vec<&String> = ledger.iter().filter(moved).collect();
    assert!(lines.len() == 1 && lines[0].contains(r#""by":"kim""#), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_re_notice_is_refused_where_mail_does_not_reach_and_counts_for_the_shift() {
    let faults = vec!["rcpt:550:to=bo@*:text=5.1.1 No such user"];
    let house = House::furnished(Plan { faults, ..Plan::default() }).await;
    let list = "customer_id,name,email\nC0000010,Ann,ann@mail.example\n\
                C0000011,Bo,bo@gone.example\nC0000012,Cy,not an address\nC0000013,Di,di@mail.example\n";
    write(&house.path("affected.csv"), list);
    house.make_ready().await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    assert!(house.run().await.unwrap().is_finished);
    let number = async |account: &str| house.number(account).await;
    for account in ["C0000011", "C0000012"] {
        let number = number(account).await;
        let letter = renotice(&house, number, "kim").await.unwrap_err();
        let way = format!("amendment change-channel {CAMPAIGN} number:{number} --to post");
        assert!(letter.contains("a letter is needed") && letter.contains(&way), "{letter}");
    }
    let unknown = renotice(&house, 9_999_999, "kim").await.unwrap_err();
    assert!(unknown.contains("no recipient") && unknown.contains("hint: "), "{unknown}");
    house.amended("C0000013", Change::ReplaceAddress("new@mail.example".parse().unwrap())).await;
    assert!(house.run().await.unwrap().is_finished);
    let replaced = renotice(&house, number("C0000013").await, "kim").await.unwrap_err();
    assert!(replaced.contains("sealed addresses alone"), "{replaced}");
    let ann = number("C0000010").await;
    for _ in 0..2 {
        renotice(&house, ann, "kim").await.unwrap();
        assert!(house.run().await.unwrap().is_finished);
    }
    let spent = renotice(&house, ann, "kim").await.unwrap_err();
    assert!(spent.contains("6 people were looked up by `kim`"), "{spent}");
    assert_eq!(notices(&house, "ann@mail.example").len(), 3);
    assert!(renotice(&house, ann, "lee").await.is_ok(), "a colleague may");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_back_is_not_called_expired_once_more() {
    let house = House::ready(Plan::default()).await;
    house.secure(Pick::Pending, &Silent).await.unwrap();
    assert!(house.run().await.unwrap().is_finished);
    let (number, taken) = (house.number("C0000010").await, house.taken().len());
    let sql = format!("UPDATE credential SET class = 'regressed' WHERE number = {number}");
    execute(&house.database(), &sql).await;
    let refused = renotice(&house, number, "kim").await.unwrap_err();
    assert!(refused.contains("secure recheck"), "{refused}");
    house.run().await.unwrap();
    assert_eq!(house.taken().len(), taken);
}
