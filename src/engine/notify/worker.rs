//! One worker: recovers, starts the tasks, runs to the end or to a stop, leaves everything recorded.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::SignedDuration;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::brake;
use super::claim::give_back;
use super::concurrency::Concurrency;
use super::connections::Line;
use super::control::{Control, poll};
use super::dispatch::{Dispatcher, Ended};
use super::halt::{Cause, Halt};
use super::lane::Chunks;
use super::outcome::Rules;
use super::pace::Pace;
use super::quota::DayQuota;
use super::reaction::Reactions;
use super::recorder::Recorder;
use super::relay_state::RelayState;
use crate::domain::pace::{PaceSetting, PaceTable, day_of};
use crate::domain::track::{Environment, PauseCause};
use crate::engine::notice::NoticeWriter;
use crate::engine::people::People;
use crate::engine::progress::Progress;
use crate::engine::{Engine, EngineError};
use crate::journal::{self, Journal};
use crate::mail::relay::Relay;
use crate::store::deliveries::Claimant;

/// How often the pace that operators set is read.
const LISTEN_EVERY: Duration = Duration::from_millis(500);

/// Commits waiting between the dispatcher, the connections and the recorder.
const QUEUE: usize = 1_024;

/// A worker for one campaign.
pub struct Worker<'a> {
    /// The handles.
    pub engine: &'a Engine,
    /// The campaign.
    pub people: &'a People,
    /// Renders and builds the approved notice.
    pub writer: &'a NoticeWriter,
    /// The pace of the campaign's file; outside the approval.
    pub pace: PaceSetting,
}

/// Everything the tasks of a worker share.
struct Shared {
    id: Uuid,
    claimant: Arc<dyn Fn() -> Claimant + Send + Sync>,
    journal: Arc<Journal>,
    control: Arc<Control>,
    chunks: Arc<Chunks>,
    wake: Arc<Notify>,
    /// Room for those who are out: rendered, committed, or on the wire.
    out: Arc<Semaphore>,
    demand: Arc<Semaphore>,
    pace: Arc<Pace>,
    limits: Arc<ArcSwap<PaceTable>>,
    quota: Arc<DayQuota>,
    concurrency: Arc<Concurrency>,
    state: Arc<RelayState>,
    halt: Arc<Halt>,
    failed: CancellationToken,
    closing: CancellationToken,
}

