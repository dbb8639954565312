//! Never the stolen password: where the company keeps what was replaced, in its own database.

use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::secret::password::{Params, Password, hash};
use forthwith::store::credentials::Pick;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::NEW;
use crate::harness::tampering::{execute, query};
use crate::harness::{ANN, House, Plan, campaign_file, person, write};

const STOLEN: &str = "violet umbrella gravel";

const KEEP: &str = "INSERT INTO forthwith_replaced (account, value)
SELECT r.value ->> 'account', r.value ->> 'current' FROM json_each(:rows) AS r WHERE true
ON CONFLICT DO NOTHING";
const READ: &str = "SELECT k.account AS account, k.value AS current FROM json_each(:rows) AS r
JOIN forthwith_replaced AS k ON k.account = r.value ->> 'account'";
const FORGET: &str = "DELETE FROM forthwith_replaced
WHERE account IN (SELECT r.value ->> 'account' FROM json_each(:rows) AS r)";

/// A house with such a table, sealed; its tenth customer's password is [`STOLEN`].
async fn house(forget: &str) -> House {
    house_of(forget, |_| true).await
}

/// With these lines of the list alone.
async fn house_of(forget: &str, is_listed: impl Fn(&str) -> bool) -> House {
    let archive = format!(
        "[directory.sql.archive]\nkeep = \"\"\"{KEEP}\"\"\"\nread = \"\"\"{READ}\"\"\"\nforget = \"\"\"{forget}\"\"\"\n"
    );
    let campaign = campaign_file("").replace("[notice]", &format!("{archive}\n[notice]"));
    let house = House::furnished(Plan { campaign, ..Plan::default() }).await;
    let list = house.path("affected.csv");
    let all = std::fs::read_to_string(&list).unwrap();
    let kept: Vec<&str> = all.lines().filter(|line| is_listed(line)).collect();
    write(&list, &kept.join("\n"));
    execute(
        &house.shop,
        "CREATE TABLE forthwith_replaced (account TEXT, value TEXT, PRIMARY KEY (account, value))",
    )
    .await;
    let params = Params::new(64, 1, 1).unwrap();
    let stolen = hash(&Password::new(STOLEN.into()), params, &mut rand::rng()).unwrap();
    let sql = format!("UPDATE customer SET password_hash = '{stolen}' WHERE id = 'C0000010'");
    execute(&house.shop, &sql).await;
    house.seal().await;
    house
}

async fn kept(house: &House) -> i64 {
    query::<(i64,)>(&house.shop, "SELECT count(*) FROM forthwith_replaced").await[0].0
}

