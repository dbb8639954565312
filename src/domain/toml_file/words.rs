//! The parser's and serde's words in plain ones.

use toml::de::DeValue;

use crate::domain::problem::nearest;

/// What an error means.
#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A key that nobody reads.
    Unknown {
        /// As written.
        key: String,
        /// What may stand there.
        known: Vec<String>,
    },
    /// A key that must be there.
    Missing(String),
    /// A table that is a choice holds none or several of its kinds.
    Choice,
    /// A value of the wrong type or out of range; what is wanted.
    Wanted(String),
    /// A word that is none of the known ones.
    Word {
        /// As written.
        word: String,
        /// What may stand there.
        known: Vec<String>,
    },
    /// Anything else, in the words of whoever refused it.
    Own(String),
}

/// Reads serde's and toml's words.
pub fn meaning(message: &str) -> Meaning {
    let message = message.trim();
    if let Some((key, known)) = named(message, "unknown field `") {
        return Meaning::Unknown { key, known };
    }
    if let Some((word, known)) = named(message, "unknown variant `") {
        return Meaning::Word { word, known };
    }
    if let Some(rest) = message.strip_prefix("missing field `") {
        return Meaning::Missing(rest.trim_end_matches('`').to_owned());
    }
    if message.contains("exactly 1 ele") || message.contains("exactly 1 entry") {
        return Meaning::Choice;
    }
    if message == "wanted string or table" {
        return Meaning::Wanted("a text in quotes".into());
    }
    for start in ["invalid type: ", "invalid value: ", "invalid length "] {
        let wanted = message.strip_prefix(start).and_then(|rest| rest.split_once(", expected "));
        if let Some((_, wanted)) = wanted {
            return Meaning::Wanted(kind(wanted));
        }
    }
    if message.ends_with("overflowed") {
        return Meaning::Wanted("a number that a computer can hold".into());
    }
    if message.starts_with("a ") || message.starts_with("an ") {
        return Meaning::Wanted(message.to_owned());
    }
    Meaning::Own(message.to_owned())
}

/// A word in backticks behind `start`, and the words in backticks after it.
fn named(message: &str, start: &str) -> Option<(String, Vec<String>)> {
    let rest = message.strip_prefix(start)?;
    let (word, rest) = match rest.split_once("`, expected ") {
        Some(parts) => parts,
        None => (rest.split_once('`')?.0, ""),
    };
    let known = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((word.to_owned(), known))
}

/// What serde calls a type.
fn kind(wanted: &str) -> String {
    let range = match wanted {
        "u8" => Some("from 0 to 255"),
        "u16" => Some("from 0 to 65535"),
        "u32" | "u64" | "u128" | "usize" => Some("of 0 or more"),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => Some(""),
        _ => None,
    };
    if let Some(range) = range {
        return format!("a whole number {range}").trim_end().to_owned();
    }
    match wanted {
        "f32" | "f64" => "a number",
        "a boolean" | "bool" => "true or false",
        "a string" | "a borrowed string" | "string" | "a char" | "a character" | "str" => {
            "a text in quotes"
        }
        "a sequence" | "sequence" => "a list in [brackets]",
        "a map" | "map" => "a section",
        other if other.starts_with("struct ") || other.starts_with("enum ") => "a section",
        other => other,
    }
    .to_owned()
}

/// What stands there, as people call it.
pub fn shown(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() <= 40 => format!("the text \"{text}\""),
        DeValue::String(_) => "a text".into(),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(is) => is.to_string(),
        DeValue::Datetime(_) => "a date without quotes".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a section".into(),
    }
}

/// What is wrong with the value of a key; `there` is what stands there, `so` how the example has it.
pub fn told(name: &str, there: &str, meaning: &Meaning, so: Option<&str>) -> String {
    let hint =
        |hint: Option<String>| hint.map(|hint| format!("; hint: {hint}")).unwrap_or_default();
    match meaning {
        Meaning::Wanted(wanted) => {
            let so = hint(so.map(|so| format!("such as `{so}`")));
            format!("`{name}` must be {wanted}, not {there}{so}")
        }
        Meaning::Word { word, known } => {
            format!("`{name}` can't be \"{word}\"{}", hint(known_words(word, known)))
        }
        Meaning::Unknown { key, known } => {
            format!("there is no key `{name}.{key}`{}", hint(known_words(key, known)))
        }
        Meaning::Choice => format!("`{name}` must hold exactly one of its sections"),
        Meaning::Missing(key) => format!("`{name}.{key}` is missing"),
        Meaning::Own(message) => sentence(name, message),
    }
}

