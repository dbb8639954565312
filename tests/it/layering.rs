//! The layers of the design, read out of the sources: every `crate::` path and every `super::` that
//! leaves its module is an edge, and an edge that points up or sideways fails.

use std::path::{Path, PathBuf};

/// Files larger than this hide their own shape.
const MOST_LINES: usize = 400;

/// The layer of each top module; a module of a higher layer may import those below, never one beside
/// it unless [`PARTNERS`] says so.
const LAYERS: [&[&str]; 6] = [
    &["domain"],
    &["secret", "tls"],
    &["database"],
    &[
        "store",
        "mail",
        "render",
        "directory",
        "source",
        "ledger",
        "journal",
        "password_filter",
        "sink",
        "webhook",
    ],
    &["engine"],
    &["config", "web", "cli", "app", "lifecycle", "telemetry"],
];

/// Imports within the top layer: (from, to).
const PARTNERS: [(&str, &str); 12] = [
    ("telemetry", "config"),
    ("cli", "telemetry"),
    ("app", "telemetry"),
    ("cli", "app"),
    ("cli", "lifecycle"),
    ("app", "lifecycle"),
    ("cli", "config"),
    ("cli", "web"),
    ("app", "cli"),
    ("app", "config"),
    ("app", "web"),
    ("web", "config"),
];

/// Imports that point down and are forbidden all the same: (from, to, why).
const FORBIDDEN: [(&str, &str, &str); 2] = [
    ("engine", "store::sqlite", "the engine knows the store through its traits"),
    ("web", "store", "the web calls the engine"),
];

/// Crates that belong to certain modules: (crate, modules that may use it).
const HOMES: [(&str, &[&str]); 21] = [
    ("miette", &["cli"]),
    ("sqlx", &["store", "database", "directory", "source"]),
    ("argon2", &["secret"]),
    ("bcrypt", &["secret"]),
    ("axum", &["web"]),
    ("hyper", &["web"]),
    ("zxcvbn", &["domain"]),
    ("chacha20", &["secret"]),
    ("chacha20poly1305", &["secret"]),
    ("ed25519_dalek", &["secret"]),
    ("hkdf", &["secret"]),
    ("hmac", &["secret"]),
    ("md5", &["secret"]),
    ("sha2", &["secret"]),
    ("ldap3", &["directory"]),
    ("reqwest", &["directory", "webhook"]),
    ("lettre", &["mail"]),
    ("handlebars", &["render"]),
    ("smtp_proto", &["sink"]),
    ("clap", &["cli", "app", "main"]),
    ("rpassword", &["cli"]),
];

/// Crates that would make the domain do I/O.
const NOT_IN_DOMAIN: [&str; 4] = ["tokio", "sqlx", "async_trait", "tracing"];

