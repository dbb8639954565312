//! Texts kept beside the tests, under `tests/snapshots/`. `FORTHWITH_SNAPSHOTS=write` writes them anew, to
//! be looked at before they are committed.

use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};

use forthwith::cli::CliError;
use forthwith::cli::exit;

use super::House;

/// Characters of a rejected row that are kept here.
const MOST_SHOWN: usize = 240;

/// Set to `write`, it writes the texts anew.
const STEERING: &str = "FORTHWITH_SNAPSHOTS";

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots")
}

/// Compares a text with the one kept.
pub fn same(name: &str, text: &str) {
    all([(name.to_owned(), text.to_owned())]);
}

/// Compares several texts, each with the one kept under its name.
pub fn all(texts: impl IntoIterator<Item = (String, String)>) {
    let rewrites = std::env::var_os(STEERING).is_some_and(|word| word == "write");
    let mut differing = Vec::new();
    for (name, text) in texts {
        let path = folder().join(&name);
        if rewrites {
            super::write(&path, &text);
            continue;
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        if kept != text {
            differing.push(format!("{name}\n--- kept\n{kept}\n--- now\n{text}"));
        }
    }
    assert!(
        differing.is_empty(),
        "{} snapshots differ; look at them, then {STEERING}=write. The first: {}",
        differing.len(),
        differing[0]
    );
}

/// What an operator is told of one kind of bad input, word for word as the program prints it:
/// `bad-input/<name>.txt`. Every message ends with its hint.
pub struct Told {
    name: &'static str,
    hidden: Vec<(String, &'static str)>,
    text: String,
}

impl Told {
    pub fn of(name: &'static str) -> Self {
        Self { name, hidden: Vec::new(), text: String::new() }
    }

    /// Writes `by` for what is another one at each run: a folder, a port, an id.
    pub fn hide(&mut self, what: &dyn Display, by: &'static str) {
        self.hidden.push((what.to_string(), by));
    }

    /// Hides the folder of a house.
    pub fn within(&mut self, house: &House) {
        self.hide(&house.dir.path().display(), "<workspace>");
    }

    /// An error, and of which input; gives back what is told of it.
    pub fn error(&mut self, input: &str, error: impl Into<CliError>) -> String {
        self.message(input, &exit::told(&error.into(), forthwith::cli::problem::Look::default()))
    }

    /// What the program said by itself.
    pub fn message(&mut self, input: &str, message: &str) -> String {
        // a bar that nobody watches is drawn as lines, which tell how long it took
        let is_bar = |line: &&str| line.ends_with(" to do") || line.ends_with(" s");
        let lines = message.lines().filter(|line| !is_bar(line));
        let mut message = lines.collect::<Vec<_>>().join("\n").trim_end().to_owned();
        for (what, by) in &self.hidden {
            message = message.replace(what, by);
        }
        let last = message.lines().last().unwrap_or_default();
        assert!(last.starts_with("hint: "), "{input}: no hint at the end:\n{message}");
        self.add(input, &message);
        message
    }

    /// Rejected rows as the file of them has them, long ones by their beginning: the reason of each
    /// ends with a hint.
    pub fn rejects(&mut self, input: &str, file: &str) {
        let file = file.strip_prefix("line,column,reason,row\n").unwrap_or(file);
        let mut rows = csv::ReaderBuilder::new();
        for row in rows.has_headers(false).from_reader(file.as_bytes()).byte_records() {
            let reason = String::from_utf8_lossy(&row.unwrap()[2]).into_owned();
            assert!(reason.contains("; hint: "), "{input}: no hint: {reason}");
        }
        let lines: Vec<String> = file.lines().map(shortened).collect();
        self.add(input, &lines.join("\n"));
    }

    fn add(&mut self, input: &str, text: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        writeln!(self.text, "{gap}== {input}\n{text}").unwrap();
    }

    /// Compares them all with the file.
    pub fn same(self) {
        assert!(!self.text.is_empty(), "{}: nothing was told", self.name);
        same(&format!("bad-input/{}.txt", self.name), &self.text);
    }
}

fn shortened(line: &str) -> String {
    let line = line.replace('\0', "<NUL>");
    match line.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{} ... ({} bytes)", &line[..end], line.len()),
        None => line,
    }
}
