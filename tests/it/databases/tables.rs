//! MariaDB's tables outside transactions, which a rollback leaves as they are.

use forthwith::directory::{Controls, DirectoryError};
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::store::credentials::Pick;

use super::{directory, house, open};
use crate::harness::database::{Database, Kind};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_takes_nothing_back_is_refused_however_it_is_reached() {
    let database = Database::start(Kind::MariaDb, None).await;
    let mut admin = database.admin().await;
    let text = database.directory();
    directory(&database).await;

    admin.execute("CREATE TABLE audit (what TEXT) ENGINE = Aria TRANSACTIONAL = 0").await;
    admin
        .execute(
            "CREATE TRIGGER noted AFTER UPDATE ON customer FOR EACH ROW \
             INSERT INTO audit VALUES (new.id); GRANT TRIGGER ON customer TO app@'127.0.0.1'; \
             GRANT SELECT ON audit TO app@'127.0.0.1'",
        )
        .await;
    let error = open(&database, &Database::settings(&text)).await.unwrap_err();
    assert!(
        matches!(&error, DirectoryError::NotTransactional { table, .. } if table == "audit"),
        "{error}"
    );
    admin.execute("DROP TRIGGER noted").await;
    directory(&database).await;

    admin.execute("ALTER TABLE customer ENGINE = MyISAM").await;
    let error = open(&database, &Database::settings(&text)).await.unwrap_err();
    let said = error.told();
    assert!(
        said.starts_with("directory.sql.password.expire may write to the table customer, which is")
            && said.contains("hint: ALTER TABLE … ENGINE = InnoDB"),
        "{said}"
    );

    admin
        .execute(
            "CREATE VIEW login AS SELECT * FROM customer; CREATE VIEW outer_login AS SELECT * FROM login; \
             GRANT SELECT, UPDATE ON outer_login TO app@'127.0.0.1'",
        )
        .await;
    let through = text.replace("UPDATE customer AS c", "UPDATE outer_login AS c");
    let error = open(&database, &Database::settings(&through)).await.unwrap_err();
    assert!(
        matches!(&error, DirectoryError::HiddenView { view, .. } if view == "outer_login"),
        "{error}"
    );
    admin
        .execute(
            "GRANT SHOW VIEW, SELECT ON outer_login TO app@'127.0.0.1'; \
             GRANT SHOW VIEW, SELECT ON login TO app@'127.0.0.1'",
        )
        .await;
    let error = open(&database, &Database::settings(&through)).await.unwrap_err();
    assert!(
        matches!(&error, DirectoryError::NotTransactional { table, .. } if table == "customer"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_that_nobody_shows_us_is_seen_by_the_rollbacks_own_warning() {
    use forthwith::directory::Directory as _;
    use forthwith::secret::replacement::forge;

    let database = Database::start(Kind::MariaDb, None).await;
    database.fill(1..=3).await;
    let mut admin = database.admin().await;
    admin.execute("CREATE TABLE audit (what TEXT) ENGINE = MyISAM").await;
    admin
        .execute(
            "CREATE TRIGGER noted AFTER UPDATE ON customer FOR EACH ROW \
             INSERT INTO audit VALUES (new.id)",
        )
        .await;
    let directory = directory(&database).await;
    let error = directory
        .check(
            super::PASSWORDS,
            &super::accounts(&[1, 2]),
            &|now| forge(now, &mut |slice| slice.fill(7)),
            &Controls::none(),
        )
        .await
        .unwrap_err();
    assert!(matches!(error, DirectoryError::NotRolledBack), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_was_not_taken_back_pauses_the_pass() {
    let database = Database::start(Kind::MariaDb, None).await;
    let house = house(&database).await;
    let named = "name = \"shop\"\ncontrol_accounts = [\"K1\"]\n";
    house.edit("campaigns/thaw.toml", "name = \"shop\"\n", named);
    house.seal().await;
    let mut admin = database.admin().await;
    admin
        .execute(
            "INSERT INTO customer (id, password_hash) \
             SELECT 'K1', password_hash FROM customer WHERE id = 'C0000001'; \
             INSERT INTO session (customer_id) VALUES ('K1')",
        )
        .await;
    house.approve(Track::Containment).await;
    // after the approval: it ends everybody's sessions, and notes it where no rollback reaches
    admin.execute("CREATE TABLE audit (what TEXT) ENGINE = MyISAM").await;
    admin
        .execute(
            "CREATE TRIGGER noted AFTER UPDATE ON customer FOR EACH ROW \
             BEGIN INSERT INTO audit VALUES (new.id); DELETE FROM session; END",
        )
        .await;
    let refused = house.secure(Pick::Pending, &Silent).await.unwrap_err().to_string();
    assert!(refused.contains("has paused itself"), "{refused}");
    assert!(refused.contains("the rollback left rows changed"), "{refused}");
    let status = house.status().await;
    assert_eq!((status.containment, status.containment_cause), ("paused", Some("statement")));
    let left = database.number("SELECT count(*) FROM audit").await;
    let refused = house.secure(Pick::Pending, &Silent).await.unwrap_err().to_string();
    assert!(refused.contains("is paused (statement: the rollback left"), "{refused}");
    assert_eq!(database.number("SELECT count(*) FROM audit").await, left, "nothing more was tried");
}
