//! `date`: an instant or a day as a language writes it.

use std::fmt::Write as _;

use jiff::Zoned;
use jiff::civil::Date;
use serde_json::Value;

use crate::domain::zoned::ZonedInstant;
use crate::render::language::{Language, NO_BREAK};

/// `{{date instant}}`: "21 August 2018, 22:58 (BST, UTC+01:00)", « 21 août 2018 à 22 h 58 (UTC+01:00) »;
/// `{{date day}}`: "21 August 2018"; `{{date instant "iso"}}`:
/// "2018-08-21 22:58 (Europe/London, UTC+01:00)", for every language.
pub(in crate::render) fn date(language: Language, values: &[&Value]) -> Result<String, String> {
    const USAGE: &str =
        "expects an instant or a day that is there, and \"iso\" after it for numbers only";
    let (text, numbers_only) = match values {
        [Value::String(text)] => (text, false),
        [Value::String(text), Value::String(style)] if style == "iso" => (text, true),
        _ => return Err(USAGE.to_owned()),
    };
    if text.is_empty() {
        return Err(USAGE.to_owned());
    }
    let language = if numbers_only { Language::Other } else { language };
    if let Some(day) = text.parse::<Date>().ok().filter(|day| day.to_string() == *text) {
        return Ok(written_day(language, day));
    }
    let instant: ZonedInstant = text.parse().map_err(|error| format!("{USAGE}: {error}"))?;
    Ok(written(language, instant.zoned()))
}

/// An instant with its clock and zone.
pub(in crate::render) fn written(language: Language, zoned: &Zoned) -> String {
    let day = written_day(language, zoned.date());
    let clock = written_clock(language, zoned);
    let joint = match language {
        Language::French => " à ",
        Language::Other => " ",
        _ => ", ",
    };
    format!("{day}{joint}{clock} ({})", written_zone(language, zoned))
}

/// A day alone.
pub(in crate::render) fn written_day(language: Language, day: Date) -> String {
    let Some(month) = language.month(day.month()) else {
        return day.to_string();
    };
    let (number, year) = (day.day(), day.year());
    match language {
        Language::French if number == 1 => format!("1er{NO_BREAK}{month} {year}"),
        Language::German => format!("{number}.{NO_BREAK}{month} {year}"),
        Language::Spanish | Language::Portuguese => {
            format!("{number}{NO_BREAK}de {month} de {year}")
        }
        _ => format!("{number}{NO_BREAK}{month} {year}"),
    }
}

/// Seconds are told only where there are some.
fn written_clock(language: Language, zoned: &Zoned) -> String {
    let (hour, minute, second) = (zoned.hour(), zoned.minute(), zoned.second());
    let (mut clock, seconds) = match language {
        Language::French => (
            format!("{hour}{NO_BREAK}h{NO_BREAK}{minute:02}"),
            format!("{NO_BREAK}min{NO_BREAK}{second:02}{NO_BREAK}s"),
        ),
        Language::Portuguese => (format!("{hour}h{minute:02}"), format!("min{second:02}s")),
        Language::Spanish => (format!("{hour}:{minute:02}"), format!(":{second:02}")),
        _ => (format!("{hour:02}:{minute:02}"), format!(":{second:02}")),
    };
    if second != 0 {
        clock.push_str(&seconds);
    }
    if language == Language::German {
        let _ = write!(clock, "{NO_BREAK}Uhr");
    }
    clock
}

