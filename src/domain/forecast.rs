//! When everybody will have been told, at the pace that is set: people as a fluid, waves one after
//! another, providers beside each other.
//!
//! What a person's answer costs (a gate, the canary's go), refusals and retries are not in it: it is the
//! earliest end, and where even that is too late, the deadline cannot be met.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::pace::next_day;

/// Beyond this a forecast says nothing.
const HORIZON: f64 = 10.0 * 365.0 * DAY;
const DAY: f64 = 86_400.0;
/// Stands for a pace that nothing limits.
const UNLIMITED: f64 = 1e9;
/// A rest of a person smaller than this is rounding.
const NOBODY: f64 = 1e-6;

/// People still to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Their wave.
    pub wave: u32,
    /// Their mailbox provider.
    pub provider: String,
    /// How many notices.
    pub notices: u64,
}

/// How fast something goes; what is `None` is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Flow {
    /// Notices a second.
    pub per_second: Option<f64>,
    /// Notices a day (UTC).
    pub per_day: Option<u64>,
    /// Of these, used up today.
    pub used_today: u64,
    /// Nothing goes before.
    pub rests_until: Option<Timestamp>,
}

/// When the people of one wave at one provider will all have been told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finish {
    /// Which.
    pub work: Work,
    /// The instant; none where it lies more than ten years ahead.
    pub at: Option<Timestamp>,
}

/// Notices a second that tell `notices` from `now` to `deadline`; none where it has passed.
pub fn needed_per_second(notices: u64, now: Timestamp, deadline: Timestamp) -> Option<f64> {
    let left = deadline.duration_since(now).as_secs_f64();
    (left > 0.0).then(|| as_f64(notices) / left)
}

/// Runs all work: waves in order, within one the pace over all is shared by its providers evenly, up to
/// each one's own; a day's quota that is used up waits for the next day.
pub fn finishes(
    work: &[Work],
    all: Flow,
    providers: &BTreeMap<String, Flow>,
    now: Timestamp,
) -> Vec<Finish> {
    let waves: BTreeSet<u32> = work.iter().map(|part| part.wave).collect();
    let mut run = Run::new(all, providers, now);
    let mut finishes = Vec::with_capacity(work.len());
    for wave in waves {
        let of_wave: Vec<&Work> = work.iter().filter(|part| part.wave == wave).collect();
        let ends = run.wave(&of_wave);
        let ended = of_wave.iter().zip(ends);
        finishes.extend(ended.map(|(part, end)| Finish {
            work: (*part).clone(),
            at: end.and_then(|seconds| later(now, seconds)),
        }));
    }
    finishes
}

#[expect(clippy::cast_precision_loss, reason = "counts of people, far below 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

fn later(now: Timestamp, seconds: f64) -> Option<Timestamp> {
    let span = SignedDuration::try_from_secs_f64(seconds.ceil()).ok()?;
    now.saturating_add(span).ok()
}

/// One limit on its way through the days.
struct Gauge {
    flow: Flow,
    left_today: f64,
    rests_until: f64,
}

impl Gauge {
    fn new(flow: Flow, now: Timestamp) -> Self {
        let left = flow
            .per_day
            .map_or(f64::INFINITY, |quota| as_f64(quota.saturating_sub(flow.used_today)));
        let rests = flow.rests_until.map_or(0.0, |until| until.duration_since(now).as_secs_f64());
        Self { flow, left_today: left, rests_until: rests.max(0.0) }
    }

    fn new_day(&mut self) {
        self.left_today = self.flow.per_day.map_or(f64::INFINITY, as_f64);
    }

    /// The most it lets through at this second.
    fn cap(&self, at: f64) -> f64 {
        if at < self.rests_until || self.left_today <= NOBODY {
            return 0.0;
        }
        self.flow.per_second.unwrap_or(UNLIMITED)
    }
}

/// The state of a forecast; seconds count from now.
struct Run {
    at: f64,
    day_ends: f64,
    all: Gauge,
    providers: BTreeMap<String, Gauge>,
}

