//! What `Directory` promises, whatever the engine.

use forthwith::directory::sql::Statements;
use forthwith::directory::{Controls, Directory as _, DirectoryError, SessionEnd};
use forthwith::domain::credential::CredentialKind;
use forthwith::secret::replacement::SecretValue;

use super::{PASSWORDS, accounts, directory, on_each_engine, open, replacement, waits_for_a_lock};
use crate::harness::database::{Database, Kind, PASSWORD, hash};

on_each_engine! {
    values_and_sessions_change_together_and_only_where_they_still_are on Sqlite Postgres MariaDb;
    a_statement_that_reaches_everybody_changes_nobody on Sqlite Postgres MariaDb;
    who_gets_into_the_way_is_tried_again_and_who_stays_there_is_busy on Postgres MariaDb;
    a_connection_that_breaks_in_the_middle_is_settled_by_reading on Postgres MariaDb;
    a_statement_that_takes_too_long_is_given_up on Postgres MariaDb;
    the_documented_statements_find_accounts_by_their_index on Postgres MariaDb;
}

async fn values_and_sessions_change_together_and_only_where_they_still_are(kind: Kind) {
    let database = Database::start(kind, None).await;
    database.fill(1..=9).await;
    let odd = r#"a'b"c\ ü🔐 \n :rows $1 ?"#;
    database
        .admin()
        .await
        .execute(&format!(
            "INSERT INTO api_key (customer_id, token) VALUES ('C1', 'key-one'), ('C2', NULL); \
             INSERT INTO customer (id, password_hash) VALUES ('C0', '{}')",
            odd.replace('\'', "''")
                .replace('\\', if kind == Kind::MariaDb { "\\\\" } else { "\\" })
        ))
        .await;
    let text = format!("[directory.sql]\n{}\n{}", database.access(), database.kind.documented());
    let directory = open(&database, &Database::settings(&text)).await.unwrap();
    let capabilities = directory.capabilities();
    assert_eq!(capabilities.ends_sessions, SessionEnd::Ended);
    assert!(capabilities.kinds.contains(&CredentialKind::ApiKey));

    let read = directory.confirm(PASSWORDS, &accounts(&[1, 99])).await.unwrap();
    assert_eq!((read.len(), read[0].sessions), (1, 1), "nobody knows C99: {read:?}");
    assert_eq!(read[0].value, Some(SecretValue::new(hash(1))));
    let read = directory.read(CredentialKind::ApiKey, &accounts(&[1, 2, 3])).await.unwrap();
    let keys: Vec<_> = read.iter().map(|now| now.value.as_ref().map(SecretValue::expose)).collect();
    assert_eq!(keys, [Some("key-one"), None]);

    // a value that differs in case, one that has a blank behind it, one that is right
    let mut rows = [replacement(1), replacement(2), replacement(3)];
    rows[0].current = SecretValue::new(hash(1).to_uppercase());
    rows[1].current = SecretValue::new(hash(2) + " ");
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 1);
    let after = directory.confirm(PASSWORDS, &accounts(&[1, 2, 3, 4])).await.unwrap();
    let wanted = [hash(1), hash(2), hash(10_003), hash(4)].map(|hash| Some(SecretValue::new(hash)));
    let values: Vec<_> = after.iter().map(|now| now.value.clone()).collect();
    assert_eq!(values, wanted);
    let sessions: Vec<_> = after.iter().map(|now| now.sessions).collect();
    assert_eq!(sessions, [0, 0, 0, 1], "sessions of all that were named, of nobody else");
    assert_eq!(
        directory.end_sessions(PASSWORDS, &accounts(&[4, 99]), &Controls::none()).await.unwrap(),
        1
    );

    let mut row = replacement(0);
    row.current = SecretValue::new(odd.into());
    row.replacement = SecretValue::new(format!("{odd}2"));
    assert_eq!(
        directory.replace(PASSWORDS, std::slice::from_ref(&row), &Controls::none()).await.unwrap(),
        1
    );
    let after = directory.confirm(PASSWORDS, &accounts(&[0])).await.unwrap();
    assert_eq!(after[0].value, Some(row.replacement));
    assert_eq!(directory.rehearsal_marker().await.unwrap().as_deref(), Some(""));
}

