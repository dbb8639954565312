//! The key that we and a company's own endpoint share, and the MAC by which each knows what the other
//! wrote (`docs/directories.md`, HTTP). It must not know HTTP.

use std::fmt;
use std::path::Path;

use zeroize::Zeroizing;

use super::digest::{equal_in_constant_time, hmac_sha256};
use super::secret_file::{Holder, SecretFileError, first_line};

/// The fewest octets of a key: whoever sees a signed message could try shorter ones.
const SHORTEST: usize = 32;

/// Why the shared key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WebhookKeyError {
    /// Its file.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// It could be guessed.
    #[error(
        "the key named by `{key}` has fewer than {SHORTEST} characters; hint: \
         `openssl rand -hex 32` makes one"
    )]
    Short {
        /// The key that names the file.
        key: &'static str,
    },
}

/// The shared key; wiped when dropped, never shown.
#[derive(Clone)]
pub struct WebhookKey(Zeroizing<String>);

impl WebhookKey {
    /// Reads the first line of a file that only its owner may use; `key` names the file in the
    /// settings.
    pub fn read(path: &Path, key: &'static str) -> Result<Self, WebhookKeyError> {
        let text = first_line(path, Holder { peer: "endpoint", key })?;
        if text.len() < SHORTEST { Err(WebhookKeyError::Short { key }) } else { Ok(Self(text)) }
    }

    /// The MAC of a message's parts, each but the last ended by a dot, in hex. None of those may hold a
    /// dot itself.
    pub fn sign(&self, before: &[&str], body: &[u8]) -> String {
        let mut parts: Vec<&[u8]> = Vec::with_capacity(before.len() * 2 + 1);
        for part in before {
            debug_assert!(!part.contains('.'), "a dot ends a part");
            parts.extend([part.as_bytes(), b"."]);
        }
        parts.push(body);
        hmac_sha256(self.0.as_bytes(), &parts).to_string()
    }

    /// Whether `mac` is that of these parts; compared in constant time.
    pub fn verify(&self, before: &[&str], body: &[u8], mac: &str) -> bool {
        equal_in_constant_time(self.sign(before, body).as_bytes(), mac.as_bytes())
    }
}

/// A message's signature as its header says it.
pub fn signature(at: &str, mac: &str) -> String {
    format!("t={at},v1={mac}")
}

/// The instant, in seconds as written, and the MAC of a header that says a signature.
pub fn signed_parts(header: &str) -> Option<(&str, &str)> {
    let (at, mac) = header.strip_prefix("t=")?.split_once(",v1=")?;
    let is_instant = (1..=12).contains(&at.len()) && at.bytes().all(|byte| byte.is_ascii_digit());
    is_instant.then_some((at, mac))
}

impl fmt::Debug for WebhookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn read(text: &str) -> Result<WebhookKey, WebhookKeyError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        std::fs::set_permissions(file.path(), Permissions::from_mode(0o600)).unwrap();
        WebhookKey::read(file.path(), "directory.http.key_file")
    }

    #[test]
    fn what_is_signed_is_the_parts_with_dots_between() {
        let key = read("0123456789abcdef0123456789abcdef\n").unwrap();
        let whole = hmac_sha256(b"0123456789abcdef0123456789abcdef", &[b"1700000000.{\"verb\":1}"]);
        assert_eq!(key.sign(&["1700000000"], b"{\"verb\":1}"), whole.to_string());
        assert!(key.verify(&["17", "ab"], b"x", &key.sign(&["17", "ab"], b"x")));
        assert!(!key.verify(&["17", "ac"], b"x", &key.sign(&["17", "ab"], b"x")));
        assert!(!key.verify(&["17"], b"x", ""));
    }

    #[test]
    fn a_header_says_when_and_by_which_mac() {
        assert_eq!(signed_parts(&signature("17", "ab")), Some(("17", "ab")));
        for wrong in ["", "t=17", "v1=ab,t=17", "t=,v1=ab", "t=1.7,v1=ab", "t=-17,v1=ab"] {
            assert_eq!(signed_parts(wrong), None, "{wrong}");
        }
        assert_eq!(signed_parts(&format!("t={},v1=ab", "1".repeat(13))), None);
    }

    #[test]
    fn a_key_that_could_be_guessed_is_refused_and_none_is_shown() {
        let error = read("hunter2").unwrap_err().to_string();
        assert!(error.contains("directory.http.key_file") && error.contains("hint: "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let key = read("0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(format!("{key:?}"), "WebhookKey(redacted)");
    }
}
