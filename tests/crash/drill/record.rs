//! The sink's own record (`forthwith sink --record`), read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};

/// A recipient of a message that the sink took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub at: String,
    pub to: String,
    pub message_id: String,
    pub sha256: String,
}

/// A transaction that its client left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Whom it was for, where it had come so far.
    pub to: Option<String>,
    /// Behind `mail`, in `data`, or waiting for the `reply` to its dot.
    pub phase: String,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    Accepted(Accepted),
    Cut(Cut),
}

/// The file a sink writes.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    /// How many recipients were accepted in how many bytes: whoever waits asks often.
    counted: Mutex<(u64, u64)>,
}

impl Record {
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), counted: Mutex::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long it is, in bytes.
    pub fn len(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |about| about.len())
    }

    /// Every whole line from a byte on.
    pub fn since(&self, from: u64) -> Result<Vec<Line>> {
        let text = read(&self.path, from)?;
        text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(parse).collect()
    }

    /// How many recipients were accepted.
    pub fn accepted_count(&self) -> u64 {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let text = read(&self.path, counted.1).unwrap_or_default();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            counted.0 += u64::from(line.starts_with("accepted\t"));
            counted.1 += line.len() as u64;
        }
        counted.0
    }

    /// Who was accepted, in order, by address.
    pub fn accepted(&self) -> Result<HashMap<String, Vec<Accepted>>> {
        let mut by_address: HashMap<String, Vec<Accepted>> = HashMap::new();
        for line in self.since(0)? {
            if let Line::Accepted(one) = line {
                by_address.entry(one.to.clone()).or_default().push(one);
            }
        }
        Ok(by_address)
    }
}

/// The text from a byte on; none where there is no file yet.
fn read(path: &Path, from: u64) -> Result<String> {
    let mut text = String::new();
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(text),
        other => other.with_context(|| format!("cannot read {}", path.display()))?,
    };
    file.seek(SeekFrom::Start(from))?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn parse(line: &str) -> Result<Line> {
    let columns: Vec<&str> = line.trim_end_matches('\n').split('\t').collect();
    let own = |text: &str| text.to_owned();
    match columns.as_slice() {
        ["accepted", at, to, message_id, sha256, _] => Ok(Line::Accepted(Accepted {
            at: own(at),
            to: own(to),
            message_id: own(message_id),
            sha256: own(sha256),
        })),
        ["cut", _, to, phase, _, _] => {
            Ok(Line::Cut(Cut { to: (*to != "-").then(|| own(to)), phase: own(phase) }))
        }
        _ => anyhow::bail!("a line of the sink's record has {} columns", columns.len()),
    }
}
