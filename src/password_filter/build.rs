//! A list of breached passwords becomes a filter.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::FilterError;
use super::list::{Lines, ListForm};
use super::reject::{Reject, Rejected, Rejects};
use super::sorter::Sorter;
use super::writer::{Stage, Writer, folder_of};

/// Lines or hashes after which it is told how far it is.
const OFTEN: u64 = 1 << 16;

/// What is to be built.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The list.
    pub source: &'a Path,
    /// The filter; one that is there is replaced when the new one is complete.
    pub out: &'a Path,
    /// How the list is written.
    pub form: ListForm,
    /// Whether the hashes of the list stand in their order.
    pub is_ordered: bool,
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Passwords in it.
    pub passwords: u64,
    /// Lines that name one once more.
    pub duplicates: u64,
    /// Lines that could not be used.
    pub rejected: Rejected,
    /// Its size.
    pub bytes: u64,
}

/// Builds a filter; `told` hears of the stage and how much of it is done.
pub fn build(wanted: &Wanted<'_>, told: &mut dyn FnMut(Stage, u64)) -> Result<Built, FilterError> {
    let Wanted { source, out, form, is_ordered } = *wanted;
    let folder = folder_of(out);
    let (of_source, of_out) =
        (|error| FilterError::file(source, error), |error| FilterError::file(out, error));
    let reader = BufReader::with_capacity(1 << 20, File::open(source).map_err(of_source)?);
    let mut lines = Lines::of(reader, form);
    let mut rejects = Rejects::in_folder(folder);
    let mut writer = Writer::begin(folder).map_err(of_out)?;
    let mut sorter =
        if is_ordered { None } else { Some(Sorter::in_folder(folder).map_err(of_out)?) };
    while let Some(read) = lines.next().map_err(of_source)? {
        let line = lines.line;
        let kept = match (read, &mut sorter) {
            (Err(reason), _) => rejects.push(Reject { line, reason }, lines.text()),
            (Ok(key), Some(sorter)) => sorter.push(key),
            (Ok(key), None) if !writer.follows(key) => {
                return Err(FilterError::NotInOrder { line });
            }
            (Ok(key), None) => writer.push(key),
        };
        kept.map_err(of_out)?;
        if line.is_multiple_of(OFTEN) {
            told(Stage::Reading, lines.bytes);
        }
    }
    told(Stage::Reading, lines.bytes);
    if let Some(sorter) = sorter {
        merge(sorter, &mut writer, told).map_err(of_out)?;
    }
    if writer.count() == 0 {
        return Err(nothing(form, lines.line));
    }
    let (passwords, duplicates) = (writer.count(), writer.duplicates);
    let rejected = rejects.finish(&rejected_beside(out)).map_err(of_out)?;
    let bytes = writer.finish(out, folder).map_err(of_out)?;
    Ok(Built { passwords, duplicates, rejected, bytes })
}

fn merge(sorter: Sorter, writer: &mut Writer, told: &mut dyn FnMut(Stage, u64)) -> io::Result<()> {
    let mut sorted = sorter.finish()?;
    let mut merged = 0;
    while let Some(key) = sorted.next()? {
        writer.push(key)?;
        merged += 1;
        if merged % OFTEN == 0 {
            told(Stage::Merging, merged);
        }
    }
    told(Stage::Merging, merged);
    Ok(())
}

fn nothing(form: ListForm, lines: u64) -> FilterError {
    match form {
        ListForm::Hashes => FilterError::Nothing {
            lines,
            wanted: "a SHA-1",
            hint: "`--plain` reads a list of passwords; a list of NTLM hashes cannot be used",
        },
        ListForm::Plain => FilterError::Nothing {
            lines,
            wanted: "a password in UTF-8",
            hint: "`iconv` turns a list in another encoding into UTF-8",
        },
    }
}

