//! Moving the log into the file while slices go on being copied.
//!
//! A copy writes everything twice, into the log and into the file, and waits for the disk once for each.
//! Done between two slices that would be a third of its time, so another connection does it meanwhile.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::task::JoinHandle;

use crate::store::StoreError;
use crate::store::sqlite::{SqliteStore, options};

/// Slices after which the log is moved, about 8 MB.
const SLICES: u32 = 5;
/// Of so many moves one is waited for: only a log that is moved to its end begins again at its start.
const WAITED_FOR: u32 = 8;

/// How long the database is left alone after so many slices: who waits for it tries again every tenth of a
/// second at most, and would nearly never find it free between slices that follow at once.
const LEFT_ALONE: Duration = Duration::from_millis(4);

/// Moves the log of a copy.
pub(super) struct Checkpoints {
    conn: Option<SqliteConnection>,
    under_way: Option<JoinHandle<Result<SqliteConnection, StoreError>>>,
    slices: u32,
    moves: u32,
}

impl Checkpoints {
    pub(super) async fn new(store: &SqliteStore) -> Result<Self, StoreError> {
        let conn = options(&store.path)
            .synchronous(SqliteSynchronous::Normal)
            .pragma("cache_size", "-256")
            .connect()
            .await
            .map_err(StoreError::on("open the database for its log"))?;
        Ok(Self { conn: Some(conn), under_way: None, slices: 0, moves: 0 })
    }

    /// A slice was committed.
    pub(super) async fn committed(&mut self) -> Result<(), StoreError> {
        self.slices += 1;
        if self.slices < SLICES {
            return Ok(());
        }
        self.slices = 0;
        self.end().await?;
        let Some(mut conn) = self.conn.take() else { return Ok(()) };
        self.under_way = Some(tokio::spawn(async move {
            // one that cannot run now runs later; PASSIVE waits for nobody
            sqlx::query("PRAGMA wal_checkpoint(PASSIVE)")
                .execute(&mut conn)
                .await
                .map_err(StoreError::on("move the log into the file"))?;
            Ok(conn)
        }));
        tokio::time::sleep(LEFT_ALONE).await;
        self.moves += 1;
        if self.moves.is_multiple_of(WAITED_FOR) { self.end().await } else { Ok(()) }
    }

    /// Waits for the move under way.
    async fn end(&mut self) -> Result<(), StoreError> {
        if let Some(moving) = self.under_way.take() {
            let moved = moving.await.map_err(|died| StoreError::Conflict(died.to_string()))?;
            self.conn = Some(moved?);
        }
        Ok(())
    }

    pub(super) async fn close(mut self) -> Result<(), StoreError> {
        self.end().await?;
        match self.conn.take() {
            Some(conn) => conn.close().await.map_err(StoreError::on("end the copying")),
            None => Ok(()),
        }
    }
}