/// The offset; before it the letters English readers say, or the zone's name among numbers. Letters
/// such as `BST` mean nothing in the other languages.
fn written_zone(language: Language, zoned: &Zoned) -> String {
    let name = || zoned.time_zone().iana_name().unwrap_or_default().to_owned();
    let zone = match language {
        Language::English => {
            let letters = zoned.strftime("%Z").to_string();
            let is_said = letters.starts_with(|c: char| c.is_ascii_alphabetic());
            if is_said { letters } else { name() }
        }
        Language::Other => name(),
        _ => String::new(),
    };
    let offset = if zoned.offset().is_zero() {
        String::new()
    } else {
        zoned.strftime("%:z").to_string().replace('-', "\u{2212}")
    };
    match zone.as_str() {
        "" => format!("UTC{offset}"),
        "UTC" if offset.is_empty() => zone,
        _ => format!("{zone}, UTC{offset}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::say;
    use super::*;

    /// With plain spaces, for reading.
    fn said(language: Language, instant: &str) -> String {
        say(date, language, &[json!(instant)]).unwrap().replace(NO_BREAK, " ")
    }

    #[test]
    fn a_date_is_printed_in_the_incidents_zone_with_its_offset() {
        let cases = [
            ("2018-08-21T22:58[Europe/London]", "21 August 2018, 22:58 (BST, UTC+01:00)"),
            ("2018-12-01T09:05[Europe/London]", "1 December 2018, 09:05 (GMT, UTC)"),
            ("2018-06-05T00:00[UTC]", "5 June 2018, 00:00 (UTC)"),
            ("2018-06-05T00:00:07[America/New_York]", "5 June 2018, 00:00:07 (EDT, UTC−04:00)"),
            (
                "2018-06-05T10:00[Europe/Istanbul]",
                "5 June 2018, 10:00 (Europe/Istanbul, UTC+03:00)",
            ),
            ("2018-06-05T10:00[+05:30]", "5 June 2018, 10:00 (UTC+05:30)"),
        ];
        for (instant, expected) in cases {
            assert_eq!(said(Language::English, instant), expected);
        }
    }

    #[test]
    fn each_language_writes_the_same_instant_its_own_way() {
        let instant = "2012-01-15T18:00[America/Los_Angeles]";
        for (language, expected) in [
            (Language::English, "15 January 2012, 18:00 (PST, UTC−08:00)"),
            (Language::French, "15 janvier 2012 à 18 h 00 (UTC−08:00)"),
            (Language::German, "15. Januar 2012, 18:00 Uhr (UTC−08:00)"),
            (Language::Spanish, "15 de enero de 2012, 18:00 (UTC−08:00)"),
            (Language::Portuguese, "15 de janeiro de 2012, 18h00 (UTC−08:00)"),
            (Language::Other, "2012-01-15 18:00 (America/Los_Angeles, UTC−08:00)"),
        ] {
            assert_eq!(said(language, instant), expected);
        }
        let early = "2012-03-01T07:05:09[UTC]";
        for (language, expected) in [
            (Language::French, "1er mars 2012 à 7 h 05 min 09 s (UTC)"),
            (Language::German, "1. März 2012, 07:05:09 Uhr (UTC)"),
            (Language::Spanish, "1 de marzo de 2012, 7:05:09 (UTC)"),
            (Language::Portuguese, "1 de março de 2012, 7h05min09s (UTC)"),
            (Language::Other, "2012-03-01 07:05:09 (UTC)"),
        ] {
            assert_eq!(said(language, early), expected);
        }
    }

    #[test]
    fn every_month_has_its_name_in_every_language() {
        for language in [
            Language::English,
            Language::French,
            Language::German,
            Language::Spanish,
            Language::Portuguese,
        ] {
            let names: std::collections::BTreeSet<_> =
                (1..=12).map(|number| language.month(number).unwrap()).collect();
            assert_eq!(names.len(), 12);
            assert!(language.month(0).is_none() && language.month(13).is_none());
            let last = said(language, "2018-12-21");
            assert!(last.contains(language.month(12).unwrap()), "{last}");
        }
    }

    #[test]
    fn a_day_has_no_time_and_no_zone() {
        assert_eq!(said(Language::English, "2018-08-21"), "21 August 2018");
        assert_eq!(said(Language::French, "2018-08-01"), "1er août 2018");
        assert_eq!(said(Language::German, "2018-08-21"), "21. August 2018");
        assert_eq!(said(Language::Spanish, "2018-08-21"), "21 de agosto de 2018");
        assert_eq!(said(Language::Other, "2018-08-21"), "2018-08-21");
    }

    #[test]
    fn every_language_can_have_a_date_of_numbers() {
        let values = [json!("2018-08-21T22:58[Europe/London]"), json!("iso")];
        let said = say(date, Language::French, &values).unwrap();
        assert_eq!(said, "2018-08-21 22:58 (Europe/London, UTC+01:00)");
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for bad in [json!("yesterday"), json!(7), json!(""), json!("2018-08-21T22:58")] {
            assert!(say(date, Language::English, std::slice::from_ref(&bad)).is_err(), "{bad}");
        }
    }
}
