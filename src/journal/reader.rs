//! Reading the folders of dead workers. Owns what counts as evidence: the flock, the headers, and
//! where a segment's marks end. Judges nothing; that is `recovered`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::lock::{LockError, WorkerLock};
use super::mark::{Found, Mark, MarkKey, find};
use super::recovered::{Begun, Recovered, SegmentReport, SegmentState, Survey, Trail};
use super::segment::{self, HEADER_LEN, Header, MAX_SEGMENT_SIZE, Origin, Position};

/// The file in a worker's folder whose flock is the worker's life.
pub(super) const OWNER_LOCK: &str = "owner.lock";

/// The folder of a worker's journal.
pub(super) fn folder_of(root: &Path, worker_id: [u8; 16]) -> PathBuf {
    root.join(Uuid::from_bytes(worker_id).hyphenated().to_string())
}

/// All journals of a workspace.
#[derive(Debug, Clone)]
pub struct Journals {
    root: PathBuf,
    reached: Position,
}

/// Why a journal is not there to be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its owner lives, or someone else is reading it: rule R5, no journal and no proof of death.
    #[error("the journal {} is held by a living process ({pid:?})", path.display())]
    Held {
        /// The worker's folder.
        path: PathBuf,
        /// The holder, as it wrote itself down.
        pid: Option<u32>,
    },
    /// There is no such folder, or no lock file in it to prove the owner's death by.
    #[error(
        "no journal in {}; hint: if the folder is there and that worker is surely dead, \
         `touch` its {OWNER_LOCK}", path.display()
    )]
    Absent {
        /// The worker's folder.
        path: PathBuf,
    },
    /// The owner's lock could not be tried.
    #[error("locking a dead worker's journal")]
    Lock(#[source] LockError),
    /// A folder or a segment is there but could not be read.
    #[error(
        "reading {}; hint: mend it, or take every attempt of that worker as in doubt",
        path.display()
    )]
    Read {
        /// The folder or segment.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Journals {
    /// The journals under `root` (`<workspace>/journal`).
    pub fn under(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), reached: Position::default() }
    }

    /// The same where the journal read next is known to have reached this far: one that does not is an older
    /// copy of itself.
    #[must_use]
    pub fn reaching(self, reached: Position) -> Self {
        Self { reached, ..self }
    }

    /// The ids of all workers that left a folder, living ones too, in no order.
    pub fn workers(&self) -> Result<Vec<[u8; 16]>, ReadError> {
        let failed = |source| ReadError::Read { path: self.root.clone(), source };
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut workers = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            workers.extend(name.to_str().and_then(|text| Uuid::parse_str(text).ok()));
        }
        Ok(workers.into_iter().map(Uuid::into_bytes).collect())
    }

    /// Reads what a dead worker left about `keys`, a few thousand at most, and holds its flock
    /// until the result is dropped, so that nobody else rescues it meanwhile.
    pub fn read(&self, origin: &Origin, keys: HashSet<MarkKey>) -> Result<Recovered, ReadError> {
        self.read_since(origin, keys, 0)
    }

    /// The same from a segment on: an intent's marks lie in the segment it stores or a later one, so a
    /// rescue need not read what a long campaign wrote before its oldest open intent.
    pub fn read_since(
        &self,
        origin: &Origin,
        keys: HashSet<MarkKey>,
        first: u64,
    ) -> Result<Recovered, ReadError> {
        let mut trails: HashMap<MarkKey, Trail> =
            keys.into_iter().map(|key| (key, Trail::default())).collect();
        let mut walk = self.walk_since(origin, first)?;
        while let Some((segment, marks)) = walk.next_segment()? {
            for mark in marks {
                if let Some(trail) = trails.get_mut(&mark.key()) {
                    extend(trail, segment, mark);
                }
            }
        }
        Ok(Recovered::new(walk.end(), trails))
    }

    /// Begins to read a dead worker's folder, a segment at a time: for `recover`, which does not know the
    /// keys. Holds the flock like [`Journals::read`].
    pub fn walk(&self, origin: &Origin) -> Result<Walk, ReadError> {
        self.walk_since(origin, 0)
    }

    fn walk_since(&self, origin: &Origin, first: u64) -> Result<Walk, ReadError> {
        let folder = folder_of(&self.root, origin.worker_id);
        let lock = lock_dead(&folder)?;
        let numbers = segment::numbers(&folder)
            .map_err(|source| ReadError::Read { path: folder.clone(), source })?;
        let mut foreign = None;
        for number in &numbers {
            let header = read_header(&folder.join(segment::name(*number)))?;
            if let Some(header) = header.filter(|header| header.origin != *origin) {
                foreign = Some((*number, header.origin));
                break;
            }
        }
        let mut numbers = if foreign.is_some() { Vec::new() } else { numbers };
        numbers.retain(|number| *number >= first);
        Ok(Walk {
            folder,
            lock,
            foreign,
            numbers: numbers.into_iter(),
            bytes: Vec::new(),
            header: None,
            reached: self.reached,
            segments: BTreeMap::new(),
        })
    }
}

