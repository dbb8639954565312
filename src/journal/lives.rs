//! The folders of a workspace's journals, and whose each is: told from the headers, no lock taken.

use std::fs;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::boot::BootId;
use super::lock::WorkerLock;
use super::reader::{Journals, OWNER_LOCK, ReadError, folder_of, read_header};
use super::segment::{self, Life, Origin};

/// One worker's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// The worker's id, by the folder's name.
    pub worker_id: [u8; 16],
    /// Who wrote it; `None` where no segment has a valid header.
    pub origin: Option<Origin>,
    /// Which life it tells of; as above.
    pub life: Option<Life>,
    /// The boot its first readable segment was made in.
    pub boot: Option<BootId>,
    /// How many segments there are.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The process that holds its flock: the worker lives.
    pub holder: Option<u32>,
}

/// Every worker's folder under `root`, in no order. An absent root has none.
pub fn folders(root: &Path) -> Result<Vec<Folder>, ReadError> {
    Journals::under(root).workers()?.into_iter().map(|worker| look(root, worker)).collect()
}

fn look(root: &Path, worker_id: [u8; 16]) -> Result<Folder, ReadError> {
    let path = folder_of(root, worker_id);
    let failed = |source| ReadError::Read { path: path.clone(), source };
    let numbers = segment::numbers(&path).map_err(failed)?;
    let mut folder = Folder {
        worker_id,
        origin: None,
        life: None,
        boot: None,
        segments: numbers.len() as u64,
        bytes: 0,
        holder: WorkerLock::holder(&path.join(OWNER_LOCK)),
        path: path.clone(),
    };
    for number in numbers {
        let file = path.join(segment::name(number));
        folder.bytes += fs::metadata(&file).map_err(failed)?.len();
        if folder.origin.is_none()
            && let Some(header) = read_header(&file)?
        {
            folder.origin = Some(header.origin);
            folder.life = Some(header.life);
            folder.boot = Some(header.boot);
        }
    }
    Ok(folder)
}

impl Folder {
    /// The worker's id as text.
    pub fn worker(&self) -> String {
        Uuid::from_bytes(self.worker_id).hyphenated().to_string()
    }
}
