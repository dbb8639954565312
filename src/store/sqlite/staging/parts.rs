//! Where the plain files of a staging area lie, and how they are made and opened.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::digests::DigestReader;
use super::rows::RowsReader;
use crate::store::StoreError;

/// Where the plain files lie.
#[derive(Clone)]
pub(in crate::store::sqlite) struct Parts {
    path: PathBuf,
    pub(super) rows: PathBuf,
    pub(super) accounts: PathBuf,
    pub(super) addresses: PathBuf,
}

impl Parts {
    pub(super) fn beside(path: &Path) -> Self {
        let beside = |ending: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        Self {
            path: path.to_owned(),
            rows: beside("-rows"),
            accounts: beside("-accounts"),
            addresses: beside("-addresses"),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Bytes of the rows, the accounts and the addresses; none where one is not there.
    pub(super) fn lengths(&self) -> Option<[u64; 3]> {
        let length = |path: &Path| path.metadata().ok().map(|found| found.len());
        Some([length(&self.rows)?, length(&self.accounts)?, length(&self.addresses)?])
    }

    /// What went wrong with one of them.
    pub(in crate::store::sqlite) fn failed(&self) -> impl Fn(io::Error) -> StoreError + use<> {
        let path = self.rows.display().to_string();
        move |source| StoreError::File { path: path.clone(), source }
    }

    pub(in crate::store::sqlite) fn open_rows(&self) -> Result<RowsReader, StoreError> {
        RowsReader::open(&self.rows).map_err(self.failed())
    }

    pub(in crate::store::sqlite) fn open_accounts(
        &self,
        after: &[u8],
    ) -> Result<DigestReader, StoreError> {
        DigestReader::open(&self.accounts, after).map_err(self.failed())
    }

    pub(in crate::store::sqlite) fn open_addresses(
        &self,
        after: &[u8],
    ) -> Result<DigestReader, StoreError> {
        DigestReader::open(&self.addresses, after).map_err(self.failed())
    }
}

/// A new, empty file that is its owner's alone.
pub(super) fn new_file(path: &Path) -> io::Result<File> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(path)
}
