//! Which boot of the machine this is: marks that were never fsynced are whole only within it.

use std::fmt;
use std::str::FromStr;

/// Length of a boot id as text: a hyphenated UUID.
pub(super) const BOOT_ID_LEN: usize = 36;

/// One boot of one machine, as the kernel names it (36 characters).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BootId([u8; BOOT_ID_LEN]);

/// A text that is no boot id, or one that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BootIdError {
    /// The kernel's file could not be read.
    #[error("reading {path}; hint: the wire journal needs /proc mounted")]
    Read {
        /// The kernel's file.
        path: &'static str,
        /// Why it could not be read.
        #[source]
        source: std::io::Error,
    },
    /// The text has another shape than a hyphenated UUID.
    #[error("a boot id is 36 characters of hexadecimal digits and hyphens")]
    Shape,
}

impl BootId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        // `parse` admits ASCII only
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> &[u8; BOOT_ID_LEN] {
        &self.0
    }

    pub(super) fn from_bytes(bytes: [u8; BOOT_ID_LEN]) -> Option<Self> {
        let plain = bytes.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-');
        plain.then_some(Self(bytes))
    }
}

impl FromStr for BootId {
    type Err = BootIdError;

    fn from_str(text: &str) -> Result<Self, BootIdError> {
        let bytes = text.trim().as_bytes().try_into().map_err(|_| BootIdError::Shape)?;
        Self::from_bytes(bytes).ok_or(BootIdError::Shape)
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootId({self})")
    }
}

/// The boot this process runs in, from the kernel.
pub fn boot_id() -> Result<BootId, BootIdError> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text =
        std::fs::read_to_string(path).map_err(|source| BootIdError::Read { path, source })?;
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_boot_id_is_read_and_stays_the_same() {
        let first = boot_id().unwrap();
        assert_eq!(first, boot_id().unwrap());
        assert_eq!(first.as_str().parse::<BootId>().unwrap(), first);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "b7", &"x".repeat(36), &"0".repeat(37)] {
            assert!(text.parse::<BootId>().is_err(), "{text:?}");
        }
    }
}
