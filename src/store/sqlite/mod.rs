//! The embedded default: one file, one writer connection, WAL, `synchronous=FULL`.
//!
//! Many rows travel in one statement as a JSON array (`json_each`): sqlx hands each statement to the
//! connection's own thread, and that hop, not SQLite, is what a statement a row would pay for.

mod acts;
mod amendments;
mod audiences;
mod campaigns;
mod classes;
mod codes;
mod comparison;
mod containments;
mod credentials;
mod deliveries;
mod due;
mod errands;
mod events;
mod flush;
mod followers;
mod identity;
mod lanes;
mod load;
mod operators;
mod pace;
mod plans;
mod publish;
#[cfg(test)]
mod query_plan;
mod reached;
mod rechecks;
mod reports;
mod resets;
mod rewinds;
mod seals;
mod staging;
mod support;
mod tokens;
mod waves;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Sqlite, SqliteConnection, Transaction};

use self::waves::reasons::WaveReasons;
use super::{LedgerMark, OnBatch, Store, StoreError, Trouble, row};
use crate::domain::clock::Clock;
use crate::secret::digest::sha256;

/// How long SQLite itself waits for a lock before it says that the database is locked.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the tasks of this process wait for each other at the writer connection: longer than any of
/// them waits for another process, so that what is told is the lock and not the queue behind it.
const TURN: Duration = Duration::from_hours(1);

/// The store on a SQLite file.
#[derive(Clone)]
pub struct SqliteStore {
    path: PathBuf,
    writer: SqlitePool,
    reader: SqlitePool,
    clock: Arc<dyn Clock>,
    on_batch: OnBatch,
    writer_name: String,
    lock_wait: Duration,
    /// What the reasons of a campaign's waves came to when something last moved.
    wave_reasons: Arc<WaveReasons>,
    /// The database is rewound: nothing is written.
    is_closed: Arc<AtomicBool>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store for SqliteStore {}

/// An open write transaction that may append ledger batches.
struct WriteTx {
    tx: Transaction<'static, Sqlite>,
    mark: Option<LedgerMark>,
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // FULL: a commit that was reported survives the machine; batching makes it cheap
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        // a chunk's rows in one go: else the connection's thread and the reader wake each other in turn
        .row_buffer_size(1024)
        .disable_statement_logging()
}

impl SqliteStore {
    /// Opens the database, bringing it to this version first; `create` makes the file if it is absent.
    pub async fn open(
        path: &Path,
        create: bool,
        clock: Arc<dyn Clock>,
        on_batch: OnBatch,
        writer_name: &str,
    ) -> Result<Self, StoreError> {
        let shown = path.display().to_string();
        let refused = |source| StoreError::Open {
            path: shown.clone(),
            hint: "run `forthwith init` first, or name the workspace with `--workspace DIR`".into(),
            source,
        };
        let write_options = options(path)
            .create_if_missing(create)
            // a commit that finds 32 MiB of log moves them into the file (PASSIVE: it waits for nobody). Each
            // flush writes the same few hot pages again, and only their last state is moved.
            .pragma("wal_autocheckpoint", "8192")
            .pragma("journal_size_limit", "67108864");
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(TURN)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(write_options)
            .await
            .map_err(refused)?;
        let refused = |source| StoreError::Open {
            path: shown.clone(),
            hint: "is the folder writable?".into(),
            source,
        };
        owner_only(path)?;
        sqlx::migrate!("migrations/sqlite")
            .run(&writer)
            .await
            .map_err(|source| StoreError::Migrate { path: shown.clone(), source })?;
        let reader = SqlitePoolOptions::new()
            .max_connections(4)
            .test_before_acquire(false)
            .connect_with(options(path).pragma("query_only", "1"))
            .await
            .map_err(refused)?;
        let store = Self {
            path: path.to_owned(),
            writer,
            reader,
            clock,
            on_batch,
            writer_name: writer_name.to_owned(),
            lock_wait: Duration::ZERO,
            wave_reasons: Arc::default(),
            is_closed: Arc::default(),
        };
        store.found().await?;
        Ok(store)
    }

    /// The same store that waits so long for the lock of another process, and not only as long as SQLite
    /// does by itself: what was sent meanwhile is recorded once the lock is free.
    #[must_use]
    pub fn waiting(self, lock_wait: Duration) -> Self {
        Self { lock_wait, ..self }
    }

