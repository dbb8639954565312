//! Connections that a call left in order, for the next one that reads or writes: in a wave of people who set
//! their passwords each would else open several at the company's database. A read-back never takes one.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::connection::{Access, Conn};

/// How long one is kept that nobody takes: the rest between two people of a wave, and less than a load
/// balancer or a fail-over lets a connection live that leads to the wrong place.
const FOR: Duration = Duration::from_secs(5);
/// The most of each access.
const MOST: usize = 4;

/// Which file a connection is to: a database file that was swapped for a restored backup is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Of the file that is at this path now, where there is one.
    pub async fn at(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let found = tokio::fs::metadata(path).await.ok()?;
        Some(Self { device: found.dev(), inode: found.ino() })
    }
}

struct Idle {
    access: Access,
    conn: Conn,
    since: Instant,
}

/// Connections nobody uses at the moment.
#[derive(Default)]
pub struct Kept(Arc<Mutex<Vec<Idle>>>);

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl Kept {
    /// The one that was used last, where it still leads to what is at `file`.
    pub fn take(&self, access: Access, file: Option<FileId>) -> Option<Conn> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|idle| idle.since.elapsed() < FOR && idle.conn.file() == file);
        let at = all.iter().rposition(|idle| idle.access == access)?;
        Some(all.remove(at).conn)
    }

    /// Keeps one outside of any transaction; gives it back where there are enough.
    pub fn put(&self, access: Access, conn: Conn) -> Option<Conn> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if conn.is_lost() || all.iter().filter(|idle| idle.access == access).count() >= MOST {
            return Some(conn);
        }
        all.push(Idle { access, conn, since: Instant::now() });
        drop(all);
        let all = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(FOR).await;
            let Some(all) = all.upgrade() else { return };
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|idle| idle.since.elapsed() < FOR);
        });
        None
    }
}
