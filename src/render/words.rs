//! The words templates may use: `date`, `list`, `count` and `length`.
//!
//! Plain functions from JSON values to a phrase, shared by the lint and by handlebars, so that what
//! passes at plan can't fail when sent. English by default; other locales pass their own words.

use std::fmt::Write as _;

use handlebars::{
    Context, Handlebars, Helper, HelperDef, RenderContext, RenderError, RenderErrorReason,
    ScopedJson,
};
use serde_json::Value;

use crate::domain::duration::HumanDuration;
use crate::domain::zoned::ZonedInstant;

type Word = fn(&[&Value]) -> Result<String, String>;

const WORDS: [(&str, Word); 4] =
    [("date", date), ("list", list), ("count", count), ("length", length)];

/// The word a template calls `name`.
pub(super) fn find(name: &str) -> Option<Word> {
    WORDS.iter().find(|(known, _)| *known == name).map(|(_, word)| *word)
}

/// Makes every word known to a registry.
pub(super) fn register(registry: &mut Handlebars<'_>) {
    for (name, word) in WORDS {
        registry.register_helper(name, Box::new(Spoken { name, word }));
    }
}

struct Spoken {
    name: &'static str,
    word: Word,
}

impl HelperDef for Spoken {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        if helper.params().iter().any(handlebars::PathAndJson::is_value_missing) {
            return Err(RenderErrorReason::MissingVariable(Some(self.name.to_owned())).into());
        }
        let values: Vec<&Value> =
            helper.params().iter().map(handlebars::PathAndJson::value).collect();
        (self.word)(&values).map(|phrase| ScopedJson::Derived(Value::String(phrase))).map_err(
            |message| RenderErrorReason::Other(format!("`{}` {message}", self.name)).into(),
        )
    }
}

/// `{{date instant}}`: "21 August 2018, 22:58 (BST, UTC+01:00)";
/// `{{date instant "iso"}}`: "2018-08-21 22:58 (Europe/London, UTC+01:00)", for every language.
fn date(values: &[&Value]) -> Result<String, String> {
    const USAGE: &str = "expects an instant, and \"iso\" after it for numbers only";
    let (text, numbers_only) = match values {
        [Value::String(text)] => (text, false),
        [Value::String(text), Value::String(style)] if style == "iso" => (text, true),
        _ => return Err(USAGE.to_owned()),
    };
    let instant: ZonedInstant = text.parse().map_err(|error| format!("{USAGE}: {error}"))?;
    let zoned = instant.zoned();
    let clock = if zoned.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    let (day, zone) = if numbers_only {
        (
            zoned.strftime("%Y-%m-%d ").to_string(),
            zoned.time_zone().iana_name().unwrap_or_default().to_owned(),
        )
    } else {
        (zoned.strftime("%-d %B %Y, ").to_string(), zone_name(&instant))
    };
    let mut phrase = format!("{day}{} (", zoned.strftime(clock));
    let offset = zoned.offset();
    match (zone.as_str(), offset.is_zero()) {
        ("UTC" | "", true) => phrase.push_str("UTC"),
        (zone, zero) => {
            if !zone.is_empty() {
                phrase.extend([zone, ", "]);
            }
            phrase.push_str("UTC");
            if !zero {
                let _ = write!(phrase, "{}", zoned.strftime("%:z"));
            }
        }
    }
    phrase.push(')');
    Ok(phrase)
}

/// The zone's letters, or its full name where it has none that people say ("+03").
fn zone_name(instant: &ZonedInstant) -> String {
    let zoned = instant.zoned();
    let letters = zoned.strftime("%Z").to_string();
    if letters.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return letters;
    }
    zoned.time_zone().iana_name().unwrap_or_default().to_owned()
}

/// `{{list phrases}}`: "a, b and c"; `{{list phrases "or"}}` with another last word.
fn list(values: &[&Value]) -> Result<String, String> {
    const USAGE: &str =
        "expects a list of phrases that is not empty, and another word for `and` after it";
    let (items, last_word) = match values {
        [Value::Array(items)] => (items, "and"),
        [Value::Array(items), Value::String(word)] => (items, word.as_str()),
        _ => return Err(USAGE.to_owned()),
    };
    let phrases: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
    match phrases.as_deref() {
        None | Some([]) => Err(USAGE.to_owned()),
        Some([only]) => Ok((*only).to_owned()),
        Some([first @ .., last]) => Ok(format!("{} {last_word} {last}", first.join(", "))),
    }
}

