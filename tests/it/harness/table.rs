//! Tables of texts with their verdicts, kept as data: `tests/data/*.tsv`.

use std::path::Path;

/// One row of a table.
pub struct Row {
    /// The text itself, its escapes undone.
    pub text: String,
    /// What should become of it.
    pub verdict: String,
    /// Where the verdict comes from.
    pub source: String,
}

/// Reads a table; every row has its three parts.
pub fn rows(name: &str) -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("# "));
    lines
        .map(|line| {
            let parts: Vec<&str> = line.split('\t').collect();
            let [text, verdict, source] = parts[..] else { panic!("three parts in {line:?}") };
            assert!(!source.is_empty(), "{line:?}");
            Row { text: plain(text), verdict: verdict.into(), source: source.into() }
        })
        .collect()
}

/// Undoes the escapes: `\\ \t \r \n`, `\u{200b}`, and `\{x*64}` for 64 times x.
fn plain(written: &str) -> String {
    let mut text = String::new();
    let mut rest = written;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let braced = |rest: &str| rest.split_once('}').map(|(inner, _)| inner.to_owned()).unwrap();
        let step = match rest.as_bytes()[0] {
            b'u' => {
                let code = braced(&rest[2..]);
                text.push(char::from_u32(u32::from_str_radix(&code, 16).unwrap()).unwrap());
                code.len() + 3
            }
            b'{' => {
                let inner = braced(&rest[1..]);
                let (what, times) = inner.rsplit_once('*').unwrap();
                text.push_str(&what.repeat(times.parse().unwrap()));
                inner.len() + 2
            }
            letter => {
                let known = [(b'\\', '\\'), (b't', '\t'), (b'r', '\r'), (b'n', '\n')];
                text.push(known.iter().find(|(escape, _)| *escape == letter).unwrap().1);
                1
            }
        };
        rest = &rest[step..];
    }
    text + rest
}

/// The word of a verdict: `LocalSyntax` is `local-syntax`.
pub fn word(verdict: &impl std::fmt::Debug) -> String {
    let mut word = String::new();
    for c in format!("{verdict:?}").chars() {
        if c.is_uppercase() && !word.is_empty() {
            word.push('-');
        }
        word.extend(c.to_lowercase());
    }
    word
}
