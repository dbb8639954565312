//! Reading on behind a fault: note it, replace what is faulty, read again.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::Problems;
use super::tree::{self, OURS, Path, Root, Step};
use super::words::{self, Meaning};
use crate::domain::problem::nearest;

/// So often is a file read at the most: each time takes one fault out of it.
const ROUNDS: usize = 500;
/// The most problems told of one file.
const MOST: usize = 100;
/// What is tried where a key must be there and the example has none.
const GUESSES: [&str; 8] = [
    "v = \"x\"",
    "v = []",
    "v = {}",
    "v = 1",
    "v = true",
    "v = \"30m\"",
    "v = \"2018-08-21T22:58[UTC]\"",
    "v = \"https://www.example.com\"",
];

/// One file under repair.
pub(super) struct Repair<'p, 't> {
    problems: &'p mut Problems<'t>,
    example: Option<Root<'static>>,
    example_text: &'static str,
    /// How many replacements were tried at a path.
    tries: BTreeMap<Path, usize>,
    /// Paths that were changed, at which nothing further is said.
    changed: BTreeSet<Path>,
}

impl<'p, 't> Repair<'p, 't> {
    pub(super) fn new(problems: &'p mut Problems<'t>, example_text: &'static str) -> Self {
        let example = DeTable::parse(example_text).ok();
        let (tries, changed) = (BTreeMap::new(), BTreeSet::new());
        Self { problems, example, example_text, tries, changed }
    }

    pub(super) fn read<T: DeserializeOwned>(&mut self) -> Option<T> {
        for _ in 0..ROUNDS {
            let root = self.problems.root.as_ref()?;
            let (copy, numbers) = tree::numbered(root);
            let error = match T::deserialize(toml::de::Deserializer::from(copy)) {
                Ok(value) => return Some(value),
                Err(error) => error,
            };
            let number = error.span().unwrap_or_default().start;
            let (path, is_key) = numbers.get(number).cloned().unwrap_or_default();
            let full = self.problems.list.len() >= MOST;
            if full || !self.mend(&path, is_key, error.message()) {
                return None;
            }
        }
        None
    }

    /// Notes what is wrong at a path, unless it follows from what was noted before, and replaces it.
    fn mend(&mut self, path: &Path, is_key: bool, message: &str) -> bool {
        if self.is_ours(path) {
            return self.guess_again(path);
        }
        match words::meaning(message) {
            Meaning::Unknown { key, known } if is_key => {
                self.tell_unknown(path, &key, &known);
                self.take_out(path)
            }
            Meaning::Word { word, known } if is_key => {
                self.tell_unknown(path, &word, &known);
                self.take_out(path)
            }
            Meaning::Missing(key) => {
                let path = path.then(Step::Key(key));
                self.tell_missing(&path);
                self.replace(&path)
            }
            Meaning::Own(message) => {
                let path = self.problems.narrowed(path, &message);
                self.tell(&path, &words::sentence(&path.to_string(), &message));
                self.replace(&path)
            }
            meaning => {
                let text = self.of_value(path, &meaning);
                self.tell(path, &text);
                self.replace(path)
            }
        }
    }

    fn of_value(&self, path: &Path, meaning: &Meaning) -> String {
        let root = self.problems.root.as_ref();
        let found = root.and_then(|root| tree::find(root, path));
        let there = found.and_then(|found| found.value).map_or("this".into(), words::shown);
        words::told(&path.to_string(), &there, meaning, self.written_so(path).as_deref())
    }

    fn tell_unknown(&mut self, path: &Path, key: &str, known: &[String]) {
        let hint = words::known_words(key, known).map(|hint| format!("; hint: {hint}"));
        let (span, hint) = (self.key_span(path), hint.unwrap_or_default());
        if self.problems.is_aftermath(span.start) {
            return;
        }
        self.problems.note(Some(span), &format!("there is no key `{path}`{hint}"));
    }

    fn tell_missing(&mut self, path: &Path) {
        let is_broken = !self.problems.broken_lines.is_empty();
        if is_broken || self.is_changed(path) || self.is_misspelt(path) {
            return;
        }
        let around = path.parent().unwrap_or_default();
        let root = self.problems.root.as_ref();
        let is_root = around.0.is_empty();
        let found = root.and_then(|root| tree::find(root, &around)).filter(|_| !is_root);
        let span = found.map(|found| found.key.unwrap_or(found.span));
        let is_section =
            self.example_at(path).is_some_and(|value| matches!(value, DeValue::Table(_)));
        let name = path.to_string();
        let text = match self.written_so(path) {
            Some(so) => format!("`{name}` is missing; hint: add a line such as `{so}`"),
            None if is_section => format!("the section [{name}] is missing"),
            None => format!("`{name}` is missing"),
        };
        self.problems.note(span, &text);
    }