/// UPDATEs that have the bind, and whose WHERE does not tell accounts apart by it.
fn broken(kind: Kind) -> [&'static str; 2] {
    match kind {
        Kind::Sqlite => [
            "UPDATE customer SET password_hash = r.value ->> 'replacement' \
             FROM json_each(:rows) AS r",
            "UPDATE customer SET password_hash = 'x' WHERE EXISTS \
             (SELECT 1 FROM json_each(:rows) AS r WHERE r.value ->> 'account' = 'C1')",
        ],
        Kind::Postgres => [
            "UPDATE customer SET password_hash = r.replacement \
             FROM jsonb_to_recordset(:rows) AS r(replacement text)",
            "UPDATE customer SET password_hash = 'x' WHERE EXISTS \
             (SELECT 1 FROM jsonb_to_recordset(:rows) AS r(account text) WHERE r.account = 'C1')",
        ],
        Kind::MariaDb => [
            "UPDATE customer AS c JOIN JSON_TABLE(:rows, '$[*]' COLUMNS \
             (replacement TEXT PATH '$.replacement')) AS r SET c.password_hash = r.replacement",
            "UPDATE customer SET password_hash = 'x' WHERE EXISTS (SELECT 1 FROM JSON_TABLE(:rows, \
             '$[*]' COLUMNS (account VARCHAR(255) PATH '$.account')) AS r WHERE r.account = 'C1')",
        ],
    }
}

async fn a_statement_that_reaches_everybody_changes_nobody(kind: Kind) {
    let database = Database::start(kind, None).await;
    database.fill(1..=50).await;
    let before = database.hashes().await;
    let mut settings = Database::settings(&database.directory());
    let rows = [replacement(1), replacement(2)];
    for expire in broken(kind) {
        settings.password.as_mut().unwrap().expire = expire.into();
        let directory = open(&database, &settings).await.unwrap();
        let error = directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap_err();
        assert!(
            matches!(error, DirectoryError::TooManyRows { changed: 50, asked: 2, .. }),
            "{expire}: {error}"
        );
        assert_eq!(database.hashes().await, before, "{expire}");
        assert_eq!(database.number("SELECT count(*) FROM session").await, 50);
    }
    settings.password.as_mut().unwrap().expire = "UPDATE customer SET password_hash = 'x'".into();
    let said = open(&database, &settings).await.unwrap_err().told();
    assert!(said.contains("`:rows` is missing, so it would be for everybody; hint: "), "{said}");

    // the sessions' statement: everybody's end
    let mut settings = Database::settings(&database.directory());
    settings.sessions.end = Some(Statements::One(match kind {
        Kind::Sqlite => "DELETE FROM session WHERE json_valid(:rows)".into(),
        Kind::Postgres => "DELETE FROM session WHERE jsonb_typeof(:rows) = 'array'".into(),
        Kind::MariaDb => "DELETE FROM session WHERE JSON_VALID(:rows)".into(),
    }));
    let directory = open(&database, &settings).await.unwrap();
    let error = directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap_err();
    assert!(
        matches!(error, DirectoryError::TooManySessions { ended: 50, counted: 2, .. }),
        "{error}"
    );
    assert_eq!(database.hashes().await, before, "values stay where sessions do");

    // a read that returns the table is no answer
    let mut settings = Database::settings(&database.directory());
    settings.password.as_mut().unwrap().read = match kind {
        Kind::Sqlite => "SELECT id AS account, password_hash AS current FROM customer WHERE json_valid(:rows)",
        Kind::Postgres => "SELECT id AS account, password_hash AS current FROM customer WHERE jsonb_typeof(:rows) = 'array'",
        Kind::MariaDb => "SELECT id AS account, password_hash AS current FROM customer WHERE JSON_VALID(:rows)",
    }
    .into();
    let directory = open(&database, &settings).await.unwrap();
    let error = directory.read(PASSWORDS, &accounts(&[1, 2])).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Answer { row: 1..=3, .. }), "{error}");
}

