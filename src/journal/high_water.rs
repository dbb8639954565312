//! The high-water mark: the last ledger batch this host saw, remembered outside the database, so
//! that a rewind is seen (promise 13); and the newest life a worker began, so that a journal that is gone
//! is missed. Owns the two copies; compares nothing with the database, that is the engine's rule R0.
//!
//! Each copy has two slots (`slot`), written in turn: a torn write spoils the older one only. Every
//! process of the host shares the copies, so each write happens under the file's flock.

mod slot;

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock, Weak};

use self::slot::{Slot, read_copy, write_copy};
use super::host::HostId;
use super::segment::{Position, sync_folder};
use super::writer::Journal;

/// The last ledger batch a host saw in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HighWater {
    /// The database's id.
    pub database_id: [u8; 16],
    /// The database's incarnation.
    pub incarnation: u64,
    /// The id of the last ledger batch.
    pub batch_id: i64,
    /// SHA-256 of that batch.
    pub batch_sha256: [u8; 32],
}

/// The newest life of a worker that was begun: its place among all lives, from 1, and its id. All zeros
/// before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LifeMark {
    /// Its place among all lives.
    pub ordinal: u64,
    /// The worker's id.
    pub worker_id: [u8; 16],
    /// How far its journal reaches at least, as of the last ledger batch.
    pub reached: Position,
}

impl LifeMark {
    fn max(self, other: Self) -> Self {
        if (other.ordinal, other.reached) > (self.ordinal, self.reached) { other } else { self }
    }
}

/// One copy of the mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkCopy {
    /// The file.
    pub path: PathBuf,
    /// What it holds.
    pub mark: HighWater,
}

/// Why a high-water mark could not be read or moved.
#[derive(Debug, thiserror::Error)]
pub enum HighWaterError {
    /// A copy could not be read.
    #[error("reading the high-water mark {}", path.display())]
    Read {
        /// The copy.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A copy could not be written.
    #[error("writing the high-water mark {}", path.display())]
    Write {
        /// The copy.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A copy is of another database.
    #[error(
        "the high-water mark {} is of another database; hint: check the workspace and the \
         database URL, nothing is sent or expired until they belong together", path.display()
    )]
    OtherDatabase {
        /// The copy.
        path: PathBuf,
    },
    /// The mark is of another incarnation than the one on record.
    #[error(
        "this host saw incarnation {known} of the database and not {given}; \
         hint: `forthwith campaign recover`"
    )]
    OtherIncarnation {
        /// The incarnation on record.
        known: u64,
        /// The incarnation given.
        given: u64,
    },
    /// The batch on record has the same id and other content: the database was rewound.
    #[error(
        "ledger batch {batch_id} differs from the one this host saw; hint: the database was \
         rewound, run `forthwith campaign recover`"
    )]
    OtherBatch {
        /// The batch's id.
        batch_id: i64,
    },
}

/// Keeps the copies of one host's high-water mark.
#[derive(Debug)]
pub struct HighWaterKeeper {
    /// The workspace's own first, then those of the host.
    paths: Vec<PathBuf>,
    host: HostId,
    is_held: AtomicBool,
    /// The newest life of this process and its journal.
    followed: RwLock<Option<(LifeMark, Weak<Journal>)>>,
}

/// The newest slot among the copies, and the copy it stands in.
#[derive(Clone, Copy)]
struct Latest<'a> {
    path: &'a Path,
    slot: Slot,
}

impl HighWaterKeeper {
    /// Opens the copies at `paths` (files; those absent are made by the first write): the workspace's
    /// first, then the host's. Fails if one is there but can't be read.
    pub fn open(paths: impl IntoIterator<Item = PathBuf>) -> Result<Self, HighWaterError> {
        let keeper = Self {
            paths: paths.into_iter().collect(),
            host: HostId::here(),
            is_held: AtomicBool::new(false),
            followed: RwLock::default(),
        };
        latest(&keeper.slots()?)?;
        Ok(keeper)
    }

    /// The same as another machine would see it.
    #[must_use]
    pub fn seen_from(self, machine: [u8; 16]) -> Self {
        Self { host: HostId::from_bytes(machine), ..self }
    }

