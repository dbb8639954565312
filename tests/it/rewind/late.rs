//! A journal that is found when all is settled: it proves who got a second copy (rule R4).

use forthwith::engine::progress::Silent;
use forthwith::engine::resolve::Verdict;

use crate::harness::rewound::{backed_up, copies, put_back, recover, reopened, run_on, slow};
use crate::harness::{ANN, CAMPAIGN, House, person};

use super::of_campaign;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_found_after_a_wrong_guess_proves_each_second_copy() {
    let house = House::ready(slow(520)).await;
    let backup = backed_up(&house).await;
    let held = house.engine.status(CAMPAIGN).await.unwrap().deliveries.held;
    assert!(held > 0, "somebody's password could not be expired");
    let lost = house.path("lost-disk");
    std::fs::rename(house.engine.workspace.journals(), &lost).unwrap();
    put_back(&house, &backup);
    let engine = reopened(&house).await;
    recover(&engine, &[]).await.unwrap();
    let engine = reopened(&house).await;
    let signer = engine.signer(person(ANN)).await.unwrap();
    // An operator who is sure, and wrong.
    engine.resolve_all(CAMPAIGN, Verdict::NotSent, "a guess", &signer, &Silent).await.unwrap();
    run_on(&engine).await;
    let twice = copies(&house).values().filter(|copies| **copies == 2).count() as u64;
    assert!(twice > 20, "{twice}");
    let status = engine.status(CAMPAIGN).await.unwrap();
    assert_eq!(status.second_copies, 0, "nobody knows yet");
    assert_eq!(status.deliveries.held, held, "nobody is told before their password is expired");

    let report = recover(&engine, std::slice::from_ref(&lost)).await.unwrap();
    assert_eq!(of_campaign(&report).second_copies, twice, "{report:?}");
    let status = engine.status(CAMPAIGN).await.unwrap();
    assert_eq!(status.second_copies, twice);
    assert!(status.deliveries.balances(), "{status:?}");
    let told = house.ledger_lines().await;
    let lines = told.iter().filter(|line| line.contains("\"kind\":\"second-copy\"")).count();
    assert_eq!(lines as u64, twice);
    let address = copies(&house).into_iter().find(|(_, copies)| *copies == 2).unwrap().0;
    let number = engine.find(CAMPAIGN, &address).await.unwrap()[0];
    let story = engine.story(CAMPAIGN, number).await.unwrap();
    let said: Vec<&str> =
        story.attempts[0].resolutions.iter().map(|one| one.result.as_str()).collect();
    assert!(said.contains(&"not-sent") && said.contains(&"second-copy-certain"), "{said:?}");

    let again = recover(&engine, &[lost]).await.unwrap();
    assert!(again.campaigns.iter().all(|line| line.second_copies + line.settled == 0), "{again:?}");
}
