//! The layers of a configuration laid over each other, each value remembering where it came from.
//!
//! The embedded defaults say which keys there are and of what type; nothing here knows what a key
//! means.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::env::{Variables, variable_of};
use crate::domain::problem::{Problem, ProblemList, nearest, position};
use crate::domain::toml_file::{self, Problems};

/// What helps where a problem has no hint of its own.
const HINT: &str = "`forthwith config show` prints every key with its value in force";

/// Gives a span of the file its origin; `None` for what follows from a broken line alone.
type Place<'a> = &'a dyn Fn(Range<usize>) -> Option<Origin>;

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
        /// Bytes of its text.
        span: Range<usize>,
    },
    /// In the environment.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line, .. } => write!(f, "{file}:{line}"),
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

/// Settings by their dotted keys.
#[derive(Debug, Clone, PartialEq)]
pub struct Layers {
    leaves: BTreeMap<String, Leaf>,
    problems: ProblemList,
}

impl Layers {
    /// Starts with the defaults.
    pub fn defaults(table: Table) -> Self {
        let mut leaves = BTreeMap::new();
        flatten(&Value::Table(table), String::new(), &mut |key, value| {
            leaves.insert(key, Leaf { value: value.clone(), origin: Origin::Default });
        });
        Self { leaves, problems: ProblemList::default() }
    }

    /// Lays a file over what is there.
    pub fn lay_file(&mut self, text: &str, file: &str) {
        let read = Problems::of(file, text, HINT);
        self.problems.keep(file, text);
        if let Some(table) = read.table() {
            self.lay_table(table, "", &|span| {
                let line = position(text, span.start).0;
                (!read.is_aftermath(span.start)).then(|| Origin::File {
                    file: file.to_owned(),
                    line,
                    span,
                })
            });
        }
        self.problems.take(read.into_list());
    }

    fn lay_table(&mut self, table: &DeTable<'_>, prefix: &str, place: Place<'_>) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let Some(at) = place(name.span()) else { continue };
            let is_section = self.sections().any(|section| section == key);
            match value.get_ref() {
                DeValue::Table(inner) if is_section || !self.leaves.contains_key(&key) => {
                    if is_section {
                        self.lay_table(inner, &format!("{key}."), place);
                    } else {
                        self.refuse_unknown(&at, &key);
                    }
                }
                found if is_section => {
                    let there = toml_file::shown(found);
                    let what =
                        format!("`{key}` is a section, not {there}; hint: write it as [{key}]");
                    self.refuse(&at, &what);
                }
                _ if !self.leaves.contains_key(&key) => self.refuse_unknown(&at, &key),
                found => {
                    let at = place(value.span()).unwrap_or(at);
                    self.lay(at, &key, plain(found), &toml_file::shown(found));
                }
            }
        }
    }

    /// Lays the environment over what is there.
    pub fn lay_variables(&mut self, variables: &Variables) {
        for (name, key, text) in variables.settings() {
            let origin = Origin::Variable(name.to_owned());
            let Some(known) = self.leaves.get(&key) else {
                self.refuse_unknown(&origin, &key);
                continue;
            };
            let read = match &known.value {
                Value::Integer(_) => text.parse().ok().map(Value::Integer),
                Value::Float(_) => text.parse().ok().map(Value::Float),
                Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
                Value::Array(_) => Some(listed(text)),
                _ => Some(Value::String(text.to_owned())),
            };
            let read = read.unwrap_or_else(|| Value::String(text.to_owned()));
            self.lay(origin, &key, Some(read), &format!("the text \"{text}\""));
        }
    }

    fn lay(&mut self, origin: Origin, key: &str, value: Option<Value>, there: &str) {
        let Some(known) = self.leaves.get_mut(key) else {
            self.refuse_unknown(&origin, key);
            return;
        };
        match value {
            Some(value) if value.same_type(&known.value) => *known = Leaf { value, origin },
            _ => {
                let what = format!(
                    "`{key}` must be {}, not {there}; hint: its default is {}",
                    kind(&known.value),
                    known.value
                );
                self.refuse(&origin, &what);
            }
        }
    }

    fn refuse_unknown(&mut self, origin: &Origin, key: &str) {
        let near = nearest(key, self.leaves.keys().map(String::as_str));
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
        self.refuse(origin, &format!("there is no key `{key}`; hint: {hint}"));
    }

    fn refuse(&mut self, origin: &Origin, what: &str) {
        let problem = match origin {
            Origin::Default => Problem::of("config/default.toml", what),
            Origin::Variable(name) => Problem::of(name, what),
            Origin::File { file, span, .. } => {
                let text = self.problems.text(file).unwrap_or_default();
                Problem::at(file, text, span.clone(), what)
            }
        };
        self.problems.push(problem.or_hint(HINT));
    }

    fn sections(&self) -> impl Iterator<Item = &str> {
        self.leaves.keys().flat_map(|key| key.match_indices('.').map(|(dot, _)| &key[..dot]))
    }

    /// Notes a value that its type is right for and its meaning wrong.
    pub fn refuse_value(&mut self, key: &str, message: &str) {
        let leaf = self.leaves.get(key);
        let origin = leaf.map_or(Origin::Default, |leaf| leaf.origin.clone());
        let there = leaf.map_or_else(String::new, |leaf| leaf.value.to_string());
        self.refuse(&origin, &toml_file::plain_words(key, &there, message));
    }

    /// What is wrong so far, with the files' texts.
    pub fn problems(&self) -> &ProblemList {
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

/// A value of a file; `None` for what no setting is: dates, tables, numbers out of range.
fn plain(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok()?)
        }
        DeValue::Float(number) => Value::Float(number.as_str().parse().ok()?),
        DeValue::Boolean(is) => Value::Boolean(*is),
        DeValue::Array(items) => {
            let items: Option<Vec<Value>> =
                items.iter().map(|item| plain(item.get_ref())).collect();
            Value::Array(items?)
        }
        _ => return None,
    })
}

/// A list as a variable has it: its texts parted by commas.
fn listed(text: &str) -> Value {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    Value::Array(parts.map(|part| Value::String(part.to_owned())).collect())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Array(_) => "a list in [brackets]",
        _ => "a text in quotes",
    }
}
