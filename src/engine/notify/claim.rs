//! Claiming: chunks taken, loaded, checked against their seal, and given back.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use super::dispatch::Dispatcher;
use super::lane::{Finished, Waiting};
use crate::domain::delivery::DeliveryClass;
use crate::engine::{Engine, EngineError};
use crate::store::deliveries::{LaneRow, Lease};

/// A released chunk is looked at again on a multiple of this, so that many rows come due together.
const ROUND_UP: Duration = Duration::from_mins(5);

impl Dispatcher {
    /// Gives back the chunks that have nothing more to do now.
    pub(super) async fn release(&self) -> Result<(), EngineError> {
        let mut finished = self.chunks.take_finished(false);
        for chunk in &mut finished {
            chunk.due_at = chunk.due_at.map(|due| self.round_up(due));
        }
        let worker = (self.claimant)().worker;
        give_back(&self.engine, self.people.campaign, &worker, finished).await
    }

    /// Rounds an instant up, by no more than the shortest retry interval.
    fn round_up(&self, due: Timestamp) -> Timestamp {
        let step = self.shortest_retry.min(ROUND_UP).as_micros().max(1);
        let step = i64::try_from(step).unwrap_or(1);
        let micros = due.as_microsecond();
        let up = micros.div_euclid(step).saturating_add(i64::from(micros.rem_euclid(step) > 0));
        Timestamp::from_microsecond(up.saturating_mul(step)).unwrap_or(due)
    }

    /// Claims chunks of a lane and loads them.
    pub(super) async fn claim(&self, lane: &LaneRow, now: Timestamp) -> Result<(), EngineError> {
        let room = self.chunks.room(&lane.lane);
        if room == 0 {
            return Ok(());
        }
        self.chunks.lane_runs(&lane.lane);
        let limit = u32::try_from(room).unwrap_or(1);
        let claimant = (self.claimant)();
        let leases =
            self.engine.store.claim(self.people.campaign, &lane.lane, &claimant, limit).await?;
        for lease in leases {
            self.load(lease, now).await?;
        }
        Ok(())
    }

    /// Decrypts a chunk's people and checks them against their seal; keeps those who may go now.
    async fn load(&self, lease: Lease, now: Timestamp) -> Result<(), EngineError> {
        let rows = self.engine.store.load(self.people.campaign, &lease).await?;
        let mut people = Vec::with_capacity(rows.len());
        for row in &rows {
            people.push(Box::new(self.people.open(row.number, &row.body)?));
        }
        let leaves: Vec<_> = rows
            .iter()
            .zip(&people)
            .map(|(row, recipient)| (row.number, row.salt, &**recipient))
            .collect();
        self.people.check_chunk(lease.chunk, &lease.root, &leaves)?;
        self.engine.amend_loaded(&self.people, &rows, &mut people).await?;
        let (mut waiting, mut earliest) = (VecDeque::new(), None::<Timestamp>);
        for (row, recipient) in rows.into_iter().zip(people) {
            let due = row.state.due_at.filter(|_| row.state.class == DeliveryClass::Deferred);
            let is_open =
                matches!(row.state.class, DeliveryClass::Queued | DeliveryClass::Deferred);
            // A carried row waits for its carrier's notice, which names it.
            if !is_open || row.carrier.is_some() {
                continue;
            }
            match due.filter(|due| *due > now) {
                Some(due) => earliest = Some(earliest.map_or(due, |known| known.min(due))),
                None => waiting.push_back(Waiting { row, recipient, epoch: lease.epoch }),
            }
        }
        self.chunks.open(lease, waiting, earliest);
        Ok(())
    }
}

/// Gives chunks back to the database; each is claimable from its due instant on.
pub(super) async fn give_back(
    engine: &Engine,
    campaign: i64,
    worker: &str,
    finished: Vec<Finished>,
) -> Result<(), EngineError> {
    for chunk in finished {
        engine.store.release(campaign, &chunk.lease, worker, chunk.due_at).await?;
    }
    Ok(())
}