/// Where the rejects of a filter are kept.
fn rejected_beside(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".rejected");
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::password_filter::{PasswordFilter, RejectReason};

    struct Shelf(tempfile::TempDir);

    impl Shelf {
        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn build(
            &self,
            text: &[u8],
            form: ListForm,
            is_ordered: bool,
        ) -> Result<Built, FilterError> {
            let (source, out) = (self.path("list"), self.path("filter"));
            std::fs::write(&source, text).unwrap();
            build(&Wanted { source: &source, out: &out, form, is_ordered }, &mut |_, _| {})
        }

        fn files(&self) -> usize {
            std::fs::read_dir(self.0.path()).unwrap().count()
        }
    }

    fn shelf() -> Shelf {
        Shelf(tempfile::tempdir().unwrap())
    }

    fn words(from: u32, until: u32) -> Vec<String> {
        (from..until).map(|at| format!("the password {at}")).collect()
    }

    #[test]
    fn every_password_of_the_list_is_found_and_no_other() {
        let shelf = shelf();
        let list = words(0, 20_000);
        let text = list.join("\n") + "\n" + &list[..500].join("\n");
        let built = shelf.build(text.as_bytes(), ListForm::Plain, false).unwrap();
        assert_eq!((built.passwords, built.duplicates), (20_000, 500));
        assert_eq!(built.rejected, Rejected::default());
        assert_eq!(built.bytes, shelf.path("filter").metadata().unwrap().len());
        let filter = PasswordFilter::open(&shelf.path("filter")).unwrap();
        assert_eq!(filter.count(), 20_000);
        assert!(list.iter().all(|word| filter.holds(word).unwrap()));
        assert!(words(20_000, 40_000).iter().all(|word| !filter.holds(word).unwrap()));
    }

    #[test]
    fn hashes_in_order_make_the_same_file_as_their_passwords() {
        let shelf = shelf();
        let list = words(0, 3_000);
        shelf.build(list.join("\n").as_bytes(), ListForm::Plain, false).unwrap();
        let from_words = std::fs::read(shelf.path("filter")).unwrap();
        let mut hashes: Vec<String> = list
            .iter()
            .map(|word| {
                let key = crate::secret::breached::breach_key(word.as_bytes());
                format!("{key:016X}{}:7", "0".repeat(24))
            })
            .collect();
        let shuffled = shelf.build(hashes.join("\n").as_bytes(), ListForm::Hashes, true);
        assert!(matches!(shuffled, Err(FilterError::NotInOrder { .. })), "{shuffled:?}");
        assert_eq!(std::fs::read(shelf.path("filter")).unwrap(), from_words, "the old one stays");
        hashes.sort_unstable();
        let text = hashes.join("\r\n");
        shelf.build(text.as_bytes(), ListForm::Hashes, true).unwrap();
        assert_eq!(std::fs::read(shelf.path("filter")).unwrap(), from_words);
        assert_eq!(shelf.files(), 2, "nothing is left beside them");
    }

    #[test]
    fn lines_of_no_use_are_counted_and_kept_and_never_printed() {
        let shelf = shelf();
        let hash = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8";
        let text = format!("hunter2\n{hash}:3\n\n{}", "hunter3\n".repeat(30));
        let built = shelf.build(text.as_bytes(), ListForm::Hashes, true).unwrap();
        assert_eq!((built.passwords, built.rejected.total), (1, 32));
        assert_eq!(built.rejected.first[0], Reject { line: 1, reason: RejectReason::NoHash });
        assert_eq!(built.rejected.first[1], Reject { line: 3, reason: RejectReason::Empty });
        assert_eq!(built.rejected.first.len(), 10);
        assert!(!format!("{built:?}").contains("hunter"));
        let kept = built.rejected.kept.unwrap();
        let mode = kept.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let lines = std::fs::read_to_string(&kept).unwrap();
        assert!(lines.starts_with("1\tdoes not begin") && lines.contains("\thunter2\n"), "{lines}");
        assert_eq!(lines.lines().count(), 32);
        shelf.build(hash.as_bytes(), ListForm::Hashes, true).unwrap();
        assert!(!kept.exists(), "what an earlier build left out is no longer so");
        let none = shelf.build(b"hunter2\n", ListForm::Hashes, true).unwrap_err().to_string();
        assert!(none.contains("--plain") && !none.contains("hunter2"), "{none}");
    }

    #[test]
    fn a_filter_that_was_cut_or_altered_anywhere_is_refused() {
        let shelf = shelf();
        shelf.build(words(0, 100).join("\n").as_bytes(), ListForm::Plain, false).unwrap();
        let path = shelf.path("filter");
        let whole = std::fs::read(&path).unwrap();
        let with = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            PasswordFilter::open(&path).map(drop).unwrap_err().to_string()
        };
        for at in
            [32, 40, 500, whole.len() / 2, whole.len() - 41, whole.len() - 36, whole.len() - 1]
        {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            let told = with(&altered);
            assert!(told.contains("is damaged") && told.contains("hint:"), "{at}: {told}");
        }
        for length in [33, 50, whole.len() - 1, whole.len() - 4] {
            assert!(with(&whole[..length]).contains("is damaged"), "{length}");
        }
        assert!(with(&[&whole[..], b"x"].concat()).contains("is damaged"));
        assert!(with(b"").contains("is no password filter"));
        let mut other = whole;
        other[26] = b'2';
        assert!(with(&other).contains("of this version"));
    }
}
