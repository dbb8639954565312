//! Marks that are gone or of another machine: whoever cannot know what was sent does not guess.

use std::sync::Arc;
use tokio_util::sync::CancellationToken;

use forthwith::engine::progress::Silent;
use forthwith::engine::rewind::RewindCause;
use forthwith::journal::{HighWater, HighWaterKeeper};

use crate::harness::rewound::{back_up, backed_up, on_machine, put_back, recover, reopened, slow};
use crate::harness::{CAMPAIGN, House, Plan};

use super::of_campaign;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_mark_nothing_is_proved_and_the_whole_difference_is_held() {
    let house = House::ready(slow(200)).await;
    backed_up(&house).await;
    let taken = house.taken().len();
    std::fs::remove_file(house.engine.workspace.high_water()).unwrap();
    let engine = reopened(&house).await;
    let rewound = engine.rewound().await.unwrap().unwrap();
    assert_eq!((rewound.cause, rewound.missing_batches()), (RewindCause::MarkAbsent, None));
    let refused =
        engine.run(CAMPAIGN, &Silent, &CancellationToken::default()).await.unwrap_err().to_string();
    assert!(refused.contains("no high-water mark"), "{refused}");
    let report = recover(&engine, &[]).await.unwrap();
    assert!(!report.is_proved && of_campaign(&report).held > 0, "{report:?}");
    let engine = reopened(&house).await;
    assert!(engine.rewound().await.unwrap().is_none());
    assert_eq!(engine.status(CAMPAIGN).await.unwrap().deliveries.machine_open(), 0);
    assert_eq!(house.taken().len(), taken);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workspace_copied_to_another_machine_sends_nothing_there() {
    let house = House::ready(slow(200)).await;
    backed_up(&house).await;
    let taken = house.taken().len();
    let mut engine = reopened(&house).await;
    let host = house.path("state-of-another/high-water");
    engine.high_water = on_machine(&house, &host, [9; 16]);
    let rewound = engine.guard().await.unwrap().unwrap();
    assert_eq!(rewound.cause, RewindCause::OtherHost);
    let refused =
        engine.run(CAMPAIGN, &Silent, &CancellationToken::default()).await.unwrap_err().to_string();
    assert!(refused.contains("another machine"), "{refused}");
    // The other machine may have gone on: its journals are not here.
    let report = recover(&engine, &[]).await.unwrap();
    assert!(!report.is_proved && of_campaign(&report).held > 0, "{report:?}");
    assert_eq!(house.taken().len(), taken);
    let mut engine = reopened(&house).await;
    engine.high_water = on_machine(&house, &host, [9; 16]);
    assert!(engine.guard().await.unwrap().is_none(), "it is at home here now");

    // Back on the first machine, whose own mark went on meanwhile, it is a stranger again.
    let own = house.path("state-of-this/high-water");
    let keeper = HighWaterKeeper::open([own.clone()]).unwrap();
    let identity = engine.store.identity().await.unwrap();
    let went_on = HighWater {
        database_id: *identity.database_id.as_bytes(),
        incarnation: 1,
        batch_id: 9_999,
        batch_sha256: [7; 32],
    };
    keeper.advance(&went_on).unwrap();
    let copies = [house.engine.workspace.high_water(), own];
    engine.high_water = Arc::new(HighWaterKeeper::open(copies).unwrap());
    let rewound = engine.guard().await.unwrap().unwrap();
    assert_eq!(rewound.cause, RewindCause::BatchMissing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_entries_under_the_same_batch_and_another_incarnation_are_seen() {
    let house = House::furnished(Plan::default()).await;
    let backup = house.path("backup.db");
    back_up(&house, &backup).await;
    house.seal().await;
    put_back(&house, &backup);
    // Nobody looked when this was opened, and it went on from the backup.
    std::fs::rename(house.engine.workspace.high_water(), house.path("mark")).unwrap();
    let engine = reopened(&house).await;
    engine.store.open_gate();
    engine.seal(CAMPAIGN, &Silent).await.unwrap();
    std::fs::rename(house.path("mark"), house.engine.workspace.high_water()).unwrap();
    let engine = reopened(&house).await;
    assert_eq!(engine.rewound().await.unwrap().unwrap().cause, RewindCause::OtherBatch);
    recover(&engine, &[]).await.unwrap();
    let engine = reopened(&house).await;
    assert!(engine.rewound().await.unwrap().is_none());
    let mark = engine.high_water.read().unwrap().unwrap();
    let further = HighWater { incarnation: mark.incarnation + 1, ..mark };
    engine.high_water.restart(&further).unwrap();
    let engine = reopened(&house).await;
    assert_eq!(engine.rewound().await.unwrap().unwrap().cause, RewindCause::OtherIncarnation);
}
