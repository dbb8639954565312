//! A filter as it is asked.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::FilterError;
use super::writer::{BUCKET_BITS, BUCKETS, ENTRY, FOOT, MAGIC, length, place};
use crate::secret::breached::breach_key;
use crate::secret::{Digest, Sha256Stream};

/// A filter that was found whole when it was opened. Blocks for the time of three short reads.
#[derive(Debug)]
pub struct PasswordFilter {
    file: File,
    path: PathBuf,
    count: u64,
}

impl PasswordFilter {
    /// Opens a filter and reads it once from end to end: a damaged one is refused here and not when somebody's
    /// password is looked for.
    pub fn open(path: &Path) -> Result<Self, FilterError> {
        let failed = |error| FilterError::file(path, error);
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let mut magic = [0; MAGIC.len()];
        if file.read_exact_at(&mut magic, 0).is_err() || &magic != MAGIC {
            return Err(FilterError::NoFilter { path: path.to_owned() });
        }
        let damaged = |what: String| FilterError::Damaged { path: path.to_owned(), what };
        let Some(foot) = bytes.checked_sub(FOOT) else {
            return Err(damaged(format!("it ends after {bytes} bytes")));
        };
        let mut count = [0; 8];
        file.read_exact_at(&mut count, foot).map_err(failed)?;
        let count = u64::from_le_bytes(count);
        if length(count) != Some(bytes) {
            return Err(damaged(format!("its {bytes} bytes are not those it was written with")));
        }
        let mut digest = [0; 32];
        file.read_exact_at(&mut digest, foot + 8).map_err(failed)?;
        if digest_of(&file, foot + 8).map_err(failed)? != Digest::from_bytes(digest) {
            return Err(damaged("its checksum does not fit".to_owned()));
        }
        Ok(Self { file, path: path.to_owned(), count })
    }

    /// How many passwords are in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether a password is in it.
    pub fn holds(&self, password: &str) -> Result<bool, FilterError> {
        self.holds_key(breach_key(password.as_bytes()))
            .map_err(|error| FilterError::file(&self.path, error))
    }

    fn holds_key(&self, key: u64) -> io::Result<bool> {
        let (bucket, entry) = place(key);
        let ends = MAGIC.len() as u64 + ENTRY * self.count;
        let end_of = |bucket: usize| {
            let mut end = [0; 8];
            self.file.read_exact_at(&mut end, ends + 8 * bucket as u64)?;
            Ok::<u64, io::Error>(u64::from_le_bytes(end))
        };
        let before = bucket.checked_sub(1).map_or(Ok(0), end_of)?;
        let until = end_of(bucket)?;
        let wrong =
            || io::Error::new(io::ErrorKind::InvalidData, "it was altered since it was opened");
        let held = until.checked_sub(before).filter(|_| until <= self.count).ok_or_else(wrong)?;
        let room = usize::try_from(ENTRY * held).map_err(|_| wrong())?;
        let mut bytes = vec![0; room];
        self.file.read_exact_at(&mut bytes, MAGIC.len() as u64 + ENTRY * before)?;
        let (entries, _) = bytes.as_chunks::<4>();
        Ok(entries.binary_search_by_key(&entry, |one| u32::from_le_bytes(*one)).is_ok())
    }
}

const _: () = assert!(BUCKETS == 1 << BUCKET_BITS && ENTRY == 4, "what `holds_key` reads");

/// The digest of a file's first bytes.
fn digest_of(file: &File, bytes: u64) -> io::Result<Digest> {
    let mut stream = Sha256Stream::new();
    let mut block = vec![0; 1 << 20];
    let mut at = 0;
    let mut rest = file.take(bytes);
    while at < bytes {
        let read = rest.read(&mut block)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stream.update(&block[..read]);
        at += read as u64;
    }
    Ok(stream.finish())
}
