//! The company's own table of replaced passwords, by the documented statements of each engine.

use forthwith::directory::{Controls, Directory as _};
use forthwith::secret::replacement::SecretValue;

use super::{PASSWORDS, accounts, on_each_engine, open, replacement};
use crate::harness::database::{Database, Kind, hash};

on_each_engine! {
    what_is_replaced_is_put_away_once_read_for_one_account_and_forgotten on Sqlite Postgres MariaDb;
}

async fn what_is_replaced_is_put_away_once_read_for_one_account_and_forgotten(kind: Kind) {
    let database = Database::start(kind, None).await;
    database.fill(1..=4).await;
    let (table, archive) = kind.archive();
    let mut admin = database.admin().await;
    admin.execute(table).await;
    if kind != Kind::Sqlite {
        let whom = if kind == Kind::Postgres { "app" } else { "app@'127.0.0.1'" };
        let grant = "GRANT SELECT, INSERT, DELETE ON forthwith_replaced TO";
        admin.execute(&format!("{grant} {whom}")).await;
    }
    let text = format!("{}\n{archive}", database.directory());
    let directory = open(&database, &Database::settings(&text)).await.unwrap();
    assert!(directory.keeps_replaced());
    let forge = |current: &str| Ok(SecretValue::new(current.replace('0', "1") + "x"));
    let report = directory.check(PASSWORDS, &accounts(&[1, 2]), &forge, &Controls::none()).await;
    assert!(report.unwrap().was_tried);
    assert_eq!(database.number("SELECT count(*) FROM forthwith_replaced").await, 0);

    let rows = [replacement(1), replacement(2)];
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 2);
    // the same once more, as a pass does that died before it was told
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 0);
    let one = accounts(&[1]).remove(0);
    assert_eq!(directory.replaced(&one).await.unwrap(), [SecretValue::new(hash(1))]);
    // an owner's new value puts ours away nowhere
    let mut own = replacement(1);
    (own.current, own.replacement) = (own.replacement, SecretValue::new(hash(77)));
    assert_eq!(directory.set(PASSWORDS, &[own], &Controls::none()).await.unwrap(), 1);
    assert_eq!(directory.replaced(&one).await.unwrap().len(), 1);
    assert_eq!(directory.forget_replaced(&accounts(&[1, 3])).await.unwrap(), 1);
    assert!(directory.replaced(&one).await.unwrap().is_empty());
    assert_eq!(database.number("SELECT count(*) FROM forthwith_replaced").await, 1);
}