/// A dead worker's folder being read, its flock held.
#[derive(Debug)]
pub struct Walk {
    folder: PathBuf,
    lock: WorkerLock,
    foreign: Option<(u64, Origin)>,
    numbers: std::vec::IntoIter<u64>,
    bytes: Vec<u8>,
    header: Option<Header>,
    reached: Position,
    segments: BTreeMap<u64, SegmentReport>,
}

impl Walk {
    /// The marks of the next segment with its number; `None` after the last one.
    pub fn next_segment(&mut self) -> Result<Option<(u64, Vec<Mark>)>, ReadError> {
        let Some(number) = self.numbers.next() else { return Ok(None) };
        let flushed = load(&self.folder.join(segment::name(number)), &mut self.bytes)?;
        self.header = Header::decode(&self.bytes).filter(|header| header.number == number);
        let mut marks = Vec::new();
        let mut report = walk(number, &self.bytes, &mut |_, mark| marks.push(mark));
        if !flushed && report.state == SegmentState::Whole {
            report.state = SegmentState::Broken { offset: self.bytes.len() as u64 };
        }
        self.segments.insert(number, report);
        Ok(Some((number, marks)))
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The header of the segment that was read last.
    pub(super) fn header(&self) -> Option<Header> {
        self.header
    }

    /// What was found of the segments read; holds the flock on.
    pub fn end(self) -> Survey {
        match self.foreign {
            Some((segment, origin)) => Survey::foreign(segment, origin, self.lock),
            None => Survey::of(self.segments, self.reached, self.lock),
        }
    }
}

/// The owner's lock, which only death gives away.
fn lock_dead(folder: &Path) -> Result<WorkerLock, ReadError> {
    WorkerLock::acquire_existing(&folder.join(OWNER_LOCK)).map_err(|error| match error {
        LockError::Held { pid, .. } => ReadError::Held { path: folder.into(), pid },
        LockError::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            ReadError::Absent { path: folder.into() }
        }
        error => ReadError::Lock(error),
    })
}

pub(super) fn read_header(path: &Path) -> Result<Option<Header>, ReadError> {
    let failed = |source| ReadError::Read { path: path.into(), source };
    let mut bytes = Vec::with_capacity(HEADER_LEN);
    let file = File::open(path).map_err(failed)?;
    file.take(HEADER_LEN as u64).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Header::decode(&bytes))
}

/// Replaces `bytes` by the segment's. False if the kernel says that pages of it were lost on
/// their way to the disk: what is read then may be older than what was written.
fn load(path: &Path, bytes: &mut Vec<u8>) -> Result<bool, ReadError> {
    let failed = |source| ReadError::Read { path: path.into(), source };
    bytes.clear();
    let file = File::open(path).map_err(failed)?;
    let flushed = file.sync_data().is_ok();
    file.take(MAX_SEGMENT_SIZE + 1).read_to_end(bytes).map_err(failed)?;
    Ok(flushed)
}

