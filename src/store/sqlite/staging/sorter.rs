//! Sorting more fixed-length records than memory should hold: runs that fit are sorted and written to a file
//! without a name, then merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// Bytes of a run; twice as many are held while one is written.
const RUN: usize = 2 * 1024 * 1024;
/// Bytes read ahead of all runs together.
const AHEAD: usize = 4 * 1024 * 1024;

/// The file after a run was written, and the memory the run was in.
type Written<const N: usize> = io::Result<(File, Vec<[u8; N]>)>;

/// Takes records of `N` bytes in any order.
pub(super) struct Sorter<const N: usize> {
    folder: PathBuf,
    records: Vec<[u8; N]>,
    /// Where each run written so far ends.
    ends: Vec<u64>,
    file: Option<File>,
    /// The run being sorted and written, with the memory it is in.
    job: Option<JoinHandle<Written<N>>>,
}

impl<const N: usize> Sorter<N> {
    /// A sorter whose runs lie in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        let folder = folder.to_owned();
        Self { folder, records: Vec::new(), ends: Vec::new(), file: None, job: None }
    }

    pub(super) fn push(&mut self, record: [u8; N]) -> io::Result<()> {
        if self.records.len() * N >= RUN {
            self.spill()?;
        }
        self.records.push(record);
        Ok(())
    }

    /// Hands the run to a thread of its own: whoever pushes goes on with the memory of the one before.
    fn spill(&mut self) -> io::Result<()> {
        let spare = self.join()?;
        let mut file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile_in(&self.folder)?,
        };
        let mut records = std::mem::replace(&mut self.records, spare);
        let end = self.ends.last().copied().unwrap_or(0) + (records.len() * N) as u64;
        self.ends.push(end);
        self.job = Some(std::thread::spawn(move || {
            sort(&mut records);
            file.write_all(records.as_flattened())?;
            records.clear();
            Ok((file, records))
        }));
        Ok(())
    }

    fn join(&mut self) -> io::Result<Vec<[u8; N]>> {
        let Some(job) = self.job.take() else { return Ok(Vec::new()) };
        let done = job.join().map_err(|_| io::Error::other("the sort of a run panicked"))?;
        let (file, records) = done?;
        self.file = Some(file);
        Ok(records)
    }

    /// All records in order.
    pub(super) fn finish(mut self) -> io::Result<Merged<N>> {
        self.join()?;
        sort(&mut self.records);
        let mut merged = Merged { runs: Vec::new(), file: self.file, heads: BinaryHeap::new() };
        let ahead = (AHEAD / (self.ends.len() + 1) / N).max(1);
        let mut start = 0;
        for end in self.ends {
            merged.runs.push(Run { next: start, end, ahead, records: Vec::new(), at: 0 });
            start = end;
        }
        merged.runs.push(Run { next: 0, end: 0, ahead, records: self.records, at: 0 });
        for run in 0..merged.runs.len() {
            if let Some(record) = merged.runs[run].pop(merged.file.as_ref())? {
                merged.heads.push(Reverse((head(&record), record, run)));
            }
        }
        Ok(merged)
    }
}

/// Records begin with a digest: nearly always its first bytes tell two apart, and those are compared as one
/// number.
fn sort<const N: usize>(records: &mut [[u8; N]]) {
    records.sort_unstable_by(|a, b| head(a).cmp(&head(b)).then_with(|| a.cmp(b)));
}

fn head(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}

/// A sorted run with a piece of it in memory.
struct Run<const N: usize> {
    next: u64,
    end: u64,
    /// Records read at a time.
    ahead: usize,
    records: Vec<[u8; N]>,
    at: usize,
}

impl<const N: usize> Run<N> {
    fn pop(&mut self, file: Option<&File>) -> io::Result<Option<[u8; N]>> {
        if self.at == self.records.len() {
            let left = usize::try_from(self.end - self.next).map_err(io::Error::other)? / N;
            let (Some(file), true) = (file, left > 0) else { return Ok(None) };
            self.records.resize(left.min(self.ahead), [0; N]);
            file.read_exact_at(self.records.as_flattened_mut(), self.next)?;
            self.next += (self.records.len() * N) as u64;
            self.at = 0;
        }
        self.at += 1;
        Ok(Some(self.records[self.at - 1]))
    }
}

/// Records in order.
pub(super) struct Merged<const N: usize> {
    runs: Vec<Run<N>>,
    file: Option<File>,
    /// The next record of each run, its head before it.
    heads: BinaryHeap<Reverse<(u64, [u8; N], usize)>>,
}

impl<const N: usize> Merged<N> {
    pub(super) fn next(&mut self) -> io::Result<Option<[u8; N]>> {
        let Some(mut first) = self.heads.peek_mut() else { return Ok(None) };
        let Reverse((_, record, run)) = *first;
        match self.runs[run].pop(self.file.as_ref())? {
            Some(next) => *first = Reverse((head(&next), next, run)),
            None => {
                PeekMut::pop(first);
            }
        }
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    #[test]
    fn records_come_out_in_order_and_none_is_lost_however_many_runs_they_take() {
        let folder = tempfile::tempdir().unwrap();
        let mut rng = SmallRng::seed_from_u64(5);
        let run = RUN / 16;
        for count in [0, 1, 1_000, run, run + 1, run * 3 + 17] {
            let mut sorter = Sorter::<16>::new(folder.path());
            let mut expected: Vec<[u8; 16]> = (0..count).map(|_| rng.random()).collect();
            for record in &expected {
                sorter.push(*record).unwrap();
            }
            expected.sort_unstable();
            let mut merged = sorter.finish().unwrap();
            let found: Vec<_> = std::iter::from_fn(|| merged.next().unwrap()).collect();
            assert!(found == expected, "{count} records");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "runs have no name");
    }
}
