//! The wire journals as a whole: listed, shrunk once a life is over, pruned once no backup needs them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::notify::outcome::decode;
use super::notify::short::shortened;
use super::{Engine, EngineError};
use crate::domain::ledger::Entry;
use crate::domain::track::NoticeState;
use crate::journal::{self, Folder, Journals, Mark, ReadError, Walk, WorkerLock, folders};
use crate::store::rewinds::LivesUntil;

/// One worker's journal, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JournalView {
    /// The worker's id and the folder's name.
    pub worker: String,
    /// The life's place among all.
    pub life: u64,
    /// The incarnation it ran under.
    pub incarnation: u64,
    /// The campaign's name; its id where the database does not know it.
    pub campaign: String,
    /// When its first attempt began or ended.
    pub first_at: Option<String>,
    /// When its last attempt began or ended.
    pub last_at: Option<String>,
    /// Attempts it tells of.
    pub attempts: u64,
    /// Segments.
    pub segments: u64,
    /// Bytes.
    pub bytes: u64,
    /// The machine's boot.
    pub boot: String,
    /// `lives`, `shrunk`, `closed`, `whole` or `damaged`.
    pub state: &'static str,
    /// The folder.
    pub folder: String,
}

/// A journal that was looked into.
struct Looked {
    folder: Folder,
    view: JournalView,
    last_at: Option<Timestamp>,
}

impl Engine {
    /// Every journal of this workspace, oldest life first.
    pub async fn journals(&self) -> Result<Vec<JournalView>, EngineError> {
        Ok(self.looked().await?.into_iter().map(|looked| looked.view).collect())
    }

    /// Journals that no backup holding at least this ledger batch needs: their lives were over before it, and
    /// their campaigns are closed.
    pub async fn prunable(&self, backup: i64) -> Result<Vec<JournalView>, EngineError> {
        Ok(self.needless(backup).await?.into_iter().map(|looked| looked.view).collect())
    }

    /// Deletes them. May die anywhere: pruning again goes on.
    pub async fn prune(&self, backup: i64, by: &str) -> Result<Vec<JournalView>, EngineError> {
        let needless = self.needless(backup).await?;
        if needless.is_empty() {
            return Ok(Vec::new());
        }
        let entry = Entry::JournalsPruned {
            workers: needless.iter().map(|looked| looked.view.worker.clone()).collect(),
            backup,
            by: by.to_owned(),
        };
        self.store.append_ledger(vec![entry.line(self.clock.now())]).await?;
        for looked in &needless {
            let path = &looked.folder.path;
            // The proof of death is held while its folder goes.
            let _dead = WorkerLock::acquire(&path.join("owner.lock"))?;
            std::fs::remove_dir_all(path).map_err(EngineError::file(path))?;
        }
        Ok(needless.into_iter().map(|looked| looked.view).collect())
    }

    async fn needless(&self, backup: i64) -> Result<Vec<Looked>, EngineError> {
        let Some(at) = self.store.batch_written_at(backup).await? else {
            return Err(EngineError::refused(format!(
                "there is no ledger batch {backup}; hint: `--backup` takes the batch that your oldest \
                 backup holds at least, as `forthwith campaign status` shows it when the backup is made"
            )));
        };
        let lives = self.store.lives_until(at).await?;
        let identity = self.store.identity().await?;
        let closed: Vec<[u8; 16]> = self
            .store
            .campaigns()
            .await?
            .iter()
            .filter(|row| row.control.notice == NoticeState::Closed)
            .map(|row| row.uuid.into_bytes())
            .collect();
        let is_needless = |looked: &Looked| {
            let life = looked.folder.life.unwrap_or_default();
            let origin = looked.folder.origin;
            origin.is_some_and(|origin| origin.database_id == *identity.database_id.as_bytes())
                && looked.folder.holder.is_none()
                && is_over(life.ordinal, &lives)
                && closed.contains(&life.campaign)
                && looked.last_at.is_none_or(|last| last < at)
        };
        Ok(self.looked().await?.into_iter().filter(is_needless).collect())
    }

    async fn looked(&self) -> Result<Vec<Looked>, EngineError> {
        let names: BTreeMap<[u8; 16], String> = self
            .store
            .campaigns()
            .await?
            .into_iter()
            .map(|row| (row.uuid.into_bytes(), row.name))
            .collect();
        let root = self.workspace.journals();
        let all = folders(&root)?;
        let look = move || all.into_iter().map(|folder| look(&root, folder, &names)).collect();
        let looked: Result<Vec<Looked>, ReadError> = tokio::task::spawn_blocking(look)
            .await
            .map_err(|error| EngineError::Broken(error.to_string()))?;
        let mut looked = looked?;
        looked.sort_by_key(|one| (one.view.life, one.view.worker.clone()));
        Ok(looked)
    }

