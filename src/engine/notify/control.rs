//! The permit: what must hold at the very instant a transaction starts (protocol §5).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::domain::track::NoticeState;
use crate::engine::Engine;
use crate::store::deliveries::Claimant;

/// How often the control row is read.
const POLL: Duration = Duration::from_millis(250);
/// How old the last reading may be when a transaction starts.
const FRESH: Duration = Duration::from_millis(700);
/// How much of the lease must be left.
const LEASE_LEFT: Duration = Duration::from_secs(5);

/// The last reading of the control row, and how long the leases hold. Monotonic clock throughout, so
/// that a worker which wakes late finds its reading stale.
#[derive(Debug, Clone)]
struct Reading {
    state: NoticeState,
    read_at: Instant,
    lease_until: Instant,
}

/// Shared by the poller and every connection.
#[derive(Debug)]
pub struct Control {
    reading: Mutex<Reading>,
}

impl Control {
    /// Nothing was read yet, so nothing may start.
    pub fn new() -> Self {
        let past = Instant::now().checked_sub(Duration::from_mins(1)).unwrap_or_else(Instant::now);
        let reading = Reading { state: NoticeState::Draft, read_at: past, lease_until: past };
        Self { reading: Mutex::new(reading) }
    }

    /// Whether a transaction may start at this instant.
    pub fn permits(&self) -> bool {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = Instant::now();
        reading.state == NoticeState::Running
            && now.duration_since(reading.read_at) <= FRESH
            && reading.lease_until.saturating_duration_since(now) >= LEASE_LEFT
    }

    /// The state read last.
    pub fn state(&self) -> NoticeState {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).state
    }

    fn saw(&self, state: NoticeState, read_at: Instant) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.state = state;
        reading.read_at = read_at;
    }

    /// All leases were renewed by a statement sent at `from`. A chunk claimed later holds longer, so
    /// this is the earliest end of any.
    pub fn leased(&self, from: Instant, for_: Duration) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        reading.lease_until = from + for_;
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

/// Polls the control row and renews the leases until told to stop.
pub async fn poll(
    engine: Engine,
    campaign: i64,
    control: Arc<Control>,
    claimant: impl Fn() -> Claimant + Send,
    stop: CancellationToken,
) {
    let lease_for = engine.worker.lease_for;
    let mut renewed = Instant::now();
    control.leased(renewed, lease_for);
    loop {
        // An age counts from before the question was asked.
        let asked = Instant::now();
        match engine.store.control(campaign).await {
            Ok(row) => control.saw(row.notice, asked),
            Err(error) => tracing::warn!(%error, "the control row cannot be read"),
        }
        if renewed.elapsed() >= lease_for / 6 {
            let asked = Instant::now();
            match engine.store.renew(&claimant()).await {
                Ok(_) => {
                    renewed = asked;
                    control.leased(asked, lease_for);
                }
                Err(error) => tracing::warn!(%error, "the leases cannot be renewed"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_starts_before_the_first_reading_nor_on_a_stale_one() {
        let control = Control::new();
        assert!(!control.permits());
        control.leased(Instant::now(), Duration::from_mins(1));
        control.saw(NoticeState::Running, Instant::now());
        assert!(control.permits());
        let stale = Instant::now().checked_sub(Duration::from_millis(701)).unwrap();
        control.saw(NoticeState::Running, stale);
        assert!(!control.permits());
    }

    #[test]
    fn nothing_starts_while_paused_or_when_the_lease_runs_out() {
        let control = Control::new();
        control.leased(Instant::now(), Duration::from_mins(1));
        control.saw(NoticeState::Paused, Instant::now());
        assert!(!control.permits());
        control.saw(NoticeState::Running, Instant::now());
        control.leased(Instant::now(), Duration::from_secs(4));
        assert!(!control.permits());
    }
}
