//! Rows as long as rows may be: a batch of them takes some megabytes, not a gigabyte.

use std::path::Path;

use forthwith::source::{AudienceOrigin, AudienceSettings, Row, Source};

/// Rows of a megabyte each, a file of them.
const ROWS: usize = 40;
const ROW_BYTES: usize = 1024 * 1024;
/// What a batch may hold: eight megabytes, the row that fills them, and the four that are looked at for the
/// keys of NDJSON.
const BATCH_BYTES: usize = 14 * 1024 * 1024;

async fn open(folder: &Path, audience: &str) -> Box<dyn Source> {
    let settings: AudienceSettings = toml::from_str(audience).unwrap();
    match settings.origin {
        AudienceOrigin::Source(source) => source.open(folder).await.unwrap(),
        AudienceOrigin::Campaign(people) => panic!("{people}"),
    }
}

/// How many rows there are in all, of which each batch held at most [`BATCH_BYTES`].
async fn read(mut source: Box<dyn Source>) -> usize {
    let mut rows = 0;
    loop {
        let batch = source.next_batch(1_000, &mut |_| {}).await.unwrap();
        if batch.is_empty() {
            return rows;
        }
        rows += batch.len();
        let bytes = batch.iter().map(|row| match row {
            Row::Rejected(reject) => reject.raw.len(),
            Row::Good { recipient, .. } => recipient.canonical().len(),
        });
        let bytes: usize = bytes.sum();
        assert!(bytes <= BATCH_BYTES, "{bytes} bytes in {} rows", batch.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_long_rows_ends_before_it_takes_memory() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("{}\n", "x".repeat(ROW_BYTES));
    let people = "7,a@x.org\n".repeat(3);
    std::fs::write(
        folder.path().join("p.csv"),
        format!("id,email\n{people}{}{people}", long.repeat(ROWS)),
    )
    .unwrap();
    let csv = "csv = { path = \"p.csv\", columns = { account = \"id\", address = \"email\" } }";
    assert_eq!(read(open(folder.path(), csv).await).await, ROWS + 6);

    std::fs::write(
        folder.path().join("p.ndjson"),
        format!("{{\"id\": 7}}\n{}{{\"id\": 8}}\n", long.repeat(ROWS)),
    )
    .unwrap();
    let ndjson = "ndjson = { path = \"p.ndjson\", columns = { account = \"id\" } }";
    assert_eq!(read(open(folder.path(), ndjson).await).await, ROWS + 2);

    // an empty file is a database without tables
    std::fs::write(folder.path().join("p.db"), "").unwrap();
    let sql = "sql = { url = \"sqlite:p.db\", query = \"WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL \
               SELECT id + 1 FROM n WHERE id < 400) SELECT NULL AS id, printf('%.*c', 60000, 'y') AS a, \
               printf('%.*c', 60000, 'z') AS b FROM n\", columns = { account = \"id\", address = \
               \"a\", name = \"b\" } }";
    assert_eq!(read(open(folder.path(), sql).await).await, 400);
}
