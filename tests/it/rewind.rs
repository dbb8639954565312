//! A backup of the database is put back after the campaign ran on: nothing is repeated, nobody is forgotten.

mod clone;
mod evidence;
mod journals;
mod killed;
mod late;
mod link;
mod refused;

use forthwith::domain::track::NoticeState;
use forthwith::engine::progress::Silent;
use forthwith::engine::resolve::Verdict;
use forthwith::engine::rewind::{Recover, RecoverReport, Sought};
use tokio_util::sync::CancellationToken;

use crate::harness::rewound::{
    backed_up, copies, put_back, reached, recover, reopened, run_on, slow,
};
use crate::harness::{ANN, CAMPAIGN, House, person};

/// The line of the one campaign.
pub fn of_campaign(report: &RecoverReport) -> &forthwith::engine::rewind::CampaignRecovery {
    report.campaigns.iter().find(|one| one.name == CAMPAIGN).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_its_journals_a_restored_backup_repeats_nobody_and_tells_everybody_once() {
    let house = House::ready(slow(300)).await;
    let backup = backed_up(&house).await;
    let taken = house.taken().len();
    put_back(&house, &backup);
    let engine = reopened(&house).await;
    let rewound = engine.rewound().await.unwrap().unwrap();
    assert!(rewound.missing_batches().unwrap() > 1, "{rewound:?}");

    let plan = engine.recover(&Sought::default(), Recover::Look, &Silent).await.unwrap();
    assert!(plan.is_proved, "{plan:?}");
    assert!(engine.rewound().await.unwrap().is_some(), "a look changes nothing");
    let report = recover(&engine, &[]).await.unwrap();
    assert!(report.is_proved, "{report:?}");
    let line = of_campaign(&report);
    let seen = of_campaign(&plan).attempts["accepted"];
    assert_eq!(seen, line.attempts["accepted"] + report.in_flight, "{report:?}");
    assert!(line.attempts["accepted"] > 50, "{line:?}");
    assert_eq!((line.held, line.notice_paused), (0, true));

    let engine = reopened(&house).await;
    assert!(engine.rewound().await.unwrap().is_none());
    assert_eq!(engine.store.identity().await.unwrap().incarnation, 2);
    let status = engine.status(CAMPAIGN).await.unwrap();
    assert!(status.deliveries.balances() && status.source.balances(), "{status:?}");
    assert_eq!(status.deliveries.told, taken as u64, "whoever was told in the gap is told");
    assert_eq!(engine.campaign(CAMPAIGN).await.unwrap().control.notice, NoticeState::Paused);
    let refused =
        engine.run(CAMPAIGN, &Silent, &CancellationToken::default()).await.unwrap_err().to_string();
    assert!(refused.contains("rewound") && refused.contains("campaign resume"), "{refused}");
    run_on(&engine).await;
    assert!(copies(&house).values().all(|copies| *copies == 1), "{:?}", copies(&house));
    let status = engine.status(CAMPAIGN).await.unwrap();
    assert_eq!(status.deliveries.told, reached(&house).len() as u64);
    assert_eq!(status.deliveries.machine_open(), 0);
    assert!(house.ledger_lines().await.iter().any(|line| line.contains("\"kind\":\"recovered\"")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_journals_the_whole_difference_is_held_until_somebody_knows() {
    let house = House::ready(slow(300)).await;
    let backup = backed_up(&house).await;
    let reached_before = reached(&house);
    std::fs::remove_dir_all(house.engine.workspace.journals()).unwrap();
    put_back(&house, &backup);
    let engine = reopened(&house).await;
    let open = engine.status(CAMPAIGN).await.unwrap().deliveries.queued;
    let report = recover(&engine, &[]).await.unwrap();
    assert!(!report.is_proved && report.unproved_because.contains("missing"), "{report:?}");
    assert_eq!(report.missing_lives, [1]);
    let held = of_campaign(&report).held;
    assert!(held >= open, "{held} of {open}");

    let engine = reopened(&house).await;
    let status = engine.status(CAMPAIGN).await.unwrap();
    assert!(status.deliveries.balances(), "{status:?}");
    assert_eq!(status.deliveries.machine_open(), 0, "{status:?}");
    // whoever was in flight when the backup was made is in doubt by rule R2
    assert_eq!(status.deliveries.in_doubt, held + report.in_flight);
    run_on(&engine).await;
    assert_eq!(reached(&house), reached_before, "nobody is sent anything");

    // The relay's log tells who was reached.
    let signer = engine.signer(person(ANN)).await.unwrap();
    let (row, people) = engine.people(CAMPAIGN).await.unwrap();
    let (mut told, mut not) = (Vec::new(), Vec::new());
    for number in engine.doubts(CAMPAIGN).await.unwrap() {
        let found = engine.store.delivery(row.id, number).await.unwrap().unwrap();
        let one = people.open(number, &found.body.unwrap()).unwrap();
        let is_told = reached_before.contains(one.address.unwrap().as_str());
        if is_told { told.push(number) } else { not.push(number) }
    }
    let reason = "by the relay's log";
    engine.resolve(CAMPAIGN, &told, Verdict::Accepted, reason, &signer).await.unwrap();
    let all =
        engine.resolve_all(CAMPAIGN, Verdict::NotSent, reason, &signer, &Silent).await.unwrap();
    assert_eq!(all.moved, not.len() as u64);
    engine.run(CAMPAIGN, &Silent, &CancellationToken::default()).await.unwrap();
    assert!(copies(&house).values().all(|copies| *copies == 1));
    let status = engine.status(CAMPAIGN).await.unwrap();
    assert_eq!(status.deliveries.told, reached(&house).len() as u64, "{status:?}");
    assert_eq!(status.deliveries.open(), status.deliveries.person_open());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_that_was_cancelled_in_the_gap_does_not_go_on_by_itself() {
    let house = House::ready(slow(200)).await;
    let backup = backed_up(&house).await;
    let signer = house.engine.signer(person(ANN)).await.unwrap();
    house.engine.cancel(CAMPAIGN, "the wrong people", &signer, &Silent).await.unwrap();
    let taken = house.taken().len();
    put_back(&house, &backup);
    let engine = reopened(&house).await;
    recover(&engine, &[]).await.unwrap();
    let engine = reopened(&house).await;
    let refused =
        engine.run(CAMPAIGN, &Silent, &CancellationToken::default()).await.unwrap_err().to_string();
    assert!(refused.contains("paused"), "{refused}");
    assert_eq!(house.taken().len(), taken);
    let signer = engine.signer(person(ANN)).await.unwrap();
    engine.cancel(CAMPAIGN, "the wrong people, once more", &signer, &Silent).await.unwrap();
    let control = engine.campaign(CAMPAIGN).await.unwrap().control;
    assert_eq!(control.notice, NoticeState::Cancelled);
}
