//! What the machine does by itself between attempts: due re-sends, suspensions that are over.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::delivery::{DeliveryClass, Outcome};
use crate::domain::duration::HumanDuration;
use crate::engine::link::sent_again;
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::store::deliveries::{Lane, Move, Resolution, Suspension};

/// Doubts settled a statement.
const AT_ONCE: u32 = 1_000;

impl Engine {
    /// Queues the people whose automatic re-send is due; the same bytes go again (promise 7), or a
    /// re-notice where the token in them, which lives for `token_for`, is too old.
    pub(super) async fn requeue_doubts(
        &self,
        people: &People,
        token_for: Option<HumanDuration>,
        now: Timestamp,
    ) -> Result<u64, EngineError> {
        let mut queued = 0;
        loop {
            let due = self.store.due_doubts(people.campaign, now, AT_ONCE).await?;
            if due.is_empty() {
                return Ok(queued);
            }
            let (mut moves, mut resolutions) = (Vec::new(), Vec::new());
            for doubt in due {
                let recipient = people.open(doubt.key.number, &doubt.body)?;
                let person = people.person(doubt.salt, &recipient);
                let from = doubt.state.class.clone();
                let to = DeliveryClass::Queued;
                let entry = people.moved(person, from.label(), to.label(), "policy");
                let token_for = token_for.filter(|_| doubt.has_token);
                let state = sent_again(&doubt.state, doubt.dated_at, token_for, now);
                let reason = if state.generation == doubt.state.generation {
                    "in_doubt.then = resend"
                } else {
                    "in_doubt.then = resend; a new notice, the old link's life was half over"
                };
                moves.push(Move {
                    number: doubt.key.number,
                    from,
                    state,
                    to,
                    line: entry.line(now),
                });
                resolutions.push(Resolution {
                    person: doubt.key.number,
                    key: doubt.key,
                    result: "re-sent",
                    by: "policy".into(),
                    reason: reason.into(),
                    signature: None,
                    at: now,
                });
            }
            let changed = self.store.apply(people.campaign, moves, resolutions).await?;
            queued += changed.len() as u64;
            if changed.is_empty() {
                return Ok(queued);
            }
        }
    }

    /// Suspends a lane until an instant and logs it: for a refusal that is the sender's fault, a quota
    /// that is used up, an operator. Tells whether it ran before.
    pub(in crate::engine) async fn suspend_lane(
        &self,
        people: &People,
        lane: &Lane,
        until: Timestamp,
        cause: String,
        refusal: Option<&Outcome>,
    ) -> Result<bool, EngineError> {
        let now = self.clock.now();
        let suspension = Suspension { since: now, until, cause };
        let entry = people.lane_changed(&lane.provider, "suspended", refusal, None);
        let lines = vec![entry.line(now)];
        let first = self.store.suspend_lane(people.campaign, lane, &suspension, lines).await?;
        if first {
            tracing::warn!(
                lane.provider = %lane.provider,
                "provider `{}` is suspended until {until}: {}", lane.provider, suspension.cause
            );
        }
        Ok(first)
    }

    /// Lets lanes run again whose suspension is over.
    pub(super) async fn resume_lanes(
        &self,
        people: &People,
        now: Timestamp,
    ) -> Result<bool, EngineError> {
        let resumed = self.store.resume_lanes(people.campaign, now).await?;
        // A provider has a lane in each wave.
        let providers: BTreeSet<&str> = resumed.iter().map(|lane| lane.provider.as_str()).collect();
        let lines: Vec<String> = providers
            .into_iter()
            .map(|provider| people.lane_changed(provider, "resumed", None, None).line(now))
            .collect();
        let any = !lines.is_empty();
        if any {
            self.store.append_ledger(lines).await?;
        }
        Ok(any)
    }
}