    /// Files called `name` beside the copies that lie outside of the workspace: in the folder that a host
    /// keeps for this database, which is made where it is absent.
    pub fn beside(&self, name: &str) -> Vec<PathBuf> {
        let of_host = self.paths.iter().skip(1);
        of_host
            .map(|path| {
                let folder = folder_of(path);
                // where that fails, so does the file's own opening, with a better reason
                let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
                folder.join(name)
            })
            .collect()
    }

    /// The largest valid mark among the copies; `None` if no copy holds one. A corrupt or absent
    /// copy counts as empty.
    pub fn read(&self) -> Result<Option<HighWater>, HighWaterError> {
        Ok(latest(&self.slots()?)?.map(|latest| latest.slot.mark))
    }

    /// What each copy that holds a mark says.
    pub fn copies(&self) -> Result<Vec<MarkCopy>, HighWaterError> {
        let slots = self.slots()?.into_iter();
        Ok(slots.map(|(path, slot)| MarkCopy { path: path.clone(), mark: slot.mark }).collect())
    }

    /// Whether the workspace came from another machine: this host has no copy of its own, and the
    /// workspace's was last written elsewhere. Where a host keeps no copies nobody can tell.
    pub fn is_foreign(&self) -> Result<bool, HighWaterError> {
        let slots = self.slots()?;
        let Some(own) = self.paths.first().filter(|_| self.paths.len() > 1) else {
            return Ok(false);
        };
        Ok(match slots.as_slice() {
            [(path, slot)] => *path == own && !slot.host.is(self.host),
            _ => false,
        })
    }

    /// The newest life that was begun; the zero life where none was.
    pub fn begun(&self) -> Result<LifeMark, HighWaterError> {
        Ok(begun(&self.slots()?))
    }

    /// Notes a life before its first mark is made, and fsyncs the copies. Both slots of each copy are
    /// written, so that no torn one forgets it. From here on each advance notes how far `journal` reaches.
    pub fn begin(&self, life: LifeMark, journal: &Arc<Journal>) -> Result<(), HighWaterError> {
        if let Ok(mut followed) = self.followed.write() {
            *followed = Some((life, Arc::downgrade(journal)));
        }
        let latest = latest(&self.slots()?)?.map(|latest| latest.slot);
        for _ in 0..2 {
            self.change(|now| Some(Slot { begun: life, ..now.or(latest)? }))?;
        }
        self.sync()
    }

    /// Writes the mark of a database that has no ledger batch yet, where no copy holds one, and fsyncs
    /// it: from here on an absent mark is never normal.
    pub fn found(&self, database_id: [u8; 16], incarnation: u64) -> Result<(), HighWaterError> {
        let slots = self.slots()?;
        if latest(&slots)?.is_none() {
            let mark = HighWater { database_id, incarnation, batch_id: 0, batch_sha256: [0; 32] };
            self.write(0, begun(&slots), &mark)?;
            self.sync()?;
        }
        Ok(())
    }

    /// From here on until the process ends no batch moves the mark: a database being recovered appends
    /// batches that must not pass for those it lost. [`restart`](Self::restart) still sets it.
    pub fn hold(&self) {
        self.is_held.store(true, Ordering::Release);
    }

    /// Moves every copy forwards to `mark`; a mark behind the one on record changes nothing, for
    /// the processes of a host commit in any order. No fsync.
    pub fn advance(&self, mark: &HighWater) -> Result<(), HighWaterError> {
        if self.is_held.load(Ordering::Acquire) {
            return Ok(());
        }
        let slots = self.slots()?;
        let latest = latest(&slots)?;
        if let Some(latest) = latest {
            latest.refuse_other_database(mark)?;
            latest.refuse_other_history(mark)?;
        }
        let era = latest.map_or(0, |latest| latest.slot.era);
        self.write(era, begun(&slots), mark)
    }

    /// Sets every copy to `mark`, of a new incarnation, wherever the old one stood, and fsyncs
    /// them: the last act of `recover`.
    pub fn restart(&self, mark: &HighWater) -> Result<(), HighWaterError> {
        let slots = self.slots()?;
        let latest = latest(&slots)?;
        latest.map_or(Ok(()), |latest| latest.refuse_other_database(mark))?;
        self.write(latest.map_or(0, |latest| latest.slot.era + 1), begun(&slots), mark)?;
        self.sync()
    }

