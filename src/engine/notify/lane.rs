//! Open chunks by lane: which rows wait, which are out, what is due later.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;

use crate::domain::chunk::chunk_of;
use crate::domain::recipient::Recipient;
use crate::store::deliveries::{Lane, Lease, LoadedRow};

/// At most this many chunks of a lane are open (protocol §4).
pub const OPEN_A_LANE: usize = 2;

/// A row that waits for its turn.
pub struct Waiting {
    /// The row.
    pub row: LoadedRow,
    /// The person.
    pub recipient: Box<Recipient>,
    /// Epoch of the lease.
    pub epoch: u64,
}

/// A chunk that can be given back, and when it is due again.
pub struct Finished {
    /// The lease.
    pub lease: Lease,
    /// The earliest instant one of its deferred rows is due.
    pub due_at: Option<Timestamp>,
}

struct OpenChunk {
    lease: Lease,
    lane: Arc<Lane>,
    /// Its lane's provider rests.
    rests: bool,
    waiting: VecDeque<Waiting>,
    out: usize,
    earliest: Option<Timestamp>,
}

#[derive(Default)]
struct LaneState {
    is_suspended: bool,
    stood_still: SignedDuration,
}

#[derive(Default)]
struct Inner {
    chunks: BTreeMap<u64, OpenChunk>,
    lanes: HashMap<Lane, LaneState>,
    /// When each wave's people must be told.
    deadlines: HashMap<u32, Timestamp>,
    /// The lane served last: the next one has its turn.
    last: Option<Arc<Lane>>,
}

/// All open chunks of a worker.
#[derive(Default)]
pub struct Chunks {
    inner: Mutex<Inner>,
    finished: Notify,
}

impl OpenChunk {
    /// Nothing more can be done with it now.
    fn is_finished(&self) -> bool {
        self.out == 0 && (self.waiting.is_empty() || self.rests)
    }
}

impl Inner {
    fn rests(&self, lane: &Lane) -> bool {
        self.lanes.get(lane).is_some_and(|state| state.is_suspended)
    }

    /// What decides before whose turn it is: the deadline of a lane's wave, then the wave's place.
    fn urgency(&self, lane: &Lane) -> (Timestamp, u32) {
        (self.deadlines.get(&lane.wave).copied().unwrap_or(Timestamp::MAX), lane.wave)
    }

    /// Chunks with rows that may go now.
    fn runnable(&self) -> impl Iterator<Item = &OpenChunk> {
        self.chunks.values().filter(|chunk| !chunk.waiting.is_empty() && !chunk.rests)
    }

    /// Notes at the chunks which lanes rest: it is asked before every message, and rarely changes.
    fn note_rests(&mut self) {
        for chunk in self.chunks.values_mut() {
            chunk.rests = self.lanes.get(&chunk.lease.lane).is_some_and(|lane| lane.is_suspended);
        }
    }
}

impl Chunks {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a lane may run.
    pub fn lane_runs(&self, lane: &Lane) {
        let mut inner = self.lock();
        let state = inner.lanes.entry(lane.clone()).or_default();
        if std::mem::take(&mut state.is_suspended) {
            inner.note_rests();
        }
    }

    /// Notes when each wave's people must be told.
    pub fn due(&self, waves: impl Iterator<Item = (u32, Option<Timestamp>)>) {
        self.lock().deadlines = waves.filter_map(|(wave, at)| Some((wave, at?))).collect();
    }

    /// Notes how long a lane's retry windows have stood still.
    pub fn stood(&self, lane: &Lane, stood_still: SignedDuration) {
        self.lock().lanes.entry(lane.clone()).or_default().stood_still = stood_still;
    }

    /// How many more chunks this lane may open.
    pub fn room(&self, lane: &Lane) -> usize {
        let inner = self.lock();
        let open = inner.chunks.values().filter(|chunk| chunk.lease.lane == *lane).count();
        OPEN_A_LANE.saturating_sub(open)
    }

    /// Opens a chunk with the rows that may be sent now.
    pub fn open(&self, lease: Lease, waiting: VecDeque<Waiting>, earliest: Option<Timestamp>) {
        let mut inner = self.lock();
        let (lane, rests) = (Arc::new(lease.lane.clone()), inner.rests(&lease.lane));
        let chunk = OpenChunk { waiting, out: 0, earliest, lease, lane, rests };
        if chunk.is_finished() {
            self.finished.notify_one();
        }
        inner.chunks.insert(chunk.lease.chunk, chunk);
    }

    /// Until a chunk has nothing more to do.
    pub async fn finished(&self) {
        self.finished.notified().await;
    }

