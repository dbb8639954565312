//! A seal taken up again after it died: what was loaded counts only if it would be loaded so again.

use std::sync::atomic::{AtomicBool, Ordering};

use forthwith::engine::progress::{Progress, Silent};

use super::{dies, house_with, many, seal};
use crate::harness::CAMPAIGN;
use crate::harness::tampering::Notes;

/// The audience of these tests with a second address a person, of whom a seal has frozen some.
const OLD_AND_NEW: &str = "customer_id,name,email,old_email\n\
     A0,Ana,new0@post.example,old0@post.example\n\
     A1,Bo,new1@post.example,old1@post.example\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_column_corrected_after_a_seal_died_is_read_anew() {
    let house = house_with(OLD_AND_NEW).await;
    house.edit("campaigns/thaw.toml", "address = \"email\"", "address = \"old_email\"");
    dies(&house, "Freezing", 0).await;
    house.edit("campaigns/thaw.toml", "address = \"old_email\"", "address = \"email\"");
    let notes = Notes::default();
    house.engine.seal(CAMPAIGN, &notes).await.unwrap();
    assert!(notes.said().contains("how the source is read"), "{}", notes.said());
    for (address, people) in [("new0@post.example", 1), ("old0@post.example", 0)] {
        let found = house.engine.find(CAMPAIGN, address).await.unwrap();
        assert_eq!(found.len(), people, "{address}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_column_that_was_empty_is_mended_and_sealed_again() {
    let house = house_with("customer_id,name,email,id\n,Ana,a@post.example,A0\n").await;
    let refused = seal(&house).await.unwrap_err().to_string();
    assert!(refused.contains("1 rows read, 1 rejected"), "{refused}");
    house.edit("campaigns/thaw.toml", "account = \"customer_id\"", "account = \"id\"");
    assert_eq!(seal(&house).await.unwrap().sealed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encoding_corrected_after_a_seal_died_is_read_anew() {
    let house = house_with("").await;
    let latin = b"customer_id,name,email\nA0,Andr\xE9,a0@post.example\nA1,Bo,a1@post.example\n";
    std::fs::write(house.path("affected.csv"), latin).unwrap();
    dies(&house, "Freezing", 0).await;
    house.edit(
        "campaigns/thaw.toml",
        "path = \"affected.csv\"",
        "path = \"affected.csv\"\nencoding = \"windows-1252\"",
    );
    let totals = seal(&house).await.unwrap();
    assert_eq!((totals.sealed, totals.rejected), (2, 0), "{totals:?}");
}

/// Dies when freezing ends: the seal is live, and nothing was cleaned up.
#[derive(Default)]
struct DiesBehindTheFlip(AtomicBool);

impl Progress for DiesBehindTheFlip {
    fn begin(&self, stage: &str, _: Option<u64>, _: &str) {
        self.0.store(stage == "Freezing", Ordering::Relaxed);
    }
    fn at(&self, _: u64) {}
    fn end(&self) {
        assert!(!self.0.load(Ordering::Relaxed), "the power goes");
    }
    fn note(&self, _: &str) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_that_died_behind_its_flip_leaves_no_staging_file_once_it_is_asked_for_again() {
    let house = house_with(&many(50)).await;
    let engine = house.engine.clone();
    let died = tokio::spawn(async move {
        engine.seal(CAMPAIGN, &DiesBehindTheFlip::default()).await.map(|_| ())
    });
    assert!(died.await.unwrap_err().is_panic());
    assert_eq!(house.status().await.source.sealed, 50, "it is live");
    let staging = house.path("data/thaw.staging");
    assert!(staging.exists());
    let refused = house.engine.seal(CAMPAIGN, &Silent).await.unwrap_err().to_string();
    assert!(refused.contains("with 50 people"), "{refused}");
    for ending in ["", "-wal", "-shm", "-rows", "-accounts", "-addresses"] {
        assert!(!house.path(&format!("data/thaw.staging{ending}")).exists(), "{ending}");
    }
}