async fn secured() -> House {
    let house = house(FORGET).await;
    house.approve(Track::Containment).await;
    assert_eq!(kept(&house).await, 0, "a plan tries the statements and takes it all back");
    house.secure(Pick::Pending, &Silent).await.unwrap();
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stolen_password_is_refused_its_owner_and_nothing_of_it_is_kept_by_us() {
    let house = secured().await;
    assert_eq!(kept(&house).await, i64::from(house.facts.with_password));
    let hashes: Vec<(String,)> = query(&house.shop, "SELECT value FROM forthwith_replaced").await;
    let database = house.engine.workspace.database();
    let log = database.with_extension("db-wal");
    let ours = [database, log].map(|file| std::fs::read(file).unwrap_or_default()).concat();
    for (hash,) in &hashes[..3] {
        let digest = hash.rsplit('$').next().unwrap().as_bytes();
        assert!(!ours.windows(digest.len()).any(|part| part == digest), "no hash comes to us");
    }

    let served = house.portal().await;
    let visitor = served.visitor();
    let form = house.prove(&served, &visitor, 10).await;
    let refused = visitor.send_and_wait(&form, &[("password", STOLEN)]).await;
    assert!(refused.problem().unwrap().contains("your password before"), "{}", refused.html);
    assert_eq!(house.credential_of("C0000010").await.0, "expired", "nothing was begun");
    let done = visitor.send_and_wait(&refused, &[("password", NEW)]).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
    assert_eq!(
        kept(&house).await,
        i64::from(house.facts.with_password),
        "ours is put away nowhere"
    );

    // it was one person's: somebody else may choose the same
    let visitor = served.visitor();
    let form = house.prove(&served, &visitor, 12).await;
    let done = visitor.send_and_wait(&form, &[("password", STOLEN)]).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_stood_in_line_with_it_gets_the_form_again() {
    let house = secured().await;
    let served = house.portal().await;
    let visitor = served.visitor();
    let form = house.prove(&served, &visitor, 10).await;
    let options = SqliteConnectOptions::new().filename(&house.shop);
    let mut other = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let waits = visitor.send(&form, &[("password", STOLEN)]).await;
    assert!(waits.html.contains("Place in line: 1"), "{}", waits.html);
    sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let mut shown = visitor.get("/reset/wait").await;
    while shown.html.contains("action=\"/reset/wait\"") {
        shown = visitor.get("/reset/wait").await;
    }
    assert!(shown.problem().unwrap().contains("your password before"), "{}", shown.html);
    let done = visitor.send_and_wait(&shown, &[("password", NEW)]).await;
    assert_eq!(done.path, "/reset/done", "{}", done.html);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_is_destroyed_when_it_is_asked_for() {
    let house = secured().await;
    execute(&house.shop, "INSERT INTO forthwith_replaced VALUES ('another', 'of theirs')").await;
    let gone = house.engine.forget_replaced(crate::harness::CAMPAIGN, &Silent).await.unwrap();
    assert_eq!(gone, Some(u64::from(house.facts.with_password)));
    assert_eq!(kept(&house).await, 1, "nobody else's is touched");
    let again = house.engine.forget_replaced(crate::harness::CAMPAIGN, &Silent).await.unwrap();
    assert_eq!(again, Some(0));
    let plain = super::secured().await;
    let none = plain.engine.forget_replaced(crate::harness::CAMPAIGN, &Silent).await.unwrap();
    assert_eq!(none, None);
}

/// Everybody is secured and told.
async fn told() -> House {
    // whoever has no address would keep the campaign open
    let has_address = |line: &str| line.contains('@') || line.starts_with("customer_id");
    let house = house_of(FORGET, has_address).await;
    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    assert!(house.run().await.unwrap().is_finished);
    assert!(kept(&house).await > 0);
    house
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_a_campaign_destroys_what_was_kept() {
    let house = told().await;
    let (engine, name) = (&house.engine, crate::harness::CAMPAIGN);
    let signer = engine.signer(person(ANN)).await.unwrap();
    let away = house.path("shop.away");
    std::fs::rename(&house.shop, &away).unwrap();
    let refused = engine.close(name, None, &signer, &Silent).await.unwrap_err().to_string();
    assert!(
        refused.contains("could not be destroyed") && refused.contains("--leave WHY"),
        "{refused}"
    );
    assert_eq!(refused.matches("hint: ").count(), 1, "{refused}");
    assert_ne!(engine.status(name).await.unwrap().notice, "closed");
    std::fs::rename(&away, &house.shop).unwrap();
    engine.close(name, None, &signer, &Silent).await.unwrap();
    assert_eq!(kept(&house).await, 0);
    assert_eq!(engine.status(name).await.unwrap().notice, "closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_campaign_whose_directory_is_gone_is_closed_for_a_reason_that_is_signed() {
    let house = told().await;
    let (engine, name) = (&house.engine, crate::harness::CAMPAIGN);
    let signer = engine.signer(person(ANN)).await.unwrap();
    std::fs::rename(&house.shop, house.path("shop.away")).unwrap();
    assert!(
        engine.close(name, Some(" "), &signer, &Silent).await.is_err(),
        "a reason says something"
    );
    engine.close(name, Some("the shop was sold"), &signer, &Silent).await.unwrap();
    assert_eq!(engine.status(name).await.unwrap().notice, "closed");
    let acts: Vec<(String, Vec<u8>)> =
        query(&house.database(), "SELECT reason, statement FROM act WHERE kind = 'close'").await;
    let [(reason, statement)] = &acts[..] else { panic!("{acts:?}") };
    assert_eq!(reason, "left: the company keeps no replaced password; the shop was sold");
    assert!(statement.windows(reason.len()).any(|part| part == reason.as_bytes()), "it is signed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_says_where_nobody_can_tell_and_refuses_what_would_stay_for_ever() {
    let plain = House::furnished(Plan::default()).await;
    plain.seal().await;
    let name = crate::harness::CAMPAIGN;
    let plan = plain.engine.plan(name, Track::Containment, true).await.unwrap();
    assert!(plan.notes.iter().any(|note| note.contains("[directory.sql.archive]")), "{plan:?}");
    let good = house(FORGET).await;
    let plan = good.engine.plan(name, Track::Containment, true).await.unwrap();
    assert!(!plan.notes.iter().any(|note| note.contains("archive")), "{plan:?}");
    let idle =
        house("DELETE FROM forthwith_replaced WHERE account = json_extract(:rows, '$.no')").await;
    let refused = idle.engine.plan(name, Track::Containment, true).await.unwrap_err().to_string();
    assert!(refused.contains("directory.sql.archive.forget leaves values"), "{refused}");
    assert!(refused.contains("hint:"), "{refused}");
    assert_eq!(kept(&idle).await, 0);
}
