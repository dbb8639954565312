//! The secret by which a relay knows us: a password, or a token of OAuth 2.0.
//!
//! It must not know SMTP.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use super::secret_file::{Holder, SecretFileError, first_line};

/// A relay's secret in plain text; wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RelaySecret(Zeroizing<String>);

impl RelaySecret {
    /// Takes over a secret.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// Reads the first line of a file that only its owner may use. Read anew for every connection, so
    /// that whoever renews an access token only has to replace the file.
    pub fn read(path: &Path) -> Result<Self, SecretFileError> {
        let holder = Holder { peer: "relay", key: "relay.auth.secret_file" };
        Ok(Self(first_line(path, holder)?))
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
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

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
            assert!(matches!(error, SecretFileError::Empty { .. }), "{error}");
        }
        let missing = RelaySecret::read(Path::new("/nonexistent/relay.secret")).unwrap_err();
        assert!(missing.to_string().contains("relay.auth.secret_file"));
    }
}
