//! A TOML file read to its end: everything wrong with it is found in one run.
//!
//! serde stops at the first fault. So the fault is noted, what is faulty is replaced by the
//! example's value (or taken out), and the rest is read again, until nothing more is found.
//! Contradictions are then looked for in what could be read: [`Problems::at`] points at a key and
//! keeps silent about one that was not read.

mod narrow;
mod repair;
mod tree;
mod words;

use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, ProblemList};
use repair::Repair;
use tree::{OURS, Path, Root, Step};
pub use words::{plain_words, shown};

/// What is wrong with one file, gathered while it is read and checked.
#[derive(Debug)]
pub struct Problems<'t> {
    file: String,
    text: &'t str,
    hint: &'static str,
    /// None where there is no text to point at.
    root: Option<Root<'t>>,
    /// Paths whose value is not what was written.
    unread: BTreeSet<Path>,
    /// Keys that nobody reads and that were taken out.
    lost: BTreeSet<Path>,
    /// From where on a broken line may have changed what a line means.
    broken_from: Option<usize>,
    broken_lines: Vec<usize>,
    /// From where on an unclosed list or table swallows the lines.
    runs_on_from: Option<usize>,
    list: ProblemList,
}

impl<'t> Problems<'t> {
    /// Parses a file's text. `hint` is for what has no better one.
    pub fn of(file: &str, text: &'t str, hint: &'static str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut problems = Self { text, hint, root: Some(root), ..Self::unplaced(file) };
        problems.list.keep(file, text);
        for error in errors {
            problems.syntax(error.message(), error.span().unwrap_or_default());
        }
        problems
    }

