//! What a dead worker's journal proves about an intent without outcome: rule R2 of
//! `docs/protocol.md` §6, and nothing kinder than it.

use std::collections::{BTreeMap, HashMap};

use super::boot::BootId;
use super::lock::WorkerLock;
use super::mark::{MarkKey, OutcomeBytes};
use super::segment::{Origin, Position};

/// What became of an attempt, as far as the journal proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It ended with this encoded outcome.
    End(OutcomeBytes),
    /// Its body was never sent: it may be tried again.
    NotStarted,
    /// Its body may have been sent.
    InDoubt,
}

/// All marks found of one attempt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail {
    /// The begin mark, if found.
    pub begin: Option<Begun>,
    /// Whether a dot mark was found.
    pub dotted: bool,
    /// The end mark's outcome, if found.
    pub outcome: Option<OutcomeBytes>,
}

/// A begin mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The segment it stands in.
    pub segment: u64,
    /// The message's Date: microseconds since the Unix epoch.
    pub dated_at: i64,
    /// SHA-256 of the message's bytes.
    pub content: [u8; 32],
}

/// What was found of one segment that is present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentReport {
    /// How far it can be trusted.
    pub state: SegmentState,
    /// The boot it was written in; `None` without a valid header.
    pub boot: Option<BootId>,
    /// How many marks were read.
    pub marks: u64,
    /// Where they end: bytes from the start of the file.
    pub end: u64,
    /// Whether it ends with the note that marks go on in the next segment.
    pub rolled: bool,
    /// Whether it ends with the note that the life is over and every mark on the disk.
    pub closed: bool,
    /// Whether it was shrunk: of attempts that ended only the ends are left.
    pub packed: bool,
}

/// How far a segment can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentState {
    /// Valid header, and marks up to where the zeros begin; a torn last mark was not written.
    Whole,
    /// Valid header, and damage, loss or truncation at this offset; marks before it count.
    Broken {
        /// Bytes from the start of the file.
        offset: u64,
    },
    /// No header, a damaged one, another version's or another segment's.
    BadHeader,
}

impl SegmentReport {
    pub(super) fn without_header() -> Self {
        Self {
            state: SegmentState::BadHeader,
            boot: None,
            marks: 0,
            end: 0,
            rolled: false,
            closed: false,
            packed: false,
        }
    }
}

/// The state of a dead worker's segments; holds the worker's flock until dropped.
#[derive(Debug, Default)]
pub struct Survey {
    segments: BTreeMap<u64, SegmentReport>,
    foreign: Option<(u64, Origin)>,
    is_older_copy: bool,
    _lock: Option<WorkerLock>,
}

impl Survey {
    pub(super) fn of(
        mut segments: BTreeMap<u64, SegmentReport>,
        reached: Position,
        lock: WorkerLock,
    ) -> Self {
        find_lost_ends(&mut segments);
        let mut survey = Self { segments, foreign: None, is_older_copy: false, _lock: Some(lock) };
        survey.is_older_copy = !survey.is_closed() && survey.end() < reached;
        survey
    }

    pub(super) fn foreign(segment: u64, origin: Origin, lock: WorkerLock) -> Self {
        Self { foreign: Some((segment, origin)), _lock: Some(lock), ..Self::default() }
    }

    /// The segments that are present, by number. Empty for a foreign folder.
    pub fn segments(&self) -> &BTreeMap<u64, SegmentReport> {
        &self.segments
    }

    /// The first segment of another database, incarnation or worker: the folder proves nothing.
    pub fn foreign_segment(&self) -> Option<(u64, Origin)> {
        self.foreign
    }

    /// How many marks were read.
    pub fn marks(&self) -> u64 {
        self.segments.values().map(|report| report.marks).sum()
    }

    /// Whether it ends before what its worker is known to have written: a copy made earlier, in which
    /// missing marks prove nothing.
    pub fn is_older_copy(&self) -> bool {
        self.is_older_copy
    }

    /// Whether the life ended well and every mark is on the disk.
    fn is_closed(&self) -> bool {
        self.segments.values().any(|report| report.closed)
    }

    /// Where the last mark ends.
    fn end(&self) -> Position {
        let marked = self.segments.iter().filter(|(_, report)| report.marks > 0);
        let ends = marked.map(|(number, report)| Position { segment: *number, offset: report.end });
        ends.max().unwrap_or_default()
    }

    /// Whether every mark written in segment `from` and later is known to have been read.
    pub fn complete_since(&self, from: u64, this_boot: &BootId) -> bool {
        let ends_here = self
            .segments
            .last_key_value()
            .is_some_and(|(last, report)| from <= *last && !report.rolled);
        // Marks that are on the disk are whole in any boot.
        let is_closed = self.is_closed();
        ends_here
            && !self.is_older_copy
            && self.segments.range(from..).zip(from..).all(|((number, report), due)| {
                *number == due
                    && report.state == SegmentState::Whole
                    && (is_closed || report.boot.as_ref() == Some(this_boot))
            })
    }
}

/// A segment with marks after it must say that it was full. One that does not has lost its end,
/// even if zeros stand where marks were.
fn find_lost_ends(segments: &mut BTreeMap<u64, SegmentReport>) {
    let mut used_later = false;
    for report in segments.values_mut().rev() {
        if used_later && !report.rolled && report.state == SegmentState::Whole {
            report.state = SegmentState::Broken { offset: 0 };
        }
        used_later |= report.marks > 0 || report.state != SegmentState::Whole;
    }
}

/// What a dead worker's journal says about the attempts that were asked for.
#[derive(Debug, Default)]
pub struct Recovered {
    survey: Survey,
    trails: HashMap<MarkKey, Trail>,
}

impl Recovered {
    pub(super) fn new(survey: Survey, trails: HashMap<MarkKey, Trail>) -> Self {
        Self { survey, trails }
    }

    /// The stand-in where there is no journal (rules R3 and R5): every attempt is in doubt.
    pub fn without_journal() -> Self {
        Self::default()
    }

    /// The state of the segments.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// The marks of one attempt; `None` if it was not asked for.
    pub fn trail(&self, key: &MarkKey) -> Option<&Trail> {
        self.trails.get(key)
    }

    /// Rule R2 for an intent without outcome that stored `intent_segment`.
    ///
    /// A readable `end` stands whatever else is lost. Everything that rests on a mark *missing*
    /// (no `dot`, or nothing at all) asks that none can have been lost: all segments since are
    /// present, unbroken and of this boot, because marks are not fsynced.
    pub fn verdict(&self, key: &MarkKey, intent_segment: u64, this_boot: &BootId) -> Verdict {
        // a key that was not asked for was not looked for either
        let Some(trail) = self.trails.get(key) else {
            return Verdict::InDoubt;
        };
        if let Some(outcome) = &trail.outcome {
            return Verdict::End(outcome.clone());
        }
        let since = trail.begin.as_ref().map_or(intent_segment, |begin| begin.segment);
        // marks before the intent's own segment are not of that intent
        if trail.dotted || since < intent_segment {
            return Verdict::InDoubt;
        }
        if self.survey.complete_since(since, this_boot) {
            Verdict::NotStarted
        } else {
            Verdict::InDoubt
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