    /// Fsyncs all copies, at a clean end.
    pub fn sync(&self) -> Result<(), HighWaterError> {
        self.paths.iter().try_for_each(|path| {
            let synced = match File::open(path) {
                Ok(file) => file.sync_all().and_then(|()| sync_folder(folder_of(path))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            };
            synced.map_err(|source| HighWaterError::Write { path: path.clone(), source })
        })
    }

    fn write(&self, era: u64, begun: LifeMark, mark: &HighWater) -> Result<(), HighWaterError> {
        let begun = begun.max(self.followed().unwrap_or_default());
        self.change(|now| {
            let begun = now.map_or(begun, |slot| slot.begun.max(begun));
            let slot = Slot { sequence: 0, era, mark: *mark, begun, host: self.host };
            // as far already
            let is_behind = now.is_some_and(|now| now.progress() >= slot.progress());
            (!is_behind).then_some(slot)
        })
    }

    /// The life of this process, with how far its journal reaches now.
    fn followed(&self) -> Option<LifeMark> {
        let followed = self.followed.read().ok()?;
        let (life, journal) = followed.as_ref()?;
        let reached = journal.upgrade().and_then(|journal| journal.reached());
        Some(LifeMark { reached: reached.unwrap_or(life.reached), ..*life })
    }

    fn change(&self, next: impl Fn(Option<Slot>) -> Option<Slot>) -> Result<(), HighWaterError> {
        let mut written = Ok(());
        for (copy, path) in self.paths.iter().enumerate() {
            // A workspace that was moved away is not begun anew where it was.
            let made = make_folder(folder_of(path), copy > 0 || self.paths.len() == 1);
            let one = made.and_then(|()| write_copy(path, &next));
            // One copy that cannot be written is no reason to leave the others behind.
            written = written
                .and(one.map_err(|source| HighWaterError::Write { path: path.clone(), source }));
        }
        written
    }

    fn slots(&self) -> Result<Vec<(&PathBuf, Slot)>, HighWaterError> {
        let mut slots = Vec::new();
        for path in &self.paths {
            let slot = read_copy(path)
                .map_err(|source| HighWaterError::Read { path: path.clone(), source })?;
            slots.extend(slot.map(|slot| (path, slot)));
        }
        Ok(slots)
    }
}

/// The newest life among the copies.
fn begun(slots: &[(&PathBuf, Slot)]) -> LifeMark {
    slots.iter().fold(LifeMark::default(), |begun, (_, slot)| begun.max(slot.begun))
}

fn latest<'a>(slots: &[(&'a PathBuf, Slot)]) -> Result<Option<Latest<'a>>, HighWaterError> {
    let mut latest: Option<Latest<'_>> = None;
    for (path, slot) in slots {
        if let Some(known) = latest {
            known.refuse_other_database(&slot.mark)?;
            if known.slot.progress() >= slot.progress() {
                continue;
            }
        }
        latest = Some(Latest { path, slot: *slot });
    }
    Ok(latest)
}

impl Latest<'_> {
    fn refuse_other_database(&self, mark: &HighWater) -> Result<(), HighWaterError> {
        if self.slot.mark.database_id == mark.database_id {
            Ok(())
        } else {
            Err(HighWaterError::OtherDatabase { path: self.path.into() })
        }
    }

    fn refuse_other_history(&self, mark: &HighWater) -> Result<(), HighWaterError> {
        let known = &self.slot.mark;
        if known.incarnation != mark.incarnation {
            let (known, given) = (known.incarnation, mark.incarnation);
            return Err(HighWaterError::OtherIncarnation { known, given });
        }
        if known.batch_id == mark.batch_id && known.batch_sha256 != mark.batch_sha256 {
            return Err(HighWaterError::OtherBatch { batch_id: mark.batch_id });
        }
        Ok(())
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder where it is absent, with those above it only if `all`.
fn make_folder(folder: &Path, all: bool) -> io::Result<()> {
    match DirBuilder::new().recursive(all).mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

#[cfg(test)]
mod tests;
