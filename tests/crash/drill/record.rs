//! The sink's own record (`forthwith sink --record`), read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

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
#[derive(Debug, Clone)]
pub struct Record(pub PathBuf);

impl Record {
    /// How long it is, in bytes.
    pub fn len(&self) -> u64 {
        std::fs::metadata(&self.0).map_or(0, |about| about.len())
    }

    /// Every whole line from a byte on.
    pub fn since(&self, from: u64) -> Result<Vec<Line>> {
        let text = read(&self.0)?;
        let from = usize::try_from(from)?.min(text.len());
        text[from..].split_inclusive('\n').filter(|line| line.ends_with('\n')).map(parse).collect()
    }

    /// How many recipients were accepted.
    pub fn accepted_count(&self) -> u64 {
        let text = read(&self.0).unwrap_or_default();
        text.lines().filter(|line| line.starts_with("accepted\t")).count() as u64
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

fn read(path: &Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => other.with_context(|| format!("cannot read {}", path.display())),
    }
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