/// `{{count number}}`: "1,234"; `{{count number "."}}` with another mark between thousands.
fn count(values: &[&Value]) -> Result<String, String> {
    const USAGE: &str =
        "expects a whole number that is not negative, and another mark for `,` after it";
    let (number, mark) = match values {
        [number] => (number, ","),
        [number, Value::String(mark)] => (number, mark.as_str()),
        _ => return Err(USAGE.to_owned()),
    };
    let digits = number.as_u64().ok_or(USAGE)?.to_string();
    let mut phrase = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            phrase.push_str(mark);
        }
        phrase.push(digit);
    }
    Ok(phrase)
}

/// `{{length time}}`: "24 hours"; in another language with its six words after it, one and many
/// of minute, hour and day. Up to two days are told in hours: people plan by them.
fn length(values: &[&Value]) -> Result<String, String> {
    const USAGE: &str = "expects a length of whole minutes such as `24h`, and six words after it (minute, minutes, hour, hours, day, days) for another language";
    const ENGLISH: [&str; 6] = ["minute", "minutes", "hour", "hours", "day", "days"];
    let Some((Value::String(text), words)) = values.split_first() else {
        return Err(USAGE.to_owned());
    };
    let given: Option<Vec<&str>> = words.iter().map(|word| word.as_str()).collect();
    let words = match given.as_deref() {
        Some([]) => ENGLISH.as_slice(),
        Some(six @ [_, _, _, _, _, _]) => six,
        _ => return Err(USAGE.to_owned()),
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
    Ok(format!("{number} {}", words[unit + usize::from(number != 1)]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn say(word: Word, values: &[Value]) -> Result<String, String> {
        word(&values.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_date_is_printed_in_the_incidents_zone_with_its_offset() {
        let cases = [
            ("2018-08-21T22:58[Europe/London]", "21 August 2018, 22:58 (BST, UTC+01:00)"),
            ("2018-12-01T09:05[Europe/London]", "1 December 2018, 09:05 (GMT, UTC)"),
            ("2018-06-05T00:00[UTC]", "5 June 2018, 00:00 (UTC)"),
            ("2018-06-05T00:00:07[America/New_York]", "5 June 2018, 00:00:07 (EDT, UTC-04:00)"),
            (
                "2018-06-05T10:00[Europe/Istanbul]",
                "5 June 2018, 10:00 (Europe/Istanbul, UTC+03:00)",
            ),
            ("2018-06-05T10:00[+05:30]", "5 June 2018, 10:00 (UTC+05:30)"),
        ];
        for (instant, expected) in cases {
            assert_eq!(say(date, &[json!(instant)]).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn other_languages_can_have_a_date_of_numbers() {
        let said = say(date, &[json!("2018-08-21T22:58[Europe/London]"), json!("iso")]);
        assert_eq!(said.as_deref(), Ok("2018-08-21 22:58 (Europe/London, UTC+01:00)"));
    }

    #[test]
    fn a_list_ends_with_its_last_word() {
        assert_eq!(say(list, &[json!(["a"])]).as_deref(), Ok("a"));
        assert_eq!(say(list, &[json!(["a", "b"])]).as_deref(), Ok("a and b"));
        assert_eq!(
            say(list, &[json!(["a", "b", "c"]), json!("oder")]).as_deref(),
            Ok("a, b oder c")
        );
    }

    #[test]
    fn thousands_are_parted() {
        for (number, expected) in
            [(0, "0"), (999, "999"), (1234, "1,234"), (24_000_000, "24,000,000")]
        {
            assert_eq!(say(count, &[json!(number)]).as_deref(), Ok(expected));
        }
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
            assert_eq!(say(length, &[json!(text)]).as_deref(), Ok(expected), "{text}");
        }
        let mut german = vec![json!("1h")];
        german.extend(["Minute", "Minuten", "Stunde", "Stunden", "Tag", "Tage"].map(|w| json!(w)));
        assert_eq!(say(length, &german).as_deref(), Ok("1 Stunde"));
    }

    #[test]
    fn a_word_refuses_what_it_cannot_say() {
        for bad in [json!(""), json!("0s"), json!("90s"), json!("soon"), json!(24)] {
            assert!(say(length, std::slice::from_ref(&bad)).is_err(), "{bad}");
        }
        assert!(say(length, &[json!("1h"), json!("Stunde")]).is_err());
        assert!(say(date, &[json!("yesterday")]).is_err());
        assert!(say(date, &[json!(7)]).is_err());
        assert!(say(list, &[json!([])]).is_err());
        assert!(say(list, &[json!(["a", 1])]).is_err());
        assert!(say(count, &[json!(-1)]).is_err());
        assert!(say(count, &[]).is_err());
    }
}
