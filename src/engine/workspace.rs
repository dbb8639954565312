//! The workspace: one folder with the operator's files, the keys, the database and the journals.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::EngineError;

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

    /// Reads a file that the operator wrote.
    pub fn read(&self, path: &Path) -> Result<String, EngineError> {
        std::fs::read_to_string(path).map_err(EngineError::file(path))
    }
}
