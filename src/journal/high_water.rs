//! The high-water mark: the last ledger batch this host saw, remembered outside the database, so
//! that a rewind is seen (promise 13). Owns the two copies and their slots; compares nothing with
//! the database, that is the engine's rule R0.
//!
//! Each copy has two slots, written in turn: a torn write spoils the older one only. Every process
//! of the host shares the copies, so each write happens under the file's flock.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::frame::{Fields, checked, put_crc};
use super::segment::sync_folder;

const MAGIC: [u8; 4] = *b"FWHW";
const VERSION: u16 = 1;
const SLOT_LEN: usize = 90;
/// Slots lie on pages of their own: one torn page never holds both.
const SLOT_AT: [u64; 2] = [0, 4096];

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
    paths: Vec<PathBuf>,
}

/// What a slot holds. `era` counts the incarnations begun on this host: within one, batch ids
/// only rise; across two, only the era says which is later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    sequence: u64,
    era: u64,
    mark: HighWater,
}

/// The newest slot among the copies, and the copy it stands in.
#[derive(Clone, Copy)]
struct Latest<'a> {
    path: &'a Path,
    slot: Slot,
}

impl HighWaterKeeper {
    /// Opens the copies at `paths` (files; those absent are made by the first write). Fails if
    /// one is there but can't be read.
    pub fn open(paths: impl IntoIterator<Item = PathBuf>) -> Result<Self, HighWaterError> {
        let keeper = Self { paths: paths.into_iter().collect() };
        keeper.latest()?;
        Ok(keeper)
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
        Ok(self.latest()?.map(|latest| latest.slot.mark))
    }

    /// Moves every copy forwards to `mark`; a mark behind the one on record changes nothing, for
    /// the processes of a host commit in any order. No fsync.
    pub fn advance(&self, mark: &HighWater) -> Result<(), HighWaterError> {
        let latest = self.latest()?;
        if let Some(latest) = latest {
            latest.refuse_other_database(mark)?;
            latest.slot.refuse_other_history(mark)?;
        }
        let era = latest.map_or(0, |latest| latest.slot.era);
        self.write(era, mark)
    }

    /// Sets every copy to `mark`, of a new incarnation, wherever the old one stood, and fsyncs
    /// them: the last act of `recover`.
    pub fn restart(&self, mark: &HighWater) -> Result<(), HighWaterError> {
        let latest = self.latest()?;
        latest.map_or(Ok(()), |latest| latest.refuse_other_database(mark))?;
        self.write(latest.map_or(0, |latest| latest.slot.era + 1), mark)?;
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

    fn write(&self, era: u64, mark: &HighWater) -> Result<(), HighWaterError> {
        let mut written = Ok(());
        for (copy, path) in self.paths.iter().enumerate() {
            // A workspace that was moved away is not begun anew where it was.
            let made = make_folder(folder_of(path), copy > 0 || self.paths.len() == 1);
            let one = made.and_then(|()| write_copy(path, era, mark));
            // One copy that cannot be written is no reason to leave the others behind.
            written = written
                .and(one.map_err(|source| HighWaterError::Write { path: path.clone(), source }));
        }
        written
    }

    fn latest(&self) -> Result<Option<Latest<'_>>, HighWaterError> {
        let mut latest: Option<Latest<'_>> = None;
        for path in &self.paths {
            let slot = read_copy(path)
                .map_err(|source| HighWaterError::Read { path: path.clone(), source })?;
            let Some(slot) = slot else { continue };
            match latest {
                Some(known) => {
                    known.refuse_other_database(&slot.mark)?;
                    if known.slot.progress() < slot.progress() {
                        latest = Some(Latest { path, slot });
                    }
                }
                None => latest = Some(Latest { path, slot }),
            }
        }
        Ok(latest)
    }
}

impl Latest<'_> {
    fn refuse_other_database(&self, mark: &HighWater) -> Result<(), HighWaterError> {
        if self.slot.mark.database_id == mark.database_id {
            Ok(())
        } else {
            Err(HighWaterError::OtherDatabase { path: self.path.into() })
        }
    }
}

impl Slot {
    fn progress(&self) -> (u64, i64) {
        (self.era, self.mark.batch_id)
    }

