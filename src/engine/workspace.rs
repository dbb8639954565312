//! The workspace: one folder with the operator's files, the keys, the database and the journals.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::EngineError;
use crate::domain::problem::{Problem, ProblemList};

/// The longest file of settings or facts, in bytes: a hundred times what people write.
const LARGEST_OWN: u64 = 1024 * 1024;

/// Where everything lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace at this folder.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The workspace's configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.root.join("forthwith.toml")
    }

    /// Key files, 0600 in a 0700 folder.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.root.join("data").join("forthwith.db")
    }

    /// The lock that lets one worker at a time use the database.
    pub fn worker_lock(&self) -> PathBuf {
        self.root.join("data").join("forthwith.worker")
    }

    /// The lock of whoever re-checks what was expired.
    pub fn recheck_lock(&self) -> PathBuf {
        self.root.join("data").join("forthwith.recheck")
    }

    /// The lock of the portal that serves this database.
    pub fn portal_lock(&self) -> PathBuf {
        self.root.join("data").join("forthwith.portal")
    }

    /// Wire journals, a folder a worker.
    pub fn journals(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The high-water mark kept beside the database.
    pub fn high_water(&self) -> PathBuf {
        self.root.join("state").join("high-water")
    }

    /// A seal under construction.
    pub fn staging(&self, campaign: &str) -> PathBuf {
        self.root.join("data").join(format!("{campaign}.staging"))
    }

    /// Rows of a source that were not sealed, each with its reason.
    pub fn rejects(&self, campaign: &str) -> PathBuf {
        self.root.join("rejects").join(format!("{campaign}.csv"))
    }

    /// Source rows that were duplicates or conflicts, each with the line it repeats.
    pub fn duplicates(&self, campaign: &str) -> PathBuf {
        self.root.join("rejects").join(format!("{campaign}.duplicates.csv"))
    }

    /// Lines of a list of people to amend that named nobody.
    pub fn unmatched(&self, campaign: &str) -> PathBuf {
        self.root.join("rejects").join(format!("{campaign}.unmatched.csv"))
    }

    /// A campaign's file, and its name as snapshots know it.
    pub fn campaign_file(&self, name: &str) -> (PathBuf, String) {
        let relative = format!("campaigns/{name}.toml");
        (self.root.join(&relative), relative)
    }

    /// An incident's file, and its name as snapshots know it.
    pub fn incident_file(&self, slug: &str) -> (PathBuf, String) {
        let relative = format!("incidents/{slug}/incident.toml");
        (self.root.join(&relative), relative)
    }

    /// The workspace's own templates, which win over the shipped ones.
    pub fn templates(&self) -> PathBuf {
        self.root.join("templates")
    }

    /// Makes the folders; those with secrets or people's data are the owner's alone.
    pub fn create(&self) -> Result<(), EngineError> {
        for (folder, mode) in [
            ("", 0o700),
            ("data", 0o700),
            ("journal", 0o700),
            ("state", 0o700),
            ("rejects", 0o700),
            ("incidents", 0o700),
            ("campaigns", 0o700),
            ("templates", 0o700),
        ] {
            let path = self.root.join(folder);
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(mode)
                .create(&path)
                .map_err(EngineError::file(&path))?;
        }
        Ok(())
    }

    /// Writes a new file for the owner alone; an existing one is refused.
    pub fn write_new(&self, path: &Path, text: &str) -> Result<(), EngineError> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(EngineError::file(folder))?;
        }
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(EngineError::file(path))?;
        file.write_all(text.as_bytes()).map_err(EngineError::file(path))
    }

    /// The text of a file that the operator wrote; `None` where there is none. `name` is what the
    /// operator knows it by. Anything but a text of sensible size is a problem in words that say
    /// what to do.
    pub fn own_text(&self, path: &Path, name: &str) -> Result<Option<String>, ProblemList> {
        let about = match std::fs::metadata(path) {
            Ok(about) => about,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(name, &error).into()),
        };
        let problem = |text: &str| Err(Problem::of(name, text).into());
        if about.is_dir() {
            return problem("is a folder; hint: a file of this name is read, move the folder away");
        }
        if !about.is_file() {
            return problem("is no plain file; hint: a device or pipe is not read, write a file");
        }
        if about.len() > LARGEST_OWN {
            return problem(&format!(
                "is {} KiB long, more than {} KiB; hint: people's data belongs into the audience's \
                 own file",
                about.len() / 1024,
                LARGEST_OWN / 1024
            ));
        }
        let bytes = std::fs::read(path).map_err(|error| unreadable(name, &error))?;
        String::from_utf8(bytes).map(Some).map_err(|error| not_utf8(name, &error).into())
    }

    /// Reads a file that the operator wrote.
    pub fn read(&self, path: &Path) -> Result<String, EngineError> {
        std::fs::read_to_string(path).map_err(EngineError::file(path))
    }
}

fn unreadable(name: &str, error: &std::io::Error) -> Problem {
    let text = match error.kind() {
        ErrorKind::PermissionDenied => {
            "may not be read by whoever runs this; hint: look at its owner and mode with `ls -l`"
                .to_owned()
        }
        _ => format!("cannot be read: {error}; hint: look at it with `ls -l`"),
    };
    Problem::of(name, &text)
}

/// A file in another encoding, with the line of its first odd byte.
fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Problem {
    let bytes = error.as_bytes();
    let at = error.utf8_error().valid_up_to();
    let is_utf16 = bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]);
    let text = if is_utf16 {
        "is UTF-16; hint: save it as UTF-8".to_owned()
    } else {
        format!(
            "is not UTF-8: its byte {at} is 0x{:02X}; hint: save it as UTF-8, it may be Windows-1252",
            bytes.get(at).copied().unwrap_or_default()
        )
    };
    let whole = Problem::of(name, &text);
    if is_utf16 {
        return whole;
    }
    let before = &bytes[..at];
    let line = before.split(|byte| *byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
    Problem { line: Some(line), column: Some(column), ..whole }
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;

    #[test]
    fn what_is_no_text_is_told_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let workspace = Workspace::at(root.path());
        let told = |name: &str| {
            let read = workspace.own_text(&root.path().join(name), name);
            read.map_err(|problem| problem.to_string())
        };
        let write = |name: &str, bytes: &[u8]| std::fs::write(root.path().join(name), bytes);
        assert_eq!(told("none.toml"), Ok(None));
        write("good.toml", "title = \"Ž\"\n".as_bytes()).unwrap();
        assert_eq!(told("good.toml"), Ok(Some("title = \"Ž\"\n".into())));
        std::fs::create_dir(root.path().join("folder.toml")).unwrap();
        write("1252.toml", b"a = 1\ntitle = \"caf\xE9\"\n").unwrap();
        write("utf16.toml", b"\xFF\xFEa\0 \0").unwrap();
        write("huge.toml", &vec![b'#'; 1_100_000]).unwrap();
        for (name, words) in [
            ("folder.toml", "folder.toml: is a folder; hint: "),
            ("1252.toml", "1252.toml:2:13: is not UTF-8: its byte 18 is 0xE9; hint: "),
            ("utf16.toml", "utf16.toml: is UTF-16; hint: "),
            ("huge.toml", "huge.toml: is 1074 KiB long, more than 1024 KiB; hint: "),
        ] {
            let text = told(name).unwrap_err();
            assert!(text.starts_with(words), "{text}");
        }
        let denied = unreadable("x.toml", &Error::from(ErrorKind::PermissionDenied)).to_string();
        assert!(
            denied.starts_with("x.toml: may not be read by whoever runs this; hint:"),
            "{denied}"
        );
    }
}
