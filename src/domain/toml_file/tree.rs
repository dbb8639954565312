//! Ways through a parsed TOML document: paths, look-ups, changes.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// A value with its place.
pub type Node<'t> = Spanned<DeValue<'t>>;

/// A document's outermost table with its place.
pub type Root<'t> = Spanned<DeTable<'t>>;

/// Where what we put in ourselves stands: no file is so long.
pub const OURS: Range<usize> = usize::MAX..usize::MAX;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Into a table.
    Key(String),
    /// Into a list, from 0.
    Item(usize),
}

/// The way to a value.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<Step>);

impl Path {
    /// Reads `wave.2.name`, a number being a list's item.
    pub fn read(text: &str) -> Self {
        let step = |part: &str| match part.parse() {
            Ok(item) => Step::Item(item),
            Err(_) => Step::Key(part.to_owned()),
        };
        Self(text.split('.').filter(|part| !part.is_empty()).map(step).collect())
    }

    /// The path as [`read`](Self::read) reads it.
    pub fn dotted(&self) -> String {
        let step = |step: &Step| match step {
            Step::Key(key) => key.clone(),
            Step::Item(at) => at.to_string(),
        };
        self.0.iter().map(step).collect::<Vec<_>>().join(".")
    }

    /// One step further.
    #[must_use]
    pub fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The path of the table or list around; `None` of the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    /// The path in front of another's.
    #[must_use]
    pub fn join(&self, rest: &Self) -> Self {
        Self(self.0.iter().chain(&rest.0).cloned().collect())
    }

    /// Whether `other` is this path or lies below it.
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The keys in its last step of a list or outside of any: how the key is called in a message.
    fn keys(&self) -> String {
        let last = self.0.iter().rposition(|step| matches!(step, Step::Item(_)));
        let after = last.map_or(0, |at| at + 1);
        let part = if after == self.0.len() {
            &self.0[..after.saturating_sub(1)]
        } else {
            &self.0[after..]
        };
        let key = |step: &Step| match step {
            Step::Key(key) => Some(key.clone()),
            Step::Item(_) => None,
        };
        part.iter().filter_map(key).collect::<Vec<_>>().join(".")
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.keys())
    }
}

/// A value with the place of its key, if it has one.
#[derive(Debug, Clone)]
pub struct Found<'a, 't> {
    /// Where the key stands.
    pub key: Option<Range<usize>>,
    /// Where the value stands.
    pub span: Range<usize>,
    /// The value; none of the root.
    pub value: Option<&'a DeValue<'t>>,
}

/// Looks a path up.
pub fn find<'a, 't>(root: &'a Root<'t>, path: &Path) -> Option<Found<'a, 't>> {
    let mut found = Found { key: None, span: root.span(), value: None };
    let mut table = Some(root.get_ref());
    for step in &path.0 {
        let (key, node) = match step {
            Step::Key(key) => {
                let (key, node) = table?.get_key_value(key.as_str())?;
                (Some(key.span()), node)
            }
            Step::Item(at) => (None, found.value?.as_array()?.get(*at)?),
        };
        table = node.get_ref().as_table();
        found = Found { key, span: node.span(), value: Some(node.get_ref()) };
    }
    Some(found)
}

fn node_mut<'a, 't>(table: &'a mut DeTable<'t>, path: &[Step]) -> Option<&'a mut Node<'t>> {
    let (first, rest) = path.split_first()?;
    let Step::Key(key) = first else { return None };
    let mut node = table.get_mut(key.as_str())?;
    for step in rest {
        node = match (step, node.get_mut()) {
            (Step::Key(key), DeValue::Table(table)) => table.get_mut(key.as_str())?,
            (Step::Item(at), DeValue::Array(items)) => items.get_mut(*at)?,
            _ => return None,
        };
    }
    Some(node)
}

