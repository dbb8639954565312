//! A file with a secret that others gave us, to be shown to them again: its first line.
//!
//! Owns the rules of such files. It must not know whom the secret is for.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The longest file read, in octets; access tokens are a few thousand.
const MAX_FILE: u64 = 64 * 1024;

/// Whose secret a file holds, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// Who knows us by it, as in "the relay's secret": `relay`.
    pub peer: &'static str,
    /// The key that names the file.
    pub key: &'static str,
}

/// Why a secret file cannot be used. None of these shows any of it.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It could not be read.
    #[error("cannot read the {}'s secret from {path}: {source}; hint: `{}`", holder.peer, holder.key)]
    Read {
        /// Whose secret.
        holder: Holder,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others than the owner may use the file.
    #[error(
        "{path} holds the {}'s secret and has mode {mode:04o}: others than its owner may use it; \
         hint: `chmod 600` it, and think whether the secret is still one", holder.peer
    )]
    TooOpen {
        /// Whose secret.
        holder: Holder,
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It has no text in its first line, or control characters.
    #[error(
        "{path} holds no secret: its first line is empty, too long or not plain text; hint: write \
         the {}'s password into it, on one line", holder.peer
    )]
    Empty {
        /// Whose secret.
        holder: Holder,
        /// The file.
        path: PathBuf,
    },
}

/// The first line of a file that only its owner may use.
pub(super) fn first_line(
    path: &Path,
    holder: Holder,
) -> Result<Zeroizing<String>, SecretFileError> {
    let failed = |source| SecretFileError::Read { holder, path: path.into(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SecretFileError::TooOpen { holder, path: path.into(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(4096));
    file.take(MAX_FILE).read_to_string(&mut text).map_err(failed)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() || line.len() as u64 >= MAX_FILE || line.contains(char::is_control) {
        return Err(SecretFileError::Empty { holder, path: path.into() });
    }
    Ok(Zeroizing::new(line.to_owned()))
}
