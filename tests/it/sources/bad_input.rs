//! Every kind of broken file: each message as it stands, and everybody else read.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use forthwith::domain::totals::SourceTotals;
use forthwith::engine::EngineError;
use forthwith::source::{
    CsvSettings, CsvSource, Encoding, NdjsonSettings, NdjsonSource, RejectFile, Row, Source,
};

use crate::harness::audience::{csv_audience, with_audience};
use crate::harness::snapshot::Told;
use crate::harness::{CAMPAIGN, House, Plan, campaign_file};

const COLUMNS: &str = "account = \"id\"\naddress = \"email\"\nname = \"name\"";

pub fn settings(columns: &str, encoding: Encoding) -> CsvSettings {
    CsvSettings {
        path: "people.csv".into(),
        delimiter: None,
        encoding,
        columns: toml::from_str(columns).unwrap(),
    }
}

/// What a file that cannot be read is refused with.
pub fn refused(told: &mut Told, input: &str, bytes: &[u8], settings: &CsvSettings) {
    let dir = tempfile::tempdir().unwrap();
    told.hide(&dir.path().display(), "<folder>");
    std::fs::write(dir.path().join("people.csv"), bytes).unwrap();
    let Err(error) = CsvSource::open(settings, dir.path()) else { panic!("{input}: it was taken") };
    told.error(input, EngineError::from(error));
}

/// (lines of the good rows, the file of rejects without its head).
pub async fn read(bytes: &[u8], settings: &CsvSettings) -> (Vec<u64>, String) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("people.csv"), bytes).unwrap();
    let mut source = CsvSource::open(settings, dir.path()).unwrap();
    let (mut good, mut seen) = (Vec::new(), Vec::new());
    let mut rejects = RejectFile::at(dir.path().join("rejects.csv"));
    loop {
        let batch =
            source.next_batch(100, &mut |bytes| seen.extend_from_slice(bytes)).await.unwrap();
        if batch.is_empty() {
            break;
        }
        for row in batch {
            match row {
                Row::Good { line, .. } => good.push(line),
                Row::Rejected(reject) => rejects.push(&reject).unwrap(),
            }
        }
    }
    assert!(seen == bytes, "the digest is that of the file's own bytes");
    let kept = rejects.finish().unwrap().path.map(|path| std::fs::read(path).unwrap());
    let kept = String::from_utf8_lossy(&kept.unwrap_or_default()).into_owned();
    (good, kept.strip_prefix("line,column,reason,row\n").unwrap_or(&kept).to_owned())
}

fn utf8() -> CsvSettings {
    settings(COLUMNS, Encoding::Utf8)
}

#[tokio::test]
async fn quotes_gone_wrong_cost_their_own_line() {
    let file = b"id,email,name\n1,a@x.org,\"Ada\n2,b@x.org,Bo\n3,c@x.org,\"Cy\"x\n\
                 4,d@x.org,\"two\nlines\"\n5,e@x.org,O\"Neill\n6,\"f@x.org,Flo\n";
    let (good, rejects) = read(file, &utf8()).await;
    assert_eq!(good, [3, 5, 7]);
    let mut told = Told::of("csv-quotes");
    told.rejects("quotes that are not closed, and one closed too early", &rejects);
    let every = "x\",\"\"\"\n".repeat(60_000);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("people.csv"), format!("id,email,name\n{every}")).unwrap();
    let mut source = CsvSource::open(&utf8(), dir.path()).unwrap();
    let error = loop {
        match source.next_batch(1_000, &mut |_| {}).await {
            Ok(rows) => assert!(!rows.is_empty(), "it ended"),
            Err(error) => break error,
        }
    };
    told.hide(&dir.path().display(), "<folder>");
    told.error("sixty thousand of them", EngineError::from(error));
    told.same();
}

#[tokio::test]
async fn a_nul_byte_rejects_its_row_and_in_the_header_the_file() {
    let (good, rejects) = read(b"id,email,name\n1,a@x.org,A\0da\n2,b@x.org,Bo\n", &utf8()).await;
    assert_eq!(good, [3]);
    let mut told = Told::of("nul-bytes");
    told.rejects("in a row", &rejects);
    refused(&mut told, "in the header", b"id,em\0ail,name\n", &utf8());
    told.same();
}

