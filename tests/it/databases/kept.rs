//! Connections that a call leaves to the next one.

use forthwith::directory::{Controls, Directory as _};

use super::{PASSWORDS, accounts, directory, on_each_engine, replacement};
use crate::harness::database::{Database, Kind};

on_each_engine! {
    reads_and_writes_share_one_each_and_every_read_back_is_anew on Postgres MariaDb;
    one_that_the_server_ended_is_replaced_unseen on Postgres MariaDb;
}

/// The connections that our user has, as the server names them.
async fn ours(database: &Database) -> Vec<String> {
    let sql = match database.kind {
        Kind::Postgres => {
            "SELECT pid::text FROM pg_stat_activity WHERE usename = 'app' ORDER BY backend_start"
        }
        _ => {
            "SELECT CAST(id AS CHAR) FROM information_schema.processlist WHERE user = 'app' ORDER BY id"
        }
    };
    let rows = database.admin().await.texts(sql).await;
    rows.into_iter().map(|mut row| row[0].take().unwrap()).collect()
}

async fn reads_and_writes_share_one_each_and_every_read_back_is_anew(kind: Kind) {
    let database = Database::start(kind, None).await;
    database.fill(1..=5).await;
    let directory = directory(&database).await;
    let asked = accounts(&[1]);
    for number in 1..=3 {
        directory.read(PASSWORDS, &asked).await.unwrap();
        let row = [replacement(number)];
        assert_eq!(directory.replace(PASSWORDS, &row, &Controls::none()).await.unwrap(), 1);
    }
    let kept = ours(&database).await;
    assert_eq!(kept.len(), 2, "one that reads, one that writes: {kept:?}");
    directory.confirm(PASSWORDS, &asked).await.unwrap();
    let after = ours(&database).await;
    let is_new = |name: &&String| !kept.contains(name);
    assert_eq!(after.iter().filter(is_new).count(), 1, "{kept:?} {after:?}");
    assert!(kept.iter().all(|name| after.contains(name)), "{kept:?} {after:?}");
}

async fn one_that_the_server_ended_is_replaced_unseen(kind: Kind) {
    let database = Database::start(kind, None).await;
    database.fill(1..=5).await;
    let directory = directory(&database).await;
    let asked = accounts(&[1]);
    directory.read(PASSWORDS, &asked).await.unwrap();
    let row = [replacement(1)];
    assert_eq!(directory.replace(PASSWORDS, &row, &Controls::none()).await.unwrap(), 1);
    let before = ours(&database).await;
    let end = match kind {
        Kind::Postgres => {
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'"
        }
        _ => "KILL USER app@'127.0.0.1'",
    };
    database.admin().await.execute(end).await;
    assert_eq!(directory.read(PASSWORDS, &asked).await.unwrap().len(), 1);
    let row = [replacement(2)];
    assert_eq!(directory.replace(PASSWORDS, &row, &Controls::none()).await.unwrap(), 1);
    let after = ours(&database).await;
    assert!(after.iter().all(|name| !before.contains(name)), "{before:?} {after:?}");
}
