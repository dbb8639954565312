//! After a death: what became of open intents (R1, R2)?

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use jiff::SignedDuration;
use uuid::Uuid;

use super::outcome::{Attempt, Rules, decode};
use crate::domain::delivery::{AttemptResult, Outcome};
use crate::domain::track::Track;
use crate::engine::campaign_file::DoubtPolicy;
use crate::engine::notice::approved_file;
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::journal::{
    self, BootId, Journals, LifeMark, MarkKey, Origin, Position, ReadError, Recovered, Verdict,
};
use crate::store::campaigns::{CampaignRow, DatabaseIdentity};
use crate::store::deliveries::{Ended, Lane, Unpaired};

/// What a recovery found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Chunks taken from a dead worker.
    pub chunks: u64,
    /// Intents whose outcome stood in the journal.
    pub ended: u64,
    /// Intents that had not reached the wire.
    pub not_started: u64,
    /// Intents whose fate nobody knows.
    pub in_doubt: u64,
}

/// Where journals are looked for, and what is done about a doubt.
#[derive(Clone, Copy)]
struct Finding<'a> {
    roots: &'a [PathBuf],
    then: Option<DoubtPolicy>,
    /// The newest life, whose journal is known to reach so far.
    begun: LifeMark,
    identity: &'a DatabaseIdentity,
    boot: &'a BootId,
}

impl Engine {
    /// R1 and R2 for every campaign: the worker lock is held, so whoever owned a chunk is dead.
    pub async fn rescue_all(&self) -> Result<Recovery, EngineError> {
        self.rescue_by(&[self.workspace.journals()], None).await
    }

    /// The same with the journals under these folders, and another policy for doubts where one is given.
    pub(in crate::engine) async fn rescue_by(
        &self,
        roots: &[PathBuf],
        then: Option<DoubtPolicy>,
    ) -> Result<Recovery, EngineError> {
        let identity = self.store.identity().await?;
        let boot = journal::boot_id().map_err(|error| EngineError::refused(error.to_string()))?;
        let begun = self.high_water.begun()?;
        let mut recovery = Recovery::default();
        for row in self.store.campaigns().await? {
            if row.seal_id.is_some() && row.wrapped_key.is_some() {
                let by = Finding { roots, then, begun, identity: &identity, boot: &boot };
                self.rescue(&row, by, &mut recovery).await?;
            }
        }
        Ok(recovery)
    }

    async fn rescue(
        &self,
        row: &CampaignRow,
        by: Finding<'_>,
        recovery: &mut Recovery,
    ) -> Result<(), EngineError> {
        let unpaired = self.store.unpaired(row.id).await?;
        if unpaired.is_empty() {
            recovery.chunks += self.store.rescue(row.id, Vec::new()).await?;
            return Ok(());
        }
        let (_, people) = self.people(&row.name).await?;
        let approved = self.approved(row, &people, Track::Notice).await?;
        let mut rules = Rules::of(&approved_file(self, &people, &approved.parts)?, &self.replies);
        rules.then = by.then.unwrap_or(rules.then);
        let journals = read_journals(row.id, by, &unpaired)?;
        let stood: HashMap<Lane, SignedDuration> = self
            .store
            .lanes(row.id)
            .await?
            .into_iter()
            .map(|lane| (lane.lane, SignedDuration::from_micros(lane.stood_still)))
            .collect();
        let mut ended = Vec::new();
        for open in unpaired {
            let journal = journals.get(&open.worker);
            let stood = stood.get(&open.lane).copied().unwrap_or(SignedDuration::ZERO);
            ended
                .push(self.pair(&people, &rules, row.id, journal, by.boot, stood, open, recovery)?);
        }
        recovery.chunks += self.store.rescue(row.id, ended).await?;
        // The dead workers' flocks are held until here, when their intents are paired.
        drop(journals);
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one rule, used once")]
    fn pair(
        &self,
        people: &People,
        rules: &Rules,
        campaign: i64,
        journal: Option<&Recovered>,
        boot: &BootId,
        stood_still: SignedDuration,
        open: Unpaired,
        recovery: &mut Recovery,
    ) -> Result<Ended, EngineError> {
        let now = self.clock.now();
        let key = mark_key(campaign, &open);
        let verdict =
            journal.map_or(Verdict::InDoubt, |journal| journal.verdict(&key, open.segment, boot));
        let outcome = match verdict {
            Verdict::End(bytes) => decode(bytes.as_slice()),
            Verdict::NotStarted => Some(Outcome::bare(AttemptResult::NotStarted, "", now)),
            Verdict::InDoubt => None,
        };
        let outcome = outcome.unwrap_or_else(|| Outcome::bare(AttemptResult::InDoubt, "dot", now));
        match outcome.result {
            AttemptResult::NotStarted => recovery.not_started += 1,
            AttemptResult::InDoubt => recovery.in_doubt += 1,
            _ => recovery.ended += 1,
        }
        let recipient = people.open(open.key.number, &open.body)?;
        let attempt = Attempt {
            key: open.key,
            from: open.from,
            state: open.state,
            dated_at: open.dated_at,
            person: people.person(open.salt, &recipient),
            epoch: open.epoch,
            stood_still,
        };
        Ok(rules.end(people, &attempt, outcome, 0.5))
    }
}

/// What the dead workers left about these intents, by worker; nothing of those without a journal.
fn read_journals(
    campaign: i64,
    by: Finding<'_>,
    unpaired: &[Unpaired],
) -> Result<BTreeMap<String, Recovered>, EngineError> {
    let mut wanted: BTreeMap<String, (HashSet<MarkKey>, u64)> = BTreeMap::new();
    for open in unpaired {
        let (keys, first) =
            wanted.entry(open.worker.clone()).or_insert((HashSet::new(), open.segment));
        keys.insert(mark_key(campaign, open));
        *first = open.segment.min(*first);
    }
    let mut read = BTreeMap::new();
    for (worker, (keys, first)) in wanted {
        let Ok(worker_id) = Uuid::parse_str(&worker) else { continue };
        let origin = Origin {
            database_id: *by.identity.database_id.as_bytes(),
            incarnation: by.identity.incarnation,
            worker_id: *worker_id.as_bytes(),
        };
        let is_newest = by.begun.worker_id == *worker_id.as_bytes();
        let reached = if is_newest { by.begun.reached } else { Position::default() };
        for root in by.roots {
            let journals = Journals::under(root).reaching(reached);
            match journals.read_since(&origin, keys.clone(), first) {
                Ok(recovered) => {
                    read.insert(worker, recovered);
                    break;
                }
                Err(ReadError::Absent { .. } | ReadError::Held { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(read)
}

fn mark_key(campaign: i64, open: &Unpaired) -> MarkKey {
    MarkKey { campaign, number: open.key.number, generation: open.key.generation, n: open.key.n }
}
