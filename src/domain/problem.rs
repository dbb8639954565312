//! What is wrong with what an operator wrote: in which file, where, what, and what to do about it.
//!
//! Plain data: whoever shows it decides how. Files are read to their end, so there may be many.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use serde::Serialize;

/// What stands between a message and its hint wherever both are one text.
const HINT: &str = "; hint: ";

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file as the operator knows it, or the name of an environment variable.
    pub place: String,
    /// Counted from 1; none where the whole file is meant.
    pub line: Option<usize>,
    /// In characters, counted from 1.
    pub column: Option<usize>,
    /// Bytes of the file's text.
    #[serde(skip)]
    pub span: Option<Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of a whole file or variable. A text that holds `; hint: ` is parted there.
    pub fn of(place: &str, text: &str) -> Self {
        let (message, hint) = parted(text);
        let place = place.to_owned();
        Self { place, line: None, column: None, span: None, message, hint }
    }

    /// A problem at some bytes of `source`, the file's text.
    pub fn at(place: &str, source: &str, span: Range<usize>, text: &str) -> Self {
        let (line, column) = position(source, span.start);
        let spot = Self::of(place, text);
        Self { line: Some(line), column: Some(column), span: Some(span), ..spot }
    }

    /// The same with a hint, where it has none of its own.
    #[must_use]
    pub fn or_hint(mut self, hint: &str) -> Self {
        if self.hint.is_none() && !hint.is_empty() {
            self.hint = Some(hint.to_owned());
        }
        self
    }
}

/// `file:line:column: message; hint: …` on one line.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "{HINT}{hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with some files, with their texts so that the lines can be shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProblemList {
    problems: Vec<Problem>,
    texts: BTreeMap<String, String>,
}

impl ProblemList {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Keeps a file's text, so that lines of it can be shown.
    pub fn keep(&mut self, place: &str, text: &str) {
        self.texts.entry(place.to_owned()).or_insert_with(|| text.to_owned());
    }

    /// Adds all of another list.
    pub fn take(&mut self, other: Self) {
        self.problems.extend(other.problems);
        self.texts.extend(other.texts);
    }

    /// In the order of files, lines and columns, each told once.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        let rank = |problem: &Problem| (problem.place.clone(), problem.line, problem.column);
        self.problems.sort_by_key(rank);
        self.problems.dedup();
        self
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.problems.len()
    }

    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.problems.iter()
    }

    /// The text of a file, if it could be read.
    pub fn text(&self, place: &str) -> Option<&str> {
        self.texts.get(place).map(String::as_str)
    }
}

impl From<Problem> for ProblemList {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem], texts: BTreeMap::new() }
    }
}

impl<'a> IntoIterator for &'a ProblemList {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// One a line.
impl fmt::Display for ProblemList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.problems.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ProblemList {}

/// Line and column, both from 1, of a byte offset; columns are counted in characters.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// A text parted into message and hint.
fn parted(text: &str) -> (String, Option<String>) {
    match text.trim_end().split_once(HINT) {
        Some((message, hint)) => (message.to_owned(), Some(hint.to_owned())),
        None => (text.trim_end().to_owned(), None),
    }
}

/// The known word most like this one, if one is alike: at most two letters added, taken or changed,
/// and never more than half of a short word. Case and the signs between words do not count.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = |text: &str| text.replace(['.', '_', '-'], "").to_ascii_lowercase();
    let wanted = letters(word);
    let scored = known.into_iter().map(|known| (distance(&wanted, &letters(known)), known));
    let most = 2.min(wanted.chars().count() / 2);
    scored.min().filter(|(far, _)| *far <= most).map(|(_, known)| known)
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
    fn a_word_is_only_taken_for_one_that_is_alike() {
        let known = ["template", "mode", "from", "reply_to"];
        assert_eq!(nearest("templat", known), Some("template"));
        assert_eq!(nearest("replyto", known), Some("reply_to"));
        assert_eq!(nearest("x", known), None);
        assert_eq!(nearest("deadline", known), None);
    }

    #[test]
    fn a_place_is_counted_from_one_and_in_characters() {
        assert_eq!(position("a\nb\nc", 0), (1, 1));
        assert_eq!(position("a\nžx\nc", 4), (2, 2));
        assert_eq!(position("a", 99), (1, 2));
    }

    #[test]
    fn a_list_is_told_in_the_order_of_files_and_lines_and_nothing_twice() {
        let mut list = ProblemList::default();
        let text = "a = 1\nb = 2\n";
        list.push(Problem::at("b.toml", text, 6..7, "second"));
        list.push(Problem::at("b.toml", text, 0..1, "first; hint: change it"));
        list.push(Problem::at("b.toml", text, 6..7, "second"));
        list.push(Problem::of("a.toml", "is not there"));
        assert_eq!(
            list.sorted().to_string(),
            "a.toml: is not there\nb.toml:1:1: first; hint: change it\nb.toml:2:1: second"
        );
    }
}