    /// Closes both pools, so that the file is whole and unlocked.
    pub async fn close(&self) {
        self.checkpoint().await;
        self.reader.close().await;
        self.writer.close().await;
    }

    /// Moves what readers no longer need from the write-ahead log into the file, without waiting for
    /// anybody.
    pub async fn checkpoint(&self) {
        // A checkpoint that cannot run now runs later; nothing is lost by it.
        let _ = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&self.writer).await;
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn write(&self) -> Result<WriteTx, StoreError> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(StoreError::Rewound);
        }
        let asked = Instant::now();
        loop {
            let begun = self.writer.begin_with("BEGIN IMMEDIATE").await;
            let error = match begun.map_err(StoreError::on("begin a write transaction")) {
                Ok(tx) => return Ok(WriteTx { tx, mark: None }),
                Err(error) => error,
            };
            if error.trouble() != Some(Trouble::Locked) || asked.elapsed() >= self.lock_wait {
                return Err(error);
            }
            tracing::warn!(
                "another process has held the lock of {} for {} s: nothing new starts, what ended waits \
                 to be recorded",
                self.path.display(),
                asked.elapsed().as_secs()
            );
        }
    }

    /// Commits and, where ledger batches were appended, tells the high-water keeper.
    async fn commit(&self, write: WriteTx) -> Result<(), StoreError> {
        write.tx.commit().await.map_err(StoreError::on("commit"))?;
        if let Some(mark) = write.mark {
            (self.on_batch)(mark);
        }
        Ok(())
    }

    /// Appends one ledger batch to this transaction; nothing where there are no lines.
    async fn log(&self, write: &mut WriteTx, lines: &[String]) -> Result<(), StoreError> {
        let now = row::micros(self.now());
        if let Some(mark) = append_batch(write.conn(), &self.writer_name, lines, now).await? {
            write.mark = Some(mark);
        }
        Ok(())
    }
}

/// Appends a ledger batch; nothing where it has no entries.
macro_rules! append_batch_sql {
    ($writer:literal, $count:literal, $digest:literal, $entries:literal, $now:literal) => {
        concat!(
            "INSERT INTO ledger_batch (writer, count, sha256, entries, written_at)
             SELECT ",
            $writer,
            ", ",
            $count,
            ", ",
            $digest,
            ", ",
            $entries,
            ", ",
            $now,
            "
             WHERE ",
            $count,
            " > 0
             RETURNING id"
        )
    };
}
pub(super) use append_batch_sql;

const APPEND_BATCH: &str = append_batch_sql!("$1", "$2", "$3", "$4", "$5");

/// Appends lines as one ledger batch, within whatever transaction `conn` is in.
async fn append_batch(
    conn: &mut SqliteConnection,
    writer: &str,
    lines: &[String],
    now: i64,
) -> Result<Option<LedgerMark>, StoreError> {
    if lines.is_empty() {
        return Ok(None);
    }
    let (entries, sha256) = entries(lines);
    let id: i64 = sqlx::query_scalar(APPEND_BATCH)
        .bind(writer)
        .bind(row::int(lines.len() as u64))
        .bind(&sha256[..])
        .bind(entries)
        .bind(now)
        .fetch_one(conn)
        .await
        .map_err(StoreError::on("append a ledger batch"))?;
    Ok(Some(LedgerMark { batch_id: id, sha256 }))
}

/// The entries of a ledger batch, a line each, and their SHA-256.
fn entries(lines: &[impl AsRef<str>]) -> (Vec<u8>, [u8; 32]) {
    let length = lines.iter().map(|line| line.as_ref().len() + 1).sum();
    let mut entries = Vec::with_capacity(length);
    for line in lines {
        entries.extend_from_slice(line.as_ref().as_bytes());
        entries.push(b'\n');
    }
    let digest = *sha256(&entries).as_bytes();
    (entries, digest)
}

/// The database is its owner's alone, like the keys; its log and index take the file's mode.
fn owner_only(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|source| StoreError::File { path: path.display().to_string(), source })
}

impl WriteTx {
    fn conn(&mut self) -> &mut SqliteConnection {
        &mut self.tx
    }
}

#[cfg(test)]
mod migration_tests;