impl Run {
    fn new(all: Flow, providers: &BTreeMap<String, Flow>, now: Timestamp) -> Self {
        let gauge = |(name, flow): (&String, &Flow)| (name.clone(), Gauge::new(*flow, now));
        Self {
            at: 0.0,
            day_ends: next_day(now).duration_since(now).as_secs_f64(),
            all: Gauge::new(all, now),
            providers: providers.iter().map(gauge).collect(),
        }
    }

    /// When each part of a wave ends, in seconds; the run stands at the end of the last.
    fn wave(&mut self, parts: &[&Work]) -> Vec<Option<f64>> {
        let mut left: Vec<f64> = parts.iter().map(|part| as_f64(part.notices)).collect();
        let mut ends = vec![None; parts.len()];
        loop {
            for (end, rest) in ends.iter_mut().zip(&left) {
                if *rest <= NOBODY && end.is_none() {
                    *end = Some(self.at);
                }
            }
            if ends.iter().all(Option::is_some) || self.at > HORIZON {
                return ends;
            }
            let caps: Vec<f64> = parts
                .iter()
                .zip(&left)
                .map(|(part, rest)| if *rest > NOBODY { self.cap(&part.provider) } else { 0.0 })
                .collect();
            let rates = shared(&caps, self.all.cap(self.at));
            let step = self.next_event(parts, &left, &rates);
            self.advance(step, parts, &mut left, &rates);
        }
    }

    fn cap(&self, provider: &str) -> f64 {
        self.providers.get(provider).map_or(UNLIMITED, |gauge| gauge.cap(self.at))
    }

    /// Seconds until a part ends, a quota is used up, a rest is over or the day ends.
    fn next_event(&self, parts: &[&Work], left: &[f64], rates: &[f64]) -> f64 {
        let mut soonest = self.day_ends - self.at;
        let mut event = |seconds: f64| {
            if seconds > 0.0 {
                soonest = soonest.min(seconds);
            }
        };
        event(self.all.rests_until - self.at);
        event(self.all.left_today / rates.iter().sum::<f64>().max(f64::MIN_POSITIVE));
        for ((part, rest), rate) in parts.iter().zip(left).zip(rates) {
            if let Some(gauge) = self.providers.get(&part.provider) {
                event(gauge.rests_until - self.at);
                event(gauge.left_today / rate.max(f64::MIN_POSITIVE));
            }
            event(rest / rate.max(f64::MIN_POSITIVE));
        }
        soonest.max(NOBODY)
    }

    fn advance(&mut self, step: f64, parts: &[&Work], left: &mut [f64], rates: &[f64]) {
        self.at += step;
        for ((part, rest), rate) in parts.iter().zip(left).zip(rates) {
            let gone = rate * step;
            *rest -= gone;
            self.all.left_today -= gone;
            if let Some(gauge) = self.providers.get_mut(&part.provider) {
                gauge.left_today -= gone;
            }
        }
        if self.at >= self.day_ends - NOBODY {
            self.day_ends += DAY;
            self.all.new_day();
            self.providers.values_mut().for_each(Gauge::new_day);
        }
    }
}

