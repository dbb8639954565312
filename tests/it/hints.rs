//! Whoever is refused reads what to do next: every refusal's own words end with a hint. Read out of the
//! sources, since no run meets them all.

use crate::layering::{is_test_file, sources};

/// A refusal that passes another's words on ends with theirs.
const PASSED_ON: [&str; 5] = ["{error}", "{why}", "{fault}", "{problem}", "elsewhere("];

/// Calls of `refused(` with their arguments, by the line they begin at.
fn refusals(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, call) in text.match_indices("refused(") {
        let start = at + call.len();
        let (mut depth, mut in_text, mut escaped) = (1, false, false);
        let end = text[start..].char_indices().find_map(|(place, character)| {
            match (in_text, character) {
                _ if escaped => escaped = false,
                (true, '\\') => escaped = true,
                (_, '"') => in_text = !in_text,
                (false, '(') => depth += 1,
                (false, ')') => depth -= 1,
                _ => {}
            }
            (depth == 0).then_some(start + place)
        });
        if let Some(end) = end {
            found.push((text[..at].lines().count(), &text[start..end]));
        }
    }
    found
}

/// What of a file is not its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

fn without_hint(text: &str) -> Vec<usize> {
    refusals(code(text))
        .into_iter()
        .filter(|(_, said)| said.contains('"') && !said.contains("hint:"))
        .filter(|(_, said)| !PASSED_ON.iter().any(|word| said.contains(word)))
        .map(|(line, _)| line)
        .collect()
}

#[test]
fn every_refusal_ends_with_a_hint() {
    let mut lacking = Vec::new();
    for file in sources().into_iter().filter(|file| !is_test_file(file)) {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = without_hint(&text);
        lacking.extend(lines.iter().map(|line| format!("{}:{line}", file.display())));
    }
    assert!(lacking.is_empty(), "no `hint: …` in:\n{}", lacking.join("\n"));
}

#[test]
fn a_refusal_without_a_hint_is_found() {
    assert_eq!(without_hint("fn f() {\n    g(refused(\"no (really)\"));\n}"), [2]);
    assert_eq!(without_hint("refused(format!(\"no\\\"; hint: ask\"))"), [0; 0]);
    assert_eq!(without_hint("refused(format!(\"`x`: {error}\"))"), [0; 0]);
    assert_eq!(without_hint("pub fn refused(text: String) {}"), [0; 0]);
}
