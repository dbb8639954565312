//! The whole road on one small shop.

use std::collections::BTreeMap;

use forthwith::directory::shop;
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;

use crate::harness::{CAMPAIGN, House, Plan, files_under};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_is_secured_then_told_or_named() {
    let house = House::ready(Plan::default()).await;
    assert!(shop::log_in(&house.shop, &house.facts.customer, &house.facts.password).await.unwrap());

    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    assert!(status.source.balances() && status.deliveries.balances(), "{status:?}");
    assert_eq!(status.notice, "sending-finished");
    assert_eq!(status.containment, "done");
    assert_eq!(status.deliveries.machine_open(), 0);
    assert_eq!(house.taken().len() as u64, status.deliveries.told);

    assert!(
        !shop::log_in(&house.shop, &house.facts.customer, &house.facts.password).await.unwrap()
    );
    assert_eq!(shop::sessions(&house.shop).await.unwrap(), 0);

    let again = house.run().await.unwrap();
    assert!(again.is_finished);
    assert_eq!(house.taken().len() as u64, status.deliveries.told, "a second run sends nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_a_dead_address_and_a_lost_answer_end_where_they_must() {
    let house = House::ready(Plan {
        customers: 300,
        faults: vec![
            "rcpt:550:to=customer30@*",
            "rcpt:451:share=0.2:times=1",
            "drop-after-dot:to=customer44@*:times=1",
        ],
        ..Plan::default()
    })
    .await;
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    let status = house.engine.status(CAMPAIGN).await.unwrap();
    assert!(status.deliveries.balances(), "{status:?}");
    assert_eq!(status.deliveries.reasons.get("fallback/bounced"), Some(&1), "{status:?}");
    assert_eq!(status.deliveries.in_doubt, 0);

    let twice: Vec<_> =
        house.taken().into_iter().filter(|(_, to, _)| to.starts_with("customer44@")).collect();
    assert_eq!(twice.len(), 2, "the lost answer is sent again, once");
    assert_eq!(twice[0].2, twice[1].2, "with the same Message-ID");
    let copies: Vec<String> = house
        .mails()
        .into_iter()
        .filter(|mail| mail.contains("Delivered-To: customer44@"))
        .map(|mail| {
            mail.split_once("X-Sink-Queue-Id").unwrap().1.split_once("\r\n").unwrap().1.to_owned()
        })
        .collect();
    assert_eq!(copies[0], copies[1], "and the same bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_persons_story_is_whole_and_masked() {
    let house = House::ready(Plan::default()).await;
    house.run().await.unwrap();
    let found = house.engine.find(CAMPAIGN, "customer1@post.example").await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(house.engine.find(CAMPAIGN, "C0000001").await.unwrap(), found);
    let story = house.engine.story(CAMPAIGN, found[0]).await.unwrap();
    let text = serde_json::to_string(&story).unwrap();
    assert_eq!(story.delivery.class, "told");
    assert_eq!(story.credentials[0].class, "expired");
    assert_eq!(story.attempts.len(), 1);
    assert!(story.attempts[0].queue_id.is_some(), "{text}");
    assert!(!text.contains("customer1@"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_address_or_hash_stands_in_clear_in_any_file() {
    let house = House::ready(Plan { faults: vec!["rcpt:550:share=0.3"], ..Plan::default() }).await;
    house.run().await.unwrap();
    house.engine.store.ledger_lines(0, 1).await.unwrap();
    for folder in ["data", "journal", "state"] {
        for file in files_under(&house.path(folder)) {
            let bytes = std::fs::read(&file).unwrap();
            for secret in ["@mail.example", "@post.example", "@inbox.example", "$argon2id$v=19$m=8"]
            {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{} holds {secret}", file.display());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_happens_without_approval() {
    let house = House::furnished(Plan::default()).await;
    house.seal().await;
    let report = house.run().await.unwrap();
    assert!(report.secured.is_none() && !report.is_finished);
    assert!(house.taken().is_empty());
    house.approve(Track::Notice).await;
    let refused = house.run().await.unwrap_err().to_string();
    assert!(refused.contains("containment comes first"), "{refused}");
    assert!(house.taken().is_empty());
    let signer = house.engine.signer(crate::harness::person("ann")).await.unwrap();
    drop(signer);
    let unplanned = house.engine.seal(CAMPAIGN, &Silent).await.unwrap_err().to_string();
    assert!(unplanned.contains("was sealed at"), "{unplanned}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_total_can_be_counted_again_from_the_ledger_alone() {
    let house = House::ready(Plan {
        customers: 700,
        faults: vec![
            "rcpt:550:share=0.05",
            "rcpt:451:share=0.1:times=1",
            "drop-after-dot:share=0.02",
        ],
        ..Plan::default()
    })
    .await;
    house.run().await.unwrap();
    let mut counted: BTreeMap<String, i64> = BTreeMap::new();
    for (_, line) in house.engine.store.ledger_lines(0, 10_000).await.unwrap() {
        let entry: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        match entry["kind"].as_str().unwrap() {
            "sealed" => {
                let counts = entry["counts"].as_object().unwrap();
                let sealed = counts["sealed"].as_i64().unwrap();
                let born = counts.iter().filter(|(key, _)| key.contains('/'));
                let born: BTreeMap<String, i64> =
                    born.map(|(key, count)| (key.clone(), count.as_i64().unwrap())).collect();
                counted.insert("queued".into(), sealed - born.values().sum::<i64>());
                counted.extend(born);
            }
            "attempt" | "moved" | "amended" => {
                *counted.entry(text("from")).or_default() -= 1;
                *counted.entry(text("to")).or_default() += 1;
            }
            _ => {}
        }
    }
    counted.retain(|_, count| *count != 0);
    let totals = house.engine.status(CAMPAIGN).await.unwrap().deliveries;
    let known: BTreeMap<String, i64> = totals
        .reasons
        .iter()
        .map(|(label, count)| (label.clone(), i64::try_from(*count).unwrap()))
        .collect();
    assert_eq!(counted, known, "{totals:?}");
    assert!(known.len() >= 5, "{known:?}");
}