/// Shares `all` evenly, nobody above their own cap; what one cannot use goes to the others.
fn shared(caps: &[f64], all: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..caps.len()).collect();
    order.sort_by(|a, b| caps[*a].total_cmp(&caps[*b]));
    let mut rates = vec![0.0; caps.len()];
    let mut left = all;
    for (place, index) in order.iter().enumerate() {
        let sharers = u32::try_from(caps.len() - place).unwrap_or(u32::MAX);
        rates[*index] = caps[*index].min(left / f64::from(sharers));
        left -= rates[*index];
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLIONS_24: u64 = 24_000_000;

    fn noon() -> Timestamp {
        "2012-01-16T12:00:00Z".parse().unwrap()
    }

    fn work(wave: u32, provider: &str, notices: u64) -> Work {
        Work { wave, provider: provider.into(), notices }
    }

    fn rate(per_second: f64) -> Flow {
        Flow { per_second: Some(per_second), ..Flow::default() }
    }

    /// Hours from noon to each finish.
    fn hours(parts: &[Work], all: Flow, providers: &[(&str, Flow)]) -> Vec<Option<f64>> {
        let providers = providers.iter().map(|(name, flow)| ((*name).to_owned(), *flow)).collect();
        let hours = |at: Timestamp| at.duration_since(noon()).as_secs_f64() / 3_600.0;
        finishes(parts, all, &providers, noon())
            .into_iter()
            .map(|finish| finish.at.map(hours))
            .collect()
    }

    fn near(found: &[Option<f64>], wanted: &[f64]) {
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for (found, wanted) in found.iter().zip(wanted) {
            assert!((found.unwrap() - wanted).abs() < 0.001, "{found:?} is not {wanted}");
        }
    }

    #[test]
    fn twenty_four_million_need_93_a_second_for_72_hours_and_9_for_30_days() {
        let after = |hours| noon() + SignedDuration::from_hours(hours);
        let three_days = needed_per_second(MILLIONS_24, noon(), after(72)).unwrap();
        assert!((three_days - 92.59).abs() < 0.01, "{three_days}");
        let thirty = needed_per_second(MILLIONS_24, noon(), after(24 * 30)).unwrap();
        assert!((thirty - 9.26).abs() < 0.01, "{thirty}");
        assert_eq!(needed_per_second(1, noon(), noon()), None, "too late already");
        let took = hours(&[work(1, "a", MILLIONS_24)], rate(93.0), &[]);
        near(&took, &[as_f64(MILLIONS_24) / 93.0 / 3_600.0]);
        assert!(took[0].unwrap() < 72.0);
    }

    #[test]
    fn the_pace_over_all_is_shared_and_what_one_cannot_use_goes_to_the_others() {
        // a alone is held to 2 of 10 a second: the others share 8, then the last has all 10
        let parts = [work(1, "a", 7_200), work(1, "b", 14_400), work(1, "c", 28_800)];
        near(
            &hours(&parts, rate(10.0), &[("a", rate(2.0))]),
            &[1.0, 1.0, 1.0 + 14_400.0 / 36_000.0],
        );
        near(&hours(&parts, Flow::default(), &[("a", rate(2.0))]), &[1.0, 0.0, 0.0]);
    }

    #[test]
    fn waves_go_one_after_another() {
        let parts = [work(2, "a", 3_600), work(1, "a", 3_600), work(3, "b", 0)];
        let finishes = finishes(&parts, rate(1.0), &BTreeMap::new(), noon());
        let waves: Vec<u32> = finishes.iter().map(|finish| finish.work.wave).collect();
        assert_eq!(waves, [1, 2, 3]);
        near(&hours(&parts, rate(1.0), &[]), &[1.0, 2.0, 2.0]);
    }

    #[test]
    fn a_days_quota_waits_for_midnight_and_counts_what_today_has_used() {
        let quota = |per_day, used_today| Flow { per_day: Some(per_day), used_today, ..rate(1.0) };
        // noon: 1,800 are left of today, the next 3,600 go from midnight on, the last of 5,500 after it
        let parts = [work(1, "a", 5_500)];
        near(
            &hours(&parts, Flow::default(), &[("a", quota(3_600, 1_800))]),
            &[36.0 + 100.0 / 3_600.0],
        );
        near(&hours(&parts, quota(3_600, 1_800), &[]), &[36.0 + 100.0 / 3_600.0]);
        // the quota of one provider holds up nobody else
        let both = [work(1, "a", 5_500), work(1, "b", 3_600)];
        let found = hours(&both, rate(2.0), &[("a", quota(3_600, 3_600)), ("b", rate(1.0))]);
        near(&found, &[36.0 + 1_900.0 / 3_600.0, 1.0]);
    }

    #[test]
    fn a_rest_is_waited_for() {
        let until = Some(noon() + SignedDuration::from_hours(2));
        let rests = Flow { rests_until: until, ..rate(1.0) };
        near(&hours(&[work(1, "a", 3_600)], rate(5.0), &[("a", rests)]), &[3.0]);
    }

    #[test]
    fn what_takes_longer_than_ten_years_has_no_end() {
        let slow = Flow { per_day: Some(200), ..Flow::default() };
        assert_eq!(hours(&[work(1, "a", MILLIONS_24)], slow, &[]), [None]);
        assert_eq!(hours(&[work(1, "a", 1), work(2, "b", 1)], rate(1e-9), &[]), [None, None]);
    }
}