    /// Shrinks the journals of workers that are dead: the outcome of each of their attempts is in the
    /// database. Called at a worker's clean end. A journal that cannot be shrunk stays as it is.
    pub(super) async fn shrink_journals(&self) {
        if let Err(error) = self.try_shrink().await {
            tracing::warn!(%error, "journals stay as long as they are");
        }
    }

    async fn try_shrink(&self) -> Result<(), EngineError> {
        let identity = self.store.identity().await?;
        let boot = journal::boot_id().map_err(|error| EngineError::refused(error.to_string()))?;
        let root = self.workspace.journals();
        let own = move || -> Result<(), ReadError> {
            for folder in folders(&root)? {
                let Some(origin) = folder.origin.filter(|origin| {
                    origin.database_id == *identity.database_id.as_bytes()
                        && origin.incarnation == identity.incarnation
                }) else {
                    continue;
                };
                match Journals::under(&root).shrink(&origin, &boot, &|bytes| shortened(bytes)) {
                    Ok(_) | Err(ReadError::Held { .. } | ReadError::Absent { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        };
        tokio::task::spawn_blocking(own)
            .await
            .map_err(|error| EngineError::Broken(error.to_string()))??;
        Ok(())
    }
}

/// Whether a life had ended for certain: it said so, or another one had begun since.
fn is_over(ordinal: u64, lives: &LivesUntil) -> bool {
    ordinal > 0 && (ordinal < lives.newest || (ordinal == lives.newest && lives.has_stopped))
}

fn look(
    root: &std::path::Path,
    folder: Folder,
    names: &BTreeMap<[u8; 16], String>,
) -> Result<Looked, ReadError> {
    let life = folder.life.unwrap_or_default();
    let unknown = || Uuid::from_bytes(life.campaign).to_string();
    let mut view = JournalView {
        worker: folder.worker(),
        life: life.ordinal,
        incarnation: folder.origin.map_or(0, |origin| origin.incarnation),
        campaign: names.get(&life.campaign).cloned().unwrap_or_else(unknown),
        first_at: None,
        last_at: None,
        attempts: 0,
        segments: folder.segments,
        bytes: folder.bytes,
        boot: folder.boot.map(|boot| boot.to_string()).unwrap_or_default(),
        state: "lives",
        folder: folder.path.display().to_string(),
    };
    let Some(origin) = folder.origin else {
        view.state = "damaged";
        return Ok(Looked { folder, view, last_at: None });
    };
    let mut walk = match Journals::under(root).walk(&origin) {
        Ok(walk) => walk,
        Err(ReadError::Held { .. }) => return Ok(Looked { folder, view, last_at: None }),
        Err(ReadError::Absent { .. }) => {
            view.state = "damaged";
            return Ok(Looked { folder, view, last_at: None });
        }
        Err(error) => return Err(error),
    };
    let last = count_attempts(&mut walk, &mut view)?;
    let survey = walk.end();
    let boot = folder.boot;
    view.state = if survey.segments().values().any(|report| report.packed) {
        "shrunk"
    } else if survey.segments().values().any(|report| report.closed) {
        "closed"
    } else if boot.is_some_and(|boot| survey.complete_since(1, &boot)) {
        "whole"
    } else {
        "damaged"
    };
    Ok(Looked { folder, view, last_at: last })
}

/// How many attempts its marks tell of, and when; the newest instant.
fn count_attempts(walk: &mut Walk, view: &mut JournalView) -> Result<Option<Timestamp>, ReadError> {
    let (mut first, mut last): (Option<Timestamp>, Option<Timestamp>) = (None, None);
    let mut open = std::collections::HashSet::new();
    while let Some((_, marks)) = walk.next_segment()? {
        for mark in marks {
            let key = mark.key();
            let at = match &mark {
                Mark::Begin { dated_at, .. } => Timestamp::from_microsecond(*dated_at).ok(),
                Mark::Dot { .. } => None,
                Mark::End { outcome, .. } => {
                    decode(outcome.as_slice()).map(|outcome| outcome.ended_at)
                }
            };
            if matches!(mark, Mark::End { .. }) {
                open.remove(&key);
                view.attempts += 1;
            } else {
                open.insert(key);
            }
            first = first.into_iter().chain(at).min();
            last = last.into_iter().chain(at).max();
        }
    }
    view.attempts += open.len() as u64;
    view.first_at = first.map(|at| at.to_string());
    view.last_at = last.map(|at| at.to_string());
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_over_when_it_said_so_or_another_began() {
        let lives = |newest, has_stopped| LivesUntil { newest, has_stopped };
        assert!(is_over(2, &lives(3, false)));
        assert!(!is_over(3, &lives(3, false)));
        assert!(is_over(3, &lives(3, true)));
        assert!(!is_over(4, &lives(3, true)));
        assert!(!is_over(0, &lives(3, true)), "whose place is not known");
    }
}
