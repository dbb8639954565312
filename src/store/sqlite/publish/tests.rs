//! Publishing what was staged, against a database of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::address::AddressReason;
use crate::domain::clock::SystemClock;
use crate::domain::track::Environment;
use crate::store::campaigns::{Campaigns as _, NewCampaign};
use crate::store::seals::{
    ChunkKey, Publication, SealRow, Seals as _, SharedLimits, StagedChunk, StagedRow, StagedSource,
};
use crate::store::sqlite::SqliteStore;
use crate::store::{StoreError, row};

async fn store(folder: &Path) -> (SqliteStore, i64) {
    let path = folder.join("forthwith.db");
    let clock = Arc::new(SystemClock);
    let store = SqliteStore::open(&path, true, clock, Arc::new(|_| {}), "test").await.unwrap();
    let campaign = store
        .create_campaign(NewCampaign {
            uuid: Uuid::from_u128(7),
            name: "spring".into(),
            incident: "cold-night".into(),
            directory: "shop".into(),
            environment: Environment::Rehearsal,
            wrapped_key: vec![1],
            key_ids: BTreeMap::new(),
            created_at: Timestamp::UNIX_EPOCH,
        })
        .await
        .unwrap();
    (store, campaign)
}

/// Stages people without an address and publishes them.
async fn publish(
    store: &SqliteStore,
    campaign: i64,
    path: &Path,
    people: std::ops::Range<u8>,
) -> Result<SealRow, StoreError> {
    let mut staging = store.staging(path).await.unwrap();
    let rows = people.clone().map(|n| StagedRow {
        number: 1_000 + u64::from(n),
        line: u64::from(n) + 2,
        salt: [n; 16],
        leaf: [n; 32],
        body: vec![n],
        row_digest: [n; 16],
        account: [n; 16],
        address: None,
        address_reason: AddressReason::Missing,
        name_refused: false,
        copy_of: None,
    });
    staging.append(rows.collect()).await.unwrap();
    let key = ChunkKey {
        cohort: String::new(),
        provider: "other".into(),
        zone: String::new(),
        is_copy: false,
    };
    let source = StagedSource {
        digest: [people.start; 32],
        as_of: Timestamp::UNIX_EPOCH,
        rows: people.len() as u64,
        rejected: 0,
        rules: "{}".into(),
        boot: "b".into(),
    };
    let limits = SharedLimits { combine_above: 5, worklist_above: 50 };
    staging.finish_loading(vec![StagedChunk { number: 1, key }], source, limits).await.unwrap();
    let publication = Publication {
        campaign,
        source_kind: "csv".into(),
        source_name: "people.csv".into(),
        root: [people.start; 32],
        chunk_roots: [(1, [0; 32])].into(),
        excluded: BTreeMap::new(),
        readings: Vec::new(),
    };
    staging.publish(publication, Vec::new(), &|_| {}).await
}

async fn rows(store: &SqliteStore) -> (i64, i64, i64) {
    sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM seal), (SELECT COUNT(*) FROM recipient),
                (SELECT COUNT(*) FROM delivery)",
    )
    .fetch_one(&store.reader)
    .await
    .unwrap()
}

#[tokio::test]
async fn nothing_is_written_among_the_people_of_a_live_seal() {
    let folder = tempfile::tempdir().unwrap();
    let (store, campaign) = store(folder.path()).await;
    let sealed = publish(&store, campaign, &folder.path().join("one"), 0..3).await.unwrap();
    assert_eq!((sealed.totals.sealed, rows(&store).await), (3, (1, 3, 3)));
    // Another process that looked before that seal was live, and comes with other people after it.
    let refused = publish(&store, campaign, &folder.path().join("two"), 3..9).await.unwrap_err();
    assert!(refused.to_string().contains("sealed already"), "{refused}");
    assert_eq!(rows(&store).await, (1, 3, 3));
    let live = store.live_seal(campaign).await.unwrap().unwrap();
    assert_eq!(row::int(live.totals.sealed), 3);
}
