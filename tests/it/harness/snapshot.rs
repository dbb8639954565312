//! Texts kept beside the tests: `SNAPSHOTS=write` writes them anew, to be looked at before they are
//! committed.

use std::path::Path;

/// Compares a text with the one kept under `tests/snapshots/`.
pub fn same(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("SNAPSHOTS").is_some_and(|word| word == "write") {
        super::write(&path, text);
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == text,
        "{name} has changed; SNAPSHOTS=write keeps the new text.\n--- kept\n{kept}\n--- now\n{text}"
    );
}
