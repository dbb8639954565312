//! Lengths of time as people write them in files: `90s`, `30m`, `3h`, `5d`.
//!
//! One number and one unit, nothing else: a file that says `1h30` or `0.5d` is refused rather than
//! guessed at. A day is always 24 hours here.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The units a length may be written in, with their seconds, largest first.
const UNITS: [(char, i64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// A length of time of zero or more, read from and written as `30m`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(SignedDuration);

/// Why a text is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationFault {
    /// The text does not start with a whole number.
    #[error("`{0}` has no whole number before its unit; hint: write it as `30m`")]
    Number(String),
    /// The text does not end in one of the known units.
    #[error("`{0}` has no unit of s, m, h or d; hint: write it as `30m`")]
    Unit(String),
    /// The length does not fit the clock.
    #[error("`{0}` is too long; hint: a few days, such as `5d`")]
    TooLong(String),
}

impl HumanDuration {
    /// A length of whole seconds.
    pub const fn from_secs(seconds: u32) -> Self {
        Self(SignedDuration::from_secs(seconds as i64))
    }

    /// A length of milliseconds: only for code, files have no unit below the second.
    pub const fn from_millis(milliseconds: u32) -> Self {
        Self(SignedDuration::from_millis(milliseconds as i64))
    }

    /// The length for arithmetic on instants.
    pub const fn signed(self) -> SignedDuration {
        self.0
    }

    /// The length for monotonic waits.
    pub fn unsigned(self) -> Duration {
        self.0.unsigned_abs()
    }

    /// Whether the length is nothing at all.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl FromStr for HumanDuration {
    type Err = DurationFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unit = text.chars().next_back().filter(|last| !last.is_ascii_digit());
        let Some(unit) = unit else {
            return Err(DurationFault::Unit(text.into()));
        };
        let Some((_, seconds)) = UNITS.iter().find(|(known, _)| *known == unit) else {
            return Err(DurationFault::Unit(text.into()));
        };
        let number = &text[..text.len() - unit.len_utf8()];
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(DurationFault::Number(text.into()));
        }
        number
            .parse::<u32>()
            .ok()
            .and_then(|count| i64::from(count).checked_mul(*seconds))
            .map(|total| Self(SignedDuration::from_secs(total)))
            .ok_or_else(|| DurationFault::TooLong(text.into()))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.subsec_nanos() != 0 {
            return write!(f, "{}ms", self.0.as_millis());
        }
        let total = self.0.as_secs();
        let fits = UNITS.iter().find(|(_, seconds)| total != 0 && total % seconds == 0);
        let (unit, seconds) = fits.copied().unwrap_or(('s', 1));
        write!(f, "{}{unit}", total / seconds)
    }
}

impl fmt::Debug for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_and_one_unit_make_a_length() {
        for (text, seconds) in
            [("0s", 0), ("90s", 90), ("30m", 1800), ("3h", 10_800), ("5d", 432_000)]
        {
            let length: HumanDuration = text.parse().unwrap();
            assert_eq!(length.signed().as_secs(), seconds, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_text_in_the_message() {
        for text in ["", "5", "m", "-5m", "+5m", "1.5h", "1h30m", "5 m", "5w", "٥m", "5µ"] {
            let fault = text.parse::<HumanDuration>().unwrap_err();
            assert!(fault.to_string().contains(&format!("`{text}`")), "{fault}");
        }
        let fault = "99999999999d".parse::<HumanDuration>().unwrap_err();
        assert_eq!(fault, DurationFault::TooLong("99999999999d".into()));
    }

    #[test]
    fn a_length_is_printed_in_its_largest_whole_unit_and_reads_back() {
        for text in ["45s", "90m", "3h", "5d", "0s"] {
            let length: HumanDuration = text.parse().unwrap();
            assert_eq!(length.to_string(), text);
        }
        assert_eq!("3600s".parse::<HumanDuration>().unwrap().to_string(), "1h");
    }
}
