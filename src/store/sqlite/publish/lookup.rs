//! The digest look-ups of a seal, copied in digest order. An account finds its person, not their copy; an
//! address finds whichever row it is the address of.

use std::sync::Arc;

use sqlx::SqliteConnection;

use super::checkpoints::Checkpoints;
use super::{Publisher, begin_immediate};
use crate::store::sqlite::staging::digests::RECORD;
use crate::store::{StoreError, row};

/// Digests a slice: well under 100 ms of write transaction.
const SLICE: u64 = 10_000;
/// Rows a statement; what is left unbound is NULL, and passed over.
const ROWS: usize = 1_000;

/// Which look-up is copied.
#[derive(Clone, Copy)]
pub(super) enum Lookup {
    Account,
    Address,
}

impl Lookup {
    /// The table, the mark, and the move of the mark.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Account => (
                "account_lookup",
                "SELECT copied_account FROM seal WHERE id = $1",
                "UPDATE seal SET copied_account = $2 WHERE id = $1",
            ),
            Self::Address => (
                "address_lookup",
                "SELECT copied_address FROM seal WHERE id = $1",
                "UPDATE seal SET copied_address = $2 WHERE id = $1",
            ),
        }
    }
}

impl Publisher<'_> {
    pub(super) async fn look_ups(
        &self,
        conn: &mut SqliteConnection,
        seal: i64,
        log: &mut Checkpoints,
        lookup: Lookup,
    ) -> Result<(), StoreError> {
        let (table, mark, advance) = lookup.names();
        let rows: Vec<String> = (0..ROWS).map(|at| format!("({at},?)")).collect();
        let insert: Arc<str> = format!(
            "INSERT INTO {table} (seal_id, digest, number)
             SELECT {seal}, substr(?, column1 * 16 + 1, 16), column2 FROM (VALUES {})
             WHERE column2 IS NOT NULL",
            rows.join(",")
        )
        .into();
        // the whole record: several rows may have the digest that a slice ends with
        let mark: Vec<u8> = sqlx::query_scalar(mark)
            .bind(seal)
            .fetch_one(&mut *conn)
            .await
            .map_err(StoreError::on("find the digest mark"))?;
        let mut reader = match lookup {
            Lookup::Account => self.parts.open_accounts(&mark)?,
            Lookup::Address => self.parts.open_addresses(&mark)?,
        };
        loop {
            let page = reader.page(SLICE).map_err(self.parts.failed())?;
            let Some(last) = page.last() else { return Ok(()) };
            let mut tx = begin_immediate(&mut *conn).await?;
            for part in page.chunks(ROWS) {
                copy(&mut tx, &insert, part).await?;
            }
            sqlx::query(advance)
                .bind(seal)
                .bind(&last[..])
                .execute(&mut *tx)
                .await
                .map_err(StoreError::on("move the digest mark"))?;
            tx.commit().await.map_err(StoreError::on("commit a slice"))?;
            log.committed().await?;
        }
    }
}

async fn copy(
    conn: &mut SqliteConnection,
    insert: &Arc<str>,
    part: &[[u8; RECORD]],
) -> Result<(), StoreError> {
    let digests: Vec<u8> = part.iter().flat_map(|record| &record[..16]).copied().collect();
    let mut query = sqlx::query(sqlx::AssertSqlSafe(Arc::clone(insert))).bind(digests);
    for record in part {
        let number = record[16..].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        query = query.bind(row::int(number));
    }
    query.execute(conn).await.map_err(StoreError::on("copy a slice of digests"))?;
    Ok(())
}
