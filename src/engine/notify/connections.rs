//! Connection tasks: each owns one connection, asks for work, and runs one transaction at a time.

use std::io;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::control::Control;
use super::halt::{Cause, Halt};
use super::job::{Done, Job, Record};
use super::outcome::{encode, of_transaction};
use super::pace::{Pace, SLOT_FOR};
use super::relay_state::RelayState;
use crate::domain::reply::Phase;
use crate::engine::Engine;
use crate::engine::people::People;
use crate::journal::{Journal, Mark, MarkKey, OutcomeBytes};
use crate::mail::capabilities::Capabilities;
use crate::mail::connection::Connection;
use crate::mail::envelope::Offer;
use crate::mail::relay::Relay;
use crate::mail::transaction::Transaction;

/// How long an intent waits for a connection before it goes back.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(30);
/// How much work a connection asks for ahead, in time.
const AHEAD: Duration = Duration::from_millis(80);
/// The most work one connection asks for ahead.
const MOST_AHEAD: u32 = 32;

/// What all connection tasks share.
#[derive(Clone)]
pub struct Line {
    /// The handles.
    pub engine: Engine,
    /// The campaign.
    pub people: People,
    /// The relay, bound to loopback where the campaign is a rehearsal.
    pub relay: Relay,
    /// Committed jobs.
    pub jobs: flume::Receiver<Job>,
    /// The recorder.
    pub records: mpsc::Sender<Record>,
    /// Work asked for: one permit, one job.
    pub demand: Arc<Semaphore>,
    /// The permit.
    pub control: Arc<Control>,
    /// The pace.
    pub pace: Arc<Pace>,
    /// The wire journal.
    pub journal: Arc<Journal>,
    /// What is wrong with the relay.
    pub state: Arc<RelayState>,
    /// Called when the relay shows that the fault is ours.
    pub halt: Arc<Halt>,
    /// No new transaction starts.
    pub soft: CancellationToken,
    /// Nothing more can be recorded.
    pub failed: CancellationToken,
    /// No more jobs come.
    pub closing: CancellationToken,
}

/// The job a connection does next.
struct Next {
    job: Job,
    /// Its first commands went out with the final dot before.
    is_begun: bool,
}

impl Line {
    /// Runs until no jobs come any more.
    pub async fn run(self) {
        let mut connection = self.connect_first().await;
        let (mut asked, mut served) = (0, 0_u32);
        let mut next = None;
        let mut pace = Duration::from_millis(20);
        loop {
            let ahead = u32::try_from(AHEAD.as_micros() / pace.as_micros().max(1)).unwrap_or(1);
            // No more than it has done, but for one: a relay that refuses all is met by few.
            let depth = 1 + ahead.min(MOST_AHEAD - 1).min(served + 1) as usize;
            // Several at once: each asking may wake the dispatcher.
            if asked <= depth / 2 {
                self.demand.add_permits(depth - asked);
                asked = depth;
            }
            let job = match next.take() {
                Some(next) => next,
                None => match self.next_job(&mut connection).await {
                    Some(job) => Next { job, is_begun: false },
                    None => break,
                },
            };
            asked = asked.saturating_sub(1);
            let began = Instant::now();
            let done = self.serve(&mut connection, job, &mut next).await;
            served = MOST_AHEAD.min(served + 1);
            pace = (pace * 7 + began.elapsed()) / 8;
            if self.records.send(Record::End(Box::new(done))).await.is_err() {
                break;
            }
        }
        if let Some(open) = connection {
            open.close().await;
        }
    }

