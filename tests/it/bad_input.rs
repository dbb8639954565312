//! The list of bad input in `docs/bad-input.md`: every row has its test, every message its snapshot, and no
//! snapshot lies about that no test reads.

use std::collections::BTreeSet;
use std::path::Path;

use crate::harness::snapshot;

/// Snapshots that hold what is told of bad input.
const FOLDERS: [&str; 2] = ["bad-input", "config"];

/// (path of a test, its snapshots) of each row.
fn rows() -> Vec<(String, Vec<String>)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/bad-input.md");
    let text = std::fs::read_to_string(file).unwrap();
    let quoted = |cell: &str| -> Vec<String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains(".txt`"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let [_, _, test, snapshots] = cells[..] else { panic!("four cells in {line}") };
        (quoted(test).remove(0), quoted(snapshots))
    })
    .collect()
}

fn kept() -> BTreeSet<String> {
    let named = |folder: &&str| {
        let files = std::fs::read_dir(snapshot::folder().join(folder)).unwrap();
        let name = |file: std::io::Result<std::fs::DirEntry>| {
            format!("{folder}/{}", file.unwrap().file_name().to_str().unwrap())
        };
        files.map(name).collect::<Vec<_>>()
    };
    FOLDERS.iter().flat_map(named).collect()
}

#[test]
fn every_row_of_the_list_has_its_test_and_every_snapshot_its_row() {
    let mut listed = BTreeSet::new();
    for (test, snapshots) in rows() {
        let (module, name) = test.rsplit_once("::").unwrap();
        let file = format!("tests/it/{}.rs", module.replace("::", "/"));
        let code = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&file));
        let code = code.unwrap_or_else(|error| panic!("{file}: {error}"));
        let Some((_, code)) = code.split_once(&format!("fn {name}()")) else {
            panic!("{file} has no test `{name}`")
        };
        let body = code.split_once("\n}\n").map_or(code, |(body, _)| body);
        for snapshot in snapshots {
            let bare = snapshot.trim_end_matches(".txt");
            let stem = bare.rsplit('/').next().unwrap();
            let is_read = [format!("\"{stem}\""), format!("\"{snapshot}\"")];
            assert!(is_read.iter().any(|word| body.contains(word)), "{test} reads no {snapshot}");
            assert!(listed.insert(snapshot.clone()), "{snapshot} is listed twice");
        }
    }
    let differing: Vec<_> = listed.symmetric_difference(&kept()).cloned().collect();
    assert_eq!(differing, Vec::<String>::new(), "listed without a file, or there without a row");
}
