//! The dispatcher: claims chunks, loads and checks them, renders, and hands attempts to the recorder.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::concurrency::Concurrency;
use super::control::Control;
use super::halt::{Cause, Halt};
use super::job::{Job, Record};
use super::lane::{Chunks, Waiting};
use super::pace::Pace;
use super::quota::DayQuota;
use crate::domain::delivery::{AttemptKey, DeliveryClass, HeldReason};
use crate::domain::pace::PaceTable;
use crate::domain::track::NoticeState;
use crate::engine::link::Links;
use crate::engine::notice::{Built, NoticeWriter};
use crate::engine::people::People;
use crate::engine::waves::Waves;
use crate::engine::{Engine, EngineError};
use crate::journal::Journal;
use crate::mail::envelope::{Envelope, ReportRequest};
use crate::mail::wire::wire_form;
use crate::store::deliveries::{Claimant, DeliveryState, Lane, Move, NewIntent};
use crate::store::tokens::NewToken;

/// How often the dispatcher looks around when nothing wakes it.
pub(super) const TICK: Duration = Duration::from_millis(250);

/// What the dispatcher needs.
pub struct Dispatcher {
    /// The handles.
    pub engine: Engine,
    /// The campaign.
    pub people: People,
    /// Renders and builds.
    pub writer: NoticeWriter,
    /// Open chunks.
    pub chunks: Arc<Chunks>,
    /// Woken by the recorder.
    pub wake: Arc<Notify>,
    /// Room for those who are out.
    pub out: Arc<Semaphore>,
    /// Work the connections ask for.
    pub demand: Arc<Semaphore>,
    /// The permit.
    pub control: Arc<Control>,
    /// The pace.
    pub pace: Arc<Pace>,
    /// The limits behind it.
    pub limits: Arc<ArcSwap<PaceTable>>,
    /// The day's counts.
    pub quota: Arc<DayQuota>,
    /// What is on its way, by provider.
    pub concurrency: Arc<Concurrency>,
    /// The wire journal.
    pub journal: Arc<Journal>,
    /// Called when the fault is ours.
    pub halt: Arc<Halt>,
    /// The recorder.
    pub records: mpsc::Sender<Record>,
    /// Who claims.
    pub claimant: Arc<dyn Fn() -> Claimant + Send + Sync>,
    /// The relay's name in intents.
    pub relay: String,
    /// The shortest retry interval: chunks are not left lying longer than that.
    pub shortest_retry: Duration,
    /// No new transaction starts.
    pub soft: CancellationToken,
    /// Nothing more can be recorded.
    pub failed: CancellationToken,
}

/// Why the dispatcher came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// No delivery is left that the machine could move.
    Finished,
    /// Told to stop, or nothing more can be recorded.
    Stopped,
    /// The next wave waits for a person, and nothing can be done before.
    AtGate,
    /// The track is to be paused, for this cause.
    Halted(Cause),
}

impl Dispatcher {
    /// Feeds the connections until nothing is left or it is told to stop. Chunks are fetched and given back
    /// beside it: a connection must not wait for a lane's next five hundred people.
    pub async fn run(&self) -> Result<Ended, EngineError> {
        let over = CancellationToken::new();
        let keeping = async {
            let _over = over.clone().drop_guard();
            self.keep(&over).await
        };
        let feeding = async {
            let _over = over.clone().drop_guard();
            self.feed(&over).await
        };
        let (kept, fed) = tokio::join!(keeping, feeding);
        fed.and(kept)
    }

    /// Keeps chunks open until nobody is left or a stop; tells why it ended.
    async fn keep(&self, over: &CancellationToken) -> Result<Ended, EngineError> {
        loop {
            if let Some(cause) = self.halt.cause() {
                return Ok(Ended::Halted(cause));
            }
            let is_cancelled = self.control.state() == NoticeState::Cancelled;
            if self.stops() || over.is_cancelled() || is_cancelled {
                return Ok(Ended::Stopped);
            }
            let waves = self.look_around().await?;
            if self.chunks.is_idle()
                && let Some(end) = self.end(waves.as_ref()).await?
            {
                return Ok(end);
            }
            self.refill_until(Instant::now() + TICK, over).await?;
        }
    }

