//! Rule R2 against damage of every kind, on real files.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::*;
use crate::journal::mark::Mark;
use crate::journal::reader::{Journals, folder_of};
use crate::journal::segment::{HEADER_LEN, Header, Life};
use crate::journal::writer::Journal;

pub(in crate::journal) const BOOT: &str = "6f3a1e90-5a41-4c0e-9d55-0c7be1a2f001";
const LATER_BOOT: &str = "6f3a1e90-5a41-4c0e-9d55-0c7be1a2f002";
pub(in crate::journal) const ORIGIN: Origin =
    Origin { database_id: [0xDB; 16], incarnation: 3, worker_id: [0x17; 16] };
const SIZE: u64 = 4096;

pub(in crate::journal) fn this_boot() -> BootId {
    BOOT.parse().unwrap()
}

pub(in crate::journal) fn key(number: u64) -> MarkKey {
    MarkKey { campaign: 1, number, generation: 1, n: 1 }
}

pub(in crate::journal) fn begin(key: MarkKey) -> Mark {
    Mark::Begin { key, dated_at: 1_534_888_680_000_000, content: [0xC0; 32] }
}

pub(in crate::journal) fn dot(key: MarkKey) -> Mark {
    Mark::Dot { key }
}

pub(in crate::journal) fn end(key: MarkKey, outcome: &[u8]) -> Mark {
    Mark::End { key, outcome: OutcomeBytes::new(outcome.to_vec()).unwrap() }
}

/// A dead worker's folder, and one intent of each kind in every segment.
struct Dead {
    dir: tempfile::TempDir,
    last: u64,
}

const KINDS: u64 = 10;
/// Where in a segment the marks that decide have ended: one filler and six marks behind the header.
const DECIDED: u64 = HEADER_LEN as u64 + 4 * 72 + 2 * 32 + 35;
const UNMARKED: u64 = 0;
const BEGUN: u64 = 1;
const DOTTED: u64 = 2;
const ENDED: u64 = 3;

impl Dead {
    /// A journal of `segments` full-enough segments; intent `segment * 10 + kind` has its marks
    /// at the start of that segment.
    fn of(segments: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), ORIGIN, this_boot(), SIZE).unwrap();
        for segment in 1..=segments {
            let filler = key(segment * 1_000);
            while journal.segment() < segment {
                journal.mark(&begin(filler)).unwrap();
            }
            let id = |kind| key(segment * KINDS + kind);
            let sequence = [
                begin(id(BEGUN)),
                begin(id(DOTTED)),
                dot(id(DOTTED)),
                begin(id(ENDED)),
                dot(id(ENDED)),
                end(id(ENDED), b"250"),
            ];
            for mark in &sequence {
                journal.mark(mark).unwrap();
            }
        }
        assert_eq!(journal.segment(), segments);
        drop(journal);
        Self { dir, last: segments }
    }

    fn file(&self, segment: u64) -> PathBuf {
        folder_of(self.dir.path(), ORIGIN.worker_id).join(format!("{segment:08}.fwj"))
    }

    fn recovered(&self, origin: &Origin) -> Recovered {
        let keys = (0..KINDS * (self.last + 1)).map(key).collect();
        Journals::under(self.dir.path()).read(origin, keys).unwrap()
    }

    fn verdict(&self, segment: u64, kind: u64, boot: &str) -> Verdict {
        let boot = boot.parse().unwrap();
        self.recovered(&ORIGIN).verdict(&key(segment * KINDS + kind), segment, &boot)
    }

    /// For every segment: is the unmarked intent, and the one with only a begin, not started?
    /// Checks on the way that the dotted stays in doubt.
    fn not_started(&self) -> (Vec<bool>, Vec<bool>) {
        let recovered = self.recovered(&ORIGIN);
        let verdict =
            |segment, kind| recovered.verdict(&key(segment * KINDS + kind), segment, &this_boot());
        let all = |kind| {
            let one = |segment| verdict(segment, kind) == Verdict::NotStarted;
            (1..=self.last).map(one).collect::<Vec<_>>()
        };
        assert!((1..=self.last).all(|segment| verdict(segment, DOTTED) == Verdict::InDoubt));
        (all(UNMARKED), all(BEGUN))
    }

    fn overwrite(&self, segment: u64, at: u64, bytes: &[u8]) {
        let file = OpenOptions::new().write(true).open(self.file(segment)).unwrap();
        file.write_all_at(bytes, at).unwrap();
    }

    fn end_of_marks(path: &Path) -> usize {
        fs::read(path).unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1
    }
}

fn ended() -> Verdict {
    Verdict::End(OutcomeBytes::new(b"250".to_vec()).unwrap())
}

