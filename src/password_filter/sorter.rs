//! Hashes in any order, given back in theirs: sorted in runs of bounded size, which are merged from a file that
//! has no name and is gone when the process is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Hashes sorted in memory: 64 MiB.
const AT_ONCE: usize = 8 << 20;
/// Bytes read of a run at once.
const BLOCK: usize = 64 * 1024;
const KEY: usize = size_of::<u64>();

/// Takes hashes.
pub struct Sorter {
    at_once: usize,
    keys: Vec<u64>,
    spilled: BufWriter<File>,
    /// Where each run begins and ends in the file, in bytes.
    runs: Vec<(u64, u64)>,
}

/// Gives them back.
pub struct Sorted {
    file: File,
    runs: Vec<Run>,
    next: BinaryHeap<Reverse<(u64, usize)>>,
}

struct Run {
    at: u64,
    until: u64,
    block: Vec<u8>,
    read: usize,
}

impl Sorter {
    /// Its file is made in `folder`.
    pub fn in_folder(folder: &Path) -> io::Result<Self> {
        Self::of(folder, AT_ONCE)
    }

    fn of(folder: &Path, at_once: usize) -> io::Result<Self> {
        let spilled = BufWriter::with_capacity(1 << 20, tempfile::tempfile_in(folder)?);
        Ok(Self { at_once, keys: Vec::with_capacity(at_once), spilled, runs: Vec::new() })
    }

    /// Takes one.
    pub fn push(&mut self, key: u64) -> io::Result<()> {
        if self.keys.len() == self.at_once {
            self.spill()?;
        }
        self.keys.push(key);
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.keys.sort_unstable();
        for key in &self.keys {
            self.spilled.write_all(&key.to_le_bytes())?;
        }
        let from = self.runs.last().map_or(0, |(_, until)| *until);
        self.runs.push((from, from + (self.keys.len() * KEY) as u64));
        self.keys.clear();
        Ok(())
    }

    /// No more follow.
    pub fn finish(mut self) -> io::Result<Sorted> {
        self.spill()?;
        drop(std::mem::take(&mut self.keys));
        let file = self.spilled.into_inner().map_err(io::IntoInnerError::into_error)?;
        let run = |(at, until)| Run { at, until, block: Vec::new(), read: 0 };
        let runs = self.runs.into_iter().map(run).collect();
        let mut sorted = Sorted { file, runs, next: BinaryHeap::new() };
        for at in 0..sorted.runs.len() {
            sorted.draw(at)?;
        }
        Ok(sorted)
    }
}

impl Sorted {
    /// The next one.
    pub fn next(&mut self) -> io::Result<Option<u64>> {
        let Some(Reverse((key, run))) = self.next.pop() else { return Ok(None) };
        self.draw(run)?;
        Ok(Some(key))
    }

    /// Puts the next one of a run among those compared.
    fn draw(&mut self, at: usize) -> io::Result<()> {
        let run = &mut self.runs[at];
        if run.read == run.block.len() {
            let left = run.until - run.at;
            run.block.resize(usize::try_from(left).unwrap_or(BLOCK).min(BLOCK), 0);
            self.file.read_exact_at(&mut run.block, run.at)?;
            run.at += run.block.len() as u64;
            run.read = 0;
        }
        if let Some(bytes) = run.block[run.read..].first_chunk::<KEY>() {
            run.read += KEY;
            self.next.push(Reverse((u64::from_le_bytes(*bytes), at)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    #[test]
    fn whatever_the_order_they_come_back_in_theirs() {
        let folder = tempfile::tempdir().unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        for many in [0, 1, 999, 1_000, 1_001, 25_000] {
            let mut wanted: Vec<u64> = (0..many).map(|_| rng.random_range(0..9_000)).collect();
            let mut sorter = Sorter::of(folder.path(), 1_000).unwrap();
            wanted.iter().for_each(|key| sorter.push(*key).unwrap());
            let mut sorted = sorter.finish().unwrap();
            let mut found = Vec::new();
            while let Some(key) = sorted.next().unwrap() {
                found.push(key);
            }
            wanted.sort_unstable();
            assert_eq!(found, wanted);
        }
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "its file has no name");
    }
}