    /// For facts that were read another way: problems have the file's name alone.
    pub fn unplaced(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            text: "",
            hint: "",
            root: None,
            unread: BTreeSet::new(),
            lost: BTreeSet::new(),
            broken_from: None,
            broken_lines: Vec::new(),
            runs_on_from: None,
            list: ProblemList::default(),
        }
    }

    /// The file's name as shown.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Reads a value of the whole file, noting all that is wrong with its types and keys. What could
    /// not be read is taken from `example`, a text that reads without a fault, so that the rest can be
    /// checked; `None` where even that does not help.
    pub fn read<T: DeserializeOwned>(&mut self, example: &'static str) -> Option<T> {
        Repair::new(self, example).read()
    }

    /// Notes a problem of the key `path`, such as `notice.token_for` or `wave.2.name` (items from 0),
    /// unless that key was not read: what was put in its place is not the operator's. A key that is
    /// not written is shown by the section it would stand in. A text may hold `; hint: …`.
    pub fn at(&mut self, path: &str, text: impl AsRef<str>) {
        self.at_all(&[path], text);
    }

    /// The same for a contradiction of several keys, shown at the first that is written.
    pub fn at_all(&mut self, paths: &[&str], text: impl AsRef<str>) {
        let paths: Vec<Path> = paths.iter().map(|path| Path::read(path)).collect();
        if paths.iter().any(|path| !self.was_read(path)) {
            return;
        }
        let is_written =
            |path: &&Path| self.root.as_ref().is_some_and(|root| tree::find(root, path).is_some());
        let Some(path) = paths.iter().find(is_written).or(paths.first()) else { return };
        let span = self.place_of(path);
        self.note(span, text.as_ref());
    }

    /// Notes a problem of a section, at the key or text in it that the words quote.
    pub fn at_within(&mut self, path: &str, text: impl AsRef<str>) {
        let path = Path::read(path);
        // what a section lacks may be what stands there misspelt
        if self.lost.iter().any(|lost| path.covers(lost)) {
            return;
        }
        let path = self.narrowed(&path, text.as_ref());
        self.at(&path.dotted(), text);
    }

    /// Whether this key holds what the operator wrote, or nothing because nothing was written.
    pub fn is_sound(&self, path: &str) -> bool {
        self.was_read(&Path::read(path))
    }

    /// Whether the value of this key, written or not, is what the operator meant.
    fn was_read(&self, path: &Path) -> bool {
        let Some(root) = &self.root else { return true };
        if self.unread.iter().any(|unread| unread.covers(path) || path.covers(unread)) {
            return false;
        }
        let mut around = std::iter::successors(Some(path.clone()), Path::parent);
        let found = around.find_map(|path| tree::find(root, &path));
        // a broken line, or a misspelt key beside it, may be where the key would stand
        let is_here = tree::find(root, path).is_some();
        let is_beside = |lost: &Path| lost.parent() == path.parent();
        let may_be_there = !self.broken_lines.is_empty() || self.lost.iter().any(is_beside);
        found.is_none_or(|found| found.span != OURS) && (is_here || !may_be_there)
    }

    /// Every text that stands under a key of this name, wherever in the file, with its path.
    pub fn texts(&self, key: &str) -> Vec<(String, String)> {
        let Some(root) = &self.root else { return Vec::new() };
        let last = |path: &Path| matches!(path.0.last(), Some(Step::Key(last)) if last == key);
        let all = tree::below(&DeValue::Table(root.get_ref().clone()));
        let named = all.into_iter().filter(|(path, _)| last(path));
        let text = |(path, _): (Path, String)| {
            let found = tree::find(root, &path)?;
            Some((path.dotted(), found.value?.as_str()?.to_owned()))
        };
        let mut texts: Vec<_> = named.filter_map(text).collect();
        texts.dedup();
        texts
    }

    /// Where a key stands, or the section it would stand in; `None` of the whole file.
    fn place_of(&self, path: &Path) -> Option<Range<usize>> {
        let root = self.root.as_ref()?;
        let mut around = std::iter::successors(Some(path.clone()), Path::parent);
        let found =
            around.find_map(|path| tree::find(root, &path).filter(|_| !path.0.is_empty()))?;
        let is_section = matches!(found.value, Some(DeValue::Table(_)));
        Some(match found.key {
            Some(key) if is_section => key,
            _ => found.span,
        })
    }

    fn syntax(&mut self, message: &str, span: Range<usize>) {
        let (message, hint) = words::syntax(message);
        let line = self.line(span.start);
        // a broken value on one line is often told twice
        if self.broken_lines.contains(&line) || self.is_run_on(&message, span.start) {
            return;
        }
        let start = self.text[..span.start.min(self.text.len())].rfind('\n').map_or(0, |at| at + 1);
        let is_header = self.text[start..].trim_start().starts_with('[');
        let changes_sections = is_header && !message.contains("duplicate");
        // a section's broken head, or a text that runs on, changes what the lines after it mean
        if changes_sections || message.contains("multi-line") {
            let from = self.broken_from.map_or(start, |from| from.min(start));
            self.broken_from = Some(from);
        }
        self.broken_lines.push(line);
        self.note(Some(span), &format!("{message}; hint: {hint}"));
    }

    /// Whether this only follows from a list or table that is never closed, or from a long text whose
    /// opening quotes are missing: each is one fault, however many lines the parser stumbles over.
    fn is_run_on(&mut self, message: &str, at: usize) -> bool {
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.text.get(at..).unwrap_or_default();
        let begins_a_line = before[line..].trim().is_empty() && !rest.starts_with(['"', '\'']);
        if begins_a_line && words::RUNS_ON.iter().any(|words| message.contains(words)) {
            let is_told = !self.broken_lines.is_empty();
            self.runs_on_from.get_or_insert(line);
            return is_told;
        }
        if self.runs_on_from.is_some_and(|from| at > from) {
            return true;
        }
        if !message.contains(words::PROSE) {
            return false;
        }
        let section = before.rfind("\n[").map_or(0, |at| at + 1);
        let lines = self.line(section)..self.line(at);
        self.broken_lines.iter().any(|line| lines.contains(line))
    }

    /// The outermost table, as far as it could be parsed.
    pub fn table(&self) -> Option<&DeTable<'t>> {
        self.root.as_ref().map(toml::Spanned::get_ref)
    }

    /// Whether a fault at this place may come of a broken line alone.
    pub fn is_aftermath(&self, at: usize) -> bool {
        let from = [self.broken_from, self.runs_on_from];
        from.into_iter().flatten().any(|from| at >= from)
            || self.broken_lines.contains(&self.line(at))
    }

    fn line(&self, at: usize) -> usize {
        super::problem::position(self.text, at).0
    }

    fn note(&mut self, span: Option<Range<usize>>, text: &str) {
        let problem = match span.filter(|span| *span != OURS) {
            Some(span) => Problem::at(&self.file, self.text, within(span, self.text), text),
            None => Problem::of(&self.file, text),
        };
        self.list.push(problem.or_hint(self.hint));
    }

    /// Whether anything is wrong so far.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All that is wrong, with the file's text.
    pub fn into_list(self) -> ProblemList {
        self.list.sorted()
    }

    /// The value, if nothing at all is wrong.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, ProblemList> {
        match value {
            Some(value) if self.list.is_empty() => Ok(value),
            _ => Err(self.into_list()),
        }
    }
}

/// A span of whole characters within one line of the text.
fn within(span: Range<usize>, text: &str) -> Range<usize> {
    let fit = |at: usize| {
        let at = at.min(text.len());
        (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
    };
    let (start, end) = (fit(span.start), fit(span.end.max(span.start)));
    let line_end = text[start..].find(['\n', '\r']).map_or(text.len(), |at| start + at);
    start..end.min(line_end)
}
