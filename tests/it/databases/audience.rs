//! Audiences read from servers: every value as the database writes it, nothing written, row by row.

use forthwith::source::{Row, Source, SourceError, SqlSource};

use super::on_each_engine;
use crate::harness::database::{Database, Kind};

on_each_engine! {
    every_value_is_read_as_the_database_writes_it on Postgres MariaDb;
    a_query_without_end_is_read_row_by_row on Postgres MariaDb;
    the_companys_database_is_never_written on Postgres MariaDb;
}

const COLUMNS: &str = "account = \"id\", address = \"email\"";

async fn source(database: &Database, query: &str, columns: &str) -> Result<SqlSource, SourceError> {
    SqlSource::open(&database.audience(query, columns), database.folder.path()).await
}

async fn every_value_is_read_as_the_database_writes_it(kind: Kind) {
    let database = Database::start(kind, None).await;
    let query = match kind {
        Kind::Postgres => {
            "SELECT 42::bigint AS id, 'a@mail.example' AS email, 12.50::numeric AS price, \
             DATE '2018-08-21' AS bought, TIMESTAMPTZ '2018-08-21 22:58:00+01' AS moved, \
             NULL::text AS note, 'ü' AS word, true AS flag; -- done"
        }
        _ => {
            "SELECT CAST(42 AS SIGNED) AS id, 'a@mail.example' AS email, CAST(12.50 AS DECIMAL(9,2)) \
             AS price, DATE '2018-08-21' AS bought, \
             DATE_FORMAT(FROM_UNIXTIME(1534888680), '%Y-%m-%dT%H:%i:%sZ') AS moved, \
             NULL AS note, 'ü' AS word, TRUE AS flag; -- done"
        }
    };
    let columns = format!(
        "{COLUMNS}, name = \"note\", address_changed_at = \"moved\", fields = {{ price = \"number\", \
         bought = \"date\", word = \"text\", flag = \"text\" }}"
    );
    let mut source = source(&database, query, &columns).await.unwrap();
    assert_eq!(source.progress().total, Some(1));
    let mut tapped = Vec::new();
    let rows = source.next_batch(9, &mut |bytes| tapped.push(bytes.to_vec())).await.unwrap();
    let [Row::Good { line: 1, recipient }] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!(recipient.account.as_str(), "42");
    assert_eq!(recipient.address.as_ref().unwrap().as_str(), "a@mail.example");
    assert!(recipient.name.is_none() && !recipient.name_refused);
    let moved = recipient.address_changed_at.unwrap();
    assert_eq!(moved.to_string(), "2018-08-21T21:58:00Z");
    let field = |name: &str| recipient.fields.get(name).map(|field| &**field);
    assert_eq!((field("price"), field("bought")), (Some("12.50"), Some("2018-08-21")));
    let flag = if kind == Kind::Postgres { "t" } else { "1" };
    assert_eq!((field("word"), field("flag")), (Some("ü"), Some(flag)));
    assert!(source.next_batch(9, &mut |_| {}).await.unwrap().is_empty());
    let scheme = if kind == Kind::Postgres { "postgres" } else { "mariadb" };
    assert_eq!(source.origin(), format!("{scheme} 127.0.0.1:{}/shop", database.port()));
}

async fn a_query_without_end_is_read_row_by_row(kind: Kind) {
    let database = Database::start(kind, None).await;
    let query = match kind {
        Kind::Postgres => {
            "SELECT generate_series(1, 1000000000000) AS id, repeat('x', 200) || '@mail.example' AS email"
        }
        _ => {
            "SELECT seq AS id, CONCAT(REPEAT('x', 200), '@mail.example') AS email \
              FROM seq_1_to_1000000000000"
        }
    };
    if kind == Kind::MariaDb {
        database.admin().await.execute("GRANT SELECT ON shop.* TO app@'127.0.0.1'").await;
    }
    // had it been read whole, nothing would come for days
    let mut source = source(&database, query, COLUMNS).await.unwrap();
    assert_eq!(source.progress().total, None, "counting was given up");
    for _ in 0..50 {
        assert_eq!(source.next_batch(200, &mut |_| {}).await.unwrap().len(), 200);
    }
    assert_eq!(source.progress().done, 10_000);

    let failing = match kind {
        Kind::Postgres => {
            "SELECT i AS id, (1 / (5000 - i))::text AS email FROM generate_series(1, 9000) AS g(i)"
        }
        _ => {
            "SELECT seq AS id, IF(seq < 5000, 'x', (SELECT 1 UNION SELECT 2)) AS email FROM seq_1_to_9000"
        }
    };
    let mut source = self::source(&database, failing, COLUMNS).await.unwrap();
    let error = loop {
        match source.next_batch(100, &mut |_| {}).await {
            Ok(rows) => assert!(!rows.is_empty(), "an error in the middle is no end"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SourceError::Rows { .. }), "{error}");
}

async fn the_companys_database_is_never_written(kind: Kind) {
    let database = Database::start(kind, None).await;
    database.fill(1..=3).await;
    database.admin().await.execute("CREATE TABLE kept (n INT); INSERT INTO kept VALUES (1)").await;
    let whom = if kind == Kind::Postgres { "app" } else { "app@'127.0.0.1'" };
    database.admin().await.execute(&format!("GRANT ALL ON kept TO {whom}")).await;
    let mut sly = vec![
        "DELETE FROM kept",
        "SELECT 1 AS id, 2 AS email; DELETE FROM kept",
        "SELECT 1 AS id, 2 AS email; COMMIT; DELETE FROM kept",
        "SELECT n AS id, n AS email FROM kept WHERE n = :n",
    ];
    if kind == Kind::Postgres {
        let function = "CREATE FUNCTION sly() RETURNS int LANGUAGE plpgsql AS \
                            $$ BEGIN DELETE FROM kept; RETURN 1; END $$";
        database.admin().await.execute(function).await;
        sly.extend([
            "WITH gone AS (DELETE FROM kept RETURNING n) SELECT n AS id, n AS email FROM gone",
            "SELECT sly() AS id, 1 AS email",
            "SELECT set_config('transaction_read_only', 'off', true) AS id, sly() AS email",
            "SELECT n AS id, n AS email FROM kept WHERE n = $1",
        ]);
    } else {
        let function = "CREATE FUNCTION sly() RETURNS INT MODIFIES SQL DATA \
                            BEGIN DELETE FROM kept; RETURN 1; END; \
                            GRANT EXECUTE ON FUNCTION sly TO app@'127.0.0.1'";
        database.admin().await.execute(function).await;
        sly.extend([
            "SELECT sly() AS id, 1 AS email",
            "SELECT 1 AS id, 2 AS email /*! ; COMMIT; DELETE FROM kept */",
            "SELECT 1 AS id, 2 AS email INTO OUTFILE '/tmp/forthwith-sly'",
            "SELECT n AS id, n AS email FROM kept WHERE n = ?",
        ]);
    }
    for query in sly {
        let read = match source(&database, query, COLUMNS).await {
            Ok(mut source) => source.next_batch(9, &mut |_| {}).await.map(|_| ()),
            Err(error) => Err(error),
        };
        let error = read.expect_err(query).to_string();
        assert!(!error.is_empty(), "{query}");
        assert_eq!(database.number("SELECT count(*) FROM kept").await, 1, "{query}");
    }
}