/// A refusal in serde's words as one sentence in plain ones. `there` is the value refused.
pub fn plain_words(key: &str, there: &str, message: &str) -> String {
    told(key, there, &meaning(message), None)
}

/// The hint for a word that is none of the known ones.
pub fn known_words(word: &str, known: &[String]) -> Option<String> {
    if known.is_empty() {
        return None;
    }
    let near = nearest(word, known.iter().map(String::as_str));
    Some(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    })
}

/// A refusal with the key in front, as one sentence.
pub fn sentence(key: &str, message: &str) -> String {
    let message = hinted(message);
    let bare = key.rsplit('.').next().unwrap_or(key);
    let names_it = message.contains(&format!("`{key}`"))
        || message.contains(&format!("`{bare}`"))
        || (key.contains('.') && message.contains(key));
    if key.is_empty() || names_it {
        return message;
    }
    let verbs = ["is ", "must ", "holds ", "has ", "names ", "lies ", "ends ", "begins ", "can't "];
    if verbs.iter().any(|verb| message.starts_with(verb)) {
        format!("`{key}` {message}")
    } else {
        format!("`{key}`: {message}")
    }
}

/// Many refusals end with what to do after a semicolon; that is their hint.
fn hinted(message: &str) -> String {
    if message.contains("; hint: ") {
        return message.to_owned();
    }
    for order in ["; write ", "; say ", "; give "] {
        if let Some(at) = message.find(order) {
            return format!("{}; hint: {}", &message[..at], &message[at + 2..]);
        }
    }
    message.to_owned()
}

/// What the parser says of lines that it takes for a part of a list or table that was opened above.
pub const RUNS_ON: [&str; 4] = [
    "inline table element",
    "comma between key-value pairs",
    "comma between array elements",
    "`=` in array",
];

/// What the parser says of a line that is neither key nor section.
pub const PROSE: &str = "key with no value";

/// The parser's words for a text that is no TOML, and what to do.
pub fn syntax(message: &str) -> (String, &'static str) {
    if RUNS_ON.iter().any(|words| message.contains(words)) {
        let what = format!("this is no TOML: {message}");
        return (
            what,
            "a list ends with ], a table on one line with }: look at the lines above too",
        );
    }
    let hint = [
        (PROSE, "a line is `key = value`; a long text stands between \"\"\" and \"\"\""),
        ("must be quoted", "behind each `=` stands a value, texts in quotes"),
        ("duplicate", "keep one of them; a section may stand only once too, except [[lists]]"),
        ("multi-line", "a long text begins and ends with \"\"\""),
        ("string", "a text begins and ends with a quote on the same line, long ones with \"\"\""),
        ("value", "a line is `key = value`, texts in quotes"),
        ("array table", "an entry of a list is written as [[name]]"),
        ("table", "a section is written as [name], an entry of a list as [[name]]"),
        ("array", "a list is written as [\"a\", \"b\"]"),
        ("float", "a number has digits only; all else is a text and stands in quotes"),
        ("integer", "a number has digits only; all else is a text and stands in quotes"),
        ("inline", "a table on one line is written as { a = \"x\", b = 2 }"),
        ("date", "instants are texts in quotes, such as \"2018-08-21T22:58[Europe/London]\""),
    ];
    let fits = |(word, _): &&(&str, &'static str)| message.to_ascii_lowercase().contains(word);
    let hint = hint.iter().find(fits).map_or(
        "a line is `key = value`; texts stand in quotes, sections in [brackets], remarks behind #",
        |(_, hint)| hint,
    );
    let message = message.trim_end_matches(", expected nothing");
    (format!("this is no TOML: {message}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serdes_words_are_told_in_plain_ones() {
        let wanted = |message| match meaning(message) {
            Meaning::Wanted(what) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(wanted("invalid type: integer `5`, expected a string"), "a text in quotes");
        assert_eq!(
            wanted("invalid value: integer `-1`, expected u16"),
            "a whole number from 0 to 65535"
        );
        assert_eq!(wanted("invalid type: string \"x\", expected struct Brand"), "a section");
        assert_eq!(
            meaning("unknown field `a`, expected one of `b`, `c`"),
            Meaning::Unknown { key: "a".into(), known: vec!["b".into(), "c".into()] }
        );
        assert_eq!(meaning("missing field `url`"), Meaning::Missing("url".into()));
    }

    #[test]
    fn a_refusal_becomes_a_sentence_about_its_key() {
        assert_eq!(sentence("title", "is empty; say it"), "`title` is empty; hint: say it");
        assert_eq!(sentence("pace", "`x` has no unit"), "`pace`: `x` has no unit");
        assert_eq!(sentence("relay.hello", "`hello` is odd"), "`hello` is odd");
    }
}
