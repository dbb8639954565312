//! CSV as the world writes it: separators named in the file, byte order marks, older encodings.

use forthwith::source::{CsvSettings, CsvSource, Encoding, Row, Source};

use super::bad_input::{read, refused, settings};
use crate::harness::snapshot::Told;

const COLUMNS: &str = "account = \"id\"\naddress = \"email\"\nname = \"name\"";
const PEOPLE: &str = "id,email,name\r\n1,zoe@x.org,Zoë\r\n2,b@x.org,\"two\r\nlines\"\r\n";

fn of(encoding: Encoding) -> CsvSettings {
    settings(COLUMNS, encoding)
}

fn utf_16(text: &str, is_big_endian: bool) -> Vec<u8> {
    let units = "\u{FEFF}".encode_utf16().chain(text.encode_utf16());
    units
        .flat_map(|unit| if is_big_endian { unit.to_be_bytes() } else { unit.to_le_bytes() })
        .collect()
}

fn latin(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap()).collect()
}

/// The first person's name, and the lines of the good rows.
async fn first(bytes: &[u8], settings: &CsvSettings) -> (String, Vec<u64>) {
    let (lines, rejects) = read(bytes, settings).await;
    assert_eq!(rejects, "");
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("people.csv"), bytes).unwrap();
    let mut source = CsvSource::open(settings, dir.path()).unwrap();
    let rows = source.next_batch(1, &mut |_| {}).await.unwrap();
    let Row::Good { recipient, .. } = &rows[0] else { panic!("rejected") };
    (recipient.name.as_ref().unwrap().as_str().to_owned(), lines)
}

#[tokio::test]
async fn every_encoding_gives_the_same_people_on_the_same_lines() {
    for (bytes, encoding) in [
        (PEOPLE.as_bytes().to_vec(), Encoding::Utf8),
        (format!("\u{FEFF}{PEOPLE}").into_bytes(), Encoding::Utf8),
        (latin(PEOPLE), Encoding::Windows1252),
        (utf_16(PEOPLE, false), Encoding::Utf16),
        (utf_16(PEOPLE, true), Encoding::Utf16),
    ] {
        assert_eq!(first(&bytes, &of(encoding)).await, ("Zoë".into(), vec![2, 3]));
    }
}

#[tokio::test]
async fn the_line_that_names_the_separator_is_no_header() {
    for (separator, head) in [(";", "sep=;\r\n"), ("\t", "sep=\t\n"), ("|", "\"sep=|\"\n")] {
        let file = format!("{head}{}", PEOPLE.replace(',', separator));
        assert_eq!(first(file.as_bytes(), &of(Encoding::Utf8)).await, ("Zoë".into(), vec![3, 4]));
        let wide = utf_16(&file, false);
        assert_eq!(first(&wide, &of(Encoding::Utf16)).await, ("Zoë".into(), vec![3, 4]));
    }
    let file = format!("sep=;\n{}", PEOPLE.replace(',', ";"));
    let agreed = CsvSettings { delimiter: Some(';'), ..of(Encoding::Utf8) };
    assert_eq!(first(file.as_bytes(), &agreed).await.0, "Zoë");
    let contradicted = CsvSettings { delimiter: Some(','), ..of(Encoding::Utf8) };
    let mut told = Told::of("separator");
    refused(&mut told, "set and named, and not the same", file.as_bytes(), &contradicted);
    let quote = CsvSettings { delimiter: Some('"'), ..of(Encoding::Utf8) };
    refused(&mut told, "a quote", b"id,email,name\n", &quote);
    refused(&mut told, "a quote by the file", b"sep=\"\nid,email,name\n", &of(Encoding::Utf8));
    told.same();
}

