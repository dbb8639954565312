//! `list`: phrases side by side.

use serde_json::Value;

use crate::render::language::Language;

/// `{{list phrases}}`: "a, b and c"; `{{list phrases "or"}}` with another last word. Spanish `y` and
/// `o` become `e` and `u` before their own sound.
pub(super) fn list(language: Language, values: &[&Value]) -> Result<String, String> {
    const USAGE: &str =
        "expects a list of phrases that is not empty, and another word for `and` after it";
    let (items, word) = match values {
        [Value::Array(items)] => (items, language.and()),
        [Value::Array(items), Value::String(word)] => (items, Some(word.as_str())),
        _ => return Err(USAGE.to_owned()),
    };
    let phrases: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
    match (phrases.as_deref(), word) {
        (None | Some([]), _) => Err(USAGE.to_owned()),
        (Some([only]), _) => Ok((*only).to_owned()),
        (Some(all), None) => Ok(all.join(", ")),
        (Some([first @ .., last]), Some(word)) => {
            let word = if language == Language::Spanish { before(word, last) } else { word };
            Ok(format!("{} {word} {last}", first.join(", ")))
        }
    }
}

/// Spanish: `e` for `y` before the sound i ("e hijos", but "y hielo"), `u` for `o` before o.
fn before<'w>(word: &'w str, next: &str) -> &'w str {
    let next = next.to_lowercase();
    let sound = next.strip_prefix('h').unwrap_or(&next);
    let mut letters = sound.chars();
    let first = letters.next();
    let is_glide = first == Some('i') && letters.next().is_some_and(|c| "aáeéoóuú".contains(c));
    match (word, first) {
        ("y", Some('i' | 'í')) if !is_glide => "e",
        ("o", Some('o' | 'ó')) => "u",
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::say;
    use super::*;

    #[test]
    fn a_list_ends_with_the_word_of_its_language() {
        for (language, expected) in [
            (Language::English, "a, b and c"),
            (Language::French, "a, b et c"),
            (Language::German, "a, b und c"),
            (Language::Spanish, "a, b y c"),
            (Language::Portuguese, "a, b e c"),
            (Language::Other, "a, b, c"),
        ] {
            let said = say(list, language, &[json!(["a", "b", "c"])]);
            assert_eq!(said.as_deref(), Ok(expected));
            assert_eq!(say(list, language, &[json!(["a"])]).as_deref(), Ok("a"));
        }
        let said = say(list, Language::Other, &[json!(["a", "b"]), json!("ja")]);
        assert_eq!(said.as_deref(), Ok("a ja b"));
    }

    #[test]
    fn spanish_avoids_two_equal_sounds_in_a_row() {
        for (last, expected) in [
            ("nombre", "a y nombre"),
            ("identificador", "a e identificador"),
            ("historial", "a e historial"),
            ("Índice", "a e Índice"),
            ("hielo", "a y hielo"),
            ("huella", "a y huella"),
        ] {
            assert_eq!(
                say(list, Language::Spanish, &[json!(["a", last])]).as_deref(),
                Ok(expected)
            );
        }
        for (last, expected) in [("b", "a o b"), ("otro", "a u otro"), ("hora", "a u hora")] {
            let said = say(list, Language::Spanish, &[json!(["a", last]), json!("o")]);
            assert_eq!(said.as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_no_list_of_phrases_is_refused() {
        for bad in [json!([]), json!(["a", 1]), json!("a")] {
            assert!(say(list, Language::English, std::slice::from_ref(&bad)).is_err(), "{bad}");
        }
    }
}