/// A trigger that fails while a sequence, which no rollback turns back, is below `until`.
fn failing(kind: Kind, until: u32) -> String {
    match kind {
        Kind::Postgres => format!(
            "CREATE OR REPLACE FUNCTION fails() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS $$ \
             BEGIN IF nextval('tries') <= {until} THEN \
                 RAISE EXCEPTION 'no %', new.password_hash USING ERRCODE = '40P01'; \
             END IF; RETURN new; END $$; \
             CREATE OR REPLACE TRIGGER fails BEFORE UPDATE ON customer FOR EACH ROW \
             EXECUTE FUNCTION fails()"
        ),
        _ => format!(
            "CREATE OR REPLACE TRIGGER fails BEFORE UPDATE ON customer FOR EACH ROW BEGIN \
             IF NEXTVAL(tries) <= {until} THEN \
                 SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'no'; \
             END IF; END"
        ),
    }
}

async fn who_gets_into_the_way_is_tried_again_and_who_stays_there_is_busy(kind: Kind) {
    let database = Database::start(kind, None).await;
    database.fill(1..=3).await;
    let mut admin = database.admin().await;
    admin.execute("CREATE SEQUENCE tries").await;
    let directory = directory(&database).await;

    admin.execute(&failing(kind, 2)).await;
    assert_eq!(
        directory.replace(PASSWORDS, &[replacement(1)], &Controls::none()).await.unwrap(),
        1
    );
    let next = match kind {
        Kind::Postgres => "SELECT last_value FROM tries",
        _ => "SELECT LASTVAL(tries) FROM (SELECT NEXTVAL(tries)) AS once",
    };
    let used = if kind == Kind::Postgres { 3 } else { 4 };
    assert_eq!(database.number(next).await, used, "deadlock, deadlock, done");

    admin.execute(&failing(kind, 1_000_000)).await;
    let before = database.hashes().await;
    let error =
        directory.replace(PASSWORDS, &[replacement(2)], &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Busy { .. }), "{error}");
    assert!(!error.told().contains(&hash(10_002)) && error.told().contains("hint: "));
    assert_eq!(database.hashes().await, before);

    // an error that quotes the value it is about, in an answer nobody tries again
    let nosy = match kind {
        Kind::Postgres => failing(kind, 1_000_000).replace("40P01", "P0001"),
        _ => "CREATE OR REPLACE TRIGGER fails BEFORE UPDATE ON customer FOR EACH ROW \
              SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = new.password_hash"
            .into(),
    };
    let nosy = if admin.try_execute(&nosy).await.is_ok() { nosy } else { String::new() };
    if nosy.is_empty() {
        // MariaDB takes no column for its text, but an error of its own quotes the value
        let own = "CREATE OR REPLACE TRIGGER fails BEFORE UPDATE ON customer FOR EACH ROW \
                   SET new.name = CAST(new.password_hash AS INTEGER)";
        admin.execute(own).await;
    }
    let error =
        directory.replace(PASSWORDS, &[replacement(2)], &Controls::none()).await.unwrap_err();
    let said = format!("{} {error:?}", error.told());
    assert!(said.contains("directory.sql.password.expire failed: code "), "{said}");
    assert!(!said.contains(&hash(10_002)[20..]), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
}

