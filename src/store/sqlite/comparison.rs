//! Two audiences beside each other: a SQLite file that lives as long as the comparison.

use std::path::Path;

use async_trait::async_trait;
use serde_json::{Value, json};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use super::{StoreError, options, row};
use crate::store::audiences::{ComparedRow, ComparedTotals, Comparison, Difference, Side};

const TABLES: &str = "
    CREATE TABLE row (
        id INTEGER PRIMARY KEY,
        side INTEGER NOT NULL,
        account BLOB NOT NULL,
        fields BLOB NOT NULL,
        label BLOB NOT NULL
    ) STRICT;";

/// The index that gives accounts in its order, and the first row of each on either side.
const ACCOUNTS: &str = "CREATE INDEX row_by_account ON row (account, side, id)";

/// Accounts with what `$show` says of their rows: fields in each audience, null where it is not in it. The
/// first row of an account counts. Grouped, kept and listed in the index's order, so that a page ends where
/// it is full.
macro_rules! accounts {
    ($show:literal, $($which:literal),+) => {
        concat!(
            "SELECT ",
            $show,
            " FROM row AS r
              WHERE r.id = (SELECT MIN(f.id) FROM row AS f
                            WHERE f.account = r.account AND f.side = r.side) ",
            $($which),+
        )
    };
}

/// Fields in the first audience and in the second.
macro_rules! page {
    ($difference:literal) => {
        accounts!(
            "r.account, MIN(r.label),
             MAX(CASE r.side WHEN 0 THEN r.fields END) AS a,
             MAX(CASE r.side WHEN 1 THEN r.fields END) AS b",
            "AND r.account > $1 GROUP BY r.account HAVING ",
            $difference,
            " ORDER BY r.account LIMIT $2"
        )
    };
}

const ONLY_A: &str = page!("b IS NULL");
const ONLY_B: &str = page!("a IS NULL");
const CHANGED: &str = page!("a <> b");

const TOTALS: &str = concat!(
    "SELECT COUNT(*) FILTER (WHERE b IS NULL), COUNT(*) FILTER (WHERE a IS NULL),
            COUNT(*) FILTER (WHERE a <> b), COUNT(*) FILTER (WHERE a = b)
     FROM (",
    accounts!(
        "MAX(CASE r.side WHEN 0 THEN r.fields END) AS a,
         MAX(CASE r.side WHEN 1 THEN r.fields END) AS b",
        "GROUP BY r.account"
    ),
    ")"
);

/// The file of a comparison.
pub(super) struct SqliteComparison {
    pool: SqlitePool,
}

impl SqliteComparison {
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        // nothing in it outlives this process, so nothing waits for the disk
        let options = options(path).create_if_missing(true).synchronous(SqliteSynchronous::Off);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let pool = pool.map_err(|source| StoreError::Open {
            path: path.display().to_string(),
            hint: "is the folder writable, and is there space?".into(),
            source,
        })?;
        sqlx::raw_sql(TABLES)
            .execute(&pool)
            .await
            .map_err(StoreError::on("prepare a comparison"))?;
        Ok(Self { pool })
    }
}

#[async_trait]
impl Comparison for SqliteComparison {
    async fn add(&mut self, side: Side, rows: Vec<ComparedRow>) -> Result<(), StoreError> {
        let rows: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!([hex::encode(row.account), hex::encode(row.fields), hex::encode(&row.label)])
            })
            .collect();
        sqlx::query(
            "INSERT INTO row (side, account, fields, label)
             SELECT $2, unhex(j.value ->> 0), unhex(j.value ->> 1), unhex(j.value ->> 2)
             FROM json_each($1) AS j",
        )
        .bind(json!(rows).to_string())
        .bind(i64::from(side == Side::B))
        .execute(&self.pool)
        .await
        .map_err(StoreError::on("add to a comparison"))?;
        Ok(())
    }

    async fn totals(&mut self) -> Result<ComparedTotals, StoreError> {
        sqlx::raw_sql(ACCOUNTS)
            .execute(&self.pool)
            .await
            .map_err(StoreError::on("sort a comparison"))?;
        let (only_a, only_b, changed, same): (i64, i64, i64, i64) = sqlx::query_as(TOTALS)
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::on("count a comparison"))?;
        Ok(ComparedTotals {
            only_a: row::uint(only_a),
            only_b: row::uint(only_b),
            changed: row::uint(changed),
            same: row::uint(same),
        })
    }

    async fn list(
        &mut self,
        difference: Difference,
        after: [u8; 16],
        limit: u32,
    ) -> Result<Vec<([u8; 16], Vec<u8>)>, StoreError> {
        type Columns = (Vec<u8>, Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>);
        let rows: Vec<Columns> = sqlx::query_as(match difference {
            Difference::OnlyA => ONLY_A,
            Difference::OnlyB => ONLY_B,
            Difference::Changed => CHANGED,
        })
        .bind(&after[..])
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::on("list a comparison"))?;
        rows.into_iter()
            .map(|(account, label, ..)| {
                Ok((row::bytes(&account, "row", "account", "comparison")?, label))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(account: u8, fields: u8) -> ComparedRow {
        ComparedRow { account: [account; 16], fields: [fields; 16], label: vec![account] }
    }

    #[tokio::test]
    async fn every_account_is_counted_once_by_its_first_row() {
        let dir = tempfile::tempdir().unwrap();
        let mut two = SqliteComparison::open(&dir.path().join("two")).await.unwrap();
        two.add(Side::A, vec![row(1, 1), row(2, 1), row(3, 1), row(3, 9), row(5, 1)])
            .await
            .unwrap();
        two.add(Side::B, vec![row(2, 1), row(3, 1), row(4, 1), row(4, 2)]).await.unwrap();
        two.add(Side::B, vec![row(5, 2), row(6, 1)]).await.unwrap();
        let totals = two.totals().await.unwrap();
        let expected = ComparedTotals { only_a: 1, only_b: 2, changed: 1, same: 2 };
        assert_eq!(totals, expected);
        for (difference, accounts) in [
            (Difference::OnlyA, &[1][..]),
            (Difference::OnlyB, &[4, 6]),
            (Difference::Changed, &[5]),
        ] {
            let mut after = [0; 16];
            for account in accounts {
                let listed = two.list(difference, after, 1).await.unwrap();
                assert_eq!(listed, [([*account; 16], vec![*account])], "{difference:?}");
                after = listed[0].0;
            }
            assert!(two.list(difference, after, 1).await.unwrap().is_empty(), "{difference:?}");
        }
    }

    #[tokio::test]
    async fn a_page_ends_where_it_is_full_and_sorts_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut two = SqliteComparison::open(&dir.path().join("two")).await.unwrap();
        two.totals().await.unwrap();
        for sql in [ONLY_A, ONLY_B, CHANGED, TOTALS] {
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            let steps: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&two.pool).await.unwrap();
            assert!(steps.iter().all(|(.., step)| !step.contains("TEMP B-TREE")), "{steps:?}");
        }
    }
}
