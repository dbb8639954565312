//! What is left of a journal once its life is over, and when it may go.

use forthwith::domain::track::NoticeState;
use forthwith::engine::progress::Silent;
use tokio_util::sync::CancellationToken;

use crate::harness::rewound::{backed_up, put_back, recover, reopened, slow};
use crate::harness::{ANN, CAMPAIGN, House, Plan, person};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finished_journal_shrinks_and_recovers_as_well_as_a_long_one() {
    let house = House::ready(slow(300)).await;
    let backup = backed_up(&house).await;
    let taken = house.taken().len() as u64;
    let [journal] = &house.engine.journals().await.unwrap()[..] else { panic!("one life") };
    assert_eq!(journal.state, "shrunk", "{journal:?}");
    // Whoever was begun with another's final dot when it was stopped has a first mark and nothing else.
    let begun = journal.attempts - taken;
    assert!(begun <= u64::from(house.engine.relay.connections), "{journal:?}");
    assert!(journal.bytes < 400 + taken * 20 + begun * 80, "{} bytes for {taken}", journal.bytes);
    assert_eq!((journal.life, journal.campaign.as_str()), (1, CAMPAIGN));
    assert!(journal.first_at < journal.last_at, "{journal:?}");
    put_back(&house, &backup);
    let engine = reopened(&house).await;
    let report = recover(&engine, &[]).await.unwrap();
    assert!(report.is_proved, "{report:?}");
    let engine = reopened(&house).await;
    assert_eq!(engine.status(CAMPAIGN).await.unwrap().deliveries.told, taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_journal_goes_only_when_its_campaign_is_closed_and_no_backup_needs_it() {
    let house = House::ready(Plan { customers: 40, ..Plan::default() }).await;
    let engine = &house.engine;
    let early = engine.status(CAMPAIGN).await.unwrap().ledger_batch;
    engine.run(CAMPAIGN, &Silent, &CancellationToken::default()).await.unwrap();
    let late = engine.status(CAMPAIGN).await.unwrap().ledger_batch;
    assert!(engine.prunable(late).await.unwrap().is_empty(), "the campaign is not closed");
    let refused = engine.prunable(late + 1_000).await.unwrap_err().to_string();
    assert!(refused.contains("there is no ledger batch") && refused.contains("hint:"), "{refused}");

    // Whoever is left open is let go, so that it can be closed.
    let signer = engine.signer(person(ANN)).await.unwrap();
    let (row, people) = engine.people(CAMPAIGN).await.unwrap();
    let _ = (&signer, &row, &people);
    engine
        .store
        .move_notice(
            row.id,
            forthwith::store::campaigns::NoticeMove {
                from: vec![row.control.notice],
                to: NoticeState::Closed,
                cause: None,
                note: None,
            },
            vec!["{}".into()],
        )
        .await
        .unwrap();
    let closed = engine.status(CAMPAIGN).await.unwrap().ledger_batch;
    assert!(engine.prunable(early).await.unwrap().is_empty(), "that backup would need it");
    assert_eq!(engine.prunable(closed).await.unwrap().len(), 1);
    let gone = engine.prune(closed, "test").await.unwrap();
    assert_eq!((gone.len(), engine.journals().await.unwrap().len()), (1, 0));
    assert!(house.ledger_lines().await.last().unwrap().contains("journals-pruned"));
    assert!(engine.prune(closed, "test").await.unwrap().is_empty());
}