#[tokio::test]
async fn a_field_of_ten_megabytes_is_read_past() {
    let field = "x".repeat(10 * 1024 * 1024);
    let file = format!("id,email,name\n1,a@x.org,{field}\n2,b@x.org,\"{field}\"\n3,c@x.org,Cy\n");
    let (good, rejects) = read(file.as_bytes(), &utf8()).await;
    assert_eq!(good, [4]);
    let mut told = Told::of("long-field");
    told.rejects("ten megabytes, bare and in quotes", &rejects);
    let long = format!("id,email,name\n1,a@x.org,{}\n", "x".repeat(70_000));
    let (_, rejects) = read(long.as_bytes(), &utf8()).await;
    told.rejects("seventy thousand bytes", &rejects);
    told.same();
}

#[tokio::test]
async fn a_million_columns_are_no_table_of_people() {
    let commas = ",".repeat(999_999);
    let (good, rejects) =
        read(format!("id,email,name\n1{commas}\n2,b@x.org,Bo\n").as_bytes(), &utf8()).await;
    assert_eq!(good, [3]);
    let mut told = Told::of("million-columns");
    told.rejects("in a row", &rejects);
    let header = format!("id{commas}\n1,a@x.org,Ada\n");
    refused(&mut told, "in the header, without names", header.as_bytes(), &utf8());
    let mut named = String::from("id");
    for at in 1..1_000_000 {
        write!(named, ",c{at}").unwrap();
    }
    refused(&mut told, "in the header, each with a name", named.as_bytes(), &utf8());
    told.same();
}

#[test]
fn a_missing_or_doubled_column_is_named_with_what_may_be_meant() {
    let mut told = Told::of("missing-or-doubled-column");
    for (input, header) in [
        ("another name", "id,mail,name"),
        ("another case", "id,Email,name"),
        ("semicolons", "id;email;name"),
        ("tabs", "id\temail\tname"),
        ("twice", "id,email,name,email"),
        ("an empty file", ""),
        ("lines of a Mac", "id,email,name\r1,a@x.org,Ada\r2,b@x.org,Bo\r"),
    ] {
        refused(&mut told, input, header.as_bytes(), &utf8());
    }
    let nowhere = CsvSettings { path: "nowhere.csv".into(), ..utf8() };
    let error = CsvSource::open(&nowhere, Path::new("/tmp")).err().unwrap();
    told.error("no file", EngineError::from(error));
    told.same();
}

#[test]
fn a_file_that_is_no_ndjson_or_lacks_a_mapped_key_is_refused() {
    let mut told = Told::of("no-ndjson");
    let columns = "account = \"id\"\naddress = \"contact.email\"";
    let dir = tempfile::tempdir().unwrap();
    told.hide(&dir.path().display(), "<folder>");
    let settings =
        NdjsonSettings { path: "people.ndjson".into(), columns: toml::from_str(columns).unwrap() };
    for (input, bytes) in [
        ("one list", &b"[\n{\"id\": 1, \"contact\": {\"email\": \"a@x.org\"}}\n]\n"[..]),
        ("UTF-16", b"\xFF\xFE{\0}\0"),
        ("a mapped key that no object has", b"{\"id\": 1, \"email\": \"a@x.org\"}\n"),
    ] {
        std::fs::write(dir.path().join("people.ndjson"), bytes).unwrap();
        let error = NdjsonSource::open(&settings, dir.path()).err().unwrap();
        told.error(input, EngineError::from(error));
    }
    told.same();
}

/// A row in twenty is rubbish, of five kinds in turn; every row's line is its number and one.
fn row(number: u64, out: &mut Vec<u8>) {
    match number % 100 {
        7 => writeln!(out, ",lost{number}@x.org,Ada"),
        27 => writeln!(out, "A{number},b{number}@x.org"),
        47 => writeln!(out, "A{number},b{number}@x.org,\"Bo"),
        67 => out.write_all(b"A\xE9,b@x.org,Ada\n"),
        87 => writeln!(out, "A{number},\"b\"@x.org,Bo"),
        _ => writeln!(out, "A{number},a{number}@x.org,Ana Almeida"),
    }
    .unwrap();
}

