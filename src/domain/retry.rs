//! When a deferred notice is tried again, and when its retry window has ended.
//!
//! Pure: instants and the random share come in as arguments. The store keeps the answer as the
//! row's `due_at`; nothing here sleeps.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::duration::HumanDuration;

/// The intervals between attempts and the age at which trying ends.
///
/// The default follows RFC 5321 §4.5.4.1: two attempts in the first hour, then one every two to
/// three hours, for five days.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Written")]
pub struct RetryPolicy {
    schedule: Vec<SignedDuration>,
    max_age: SignedDuration,
    jitter: f64,
}

/// What follows a deferral.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again at this instant.
    At(Timestamp),
    /// The window has ended: another channel has to reach the person.
    GaveUp,
}

/// Why a written policy cannot be followed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RetryFault {
    /// No interval at all.
    #[error("retry `schedule` is empty; hint: schedule = [\"30m\", \"2h\", \"3h\"]")]
    EmptySchedule,
    /// An interval of nothing would try without end; holds its place, from 1.
    #[error("retry `schedule` entry {0} is zero")]
    ZeroInterval(usize),
    /// A window of nothing.
    #[error("retry `max_age` is zero; hint: max_age = \"5d\"")]
    ZeroAge,
    /// The share is outside 0 to 1.
    #[error("retry `jitter` is {0}, not a share from 0 to 1")]
    Jitter(f64),
}

/// The policy as a file spells it.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    schedule: Vec<HumanDuration>,
    max_age: HumanDuration,
    jitter: f64,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            schedule: [1_800, 7_200, 10_800].map(HumanDuration::from_secs).to_vec(),
            max_age: HumanDuration::from_secs(5 * 86_400),
            jitter: 0.1,
        }
    }
}

impl TryFrom<Written> for RetryPolicy {
    type Error = RetryFault;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let schedule = written.schedule.iter().map(|interval| interval.signed()).collect();
        Self::new(schedule, written.max_age.signed(), written.jitter)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        let Written { schedule, max_age, jitter } = Written::default();
        let schedule = schedule.iter().map(|interval| interval.signed()).collect();
        Self { schedule, max_age: max_age.signed(), jitter }
    }
}

impl RetryPolicy {
    /// A policy of `schedule` (its last interval repeats), ending `max_age` after the first
    /// attempt; each interval grows by up to `jitter` (0 to 1) of itself.
    pub fn new(
        schedule: Vec<SignedDuration>,
        max_age: SignedDuration,
        jitter: f64,
    ) -> Result<Self, RetryFault> {
        if schedule.is_empty() {
            return Err(RetryFault::EmptySchedule);
        }
        if let Some(place) = schedule.iter().position(|interval| !interval.is_positive()) {
            return Err(RetryFault::ZeroInterval(place + 1));
        }
        if !max_age.is_positive() {
            return Err(RetryFault::ZeroAge);
        }
        if !(0.0..=1.0).contains(&jitter) {
            return Err(RetryFault::Jitter(jitter));
        }
        Ok(Self { schedule, max_age, jitter })
    }

    /// The shortest interval between two attempts.
    pub fn shortest(&self) -> SignedDuration {
        self.schedule.iter().copied().min().unwrap_or(self.max_age)
    }

    /// What follows attempt number `attempt` (from 1), deferred at `now`.
    ///
    /// `stood_still` is how long the lane was suspended since `first_attempt_at`: that time does
    /// not count against the person. `jitter_unit` is a random share from 0 to 1; jitter only ever
    /// delays. The last attempt falls on the end of the window, not before it.
    pub fn next_due(
        &self,
        attempt: u32,
        first_attempt_at: Timestamp,
        now: Timestamp,
        stood_still: SignedDuration,
        jitter_unit: f64,
    ) -> Next {
        let wait = self.interval(attempt);
        self.next_after(wait, first_attempt_at, now, stood_still, jitter_unit)
    }

    /// The same where the wait is not the schedule's but the reply's.
    pub fn next_after(
        &self,
        wait: SignedDuration,
        first_attempt_at: Timestamp,
        now: Timestamp,
        stood_still: SignedDuration,
        jitter_unit: f64,
    ) -> Next {
        let window = self.max_age.saturating_add(stood_still.max(SignedDuration::ZERO));
        let end = first_attempt_at.saturating_add(window).unwrap_or(Timestamp::MAX);
        if now >= end {
            return Next::GaveUp;
        }
        let stretched = self.stretched(wait, jitter_unit);
        Next::At(now.saturating_add(stretched).unwrap_or(Timestamp::MAX).min(end))
    }

