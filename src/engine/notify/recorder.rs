//! The recorder: one task commits intents and outcomes, many at a time.
//!
//! It commits whenever it is idle and anything waits, so a quiet worker records at once; a busy one, whose
//! connections have work left, gathers for a few milliseconds, because a commit costs the same for many.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::concurrency::Concurrency;
use super::control::Control;
use super::halt::{Cause, Halt};
use super::job::{Done, Job, Record};
use super::lane::Chunks;
use super::outcome::{Attempt, Rules, later};
use super::pace::Pace;
use super::quota::DayQuota;
use super::reaction::{Reactions, Slowed};
use crate::domain::delivery::{AttemptResult, Outcome};
use crate::domain::track::PauseCause;
use crate::engine::breaker::Breaker;
use crate::engine::people::People;
use crate::engine::{Engine, EngineError};
use crate::store::deliveries::{Claimant, Flush, Lane, Slowing};

/// Commits at most this many records at once.
const GROUP: usize = 512;
/// So many are not waited for any longer.
const ENOUGH: usize = 400;
/// The longest an outcome waits for others while the connections have work.
const GATHER_FOR: Duration = Duration::from_millis(16);
/// Nothing is waited for once less than this part of the window is left to begin with.
const LEFT: usize = 3;

/// What the recorder needs.
pub struct Recorder {
    /// The handles.
    pub engine: Engine,
    /// The campaign.
    pub people: People,
    /// What decides classes.
    pub rules: Rules,
    /// Open chunks, told of every outcome.
    pub chunks: Arc<Chunks>,
    /// Called when a refusal shows that the fault is ours.
    pub halt: Arc<Halt>,
    /// Slowed where a provider asks for less.
    pub pace: Arc<Pace>,
    /// What outcomes ask for.
    pub reactions: Reactions,
    /// Trips where too many of the last attempts went to dead addresses.
    pub breaker: Breaker,
    /// Woken when a chunk may be finished or a lane was suspended.
    pub wake: Arc<Notify>,
    /// Who is out: a permit comes back with each committed outcome.
    pub out: Arc<Semaphore>,
    /// The most intents without a committed outcome.
    pub window: usize,
    /// Work the connections ask for: what was refused is still asked for.
    pub demand: Arc<Semaphore>,
    /// The permit: where it is withheld, nobody's attempt is begun on record either.
    pub control: Arc<Control>,
    /// Who commits.
    pub claimant: Arc<dyn Fn() -> Claimant + Send + Sync>,
    /// What is on its way, by provider.
    pub concurrency: Arc<Concurrency>,
    /// The day's counts.
    pub quota: Arc<DayQuota>,
    /// Where committed jobs go.
    pub jobs: flume::Sender<Job>,
    /// Cancelled when nothing more can be recorded: then nothing more may start.
    pub failed: CancellationToken,
}

