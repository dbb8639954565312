//! Writing marks. Owns the order in which they become visible, the roll to the next segment, and
//! the rule that nothing starts once a mark could not be written.
//!
//! The next segment is made ahead on a thread of its own, so that a roll costs one mark more and
//! no fsync; the same thread flushes the finished one, because an error in writing it back must
//! be heard while someone can still stop.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::mem;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use super::boot::BootId;
use super::lock::{LockError, WorkerLock};
use super::mark::{MAX_MARK_LEN, Mark, ROLLED_LEN, encode_closed, encode_rolled};
use super::reader::{OWNER_LOCK, folder_of};
use super::segment::{
    self, HEADER_LEN, Header, Life, MAX_SEGMENT_SIZE, MIN_SEGMENT_SIZE, Origin, Position, naming,
};

/// A living worker's journal. Its owner's flock is held until it is dropped.
#[derive(Debug)]
pub struct Journal {
    template: Template,
    number: AtomicU64,
    state: Mutex<State>,
    _owner: WorkerLock,
}

/// Why no journal could be opened, or why one takes no marks any more.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The segment size is out of bounds.
    #[error("a segment of {0} bytes; hint: {MIN_SEGMENT_SIZE} to {MAX_SEGMENT_SIZE} bytes")]
    SegmentSize(u64),
    /// The folder could not be made.
    #[error("making the journal folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another living process owns the folder, or the lock failed.
    #[error("locking the journal of this worker")]
    Owner(#[from] LockError),
    /// The folder holds segments of an earlier life. Its evidence is not written over.
    #[error("{} holds segments already; hint: a worker id serves one process once", path.display())]
    Used {
        /// The folder.
        path: PathBuf,
    },
    /// A segment could not be made.
    #[error("making a journal segment")]
    Segment(#[source] io::Error),
    /// A mark could not be written earlier, so nothing may start any more.
    #[error("the wire journal stopped, nothing may start: {cause}; hint: free the disk, restart")]
    Poisoned {
        /// The first failure, in words.
        cause: String,
    },
}

/// What every segment of this journal has in common.
#[derive(Debug, Clone)]
struct Template {
    folder: PathBuf,
    origin: Origin,
    life: Life,
    boot: BootId,
    size: u64,
}

#[derive(Debug)]
enum State {
    Open(Tail),
    Poisoned(String),
}

/// The segment being written.
#[derive(Debug)]
struct Tail {
    file: File,
    at: u64,
    buffer: Vec<u8>,
    spare: Option<Spare>,
}

/// The next segment, being made or made.
type Spare = JoinHandle<io::Result<File>>;

impl Journal {
    /// Opens the journal of a worker's life under `root` (`<workspace>/journal`): takes the flock
    /// on the worker's folder and fsyncs the first segment's header and space.
    pub fn create(
        root: &Path,
        origin: Origin,
        boot: BootId,
        segment_size: u64,
    ) -> Result<Self, JournalError> {
        Self::create_life(root, origin, Life::default(), boot, segment_size)
    }

    /// The same for a life that has its place among all of them.
    pub fn create_life(
        root: &Path,
        origin: Origin,
        life: Life,
        boot: BootId,
        segment_size: u64,
    ) -> Result<Self, JournalError> {
        if !(MIN_SEGMENT_SIZE..=MAX_SEGMENT_SIZE).contains(&segment_size) {
            return Err(JournalError::SegmentSize(segment_size));
        }
        let folder = folder_of(root, origin.worker_id);
        let folder_error = |source| JournalError::Folder { path: folder.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(folder_error)?;
        let owner = WorkerLock::acquire(&folder.join(OWNER_LOCK))?;
        if !segment::numbers(&folder).map_err(folder_error)?.is_empty() {
            return Err(JournalError::Used { path: folder });
        }
        segment::sync_folder(root).map_err(folder_error)?;
        let template = Template { folder, origin, life, boot, size: segment_size };
        let file = template.create(1).map_err(JournalError::Segment)?;
        let spare = template.prepare(2, None).map_err(JournalError::Segment)?;
        let tail = Tail {
            file,
            at: HEADER_LEN as u64,
            buffer: Vec::with_capacity(MAX_MARK_LEN),
            spare: Some(spare),
        };
        Ok(Self {
            template,
            number: AtomicU64::new(1),
            state: Mutex::new(State::Open(tail)),
            _owner: owner,
        })
    }

    /// Writes a mark: when this returns, a later reader on this boot finds it. One `pwrite`, no
    /// fsync. Waits for the next segment only if it is not ready by the time this one is full.
    ///
    /// After an error every later mark fails too, with [`JournalError::Poisoned`] inside.
    pub fn mark(&self, mark: &Mark) -> io::Result<()> {
        self.marks([mark])
    }

    /// The same with several in one write: whoever dies meanwhile leaves the first of them or none, or all.
    pub fn marks<const N: usize>(&self, marks: [&Mark; N]) -> io::Result<()> {
        const { assert!((HEADER_LEN + N * MAX_MARK_LEN + ROLLED_LEN) as u64 <= MIN_SEGMENT_SIZE) };
        let mut state = self.lock()?;
        let tail = match &mut *state {
            State::Open(tail) => tail,
            State::Poisoned(cause) => return Err(poisoned(cause)),
        };
        let written = self.append(tail, &marks);
        if let Err(error) = &written {
            *state = State::Poisoned(error.to_string());
        }
        written
    }

    /// The number an intent stores: its marks will be in this segment or a later one.
    pub fn segment(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// How far the marks reach; none once no mark can be made.
    pub(super) fn reached(&self) -> Option<Position> {
        match &*self.lock().ok()? {
            State::Open(tail) => Some(Position { segment: self.segment(), offset: tail.at }),
            State::Poisoned(_) => None,
        }
    }

    /// Fails if a mark failed before, so that no intent is committed for nothing.
    pub fn check(&self) -> io::Result<()> {
        match &*self.lock()? {
            State::Open(_) => Ok(()),
            State::Poisoned(cause) => Err(poisoned(cause)),
        }
    }

    /// The clean end of this life: every mark is fsynced, then the note that none follows. No mark can
    /// be made any more.
    pub fn close(&self) -> io::Result<()> {
        let mut state = self.lock()?;
        let tail = match &mut *state {
            State::Open(tail) => tail,
            State::Poisoned(cause) => return Err(poisoned(cause)),
        };
        let closed = self.write_closed(tail);
        let unused = self.template.path(self.segment() + 1);
        let cause =
            closed.as_ref().err().map_or_else(|| "its life is over".into(), ToString::to_string);
        *state = State::Poisoned(cause);
        if closed.is_ok() {
            // Where it cannot be taken away it stays, empty and harmless.
            fs::remove_file(unused).ok();
        }
        closed
    }

    fn write_closed(&self, tail: &mut Tail) -> io::Result<()> {
        // The next segment's thread has flushed the one before this.
        let spare = tail.spare.take().ok_or_else(|| io::Error::other("no next segment"))?;
        spare.join().map_err(|_| io::Error::other("making the next segment panicked"))??;
        let here = self.template.path(self.segment());
        let named = |error: io::Error| naming(&here, &error);
        tail.file.sync_data().map_err(named)?;
        encode_closed(&mut tail.buffer);
        tail.file.write_all_at(&tail.buffer, tail.at).map_err(named)?;
        tail.file.sync_data().map_err(named)
    }

    fn lock(&self) -> io::Result<MutexGuard<'_, State>> {
        self.state.lock().map_err(|_| poisoned("a task panicked while it wrote a mark"))
    }

    fn append(&self, tail: &mut Tail, marks: &[&Mark]) -> io::Result<()> {
        let encode = |buffer: &mut Vec<u8>| {
            buffer.clear();
            for mark in marks {
                mark.append(buffer);
            }
        };
        encode(&mut tail.buffer);
        // the note of a roll is the longest that may have to follow
        if tail.at + (tail.buffer.len() + ROLLED_LEN) as u64 > self.template.size {
            self.roll(tail)?;
            encode(&mut tail.buffer);
        }
        let here = || self.template.path(self.segment());
        tail.file.write_all_at(&tail.buffer, tail.at).map_err(|error| naming(&here(), &error))?;
        tail.at += tail.buffer.len() as u64;
        Ok(())
    }

    /// Goes on in the next segment. The note of it is written into the full one before the first
    /// mark of the new one, so that a missing last segment is seen.
    fn roll(&self, tail: &mut Tail) -> io::Result<()> {
        let full = self.segment();
        let spare = tail.spare.take().ok_or_else(|| io::Error::other("no next segment"))?;
        let next =
            spare.join().map_err(|_| io::Error::other("making the next segment panicked"))??;
        encode_rolled(full + 1, &mut tail.buffer);
        let here = self.template.path(full);
        tail.file.write_all_at(&tail.buffer, tail.at).map_err(|error| naming(&here, &error))?;
        let finished = mem::replace(&mut tail.file, next);
        tail.at = HEADER_LEN as u64;
        self.number.store(full + 1, Ordering::Release);
        tail.spare = Some(self.template.prepare(full + 2, Some(finished))?);
        Ok(())
    }
}

impl Drop for Journal {
    /// Takes the unused next segment away; where that fails it stays, empty and harmless.
    fn drop(&mut self) {
        let unused = self.template.path(self.segment() + 1);
        if let Ok(State::Open(tail)) = self.state.get_mut()
            && let Some(Ok(Ok(_))) = tail.spare.take().map(JoinHandle::join)
        {
            fs::remove_file(unused).ok();
        }
    }
}

impl Template {
    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(segment::name(number))
    }

    fn create(&self, number: u64) -> io::Result<File> {
        let header = Header {
            size: self.size,
            origin: self.origin,
            life: self.life,
            boot: self.boot,
            number,
        };
        segment::create(&self.folder, &header)
    }

    /// Makes segment `number` on a thread, after flushing the finished one.
    fn prepare(&self, number: u64, finished: Option<File>) -> io::Result<Spare> {
        let template = self.clone();
        thread::Builder::new().name("journal-segment".into()).spawn(move || {
            if let Some(finished) = finished {
                let path = template.path(number.saturating_sub(2));
                finished.sync_data().map_err(|error| naming(&path, &error))?;
            }
            template.create(number)
        })
    }
}

fn poisoned(cause: &str) -> io::Error {
    io::Error::other(JournalError::Poisoned { cause: cause.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::journal::recovered::tests::{BOOT, ORIGIN, begin, dot, end, key, this_boot};
    use crate::journal::{DEFAULT_SEGMENT_SIZE, Journals, MarkKey, ReadError, Verdict};

    fn is_poisoned(error: &io::Error) -> bool {
        matches!(
            error.get_ref().and_then(|inner| inner.downcast_ref()),
            Some(JournalError::Poisoned { .. })
        )
    }

    #[test]
    fn a_second_opener_of_the_same_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = Journal::create(dir.path(), ORIGIN, this_boot(), 4096).unwrap();
        let second = Journal::create(dir.path(), ORIGIN, this_boot(), 4096).unwrap_err();
        let own = std::process::id();
        assert!(
            matches!(second, JournalError::Owner(LockError::Held { pid: Some(p), .. }) if p == own)
        );
        let read = Journals::under(dir.path()).read(&ORIGIN, HashSet::new()).unwrap_err();
        assert!(matches!(read, ReadError::Held { pid: Some(p), .. } if p == own));
        drop(first);
        let again = Journal::create(dir.path(), ORIGIN, this_boot(), 4096).unwrap_err();
        assert!(matches!(again, JournalError::Used { .. }), "an earlier life's evidence stays");
    }

    #[test]
    fn several_marks_are_written_at_once_and_roll_together() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), ORIGIN, this_boot(), MIN_SEGMENT_SIZE).unwrap();
        for number in 0..200 {
            let segment = journal.segment();
            journal.marks([&dot(key(number)), &begin(key(number + 1))]).unwrap();
            assert!(journal.segment() - segment <= 1);
        }
        assert!(journal.segment() > 3);
        drop(journal);
        let keys = (0..202).map(key).collect();
        let read = Journals::under(dir.path()).read(&ORIGIN, keys).unwrap();
        let verdict = |number| read.verdict(&key(number), 1, &this_boot());
        assert!((0..200).all(|number| verdict(number) == Verdict::InDoubt));
        assert_eq!(verdict(200), Verdict::NotStarted);
    }

    #[test]
    fn a_segment_size_out_of_bounds_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for size in [0, MIN_SEGMENT_SIZE - 1, MAX_SEGMENT_SIZE + 1] {
            let refused = Journal::create(dir.path(), ORIGIN, this_boot(), size).unwrap_err();
            assert!(matches!(refused, JournalError::SegmentSize(s) if s == size));
        }
    }

    #[test]
    fn marks_of_eight_threads_over_many_segments_are_all_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), ORIGIN, this_boot(), 16 << 10).unwrap();
        let segments: Vec<(MarkKey, u64)> = thread::scope(|scope| {
            let task = |thread: u64| {
                let journal = &journal;
                scope.spawn(move || {
                    let one = |i: u64| {
                        let (key, segment) = (key(thread * 1_000 + i), journal.segment());
                        for mark in [begin(key), dot(key), end(key, &i.to_le_bytes())]
                            .iter()
                            .take(1 + usize::try_from(i % 3).unwrap())
                        {
                            journal.mark(mark).unwrap();
                        }
                        (key, segment)
                    };
                    (0..100).map(one).collect::<Vec<_>>()
                })
            };
            let handles: Vec<_> = (0..8).map(task).collect();
            handles.into_iter().flat_map(|handle| handle.join().unwrap()).collect()
        });
        assert!(journal.segment() > 4, "the journal rolled");
        drop(journal);
        let keys = segments.iter().map(|(key, _)| *key).collect();
        let recovered = Journals::under(dir.path()).read(&ORIGIN, keys).unwrap();
        for (key, segment) in segments {
            let i = key.number % 1_000;
            let verdict = recovered.verdict(&key, segment, &this_boot());
            match (i % 3, verdict) {
                (0, Verdict::NotStarted) | (1, Verdict::InDoubt) => {}
                (2, Verdict::End(outcome)) => assert_eq!(outcome.as_slice(), i.to_le_bytes()),
                (_, verdict) => panic!("{key:?}: {verdict:?}"),
            }
        }
        assert_eq!(recovered.survey().marks(), 8 * (34 + 2 * 33 + 3 * 33));
    }

    #[test]
    fn a_full_disk_poisons_the_journal_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), ORIGIN, this_boot(), 4096).unwrap();
        journal.mark(&begin(key(1))).unwrap();
        let real = match &mut *journal.state.lock().unwrap() {
            State::Open(tail) => {
                let full = File::options().write(true).open("/dev/full").unwrap();
                mem::replace(&mut tail.file, full)
            }
            State::Poisoned(_) => unreachable!(),
        };
        let first = journal.mark(&dot(key(1))).unwrap_err();
        assert_eq!(first.kind(), io::ErrorKind::StorageFull);
        assert!(first.to_string().contains("00000001.fwj"), "{first}");
        drop(real);
        for _ in 0..3 {
            assert!(is_poisoned(&journal.mark(&begin(key(2))).unwrap_err()));
            assert!(is_poisoned(&journal.check().unwrap_err()));
        }
        drop(journal);
        let recovered =
            Journals::under(dir.path()).read(&ORIGIN, HashSet::from([key(1), key(2)])).unwrap();
        assert!(matches!(recovered.verdict(&key(1), 1, &this_boot()), Verdict::NotStarted));
        assert!(matches!(recovered.verdict(&key(2), 1, &this_boot()), Verdict::NotStarted));
    }

    #[test]
    fn a_next_segment_that_can_not_be_made_poisons_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), ORIGIN, this_boot(), 4096).unwrap();
        let folder = folder_of(dir.path(), ORIGIN.worker_id);
        while folder.exists() {
            // the next segment may be coming into being meanwhile
            fs::remove_dir_all(&folder).ok();
        }
        let failed = (0..10_000).find_map(|i| journal.mark(&begin(key(i))).err()).unwrap();
        assert!(!is_poisoned(&failed), "the first failure says what happened: {failed}");
        assert!(is_poisoned(&journal.mark(&dot(key(1))).unwrap_err()));
    }

    #[test]
    fn a_segment_number_is_never_ahead_of_where_the_marks_go() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), ORIGIN, this_boot(), 4096).unwrap();
        let seen: Vec<u64> = (0..500)
            .map(|i| {
                let segment = journal.segment();
                journal.mark(&begin(key(i))).unwrap();
                segment
            })
            .collect();
        drop(journal);
        let keys = (0..500).map(key).collect();
        let recovered = Journals::under(dir.path()).read(&ORIGIN, keys).unwrap();
        for (i, segment) in (0..500).zip(seen) {
            let begun = recovered.trail(&key(i)).unwrap().begin.clone().unwrap();
            assert!(begun.segment == segment || begun.segment == segment + 1);
        }
    }

    #[test]
    fn files_are_for_the_owner_only_and_a_clean_end_leaves_no_unused_segment() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), ORIGIN, this_boot(), DEFAULT_SEGMENT_SIZE);
        drop(journal.unwrap());
        let folder = folder_of(dir.path(), ORIGIN.worker_id);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        let mut names: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["00000001.fwj", OWNER_LOCK]);
        assert!(names.iter().all(|name| mode(&folder.join(name)) == 0o600));
        let bytes = fs::read(folder.join("00000001.fwj")).unwrap();
        assert_eq!(Header::decode(&bytes).unwrap().boot.as_str(), BOOT);
    }
}
