//! The password by which a company's database knows us. It must not know SQL.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use super::secret_file::{Holder, SecretFileError, first_line};

/// A database user's password in plain text; wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabasePassword(Zeroizing<String>);

impl DatabasePassword {
    /// Reads the first line of a file that only its owner may use; `key` names the file in the
    /// settings. Read anew for every connection, so that a password can be changed at run time.
    pub fn read(path: &Path, key: &'static str) -> Result<Self, SecretFileError> {
        Ok(Self(first_line(path, Holder { peer: "database", key })?))
    }

    /// The password's text: for the database, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DatabasePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabasePassword(redacted)")
    }
}
