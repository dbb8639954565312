//! The lock that says a worker lives: an exclusive flock, which the kernel drops with the last
//! descriptor of the process, and with nothing else. The pid inside is for people only.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// An exclusive lock on a file, held until dropped. Its death proves its owner's.
#[derive(Debug)]
pub struct WorkerLock {
    _file: File,
    path: PathBuf,
}

/// The locks of one worker: beside its database, and in the folder that its host keeps for it. Held until
/// dropped.
#[derive(Debug)]
pub struct HostLock(pub Vec<WorkerLock>);

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process lives and holds it.
    #[error(
        "{} is held by {}; hint: one worker a database file, stop the other one first",
        path.display(), holder(*pid)
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The holder, as it wrote itself down; `None` if it has not yet.
        pid: Option<u32>,
    },
    /// The file could not be opened or created.
    #[error("opening the lock file {}", path.display())]
    Open {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file system refused a lock.
    #[error("locking {}; hint: the file system must support flock", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The pid could not be written into the locked file.
    #[error("writing the pid into {}", path.display())]
    WritePid {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file was removed or replaced while it was being locked, so the lock proves nothing.
    #[error("{} was replaced while it was being locked; hint: never delete it", path.display())]
    Replaced {
        /// The lock file.
        path: PathBuf,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

impl WorkerLock {
    /// Takes the lock on `path`, creating the file (0600) if it is absent. Never waits.
    pub fn acquire(path: &Path) -> Result<Self, LockError> {
        Self::take(path, OpenOptions::new().create(true))
    }

    /// Takes the lock on a file that must be there: an absent one is no proof of death.
    pub(super) fn acquire_existing(path: &Path) -> Result<Self, LockError> {
        Self::take(path, &mut OpenOptions::new())
    }

    /// The pid of whoever holds the lock on `path`, without ever standing in a worker's way for more
    /// than an instant: the look shares the lock and writes nothing.
    pub fn holder(path: &Path) -> Option<u32> {
        let file = File::open(path).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => read_pid(&file),
            _ => None,
        }
    }

    /// The locked file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn take(path: &Path, options: &mut OpenOptions) -> Result<Self, LockError> {
        let path = path.to_path_buf();
        let file = match options.read(true).write(true).mode(0o600).open(&path) {
            Ok(file) => file,
            Err(source) => return Err(LockError::Open { path, source }),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { pid: read_pid(&file), path });
            }
            Err(TryLockError::Error(source)) => return Err(LockError::Lock { path, source }),
        }
        if !still_at(&file, &path) {
            return Err(LockError::Replaced { path });
        }
        match write_pid(&file) {
            Ok(()) => Ok(Self { _file: file, path }),
            Err(source) => Err(LockError::WritePid { path, source }),
        }
    }
}

/// Whether `path` still names the file that was locked: a lock on an unlinked file excludes nobody.
fn still_at(file: &File, path: &Path) -> bool {
    let place = |meta: fs::Metadata| (meta.dev(), meta.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(locked), Ok(named)) => place(locked) == place(named),
        _ => false,
    }
}

fn write_pid(mut file: &File) -> io::Result<()> {
    file.set_len(0)?;
    file.write_all(format!("{}\n", std::process::id()).as_bytes())
}

fn read_pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_worker_is_refused_and_told_the_firsts_pid() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("forthwith.db.lock");
        let first = WorkerLock::acquire(&path).unwrap();
        let refused = WorkerLock::acquire(&path).unwrap_err();
        assert!(
            matches!(refused, LockError::Held { pid: Some(pid), .. } if pid == std::process::id())
        );
        assert!(refused.to_string().contains(&std::process::id().to_string()));
        drop(first);
        WorkerLock::acquire(&path).unwrap();
    }

    #[test]
    fn a_longer_pid_of_the_worker_before_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        fs::write(&path, "429496729500\n").unwrap();
        let _first = WorkerLock::acquire(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_holder_without_a_readable_pid_still_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _first = WorkerLock::acquire(&path).unwrap();
        fs::write(&path, "not a pid").unwrap();
        assert!(matches!(WorkerLock::acquire(&path), Err(LockError::Held { pid: None, .. })));
    }

    #[test]
    fn an_absent_lock_is_no_proof_of_death() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("owner.lock");
        assert!(matches!(WorkerLock::acquire_existing(&path), Err(LockError::Open { .. })));
        assert!(!path.exists());
    }

    #[test]
    fn a_lock_file_that_was_replaced_does_not_pass_for_the_named_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let locked = File::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!still_at(&locked, &path));
        File::create(&path).unwrap();
        assert!(!still_at(&locked, &path));
    }
}
