//! Names are written by strangers and stand inside signed mail: what may, and what may not.

use forthwith::domain::field::Name;

use crate::harness::table;

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
