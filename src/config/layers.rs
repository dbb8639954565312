//! The layers of a configuration laid over each other, each value remembering where it came from.
//!
//! The embedded defaults say which keys there are and of what type; nothing here knows what a key
//! means.

use std::collections::BTreeMap;
use std::fmt;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::env::{Variables, variable_of};

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In the defaults that the program carries.
    Default,
    /// In a file.
    File {
        /// The file, as shown.
        file: String,
        /// Counted from 1.
        line: usize,
    },
    /// In the environment.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// One setting with its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// The value.
    pub value: Value,
    /// Where it stands.
    pub origin: Origin,
}

/// Something wrong with one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// What, with the key in it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.what)
    }
}

/// Settings by their dotted keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Layers {
    leaves: BTreeMap<String, Leaf>,
    problems: Vec<Problem>,
}

impl Layers {
    /// Starts with the defaults.
    pub fn defaults(table: Table) -> Self {
        let mut leaves = BTreeMap::new();
        flatten(&Value::Table(table), String::new(), &mut |key, value| {
            leaves.insert(key, Leaf { value: value.clone(), origin: Origin::Default });
        });
        Self { leaves, problems: Vec::new() }
    }

    /// Lays a file over what is there.
    pub fn lay_file(&mut self, text: &str, file: &str) {
        let origin = |at: usize| Origin::File { file: file.to_owned(), line: line_of(text, at) };
        match DeTable::parse(text) {
            Ok(table) => self.lay_table(table.get_ref(), "", &origin),
            Err(error) => {
                let at = error.span().unwrap_or_default().start;
                let what = error.message().to_owned();
                self.problems.push(Problem { origin: origin(at), what });
            }
        }
    }

    fn lay_table(&mut self, table: &DeTable<'_>, prefix: &str, origin: &dyn Fn(usize) -> Origin) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let at = origin(name.span().start);
            let is_section = self.sections().any(|section| section == key);
            match value.get_ref() {
                DeValue::Table(inner) if is_section || !self.leaves.contains_key(&key) => {
                    if is_section {
                        self.lay_table(inner, &format!("{key}."), origin);
                    } else {
                        self.refuse_unknown(at, &key);
                    }
                }
                _ if is_section => {
                    let what = format!("`{key}` is a section; hint: write it as [{key}]");
                    self.problems.push(Problem { origin: at, what });
                }
                found => self.lay(at, &key, plain(found)),
            }
        }
    }

    /// Lays the environment over what is there.
    pub fn lay_variables(&mut self, variables: &Variables) {
        for (name, key, text) in variables.settings() {
            let origin = Origin::Variable(name.to_owned());
            let Some(known) = self.leaves.get(&key) else {
                self.refuse_unknown(origin, &key);
                continue;
            };
            let read = match &known.value {
                Value::Integer(_) => text.parse().ok().map(Value::Integer),
                Value::Float(_) => text.parse().ok().map(Value::Float),
                Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
                _ => Some(Value::String(text.to_owned())),
            };
            let read = read.unwrap_or_else(|| Value::String(text.to_owned()));
            self.lay(origin, &key, Some(read));
        }
    }

    fn lay(&mut self, origin: Origin, key: &str, value: Option<Value>) {
        let Some(known) = self.leaves.get_mut(key) else {
            self.refuse_unknown(origin, key);
            return;
        };
        match value {
            Some(value) if value.same_type(&known.value) => *known = Leaf { value, origin },
            _ => {
                let what = format!(
                    "`{key}` must be {}; hint: its default is {}",
                    kind(&known.value),
                    known.value
                );
                self.problems.push(Problem { origin, what });
            }
        }
    }

    fn refuse_unknown(&mut self, origin: Origin, key: &str) {
        let near = self.nearest(key);
        let hint = match &origin {
            Origin::Variable(_) => near.map_or_else(
                || "`forthwith config show` lists the settings".to_owned(),
                |near| format!("did you mean {}?", variable_of(near)),
            ),
            _ => near.map_or_else(
                || "`forthwith config show` lists the keys".to_owned(),
                |near| format!("did you mean `{near}`?"),
            ),
        };
        let what = format!("there is no key `{key}`; hint: {hint}");
        self.problems.push(Problem { origin, what });
    }

    /// The known key most like this one, if one is alike.
    fn nearest(&self, key: &str) -> Option<&str> {
        let letters = |text: &str| text.replace(['.', '_'], "").to_ascii_lowercase();
        let wanted = letters(key);
        let scored = self.leaves.keys().map(|known| (distance(&wanted, &letters(known)), known));
        scored.min().filter(|(far, _)| *far <= 2).map(|(_, known)| known.as_str())
    }

    fn sections(&self) -> impl Iterator<Item = &str> {
        self.leaves.keys().flat_map(|key| key.match_indices('.').map(|(dot, _)| &key[..dot]))
    }

    /// Notes a value that its type is right for and its meaning wrong.
    pub fn refuse_value(&mut self, key: &str, message: &str) {
        let origin = self.leaves.get(key).map_or(Origin::Default, |leaf| leaf.origin.clone());
        let message = message.trim_end();
        self.problems.push(Problem { origin, what: format!("`{key}`: {message}") });
    }

    /// What is wrong so far.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Every setting by its key.
    pub fn leaves(&self) -> &BTreeMap<String, Leaf> {
        &self.leaves
    }

    /// The settings as nested tables, those alone that `takes` says yes to.
    pub fn table(&self, takes: impl Fn(&str, &Leaf) -> bool) -> Table {
        let mut root = Table::new();
        for (key, leaf) in self.leaves.iter().filter(|(key, leaf)| takes(key, leaf)) {
            put(&mut root, key, leaf.value.clone());
        }
        root
    }
}

/// Sets a value by its dotted key.
pub fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn flatten(value: &Value, key: String, each: &mut dyn FnMut(String, &Value)) {
    match value {
        Value::Table(table) => {
            for (name, inner) in table {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(inner, key, each);
            }
        }
        leaf => each(key, leaf),
    }
}

/// A scalar of a file; `None` for what no setting is: dates, lists, tables, numbers out of range.
fn plain(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().ok()?),
        DeValue::Boolean(is) => Value::Boolean(*is),
        _ => return None,
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        _ => "a text in quotes",
    }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// How many letters have to be added, taken or changed between two words (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_added_taken_and_changed_letters() {
        for (one, other, far) in [("", "abc", 3), ("host", "hst", 1), ("port", "prot", 2)] {
            assert_eq!(distance(one, other), far, "{one} {other}");
        }
    }

    #[test]
    fn a_line_is_counted_from_one() {
        assert_eq!((line_of("a\nb\nc", 0), line_of("a\nb\nc", 4)), (1, 3));
    }
}