#[test]
fn on_an_undamaged_journal_of_this_boot_every_mark_decides_as_rule_r2_says() {
    let dead = Dead::of(3);
    for segment in 1..=3 {
        assert_eq!(dead.verdict(segment, UNMARKED, BOOT), Verdict::NotStarted);
        assert_eq!(dead.verdict(segment, BEGUN, BOOT), Verdict::NotStarted);
        assert_eq!(dead.verdict(segment, DOTTED, BOOT), Verdict::InDoubt);
        assert_eq!(dead.verdict(segment, ENDED, BOOT), ended());
    }
}

#[test]
fn after_a_machine_crash_only_a_readable_end_decides() {
    let dead = Dead::of(2);
    for segment in 1..=2 {
        for kind in [UNMARKED, BEGUN, DOTTED] {
            assert_eq!(dead.verdict(segment, kind, LATER_BOOT), Verdict::InDoubt, "{kind}");
        }
        assert_eq!(dead.verdict(segment, ENDED, LATER_BOOT), ended());
    }
}

#[test]
fn a_torn_mark_at_the_end_counts_as_not_written_at_every_offset() {
    for (last, before) in [
        (begin(key(77)), None),
        (dot(key(77)), Some(begin(key(77)))),
        (end(key(77), b"550 no such user"), Some(dot(key(77)))),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(dir.path(), ORIGIN, this_boot(), SIZE).unwrap();
        if let Some(mark) = &before {
            journal.mark(mark).unwrap();
        }
        let path = folder_of(dir.path(), ORIGIN.worker_id).join("00000001.fwj");
        let start = match before {
            None => HEADER_LEN,
            Some(_) => Dead::end_of_marks(&path),
        };
        journal.mark(&last).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        let stop = Dead::end_of_marks(&path);
        let expected = if matches!(before, Some(Mark::Dot { .. })) {
            Verdict::InDoubt
        } else {
            Verdict::NotStarted
        };
        for cut in start..stop {
            let mut torn = whole.clone();
            torn[cut..].fill(0);
            fs::write(&path, torn).unwrap();
            let keys = std::iter::once(key(77)).collect();
            let recovered = Journals::under(dir.path()).read(&ORIGIN, keys).unwrap();
            assert_eq!(recovered.verdict(&key(77), 1, &this_boot()), expected, "cut at {cut}");
            assert_eq!(recovered.survey().segments()[&1].state, SegmentState::Whole);
            assert_eq!(recovered.survey().marks(), u64::from(before.is_some()));
        }
    }
}

#[test]
fn garbage_in_the_middle_leaves_what_rests_on_a_missing_mark_in_doubt() {
    let dead = Dead::of(3);
    dead.overwrite(2, DECIDED + 40, &[0xEE; 9]);
    let recovered = dead.recovered(&ORIGIN);
    assert!(matches!(recovered.survey().segments()[&2].state, SegmentState::Broken { .. }));
    drop(recovered);
    let expected = vec![false, false, true];
    assert_eq!(dead.not_started(), (expected.clone(), expected));
    assert_eq!(dead.verdict(2, ENDED, BOOT), ended(), "marks before the damage count");
}

#[test]
fn a_lost_page_of_zeros_between_marks_is_damage_and_not_an_end() {
    let dead = Dead::of(1);
    let first_mark = HEADER_LEN as u64;
    dead.overwrite(1, first_mark, &[0; 72]);
    assert_eq!(dead.verdict(1, UNMARKED, BOOT), Verdict::InDoubt);
    assert_eq!(dead.verdict(1, BEGUN, BOOT), Verdict::InDoubt);
}

#[test]
fn a_full_segment_whose_last_marks_turned_to_zeros_is_seen_by_its_missing_note() {
    let dead = Dead::of(3);
    dead.overwrite(2, DECIDED, &vec![0; usize::try_from(SIZE - DECIDED).unwrap()]);
    let expected = vec![false, false, true];
    assert_eq!(dead.not_started(), (expected.clone(), expected));
}

#[test]
fn a_shortened_segment_is_broken() {
    let dead = Dead::of(2);
    OpenOptions::new().write(true).open(dead.file(2)).unwrap().set_len(SIZE - 1).unwrap();
    assert_eq!(dead.not_started(), (vec![false, false], vec![false, false]));
}

#[test]
fn a_deleted_segment_leaves_in_doubt_whatever_it_could_have_told() {
    for (deleted, expected) in [
        (1, [false, true, true]),
        (2, [false, false, true]),
        // the second says that marks go on, so the loss of the last is seen
        (3, [false, false, false]),
    ] {
        let dead = Dead::of(3);
        fs::remove_file(dead.file(deleted)).unwrap();
        assert_eq!(dead.not_started(), (expected.to_vec(), expected.to_vec()), "{deleted}");
        for segment in (1..=3).filter(|segment| *segment != deleted) {
            assert_eq!(dead.verdict(segment, ENDED, BOOT), ended());
        }
    }
}