    fn refuse_other_history(&self, mark: &HighWater) -> Result<(), HighWaterError> {
        let known = &self.mark;
        if known.incarnation != mark.incarnation {
            let (known, given) = (known.incarnation, mark.incarnation);
            return Err(HighWaterError::OtherIncarnation { known, given });
        }
        if known.batch_id == mark.batch_id && known.batch_sha256 != mark.batch_sha256 {
            return Err(HighWaterError::OtherBatch { batch_id: mark.batch_id });
        }
        Ok(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(SLOT_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.sequence.to_le_bytes());
        bytes.extend_from_slice(&self.era.to_le_bytes());
        bytes.extend_from_slice(&self.mark.database_id);
        bytes.extend_from_slice(&self.mark.incarnation.to_le_bytes());
        bytes.extend_from_slice(&self.mark.batch_id.to_le_bytes());
        bytes.extend_from_slice(&self.mark.batch_sha256);
        put_crc(&mut bytes, 0);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(checked(bytes)?);
        if fields.bytes()? != MAGIC || fields.u16()? != VERSION {
            return None;
        }
        let (sequence, era) = (fields.u64()?, fields.u64()?);
        let mark = HighWater {
            database_id: fields.bytes()?,
            incarnation: fields.u64()?,
            batch_id: fields.i64()?,
            batch_sha256: fields.bytes()?,
        };
        fields.end_with(Self { sequence, era, mark })
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn read_copy(path: &Path) -> io::Result<Option<Slot>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    file.lock_shared()?;
    Ok(newest(read_slots(&file)?))
}

fn newest(slots: [Option<Slot>; 2]) -> Option<Slot> {
    slots.into_iter().flatten().max_by_key(|slot| slot.sequence)
}

fn read_slots(file: &File) -> io::Result<[Option<Slot>; 2]> {
    let read = |at| {
        let mut bytes = [0; SLOT_LEN];
        match file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(Slot::decode(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    };
    Ok([read(SLOT_AT[0])?, read(SLOT_AT[1])?])
}

/// Makes a folder where it is absent, with those above it only if `all`.
fn make_folder(folder: &Path, all: bool) -> io::Result<()> {
    match DirBuilder::new().recursive(all).mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// Writes the older slot of one copy, unless the copy is as far as `mark` already.
fn write_copy(path: &Path, era: u64, mark: &HighWater) -> io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    file.lock()?;
    let slots = read_slots(&file)?;
    let newest = newest(slots);
    let sequence = newest.map_or(1, |slot| slot.sequence + 1);
    let slot = Slot { sequence, era, mark: *mark };
    if newest.is_some_and(|newest| newest.progress() >= slot.progress()) {
        return Ok(());
    }
    let older = match (slots[0], newest) {
        (Some(first), Some(newest)) if first == newest => SLOT_AT[1],
        _ => SLOT_AT[0],
    };
    file.write_all_at(&slot.encode(), older)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn mark(batch_id: i64) -> HighWater {
        HighWater {
            database_id: [0xDB; 16],
            incarnation: 5,
            batch_id,
            batch_sha256: [u8::try_from(batch_id).unwrap(); 32],
        }
    }

    struct Host {
        _dir: tempfile::TempDir,
        paths: [PathBuf; 2],
        keeper: HighWaterKeeper,
    }

    fn host() -> Host {
        let dir = tempfile::tempdir().unwrap();
        let paths =
            [dir.path().join("state/high-water"), dir.path().join("xdg/forthwith/db/high-water")];
        let keeper = HighWaterKeeper::open(paths.clone()).unwrap();
        Host { _dir: dir, paths, keeper }
    }

    fn slot_at(path: &Path, index: usize) -> Option<Slot> {
        read_slots(&File::open(path).unwrap()).unwrap()[index]
    }

    #[test]
    fn a_host_that_saw_nothing_has_no_mark_and_makes_no_file() {
        let host = host();
        assert_eq!(host.keeper.read().unwrap(), None);
        assert!(host.paths.iter().all(|path| !path.exists()));
        host.keeper.sync().unwrap();
    }

    #[test]
    fn a_mark_goes_forwards_only_and_is_found_by_the_next_process() {
        let host = host();
        for batch_id in [1, 2, 7, 3, 7, 6] {
            host.keeper.advance(&mark(batch_id)).unwrap();
        }
        host.keeper.sync().unwrap();
        let next = HighWaterKeeper::open(host.paths.clone()).unwrap();
        assert_eq!(next.read().unwrap(), Some(mark(7)));
    }

    #[test]
    fn a_torn_slot_at_every_byte_never_loses_the_mark_before() {
        let host = host();
        host.keeper.advance(&mark(1)).unwrap();
        host.keeper.advance(&mark(2)).unwrap();
        let before: Vec<_> = host.paths.iter().map(|path| fs::read(path).unwrap()).collect();
        host.keeper.advance(&mark(3)).unwrap();
        let after: Vec<_> = host.paths.iter().map(|path| fs::read(path).unwrap()).collect();
        let changed: Vec<_> =
            (0..after[0].len()).filter(|at| before[0][*at] != after[0][*at]).collect();
        for torn_at in changed {
            for (path, (before, after)) in host.paths.iter().zip(before.iter().zip(&after)) {
                fs::write(path, [&after[..torn_at], &before[torn_at..]].concat()).unwrap();
            }
            assert_eq!(host.keeper.read().unwrap(), Some(mark(2)), "torn at {torn_at}");
        }
        host.keeper.advance(&mark(4)).unwrap();
        assert_eq!(host.keeper.read().unwrap(), Some(mark(4)), "and it can go on");
    }

    #[test]
    fn slots_are_written_in_turn() {
        let host = host();
        for (batch_id, index) in [(1, 0), (2, 1), (3, 0), (4, 1)] {
            host.keeper.advance(&mark(batch_id)).unwrap();
            for path in &host.paths {
                assert_eq!(slot_at(path, index).unwrap().mark, mark(batch_id));
            }
        }
    }

    #[test]
    fn one_lost_corrupt_or_rewound_copy_is_outvoted_by_the_other() {
        let host = host();
        host.keeper.advance(&mark(1)).unwrap();
        let old = fs::read(&host.paths[0]).unwrap();
        host.keeper.advance(&mark(9)).unwrap();
        for damaged in [Vec::new(), vec![0xEE; 9_000], b"FWHW".to_vec(), old] {
            fs::write(&host.paths[0], damaged).unwrap();
            assert_eq!(host.keeper.read().unwrap(), Some(mark(9)));
        }
        fs::remove_file(&host.paths[0]).unwrap();
        assert_eq!(host.keeper.read().unwrap(), Some(mark(9)));
        host.keeper.advance(&mark(10)).unwrap();
        fs::remove_file(&host.paths[1]).unwrap();
        assert_eq!(host.keeper.read().unwrap(), Some(mark(10)), "the lost copy was made anew");
    }

    #[test]
    fn the_same_batch_with_another_content_is_a_rewind_and_not_an_advance() {
        let host = host();
        host.keeper.advance(&mark(4)).unwrap();
        let other = HighWater { batch_sha256: [0; 32], ..mark(4) };
        let refused = host.keeper.advance(&other).unwrap_err();
        assert!(matches!(refused, HighWaterError::OtherBatch { batch_id: 4 }));
        assert_eq!(host.keeper.read().unwrap(), Some(mark(4)));
    }

    #[test]
    fn only_recover_begins_another_incarnation_and_it_may_stand_further_back() {
        let host = host();
        host.keeper.advance(&mark(40)).unwrap();
        let recovered = HighWater { incarnation: 1, ..mark(12) };
        let refused = host.keeper.advance(&recovered).unwrap_err();
        assert!(matches!(refused, HighWaterError::OtherIncarnation { known: 5, given: 1 }));
        host.keeper.restart(&recovered).unwrap();
        assert_eq!(host.keeper.read().unwrap(), Some(recovered));
        let stale = host.keeper.advance(&mark(41)).unwrap_err();
        assert!(matches!(stale, HighWaterError::OtherIncarnation { .. }));
        host.keeper.advance(&HighWater { incarnation: 1, ..mark(13) }).unwrap();
        let read = host.keeper.read().unwrap().unwrap();
        assert_eq!((read.incarnation, read.batch_id), (1, 13));
    }

    #[test]
    fn a_copy_of_another_database_is_refused_and_never_written_over() {
        let host = host();
        let other = HighWater { database_id: [1; 16], ..mark(3) };
        HighWaterKeeper::open([host.paths[0].clone()]).unwrap().advance(&other).unwrap();
        let is_other = |result| matches!(result, Err(HighWaterError::OtherDatabase { .. }));
        assert!(is_other(host.keeper.advance(&mark(1))));
        assert!(is_other(host.keeper.restart(&mark(1))));
        HighWaterKeeper::open([host.paths[1].clone()]).unwrap().advance(&mark(1)).unwrap();
        assert!(is_other(host.keeper.read().map(drop)));
        assert!(is_other(HighWaterKeeper::open(host.paths.clone()).map(drop)));
    }

    #[test]
    fn processes_that_advance_at_once_leave_the_largest() {
        let host = host();
        std::thread::scope(|scope| {
            for thread in 0..4_i64 {
                let paths = host.paths.clone();
                scope.spawn(move || {
                    let keeper = HighWaterKeeper::open(paths).unwrap();
                    (0..25).for_each(|i| keeper.advance(&mark(i * 4 + thread)).unwrap());
                });
            }
        });
        for path in &host.paths {
            let alone = HighWaterKeeper::open([path.clone()]).unwrap();
            assert_eq!(alone.read().unwrap(), Some(mark(99)));
        }
    }

    #[test]
    fn a_copy_that_can_not_be_written_is_named() {
        let host = host();
        fs::write(host.paths[0].parent().unwrap(), "a file where the folder should be").unwrap();
        let refused = host.keeper.advance(&mark(1)).unwrap_err();
        assert!(refused.to_string().contains("state/high-water"), "{refused}");
    }
}
