//! Which journals there are, and whether they are all of them.
//!
//! The lives of workers form a chain: each journal's header names its own place and the life before it, the
//! high-water mark the newest one. So from the mark back to the life that the restored database knew last,
//! a journal that is gone is missed. Only one worker at a time uses a database, so lives before that one
//! had told it everything. Mark and headers also say how far each journal reached, so an older copy of a
//! journal, restored with the database, is not taken for the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::Rewound;
use crate::engine::{Engine, EngineError};
use crate::journal::{Folder, LifeMark, Position, folders};
use crate::store::rewinds::LifeRow;

/// A folder and the root it lies under.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) root: PathBuf,
    pub(super) folder: Folder,
    /// How far its marks are known to have reached.
    pub(super) reached: Position,
}

/// The journals of the time since the backup, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    pub(super) journals: Vec<Found>,
    /// The newest life the database knew.
    pub(super) after_life: u64,
    /// Lives of which no journal is there.
    pub(super) missing: Vec<u64>,
    /// Why what is there proves nothing about what is not; none where it does.
    pub(super) gap: Option<String>,
    /// The largest incarnation any of them names.
    pub(super) largest_incarnation: u64,
}

impl Engine {
    /// Looks for every journal of this database.
    pub(super) async fn evidence(
        &self,
        rewound: Option<&Rewound>,
        dirs: &[PathBuf],
    ) -> Result<Evidence, EngineError> {
        let identity = self.store.identity().await?;
        let all = found(&self.journal_roots(dirs)?, identity.database_id.as_bytes())?;
        if let Some(alive) = all.iter().find(|found| found.folder.holder.is_some()) {
            let pid = alive.folder.holder.unwrap_or_default();
            return Err(EngineError::refused(format!(
                "process {pid} still sends from the database that was replaced, and writes the journal {}; \
                 hint: stop it, then recover",
                alive.folder.path.display()
            )));
        }
        let last = self.store.last_life().await?;
        let begun = self.high_water.begun()?;
        let mut evidence = Evidence {
            after_life: last.as_ref().map_or(0, |last| last.ordinal),
            largest_incarnation: incarnations(&all).max().unwrap_or(0),
            ..Evidence::default()
        };
        let first = match &last {
            Some(last) if last.has_stopped => last.ordinal + 1,
            Some(last) => last.ordinal,
            None => 1,
        };
        evidence.gap = match rewound {
            Some(rewound) if !rewound.cause.has_record() => {
                Some(format!("{}, so nobody knows which workers ran since", rewound.words()))
            }
            _ => gap(&all, begun, last.as_ref(), first),
        };
        let present: BTreeSet<u64> = all.iter().filter_map(ordinal).collect();
        evidence.missing =
            (first..=begun.ordinal).filter(|ordinal| !present.contains(ordinal)).collect();
        evidence.journals = all;
        note_reached(&mut evidence.journals, begun);
        evidence.journals.retain(|found| ordinal(found).is_none_or(|own| own >= first));
        evidence.journals.sort_by_key(ordinal);
        Ok(evidence)
    }

    /// Journals found later: all of this database that the named folders hold.
    pub(super) async fn late_evidence(&self, dirs: &[PathBuf]) -> Result<Evidence, EngineError> {
        let identity = self.store.identity().await?;
        let roots = self.journal_roots(dirs)?;
        let mut journals = found(&roots[1..], identity.database_id.as_bytes())?;
        journals.sort_by_key(ordinal);
        Ok(Evidence { journals, ..Evidence::default() })
    }

    /// The folders that hold workers' folders: the workspace's own and those named, each either such a
    /// folder, a workspace, or one worker's.
    pub(super) fn journal_roots(&self, dirs: &[PathBuf]) -> Result<Vec<PathBuf>, EngineError> {
        let mut roots = vec![self.workspace.journals()];
        for dir in dirs {
            if !dir.is_dir() {
                return Err(EngineError::refused(format!(
                    "`{}` is no folder; hint: `--journals` takes the folder that holds the workers' \
                     folders, as `journal` of a workspace does",
                    dir.display()
                )));
            }
            let is_worker = |path: &Path| {
                path.file_name()
                    .and_then(|name| name.to_str())
                    .is_some_and(|name| Uuid::parse_str(name).is_ok())
            };
            let inner = dir.join("journal");
            roots.push(match dir.parent() {
                Some(parent) if is_worker(dir) => parent.to_owned(),
                _ if inner.is_dir() => inner,
                _ => dir.clone(),
            });
        }
        Ok(roots)
    }
}

/// The folders of this database under the roots, one a worker: the one with most segments.
fn found(roots: &[PathBuf], database_id: &[u8; 16]) -> Result<Vec<Found>, EngineError> {
    let mut by_worker: BTreeMap<[u8; 16], Found> = BTreeMap::new();
    for root in roots {
        for folder in folders(root)? {
            if folder.origin.is_none_or(|origin| origin.database_id != *database_id) {
                continue;
            }
            let known = by_worker.get(&folder.worker_id).map(|known| known.folder.segments);
            if known.is_none_or(|segments| segments < folder.segments) {
                by_worker.insert(
                    folder.worker_id,
                    Found { root: root.clone(), folder, reached: Position::default() },
                );
            }
        }
    }
    Ok(by_worker.into_values().collect())
}

/// How far each journal reached, as the mark says of the newest life and each life of the one before.
fn note_reached(all: &mut [Found], begun: LifeMark) {
    let mut reached: BTreeMap<[u8; 16], Position> = BTreeMap::new();
    reached.insert(begun.worker_id, begun.reached);
    for life in all.iter().filter_map(|found| found.folder.life) {
        let known = reached.entry(life.previous).or_default();
        *known = life.previous_reached.max(*known);
    }
    for found in all {
        found.reached = reached.get(&found.folder.worker_id).copied().unwrap_or_default();
    }
}

fn incarnations(all: &[Found]) -> impl Iterator<Item = u64> {
    all.iter().filter_map(|found| found.folder.origin).map(|origin| origin.incarnation)
}

/// The life a folder tells of, where it is counted.
fn ordinal(found: &Found) -> Option<u64> {
    found.folder.life.map(|life| life.ordinal).filter(|ordinal| *ordinal > 0)
}

/// Why the chain from the newest life back to what the database knew does not hold; none where it does.
fn gap(all: &[Found], begun: LifeMark, last: Option<&LifeRow>, first: u64) -> Option<String> {
    let known = last.map_or(0, |last| last.ordinal);
    if begun.ordinal < known {
        return Some(format!(
            "the database knows life {known} of a worker and this host's mark only {}",
            begun.ordinal
        ));
    }
    let mut expected = begun.worker_id;
    for due in (first..=begun.ordinal).rev() {
        let journal = all
            .iter()
            .find(|found| found.folder.worker_id == expected && ordinal(found) == Some(due));
        let Some(life) = journal.and_then(|found| found.folder.life) else {
            let name = Uuid::from_bytes(expected);
            return Some(format!("the journal of life {due} (worker {name}) is missing"));
        };
        if due > known {
            expected = life.previous;
        }
    }
    let is_same = last.is_none_or(|last| Uuid::from_bytes(expected).to_string() == last.worker);
    (!is_same).then(|| "another worker than the one it knew wrote after the database".to_owned())
}
