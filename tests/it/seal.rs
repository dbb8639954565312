//! Sealing: every source row is accounted for, a seal that dies is finished or begun anew, and nobody
//! sees it before it is whole.

mod again;
mod staging;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use forthwith::domain::chunk::chunk_of;
use forthwith::domain::recipient::Recipient;
use forthwith::domain::totals::SourceTotals;
use forthwith::domain::track::Track;
use forthwith::engine::EngineError;
use forthwith::engine::progress::{Progress, Silent};
use forthwith::ledger::merkle::{TreeHasher, leaf};
use forthwith::secret::digest::{Digest, LpBuilder};

use crate::harness::snapshot::Told;
use crate::harness::tampering::{Notes, query, standing_clock};
use crate::harness::{CAMPAIGN, House, Plan, campaign_file};

/// A house whose audience is this text.
async fn house_with(csv: &str) -> House {
    let house = House::furnished(Plan::default()).await;
    std::fs::write(house.path("affected.csv"), csv).unwrap();
    house
}

async fn seal(house: &House) -> Result<SourceTotals, EngineError> {
    Ok(house.engine.seal(CAMPAIGN, &Silent).await?.row.totals)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_conflicts_and_rejects_are_each_counted_and_kept() {
    let house = house_with(
        "customer_id,name,email\n\
         C0000001,Ana Almeida,customer1@post.example\n\
         C0000002,Bjørn Almeida,customer2@inbox.example\n\
         C0000001,Ana Almeida,customer1@post.example\n\
         C0000002,Bjørn Almeida,other@inbox.example\n\
         ,Lost,lost@mail.example\n\
         C0000003,\"Chloé\n\
         C0000004,Dmitri,customer4@mail.example,more\n\
         C0000005,Élodie,\n\
         C0000006,Fatima,not an address\n\
         C0000002,Bjørn Almeida,third@inbox.example\n\
         C0000002,Bjørn Almeida,customer2@inbox.example\n",
    )
    .await;
    let totals = seal(&house).await.unwrap();
    let expected = SourceTotals { rows: 11, sealed: 4, duplicates: 2, conflicts: 2, rejected: 3 };
    assert_eq!(totals, expected);
    assert!(totals.balances());

    let listed = std::fs::read_to_string(house.path("rejects/thaw.duplicates.csv")).unwrap();
    assert_eq!(
        listed,
        "line,of_line,kind,number\n4,2,duplicate,1000\n5,3,conflict,1001\n11,3,conflict,1001\n\
         12,3,duplicate,1001\n"
    );
    let rejects = std::fs::read_to_string(house.path("rejects/thaw.csv")).unwrap();
    let mut told = Told::of("rejected-rows");
    told.rejects("no account, a quote, a value too many", &rejects);
    told.same();
    for file in ["rejects/thaw.csv", "rejects/thaw.duplicates.csv"] {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(house.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }

    let status = house.status().await;
    assert!(status.deliveries.balances() && status.source.balances());
    assert_eq!(status.deliveries.queued, 1);
    let reasons: Vec<_> = status.deliveries.reasons.clone().into_iter().collect();
    let expected =
        [("fallback/address:invalid", 1), ("fallback/address:missing", 1), ("held/conflict", 1)];
    assert_eq!(reasons, expected.map(|(reason, count)| (reason.to_owned(), count)));
    assert_eq!(house.delivery_of("C0000002").await, ("held", "conflict".into()));
    assert_eq!(house.delivery_of("C0000005").await, ("fallback", "address:missing".into()));
    assert_eq!(house.delivery_of("C0000006").await, ("fallback", "address:invalid".into()));
    assert!(house.engine.find(CAMPAIGN, "other@inbox.example").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_in_conflict_and_one_without_an_address_are_expired_all_the_same() {
    let house = house_with(
        "customer_id,name,email\n\
         C0000001,Ana,customer1@post.example\n\
         C0000001,Ana,thief@post.example\n\
         C0000002,Bjørn,\n",
    )
    .await;
    house.seal().await;
    house.approve(Track::Containment).await;
    let before = [house.hash_of("C0000001").await, house.hash_of("C0000002").await];
    house.run().await.unwrap();
    for (account, hash) in ["C0000001", "C0000002"].into_iter().zip(before) {
        assert_eq!(house.credential_of(account).await.0, "expired");
        assert_ne!(house.hash_of(account).await, hash);
    }
    assert_eq!(house.delivery_of("C0000001").await, ("held", "conflict".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audience_of_only_rejects_is_refused() {
    let house = house_with("customer_id,name,email\n,Lost,lost@mail.example\n,,\n").await;
    let mut told = Told::of("only-rejects");
    told.error("two rows without an account", seal(&house).await.unwrap_err());
    told.same();
    assert!(house.engine.status(CAMPAIGN).await.is_err());
    // mended, it is sealed
    std::fs::write(house.path("affected.csv"), "customer_id,name,email\nC0000001,A,a@b.example\n")
        .unwrap();
    assert_eq!(seal(&house).await.unwrap().sealed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_frozen_once() {
    let house = House::furnished(Plan { clock: standing_clock(), ..Plan::default() }).await;
    let totals = seal(&house).await.unwrap();
    std::fs::write(house.path("affected.csv"), "customer_id,name,email\nC9,X,x@y.example\n")
        .unwrap();
    let mut told = Told::of("sealed-twice");
    told.error("another list of the same campaign", seal(&house).await.unwrap_err());
    told.same();
    assert_eq!(house.status().await.source, totals);
    assert!(!house.path("data/thaw.staging").exists(), "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_query_is_an_audience_too() {
    let file = campaign_file("");
    let (head, tail) = file.split_once("[audience.csv]").unwrap();
    let tail = tail.split_once("[directory]").unwrap().1;
    let audience = "[audience.sql]\nurl = \"sqlite:shop.db\"\nquery = \"SELECT id, name, email \
                    FROM customer UNION ALL SELECT NULL, 'x', 'y@z.example' ORDER BY 1\"\ncolumns = \
                    { account = \"id\", address = \"email\", name = \"name\" }\n\n[directory]";
    let campaign = format!("{head}{audience}{tail}");
    let house = House::ready(Plan { campaign, ..Plan::default() }).await;
    let status = house.status().await;
    let expected = SourceTotals { rows: 61, sealed: 60, duplicates: 0, conflicts: 0, rejected: 1 };
    assert_eq!(status.source, expected);
    let report = house.run().await.unwrap();
    assert!(report.is_finished);
    assert_eq!(house.taken().len(), 60);
}

/// Rows over four providers, every hundredth one twice, every thousandth in conflict.
fn many(rows: u32) -> String {
    let mut text = String::from("customer_id,name,email\n");
    for place in 0..rows {
        let domain = ["one.example", "two.example", "three.example", "four.example"]
            [usize::try_from(place * place % 7 % 4).unwrap()];
        let row = format!("A{place},Ana Almeida,a{place}@{domain}");
        writeln!(text, "{row}").unwrap();
        if place % 100 == 3 {
            writeln!(text, "{row}").unwrap();
        }
        if place % 1_000 == 5 {
            writeln!(text, "A{place},Ana Almeida,b{place}@{domain}").unwrap();
        }
    }
    text
}

const PROVIDERS: &str = "
    [provider.other]\nconnections = 100\nmessages_per_connection = 1000
    [provider.one]\ndomains = [\"one.example\"]\nconnections = 9\nmessages_per_connection = 9
    [provider.two]\ndomains = [\"two.example\"]\nconnections = 9\nmessages_per_connection = 9";

async fn big_house(rows: u32) -> House {
    let mut house = house_with(&many(rows)).await;
    house.engine.providers = Arc::new(toml::from_str(PROVIDERS).unwrap());
    house
}

const BIG: u32 = 20_000;
const BIG_TOTALS: SourceTotals =
    SourceTotals { rows: 20_220, sealed: 20_000, duplicates: 200, conflicts: 20, rejected: 0 };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_are_of_one_provider_and_their_roots_prove_every_row() {
    let house = big_house(BIG).await;
    assert_eq!(seal(&house).await.unwrap(), BIG_TOTALS);
    verify(&house, &BIG_TOTALS).await;
}

/// Number, first, last, root, provider, size.
type Chunk = (i64, i64, i64, Vec<u8>, String, i64);

/// Opens every row, re-hashes every chunk and the root above them, and looks every account up.
async fn verify(house: &House, totals: &SourceTotals) {
    let (row, people) = house.engine.people(CAMPAIGN).await.unwrap();
    let sealed = house.engine.store.live_seal(row.id).await.unwrap().unwrap();
    assert_eq!(sealed.totals, *totals);
    let chunks: Vec<Chunk> = query(
        &house.database(),
        "SELECT number, first_number, last_number, root, provider, size FROM chunk ORDER BY number",
    )
    .await;
    let rows: Vec<(i64, Vec<u8>, Vec<u8>)> =
        query(&house.database(), "SELECT number, salt, body FROM recipient ORDER BY number").await;
    assert_eq!(rows.len() as u64, totals.sealed);
    let mut by_chunk: BTreeMap<u64, Vec<(u64, [u8; 16], Recipient)>> = BTreeMap::new();
    let mut accounts = BTreeSet::new();
    for (number, salt, body) in rows {
        let number = u64::try_from(number).unwrap();
        let recipient = people.open(number, &body).unwrap();
        assert!(accounts.insert(recipient.account.as_str().to_owned()), "sealed twice");
        let salt: [u8; 16] = salt.try_into().unwrap();
        by_chunk.entry(chunk_of(number)).or_default().push((number, salt, recipient));
    }
    assert_eq!(by_chunk.len(), chunks.len());
    let mut upper = TreeHasher::new();
    let mut gaps = 0;
    for (number, first, last, root, provider, size) in chunks {
        let (number, root) = (u64::try_from(number).unwrap(), root.try_into().unwrap());
        let members = &by_chunk[&number];
        assert_eq!(members.len(), usize::try_from(size).unwrap());
        let leaves: Vec<_> = members.iter().map(|(n, salt, person)| (*n, *salt, person)).collect();
        people.check_chunk(number, &root, &leaves).unwrap();
        for (place, _, recipient) in members {
            assert!((first..=last).contains(&i64::try_from(*place).unwrap()));
            let domain = recipient.address.as_ref().unwrap().domain();
            let expected = house.engine.providers.lookup(domain).as_str();
            assert_eq!(expected, provider, "chunk {number}");
        }
        gaps += last - first + 1 - size;
        let record = LpBuilder::new().number(number).number(members.len() as u64).raw(&root);
        upper.push(leaf(&record.finish()));
    }
    assert_eq!(upper.root(), Digest::from_bytes(sealed.root));
    assert!(gaps >= 220, "duplicates leave gaps: {gaps}");
    for account in ["A0", "A5", "A7777", "A19999"] {
        assert_eq!(house.engine.find(CAMPAIGN, account).await.unwrap().len(), 1, "{account}");
    }
    assert_eq!(
        house.engine.find(CAMPAIGN, "a3@one.example").await.unwrap().len()
            + house.engine.find(CAMPAIGN, "a3@three.example").await.unwrap().len(),
        1
    );
}

/// Seals until `stage` has come to `done`, where the sealing dies.
async fn dies(house: &House, stage: &'static str, done: u64) {
    let engine = house.engine.clone();
    let notes = Notes::with(move |at, so_far| {
        assert!(!(at == stage && so_far >= done), "the power goes");
    });
    let died = tokio::spawn(async move { engine.seal(CAMPAIGN, &notes).await.map(|_| ()) }).await;
    assert!(died.unwrap_err().is_panic());
    let unseen = house.engine.status(CAMPAIGN).await.unwrap_err().to_string();
    assert!(unseen.contains("no sealed people yet"), "{unseen}");
    let unseen = house.engine.plan(CAMPAIGN, Track::Notice, true).await.unwrap_err().to_string();
    assert!(unseen.contains("no sealed people yet"), "{unseen}");
    assert!(house.engine.find(CAMPAIGN, "A0").await.is_err(), "nobody reads an unflipped seal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_that_died_while_copying_goes_on_where_it_stopped() {
    let house = big_house(BIG).await;
    dies(&house, "Freezing", 10_000).await;
    let copied: Vec<(i64, i64, Vec<u8>)> =
        query(&house.database(), "SELECT id, copied_number, root FROM seal").await;
    let people: Vec<(i64,)> = query(&house.database(), "SELECT COUNT(*) FROM recipient").await;
    assert!(people[0].0 >= 10_000 && people[0].0 < 20_000, "{people:?}");

    let notes = Notes::default();
    let sealed = house.engine.seal(CAMPAIGN, &notes).await.unwrap();
    assert!(notes.said().contains("loaded to its end"), "{}", notes.said());
    assert_eq!((sealed.row.id, &sealed.row.root[..]), (copied[0].0, &copied[0].2[..]));
    verify(&house, &BIG_TOTALS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_that_died_while_loading_begins_anew() {
    let house = big_house(3_000).await;
    dies(&house, "Sealing", 1).await;
    let totals = seal(&house).await.unwrap();
    let expected =
        SourceTotals { rows: 3_033, sealed: 3_000, duplicates: 30, conflicts: 3, rejected: 0 };
    assert_eq!(totals, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_changed_after_a_seal_died_is_loaded_anew() {
    let house = big_house(BIG).await;
    dies(&house, "Freezing", 10_000).await;
    let without_repeats = "customer_id,name,email\nA1,Ana,a1@one.example\n,x,y\n";
    std::fs::write(house.path("affected.csv"), without_repeats).unwrap();
    let notes = Notes::default();
    let sealed = house.engine.seal(CAMPAIGN, &notes as &dyn Progress).await.unwrap();
    assert!(notes.said().contains("the source changed since"), "{}", notes.said());
    let expected = SourceTotals { rows: 2, sealed: 1, duplicates: 0, conflicts: 0, rejected: 1 };
    assert_eq!(sealed.row.totals, expected);
    let status = house.status().await;
    assert_eq!((status.deliveries.sealed, status.deliveries.held), (1, 0));
    assert!(status.deliveries.balances());
    for (table, left) in
        [("recipient", 1), ("account_lookup", 1), ("address_lookup", 1), ("chunk", 1), ("seal", 1)]
    {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        let count: Vec<(i64,)> = query(&house.database(), &sql).await;
        assert_eq!(count[0].0, left, "{table}: the dead copy's slices are gone");
    }
    let rejects = std::fs::read_to_string(house.path("rejects/thaw.csv")).unwrap();
    assert!(rejects.contains("3,"), "{rejects}");
    assert!(
        !house.path("rejects/thaw.duplicates.csv").exists(),
        "the list of the source that was is not left beside the one that is"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_seals_of_one_campaign_never_share_a_staging_file() {
    let house = big_house(3_000).await;
    let (reached, at_step) = std::sync::mpsc::channel();
    let (go_on, waits) = std::sync::mpsc::channel::<()>();
    let waits = std::sync::Mutex::new(waits);
    let engine = house.engine.clone();
    let notes = Notes::with(move |stage, _| {
        if stage == "Sealing" && reached.send(()).is_ok() {
            let _ = tokio::task::block_in_place(|| waits.lock().unwrap().recv());
        }
    });
    let first = tokio::spawn(async move { engine.seal(CAMPAIGN, &notes).await.map(|_| ()) });
    tokio::task::block_in_place(|| at_step.recv()).unwrap();
    drop(at_step);
    let refused = seal(&house).await.unwrap_err().to_string();
    assert!(refused.contains("is held by"), "{refused}");
    drop(go_on);
    first.await.unwrap().unwrap();
    assert_eq!(house.status().await.source.sealed, 3_000);
}