impl Recorder {
    /// Runs until every sender is gone and everything is committed.
    pub async fn run(mut self, mut inbox: mpsc::Receiver<Record>) -> Result<(), EngineError> {
        let mut waiting = Vec::with_capacity(GROUP);
        // Rendered, and waiting for their intents to be committed.
        let mut rendered = VecDeque::new();
        // Intents without a committed outcome.
        let mut open = 0;
        while inbox.recv_many(&mut waiting, GROUP).await > 0 {
            self.gather(&mut inbox, &mut waiting).await;
            let mut ends = Vec::new();
            for record in waiting.drain(..) {
                match record {
                    Record::Start(job) => rendered.push_back(*job),
                    Record::End(done) => ends.push(*done),
                }
            }
            open -= ends.len();
            if !self.control.permits() {
                rendered.drain(..).for_each(|job| self.give_back(&job, true));
            }
            let room = self.window.saturating_sub(open).min(rendered.len());
            let starts: Vec<Job> = rendered.drain(..room).collect();
            match self.commit(starts, ends).await {
                Ok(started) => open += started,
                Err(error) => {
                    // What was in flight stays without outcome: the next worker settles it from the journal.
                    self.failed.cancel();
                    self.wake.notify_one();
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Waits for more, as long as the connections have committed jobs left for the time a commit takes.
    async fn gather(&self, inbox: &mut mpsc::Receiver<Record>, waiting: &mut Vec<Record>) {
        let until = Instant::now() + GATHER_FOR;
        let left = self.jobs.receiver_count().max(self.window / LEFT);
        while waiting.len() + inbox.len() < ENOUGH
            && self.jobs.len() > left
            && Instant::now() < until
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        while waiting.len() < GROUP
            && let Ok(record) = inbox.try_recv()
        {
            waiting.push(record);
        }
    }

    /// Commits and hands over what may start; gives back how many that are.
    async fn commit(&mut self, starts: Vec<Job>, ends: Vec<Done>) -> Result<usize, EngineError> {
        let ended = ends.iter().map(|done| self.ended(done)).collect::<Vec<_>>();
        let due: Vec<_> = ended
            .iter()
            .map(|one| one.change.as_ref().and_then(|change| change.state.due_at))
            .collect();
        let mut counted = false;
        for done in &ends {
            counted |= self.breaker.note(done.outcome.result);
        }
        let flush = Flush {
            breaker: counted.then(|| self.breaker.encode()),
            ended,
            intents: starts.iter().map(|job| job.intent.clone()).collect(),
            begun: begun(&starts, &ends),
        };
        let claimant = (self.claimant)();
        let flushed = self.engine.store.flush(self.people.campaign, &claimant, flush).await?;

        for (done, due_at) in ends.iter().zip(due) {
            let again = done.outcome.result == AttemptResult::NotStarted;
            self.settle(&done.job, again);
            self.chunks.ended(done.job.intent.key.number, due_at, again);
            self.react(done).await?;
        }
        self.break_off().await;
        self.out.add_permits(ends.len());
        let mut started = 0;
        for job in starts {
            if flushed.refused.contains(&job.intent.key) {
                // Fenced off, already tried or amended: the database knows the row better.
                self.give_back(&job, false);
                continue;
            }
            started += 1;
            if let Err(unsent) = self.jobs.send_async(job).await {
                // No connection is left: the intent goes unpaired and is settled as not started.
                drop(unsent);
            }
        }
        self.wake.notify_one();
        Ok(started)
    }

    /// Pauses the campaign where the breaker trips: first nothing more starts, then the database says so.
    /// Died in between: the window stands in the database, and the next worker trips before it sends.
    async fn break_off(&self) {
        let Some(words) = self.breaker.tripped().filter(|_| !self.halt.is_called()) else { return };
        self.halt.call(Cause { kind: PauseCause::Breaker, words: words.clone() });
        if let Err(error) =
            self.engine.pause_itself(&self.people, PauseCause::Breaker, &words).await
        {
            tracing::warn!(%error, "the breaker tripped, and the track moved meanwhile: {error}");
        }
    }

    /// A job without an intent: its row is loaded anew with its chunk, at once where it may go `again`; the
    /// connection that asked for work gets other work.
    fn give_back(&self, job: &Job, again: bool) {
        self.settle(job, true);
        self.chunks.ended(job.intent.key.number, None, again);
        self.out.add_permits(1);
        self.demand.add_permits(1);
    }

    /// Makes room at the provider, and gives back to the day what did not start.
    fn settle(&self, job: &Job, not_started: bool) {
        let provider = &job.lane.provider;
        self.concurrency.ended(provider, job.envelope.to.domain());
        if not_started {
            self.quota.give_back(provider, self.engine.clock.now());
        }
    }

    fn ended(&self, done: &Done) -> crate::store::deliveries::Ended {
        let job = &done.job;
        let attempt = Attempt {
            key: job.intent.key,
            from: job.intent.from.clone(),
            state: job.state.clone(),
            dated_at: job.intent.dated_at,
            person: job.person.clone(),
            epoch: job.intent.epoch,
            stood_still: self.chunks.stood_still(&job.lane),
        };
        let jitter: f64 = rand::rng().random();
        self.rules.end(&self.people, &attempt, done.outcome.clone(), jitter)
    }

    /// What the outcome asks of its lane and of the campaign. Died in between: the outcome stands, the
    /// lane runs on, and the next such reply asks again.
    async fn react(&mut self, done: &Done) -> Result<(), EngineError> {
        let (lane, domain) = (&done.job.lane, done.job.envelope.to.domain());
        let reaction = self.reactions.to(&lane.provider, domain, &done.outcome);
        if let Some(rest) = reaction.suspend {
            if self.reactions.is_many(&lane.provider) {
                self.rest(lane, domain, rest, &done.outcome);
            } else {
                self.suspend(lane, rest, &done.outcome).await?;
            }
        }
        if let Some(slowed) = reaction.slow {
            self.slow(lane, domain, slowed, &done.outcome).await?;
        }
        if let Some(cause) = reaction.halt {
            self.halt.call(Cause::ours(cause));
        }
        Ok(())
    }

    /// One domain of many rests, and the others go on. In memory: the next worker asks it once more.
    fn rest(&self, lane: &Lane, domain: &str, rest: Duration, outcome: &Outcome) {
        self.pace.rest(&lane.provider, domain, rest);
        tracing::warn!(
            lane.provider = %lane.provider,
            "a domain of provider `{}` rests for {} s: {}",
            lane.provider,
            rest.as_secs(),
            in_words(outcome)
        );
    }

    /// Our own fault at a provider: the lane rests, and its retry windows stand still.
    async fn suspend(
        &self,
        lane: &Lane,
        rest: Duration,
        outcome: &Outcome,
    ) -> Result<(), EngineError> {
        let until = later(self.engine.clock.now(), rest);
        let cause = in_words(outcome);
        self.engine.suspend_lane(&self.people, lane, until, cause, Some(outcome)).await?;
        self.chunks.suspend(lane);
        Ok(())
    }

    /// A slower pace: of a provider it stands in the database and the ledger; of one domain of lane
    /// `other` only in memory, as its usual pace does.
    async fn slow(
        &self,
        lane: &Lane,
        domain: &str,
        slowed: Slowed,
        outcome: &Outcome,
    ) -> Result<(), EngineError> {
        let now = self.engine.clock.now();
        let Slowed { per_second, until, cause } = slowed;
        let domain = self.reactions.is_many(&lane.provider).then_some(domain);
        if domain.is_none() {
            let per_minute = Some(per_second * 60.0);
            let entry =
                self.people.lane_changed(&lane.provider, "slowed", Some(outcome), per_minute);
            let slowing = Slowing { until, per_second, cause: cause.clone() };
            let lines = vec![entry.line(now)];
            self.engine.store.slow_lane(self.people.campaign, lane, &slowing, lines).await?;
        }
        let lasting = until.duration_since(now).unsigned_abs();
        self.pace.slow(&lane.provider, domain, per_second, lasting);
        tracing::warn!(
            lane.provider = %lane.provider,
            "{} `{}` goes on at {:.1} a minute: {cause}",
            if domain.is_some() { "a domain of provider" } else { "provider" },
            lane.provider,
            per_second * 60.0
        );
        Ok(())
    }
}

/// Code, status, phase and class of a refusal, without the peer's words.
fn in_words(outcome: &Outcome) -> String {
    let code = outcome.code.map(|code| code.to_string());
    let class = outcome.class.map(|class| format!("({class})"));
    let at = Some(format!("at {}", outcome.phase));
    let parts = [code, outcome.enhanced.clone(), at, class];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// By provider, how many attempts begin, less those that ended without having started.
fn begun(starts: &[Job], ends: &[Done]) -> BTreeMap<String, i64> {
    let begin = starts.iter().map(|job| (&job.lane.provider, 1));
    let put_back = ends
        .iter()
        .filter(|done| done.outcome.result == AttemptResult::NotStarted)
        .map(|done| (&done.job.lane.provider, -1));
    let mut begun = BTreeMap::new();
    for (provider, count) in begin.chain(put_back) {
        *begun.entry(provider.clone()).or_default() += count;
    }
    begun
}