    /// Whether a key that was taken out is most likely this one, or a section around it.
    fn is_misspelt(&self, path: &Path) -> bool {
        let around = std::iter::successors(Some(path.clone()), Path::parent);
        around.into_iter().any(|path| {
            let Some(Step::Key(key)) = path.0.last() else { return false };
            let mut beside =
                self.problems.lost.iter().filter(|lost| lost.parent() == path.parent());
            beside.any(|lost| match lost.0.last() {
                Some(Step::Key(lost)) => nearest(lost, [key.as_str()]).is_some(),
                _ => false,
            })
        })
    }

    fn tell(&mut self, path: &Path, text: &str) {
        if self.is_changed(path) {
            return;
        }
        let span = self.problems.place_of(path);
        if span.as_ref().is_some_and(|span| self.problems.is_aftermath(span.start)) {
            return;
        }
        self.problems.note(span, text);
    }

    fn key_span(&self, path: &Path) -> std::ops::Range<usize> {
        let root = self.problems.root.as_ref();
        let found = root.and_then(|root| tree::find(root, path));
        found.and_then(|found| found.key).unwrap_or(OURS)
    }

    /// Whether what stands there was put in by us.
    fn is_ours(&self, path: &Path) -> bool {
        let Some(root) = &self.problems.root else { return false };
        tree::find(root, path).is_some_and(|found| found.span == OURS)
    }

    fn is_changed(&self, path: &Path) -> bool {
        self.changed.iter().any(|changed| changed.covers(path) || path.covers(changed))
    }

    /// Takes a key out that has no business there; nothing follows from that.
    fn take_out(&mut self, path: &Path) -> bool {
        // the table may be a choice that has lost its only kind
        self.changed.insert(path.clone());
        self.problems.lost.insert(path.clone());
        self.problems.root.as_mut().is_some_and(|root| tree::remove(root, path))
    }

    /// Replaces a faulty value: by the example's, else by nothing, else by a guess, else what is
    /// around it.
    fn replace(&mut self, path: &Path) -> bool {
        if path.0.is_empty() {
            return false;
        }
        self.changed.insert(path.clone());
        self.problems.unread.insert(path.clone());
        let tried = self.tries.entry(path.clone()).or_default();
        let attempt = *tried;
        *tried += 1;
        let value = match attempt {
            0 => self.example_at(path),
            1 => None,
            _ => match GUESSES.get(attempt - 2) {
                Some(guess) => guessed(guess),
                None => return path.parent().is_some_and(|around| self.replace(&around)),
            },
        };
        let Some(root) = &mut self.problems.root else { return false };
        let is_done = match value {
            Some(value) => tree::put(root, path, &value),
            None => tree::remove(root, path),
        };
        is_done || self.replace(path)
    }

    /// What we put in does not fit either.
    fn guess_again(&mut self, path: &Path) -> bool {
        let around = std::iter::successors(Some(path.clone()), Path::parent);
        let ours = around.take_while(|path| self.is_ours(path)).last();
        ours.is_some_and(|path| self.replace(&path))
    }

    /// The example's value of a path, items of lists being those of its first one.
    fn example_at(&self, path: &Path) -> Option<DeValue<'static>> {
        let found = tree::find(self.example.as_ref()?, &first_items(path))?;
        found.value.cloned()
    }

    /// The example's own line for a path, where it is short.
    fn written_so(&self, path: &Path) -> Option<String> {
        let found = tree::find(self.example.as_ref()?, &first_items(path))?;
        let line = self.example_text.get(found.key?.start..found.span.end)?;
        let is_short = line.chars().count() <= 60 && !line.contains('\n');
        let is_line = line.contains('=') && is_short;
        is_line.then(|| line.to_owned())
    }
}

/// The path with every item of a list replaced by its first.
fn first_items(path: &Path) -> Path {
    let first = |step: &Step| match step {
        Step::Item(_) => Step::Item(0),
        key @ Step::Key(_) => key.clone(),
    };
    Path(path.0.iter().map(first).collect())
}

fn guessed(text: &'static str) -> Option<DeValue<'static>> {
    let table = DeTable::parse(text).ok()?;
    table.get_ref().get("v").map(|node| node.get_ref().clone())
}
