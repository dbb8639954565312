//! The error that all small settings of the sink share. Knows none of them.

/// Why the text of a setting was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {found:?} does not fit; hint: {hint}")]
pub struct SettingError {
    /// Which setting.
    pub what: &'static str,
    /// What stood there.
    pub found: String,
    /// What to write instead.
    pub hint: &'static str,
}

impl SettingError {
    pub(super) fn new(what: &'static str, found: &str, hint: &'static str) -> Self {
        Self { what, found: found.to_owned(), hint }
    }
}