#[test]
fn imports_point_down_only() {
    let mut wrong = Vec::new();
    let mut edges = 0;
    for file in sources() {
        let text = std::fs::read_to_string(&file).unwrap();
        let place = module_of(&file);
        let found = check(&place, &text);
        edges += found.edges;
        wrong.extend(found.wrong.into_iter().map(|what| format!("{}: {what}", file.display())));
    }
    assert!(edges > 500, "only {edges} edges were found: the reader is broken");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_top_module_has_a_layer() {
    for file in sources() {
        let place = module_of(&file);
        let Some(top) = place.first() else { continue };
        let known = LAYERS.iter().any(|layer| layer.contains(&top.as_str()));
        assert!(known || top == "main", "{} is of no layer", file.display());
    }
}

#[test]
fn no_file_grows_past_what_one_can_see_whole() {
    let mut long = Vec::new();
    for file in sources().into_iter().filter(|file| !is_test_file(file)) {
        let text = std::fs::read_to_string(&file).unwrap();
        let lines = own_lines(&text);
        if lines > MOST_LINES {
            long.push(format!("{}: {lines} lines without its tests", file.display()));
        }
    }
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn no_file_is_a_drawer() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in files_of(&here.join("src")).into_iter().chain(files_of(&here.join("tests"))) {
        let drawers = ["util", "utils", "common", "helper", "helpers", "misc"];
        for part in file.strip_prefix(here).unwrap().components() {
            let stem = Path::new(&part).file_stem().unwrap().to_string_lossy().into_owned();
            assert!(!drawers.contains(&stem.as_str()), "{} is a drawer", file.display());
        }
    }
}

#[test]
fn planted_edges_are_caught() {
    let wrong = |place: &[&str], text: &str| {
        let place: Vec<String> = place.iter().map(|part| (*part).to_owned()).collect();
        check(&place, text).wrong
    };
    for (place, text) in [
        (&["domain", "clock"][..], "use crate::secret::keys::Key;"),
        (&["domain", "clock"], "use crate::{domain::chunk, store};"),
        (
            &["domain", "clock"],
            "use crate::{\n    domain::{chunk, reply},\n    mail::wire as w,\n};",
        ),
        (&["domain", "clock"], "fn f() -> super::super::engine::Engine { todo() }"),
        (&["domain"], "use super::engine::Engine;"),
        (&["domain", "clock"], "use self::super::super::mail;"),
        (&["domain", "clock"], "mod tests { use super::super::super::mail; }"),
        (&["store", "sqlite", "plans"], "let x = crate::directory::shop::create();"),
        (&["ledger", "merkle"], "use crate::store::row;"),
        (&["engine", "seal"], "use crate::cli::Args;"),
        (&["engine", "seal"], "use crate::store::sqlite::SqliteStore;"),
        (&["engine", "seal"], "use sqlx::Row;"),
        (&["engine", "seal"], "#[derive(sqlx::FromRow)] struct X;"),
        (&["store", "row"], "use sha2::{Digest, Sha256};"),
        (&["config", "file"], "use crate::app;"),
        (&["web", "portal"], "use crate::store::Handle;"),
        (&["domain", "clock"], "async fn f() { tokio::task::yield_now().await }"),
        (&["secret", "keys"], "macro_rules! m { () => { $crate::mail::wire() } }"),
    ] {
        assert_eq!(wrong(place, text).len(), 1, "{place:?}: {text}");
    }
    for (place, text) in [
        (&["engine", "seal"][..], "use crate::{domain::chunk, store::{Handle, seals}};"),
        (&["engine", "seal"], "use super::{Engine, people::People}; use super::super::domain;"),
        (&["domain", "clock"], "mod tests { use super::super::chunk; use super::*; }"),
        (
            &["domain", "clock"],
            "// use crate::store::x\n/* crate::mail */ let s = \"crate::mail::x\";",
        ),
        (&["domain", "clock"], "let s = r#\"use crate::mail::\"x\";\"#; let c = '\"'; f::<'a>();"),
        (&["domain", "clock"], "pub(crate) fn f() {} impl crate::domain::clock::Clock for X {}"),
        (&["cli", "run"], "use crate::app::App; use crate::config::Config;"),
        (&["source", "csv"], "use ::csv::Reader; let sqlx = sqlx::query(\"x\");"),
    ] {
        assert!(wrong(place, text).is_empty(), "{place:?}: {text}: {:?}", wrong(place, text));
    }
    assert_eq!(own_lines("a\nb\n#[cfg(test)]\nmod tests {\n    c\n}\n"), 2);
    assert_eq!(own_lines("a\n#[cfg(test)]\nmod tests;\nb\nc\n"), 3, "only the tests are left out");
}

/// What one file's text imports.
#[derive(Default)]
struct Found {
    edges: usize,
    wrong: Vec<String>,
}

fn check(place: &[String], text: &str) -> Found {
    let mut found = Found::default();
    let tokens = tokens(text);
    let Some(from) = place.first().map(String::as_str) else { return found };
    for path in paths(place, &tokens) {
        found.edges += 1;
        if let Some(why) = refusal(from, &path) {
            found.wrong.push(format!("`{from}` must not import `{}`: {why}", path.join("::")));
        }
    }
    for (at, token) in tokens.iter().enumerate() {
        let after = |offset: usize| tokens.get(at + offset).map(String::as_str);
        let inside = at > 0 && tokens[at - 1] == "::" && (at > 1 && is_word(&tokens[at - 2]));
        if inside || after(1) != Some("::") {
            continue;
        }
        let homes = HOMES.iter().find(|(name, _)| name == token);
        if homes.is_some_and(|(_, homes)| !homes.contains(&from)) {
            found.wrong.push(format!("`{from}` is no home of the crate `{token}`"));
        } else if from == "domain" && NOT_IN_DOMAIN.contains(&token.as_str()) {
            found.wrong.push(format!("the domain is pure and uses no `{token}`"));
        }
    }
    found
}

/// Why `from` may not import this path; nothing where it may.
fn refusal(from: &str, path: &[String]) -> Option<String> {
    let to = path.first()?.as_str();
    let layer = |top: &str| LAYERS.iter().position(|layer| layer.contains(&top));
    let (Some(above), Some(below)) = (layer(from).or((from == "main").then_some(9)), layer(to))
    else {
        return None;
    };
    let whole = path.join("::");
    let forbidden = FORBIDDEN.iter().find(|(who, what, _)| {
        *who == from && (whole == *what || whole.starts_with(&format!("{what}::")))
    });
    if let Some((_, _, why)) = forbidden {
        return Some((*why).to_owned());
    }
    if from == to || below < above || PARTNERS.contains(&(from, to)) {
        return None;
    }
    Some(if below == above { "they are siblings".into() } else { "it lies above".into() })
}

/// Every path that starts at the crate's root, written with `crate::` or reached with `super::`.
fn paths(place: &[String], tokens: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut here: Vec<String> = place.to_vec();
    // inline modules that are open: at which depth of braces each began
    let mut inline: Vec<usize> = Vec::new();
    let (mut depth, mut at) = (0, 0);
    while at < tokens.len() {
        let token = tokens[at].as_str();
        let next = tokens.get(at + 1).map(String::as_str);
        match token {
            "{" => depth += 1,
            "}" => {
                if inline.last() == Some(&depth) {
                    inline.pop();
                    here.pop();
                }
                depth = depth.saturating_sub(1);
            }
            "mod" if tokens.get(at + 2).is_some_and(|token| token == "{") => {
                here.push(tokens[at + 1].clone());
                inline.push(depth + 1);
                depth += 1;
                at += 3;
                continue;
            }
            "crate" | "super" if next == Some("::") => {
                let mut base = if token == "crate" { Vec::new() } else { here.clone() };
                let mut start = at;
                while tokens.get(start).is_some_and(|token| token == "super") {
                    base.pop();
                    start += 2;
                }
                start = if token == "crate" { at + 2 } else { start };
                let end = tree(tokens, start, &base, &mut found);
                // braces of the tree were read with it
                at = end.max(at + 1);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found.retain(|path| !path.is_empty());
    found
}

/// Reads a path or a tree of paths that starts at `at`; returns where it ends.
fn tree(tokens: &[String], at: usize, base: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = base.to_vec();
    let mut at = at;
    loop {
        match tokens.get(at).map(String::as_str) {
            Some("{") => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    let end = tree(tokens, at, &path, found);
                    at = end.max(at + 1);
                    // `as name` and commas between the branches
                    while tokens.get(at).is_some_and(|token| token == "as" || token == ",") {
                        at += if tokens[at] == "as" { 2 } else { 1 };
                    }
                }
                return at + 1;
            }
            Some(word) if is_word(word) => {
                path.push(word.to_owned());
                at += 1;
                if tokens.get(at).map(String::as_str) != Some("::") {
                    found.push(path);
                    return at;
                }
                at += 1;
            }
            _ => {
                found.push(path);
                return at;
            }
        }
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Words, `::` and single characters; comments, texts and characters left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let next = chars.get(at + 1).copied();
        match chars[at] {
            '/' if next == Some('/') => at = until(&chars, at, |c| c == '\n'),
            '/' if next == Some('*') => at = block_comment(&chars, at),
            '"' => at = string(&chars, at),
            'r' | 'b' | 'c' if raw_string(&chars, at).is_some() => {
                at = raw_string(&chars, at).unwrap_or(at + 1);
            }
            '\'' => at = character(&chars, at),
            ':' if next == Some(':') => {
                tokens.push("::".to_owned());
                at += 2;
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = until(&chars, at, |c| !(c.is_alphanumeric() || c == '_'));
                tokens.push(chars[at..end].iter().collect());
                at = end;
            }
            c if c.is_whitespace() => at += 1,
            c => {
                tokens.push(c.to_string());
                at += 1;
            }
        }
    }
    tokens
}

fn until(chars: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    (from..chars.len()).find(|at| stop(chars[*at])).unwrap_or(chars.len())
}

fn block_comment(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn string(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

/// Where a raw (or byte) string that starts here ends.
fn raw_string(chars: &[char], from: usize) -> Option<usize> {
    if from > 0 && (chars[from - 1].is_alphanumeric() || chars[from - 1] == '_') {
        return None;
    }
    let quote = until(chars, from, |c| !matches!(c, 'r' | 'b' | 'c'));
    let open = until(chars, quote, |c| c != '#');
    if quote - from > 2 || chars.get(open) != Some(&'"') {
        return None;
    }
    if !chars[from..quote].contains(&'r') {
        return (open == quote).then(|| string(chars, open));
    }
    let hashes = open - quote;
    let closes = |at: usize| {
        chars[at] == '"' && (1..=hashes).all(|offset| chars.get(at + offset) == Some(&'#'))
    };
    (open + 1..chars.len()).find(|at| closes(*at)).map(|at| at + 1 + hashes)
}

/// A character, or the tick of a lifetime.
fn character(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), _) => until(chars, from + 3, |c| c == '\'') + 1,
        (Some(_), Some('\'')) => from + 3,
        _ => from + 1,
    }
}

/// Lines that are no tests: a test module at the end of a file, or one in a file of its own, is left out.
fn own_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let (mut own, mut at) = (0, 0);
    while at < lines.len() {
        let opens = lines[at].trim() == "#[cfg(test)]"
            && lines.get(at + 1).is_some_and(|line| line.contains("mod "));
        if !opens {
            own += 1;
            at += 1;
        } else if lines[at + 1].trim_end().ends_with(';') {
            at += 2;
        } else {
            let end = (at..lines.len()).find(|line| lines[*line] == "}");
            at = end.map_or(lines.len(), |end| end + 1);
        }
    }
    own
}

pub fn is_test_file(file: &Path) -> bool {
    let stem = file.file_stem().unwrap().to_string_lossy();
    let in_folder = file.components().any(|part| part.as_os_str() == "tests");
    stem == "tests" || stem.ends_with("_tests") || in_folder
}

pub fn sources() -> Vec<PathBuf> {
    files_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
        .into_iter()
        .map(|file| file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned())
        .collect()
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut files = crate::harness::files_under(folder);
    files.retain(|file| file.extension().is_some_and(|ending| ending == "rs"));
    files.sort();
    files
}

/// `src/engine/secure/batch.rs` → `engine::secure::batch`; the crate's root is empty.
fn module_of(file: &Path) -> Vec<String> {
    let inner = file.strip_prefix("src").unwrap().with_extension("");
    let mut parts: Vec<String> =
        inner.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod" || last == "lib") {
        parts.pop();
    }
    parts
}
