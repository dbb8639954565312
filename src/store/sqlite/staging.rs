//! A seal under construction: a SQLite file of its own beside the database.

mod groups;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use sqlx::{QueryBuilder, Sqlite};

use super::publish::Publisher;
use super::{SqliteStore, StoreError, options, row};
use crate::domain::totals::SourceTotals;
use crate::store::seals::{
    Duplicate, Publication, SealRow, SharedLimits, StagedChunk, StagedRow, StagedSource, Staging,
    Unnamed,
};

/// Rows a statement: SQLite takes 32,766 binds and a row has eleven.
const ROWS_A_STATEMENT: usize = 1_000;
/// The shape of a staging file; one of another version is emptied, and loaded anew.
const SHAPE: i64 = 3;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS row (
        number INTEGER PRIMARY KEY,
        line INTEGER NOT NULL,
        salt BLOB NOT NULL,
        leaf BLOB NOT NULL,
        body BLOB NOT NULL,
        row_digest BLOB NOT NULL,
        account BLOB NOT NULL,
        address BLOB,
        address_reason TEXT NOT NULL,
        name_refused INTEGER NOT NULL,
        -- the person of whom this row is a second address
        copy_of INTEGER,
        -- 0 kept, 1 duplicate, 2 conflict, 3 the copy of a row that is not kept
        fate INTEGER NOT NULL DEFAULT 0,
        -- kept, but held: 'conflict' where other rows of its account differ, 'shared' where too many
        -- accounts have its address
        held TEXT,
        -- accounts told at this address
        at_address INTEGER NOT NULL DEFAULT 1,
        -- the row whose notice names this account; a carrier names itself
        carrier INTEGER
    ) STRICT;
    CREATE VIEW IF NOT EXISTS born AS
        SELECT number, address_reason, name_refused, copy_of, carrier,
               CASE WHEN held IS NOT NULL THEN 'held/' || held
                    WHEN address_reason IN ('ok', 'suspect', 'dormant') THEN 'queued'
                    ELSE 'fallback/address:' || address_reason END AS label
        FROM row
        WHERE fate = 0;
    CREATE TABLE IF NOT EXISTS follower (
        number INTEGER PRIMARY KEY,
        leader INTEGER NOT NULL,
        kind TEXT NOT NULL,
        person TEXT
    ) STRICT;
    CREATE TABLE IF NOT EXISTS place (
        address BLOB PRIMARY KEY,
        accounts INTEGER NOT NULL,
        -- those of them that one notice may stand for, and the first
        plain INTEGER NOT NULL,
        carrier INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS chunk (
        number INTEGER PRIMARY KEY,
        cohort TEXT NOT NULL,
        provider TEXT NOT NULL,
        zone TEXT NOT NULL,
        is_copy INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS duplicate (
        line INTEGER PRIMARY KEY,
        number INTEGER NOT NULL,
        of_line INTEGER NOT NULL,
        of_number INTEGER NOT NULL,
        is_conflict INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS source (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        digest BLOB NOT NULL,
        as_of INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        rejected INTEGER NOT NULL,
        rules TEXT NOT NULL
    ) STRICT;";

/// The staging file and the store it will be published into.
pub(super) struct SqliteStaging {
    store: SqliteStore,
    path: PathBuf,
    pool: SqlitePool,
}

impl SqliteStaging {
    pub(super) async fn open(store: SqliteStore, path: &Path) -> Result<Self, StoreError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options(path).create_if_missing(true))
            .await
            .map_err(|source| StoreError::Open {
                path: path.display().to_string(),
                hint: "is the folder writable, and is there space?".into(),
                source,
            })?;
        let staging = Self { store, path: path.to_owned(), pool };
        staging.shape().await?;
        Ok(staging)
    }

    /// Makes the tables; those of an earlier version are dropped first.
    async fn shape(&self) -> Result<(), StoreError> {
        let shape: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::on("look at the staging file"))?;
        if shape != SHAPE {
            self.run(
                "empty an older staging file",
                "DROP TABLE IF EXISTS row;
                 DROP TABLE IF EXISTS chunk;
                 DROP TABLE IF EXISTS duplicate;
                 DROP TABLE IF EXISTS source;
                 DROP TABLE IF EXISTS follower;
                 DROP TABLE IF EXISTS place;
                 PRAGMA user_version = 3;",
            )
            .await?;
        }
        self.run("prepare the staging file", TABLES).await
    }

    async fn run(&self, what: &'static str, sql: &'static str) -> Result<(), StoreError> {
        sqlx::raw_sql(sql).execute(&self.pool).await.map_err(StoreError::on(what))?;
        Ok(())
    }
}