    /// Gives finished chunks back and claims others in their places, until it is time to look around, or
    /// nobody waits any more.
    async fn refill_until(
        &self,
        next: Instant,
        over: &CancellationToken,
    ) -> Result<(), EngineError> {
        loop {
            tokio::select! {
                () = self.chunks.finished() => {}
                () = tokio::time::sleep_until(next.into()) => return Ok(()),
                () = self.ending(over) => return Ok(()),
            }
            if self.control.state() != NoticeState::Running || !self.chunks.has_waiting() {
                return Ok(());
            }
            self.release().await?;
            self.claim_all(self.engine.clock.now()).await?;
        }
    }

    /// Hands out one attempt after the other.
    async fn feed(&self, over: &CancellationToken) -> Result<(), EngineError> {
        while !self.stops() && !over.is_cancelled() && !self.halt.is_called() {
            if self.control.state() != NoticeState::Running || !self.chunks.has_waiting() {
                self.wait(over).await;
                continue;
            }
            self.dispatch_one().await?;
        }
        Ok(())
    }

    fn stops(&self) -> bool {
        self.soft.is_cancelled() || self.failed.is_cancelled()
    }

    async fn wait(&self, over: &CancellationToken) {
        tokio::select! {
            () = self.wake.notified() => {}
            () = self.ending(over) => {}
            () = tokio::time::sleep(TICK) => {}
        }
    }

    async fn ending(&self, over: &CancellationToken) {
        tokio::select! {
            () = self.soft.cancelled() => {}
            () = self.failed.cancelled() => {}
            () = self.halt.called() => {}
            () = over.cancelled() => {}
        }
    }

    /// Gives finished chunks back, settles what is due, opens waves, claims new chunks; tells how the waves
    /// stand where the track runs.
    async fn look_around(&self) -> Result<Option<Waves>, EngineError> {
        let now = self.engine.clock.now();
        self.release().await?;
        self.engine.resume_lanes(&self.people, now).await?;
        if self.control.state() != NoticeState::Running {
            return Ok(None);
        }
        let waves = self.engine.open_waves(&self.people, self.writer.file(), now).await?;
        self.chunks.due(waves.rows.iter().map(|row| (row.number, row.deadline)));
        let token_for = self.writer.links().map(Links::token_for);
        self.engine.requeue_doubts(&self.people, token_for, now).await?;
        for lane in self.engine.store.lanes(self.people.campaign).await? {
            // Both may have changed elsewhere: an operator suspends a provider, or ends a pause.
            self.chunks.stood(&lane.lane, SignedDuration::from_micros(lane.stood_still));
            if lane.suspended.is_some_and(|suspension| suspension.until > now) {
                self.chunks.suspend(&lane.lane);
            }
        }
        self.claim_all(now).await?;
        self.pace.forget_idle();
        Ok(Some(waves))
    }

    /// Claims chunks of every lane that has room for one.
    async fn claim_all(&self, now: Timestamp) -> Result<(), EngineError> {
        for lane in self.engine.store.runnable_lanes(self.people.campaign, now).await? {
            self.claim(&lane, now).await?;
            self.wake.notify_one();
        }
        Ok(())
    }

    /// How it ends where nothing waits and nothing is out: every wave told, or a person has to act first.
    async fn end(&self, waves: Option<&Waves>) -> Result<Option<Ended>, EngineError> {
        if self.engine.notices_left(self.people.campaign).await? == 0 {
            return Ok(Some(Ended::Finished));
        }
        let Some(waves) = waves else { return Ok(None) };
        let now = self.engine.clock.now();
        let is_held_up = self.engine.is_held_up(&self.people, waves, now).await?;
        Ok(is_held_up.then_some(Ended::AtGate))
    }

