//! The company's database on each engine: a campaign from a SQL audience through a SQL directory, and
//! what the directory promises, against Debian's own `PostgreSQL` and MariaDB beside SQLite.

mod archive;
mod audience;
mod entering;
mod kept;
mod promises;
mod tables;

use std::time::{Duration, Instant};

use forthwith::directory::sql::{SqlDirectory, SqlDirectorySettings};
use forthwith::directory::{DirectoryError, Replacement};
use forthwith::domain::credential::CredentialKind;
use forthwith::domain::track::Track;
use forthwith::engine::progress::Silent;
use forthwith::secret::replacement::SecretValue;
use forthwith::store::credentials::Pick;

use crate::harness::database::{Database, Kind, hash};
use crate::harness::tampering::execute;
use crate::harness::{CAMPAIGN, House, Plan, campaign_file};

/// How long something that must come is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
const PASSWORDS: CredentialKind = CredentialKind::Password;

/// The same behaviour on each of these engines, a test each.
macro_rules! on_each_engine {
    ($($behaviour:ident on $($kind:ident)+;)+) => {$(
        mod $behaviour {
            use crate::harness::database::Kind;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                #[expect(non_snake_case, reason = "named after the engine")]
                async fn $kind() {
                    super::$behaviour(Kind::$kind).await;
                }
            )+
        }
    )+};
}
pub(crate) use on_each_engine;

on_each_engine! {
    a_campaign_is_sealed_contained_and_told on Sqlite Postgres MariaDb;
    a_password_that_moves_while_we_wait_for_it_is_killed_in_the_next_round on Postgres MariaDb;
    a_crash_between_write_and_record_takes_nothing_of_ours_for_a_persons on Sqlite Postgres MariaDb;
}

/// A campaign of 200 customers whose audience and directory are this database.
async fn house(database: &Database) -> House {
    let file = campaign_file("");
    let head = file.split_once("[audience.csv]").unwrap().0;
    let tail = file.split_once("[notice]").unwrap().1;
    let campaign = format!(
        "{head}[audience.sql]\n{}query = \"SELECT id, email, name FROM customer ORDER BY id\"\n\
         columns = {{ account = \"id\", address = \"email\", name = \"name\" }}\n\n\
         [directory]\nname = \"shop\"\n\n{}\n[notice]{tail}",
        database.access(),
        database.directory(),
    );
    let house = House::furnished(Plan { customers: 200, campaign, ..Plan::default() }).await;
    database.stock(&house).await;
    house
}

async fn a_campaign_is_sealed_contained_and_told(kind: Kind) {
    let database = Database::start(kind, None).await;
    let house = house(&database).await;
    let before = database.hashes().await;
    assert_eq!(before.len(), 200);
    house.seal().await;

    let (kind_checked, report) = house.engine.check_directory(CAMPAIGN).await.unwrap()[0];
    assert_eq!((kind_checked, report.asked, report.read), (PASSWORDS, 3, 3), "{report:?}");
    assert_eq!((report.changed, report.read_back, report.sessions_left), (3, 3, 0), "{report:?}");
    assert!(database.hashes().await == before, "a check leaves nothing");
    let sessions = database.number("SELECT count(*) FROM session").await;
    assert_eq!(sessions, i64::from(house.facts.sessions));

    house.approve(Track::Containment).await;
    house.approve(Track::Notice).await;
    let report = house.run().await.unwrap();
    assert!(report.is_finished, "{report:?}");
    let after = database.hashes().await;
    for ((account, was), (_, is)) in before.iter().zip(&after) {
        assert_eq!(was.is_none(), is.is_none(), "{account}: who had no password has none");
        assert!(was.is_none() || was != is, "{account} keeps a stolen password");
    }
    assert_eq!(database.number("SELECT count(*) FROM session").await, 0);
    let status = house.status().await;
    let class = |class| status.credentials.get(class).copied().unwrap_or(0);
    assert_eq!(class("password/expired"), u64::from(house.facts.with_password));
    assert_eq!(class("password/no-password"), u64::from(house.facts.without_password));
    assert_eq!(house.taken().len(), 200, "everybody is told");
}

async fn a_password_that_moves_while_we_wait_for_it_is_killed_in_the_next_round(kind: Kind) {
    let database = Database::start(kind, None).await;
    let house = house(&database).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    let mut person = database.admin().await;
    let chosen = hash(7);
    person
        .execute(&format!(
            "BEGIN; UPDATE customer SET password_hash = '{chosen}' WHERE id = 'C0000025'"
        ))
        .await;
    let pass = house.secure(Pick::Pending, &Silent);
    let moved = async {
        waits_for_a_lock(&database).await;
        person.execute("COMMIT").await;
    };
    let (report, ()) = tokio::join!(pass, moved);
    assert!(report.unwrap().is_done);
    assert_eq!(house.credential_of("C0000025").await.0, "expired");
    let hashes = database.hashes().await;
    let is = hashes.iter().find(|(account, _)| account == "C0000025").unwrap().1.as_ref();
    assert!(is.is_some_and(|is| *is != chosen && is.starts_with("$2b$12$")), "{is:?}");
}

/// Waits until our user waits for somebody else's lock.
async fn waits_for_a_lock(database: &Database) {
    let sql = match database.kind {
        Kind::Postgres => {
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND wait_event_type = 'Lock'"
        }
        _ => "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    };
    let asked = Instant::now();
    while database.number(sql).await == 0 {
        assert!(asked.elapsed() < PATIENCE, "nobody waits for a lock");
        // MariaDB shows the same again to whoever asks within 100 ms
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

async fn a_crash_between_write_and_record_takes_nothing_of_ours_for_a_persons(kind: Kind) {
    let database = Database::start(kind, None).await;
    let house = house(&database).await;
    house.seal().await;
    house.approve(Track::Containment).await;
    let before = database.hashes().await;
    let crash = "CREATE TRIGGER crash BEFORE INSERT ON credential \
                 BEGIN SELECT RAISE(ABORT, 'the power goes'); END";
    execute(&house.database(), crash).await;
    house.secure(Pick::Pending, &Silent).await.unwrap_err();
    let ours = database.hashes().await;
    execute(&house.database(), "DROP TRIGGER crash").await;
    assert!(house.secure(Pick::Pending, &Silent).await.unwrap().is_done);
    let mut written = 0;
    for ((was, crashed), is) in before.iter().zip(&ours).zip(&database.hashes().await) {
        if was != crashed {
            written += 1;
            assert!(crashed == is, "{}: what was ours is written again", is.0);
        }
    }
    assert!(written > 10, "{written} were written before the power went");
    assert_eq!(house.credential_of("C0000001").await.0, "expired");
}

/// The directory as documented.
async fn directory(database: &Database) -> SqlDirectory {
    open(database, &Database::settings(&database.directory())).await.unwrap()
}

async fn open(
    database: &Database,
    settings: &SqlDirectorySettings,
) -> Result<SqlDirectory, DirectoryError> {
    SqlDirectory::open(settings, database.folder.path()).await
}

/// Accounts by the numbers of [`Database::fill`].
fn accounts(numbers: &[u32]) -> Vec<String> {
    numbers.iter().map(|number| format!("C{number}")).collect()
}

/// What replaces the hash of a customer of [`Database::fill`].
fn replacement(number: u32) -> Replacement {
    Replacement {
        account: format!("C{number}"),
        current: SecretValue::new(hash(number)),
        replacement: SecretValue::new(hash(number + 10_000)),
    }
}