/// The table at a path.
fn table_mut<'a, 't>(root: &'a mut Root<'t>, path: &Path) -> Option<&'a mut DeTable<'t>> {
    if path.0.is_empty() {
        return Some(root.get_mut());
    }
    match node_mut(root.get_mut(), &path.0)?.get_mut() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

/// Takes a key or a list's item out; whether it was there.
pub fn remove(root: &mut Root<'_>, path: &Path) -> bool {
    let Some((last, parent)) = path.0.split_last() else { return false };
    let parent = Path(parent.to_vec());
    match last {
        Step::Key(key) => {
            table_mut(root, &parent).is_some_and(|table| table.remove(key.as_str()).is_some())
        }
        Step::Item(at) => {
            let Some(node) = node_mut(root.get_mut(), &parent.0) else { return false };
            let DeValue::Array(items) = node.get_mut() else { return false };
            let others = items.iter().enumerate().filter(|(n, _)| n != at);
            let rest: DeArray<'_> = others.map(|(_, item)| item.clone()).collect();
            let was_there = rest.len() < items.len();
            *items = rest;
            was_there
        }
    }
}

/// Puts a value of ours where a path leads; whether there is such a place.
pub fn put<'t>(root: &mut Root<'t>, path: &Path, value: &DeValue<'t>) -> bool {
    let mut node = Spanned::new(OURS, value.clone());
    walk(&mut node, &Path::default(), &mut |_| OURS);
    let Some((last, parent)) = path.0.split_last() else { return false };
    match last {
        Step::Key(key) => {
            let Some(table) = table_mut(root, &Path(parent.to_vec())) else { return false };
            // the key keeps its own place where it was written
            let span = table.get_key_value(key.as_str()).map_or(OURS, |(key, _)| key.span());
            table.remove(key.as_str());
            table.insert(Spanned::new(span, Cow::Owned(key.clone())), node);
            true
        }
        Step::Item(_) => {
            let Some(item) = node_mut(root.get_mut(), &path.0) else { return false };
            *item = node;
            true
        }
    }
}

/// What a walk comes by.
pub struct Visit<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// Whether it is the key itself.
    pub is_key: bool,
}

fn walk(node: &mut Node<'_>, path: &Path, place: &mut dyn FnMut(Visit<'_>) -> Range<usize>) {
    let span = place(Visit { path, is_key: false });
    match node.get_mut() {
        DeValue::Table(table) => walk_table(table, path, place),
        DeValue::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                walk(item, &path.then(Step::Item(at)), place);
            }
        }
        _ => {}
    }
    let value = std::mem::replace(node.get_mut(), DeValue::Boolean(false));
    *node = Spanned::new(span, value);
}

fn walk_table(
    table: &mut DeTable<'_>,
    path: &Path,
    place: &mut dyn FnMut(Visit<'_>) -> Range<usize>,
) {
    let entries: Vec<_> = std::mem::take(table).into_iter().collect();
    for (key, mut node) in entries {
        let path = path.then(Step::Key(key.get_ref().to_string()));
        let span = place(Visit { path: &path, is_key: true });
        walk(&mut node, &path, place);
        table.insert(Spanned::new(span, key.into_inner()), node);
    }
}

/// A copy whose places are numbers: what stands at `numbers[n]` has the place `n..n`. An error tells
/// by its place then exactly which key or value it means.
pub fn numbered<'t>(root: &Root<'t>) -> (Root<'t>, Vec<(Path, bool)>) {
    let mut numbers = vec![(Path::default(), false)];
    let mut table = root.get_ref().clone();
    walk_table(&mut table, &Path::default(), &mut |visit| {
        numbers.push((visit.path.clone(), visit.is_key));
        let n = numbers.len() - 1;
        n..n
    });
    (Spanned::new(0..0, table), numbers)
}

/// Every path below a value, itself not among them, with the key or text that stands there.
pub fn below(value: &DeValue<'_>) -> Vec<(Path, String)> {
    fn collect(value: &DeValue<'_>, path: &Path, found: &mut Vec<(Path, String)>) {
        match value {
            DeValue::Table(table) => {
                for (key, node) in table {
                    let path = path.then(Step::Key(key.get_ref().to_string()));
                    found.push((path.clone(), key.get_ref().to_string()));
                    collect(node.get_ref(), &path, found);
                }
            }
            DeValue::Array(items) => {
                for (at, node) in items.iter().enumerate() {
                    collect(node.get_ref(), &path.then(Step::Item(at)), found);
                }
            }
            DeValue::String(text) => found.push((path.clone(), text.to_string())),
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(value, &Path::default(), &mut found);
    found
}
