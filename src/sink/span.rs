//! Lengths of time in rules and settings of the sink: `250ms`, `2s`, `5m`. Pure.

use std::time::Duration;

use crate::domain::duration::HumanDuration;

/// What to write for a length of time.
pub(super) const SPAN_HINT: &str = "write a whole number and its unit, as in 250ms, 2s or 5m";

/// Reads a whole number of `ms`, `s`, `m`, `h` or `d`.
pub(super) fn span(text: &str) -> Option<Duration> {
    match text.strip_suffix("ms") {
        Some(number) if number.bytes().all(|octet| octet.is_ascii_digit()) => {
            number.parse().ok().map(Duration::from_millis)
        }
        Some(_) => None,
        None => text.parse::<HumanDuration>().ok().map(HumanDuration::unsigned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_one_number_and_one_unit() {
        for (text, read) in [
            ("250ms", Some(Duration::from_millis(250))),
            ("2s", Some(Duration::from_secs(2))),
            ("5m", Some(Duration::from_mins(5))),
            ("2", None),
            ("ms", None),
            ("-1ms", None),
            ("1.5s", None),
            ("", None),
        ] {
            assert_eq!(span(text), read, "{text}");
        }
    }
}
