//! `number`, `count` and `plural`: decimals, how many, and how many of what.

use serde_json::Value;

use crate::render::language::{Language, NO_BREAK};

/// `{{number person.fields.total}}`: a decimal written with a point, as merge fields hold it, in the
/// language's own form: "1,234.50", "1.234,50".
pub(super) fn number(language: Language, values: &[&Value]) -> Result<String, String> {
    const USAGE: &str = "expects a decimal number such as `-1234.50` that is there";
    let [value] = values else { return Err(USAGE.to_owned()) };
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return Err(USAGE.to_owned()),
    };
    let (sign, unsigned) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("−", rest));
    let (whole, fraction) =
        unsigned.split_once('.').map_or((unsigned, None), |(a, b)| (a, Some(b)));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !fraction.is_none_or(is_digits) {
        return Err(USAGE.to_owned());
    }
    let mut phrase = format!("{sign}{}", grouped(language, whole));
    if let Some(fraction) = fraction {
        phrase.push(language.decimal());
        phrase.push_str(fraction);
    }
    Ok(phrase)
}

/// `{{count number}}`: "1,234"; `{{count number "."}}` with another mark between thousands.
pub(super) fn count(language: Language, values: &[&Value]) -> Result<String, String> {
    const USAGE: &str =
        "expects a whole number that is not negative, and another mark between thousands after it";
    let (number, mark) = match values {
        [number] => (number, None),
        [number, Value::String(mark)] => (number, Some(mark.as_str())),
        _ => return Err(USAGE.to_owned()),
    };
    let digits = number.as_u64().ok_or(USAGE)?.to_string();
    Ok(match mark {
        Some(mark) => parted(&digits, mark),
        None => grouped(language, &digits),
    })
}

/// `{{plural number "# account" "# accounts"}}`: the form the language takes for the number, with the
/// number in place of `#`.
pub(super) fn plural(language: Language, values: &[&Value]) -> Result<String, String> {
    const USAGE: &str = "expects a whole number that is not negative, then the words for one and for \
                         many, `#` where the number stands";
    let [number, Value::String(one), Value::String(many)] = values else {
        return Err(USAGE.to_owned());
    };
    let number = number.as_u64().ok_or(USAGE)?;
    let form = if language.is_one(number) { one } else { many };
    let digits = grouped(language, &number.to_string());
    Ok(form.replace("# ", &format!("{digits}{NO_BREAK}")).replace('#', &digits))
}

fn grouped(language: Language, digits: &str) -> String {
    let (mark, least) = language.thousands();
    if digits.len() < least { digits.to_owned() } else { parted(digits, &mark.to_string()) }
}

fn parted(digits: &str, mark: &str) -> String {
    let mut phrase = String::with_capacity(digits.len() + digits.len() / 3 * mark.len());
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            phrase.push_str(mark);
        }
        phrase.push(digit);
    }
    phrase
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::say;
    use super::*;

    #[test]
    fn thousands_are_parted_as_the_language_does() {
        for (language, thousand, millions) in [
            (Language::English, "1,234", "24,000,000"),
            (Language::French, "1\u{202f}234", "24\u{202f}000\u{202f}000"),
            (Language::German, "1.234", "24.000.000"),
            (Language::Spanish, "1234", "24.000.000"),
            (Language::Portuguese, "1.234", "24.000.000"),
        ] {
            let said = |number: u64| say(count, language, &[json!(number)]).unwrap();
            assert_eq!((said(0), said(999)), ("0".to_owned(), "999".to_owned()));
            assert_eq!((said(1_234), said(24_000_000)), (thousand.to_owned(), millions.to_owned()));
        }
        let said = say(count, Language::English, &[json!(1234), json!("'")]);
        assert_eq!(said.as_deref(), Ok("1'234"));
    }

    #[test]
    fn a_decimal_keeps_its_digits_and_changes_its_marks() {
        for (language, expected) in [
            (Language::English, "−1,234.50"),
            (Language::French, "−1\u{202f}234,50"),
            (Language::German, "−1.234,50"),
            (Language::Spanish, "−1234,50"),
            (Language::Portuguese, "−1.234,50"),
        ] {
            assert_eq!(say(number, language, &[json!("-1234.50")]).as_deref(), Ok(expected));
        }
        assert_eq!(say(number, Language::German, &[json!(7)]).as_deref(), Ok("7"));
    }

    #[test]
    fn a_plural_takes_the_form_of_its_number() {
        let accounts = |language, number: u64, forms: [&str; 2]| {
            say(plural, language, &[json!(number), json!(forms[0]), json!(forms[1])])
                .unwrap()
                .replace(NO_BREAK, " ")
        };
        let english = ["# account", "# accounts"];
        assert_eq!(accounts(Language::English, 1, english), "1 account");
        assert_eq!(accounts(Language::English, 0, english), "0 accounts");
        assert_eq!(accounts(Language::English, 1_200, english), "1,200 accounts");
        assert_eq!(accounts(Language::French, 0, ["# compte", "# comptes"]), "0 compte");
        assert_eq!(accounts(Language::German, 7, ["ein Konto", "# Konten"]), "7 Konten");
        assert_eq!(accounts(Language::German, 1, ["ein Konto", "# Konten"]), "ein Konto");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let refuses = |word, values: &[Value]| say(word, Language::English, values).is_err();
        for bad in [json!(-1), json!("1"), json!(1.5)] {
            assert!(refuses(count, std::slice::from_ref(&bad)), "{bad}");
        }
        for bad in [json!(""), json!("1e5"), json!(".5"), json!("5."), json!("1,5"), json!([1])] {
            assert!(refuses(number, std::slice::from_ref(&bad)), "{bad}");
        }
        assert!(refuses(count, &[]) && refuses(plural, &[json!(1), json!("#")]));
        assert!(refuses(plural, &[json!("1"), json!("#"), json!("#")]));
    }
}
