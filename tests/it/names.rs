//! Names are written by strangers and stand inside signed mail: what may, and what may not.

use std::collections::BTreeMap;

use forthwith::domain::field::Name;

use crate::harness::{snapshot, table};

#[test]
fn each_name_of_the_table_has_its_verdict() {
    let rows = table::rows("names.tsv");
    assert!(rows.len() >= 40, "{} names", rows.len());
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let found = match Name::parse(&row.text) {
                Ok(_) => "ok".to_owned(),
                Err(refusal) => table::word(&refusal),
            };
            let differs = found != row.verdict;
            differs.then(|| {
                format!("{:?} ({}): {} expected, {found} found", row.text, row.source, row.verdict)
            })
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_reason_against_a_name_says_something_of_its_own_and_never_shows_the_name() {
    let mut told = BTreeMap::new();
    for row in table::rows("names.tsv") {
        let Err(refusal) = Name::parse(&row.text) else { continue };
        let words = refusal.to_string();
        assert!(row.text.trim().len() < 4 || !words.contains(row.text.trim()), "{words}");
        told.insert(row.verdict, words);
    }
    let lines: Vec<_> =
        told.iter().map(|(verdict, words)| format!("{verdict}: {words}\n")).collect();
    snapshot::same("bad-input/names.txt", &lines.concat());
}
