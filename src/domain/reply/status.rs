//! Enhanced status codes (RFC 3463), as they stand at the start of a reply's words.

use std::fmt;
use std::str::FromStr;

/// An enhanced status code, `class.subject.detail` (RFC 3463).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnhancedStatus {
    /// 2 success, 4 persistent transient failure, 5 permanent failure.
    pub class: u8,
    /// 1 address, 2 mailbox, 3 system, 4 network, 5 protocol, 6 content, 7 policy.
    pub subject: u16,
    /// What exactly, by subject.
    pub detail: u16,
}

/// A text that is no enhanced status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no enhanced status code (RFC 3463)")]
pub struct NoEnhancedStatus;

impl EnhancedStatus {
    /// Whether the code speaks of the recipient's address: X.1.*, but for 7 and 8, which blame the
    /// sender's.
    pub(super) fn speaks_of_recipient(self) -> bool {
        self.subject == 1 && !matches!(self.detail, 7 | 8)
    }

    /// Reads a word that is a status, in the dress some servers give it: `#5.1.0`, `(5.7.1)`,
    /// `(#5.1.1)`.
    pub(super) fn dressed(word: &str) -> Option<Self> {
        word.trim_matches(|c: char| "#()[]<>:;,".contains(c)).parse().ok()
    }
}

impl FromStr for EnhancedStatus {
    type Err = NoEnhancedStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.').map(|part| {
            let is_number =
                (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u16>().ok().filter(|_| is_number)
        });
        let mut next = || parts.next().flatten().ok_or(NoEnhancedStatus);
        let (class, subject, detail) = (next()?, next()?, next()?);
        let class = u8::try_from(class).map_err(|_| NoEnhancedStatus)?;
        if parts.next().is_some() || !matches!(class, 2 | 4 | 5) {
            return Err(NoEnhancedStatus);
        }
        Ok(Self { class, subject, detail })
    }
}

impl fmt::Display for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl fmt::Debug for EnhancedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_numbers_of_a_known_class_make_a_status() {
        for text in ["5.1", "5.1.1.1", "5..1", "5.1.1000", "a.b.c", "3.0.0", "+5.1.1", ""] {
            assert_eq!(text.parse::<EnhancedStatus>(), Err(NoEnhancedStatus), "{text}");
        }
        for text in ["#5.1.0", "(5.1.0)", "(#5.1.0)", "5.1.0:", "[5.1.0]", "5.1.0"] {
            let read = EnhancedStatus::dressed(text).map(|status| status.to_string());
            assert_eq!(read.as_deref(), Some("5.1.0"), "{text}");
        }
        assert_eq!(EnhancedStatus::dressed("192.0.2.1"), None);
    }
}
