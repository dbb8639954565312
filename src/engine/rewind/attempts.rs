//! From marks to attempts: what a journal tells of each, as soon as it is over.

use std::collections::BTreeMap;

use crate::domain::delivery::{AttemptKey, AttemptResult, Outcome};
use crate::engine::notify::outcome::decode;
use crate::journal::{Begun, Mark, MarkKey, Trail};
use jiff::Timestamp;

/// The phase of a doubt whose body was being sent.
const DOT: &str = "dot";
/// The phase of a doubt of which the journal is too damaged to say whether a body was sent.
const JOURNAL: &str = "journal";

/// One attempt, as a journal tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) campaign: i64,
    pub(super) key: AttemptKey,
    pub(super) begun: Option<Begun>,
    pub(super) segment: u64,
    pub(super) outcome: Outcome,
}

/// Attempts being read; those without an end are few, at most a worker's window and what died with it.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    open: BTreeMap<MarkKey, (u64, Trail)>,
    ended: Vec<Tried>,
}

impl Attempts {
    /// Takes a mark of a segment.
    pub(super) fn add(&mut self, segment: u64, mark: Mark, now: Timestamp) {
        let key = mark.key();
        let (at, trail) = self.open.entry(key).or_insert_with(|| (segment, Trail::default()));
        match mark {
            Mark::Begin { dated_at, content, .. } => {
                trail.begin = Some(Begun { segment, dated_at, content });
            }
            Mark::Dot { .. } => trail.dotted = true,
            Mark::End { outcome, .. } => {
                let doubt = || Outcome::bare(AttemptResult::InDoubt, DOT, now);
                let outcome = decode(outcome.as_slice()).unwrap_or_else(doubt);
                let (at, begun) = (*at, trail.begin.take());
                self.open.remove(&key);
                self.ended.push(tried(key, begun, at, outcome));
            }
        }
    }

    /// How many attempts are over and not taken yet.
    pub(super) fn ended(&self) -> usize {
        self.ended.len()
    }

    /// The attempts that are over, in the order they ended.
    pub(super) fn take(&mut self) -> Vec<Tried> {
        std::mem::take(&mut self.ended)
    }

    /// Those that never ended (rule R2): a body that was begun may have arrived; without one nothing was
    /// sent, where the journal is known to be complete.
    pub(super) fn rest(self, is_complete: bool, now: Timestamp) -> Vec<Tried> {
        let outcome = |is_dotted: bool| match (is_dotted, is_complete) {
            (true, _) => Outcome::bare(AttemptResult::InDoubt, DOT, now),
            (false, true) => Outcome::bare(AttemptResult::NotStarted, "", now),
            (false, false) => Outcome::bare(AttemptResult::InDoubt, JOURNAL, now),
        };
        let open = self.open.into_iter();
        open.map(|(key, (at, trail))| tried(key, trail.begin, at, outcome(trail.dotted))).collect()
    }
}

fn tried(key: MarkKey, begun: Option<Begun>, segment: u64, outcome: Outcome) -> Tried {
    Tried {
        campaign: key.campaign,
        key: AttemptKey { number: key.number, generation: key.generation, n: key.n },
        begun,
        segment,
        outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::notify::outcome::encode;
    use crate::journal::OutcomeBytes;

    #[test]
    fn a_body_without_an_end_is_a_doubt_and_a_begin_alone_only_in_a_damaged_journal() {
        let now = Timestamp::UNIX_EPOCH;
        let key = |number| MarkKey { campaign: 1, number, generation: 1, n: 1 };
        let read = |is_complete| {
            let mut attempts = Attempts::default();
            for number in 1..=3 {
                let key = key(number);
                attempts.add(1, Mark::Begin { key, dated_at: 5, content: [7; 32] }, now);
                if number > 1 {
                    attempts.add(2, Mark::Dot { key }, now);
                }
                if number > 2 {
                    let end = Outcome::bare(AttemptResult::Accepted, "dot", now);
                    let outcome = OutcomeBytes::new(encode(&end)).unwrap();
                    attempts.add(2, Mark::End { key, outcome }, now);
                }
            }
            assert_eq!(attempts.ended(), 1);
            let ended = attempts.take();
            assert_eq!(ended[0].key.number, 3);
            assert_eq!((ended[0].segment, ended[0].outcome.result), (1, AttemptResult::Accepted));
            assert_eq!(ended[0].begun.as_ref().unwrap().content, [7; 32]);
            attempts.rest(is_complete, now).iter().map(|one| one.outcome.result).collect::<Vec<_>>()
        };
        assert_eq!(read(true), [AttemptResult::NotStarted, AttemptResult::InDoubt]);
        assert_eq!(read(false), [AttemptResult::InDoubt; 2]);
    }
}
