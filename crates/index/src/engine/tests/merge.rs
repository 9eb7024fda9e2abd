//! Merges that somebody asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;

fn unmerged(path: &Path) -> Shard {
    drop(create(path));
    let mut options = options();
    options.segments_per_merge = None;
    Shard::open(path, mapping(), options).unwrap()
}

/// Documents and deleted documents of each segment, the least first.
fn sizes(shard: &Shard) -> Vec<(u64, u64)> {
    let segments = shard.segments().unwrap();
    assert!(segments.iter().all(|segment| segment.bytes > 0));
    let mut sizes: Vec<_> = segments.iter().map(|s| (s.docs, s.deleted_docs)).collect();
    sizes.sort_unstable();
    sizes
}

#[test]
fn segments_are_merged_to_the_number_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let shard = unmerged(dir.path());
    for n in 0..4 {
        for i in 0..=n {
            put(&shard, &format!("{n}-{i}"), i);
        }
        shard.refresh().unwrap();
    }
    put(&shard, "3-0", 9);
    shard.refresh().unwrap();
    assert_eq!(sizes(&shard), [(1, 0), (1, 0), (2, 0), (3, 0), (3, 1)]);
    let before = searchable(&shard);
    shard.force_merge(MergeGoal::Segments(9)).unwrap();
    assert_eq!(sizes(&shard).len(), 5);
    shard.force_merge(MergeGoal::FewDeletes).unwrap();
    assert_eq!(sizes(&shard), [(1, 0), (1, 0), (2, 0), (3, 0), (3, 0)]);
    shard.force_merge(MergeGoal::Segments(3)).unwrap();
    assert_eq!(sizes(&shard), [(3, 0), (3, 0), (4, 0)]);
    shard.force_merge(MergeGoal::Segments(1)).unwrap();
    assert_eq!(sizes(&shard), [(10, 0)]);
    put(&shard, "0-0", 5);
    shard.force_merge(MergeGoal::Segments(1)).unwrap();
    assert_eq!(sizes(&shard), [(10, 0)]);
    assert_eq!(searchable(&shard).len(), before.len());
    assert_eq!(n_of(&shard, "0-0"), Some(5));
    drop(shard);
    assert_eq!(sizes(&open(dir.path())), [(10, 0)]);
}

/// Also where the library merges of itself, whose merges take segments away.
#[test]
fn a_merge_beside_writes_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path()));
    let mut options = options();
    options.segments_per_merge = Some(2);
    let shard = Shard::open(dir.path(), mapping(), options).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..300 {
                put(&shard, &(n % 60).to_string(), n);
                if n % 10 == 0 {
                    shard.refresh().unwrap();
                }
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) {
            // Commits may take what is merged away again and again.
            let _ = shard.force_merge(MergeGoal::Segments(1));
        }
    });
    shard.force_merge(MergeGoal::Segments(1)).unwrap();
    assert_eq!(sizes(&shard), [(60, 0)]);
    let found = searchable(&shard);
    assert!(
        found.iter().all(|(_, _, version, _)| *version == 5),
        "{found:?}"
    );
}

/// Who closes an idle writer would otherwise wait for the merge, and everybody who commits for him.
#[test]
fn the_writer_of_a_merge_under_way_is_not_idle() {
    let dir = tempfile::tempdir().unwrap();
    let shard = unmerged(dir.path());
    put(&shard, "1", 1);
    shard.refresh().unwrap();
    let held = shard.writer.hold_merges();
    let other = shard.writer.hold_merges();
    drop(other);
    assert!(!shard.close_writer_if_idle(Duration::ZERO).unwrap());
    drop(held);
    assert!(shard.close_writer_if_idle(Duration::ZERO).unwrap());
}
