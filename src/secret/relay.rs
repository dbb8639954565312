//! The secret by which a relay knows us: a password, or a token of OAuth 2.0.
//!
//! Owns its file's rules. It must not know SMTP.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// The longest file read, in octets; access tokens are a few thousand.
const MAX_FILE: u64 = 64 * 1024;

/// A relay's secret in plain text; wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RelaySecret(Zeroizing<String>);

/// Why a secret file cannot be used. None of these shows any of it.
#[derive(Debug, thiserror::Error)]
pub enum RelaySecretError {
    /// It could not be read.
    #[error("cannot read the relay's secret from {path}: {source}; hint: `relay.auth.secret_file`")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Others than the owner may use the file.
    #[error(
        "{path} holds the relay's secret and has mode {mode:04o}: others than its owner may use it; \
         hint: `chmod 600` it, and think whether the secret is still one"
    )]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It has no text in its first line, or control characters.
    #[error(
        "{path} holds no secret: its first line is empty, too long or not plain text; hint: write \
         the relay's password into it, on one line"
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl RelaySecret {
    /// Takes over a secret.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Reads the first line of a file that only its owner may use. Read anew for every connection, so
    /// that whoever renews an access token only has to replace the file.
    pub fn read(path: &Path) -> Result<Self, RelaySecretError> {
        let failed = |source| RelaySecretError::Read { path: path.into(), source };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(RelaySecretError::TooOpen { path: path.into(), mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(4096));
        file.take(MAX_FILE).read_to_string(&mut text).map_err(failed)?;
        let line = text.lines().next().unwrap_or_default();
        if line.is_empty() || line.len() as u64 >= MAX_FILE || line.contains(char::is_control) {
            return Err(RelaySecretError::Empty { path: path.into() });
        }
        Ok(Self::new(line.to_owned()))
    }

    /// The secret's text: for the relay, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RelaySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RelaySecret(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.secret");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn the_first_line_of_an_owners_file_is_the_secret() {
        let (_folder, path) = file("pa ss=wörd\nmore\n", 0o600);
        let secret = RelaySecret::read(&path).unwrap();
        assert_eq!(secret.expose(), "pa ss=wörd");
        assert_eq!(format!("{secret:?}"), "RelaySecret(redacted)");
    }

    #[test]
    fn a_file_that_others_may_read_or_that_is_empty_is_refused() {
        let (_folder, path) = file("secret", 0o640);
        let said = RelaySecret::read(&path).unwrap_err().to_string();
        assert!(said.contains("0640") && said.contains("chmod 600"), "{said}");
        for text in ["", "\nsecret", "a\tb"] {
            let (_folder, path) = file(text, 0o600);
            let error = RelaySecret::read(&path).unwrap_err();
            assert!(matches!(error, RelaySecretError::Empty { .. }), "{error}");
        }
        let missing = RelaySecret::read(Path::new("/nonexistent/relay.secret")).unwrap_err();
        assert!(missing.to_string().contains("relay.auth.secret_file"));
    }
}
