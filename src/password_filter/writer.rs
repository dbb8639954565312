//! The file of a filter as it is written: complete under its own name, or not there.
//!
//! | bytes | |
//! |---|---|
//! | 32 | [`MAGIC`], with the version |
//! | 4 each | bits 20 to 51 of each hash, little-endian, in the order of the hashes |
//! | 8 each | for each of the 2^20 values of the first 20 bits: how many hashes come up to its end |
//! | 8 | how many hashes there are |
//! | 32 | SHA-256 of everything before |

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::secret::Sha256Stream;

/// What a filter begins with; the digit is the version.
pub const MAGIC: &[u8; 32] = b"forthwith password filter 1    \n";
/// Bits of a hash that say where it stands.
pub const BUCKET_BITS: u32 = 20;
/// Places.
pub const BUCKETS: usize = 1 << BUCKET_BITS;
/// Bytes of one hash.
pub const ENTRY: u64 = 4;
/// Bytes of the count and the checksum at the end.
pub const FOOT: u64 = 8 + 32;

/// What a build is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reads the list; in bytes.
    Reading,
    /// Merges what was sorted; in hashes.
    Merging,
}

/// Where a hash stands and what is kept of it there.
pub fn place(key: u64) -> (usize, u32) {
    let [.., a, b, c, d] = (key >> (32 - BUCKET_BITS)).to_be_bytes();
    // 20 bits fit into any usize
    let bucket = usize::try_from(key >> (64 - BUCKET_BITS)).unwrap_or(BUCKETS - 1);
    (bucket, u32::from_be_bytes([a, b, c, d]))
}

/// Bytes of a filter of so many hashes.
pub const fn length(count: u64) -> Option<u64> {
    let frame = MAGIC.len() as u64 + 8 * BUCKETS as u64 + FOOT;
    match count.checked_mul(ENTRY) {
        Some(entries) => entries.checked_add(frame),
        None => None,
    }
}

/// A filter that is being written, beside the file it becomes.
pub struct Writer {
    file: BufWriter<NamedTempFile>,
    digest: Sha256Stream,
    ends: Vec<u64>,
    last: Option<u64>,
    bucket: usize,
    count: u64,
    /// Hashes that were there already.
    pub duplicates: u64,
}

impl Writer {
    /// Begins a file in `folder`.
    pub fn begin(folder: &Path) -> io::Result<Self> {
        let file = NamedTempFile::with_prefix_in(".password-filter-", folder)?;
        let mut writer = Self {
            file: BufWriter::with_capacity(1 << 20, file),
            digest: Sha256Stream::new(),
            ends: vec![0; BUCKETS],
            last: None,
            bucket: 0,
            count: 0,
            duplicates: 0,
        };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.file.write_all(bytes)
    }

    /// Whether this hash may follow those before it.
    pub fn follows(&self, key: u64) -> bool {
        self.last.is_none_or(|last| key >= last)
    }

    /// Adds a hash, not smaller than the one before ([`Self::follows`]).
    pub fn push(&mut self, key: u64) -> io::Result<()> {
        if self.last.is_some_and(|last| place(last) == place(key)) {
            self.duplicates += 1;
            return Ok(());
        }
        self.last = Some(key);
        let (bucket, entry) = place(key);
        self.ends[self.bucket..bucket].fill(self.count);
        self.bucket = bucket;
        self.count += 1;
        self.put(&entry.to_le_bytes())
    }

    /// How many are in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Ends the file, brings it to the disk and gives it its name; returns its bytes.
    pub fn finish(mut self, path: &Path, folder: &Path) -> io::Result<u64> {
        self.ends[self.bucket..].fill(self.count);
        for ends in std::mem::take(&mut self.ends).chunks(4_096) {
            let bytes: Vec<u8> = ends.iter().flat_map(|end| end.to_le_bytes()).collect();
            self.put(&bytes)?;
        }
        self.put(&self.count.to_le_bytes())?;
        let digest = std::mem::take(&mut self.digest).finish();
        self.file.write_all(digest.as_bytes())?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let bytes = file.as_file().metadata()?.len();
        keep(file, path, folder)?;
        Ok(bytes)
    }
}

/// Brings a file to the disk and gives it its name, in place of an older one.
pub fn keep(file: NamedTempFile, path: &Path, folder: &Path) -> io::Result<()> {
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// The folder of a file.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}
