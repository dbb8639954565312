//! The table, and its place on a page.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// What was measured.
#[derive(Default)]
pub struct Table {
    text: String,
}

impl Table {
    /// A figure without a target.
    pub fn row(&mut self, what: &str, measured: &str) {
        self.add(what, measured, "", "");
    }

    /// A figure with one.
    pub fn goal(&mut self, what: &str, measured: &str, target: &str, met: bool) {
        self.add(what, measured, target, if met { "met" } else { "**missed**" });
    }

    fn add(&mut self, what: &str, measured: &str, target: &str, verdict: &str) {
        // Writing to a String cannot fail; a closed stderr hides progress alone.
        let _ = writeln!(self.text, "| {what} | {measured} | {target} | {verdict} |");
        let _ = writeln!(std::io::stderr(), "{what}: {measured} {target} {verdict}");
    }

    /// Prints it, and writes it to its place on a page.
    pub fn tell(&self, part: &str, page: Option<&Path>) {
        let command = format!("scripts/bench portal {part}");
        let text = format!(
            "`{command}`:\n\n| what | measured | target | |\n|---|---|---|---|\n{}",
            self.text
        );
        let _ = writeln!(std::io::stdout(), "{text}");
        let Some(page) = page else { return };
        let [begin, end] =
            ["begin", "end"].map(|what| format!("<!-- {what}: written by {command} -->"));
        let before = std::fs::read_to_string(page).unwrap();
        let (head, rest) = before.split_once(&begin).unwrap();
        let (_, tail) = rest.split_once(&end).unwrap();
        std::fs::write(page, format!("{head}{begin}\n{text}{end}{tail}")).unwrap();
    }
}
