//! The text form of one key and its file: mode 0600, one line, never overwritten.
//!
//! It must not know which keys make a ring.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::keys::{Key, KeyPurpose};

/// The first word of a key file.
const FORMAT: &str = "forthwith-key-v1";
/// A key file is about 80 bytes; whatever is longer than this is none.
const MAX_FILE: usize = 512;

/// What went wrong with a key file. None of these shows a byte of a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key directory could not be made or synced.
    #[error("cannot prepare the key directory {path}; hint: check its owner and permissions")]
    Directory {
        /// The key directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A key file is already there, and keys are never overwritten.
    #[error(
        "{path} exists already and is never overwritten; hint: `forthwith key check` tells whether it is whole"
    )]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// A key file could not be written.
    #[error("cannot write {path}; hint: mend the cause, then run `forthwith key init` again")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// There is no such key file.
    #[error(
        "there is no key file {path}; hint: `forthwith key init` makes the keys of a new workspace, an existing one needs its backup"
    )]
    Missing {
        /// The file looked for.
        path: PathBuf,
    },
    /// A key file could not be read.
    #[error("cannot read {path}; hint: run `forthwith key check` as the user the service runs as")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others than the owner may use the file.
    #[error(
        "{path} has mode {mode:04o}: others than its owner may use it; hint: `chmod 600` it, think whether the key is still secret, then `forthwith key check`"
    )]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds a key for something else.
    #[error(
        "{path} holds the key for {found}, not for {wanted}; hint: two files were mixed up, see `forthwith key check`"
    )]
    WrongPurpose {
        /// The file.
        path: PathBuf,
        /// The purpose its name stands for.
        wanted: KeyPurpose,
        /// The purpose written in it.
        found: KeyPurpose,
    },
    /// The file is no key file.
    #[error(
        "{path} is no whole key file: {what}; hint: restore it from the key backup, then `forthwith key check`"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
}

pub(super) fn to_text(key: &Key) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(key.secret()));
    Zeroizing::new(format!("{FORMAT} {} {} {}\n", key.purpose(), key.id(), *encoded))
}

fn parse(text: &str, purpose: KeyPurpose, path: &Path) -> Result<Key, KeyError> {
    let malformed = |what| KeyError::Malformed { path: path.to_owned(), what };
    let line = text.strip_suffix('\n').ok_or_else(|| malformed("its last line is cut off"))?;
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or_default();
    let (format, found, id, encoded) = (word(), word(), word(), word());
    if format != FORMAT {
        return Err(malformed("it does not begin with forthwith-key-v1"));
    }
    if found != purpose.as_str() {
        let known = KeyPurpose::ALL.into_iter().find(|known| known.as_str() == found);
        return Err(match known {
            Some(known) => {
                KeyError::WrongPurpose { path: path.to_owned(), wanted: purpose, found: known }
            }
            None => malformed("its second word is no known purpose"),
        });
    }
    let id = id.parse().map_err(|_| malformed("its third word is no key id"))?;
    let bytes = STANDARD.decode(encoded).ok().map(Zeroizing::new);
    let bytes = bytes.as_ref().and_then(|bytes| <[u8; 32]>::try_from(&bytes[..]).ok());
    let bytes = bytes.ok_or_else(|| malformed("its fourth word is not 32 bytes in base64"))?;
    if words.next().is_some() {
        return Err(malformed("it has more than four words"));
    }
    Ok(Key::from_parts(purpose, id, bytes))
}

/// Makes the file with mode 0600 and syncs it; never overwrites one.
pub(super) fn write(key: &Key, path: &Path) -> Result<(), KeyError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.to_owned() },
        _ => KeyError::Write { path: path.to_owned(), source },
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).map_err(failed)?;
    let written = file.write_all(to_text(key).as_bytes()).and_then(|()| file.sync_all());
    written.map_err(|source| {
        // half a key file would make every later `key init` refuse; nobody has used this one
        let _ = fs::remove_file(path);
        failed(source)
    })
}

/// Reads the file of that purpose, if nobody but its owner may use it.
pub(super) fn read(path: &Path, purpose: KeyPurpose) -> Result<Key, KeyError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeyError::Missing { path: path.to_owned() },
        _ => KeyError::Read { path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(failed)?;
    // the opened file is asked, not the path, so that it cannot be swapped in between
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::TooOpen { path: path.to_owned(), mode });
    }
    // room for the whole file at once: growing would leave copies of the key in freed memory
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * MAX_FILE));
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let malformed = |what| KeyError::Malformed { path: path.to_owned(), what };
    if bytes.len() > MAX_FILE {
        return Err(malformed("it is longer than a key file"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed("it is not text"))?;
    parse(text, purpose, path)
}