#[tokio::test]
async fn rows_that_a_bad_quote_swallowed_are_given_back_in_utf_16_too() {
    let file =
        utf_16("id,email,name\n1,a@x.org,\"Ada\n2,b@x.org,Bo\n3,c@x.org,\"x\"y\n4,d@x,é\n", true);
    let (good, rejects) = read(&file, &of(Encoding::Utf16)).await;
    assert_eq!(good, [3, 5]);
    assert_eq!(rejects.lines().count(), 2);
    let broken = [utf_16("id,email,name\n1,a@x.org,", false), b"\x00\xD8\n\0".to_vec()].concat();
    let (good, rejects) = read(&broken, &of(Encoding::Utf16)).await;
    assert!(good.is_empty() && rejects.starts_with("2,name,not-utf8: not UTF-8; "), "{rejects}");
}

#[tokio::test]
async fn a_wrong_encoding_is_named_with_the_right_one() {
    let mut told = Told::of("wrong-encoding");
    for (input, bytes, encoding) in [
        ("UTF-16, none set", utf_16(PEOPLE, false), Encoding::Utf8),
        ("the same without a mark", utf_16(PEOPLE, false)[2..].to_vec(), Encoding::Utf8),
        ("UTF-16 without a mark", utf_16(PEOPLE, false)[2..].to_vec(), Encoding::Utf16),
        ("UTF-8, Windows-1252 set", PEOPLE.as_bytes().to_vec(), Encoding::Windows1252),
        ("UTF-8 with a mark, UTF-16 set", b"\xEF\xBB\xBFid\n".to_vec(), Encoding::Utf16),
        ("a header in Windows-1252, none set", latin("id,email,straße\n"), Encoding::Utf8),
    ] {
        refused(&mut told, input, &bytes, &of(encoding));
    }
    // with a header of ASCII letters, each row that is not UTF-8 is kept and the others are read
    let (good, rejects) = read(&latin(PEOPLE), &of(Encoding::Utf8)).await;
    assert_eq!(good, [3]);
    told.rejects("a row in Windows-1252, none set", &rejects);
    let odd = [utf_16("id,email,name\n1,a@x.org,Ada\n2,b@x.org,B", false), b"o".to_vec()].concat();
    let (good, rejects) = read(&odd, &of(Encoding::Utf16)).await;
    assert_eq!(good, [2]);
    told.rejects("UTF-16 of an odd number of bytes", &rejects);
    told.same();
}

/// Plain rows that fill several reads of the file, then one with a letter beyond ASCII.
fn late(letter: &[u8]) -> Vec<u8> {
    let mut file = b"id,email,name\n".to_vec();
    for id in 0..10_000 {
        file.extend_from_slice(format!("{id},p{id}@x.org,Ada\n").as_bytes());
    }
    [&file[..], b"late,late@x.org,Zo", letter, b"\n"].concat()
}

/// Reads a file of the encoding named to its end.
async fn to_its_end(bytes: &[u8], encoding: Encoding) -> Result<usize, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("people.csv"), bytes).unwrap();
    let mut source = CsvSource::open(&of(encoding), dir.path()).unwrap();
    let mut rows = 0;
    loop {
        match source.next_batch(1_000, &mut |_| {}).await {
            Ok(batch) if batch.is_empty() => return Ok(rows),
            Ok(batch) => rows += batch.len(),
            Err(error) => return Err(error.to_string()),
        }
    }
}

#[tokio::test]
async fn letters_that_are_utf_8_after_all_are_seen_wherever_in_the_file_they_stand() {
    let refused = to_its_end(&late("ë".as_bytes()), Encoding::Windows1252).await.unwrap_err();
    assert!(refused.contains("its letters beyond ASCII are UTF-8; hint: "), "{refused}");
    assert_eq!(to_its_end(&late(b"\xEB"), Encoding::Windows1252).await, Ok(10_001));
    assert_eq!(to_its_end(&late(b"e"), Encoding::Windows1252).await, Ok(10_001));
    assert_eq!(to_its_end(&late("ë".as_bytes()), Encoding::Utf8).await, Ok(10_001));
}