async fn a_connection_that_breaks_in_the_middle_is_settled_by_reading(kind: Kind) {
    let database = Database::start(kind, None).await;
    database.fill(1..=3).await;
    let before = database.hashes().await;
    let directory = directory(&database).await;
    let mut person = database.admin().await;
    person.execute("BEGIN; UPDATE customer SET name = 'X' WHERE id = 'C2'").await;
    let broken = async {
        waits_for_a_lock(&database).await;
        let mut admin = database.admin().await;
        match kind {
            Kind::Postgres => {
                let end =
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'";
                admin.execute(end).await;
            }
            _ => admin.execute("KILL USER app@'127.0.0.1'").await,
        }
    };
    let rows = [replacement(1), replacement(2)];
    let none = Controls::none();
    let (outcome, ()) = tokio::join!(directory.replace(PASSWORDS, &rows, &none), broken);
    let error = outcome.unwrap_err();
    assert!(matches!(error, DirectoryError::Lost { .. }), "{error}");
    assert!(error.told().contains("hint: run it again"), "{}", error.told());
    person.execute("ROLLBACK").await;
    assert_eq!(database.hashes().await, before, "the server took it back");
    assert_eq!(directory.replace(PASSWORDS, &rows, &Controls::none()).await.unwrap(), 2);
}

async fn a_statement_that_takes_too_long_is_given_up(kind: Kind) {
    let database = Database::start(kind, None).await;
    database.fill(1..=3).await;
    let before = database.hashes().await;
    let mut settings = Database::settings(&(database.directory()));
    settings.timeout = "1s".parse().unwrap();
    let wait =
        if kind == Kind::Postgres { "pg_sleep(60)::text IS NOT NULL" } else { "SLEEP(60) = 0" };
    let expire = &mut settings.password.as_mut().unwrap().expire;
    *expire = format!("{expire} AND {wait}");
    let directory = open(&database, &settings).await.unwrap();
    let error =
        directory.replace(PASSWORDS, &[replacement(1)], &Controls::none()).await.unwrap_err();
    assert!(matches!(error, DirectoryError::Slow { .. }), "{error}");
    assert!(error.told().contains("directory.sql.timeout"), "{}", error.told());
    assert_eq!(database.hashes().await, before);
}

async fn the_documented_statements_find_accounts_by_their_index(kind: Kind) {
    let database = Database::start(kind, None).await;
    let mut admin = database.admin().await;
    let numbers = if kind == Kind::Postgres {
        "generate_series(1, 100000) AS n(seq)"
    } else {
        "seq_1_to_100000"
    };
    admin
        .execute(&format!(
            "INSERT INTO customer (id, password_hash) SELECT concat('C', seq), 'x' FROM {numbers}; \
             INSERT INTO session (customer_id) SELECT concat('C', seq) FROM {numbers}"
        ))
        .await;
    let analyze =
        if kind == Kind::Postgres { "ANALYZE" } else { "ANALYZE TABLE customer, session" };
    admin.execute(analyze).await;
    let settings = Database::settings(&database.directory());
    let password = settings.password.unwrap();
    let rows = r#"'[{"account":"C1","current":"x","replacement":"y"}]'"#;
    let rows = if kind == Kind::Postgres { format!("{rows}::jsonb") } else { rows.into() };
    for statement in [
        password.read,
        password.expire,
        settings.sessions.count.unwrap(),
        settings.sessions.end.unwrap().all()[0].clone(),
    ] {
        let plan = admin.texts(&format!("EXPLAIN {}", statement.replace(":rows", &rows))).await;
        let lines: Vec<String> = plan
            .iter()
            .map(|row| row.iter().map(|cell| cell.clone().unwrap_or_default() + " ").collect())
            .collect();
        let is_scan = |line: &String| match kind {
            Kind::Postgres => line.contains("Seq Scan"),
            // the rows of the bind are read from end to end, nothing else
            _ => line.contains(" ALL ") && !line.contains("json_table"),
        };
        assert!(!lines.iter().any(is_scan), "{statement}\n{}", lines.join("\n"));
        assert!(lines.len() >= 2, "{lines:?}");
    }
}
