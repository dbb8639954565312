//! A list of breached passwords as it is read: a hash a line, or a password a line.

use std::io::{self, BufRead, Read as _};

use zeroize::Zeroizing;

use super::reject::RejectReason;
use crate::secret::breached::breach_key;

/// No line of such a list is longer; it bounds memory where a file is none.
const LONGEST: usize = 64 * 1024;
/// Hexadecimal digits of a SHA-1.
const DIGITS: usize = 40;

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListForm {
    /// A SHA-1 in hexadecimal digits a line, with `:` and how often it was seen after it: what
    /// `haveibeenpwned-downloader` writes.
    Hashes,
    /// A password a line, in UTF-8.
    Plain,
}

/// A list, a line after the other. What it holds is wiped when it is dropped.
pub struct Lines<R> {
    reader: R,
    form: ListForm,
    text: Zeroizing<Vec<u8>>,
    /// Lines read.
    pub line: u64,
    /// Bytes read.
    pub bytes: u64,
}

impl<R: BufRead> Lines<R> {
    /// Of a reader.
    pub fn of(reader: R, form: ListForm) -> Self {
        let text = Zeroizing::new(Vec::with_capacity(LONGEST + 2));
        Self { reader, form, text, line: 0, bytes: 0 }
    }

    /// The next line's hash, or why it has none; nothing at the end.
    pub fn next(&mut self) -> io::Result<Option<Result<u64, RejectReason>>> {
        self.text.clear();
        let most = LONGEST as u64 + 2;
        let read = self.reader.by_ref().take(most).read_until(b'\n', &mut self.text)?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        self.bytes += read as u64;
        let is_whole = self.text.ends_with(b"\n");
        if !is_whole && read as u64 == most {
            self.bytes += self.reader.skip_until(b'\n')? as u64;
            self.text.truncate(LONGEST);
            return Ok(Some(Err(RejectReason::TooLong)));
        }
        if is_whole {
            self.text.pop();
        }
        if self.text.ends_with(b"\r") {
            self.text.pop();
        }
        Ok(Some(key_of(self.form, &self.text)))
    }

    /// The line read last, at most 64 KiB of it.
    pub fn text(&self) -> &[u8] {
        &self.text
    }
}

fn key_of(form: ListForm, line: &[u8]) -> Result<u64, RejectReason> {
    match form {
        _ if line.is_empty() => Err(RejectReason::Empty),
        ListForm::Plain if std::str::from_utf8(line).is_err() => Err(RejectReason::NotUtf8),
        ListForm::Plain => Ok(breach_key(line)),
        ListForm::Hashes => hash(line),
    }
}

fn hash(line: &[u8]) -> Result<u64, RejectReason> {
    let Some((digits, rest)) = line.split_at_checked(DIGITS) else {
        return Err(RejectReason::NoHash);
    };
    let mut key = 0;
    for (at, digit) in digits.iter().enumerate() {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'F' => digit - b'A' + 10,
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return Err(RejectReason::NoHash),
        };
        if at < 16 {
            key = key << 4 | u64::from(value);
        }
    }
    match rest.split_first() {
        None => Ok(key),
        Some((b':', count)) if count.is_empty() || !count.iter().all(u8::is_ascii_digit) => {
            Err(RejectReason::NoCount)
        }
        Some((b':', count)) if count.iter().all(|digit| *digit == b'0') => {
            Err(RejectReason::Padding)
        }
        Some((b':', _)) => Ok(key),
        Some(_) => Err(RejectReason::NoHash),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8";

    fn all(form: ListForm, text: &[u8]) -> Vec<Result<u64, RejectReason>> {
        let mut lines = Lines::of(text, form);
        let mut found = Vec::new();
        while let Some(one) = lines.next().unwrap() {
            found.push(one);
        }
        assert_eq!(lines.bytes, text.len() as u64);
        assert_eq!(lines.line, found.len() as u64);
        found
    }

    #[test]
    fn a_hash_is_read_with_its_count_and_what_is_none_is_told_why() {
        let key = 0x5BAA_61E4_C9B9_3F3F;
        for (line, read) in [
            (HASH.to_owned(), Ok(key)),
            (format!("{HASH}:10434004"), Ok(key)),
            (HASH.to_lowercase() + ":1", Ok(key)),
            (format!("{HASH}:0"), Err(RejectReason::Padding)),
            (format!("{HASH}:"), Err(RejectReason::NoCount)),
            (format!("{HASH}:1,000"), Err(RejectReason::NoCount)),
            (format!("{HASH} 7"), Err(RejectReason::NoHash)),
            (HASH[..39].to_owned(), Err(RejectReason::NoHash)),
            (HASH.replace('5', "G"), Err(RejectReason::NoHash)),
            ("hunter2".to_owned(), Err(RejectReason::NoHash)),
            (String::new(), Err(RejectReason::Empty)),
        ] {
            assert_eq!(all(ListForm::Hashes, format!("{line}\n").as_bytes()), [read], "{line}");
        }
        let text = format!("{HASH}:3\r\n{HASH}:3");
        assert_eq!(all(ListForm::Hashes, text.as_bytes()), [Ok(key), Ok(key)], "no end needed");
    }

    #[test]
    fn a_plain_line_is_a_password_as_it_stands() {
        let found = all(ListForm::Plain, "password\n password \r\ncafé\n\n".as_bytes());
        assert_eq!(found[0], Ok(breach_key(b"password")));
        assert_eq!(found[1], Ok(breach_key(b" password ")), "white space belongs to it");
        assert_eq!(found[2], Ok(breach_key("café".as_bytes())));
        assert_eq!(found[3], Err(RejectReason::Empty));
        assert_eq!(all(ListForm::Plain, b"caf\xe9\n"), [Err(RejectReason::NotUtf8)]);
    }

    #[test]
    fn an_endless_line_takes_no_more_memory_and_the_next_one_is_read() {
        let text = format!("{}\n{HASH}\n", "a".repeat(3 * LONGEST));
        let mut lines = Lines::of(text.as_bytes(), ListForm::Hashes);
        assert_eq!(lines.next().unwrap(), Some(Err(RejectReason::TooLong)));
        assert!(lines.text.capacity() <= 2 * LONGEST);
        assert!(matches!(lines.next().unwrap(), Some(Ok(_))));
        assert_eq!(lines.line, 2);
    }
}