impl Worker<'_> {
    /// Sends until nothing is left for the machine, or until `soft`. What is open then finishes and is
    /// recorded; what was only intended is put back.
    pub async fn run(
        &self,
        progress: &dyn Progress,
        soft: &CancellationToken,
    ) -> Result<Ended, EngineError> {
        let rules = Rules::of(self.writer.file(), &self.engine.replies);
        let breaker = self.engine.breaker(self.people, self.writer.file()).await?;
        // An earlier worker died between its last outcome and the pause.
        if let Some(words) = breaker.tripped() {
            return Ok(Ended::Halted(Cause { kind: PauseCause::Breaker, words }));
        }
        let shared = self.start().await?;
        brake::restore(self.engine, self.people.campaign, &shared.pace).await?;
        let (records, inbox) = mpsc::channel(QUEUE);
        let (jobs, outbox) = flume::bounded(QUEUE);
        let recorder = Recorder {
            engine: self.engine.clone(),
            people: self.people.clone(),
            rules: rules.clone(),
            chunks: Arc::clone(&shared.chunks),
            halt: Arc::clone(&shared.halt),
            breaker,
            pace: Arc::clone(&shared.pace),
            reactions: Reactions::new(rules.clone(), Arc::clone(&shared.limits)),
            wake: Arc::clone(&shared.wake),
            out: Arc::clone(&shared.out),
            window: self.engine.worker.window,
            demand: Arc::clone(&shared.demand),
            control: Arc::clone(&shared.control),
            claimant: Arc::clone(&shared.claimant),
            concurrency: Arc::clone(&shared.concurrency),
            quota: Arc::clone(&shared.quota),
            jobs,
            failed: shared.failed.clone(),
        };
        let recorder = tokio::spawn(recorder.run(inbox));
        let polling = CancellationToken::new();
        // However this ends, nobody goes on renewing leases.
        let _renewing = polling.clone().drop_guard();
        let claimant = Arc::clone(&shared.claimant);
        let poller = tokio::spawn(poll(
            self.engine.clone(),
            self.people.campaign,
            Arc::clone(&shared.control),
            move || claimant(),
            polling.clone(),
        ));
        let listening = tokio::spawn(self.listen(&shared, polling.clone()));
        let lines = self.lines(&shared, &records, outbox, soft);
        let dispatcher = self.dispatcher(&shared, &rules, records, soft);
        let ended = self.watch(&dispatcher, &shared, progress, soft).await;
        self.wind_down(dispatcher, lines, recorder, &shared).await?;
        polling.cancel();
        let _ = poller.await;
        let _ = listening.await;
        self.engine.store.stop_worker(&shared.id.to_string(), self.engine.clock.now()).await?;
        self.end_life(&shared.journal)?;
        ended
    }

    /// Follows what operators set as the pace, within a second.
    fn listen(
        &self,
        shared: &Shared,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (engine, campaign, file) = (self.engine.clone(), self.people.campaign, self.pace);
        let (pace, limits) = (Arc::clone(&shared.pace), Arc::clone(&shared.limits));
        async move {
            while stop.run_until_cancelled(tokio::time::sleep(LISTEN_EVERY)).await.is_some() {
                match engine.limits(campaign, file).await {
                    Ok(now) if now != **limits.load() => {
                        pace.change(&now);
                        limits.store(Arc::new(now));
                        tracing::info!("another pace was set and holds from now on");
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "the pace cannot be read"),
                }
            }
        }
    }

    async fn start(&self) -> Result<Shared, EngineError> {
        let identity = self.engine.store.identity().await?;
        let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        let boot = journal::boot_id().map_err(|error| EngineError::refused(error.to_string()))?;
        let now = self.engine.clock.now();
        let name = id.to_string();
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let journal = self.begin_life(id, &identity, boot).await?;
        self.engine
            .store
            .start_worker(&name, identity.incarnation, boot.as_str(), host.trim(), now)
            .await?;
        let clock = Arc::clone(&self.engine.clock);
        let lease = SignedDuration::try_from(self.engine.worker.lease_for)
            .unwrap_or(SignedDuration::from_secs(60));
        let limits = self.engine.limits(self.people.campaign, self.pace).await?;
        let today = day_of(self.engine.clock.now());
        let today = self.engine.store.counted_day().await?.map_or(today, |day| day.max(today));
        let claimant = move || {
            let now = clock.now();
            Claimant {
                worker: name.clone(),
                incarnation: identity.incarnation,
                now,
                until: now.saturating_add(lease).unwrap_or(now),
            }
        };
        Ok(Shared {
            id,
            claimant: Arc::new(claimant),
            journal,
            control: Arc::new(Control::new()),
            chunks: Arc::new(Chunks::default()),
            wake: Arc::new(Notify::new()),
            out: Arc::new(Semaphore::new(self.most_out())),
            demand: Arc::new(Semaphore::new(0)),
            pace: Arc::new(Pace::new(&limits, self.engine.relay.connections)),
            limits: Arc::new(ArcSwap::from_pointee(limits)),
            quota: Arc::new(DayQuota::new(today, self.engine.store.used_on(today).await?)),
            concurrency: Arc::new(Concurrency::default()),
            state: Arc::new(RelayState::default()),
            halt: Arc::new(Halt::default()),
            failed: CancellationToken::new(),
            closing: CancellationToken::new(),
        })
    }

    fn lines(
        &self,
        shared: &Shared,
        records: &mpsc::Sender<super::job::Record>,
        outbox: flume::Receiver<super::job::Job>,
        soft: &CancellationToken,
    ) -> JoinSet<()> {
        let mut relay = self.engine.relay.clone();
        relay.loopback_only = self.people.environment == Environment::Rehearsal;
        let line = Line {
            engine: self.engine.clone(),
            people: self.people.clone(),
            jobs: outbox,
            records: records.clone(),
            demand: Arc::clone(&shared.demand),
            control: Arc::clone(&shared.control),
            pace: Arc::clone(&shared.pace),
            journal: Arc::clone(&shared.journal),
            state: Arc::clone(&shared.state),
            halt: Arc::clone(&shared.halt),
            soft: soft.clone(),
            failed: shared.failed.clone(),
            closing: shared.closing.clone(),
            relay: Relay::new(relay),
        };
        let mut lines = JoinSet::new();
        for _ in 0..self.engine.relay.connections.max(1) {
            lines.spawn(line.clone().run());
        }
        lines
    }

    fn dispatcher(
        &self,
        shared: &Shared,
        rules: &Rules,
        records: mpsc::Sender<super::job::Record>,
        soft: &CancellationToken,
    ) -> Dispatcher {
        Dispatcher {
            engine: self.engine.clone(),
            people: self.people.clone(),
            writer: self.writer.clone(),
            chunks: Arc::clone(&shared.chunks),
            wake: Arc::clone(&shared.wake),
            out: Arc::clone(&shared.out),
            demand: Arc::clone(&shared.demand),
            control: Arc::clone(&shared.control),
            pace: Arc::clone(&shared.pace),
            limits: Arc::clone(&shared.limits),
            quota: Arc::clone(&shared.quota),
            concurrency: Arc::clone(&shared.concurrency),
            journal: Arc::clone(&shared.journal),
            halt: Arc::clone(&shared.halt),
            records,
            claimant: Arc::clone(&shared.claimant),
            relay: self.engine.relay.relay(),
            shortest_retry: rules.retry.shortest().unsigned_abs(),
            soft: soft.clone(),
            failed: shared.failed.clone(),
        }
    }

    /// Runs the dispatcher beside a progress bar.
    async fn watch(
        &self,
        dispatcher: &Dispatcher,
        shared: &Shared,
        progress: &dyn Progress,
        soft: &CancellationToken,
    ) -> Result<Ended, EngineError> {
        let campaign = self.people.campaign;
        let total = self.engine.store.delivery_totals(campaign).await?;
        progress.begin("Telling", Some(total.sealed - total.person_open()), "people");
        let (mut told_of, mut pause) = (None, Duration::from_millis(200));
        let running = dispatcher.run();
        tokio::pin!(running);
        let ended = loop {
            tokio::select! {
                ended = &mut running => break ended,
                () = tokio::time::sleep(pause) => {}
            }
            // A sum over 24,000 chunks must not cost a worker its time.
            let asked = Instant::now();
            let totals = self.engine.store.delivery_totals(campaign).await?;
            pause = Duration::from_millis(200).max(asked.elapsed() * 20);
            progress.at(totals.told + totals.withdrawn + totals.waived);
            let fault = shared.state.fault();
            if fault != told_of && !soft.is_cancelled() {
                if let Some(fault) = &fault {
                    progress.note(&format!("the relay does not answer; trying on: {fault}"));
                }
                told_of = fault;
            }
        };
        let totals = self.engine.store.delivery_totals(campaign).await?;
        progress.at(totals.told + totals.withdrawn + totals.waived);
        progress.end();
        ended
    }

    /// Half as many again as the window: while its outcomes are gathered, the next ones are rendered.
    fn most_out(&self) -> usize {
        self.engine.worker.window * 3 / 2
    }

    /// Lets open transactions end, records them, gives all chunks back.
    async fn wind_down(
        &self,
        dispatcher: Dispatcher,
        mut lines: JoinSet<()>,
        recorder: tokio::task::JoinHandle<Result<(), EngineError>>,
        shared: &Shared,
    ) -> Result<(), EngineError> {
        // The dispatcher holds a sender of the recorder, as each connection does.
        drop(dispatcher);
        // By who is out and not by the open chunks: a dispatcher that ended in an error may have taken a
        // row that no connection ever gets.
        while shared.out.available_permits() < self.most_out() && !shared.failed.is_cancelled() {
            tokio::select! {
                () = shared.wake.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
        shared.closing.cancel();
        while lines.join_next().await.is_some() {}
        let recorded = recorder
            .await
            .map_err(|error| EngineError::Broken(format!("the recorder ended: {error}")))?;
        recorded?;
        self.release_all(shared).await
    }

    async fn release_all(&self, shared: &Shared) -> Result<(), EngineError> {
        let worker = shared.id.to_string();
        let finished = shared.chunks.take_finished(true);
        give_back(self.engine, self.people.campaign, &worker, finished).await?;
        if let Err(error) = self.engine.high_water.sync() {
            tracing::warn!(%error, "the high-water mark could not be synced");
        }
        Ok(())
    }
}