/// Visits the marks of one segment up to its end or its first damage. What lies behind damage is
/// not searched for marks: outcome bytes come from outside and could hold forged ones.
fn walk(number: u64, bytes: &[u8], visit: &mut impl FnMut(u64, Mark)) -> SegmentReport {
    let mut report = SegmentReport::without_header();
    let Some(header) = Header::decode(bytes).filter(|header| header.number == number) else {
        return report;
    };
    report.boot = Some(header.boot);
    report.state = SegmentState::Whole;
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut at = HEADER_LEN;
    let unbroken = loop {
        match find(bytes.get(at..end).unwrap_or_default()) {
            Found::Mark(mark, len) => {
                report.marks += 1;
                at += len;
                visit(number, mark);
            }
            Found::Pack(ended, len) => {
                report.marks += ended.len() as u64;
                report.packed = true;
                at += len;
                for mark in ended {
                    visit(number, mark);
                }
            }
            Found::Rolled { next, len } => {
                report.rolled = true;
                at += len;
                break next == number + 1 && at == end;
            }
            Found::Closed(len) => {
                report.closed = true;
                at += len;
                break at == end;
            }
            Found::Nothing | Found::Torn => break true,
            Found::Broken => break false,
        }
    };
    report.end = at as u64;
    if !unbroken || bytes.len() as u64 != header.size {
        report.state = SegmentState::Broken { offset: at as u64 };
    }
    report
}

fn extend(trail: &mut Trail, segment: u64, mark: Mark) {
    match mark {
        Mark::Begin { dated_at, content, .. } => {
            trail.begin = Some(Begun { segment, dated_at, content });
        }
        Mark::Dot { .. } => trail.dotted = true,
        Mark::End { outcome, .. } => trail.outcome = Some(outcome),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::recovered::tests::{ORIGIN, begin, dot, end, key, this_boot};
    use crate::journal::writer::Journal;

    #[test]
    fn all_workers_folders_are_listed_and_a_missing_root_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let journals = Journals::under(dir.path());
        drop(Journal::create(dir.path(), ORIGIN, this_boot(), 4096).unwrap());
        fs::create_dir(dir.path().join("notes")).unwrap();
        assert_eq!(journals.workers().unwrap(), [ORIGIN.worker_id]);
        assert!(Journals::under(dir.path().join("none")).workers().unwrap().is_empty());
    }

    #[test]
    fn a_missing_folder_and_a_missing_lock_are_no_journal() {
        let dir = tempfile::tempdir().unwrap();
        let journals = Journals::under(dir.path());
        let absent = |read: Result<Recovered, _>| matches!(read, Err(ReadError::Absent { .. }));
        assert!(absent(journals.read(&ORIGIN, HashSet::new())));
        drop(Journal::create(dir.path(), ORIGIN, this_boot(), 4096).unwrap());
        fs::remove_file(folder_of(dir.path(), ORIGIN.worker_id).join(OWNER_LOCK)).unwrap();
        assert!(absent(journals.read(&ORIGIN, HashSet::new())));
    }

    #[test]
    fn a_rescuer_holds_the_journal_until_it_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let journals = Journals::under(dir.path());
        drop(Journal::create(dir.path(), ORIGIN, this_boot(), 4096).unwrap());
        let rescue = journals.read(&ORIGIN, HashSet::new()).unwrap();
        let second = journals.read(&ORIGIN, HashSet::new());
        assert!(matches!(second, Err(ReadError::Held { .. })));
        drop(rescue);
        journals.read(&ORIGIN, HashSet::new()).unwrap();
    }

    #[test]
    fn a_scan_shows_every_mark_in_the_order_written() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), ORIGIN, this_boot(), 4096).unwrap();
        let written: Vec<Mark> =
            (0..200).flat_map(|i| [begin(key(i)), dot(key(i)), end(key(i), &[7; 40])]).collect();
        for mark in &written {
            journal.mark(mark).unwrap();
        }
        let last = journal.segment();
        drop(journal);
        let (mut seen, mut segments) = (Vec::new(), Vec::new());
        let mut walk = Journals::under(dir.path()).walk(&ORIGIN).unwrap();
        while let Some((segment, marks)) = walk.next_segment().unwrap() {
            segments.push(segment);
            seen.extend(marks);
        }
        let survey = walk.end();
        assert_eq!(seen, written);
        assert!(segments.is_sorted());
        assert_eq!(survey.segments().len() as u64, last);
    }
}
