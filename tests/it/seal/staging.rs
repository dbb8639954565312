//! The files of a seal under construction: what of them is torn, damaged or of an earlier load is never
//! published.

use std::os::unix::fs::FileExt as _;

use forthwith::domain::totals::SourceTotals;

use super::{BIG, BIG_TOTALS, big_house, dies, seal, verify};
use crate::harness::tampering::{Notes, execute, query};
use crate::harness::{CAMPAIGN, House};

const ROWS: u32 = 3_000;
const TOTALS: SourceTotals =
    SourceTotals { rows: 3_033, sealed: 3_000, duplicates: 30, conflicts: 3, rejected: 0 };
const FILES: [&str; 3] = ["staging-rows", "staging-accounts", "staging-addresses"];

/// How many rows a table has.
async fn count(house: &House, table: &str) -> i64 {
    let found: Vec<(i64,)> =
        query(&house.database(), &format!("SELECT COUNT(*) FROM {table}")).await;
    found[0].0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staging_file_that_lost_a_part_is_loaded_anew() {
    for (at, ending) in FILES.iter().enumerate() {
        let house = big_house(ROWS).await;
        dies(&house, "Freezing", 1).await;
        let file = house.path(&format!("data/thaw.{ending}"));
        if at == 0 {
            std::fs::remove_file(&file).unwrap();
        } else {
            let bytes = std::fs::read(&file).unwrap();
            std::fs::write(&file, &bytes[..bytes.len() - 24]).unwrap();
        }
        assert_eq!(seal(&house).await.unwrap(), TOTALS, "{ending}");
        for (table, rows) in [("recipient", 3_000), ("account_lookup", 3_000), ("seal", 1)] {
            assert_eq!(count(&house, table).await, rows, "{ending}: {table}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_damaged_are_never_published() {
    let house = big_house(ROWS).await;
    dies(&house, "Freezing", 1).await;
    let path = house.path("data/thaw.staging-rows");
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    // the first block's chunk, and the length of its first row
    for (at, value) in [(8, 7_u8), (24 + 51, 200)] {
        let sound = std::fs::read(&path).unwrap()[at];
        file.write_all_at(&[value], at as u64).unwrap();
        let refused = seal(&house).await.unwrap_err().to_string();
        assert!(refused.contains("thaw.staging-rows"), "says what to remove: {refused}");
        assert!(refused.contains("hint: "), "{refused}");
        assert!(house.engine.status(CAMPAIGN).await.is_err());
        file.write_all_at(&[sound], at as u64).unwrap();
    }
    assert_eq!(seal(&house).await.unwrap(), TOTALS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_died_after_the_load_loads_it_again() {
    let house = big_house(BIG).await;
    dies(&house, "Freezing", 1).await;
    // another boot; of the rows' file the disk has the length alone
    let changed =
        execute(&house.path("data/thaw.staging"), "UPDATE source SET boot = 'another'").await;
    assert_eq!(changed, 1);
    let rows = house.path("data/thaw.staging-rows");
    let length = usize::try_from(rows.metadata().unwrap().len()).unwrap();
    std::fs::write(&rows, vec![0; length]).unwrap();
    let notes = Notes::default();
    let sealed = house.engine.seal(CAMPAIGN, &notes).await.unwrap();
    assert!(notes.said().contains("the machine was started anew"), "{}", notes.said());
    assert_eq!(sealed.row.totals, BIG_TOTALS);
    verify(&house, &BIG_TOTALS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_begun_anew_is_not_taken_for_the_one_before_it() {
    let house = big_house(ROWS).await;
    dies(&house, "Freezing", 1).await;
    let before = std::fs::read(house.path("affected.csv")).unwrap();
    let changed = [&before[..], b"B1,Bo,b1@one.example\n"].concat();
    std::fs::write(house.path("affected.csv"), changed).unwrap();
    // the machine goes in the middle of the second load: its files are what came to the disk of them
    dies(&house, "Sealing", 1).await;
    for ending in FILES {
        std::fs::write(house.path(&format!("data/thaw.{ending}")), vec![0; 100_000]).unwrap();
    }
    std::fs::write(house.path("affected.csv"), before).unwrap();
    assert_eq!(seal(&house).await.unwrap(), TOTALS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_in_the_files_of_a_seal_is_plain_text() {
    let house = big_house(ROWS).await;
    dies(&house, "Freezing", 1).await;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(house.path("data")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("thaw.staging") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for plain in ["one.example", "Almeida"] {
            let found = bytes.windows(plain.len()).any(|part| part == plain.as_bytes());
            assert!(!found, "{name}: {plain}");
        }
        if FILES.iter().any(|ending| name.ends_with(ending)) {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
        files.push(name);
    }
    assert!(files.len() >= 4, "{files:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_that_died_among_the_look_ups_goes_on_where_it_stopped() {
    let house = big_house(ROWS).await;
    // all people are copied, no look-up is
    dies(&house, "Freezing", u64::from(ROWS)).await;
    assert_eq!(
        (count(&house, "recipient").await, count(&house, "account_lookup").await),
        (3_000, 0)
    );
    assert_eq!(seal(&house).await.unwrap(), TOTALS);
    assert_eq!(count(&house, "account_lookup").await, 3_000);
    assert_eq!(count(&house, "address_lookup").await, 3_000);
}