/// The most memory this process ever had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_million_rows_of_which_one_in_twenty_is_rubbish_are_streamed() {
    let dir = tempfile::tempdir().unwrap();
    let mut out =
        std::io::BufWriter::new(std::fs::File::create(dir.path().join("people.csv")).unwrap());
    writeln!(out, "id,email,name").unwrap();
    let mut line = Vec::new();
    for number in 1..=1_000_000 {
        line.clear();
        row(number, &mut line);
        out.write_all(&line).unwrap();
    }
    drop(out);
    let before = peak();
    let mut source = CsvSource::open(&utf8(), dir.path()).unwrap();
    let mut rejects = RejectFile::at(dir.path().join("rejects.csv"));
    let mut good = 0_u64;
    loop {
        let batch = source.next_batch(1_000, &mut |_| {}).await.unwrap();
        if batch.is_empty() {
            break;
        }
        for row in batch {
            match row {
                Row::Good { line, recipient } => {
                    good += 1;
                    assert_eq!(recipient.account.as_str(), format!("A{}", line - 1));
                }
                Row::Rejected(reject) => rejects.push(&reject).unwrap(),
            }
        }
    }
    assert_eq!(good, 950_000);
    let counts = rejects.finish().unwrap().counts;
    let expected = ["field-count", "no-account", "not-utf8", "text-after-quote", "unclosed-quote"];
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), expected.map(|reason| (reason, 10_000)));
    let grown = peak() - before;
    assert!(grown < 32 * 1024, "{grown} KiB more for 47 MB of rows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_of_which_one_row_in_twenty_is_rubbish_accounts_for_every_row() {
    let house = House::furnished(Plan::default()).await;
    let mut file = b"customer_id,email,name\n".to_vec();
    for number in 1..=20_000 {
        row(number, &mut file);
    }
    std::fs::write(house.path("affected.csv"), file).unwrap();
    let sealed = house.engine.seal(CAMPAIGN, &forthwith::engine::progress::Silent).await.unwrap();
    let expected =
        SourceTotals { rows: 20_000, sealed: 19_000, duplicates: 0, conflicts: 0, rejected: 1_000 };
    assert_eq!(sealed.row.totals, expected);
    assert!(sealed.rejects.counts.values().all(|rows| *rows == 200));
    let kept = std::fs::read(house.path("rejects/thaw.csv")).unwrap();
    let kept = String::from_utf8_lossy(&kept);
    assert_eq!(kept.lines().count(), 1_001);
    let mut told = Told::of("rubbish-rows");
    told.rejects("the first five", &kept.lines().take(6).collect::<Vec<_>>().join("\n"));
    told.same();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audience_of_ndjson_is_sealed_and_told() {
    let audience = "[audience.ndjson]\npath = \"people.ndjson\"\ncolumns = { account = \"id\", address \
                    = \"contact.email\", name = \"contact.name\" }";
    let mut lines = String::from("\u{FEFF}");
    for id in 1..=40 {
        writeln!(
            lines,
            "{{\"id\": \"C{id:07}\", \"contact\": {{\"email\": \"p{id}@x.example\", \"name\": \"Ada\"}}, \
             \"more\": [1, 2]}}"
        )
        .unwrap();
    }
    lines.push_str("not json\n{\"id\": \"C1\", \"id\": \"C2\"}\n[]\n\n");
    let house = House::furnished(Plan { campaign: campaign_file(""), ..Plan::default() }).await;
    house.write_campaign(CAMPAIGN, audience);
    std::fs::write(house.path("people.ndjson"), lines).unwrap();
    let totals = house.seal_of(CAMPAIGN).await.unwrap().totals;
    let expected = SourceTotals { rows: 43, sealed: 40, duplicates: 0, conflicts: 0, rejected: 3 };
    assert_eq!(totals, expected);
    let rejects = std::fs::read_to_string(house.path("rejects/thaw.csv")).unwrap();
    let mut told = Told::of("ndjson-rows");
    told.rejects("no JSON, a key twice, no object", &rejects);
    told.same();
    house.approve_notice(CAMPAIGN).await;
    assert!(house.run().await.unwrap().is_finished);
    assert_eq!(house.taken().len(), 40);
}

#[test]
fn a_campaign_file_with_two_sources_or_none_says_which_there_are() {
    use forthwith::engine::campaign_file::CampaignFile;
    let two = with_audience(
        "[audience.csv]\npath = \"a\"\ncolumns = { account = \"a\" }\n[audience.campaign]\nname = \
         \"x\"\nclasses = [\"told\"]",
    );
    let mut told = Told::of("audience-tables");
    let classes = "[audience.campaign]\nname = \"x\"\nclasses = [\"tolled\"]";
    let latin = csv_audience("").replace("path =", "encoding = \"latin-1\"\npath =");
    for (input, text) in [
        ("two sources", two),
        ("none", with_audience("[audience]")),
        ("no class", with_audience(classes)),
        ("no encoding", with_audience(&latin)),
    ] {
        told.error(input, CampaignFile::parse(&text, "campaigns/x.toml").unwrap_err());
    }
    told.same();
}