    /// Nothing is asked for before the relay answers.
    async fn connect_first(&self) -> Option<Connection> {
        let mut wait = Duration::from_millis(100);
        while !self.is_ending() {
            if let Some(open) = self.connect().await {
                return Some(open);
            }
            tokio::select! {
                () = self.ending() => {}
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(Duration::from_secs(10));
        }
        None
    }

    /// One attempt at a connection. A fault that is ours, met again at once, halts the campaign.
    async fn connect(&self) -> Option<Connection> {
        let _turn = self.state.turn().await;
        let connected = tokio::select! {
            connected = Connection::connect(&self.relay) => connected,
            // Nothing was sent yet, so nothing is lost by not waiting for a silent relay.
            () = self.ending() => return None,
        };
        match connected {
            Ok(open) => {
                self.state.connected();
                Some(open)
            }
            Err(fault) => {
                tracing::warn!(%fault, "no connection to the relay: {fault}");
                if self.state.failed(&fault) {
                    self.halt.call(Cause::ours(fault.to_string()));
                }
                None
            }
        }
    }

    /// Whether no transaction will start any more.
    fn is_ending(&self) -> bool {
        self.closing.is_cancelled()
            || self.soft.is_cancelled()
            || self.halt.is_called()
            || self.failed.is_cancelled()
    }

    async fn ending(&self) {
        tokio::select! {
            () = self.closing.cancelled() => {}
            () = self.soft.cancelled() => {}
            () = self.halt.called() => {}
            () = self.failed.cancelled() => {}
        }
    }

    /// The next committed job; a connection that lies idle too long is closed meanwhile.
    async fn next_job(&self, connection: &mut Option<Connection>) -> Option<Job> {
        loop {
            if let Ok(job) = self.jobs.try_recv() {
                return Some(job);
            }
            tokio::select! {
                job = self.jobs.recv_async() => return job.ok(),
                () = self.closing.cancelled() => return None,
                () = tokio::time::sleep(Duration::from_secs(1)) => {
                    if connection.as_ref().is_some_and(Connection::is_spent)
                        && let Some(idle) = connection.take()
                    {
                        idle.close().await;
                    }
                }
            }
        }
    }

    fn may_start(&self) -> bool {
        self.control.permits() && !self.is_ending()
    }

    /// One transaction. What another job's final dot can take along is left in `next`.
    async fn serve(
        &self,
        connection: &mut Option<Connection>,
        Next { mut job, is_begun }: Next,
        next: &mut Option<Next>,
    ) -> Done {
        if !is_begun && !self.begin(connection, &job).await {
            return Done::not_started(job, self.engine.clock.now());
        }
        let Some(open) = connection else {
            return Done::not_started(job, self.engine.clock.now());
        };
        let key = self.key(&job);
        let mut is_withheld = false;
        let before_dot = |room: Option<Capabilities>| {
            // Begun with another's final dot, whose answer may have taken minutes: so it is asked again.
            if is_begun && !self.may_start() {
                is_withheld = true;
                return Err(io::ErrorKind::Interrupted.into());
            }
            let Some((job, offer)) = self.ahead(room) else {
                return self.journal.mark(&Mark::Dot { key }).map(|()| None);
            };
            let marked = match &offer {
                Some(_) => self.journal.marks([&Mark::Dot { key }, &self.begin_mark(&job)]),
                None => self.journal.mark(&Mark::Dot { key }),
            };
            *next = Some(Next { is_begun: offer.is_some() && marked.is_ok(), job });
            marked.map(|()| offer)
        };
        let wire = mem::take(&mut job.wire);
        let end = open.transact_ahead(&job.envelope, wire, before_dot).await;
        if !open.is_usable()
            && let Some(broken) = connection.take()
        {
            drop(broken);
        }
        let at = self.engine.clock.now();
        if is_withheld {
            return Done::not_started(job, at);
        }
        // Of one that was begun with another's dot and heard nothing of its own, nothing came of it.
        if is_begun
            && let Transaction::Broken { phase: Phase::Mail, after_dot: false, cause } = &end
        {
            self.state.unheard(cause);
            return Done::not_started(job, at);
        }
        let (number, provider) = (job.intent.key.number, &job.lane.provider);
        let outcome =
            of_transaction(&self.people, &self.engine.replies, provider, number, &end, at);
        if let Ok(outcome) = OutcomeBytes::new(encode(&outcome)) {
            self.mark(&Mark::End { key, outcome });
        }
        Done { job, outcome }
    }

    /// The permit of a job at a connection of its own, and its first mark.
    async fn begin(&self, connection: &mut Option<Connection>, job: &Job) -> bool {
        if self.ready(connection, job).await.is_none() {
            return false;
        }
        if job.slot.elapsed() > SLOT_FOR {
            self.pace.global_slot().await;
        }
        // Making the mark may have waited for a disk, so the permit is asked again after it.
        self.may_start() && self.mark(&self.begin_mark(job)) && self.may_start()
    }

    /// The job that may begin with the final dot of the one before, with what begins it; one that may not so
    /// comes next all the same.
    fn ahead(&self, room: Option<Capabilities>) -> Option<(Job, Option<Offer>)> {
        let offered = room.filter(|_| self.state.takes_ahead() && self.may_start())?;
        let job = self.jobs.try_recv().ok()?;
        let can_be_carried = offered.smtputf8 || !job.envelope.needs_smtputf8();
        let may_begin = can_be_carried && job.slot.elapsed() <= SLOT_FOR;
        let offer = may_begin.then(|| job.envelope.offer(offered, job.wire.message_size()));
        Some((job, offer))
    }

    fn key(&self, job: &Job) -> MarkKey {
        let key = job.intent.key;
        MarkKey {
            campaign: self.people.campaign,
            number: key.number,
            generation: key.generation,
            n: key.n,
        }
    }

    fn begin_mark(&self, job: &Job) -> Mark {
        Mark::Begin {
            key: self.key(job),
            dated_at: job.intent.dated_at.as_microsecond(),
            content: job.intent.content,
        }
    }

    /// A connection that is there and silent, made anew where needed; none within 30 s, or on a stop.
    async fn ready<'a>(
        &self,
        connection: &'a mut Option<Connection>,
        job: &Job,
    ) -> Option<&'a mut Connection> {
        if connection.as_mut().is_some_and(|open| open.is_spent() || !open.still_open())
            && let Some(old) = connection.take()
        {
            old.close().await;
        }
        let mut wait = Duration::from_millis(100);
        while connection.is_none() {
            let patience = WAIT_FOR_CONNECTION.saturating_sub(job.queued_at.elapsed());
            if !self.may_start() || patience.is_zero() {
                return None;
            }
            // A silent relay, or the turn to try it, may take minutes; the intent does not wait so long.
            *connection = tokio::time::timeout(patience, self.connect()).await.ok().flatten();
            if connection.is_none() {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(Duration::from_secs(5));
            }
        }
        connection.as_mut()
    }

    /// Makes a mark; where that fails nothing starts any more.
    fn mark(&self, mark: &Mark) -> bool {
        let made: io::Result<()> = self.journal.mark(mark);
        if let Err(error) = &made {
            tracing::error!(%error, "the wire journal cannot be written: nothing more is sent");
            self.failed.cancel();
        }
        made.is_ok()
    }
}