    /// The schedule's wait after attempt number `attempt` (from 1), without jitter.
    pub fn interval(&self, attempt: u32) -> SignedDuration {
        let place = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        self.schedule[place.min(self.schedule.len() - 1)]
    }

    /// A wait, longer by its share of jitter.
    pub fn stretched(&self, wait: SignedDuration, jitter_unit: f64) -> SignedDuration {
        let unit = if jitter_unit.is_nan() { 0.0 } else { jitter_unit.clamp(0.0, 1.0) };
        wait.saturating_add(wait.mul_f64(self.jitter * unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn hours(count: i64) -> SignedDuration {
        SignedDuration::from_hours(count)
    }

    fn after(span: SignedDuration) -> Timestamp {
        START + span
    }

    #[test]
    fn the_default_tries_twice_in_the_first_hour_and_then_every_two_to_three() {
        let policy = RetryPolicy::default();
        let mut now = START;
        let mut attempts = vec![now];
        for attempt in 1.. {
            match policy.next_due(attempt, START, now, SignedDuration::ZERO, 0.0) {
                Next::At(due) => now = due,
                Next::GaveUp => break,
            }
            attempts.push(now);
        }
        assert_eq!(attempts[1], after(SignedDuration::from_mins(30)));
        assert_eq!(attempts[2], after(SignedDuration::from_mins(150)));
        assert_eq!(attempts[3], after(SignedDuration::from_mins(330)));
        assert_eq!(attempts.last(), Some(&after(hours(120))), "one last try at the very end");
    }

    #[test]
    fn jitter_only_delays_and_stays_within_its_share() {
        let policy = RetryPolicy::default();
        let due = |unit| policy.next_due(1, START, START, SignedDuration::ZERO, unit);
        assert_eq!(due(0.0), Next::At(after(SignedDuration::from_mins(30))));
        assert_eq!(due(1.0), Next::At(after(SignedDuration::from_mins(33))));
        assert_eq!((due(7.0), due(f64::NAN)), (due(1.0), due(0.0)));
    }

    #[test]
    fn time_in_a_suspended_lane_does_not_count_against_the_person() {
        let policy = RetryPolicy::default();
        let late = after(hours(121));
        assert_eq!(policy.next_due(9, START, late, SignedDuration::ZERO, 0.0), Next::GaveUp);
        assert_eq!(policy.next_due(9, START, late, hours(48), 0.0), Next::At(after(hours(124))));
        assert_eq!(policy.next_due(9, START, late, hours(-48), 0.0), Next::GaveUp);
    }

    #[test]
    fn a_replys_own_wait_takes_the_place_of_the_schedules_within_the_same_window() {
        let policy = RetryPolicy::default();
        let (wait, none) = (SignedDuration::from_mins(10), SignedDuration::ZERO);
        let next = |now, unit| policy.next_after(wait, START, now, none, unit);
        assert_eq!(next(START, 0.0), Next::At(after(wait)));
        assert_eq!(next(START, 1.0), Next::At(after(SignedDuration::from_mins(11))));
        assert_eq!(next(after(hours(120)), 0.0), Next::GaveUp);
    }

    #[test]
    fn a_policy_reads_from_a_file_and_names_its_bad_key() {
        let text = "schedule = [\"5m\", \"15m\", \"1h\", \"3h\"]\nmax_age = \"2d\"\njitter = 0.0";
        let policy: RetryPolicy = toml::from_str(text).unwrap();
        assert_eq!(
            policy.next_due(3, START, START, SignedDuration::ZERO, 0.5),
            Next::At(after(hours(1)))
        );
        for (text, word) in [
            ("schedule = []", "schedule"),
            ("schedule = [\"5m\", \"0s\"]", "entry 2"),
            ("schedule = [\"5x\"]", "`5x`"),
            ("max_age = \"0d\"", "max_age"),
            ("jitter = 1.5", "jitter"),
            ("jitter = nan", "jitter"),
            ("max_tries = 3", "max_tries"),
        ] {
            let fault = toml::from_str::<RetryPolicy>(text).unwrap_err().to_string();
            assert!(fault.contains(word), "{text}: {fault}");
        }
        assert_eq!(toml::from_str::<RetryPolicy>("").unwrap(), RetryPolicy::default());
    }
}