#[async_trait]
impl Staging for SqliteStaging {
    async fn loaded(&mut self) -> Result<Option<StagedSource>, StoreError> {
        let found: Option<(Vec<u8>, i64, i64, i64, String)> =
            sqlx::query_as("SELECT digest, as_of, rows, rejected, rules FROM source")
                .fetch_optional(&self.pool)
                .await
                .map_err(StoreError::on("read the staging file"))?;
        found
            .map(|(digest, as_of, rows, rejected, rules)| {
                Ok(StagedSource {
                    digest: row::bytes(&digest, "source", "digest", 1)?,
                    as_of: row::instant(as_of),
                    rows: row::uint(rows),
                    rejected: row::uint(rejected),
                    rules,
                })
            })
            .transpose()
    }

    async fn restart(&mut self) -> Result<(), StoreError> {
        self.run(
            "empty the staging file",
            "DROP INDEX IF EXISTS row_by_account;
             DROP INDEX IF EXISTS row_by_address;
             DELETE FROM row;
             DELETE FROM follower;
             DELETE FROM place;
             DELETE FROM chunk;
             DELETE FROM duplicate;
             DELETE FROM source;",
        )
        .await
    }

    async fn append(&mut self, rows: Vec<StagedRow>) -> Result<(), StoreError> {
        let mut tx =
            self.pool.begin().await.map_err(StoreError::on("begin a staging transaction"))?;
        for part in rows.chunks(ROWS_A_STATEMENT) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO row (number, line, salt, leaf, body, row_digest, account, address,
                                  address_reason, name_refused, copy_of) ",
            );
            insert.push_values(part, |mut values, staged| {
                values
                    .push_bind(row::int(staged.number))
                    .push_bind(row::int(staged.line))
                    .push_bind(&staged.salt[..])
                    .push_bind(&staged.leaf[..])
                    .push_bind(&staged.body[..])
                    .push_bind(&staged.row_digest[..])
                    .push_bind(&staged.account[..])
                    .push_bind(staged.address.as_ref().map(|digest| &digest[..]))
                    .push_bind(&staged.address_reason[..])
                    .push_bind(i64::from(staged.name_refused))
                    .push_bind(staged.copy_of.as_ref().map(|copy| row::int(copy.number)));
            });
            insert.build().execute(&mut *tx).await.map_err(StoreError::on("stage rows"))?;
        }
        groups::stage_copies(&mut tx, &rows).await?;
        tx.commit().await.map_err(StoreError::on("commit staged rows"))
    }

    async fn finish_loading(
        &mut self,
        chunks: Vec<StagedChunk>,
        source: StagedSource,
        limits: SharedLimits,
    ) -> Result<(), StoreError> {
        // An index made after the load is sorted once; kept up row by row it would cost a random
        // write each.
        self.run(
            "find duplicates",
            "CREATE INDEX row_by_account ON row (account, line, copy_of) WHERE copy_of IS NULL;
             INSERT INTO duplicate (line, number, of_line, of_number, is_conflict)
             SELECT r.line, r.number, f.line, f.number, r.row_digest <> f.row_digest
             FROM (SELECT r.account, MIN(r.line) AS line, r.number, r.row_digest
                   FROM (SELECT account
                         FROM row
                         WHERE copy_of IS NULL
                         GROUP BY account
                         HAVING COUNT(*) > 1) AS several
                   CROSS JOIN row AS r ON r.account = several.account AND r.copy_of IS NULL
                   GROUP BY r.account) AS f
             JOIN row AS r ON r.account = f.account AND r.line <> f.line AND r.copy_of IS NULL;
             UPDATE row SET fate = 1 + d.is_conflict FROM duplicate AS d WHERE d.number = row.number;
             UPDATE row SET held = 'conflict'
             FROM duplicate AS d
             WHERE d.of_number = row.number AND d.is_conflict = 1;",
        )
        .await?;
        groups::form(&self.pool, limits).await?;
        let mut tx =
            self.pool.begin().await.map_err(StoreError::on("begin a staging transaction"))?;
        for part in chunks.chunks(ROWS_A_STATEMENT) {
            let mut insert = QueryBuilder::<Sqlite>::new(
                "INSERT INTO chunk (number, cohort, provider, zone, is_copy) ",
            );
            insert.push_values(part, |mut values, chunk| {
                values
                    .push_bind(row::int(chunk.number))
                    .push_bind(&chunk.key.cohort[..])
                    .push_bind(&chunk.key.provider[..])
                    .push_bind(&chunk.key.zone[..])
                    .push_bind(i64::from(chunk.key.is_copy));
            });
            insert.build().execute(&mut *tx).await.map_err(StoreError::on("stage chunks"))?;
        }
        sqlx::query(
            "INSERT INTO source (one, digest, as_of, rows, rejected, rules)
             VALUES (1, $1, $2, $3, $4, $5)",
        )
        .bind(&source.digest[..])
        .bind(row::micros(source.as_of))
        .bind(row::int(source.rows))
        .bind(row::int(source.rejected))
        .bind(source.rules)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::on("note the staged source"))?;
        tx.commit().await.map_err(StoreError::on("commit the staged source"))
    }

    async fn duplicates(
        &mut self,
        after_line: u64,
        limit: u32,
    ) -> Result<Vec<Duplicate>, StoreError> {
        let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT line, of_line, of_number, is_conflict
             FROM duplicate
             WHERE line > $1
             ORDER BY line
             LIMIT $2",
        )
        .bind(row::int(after_line))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::on("list duplicates"))?;
        let read = |(line, of_line, of_number, is_conflict)| Duplicate {
            line: row::uint(line),
            of_line: row::uint(of_line),
            of_number: row::uint(of_number),
            is_conflict: is_conflict == 1,
        };
        Ok(rows.into_iter().map(read).collect())
    }

    async fn leaves(
        &mut self,
        after: Option<u64>,
        limit: u32,
    ) -> Result<Vec<(u64, [u8; 32])>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT number, leaf FROM row WHERE fate = 0 AND number > $1 ORDER BY number LIMIT $2",
        )
        .bind(after.map_or(-1, row::int))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(StoreError::on("read leaves"))?;
        rows.into_iter()
            .map(|(number, leaf)| {
                Ok((row::uint(number), row::bytes(&leaf, "row", "leaf", number)?))
            })
            .collect()
    }

    async fn totals(&mut self) -> Result<(SourceTotals, u64), StoreError> {
        let (sealed, duplicates, conflicts, names): (i64, i64, i64, i64) = sqlx::query_as(
            "SELECT COUNT(*) FILTER (WHERE fate = 0), COUNT(*) FILTER (WHERE fate = 1),
                    COUNT(*) FILTER (WHERE fate = 2),
                    COUNT(*) FILTER (WHERE fate = 0 AND name_refused = 1)
             FROM row
             WHERE copy_of IS NULL",
        )
        .fetch_one(&self.pool)
        .await
        .map_err(StoreError::on("count staged rows"))?;
        let source = self.loaded().await?;
        let totals = SourceTotals {
            rows: source.as_ref().map_or(0, |source| source.rows),
            sealed: row::uint(sealed),
            duplicates: row::uint(duplicates),
            conflicts: row::uint(conflicts),
            rejected: source.map_or(0, |source| source.rejected),
        };
        Ok((totals, row::uint(names)))
    }

    async fn births(&mut self) -> Result<BTreeMap<String, u64>, StoreError> {
        groups::births(&self.pool).await
    }

    async fn unnamed(&mut self, after: u64, limit: u32) -> Result<Vec<Unnamed>, StoreError> {
        groups::unnamed(&self.pool, after, limit).await
    }

    async fn name(&mut self, named: Vec<(u64, String)>) -> Result<(), StoreError> {
        groups::name(&self.pool, named).await
    }

    async fn publish(
        &mut self,
        publication: Publication,
        lines: Vec<String>,
        progress: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<SealRow, StoreError> {
        let source = self.loaded().await?.ok_or_else(|| {
            StoreError::Conflict("the staging file was not loaded to its end".into())
        })?;
        let (totals, names_refused) = self.totals().await?;
        let copies: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM follower WHERE kind = 'copy'")
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::on("count second addresses"))?;
        // The publisher attaches the file; two open handles with a write-ahead log are fine, but a
        // closed pool leaves no lock that could surprise it.
        self.pool.close().await;
        Publisher {
            store: &self.store,
            path: &self.path,
            publication: &publication,
            source: &source,
            totals,
            names_refused,
            copies: row::uint(copies),
        }
        .run(lines, progress)
        .await
    }
}
