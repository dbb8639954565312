//! Instants as people write them in files: a date, a time and the zone they were read in.
//!
//! Owns [`ZonedInstant`] and its text form (`docs/protocol.md`, Time). Knows nothing of what the
//! instant stands for, and never asks what time it is now.

use std::fmt;
use std::str::FromStr;

use jiff::fmt::temporal::DateTimeParser;
use jiff::tz::Disambiguation;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A clock time that the zone's own rules do not settle is refused, not guessed: an exposure
/// window that is an hour off names the wrong people.
static PARSER: DateTimeParser = DateTimeParser::new().disambiguation(Disambiguation::Reject);

const EXAMPLE: &str = "2018-08-21T22:58[Europe/London]";

/// An instant that keeps the zone it was written in, so that a notice can print it as it was meant.
///
/// Two of them are equal when they are the same instant, whatever their zones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ZonedInstant(Zoned);

/// Why a text is no [`ZonedInstant`].
#[derive(Debug, thiserror::Error)]
pub enum ZonedError {
    /// A date and time, but nobody can say of which place.
    #[error("`{text}` has no time zone; hint: write it in brackets, as in `{EXAMPLE}`")]
    ZoneMissing {
        /// What was written.
        text: String,
    },
    /// A date without a clock time would silently mean midnight.
    #[error("`{text}` has no time of day; hint: write one, as in `{EXAMPLE}`")]
    TimeMissing {
        /// What was written.
        text: String,
    },
    /// No calendar, clock or zone knows it, or the clock showed that time twice or never.
    #[error(
        "`{text}` is not an instant ({source}); hint: write it as in `{EXAMPLE}`, with the offset where a clock change makes it ambiguous: `2018-10-28T01:30+01:00[Europe/London]`"
    )]
    Invalid {
        /// What was written.
        text: String,
        /// jiff's reason.
        #[source]
        source: jiff::Error,
    },
}

impl ZonedInstant {
    /// The instant itself, without its zone.
    pub fn timestamp(&self) -> Timestamp {
        self.0.timestamp()
    }

    /// Date, clock time, offset and zone, for formatting.
    pub fn zoned(&self) -> &Zoned {
        &self.0
    }
}

impl FromStr for ZonedInstant {
    type Err = ZonedError;

    fn from_str(text: &str) -> Result<Self, ZonedError> {
        let text = text.trim();
        let Some((clock, _zone)) = text.split_once('[') else {
            return Err(ZonedError::ZoneMissing { text: text.to_owned() });
        };
        if !clock.contains(['T', 't', ' ']) {
            return Err(ZonedError::TimeMissing { text: text.to_owned() });
        }
        PARSER
            .parse_zoned(text)
            .map(Self)
            .map_err(|source| ZonedError::Invalid { text: text.to_owned(), source })
    }
}

/// The canonical form: seconds and offset always written, `2018-08-21T22:58:00+01:00[Europe/London]`.
impl fmt::Display for ZonedInstant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for ZonedInstant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ZonedInstant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor)
    }
}

struct TextVisitor;

impl de::Visitor<'_> for TextVisitor {
    type Value = ZonedInstant;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an instant with its zone, in quotes: \"{EXAMPLE}\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<ZonedInstant, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ZonedInstant, ZonedError> {
        text.parse()
    }

    #[test]
    fn an_instant_without_seconds_keeps_its_zone() {
        let instant = parse("2018-08-21T22:58[Europe/London]").unwrap();
        assert_eq!(instant.to_string(), "2018-08-21T22:58:00+01:00[Europe/London]");
        assert_eq!(instant.timestamp().to_string(), "2018-08-21T21:58:00Z");
    }

    #[test]
    fn the_canonical_form_reads_back_as_itself() {
        for text in [
            "2018-08-21T22:58:07[Europe/London]",
            "2019-01-01T00:00[UTC]",
            "2019-01-01T00:00[+05:30]",
        ] {
            let first = parse(text).unwrap();
            let again = parse(&first.to_string()).unwrap();
            assert_eq!(first.to_string(), again.to_string());
        }
    }

    #[test]
    fn a_missing_zone_is_refused_with_an_example() {
        for text in ["2018-08-21T22:58", "2018-08-21T22:58Z", "2018-08-21T22:58+01:00"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, ZonedError::ZoneMissing { .. }), "{error}");
            assert!(error.to_string().contains("2018-08-21T22:58[Europe/London]"));
        }
    }

    #[test]
    fn a_date_without_a_time_of_day_is_refused() {
        assert!(matches!(parse("2018-08-21[Europe/London]"), Err(ZonedError::TimeMissing { .. })));
    }

    #[test]
    fn a_clock_time_that_happened_twice_needs_its_offset() {
        let error = parse("2018-10-28T01:30[Europe/London]").unwrap_err();
        assert!(matches!(error, ZonedError::Invalid { .. }), "{error}");
        let summer = parse("2018-10-28T01:30+01:00[Europe/London]").unwrap();
        let winter = parse("2018-10-28T01:30+00:00[Europe/London]").unwrap();
        assert!(summer < winter);
    }

    #[test]
    fn a_clock_time_that_never_was_and_an_unknown_zone_are_refused() {
        assert!(parse("2018-03-25T01:30[Europe/London]").is_err());
        assert!(parse("2018-08-21T22:58[Europe/Nowhere]").is_err());
        assert!(parse("2018-08-21T22:58+05:00[Europe/London]").is_err());
    }
}