    /// One attempt, when a connection asks for one, there is room for it and the pace allows it.
    async fn dispatch_one(&self) -> Result<(), EngineError> {
        // In this order: what is there already is taken without setting a timer or asking the others, and
        // a stop is seen before the next one.
        let demand = tokio::select! {
            biased;
            permit = self.demand.acquire() => permit,
            () = tokio::time::sleep(TICK) => return Ok(()),
            () = self.soft.cancelled() => return Ok(()),
        };
        let Ok(demand) = demand else { return Ok(()) };
        let room = tokio::select! {
            biased;
            permit = self.out.acquire() => permit,
            () = tokio::time::sleep(TICK) => return Ok(()),
        };
        let Ok(room) = room else { return Ok(()) };
        let slot = tokio::select! {
            biased;
            slot = self.pace.global_slot() => slot,
            () = self.soft.cancelled() => return Ok(()),
        };
        if self.control.state() != NoticeState::Running {
            return Ok(());
        }
        let Some((lane, waiting)) = self.pick().await? else { return Ok(()) };
        if let Some(job) = self.prepare(waiting, lane, slot).await? {
            self.concurrency.left(&job.lane.provider, job.envelope.to.domain());
            // Both come back when the outcome is committed, not before.
            demand.forget();
            room.forget();
            if self.records.send(Record::Start(Box::new(job))).await.is_err() {
                self.failed.cancel();
            }
        }
        Ok(())
    }

    /// Renders and builds; a person whose message cannot be made, or made again alike, is held.
    async fn prepare(
        &self,
        waiting: Waiting,
        lane: Arc<Lane>,
        slot: Instant,
    ) -> Result<Option<Job>, EngineError> {
        let row = &waiting.row;
        let person = self.people.person(row.salt, &waiting.recipient);
        let now = self.engine.clock.now();
        // Once its fate was in doubt, every later attempt repeats the very bytes (protocol §6).
        let dated_at = row.repeats.map_or(now, |(dated_at, _)| dated_at);
        let (built, token) = match self.writer.message(row, &waiting.recipient, dated_at, now) {
            Ok(message) => message,
            Err(error) => {
                self.quota.give_back(&lane.provider, now);
                tracing::error!(number = row.number, %error, "a notice cannot be made: {error}");
                self.hold(&waiting, &person).await?;
                return Ok(None);
            }
        };
        if row.repeats.is_some_and(|(_, before)| before != built.content) {
            self.quota.give_back(&lane.provider, now);
            tracing::error!(
                number = row.number,
                "the rebuilt message differs from the one in doubt; it is held, not sent"
            );
            self.hold(&waiting, &person).await?;
            return Ok(None);
        }
        self.job(waiting, lane, slot, person, dated_at, built, token).map(Some)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one job, used once")]
    fn job(
        &self,
        waiting: Waiting,
        lane: Arc<Lane>,
        slot: Instant,
        person: String,
        dated_at: Timestamp,
        built: Built,
        token: Option<NewToken>,
    ) -> Result<Job, EngineError> {
        let row = waiting.row;
        let wire = wire_form(built.bytes)
            .map_err(|error| EngineError::Broken(format!("recipient {}: {error}", row.number)))?;
        let from = built.from.parse().map_err(|error| {
            EngineError::refused(format!(
                "the envelope sender: {error}; hint: `notice.bounce_domain`"
            ))
        })?;
        let key =
            AttemptKey { number: row.number, generation: row.state.generation, n: row.last_n + 1 };
        Ok(Job {
            intent: NewIntent {
                key,
                dated_at,
                content: built.content,
                from: row.state.class.clone(),
                epoch: waiting.epoch,
                segment: self.journal.segment(),
                relay: self.relay.clone(),
                token,
                amendments: u32::try_from(row.amendments.len()).unwrap_or(u32::MAX),
                carried: u32::try_from(row.carried.len()).unwrap_or(u32::MAX),
            },
            person,
            state: row.state,
            lane,
            envelope: Envelope {
                from: Some(from),
                to: built.to,
                report: ReportRequest::new(built.from.split('@').next().unwrap_or("notice")).ok(),
            },
            wire,
            slot,
            queued_at: Instant::now(),
        })
    }

    async fn hold(&self, waiting: &Waiting, person: &str) -> Result<(), EngineError> {
        let to = DeliveryClass::Held(HeldReason::Content);
        let from = waiting.row.state.class.clone();
        let entry = self.people.moved(person.to_owned(), from.label(), to.label(), "engine");
        let change = Move {
            number: waiting.row.number,
            from,
            state: DeliveryState { class: to.clone(), due_at: None, ..waiting.row.state.clone() },
            to,
            line: entry.line(self.engine.clock.now()),
        };
        self.engine.store.apply(self.people.campaign, vec![change], Vec::new()).await?;
        self.chunks.ended(waiting.row.number, None, false);
        Ok(())
    }
}
