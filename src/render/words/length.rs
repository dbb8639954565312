//! `length`: a length of time.

use serde_json::Value;

use crate::domain::duration::HumanDuration;
use crate::render::language::{Language, NO_BREAK};

/// `{{length time}}`: "24 hours"; where the language is none of the known ones, with its six words after
/// it, one and many of minute, hour and day. Up to two days are told in hours: people plan by them.
pub(super) fn length(language: Language, values: &[&Value]) -> Result<String, String> {
    const USAGE: &str = "expects a length of whole minutes such as `24h`, and six words after it (minute, minutes, hour, hours, day, days) in a language that is not known here";
    let Some((Value::String(text), words)) = values.split_first() else {
        return Err(USAGE.to_owned());
    };
    let given: Option<Vec<&str>> = words.iter().map(|word| word.as_str()).collect();
    let words: [&str; 6] = match given.as_deref() {
        Some([]) => language.lengths().ok_or(USAGE)?,
        Some(words) => words.try_into().map_err(|_| USAGE)?,
        None => return Err(USAGE.to_owned()),
    };
    let length: HumanDuration = text.parse().map_err(|error| format!("{USAGE}: {error}"))?;
    let minutes = match (length.signed().as_secs(), length.signed().as_secs() % 60) {
        (1.., 0) => length.signed().as_secs() / 60,
        _ => return Err(USAGE.to_owned()),
    };
    let (number, unit) = match minutes {
        days if days % (24 * 60) == 0 && days > 2 * 24 * 60 => (days / (24 * 60), 4),
        hours if hours % 60 == 0 => (hours / 60, 2),
        minutes => (minutes, 0),
    };
    Ok(format!("{number}{NO_BREAK}{}", words[unit + usize::from(number != 1)]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::say;
    use super::*;

    fn said(language: Language, text: &str) -> String {
        say(length, language, &[json!(text)]).unwrap().replace(NO_BREAK, " ")
    }

    #[test]
    fn a_length_is_told_in_the_unit_people_plan_by() {
        let cases = [
            ("24h", "24 hours"),
            ("1d", "24 hours"),
            ("2d", "48 hours"),
            ("3d", "3 days"),
            ("7d", "7 days"),
            ("1h", "1 hour"),
            ("1m", "1 minute"),
            ("90m", "90 minutes"),
            ("120s", "2 minutes"),
        ];
        for (text, expected) in cases {
            assert_eq!(said(Language::English, text), expected, "{text}");
        }
    }

    #[test]
    fn each_language_has_its_words_and_any_other_brings_them() {
        for (language, hour, days) in [
            (Language::French, "1 heure", "3 jours"),
            (Language::German, "1 Stunde", "3 Tage"),
            (Language::Spanish, "1 hora", "3 días"),
            (Language::Portuguese, "1 hora", "3 dias"),
        ] {
            assert_eq!((said(language, "1h"), said(language, "3d")), (hour.into(), days.into()));
        }
        let mut finnish = vec![json!("24h")];
        finnish.extend(
            ["minuutti", "minuuttia", "tunti", "tuntia", "päivä", "päivää"].map(|w| json!(w)),
        );
        let said = say(length, Language::Other, &finnish).unwrap();
        assert_eq!(said.replace(NO_BREAK, " "), "24 tuntia");
        assert!(say(length, Language::Other, &[json!("24h")]).is_err());
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for bad in [json!(""), json!("0s"), json!("90s"), json!("soon"), json!(24)] {
            assert!(say(length, Language::English, std::slice::from_ref(&bad)).is_err(), "{bad}");
        }
        assert!(say(length, Language::English, &[json!("1h"), json!("Stunde")]).is_err());
    }
}
