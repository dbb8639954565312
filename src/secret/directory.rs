//! The password by which a company's directory knows us, where it is no database. It must not know
//! LDAP.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use super::secret_file::{Holder, SecretFileError, first_line};

/// Our own password for a directory in plain text; wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DirectoryPassword(Zeroizing<String>);

impl DirectoryPassword {
    /// Reads the first line of a file that only its owner may use; `key` names the file in the
    /// settings. Read anew for every connection, so that a password can be changed at run time.
    pub fn read(path: &Path, key: &'static str) -> Result<Self, SecretFileError> {
        Ok(Self(first_line(path, Holder { peer: "directory", key })?))
    }

    /// The password's text: for the directory, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DirectoryPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectoryPassword(redacted)")
    }
}
