//! The look-ups of a seal under construction: digests with their numbers in digest order, one file each.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::parts::new_file;

/// Digest (16), number (8, big-endian).
pub(in crate::store::sqlite) const RECORD: usize = 24;

/// Takes records in their order.
pub(super) struct DigestWriter {
    out: BufWriter<File>,
    bytes: u64,
}

impl DigestWriter {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { out: BufWriter::with_capacity(64 * 1024, new_file(path)?), bytes: 0 })
    }

    pub(super) fn push(&mut self, digest: &[u8], number: &[u8]) -> io::Result<()> {
        self.out.write_all(digest)?;
        self.out.write_all(number)?;
        self.bytes += RECORD as u64;
        Ok(())
    }

    /// Writes what is left; gives its length.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        self.out.flush()?;
        Ok(self.bytes)
    }
}

/// Gives them back from any record on.
pub(in crate::store::sqlite) struct DigestReader {
    file: File,
    next: u64,
    records: u64,
}

impl DigestReader {
    /// Opens the file behind the record `after`, which need not be in it.
    pub(super) fn open(path: &Path, after: &[u8]) -> io::Result<Self> {
        let file = File::open(path)?;
        let records = file.metadata()?.len() / RECORD as u64;
        let mut reader = Self { file, next: 0, records };
        let mut left = records;
        while left > 0 {
            let half = left / 2;
            let mut record = [0; RECORD];
            reader.file.read_exact_at(&mut record, (reader.next + half) * RECORD as u64)?;
            if &record[..] <= after {
                reader.next += half + 1;
                left -= half + 1;
            } else {
                left = half;
            }
        }
        Ok(reader)
    }

    /// The next records, at most so many; none at the end.
    pub(in crate::store::sqlite) fn page(&mut self, most: u64) -> io::Result<Vec<[u8; RECORD]>> {
        let count = (self.records - self.next).min(most);
        let mut page = vec![[0; RECORD]; usize::try_from(count).map_err(io::Error::other)?];
        self.file.read_exact_at(page.as_flattened_mut(), self.next * RECORD as u64)?;
        self.next += count;
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_behind_any_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("digests");
        let mut writer = DigestWriter::create(&path).unwrap();
        for n in 0..100_u64 {
            writer.push(&[u8::try_from(n / 3).unwrap(); 16], &n.to_be_bytes()).unwrap();
        }
        assert_eq!(writer.finish().unwrap(), 2_400);
        let from = |after: &[u8]| {
            let page = DigestReader::open(&path, after).unwrap().page(1_000).unwrap();
            page.first().map(|record| u64::from_be_bytes(record[16..].try_into().unwrap()))
        };
        assert_eq!(from(b""), Some(0));
        for n in 0..99_u64 {
            let mark = [&[u8::try_from(n / 3).unwrap(); 16][..], &n.to_be_bytes()].concat();
            assert_eq!(from(&mark), Some(n + 1));
        }
        assert_eq!(from(&[40; RECORD]), None);
    }
}