#[test]
fn a_begin_is_no_proof_when_the_dot_could_be_in_a_missing_segment() {
    let dead = Dead::of(2);
    assert_eq!(dead.verdict(1, BEGUN, BOOT), Verdict::NotStarted);
    fs::remove_file(dead.file(2)).unwrap();
    assert_eq!(dead.verdict(1, BEGUN, BOOT), Verdict::InDoubt);
}

#[test]
fn all_segments_gone_leaves_everything_in_doubt() {
    let dead = Dead::of(1);
    fs::remove_file(dead.file(1)).unwrap();
    for kind in [UNMARKED, BEGUN, DOTTED, ENDED] {
        assert_eq!(dead.verdict(1, kind, BOOT), Verdict::InDoubt);
    }
}

#[test]
fn a_next_segment_made_ahead_and_never_used_changes_nothing() {
    let dead = Dead::of(1);
    let header =
        Header { size: SIZE, origin: ORIGIN, life: Life::default(), boot: this_boot(), number: 2 };
    let folder = folder_of(dead.dir.path(), ORIGIN.worker_id);
    crate::journal::segment::create(&folder, &header).unwrap();
    fs::write(folder.join("00000003.fwj.new"), b"half made").unwrap();
    assert_eq!(dead.not_started(), (vec![true], vec![true]));
    // but one that is damaged could have held anything
    dead.overwrite(2, 8, b"?");
    assert_eq!(dead.not_started(), (vec![false], vec![false]));
}

#[test]
fn a_journal_of_another_database_incarnation_or_worker_is_no_evidence() {
    let dead = Dead::of(1);
    let others = [
        Origin { database_id: [0; 16], ..ORIGIN },
        Origin { incarnation: ORIGIN.incarnation + 1, ..ORIGIN },
    ];
    for expected in others {
        let recovered = dead.recovered(&expected);
        assert_eq!(recovered.survey().foreign_segment(), Some((1, ORIGIN)));
        for kind in [UNMARKED, BEGUN, DOTTED, ENDED] {
            let verdict = recovered.verdict(&key(KINDS + kind), 1, &this_boot());
            assert_eq!(verdict, Verdict::InDoubt);
        }
    }
    let other = Origin { worker_id: [9; 16], ..ORIGIN };
    let copy = folder_of(dead.dir.path(), other.worker_id);
    fs::rename(folder_of(dead.dir.path(), ORIGIN.worker_id), copy).unwrap();
    assert_eq!(dead.recovered(&other).survey().foreign_segment(), Some((1, ORIGIN)));
}

#[test]
fn a_segment_under_another_ones_name_has_no_valid_header() {
    let dead = Dead::of(2);
    fs::copy(dead.file(1), dead.file(2)).unwrap();
    let recovered = dead.recovered(&ORIGIN);
    assert_eq!(recovered.survey().segments()[&2].state, SegmentState::BadHeader);
    drop(recovered);
    assert_eq!(dead.not_started(), (vec![false, false], vec![false, false]));
}

#[test]
fn a_key_that_was_not_asked_for_is_in_doubt_and_so_is_all_without_a_journal() {
    let dead = Dead::of(1);
    let recovered = dead.recovered(&ORIGIN);
    assert_eq!(recovered.verdict(&key(999_999), 1, &this_boot()), Verdict::InDoubt);
    let none = Recovered::without_journal();
    assert_eq!(none.verdict(&key(1), 1, &this_boot()), Verdict::InDoubt);
}

#[test]
fn the_marks_of_an_attempt_keep_what_recover_needs() {
    let dead = Dead::of(2);
    let recovered = dead.recovered(&ORIGIN);
    let trail = recovered.trail(&key(2 * KINDS + DOTTED)).unwrap();
    let expected = Begun { segment: 2, dated_at: 1_534_888_680_000_000, content: [0xC0; 32] };
    assert_eq!((&trail.begin, trail.dotted, &trail.outcome), (&Some(expected), true, &None));
}

#[test]
fn marks_before_the_intents_own_segment_prove_nothing_for_it() {
    let dead = Dead::of(2);
    let recovered = dead.recovered(&ORIGIN);
    let begun_in_1 = key(KINDS + BEGUN);
    assert_eq!(recovered.verdict(&begun_in_1, 2, &this_boot()), Verdict::InDoubt);
}

#[test]
fn an_intent_of_a_segment_beyond_the_last_one_present_is_in_doubt() {
    let dead = Dead::of(2);
    let recovered = dead.recovered(&ORIGIN);
    assert_eq!(recovered.verdict(&key(UNMARKED), 2, &this_boot()), Verdict::NotStarted);
    assert_eq!(recovered.verdict(&key(UNMARKED), 3, &this_boot()), Verdict::InDoubt);
}
