//! A life that is over, in fewer bytes. Each segment is written anew beside itself, fsynced, and renamed
//! over the old one: a death in between leaves either, and both read the same.
//!
//! An attempt that ended keeps its end alone, as short as the caller makes it. Everything is kept of an
//! attempt that did not end, or whose end the caller does not shorten.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::boot::BootId;
use super::mark::{Mark, MarkKey, OutcomeBytes, encode_closed, encode_pack, encode_rolled};
use super::pack::packed;
use super::reader::{Journals, ReadError, Walk};
use super::segment::{self, HEADER_LEN, Header, Origin, naming, sync_folder};

/// What shrinking a folder came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shrunk {
    /// Bytes before.
    pub before: u64,
    /// Bytes after.
    pub after: u64,
}

/// The short form of an encoded outcome; none where everything of its attempt is to be kept.
pub type Shorten<'a> = &'a dyn Fn(&[u8]) -> Option<Vec<u8>>;

impl Journals {
    /// Shrinks a dead worker's folder; `None` where it is not known to be complete, and nothing was done.
    /// The caller knows that the outcome of each of its attempts is in the database.
    pub fn shrink(
        &self,
        origin: &Origin,
        boot: &BootId,
        shorten: Shorten<'_>,
    ) -> Result<Option<Shrunk>, ReadError> {
        shrink(|| self.walk(origin), boot, shorten)
    }
}

/// Two walks: the first finds what must be kept whole, the second writes.
pub(super) fn shrink(
    walk: impl Fn() -> Result<Walk, ReadError>,
    boot: &BootId,
    shorten: Shorten<'_>,
) -> Result<Option<Shrunk>, ReadError> {
    let mut first = walk()?;
    let (mut open, mut kept) = (HashSet::new(), HashSet::new());
    while let Some((_, marks)) = first.next_segment()? {
        for mark in marks {
            let key = mark.key();
            let Mark::End { outcome, .. } = mark else {
                open.insert(key);
                continue;
            };
            open.remove(&key);
            if short(&outcome, shorten).is_none() {
                kept.insert(key);
            }
        }
    }
    kept.extend(open);
    let survey = first.end();
    let last = survey.segments().iter().filter(|(_, report)| report.marks > 0 || report.closed);
    let last = last.map(|(number, _)| *number).max().or(survey.segments().keys().next().copied());
    if !survey.complete_since(1, boot) {
        return Ok(None);
    }
    // the flock is let go for an instant: who dies cannot come back to life
    drop(survey);
    let mut second = walk()?;
    let mut shrunk = Shrunk::default();
    while let Some((number, marks)) = second.next_segment()? {
        let path = second.folder().join(segment::name(number));
        let failed = |source| ReadError::Read { path: path.clone(), source };
        let before = fs::metadata(&path).map_err(failed)?.len();
        shrunk.before += before;
        if last.is_some_and(|last| number > last) {
            // made ahead and never used
            fs::remove_file(&path).map_err(failed)?;
            continue;
        }
        let Some(header) = second.header() else { continue };
        let end = if Some(number) == last { End::Closed } else { End::Rolled(number + 1) };
        let bytes = written(header, marks, &kept, shorten, end);
        if (bytes.len() as u64) < before {
            replace(&path, &bytes).map_err(failed)?;
            shrunk.after += bytes.len() as u64;
        } else {
            shrunk.after += before;
        }
    }
    Ok(Some(shrunk))
}

/// How a segment ends.
#[derive(Clone, Copy)]
enum End {
    Rolled(u64),
    Closed,
}

fn short(outcome: &OutcomeBytes, shorten: Shorten<'_>) -> Option<OutcomeBytes> {
    OutcomeBytes::new(shorten(outcome.as_slice())?).ok()
}

