use std::io::Cursor;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;

fn records(bytes: &[u8]) -> Records<Cursor<&[u8]>> {
    let mut records = Records::lines(Cursor::new(bytes), Encoding::Utf8);
    records.delimit(b',');
    records
}

/// (line, raw row, fault) of every row, and what the tap saw.
type Cut = Vec<(u64, Vec<u8>, Option<RejectReason>)>;

fn cut(bytes: &[u8]) -> (Cut, Vec<u8>) {
    let (mut rows, mut seen) = (Vec::new(), Vec::new());
    let mut records = records(bytes);
    let tap: Tap<'_> = &mut |bytes| seen.extend_from_slice(bytes);
    while let Some(record) = records.next(tap).unwrap() {
        rows.push((record.line, records.raw().to_vec(), record.fault));
    }
    assert_eq!(records.offset(), bytes.len() as u64);
    (rows, seen)
}

fn lines(text: &str) -> Vec<(u64, String, Option<RejectReason>)> {
    let rows = cut(text.as_bytes()).0.into_iter();
    rows.map(|(line, raw, fault)| (line, String::from_utf8(raw).unwrap(), fault)).collect()
}

#[test]
fn rows_are_lines_and_quoted_line_breaks_count() {
    let text = "\u{FEFF}a,b\r\n1,\"x\r\ny\"\r\n\n\r\n2,\"\"\"\n\"\n3,5\"x\n4,z";
    let rows: Vec<_> = lines(text)
        .into_iter()
        .map(|(line, raw, fault)| {
            assert_eq!(fault, None);
            (line, raw)
        })
        .collect();
    let expected =
        [(1, "a,b"), (2, "1,\"x\r\ny\""), (6, "2,\"\"\"\n\""), (8, "3,5\"x"), (9, "4,z")];
    assert_eq!(rows, expected.map(|(line, raw)| (line, raw.to_owned())));
    assert!(lines("").is_empty() && lines("\u{FEFF}").is_empty() && lines("\n\r\n").is_empty());
}

#[test]
fn where_quotes_mean_nothing_every_line_is_a_row() {
    let text = b"{\"a\": \"\n\"b\n\n\r\nc\"";
    let mut lines = Records::lines(Cursor::new(&text[..]), Encoding::Utf8);
    for (line, raw) in [(1, "{\"a\": \""), (2, "\"b"), (5, "c\"")] {
        assert_eq!(lines.next(&mut |_| {}).unwrap(), Some(Record { line, fault: None }));
        assert_eq!(lines.raw(), raw.as_bytes());
    }
    assert_eq!(lines.next(&mut |_| {}).unwrap(), None);
}

#[test]
fn a_line_that_names_the_separator_is_read_past() {
    for (text, named, line) in [
        ("sep=;\r\na;b\n", Some(b';'), 2),
        ("\u{FEFF}SEP=\t\na\tb", Some(b'\t'), 2),
        ("\"sep=|\"\na|b", Some(b'|'), 2),
        ("sep=;", Some(b';'), 2),
        ("sep=\r\na,b", None, 1),
        ("sep=;;\na,b", None, 1),
        ("separator\na", None, 1),
        ("", None, 1),
    ] {
        let mut records = records(text.as_bytes());
        assert_eq!(records.separator(&mut |_| {}).unwrap(), named, "{text:?}");
        assert_eq!(records.line(), line, "{text:?}");
    }
}

#[test]
fn a_quote_that_is_never_closed_costs_its_own_line_only() {
    let unclosed = Some(RejectReason::UnclosedQuote);
    let text = "a,b\n1,\"Joe\r\n2,Ann\n3,\"\"\n4,\"open";
    let expected = [
        (1, "a,b", None),
        (2, "1,\"Joe", unclosed),
        (3, "2,Ann", None),
        (4, "3,\"\"", None),
        (5, "4,\"open", unclosed),
    ];
    assert_eq!(lines(text), expected.map(|(l, raw, fault)| (l, raw.to_owned(), fault)));
}

#[test]
fn text_after_a_closing_quote_gives_the_swallowed_lines_back() {
    let broken = Some(RejectReason::TextAfterQuote);
    let unclosed = Some(RejectReason::UnclosedQuote);
    let text = "1,\"Joe\n2,Ann\n3,\"Bob\"\n4,\"x\"y,z\n5,\"x\"\r6\n7,w";
    let expected = [
        (1, "1,\"Joe", unclosed),
        (2, "2,Ann", None),
        (3, "3,\"Bob\"", None),
        (4, "4,\"x\"y,z", broken),
        (5, "5,\"x\"\r6", broken),
        (6, "7,w", None),
    ];
    assert_eq!(lines(text), expected.map(|(l, raw, fault)| (l, raw.to_owned(), fault)));
}

#[test]
fn a_row_of_any_length_takes_bounded_memory_and_the_next_one_is_read() {
    let huge = 3 * RECORD_BYTES;
    for quote in ["", "\""] {
        let text = format!("1,{quote}{}{quote}\n2,x\n", "y".repeat(huge));
        let (rows, seen) = cut(text.as_bytes());
        let bytes = (2 + huge + 2 * quote.len()) as u64;
        assert_eq!((rows[0].0, rows[0].1.len()), (1, RECORD_BYTES));
        assert_eq!(rows[0].2, Some(RejectReason::RowTooLong { bytes }));
        assert_eq!(rows[1], (2, b"2,x".to_vec(), None));
        assert!(seen == text.as_bytes());
    }
    let text = format!("1,\"{}\n2,x\n", "y\n".repeat(huge));
    let (rows, seen) = cut(text.as_bytes());
    assert!(seen == text.as_bytes());
    assert_eq!(rows[0], (1, b"1,\"y".to_vec(), Some(RejectReason::UnclosedQuote)));
    assert_eq!(rows.last(), Some(&(huge as u64 + 2, b"2,x".to_vec(), None)));
}

#[test]
fn a_file_of_unclosed_quotes_ends_in_an_error_and_not_in_hours() {
    // every row leaves a quote open up to the end of the file
    let text = "a\",\"\"\"\n".repeat(60_000);
    let mut records = records(text.as_bytes());
    let end = loop {
        match records.next(&mut |_| {}) {
            Ok(Some(_)) => {}
            other => break other,
        }
    };
    assert!(matches!(end, Err(RecordError::Quoting)));
}

#[test]
fn any_bytes_are_cut_as_the_csv_crate_cuts_them_where_the_quotes_are_whole() {
    let mut rng = SmallRng::seed_from_u64(3);
    let letters = b"a,\"\n\r ";
    let mut whole = 0;
    for _ in 0..20_000 {
        let length = rng.random_range(0..24);
        let bytes: Vec<u8> =
            (0..length).map(|_| letters[rng.random_range(0..letters.len())]).collect();
        let (rows, seen) = cut(&bytes);
        assert_eq!(seen, bytes);
        let kept: usize = rows.iter().map(|(_, raw, _)| raw.len()).sum();
        let breaks = bytes.iter().filter(|b| b"\r\n".contains(b)).count();
        assert!(kept <= bytes.len() && kept + breaks >= bytes.len(), "{bytes:?}");
        if rows.iter().any(|(.., fault)| fault.is_some()) || bytes.contains(&b'\r') {
            continue;
        }
        whole += 1;
        let mut reader = ::csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(bytes.as_slice());
        assert_eq!(reader.byte_records().count(), rows.len(), "{bytes:?}");
    }
    assert!(whole > 1_000, "{whole}");
}
