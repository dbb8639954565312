//! Picking: whose turn it is, as far as pace, brakes, quotas and room at the provider allow.

use std::sync::Arc;

use super::dispatch::{Dispatcher, TICK};
use super::lane::Waiting;
use super::outcome::later;
use super::pace::Slot;
use crate::domain::pace::PaceTable;
use crate::engine::EngineError;
use crate::store::deliveries::Lane;

impl Dispatcher {
    /// The next row whose lane and domain have a slot now; else waits a little and gives none.
    pub(super) async fn pick(&self) -> Result<Option<(Arc<Lane>, Waiting)>, EngineError> {
        let mut soonest = TICK;
        let limits = self.limits.load_full();
        for lane in self.chunks.turns() {
            // A few domains of lane `other` may have to wait; others behind them need not.
            for _ in 0..16 {
                let Some(waiting) = self.chunks.next(&lane) else { break };
                let domain = waiting.recipient.address.as_ref().map_or("", |a| a.domain());
                if !self.concurrency.has_room(&limits, &lane.provider, domain) {
                    self.chunks.put_back(waiting);
                    continue;
                }
                match self.pace.provider_slot(&lane.provider, domain) {
                    Slot::Now if self.day_has_one(&limits, &lane).await? => {
                        return Ok(Some((lane, waiting)));
                    }
                    Slot::Now => {
                        self.chunks.put_back(waiting);
                        break;
                    }
                    Slot::In(wait) => {
                        soonest = soonest.min(wait);
                        self.chunks.put_back(waiting);
                    }
                    Slot::Rests(wait) => {
                        self.chunks.snooze(&waiting, later(self.engine.clock.now(), wait));
                    }
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(soonest) => {}
            // Whatever was recorded may have made room.
            () = self.wake.notified() => {}
        }
        Ok(None)
    }

    /// Takes one of the day's notices; where none is left the lane rests until the next day, and its
    /// retry windows stand still.
    async fn day_has_one(&self, limits: &PaceTable, lane: &Lane) -> Result<bool, EngineError> {
        let now = self.engine.clock.now();
        let Err(spent) = self.quota.take(limits, &lane.provider, now) else { return Ok(true) };
        let cause = format!("the day's quota of {} notices is used up", spent.per_day);
        self.engine.suspend_lane(&self.people, lane, spent.until, cause, None).await?;
        self.chunks.suspend(lane);
        Ok(false)
    }
}