/// A segment's bytes with only what is kept of its marks.
fn written(
    mut header: Header,
    marks: Vec<Mark>,
    kept: &HashSet<MarkKey>,
    shorten: Shorten<'_>,
    end: End,
) -> Vec<u8> {
    let (mut whole, mut ended) = (Vec::new(), Vec::new());
    let mut one = Vec::new();
    for mark in marks {
        if kept.contains(&mark.key()) {
            mark.encode(&mut one);
            whole.extend_from_slice(&one);
        } else if let Mark::End { key, outcome } = mark
            && let Some(outcome) = short(&outcome, shorten)
        {
            ended.push((key, outcome));
        }
    }
    for pack in packed(&ended) {
        encode_pack(&pack, &mut one);
        whole.extend_from_slice(&one);
    }
    match end {
        End::Rolled(next) => encode_rolled(next, &mut one),
        End::Closed => encode_closed(&mut one),
    }
    whole.extend_from_slice(&one);
    header.size = (HEADER_LEN + whole.len()) as u64;
    [header.encode(), whole].concat()
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("fwj.shrunk");
    let written = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)?;
        sync_folder(path.parent().unwrap_or(Path::new(".")))
    };
    written().map_err(|error| naming(&unfinished, &error))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::journal::recovered::tests::{ORIGIN, begin, dot, end, key, this_boot};
    use crate::journal::{Journal, Verdict};

    const LATER_BOOT: &str = "6f3a1e90-5a41-4c0e-9d55-0c7be1a2f009";

    /// Ends that begin with `k` are kept, others become one letter.
    fn shorten(bytes: &[u8]) -> Option<Vec<u8>> {
        (bytes.first() != Some(&b'k')).then(|| bytes.iter().take(1).copied().collect())
    }

    fn write(root: &Path, is_closed: bool) -> u64 {
        let journal = Journal::create(root, ORIGIN, this_boot(), 4096).unwrap();
        for number in 0..300 {
            journal.mark(&begin(key(number))).unwrap();
            if number % 10 != 1 {
                journal.mark(&dot(key(number))).unwrap();
            }
            if number % 10 > 2 {
                let outcome: &[u8] = if number % 10 == 3 { b"kept" } else { b"accepted" };
                journal.mark(&end(key(number), outcome)).unwrap();
            }
        }
        if is_closed {
            journal.close().unwrap();
        }
        journal.segment()
    }

    fn verdicts(root: &Path, boot: &BootId) -> BTreeMap<u64, Verdict> {
        let keys = (0..301).map(key).collect();
        let read = Journals::under(root).read(&ORIGIN, keys).unwrap();
        (0..301).map(|number| (number, read.verdict(&key(number), 1, boot))).collect()
    }

    fn bytes_of(root: &Path) -> u64 {
        crate::journal::folders(root).unwrap()[0].bytes
    }

    #[test]
    fn a_shrunk_journal_decides_as_the_long_one_did_in_any_boot() {
        for is_closed in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let segments = write(dir.path(), is_closed);
            assert!(segments > 3);
            let (before, boot) = (verdicts(dir.path(), &this_boot()), this_boot());
            let journals = Journals::under(dir.path());
            let shrunk = journals.shrink(&ORIGIN, &boot, &shorten).unwrap().unwrap();
            assert_eq!(bytes_of(dir.path()), shrunk.after);
            // four in ten keep everything
            assert!(shrunk.after * 2 < shrunk.before, "{shrunk:?}");
            for boot in [this_boot(), LATER_BOOT.parse().unwrap()] {
                for (number, verdict) in verdicts(dir.path(), &boot) {
                    match (&before[&number], &verdict) {
                        (Verdict::End(long), Verdict::End(short)) => {
                            let expected = shorten(long.as_slice());
                            let kept = long.as_slice().to_vec();
                            assert_eq!(short.as_slice(), expected.unwrap_or(kept));
                        }
                        (long, short) => assert_eq!(long, short, "{number}"),
                    }
                }
            }
            let again = journals.shrink(&ORIGIN, &boot, &shorten).unwrap().unwrap();
            assert_eq!(again.before, again.after, "there is nothing more to gain");
        }
    }

    #[test]
    fn a_death_between_two_segments_leaves_both_forms_and_they_read_the_same() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), true);
        let before = verdicts(dir.path(), &this_boot());
        let copy = tempfile::tempdir().unwrap();
        let folder = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        let twin = copy.path().join(folder.file_name().unwrap());
        fs::create_dir(&twin).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), twin.join(entry.file_name())).unwrap();
        }
        Journals::under(dir.path()).shrink(&ORIGIN, &this_boot(), &shorten).unwrap().unwrap();
        // the first is new, all others are old, and a half-written one lies beside
        fs::copy(folder.join("00000001.fwj"), twin.join("00000001.fwj")).unwrap();
        fs::write(twin.join("00000002.fwj.shrunk"), b"half").unwrap();
        for (number, verdict) in verdicts(copy.path(), &this_boot()) {
            let same = std::mem::discriminant(&verdict) == std::mem::discriminant(&before[&number]);
            assert!(same, "{number}: {verdict:?}, {:?}", before[&number]);
        }
        Journals::under(copy.path()).shrink(&ORIGIN, &this_boot(), &shorten).unwrap().unwrap();
    }

    #[test]
    fn what_may_lack_marks_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), false);
        let bytes = bytes_of(dir.path());
        let other = LATER_BOOT.parse().unwrap();
        let shrunk = Journals::under(dir.path()).shrink(&ORIGIN, &other, &shorten).unwrap();
        assert_eq!((shrunk, bytes_of(dir.path())), (None, bytes));
    }
}
