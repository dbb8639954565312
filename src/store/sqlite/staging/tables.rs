//! The tables of a staging file.

use sqlx::sqlite::SqlitePool;

use crate::store::StoreError;

/// The shape of a staging file; one of another version is emptied, and loaded anew.
const SHAPE: i64 = 4;

pub(super) const TABLES: &str = "
    -- rows of which there is more to say than that they are kept and told by a notice of their own
    CREATE TABLE IF NOT EXISTS noted (
        number INTEGER PRIMARY KEY,
        address_reason TEXT NOT NULL,
        name_refused INTEGER NOT NULL,
        -- where other kept rows have it too
        address BLOB,
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
        SELECT number,
               CASE WHEN held IS NOT NULL THEN 'held/' || held
                    WHEN address_reason IN ('ok', 'suspect', 'dormant') THEN 'queued'
                    ELSE 'fallback/address:' || address_reason END AS label
        FROM noted
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
        is_copy INTEGER NOT NULL,
        -- where its last block starts among the rows, + 1
        last INTEGER NOT NULL,
        -- rows taken in, and of which kind
        rows INTEGER NOT NULL,
        born TEXT NOT NULL
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
        rules TEXT NOT NULL,
        boot TEXT NOT NULL,
        -- bytes of the rows, the accounts and the addresses
        bytes TEXT NOT NULL
    ) STRICT;";

/// Makes the tables; those of an earlier version are dropped first.
pub(super) async fn shape(pool: &SqlitePool) -> Result<(), StoreError> {
    let shape: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(pool)
        .await
        .map_err(StoreError::on("look at the staging file"))?;
    if shape != SHAPE {
        sqlx::raw_sql(
            "DROP VIEW IF EXISTS born;
             DROP TABLE IF EXISTS row;
             DROP TABLE IF EXISTS noted;
             DROP TABLE IF EXISTS chunk;
             DROP TABLE IF EXISTS duplicate;
             DROP TABLE IF EXISTS source;
             DROP TABLE IF EXISTS follower;
             DROP TABLE IF EXISTS place;
             PRAGMA user_version = 4;",
        )
        .execute(pool)
        .await
        .map_err(StoreError::on("empty an older staging file"))?;
    }
    sqlx::raw_sql(TABLES)
        .execute(pool)
        .await
        .map_err(StoreError::on("prepare the staging file"))?;
    Ok(())
}
