//! A database altered behind the program's back: each digest, list, signature and leaf is proved again
//! before anything is done under it.

use forthwith::domain::recipient::Recipient;
use forthwith::domain::track::Track;
use forthwith::store::credentials::Pick;

use crate::harness::tampering::{Notes, query};
use crate::harness::{ANN, BOB, CAMPAIGN, House, Plan};

/// The bytes stored under a name of a snapshot.
fn blob_of(track: Track, name: &str) -> String {
    format!(
        "UPDATE plan_blob SET bytes = CAST(bytes || X'20' AS BLOB) WHERE digest =
         (SELECT unhex(j.value) FROM snapshot, json_each(entries) AS j
          WHERE kind = '{track}' AND j.key = '{name}')"
    )
}

async fn approved() -> House {
    House::ready(Plan::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planned_bytes_that_were_altered_are_refused_at_approval_and_at_run() {
    for (track, name) in [
        (Track::Containment, "campaigns/thaw.toml [directory]"),
        (Track::Notice, "templates/mail/account-breach/en/body.txt.hbs"),
    ] {
        let house = House::furnished(Plan::default()).await;
        house.seal().await;
        if track == Track::Notice {
            house.approve(Track::Containment).await;
        }
        house.engine.plan(CAMPAIGN, track, false).await.unwrap();
        house.sign(track, ANN).await.unwrap();
        house.tamper(&blob_of(track, name)).await;
        let refused = house.sign(track, BOB).await.unwrap_err().to_string();
        assert!(refused.contains(&format!("planned bytes of `{name}` were altered")), "{refused}");
    }
    let house = approved().await;
    house.tamper(&blob_of(Track::Notice, "incidents/cold-night/incident.toml")).await;
    let refused = house.run_refused().await;
    assert!(refused.contains("bytes of `incidents/cold-night/incident.toml` were"), "{refused}");

    let house = approved().await;
    let before = house.hash_of("C0000001").await;
    house.tamper(&blob_of(Track::Containment, "campaigns/thaw.toml [directory]")).await;
    let refused = house.run_refused().await;
    assert!(refused.contains("bytes of `campaigns/thaw.toml [directory]` were"), "{refused}");
    assert_eq!(house.hash_of("C0000001").await, before, "nobody is expired under it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_names_that_was_altered_is_refused() {
    let house = approved().await;
    house
        .tamper(
            "UPDATE snapshot SET entries = json_remove(entries, '$.samples') WHERE kind = 'notice'",
        )
        .await;
    let refused = house.run_refused().await;
    assert!(refused.contains("planned list of names was altered"), "{refused}");
    let refused = house.sign(Track::Notice, ANN).await.unwrap_err().to_string();
    assert!(refused.contains("`samples` was added"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_or_its_statement_that_was_altered_is_refused_by_name() {
    for sql in [
        "UPDATE approval SET signature = zeroblob(64) WHERE operator_id = 2 AND kind = 'notice'",
        "UPDATE approval SET statement = X'00' WHERE operator_id = 2 AND kind = 'notice'",
        "UPDATE approval SET signed_at = signed_at - 1 WHERE operator_id = 2 AND kind = 'notice'",
    ] {
        let house = approved().await;
        house.tamper(sql).await;
        let refused = house.run_refused().await;
        assert!(refused.contains("signature of `bob` over the notice plan"), "{refused}");
    }
    let house = approved().await;
    house.tamper("DELETE FROM approval WHERE operator_id = 2 AND kind = 'notice'").await;
    let refused = house.run_refused().await;
    assert!(refused.contains("notice has 1 of 2 signatures"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_or_world_that_was_altered_breaks_the_signatures() {
    for sql in [
        "UPDATE seal SET root = zeroblob(32)",
        "UPDATE seal SET sealed = sealed - 1, rejected = rejected + 1",
        "UPDATE campaign SET environment = 'live'",
    ] {
        let house = approved().await;
        house.tamper(sql).await;
        let before = house.hash_of("C0000001").await;
        let refused = house.run_refused().await;
        assert!(refused.contains("signature of `ann` over the containment plan"), "{refused}");
        assert_eq!(house.hash_of("C0000001").await, before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_smuggled_into_the_database_are_refused_by_name() {
    // another key under a founder's name
    let house = approved().await;
    house.tamper("UPDATE operator SET public_key = randomblob(32) WHERE name = 'bob'").await;
    let refused = house.run_refused().await;
    assert!(refused.contains("`bob` stands in the database as a founder but not"), "{refused}");

    let other = House::furnished(Plan::default()).await;
    let strangers: Vec<(Vec<u8>, String)> =
        query(&other.database(), "SELECT public_key, sealed_key FROM operator WHERE name = 'ann'")
            .await;
    let (key, sealed) = (hex::encode(&strangers[0].0), &strangers[0].1);
    let insert = |founder: i64| {
        format!(
            "INSERT INTO operator (name, public_key, sealed_key, is_founder, added_at)
             VALUES ('mallory', X'{key}', '{sealed}', {founder}, 0)"
        )
    };
    // a third founder
    let house = approved().await;
    house.tamper(&insert(1)).await;
    let refused = house.run_refused().await;
    assert!(refused.contains("`mallory` stands in the database as a founder"), "{refused}");

    // a plain operator for whom nobody ever vouched, long past the day of waiting
    let house = approved().await;
    house.tamper(&insert(0)).await;
    let refused = house.run_refused().await;
    assert!(refused.contains("`mallory`") && refused.contains("no founder vouches"), "{refused}");

    // one whose voucher's signature is nobody's
    house.tamper("INSERT INTO operator_addition VALUES (3, 1, zeroblob(64))").await;
    let refused = house.run_refused().await;
    assert!(refused.contains("`mallory` was altered"), "{refused}");
    let refused = house.sign(Track::Notice, ANN).await.unwrap_err().to_string();
    assert!(refused.contains("`mallory` was altered"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_swapped_between_two_people_open_for_neither() {
    let house = approved().await;
    let swap = "UPDATE recipient AS r SET body =
                    (SELECT o.body FROM recipient AS o WHERE o.number = 2001 - r.number)
                WHERE r.number IN (1000, 1001)";
    house.tamper(swap).await;
    let before = house.hash_of("C0000001").await;
    let refused = house.run_refused().await;
    assert!(refused.contains("stands in another place than it was sealed for"), "{refused}");
    assert_eq!(house.hash_of("C0000001").await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_salt_or_a_row_that_was_altered_stops_its_chunk() {
    let house = approved().await;
    house.tamper("UPDATE recipient SET salt = randomblob(16) WHERE number = 1040").await;
    let refused = house.run_refused().await;
    assert!(refused.contains("chunk 1 of campaign `thaw` is not what was sealed"), "{refused}");

    let house = approved().await;
    house.tamper("DELETE FROM recipient WHERE number = 1040").await;
    let refused = house.run_refused().await;
    assert!(refused.contains("1 credentials of `thaw` are still pending"), "{refused}");

    // somebody who even holds the campaign's key points one person's mail elsewhere
    let house = approved().await;
    redirect(&house, 1040, "thief@elsewhere.example").await;
    let refused = house.run_refused().await;
    assert!(refused.contains("chunk 1 of campaign `thaw` is not what was sealed"), "{refused}");
}

/// Rewrites a sealed row under the campaign's own key.
async fn redirect(house: &House, number: u64, to: &str) {
    let (row, people) = house.engine.people(CAMPAIGN).await.unwrap();
    let listing = house.engine.store.delivery(row.id, number).await.unwrap().unwrap();
    let mut recipient: Recipient = people.open(number, &listing.body.unwrap()).unwrap();
    recipient.address = Some(to.parse().unwrap());
    recipient.name = None;
    let body = people.key.seal_blob(&people.aad(number), &recipient.canonical(), &mut rand::rng());
    let body = hex::encode(body);
    house.tamper(&format!("UPDATE recipient SET body = X'{body}' WHERE number = {number}")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_that_renders_otherwise_is_named() {
    let house = approved().await;
    // the first twenty are the samples; a person without a name gets other words where one is shown,
    // and every third sample is of a mailbox of one's own
    redirect(&house, 1003, "customer3@letters.example").await;
    let refused = house.run_refused().await;
    assert!(refused.contains("renders sample 1003 (en, organisation, own,"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_relay_than_the_approved_one_is_refused() {
    let mut house = approved().await;
    house.engine.relay.hello = "other.example".to_owned().try_into().unwrap();
    let refused = house.run_refused().await;
    assert!(refused.contains("relay in use is not the one that was approved"), "{refused}");
    assert!(refused.contains("other.example") && refused.contains("localhost"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_keys_than_the_databases_own_are_refused() {
    let mut house = approved().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let other = forthwith::engine::Workspace::at(elsewhere.path());
    other.create().unwrap();
    let keys = forthwith::secret::keyring::Keyring::create(&other.keys(), &mut rand::rng());
    house.engine.keys = std::sync::Arc::new(keys.unwrap());
    let refused = house.secure(Pick::Pending, &Notes::default()).await.unwrap_err().to_string();
    assert!(refused.contains("is not the key this database was written under"), "{refused}");
}
