//! The mark under damage, races and rewinds.

use std::fs;

use super::slot::read_slots;
use super::*;

fn mark(batch_id: i64) -> HighWater {
    HighWater {
        database_id: [0xDB; 16],
        incarnation: 5,
        batch_id,
        batch_sha256: [u8::try_from(batch_id).unwrap(); 32],
    }
}

struct Host {
    _dir: tempfile::TempDir,
    paths: [PathBuf; 2],
    keeper: HighWaterKeeper,
}

fn host() -> Host {
    let dir = tempfile::tempdir().unwrap();
    let paths =
        [dir.path().join("state/high-water"), dir.path().join("xdg/forthwith/db/high-water")];
    let keeper = HighWaterKeeper::open(paths.clone()).unwrap();
    Host { _dir: dir, paths, keeper }
}

fn slot_at(path: &Path, index: usize) -> Option<Slot> {
    read_slots(&File::open(path).unwrap()).unwrap()[index]
}

#[test]
fn a_host_that_saw_nothing_has_no_mark_and_makes_no_file() {
    let host = host();
    assert_eq!(host.keeper.read().unwrap(), None);
    assert!(host.paths.iter().all(|path| !path.exists()));
    host.keeper.sync().unwrap();
}

#[test]
fn a_mark_goes_forwards_only_and_is_found_by_the_next_process() {
    let host = host();
    for batch_id in [1, 2, 7, 3, 7, 6] {
        host.keeper.advance(&mark(batch_id)).unwrap();
    }
    host.keeper.sync().unwrap();
    let next = HighWaterKeeper::open(host.paths.clone()).unwrap();
    assert_eq!(next.read().unwrap(), Some(mark(7)));
}

#[test]
fn a_torn_slot_at_every_byte_never_loses_the_mark_before() {
    let host = host();
    host.keeper.advance(&mark(1)).unwrap();
    host.keeper.advance(&mark(2)).unwrap();
    let before: Vec<_> = host.paths.iter().map(|path| fs::read(path).unwrap()).collect();
    host.keeper.advance(&mark(3)).unwrap();
    let after: Vec<_> = host.paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let changed: Vec<_> =
        (0..after[0].len()).filter(|at| before[0][*at] != after[0][*at]).collect();
    for torn_at in changed {
        for (path, (before, after)) in host.paths.iter().zip(before.iter().zip(&after)) {
            fs::write(path, [&after[..torn_at], &before[torn_at..]].concat()).unwrap();
        }
        assert_eq!(host.keeper.read().unwrap(), Some(mark(2)), "torn at {torn_at}");
    }
    host.keeper.advance(&mark(4)).unwrap();
    assert_eq!(host.keeper.read().unwrap(), Some(mark(4)), "and it can go on");
}

#[test]
fn slots_are_written_in_turn() {
    let host = host();
    for (batch_id, index) in [(1, 0), (2, 1), (3, 0), (4, 1)] {
        host.keeper.advance(&mark(batch_id)).unwrap();
        for path in &host.paths {
            assert_eq!(slot_at(path, index).unwrap().mark, mark(batch_id));
        }
    }
}

#[test]
fn one_lost_corrupt_or_rewound_copy_is_outvoted_by_the_other() {
    let host = host();
    host.keeper.advance(&mark(1)).unwrap();
    let old = fs::read(&host.paths[0]).unwrap();
    host.keeper.advance(&mark(9)).unwrap();
    for damaged in [Vec::new(), vec![0xEE; 9_000], b"FWHW".to_vec(), old] {
        fs::write(&host.paths[0], damaged).unwrap();
        assert_eq!(host.keeper.read().unwrap(), Some(mark(9)));
    }
    fs::remove_file(&host.paths[0]).unwrap();
    assert_eq!(host.keeper.read().unwrap(), Some(mark(9)));
    host.keeper.advance(&mark(10)).unwrap();
    fs::remove_file(&host.paths[1]).unwrap();
    assert_eq!(host.keeper.read().unwrap(), Some(mark(10)), "the lost copy was made anew");
}

#[test]
fn the_same_batch_with_another_content_is_a_rewind_and_not_an_advance() {
    let host = host();
    host.keeper.advance(&mark(4)).unwrap();
    let other = HighWater { batch_sha256: [0; 32], ..mark(4) };
    let refused = host.keeper.advance(&other).unwrap_err();
    assert!(matches!(refused, HighWaterError::OtherBatch { batch_id: 4 }));
    assert_eq!(host.keeper.read().unwrap(), Some(mark(4)));
}

#[test]
fn only_recover_begins_another_incarnation_and_it_may_stand_further_back() {
    let host = host();
    host.keeper.advance(&mark(40)).unwrap();
    let recovered = HighWater { incarnation: 1, ..mark(12) };
    let refused = host.keeper.advance(&recovered).unwrap_err();
    assert!(matches!(refused, HighWaterError::OtherIncarnation { known: 5, given: 1 }));
    host.keeper.restart(&recovered).unwrap();
    assert_eq!(host.keeper.read().unwrap(), Some(recovered));
    let stale = host.keeper.advance(&mark(41)).unwrap_err();
    assert!(matches!(stale, HighWaterError::OtherIncarnation { .. }));
    host.keeper.advance(&HighWater { incarnation: 1, ..mark(13) }).unwrap();
    let read = host.keeper.read().unwrap().unwrap();
    assert_eq!((read.incarnation, read.batch_id), (1, 13));
}

#[test]
fn a_copy_of_another_database_is_refused_and_never_written_over() {
    let host = host();
    let other = HighWater { database_id: [1; 16], ..mark(3) };
    HighWaterKeeper::open([host.paths[0].clone()]).unwrap().advance(&other).unwrap();
    let is_other = |result| matches!(result, Err(HighWaterError::OtherDatabase { .. }));
    assert!(is_other(host.keeper.advance(&mark(1))));
    assert!(is_other(host.keeper.restart(&mark(1))));
    HighWaterKeeper::open([host.paths[1].clone()]).unwrap().advance(&mark(1)).unwrap();
    assert!(is_other(host.keeper.read().map(drop)));
    assert!(is_other(HighWaterKeeper::open(host.paths.clone()).map(drop)));
}

#[test]
fn processes_that_advance_at_once_leave_the_largest() {
    let host = host();
    std::thread::scope(|scope| {
        for thread in 0..4_i64 {
            let paths = host.paths.clone();
            scope.spawn(move || {
                let keeper = HighWaterKeeper::open(paths).unwrap();
                (0..25).for_each(|i| keeper.advance(&mark(i * 4 + thread)).unwrap());
            });
        }
    });
    for path in &host.paths {
        let alone = HighWaterKeeper::open([path.clone()]).unwrap();
        assert_eq!(alone.read().unwrap(), Some(mark(99)));
    }
}

#[test]
fn a_copy_that_can_not_be_written_is_named() {
    let host = host();
    fs::write(host.paths[0].parent().unwrap(), "a file where the folder should be").unwrap();
    let refused = host.keeper.advance(&mark(1)).unwrap_err();
    assert!(refused.to_string().contains("state/high-water"), "{refused}");
}