    /// The lane's next row, which is out from now on.
    pub fn next(&self, lane: &Arc<Lane>) -> Option<Waiting> {
        let mut inner = self.lock();
        let mut chunks = inner.chunks.values_mut();
        let chunk =
            chunks.find(|one| !one.waiting.is_empty() && !one.rests && *one.lane == **lane)?;
        let row = chunk.waiting.pop_front()?;
        chunk.out += 1;
        inner.last = Some(Arc::clone(lane));
        Some(row)
    }

    /// A row whose turn had not come after all goes to the end of its chunk.
    pub fn put_back(&self, row: Waiting) {
        let mut inner = self.lock();
        if let Some(chunk) = inner.chunks.get_mut(&chunk_of(row.row.number)) {
            chunk.out -= 1;
            chunk.waiting.push_back(row);
        }
    }

    /// A row whose domain rests until `due`: its chunk need not be kept open for it.
    pub fn snooze(&self, row: &Waiting, due: Timestamp) {
        self.ended(row.row.number, Some(due), false);
    }

    /// Lanes with waiting rows: by their waves' deadlines, and among those alike the one after the last
    /// served first.
    pub fn turns(&self) -> Vec<Arc<Lane>> {
        let inner = self.lock();
        let lanes = || inner.runnable().map(|chunk| &chunk.lane);
        let Some(first) = lanes().next() else { return Vec::new() };
        if lanes().all(|lane| lane == first) {
            return vec![Arc::clone(first)];
        }
        let mut lanes: Vec<&Arc<Lane>> = lanes().collect();
        lanes.sort_unstable();
        lanes.dedup();
        if let Some(last) = &inner.last {
            let after = lanes.partition_point(|lane| **lane <= *last);
            lanes.rotate_left(after);
        }
        if !inner.deadlines.is_empty() || lanes.iter().any(|lane| lane.wave != lanes[0].wave) {
            lanes.sort_by_key(|lane| inner.urgency(lane));
        }
        lanes.into_iter().cloned().collect()
    }

    /// An attempt ended and is recorded; `again` = it never started and may go at once.
    pub fn ended(&self, number: u64, due_at: Option<Timestamp>, again: bool) {
        let mut inner = self.lock();
        let Some(chunk) = inner.chunks.get_mut(&chunk_of(number)) else { return };
        chunk.out -= 1;
        let due = if again { Some(Timestamp::UNIX_EPOCH) } else { due_at };
        chunk.earliest = [chunk.earliest, due].into_iter().flatten().min();
        if chunk.is_finished() {
            self.finished.notify_one();
        }
    }

    /// The lane's provider rests, in every wave: waiting rows stay where they are, in the database.
    pub fn suspend(&self, lane: &Lane) {
        let mut inner = self.lock();
        for (other, state) in &mut inner.lanes {
            state.is_suspended |= other.provider == lane.provider;
        }
        inner.lanes.entry(lane.clone()).or_default().is_suspended = true;
        inner.note_rests();
        self.finished.notify_one();
    }

    /// How long the lane's retry windows have stood still.
    pub fn stood_still(&self, lane: &Lane) -> SignedDuration {
        self.lock().lanes.get(lane).map_or(SignedDuration::ZERO, |state| state.stood_still)
    }

    /// Takes out the chunks that have nothing more to do now: all sent, or their lane suspended.
    /// With `all`, every chunk nobody is out of (for a stop).
    pub fn take_finished(&self, all: bool) -> Vec<Finished> {
        let mut inner = self.lock();
        let done: Vec<u64> = inner
            .chunks
            .values()
            .filter(|chunk| chunk.is_finished() || all && chunk.out == 0)
            .map(|chunk| chunk.lease.chunk)
            .collect();
        done.iter()
            .filter_map(|number| inner.chunks.remove(number))
            .map(|chunk| Finished {
                // Rows that were not sent are due whenever their lane runs again.
                due_at: chunk.earliest.filter(|_| chunk.waiting.is_empty()),
                lease: chunk.lease,
            })
            .collect()
    }

    /// Whether rows wait or are out.
    pub fn is_idle(&self) -> bool {
        self.lock().chunks.values().all(|chunk| chunk.waiting.is_empty() && chunk.out == 0)
    }

    /// Whether rows are out.
    pub fn is_out(&self) -> bool {
        self.lock().chunks.values().any(|chunk| chunk.out > 0)
    }

    /// Whether any row waits in a lane that runs.
    pub fn has_waiting(&self) -> bool {
        // asked before every message, so it must not build the list of turns
        self.lock().runnable().next().is_some()
    }
}
