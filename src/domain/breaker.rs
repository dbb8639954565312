//! The breaker: too many dead addresses among the last attempts mean that the list is wrong, or that we
//! are being refused under another name.

use std::collections::VecDeque;

use serde::Deserialize;

/// When the breaker trips; `[breaker]` of a campaign's file.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerRule {
    /// The share of hard bounces that is still borne.
    pub bounced: f64,
    /// Among so many of the last attempts.
    pub over: u32,
    /// Not before so many were made.
    pub least: u32,
}

impl Default for BreakerRule {
    fn default() -> Self {
        Self { bounced: 0.15, over: 1_000, least: 200 }
    }
}

/// What was too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tripped {
    /// Hard bounces.
    pub bounced: u32,
    /// Among so many attempts.
    pub of: u32,
}

/// How the last attempts ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attempts {
    ends: VecDeque<bool>,
    bounced: u32,
}

impl BreakerRule {
    /// Refuses numbers that could not trip, or would at once; the text names the key.
    pub fn check(self) -> Result<Self, String> {
        if !(self.bounced > 0.0 && self.bounced < 1.0) {
            return Err(format!(
                "`breaker.bounced` is {}, not a share between 0 and 1; hint: `bounced = 0.15`",
                self.bounced
            ));
        }
        if self.least == 0 || self.least > self.over {
            return Err(format!(
                "`breaker.least` is {}, but must be 1 to `over` ({}); hint: `over = 1000`, \
                 `least = 200`",
                self.least, self.over
            ));
        }
        Ok(self)
    }

    /// Whether these attempts are too much.
    pub fn trips(self, attempts: &Attempts) -> Option<Tripped> {
        let Tripped { bounced, of } = attempts.share();
        let is_too_much = of >= self.least && f64::from(bounced) > self.bounced * f64::from(of);
        is_too_much.then_some(Tripped { bounced, of })
    }
}

impl Attempts {
    /// One more attempt ended; only the last `over` are kept.
    pub fn note(&mut self, is_bounce: bool, over: u32) {
        self.ends.push_back(is_bounce);
        self.bounced += u32::from(is_bounce);
        while self.ends.len() > usize::try_from(over).unwrap_or(usize::MAX) {
            self.bounced -= u32::from(self.ends.pop_front().unwrap_or(false));
        }
    }

    /// Hard bounces among those that are kept.
    pub fn share(&self) -> Tripped {
        let of = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        Tripped { bounced: self.bounced, of }
    }

    /// For the database: the count as four octets, then one bit an attempt, the oldest first.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = self.share().of.to_be_bytes().to_vec();
        let mut ends = self.ends.iter();
        while let Some(first) = ends.next() {
            let bits = std::iter::once(first).chain(ends.by_ref().take(7)).enumerate();
            bytes.push(bits.fold(0, |octet, (at, end)| octet | (u8::from(*end) << at)));
        }
        bytes
    }

    /// Reads [`encode`](Self::encode)'s bytes back, of a window of `over`; what is missing was no bounce.
    pub fn decode(bytes: &[u8], over: u32) -> Self {
        let mut attempts = Self::default();
        let Some((count, octets)) = bytes.split_first_chunk::<4>() else { return attempts };
        let count = usize::try_from(u32::from_be_bytes(*count)).unwrap_or(0);
        let bits = octets.iter().flat_map(|octet| (0..8).map(move |at| octet >> at & 1 == 1));
        for end in bits.take(count) {
            attempts.note(end, over);
        }
        attempts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many attempts of which every `nth` bounces; where it trips, if it does.
    fn run(rule: BreakerRule, attempts: u32, nth: u32) -> Option<Tripped> {
        let mut window = Attempts::default();
        (1..=attempts).find_map(|n| {
            window.note(n.is_multiple_of(nth), rule.over);
            rule.trips(&window)
        })
    }

    #[test]
    fn it_trips_above_its_share_and_not_before_enough_were_tried() {
        let rule = BreakerRule::default();
        assert_eq!(run(rule, 100_000, 7), None, "14.3 %");
        assert_eq!(run(rule, 100_000, 6), Some(Tripped { bounced: 33, of: 200 }), "16.7 %");
        assert_eq!(run(rule, 199, 1), None, "all of too few");
        let small = BreakerRule { least: 1, ..rule };
        assert_eq!(run(small, 1, 1), Some(Tripped { bounced: 1, of: 1 }));
    }

    #[test]
    fn only_the_last_attempts_count() {
        let rule = BreakerRule { over: 300, ..BreakerRule::default() };
        let mut window = Attempts::default();
        for _ in 0..10_000 {
            window.note(false, rule.over);
        }
        let at = (1..=300).find(|_| {
            window.note(true, rule.over);
            rule.trips(&window).is_some()
        });
        assert_eq!(at, Some(46), "more than 45 of 300");
    }

    #[test]
    fn a_window_reads_back_as_it_was() {
        let mut window = Attempts::default();
        for n in 0..1_234_u32 {
            window.note(n.is_multiple_of(3), 1_000);
            let bytes = window.encode();
            assert_eq!(Attempts::decode(&bytes, 1_000), window, "{n}");
            assert!(bytes.len() <= 4 + 125);
        }
        assert_eq!(Attempts::decode(&[], 10), Attempts::default());
        assert_eq!(Attempts::decode(&window.encode(), 10).share().of, 10, "a smaller window");
    }

    #[test]
    fn numbers_that_make_no_breaker_are_refused_by_their_key() {
        let rule = BreakerRule::default();
        assert_eq!(rule.check(), Ok(rule));
        for (wrong, key) in [
            (BreakerRule { bounced: 0.0, ..rule }, "`breaker.bounced`"),
            (BreakerRule { bounced: f64::NAN, ..rule }, "`breaker.bounced`"),
            (BreakerRule { bounced: 15.0, ..rule }, "`breaker.bounced`"),
            (BreakerRule { least: 0, ..rule }, "`breaker.least`"),
            (BreakerRule { over: 100, ..rule }, "`breaker.least`"),
        ] {
            let fault = wrong.check().unwrap_err();
            assert!(fault.contains(key) && fault.contains("hint:"), "{fault}");
        }
    }
}
