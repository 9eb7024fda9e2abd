//! Several threads on one copy.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn writers_refreshes_and_flushes_at_the_same_time_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    std::thread::scope(|scope| {
        for writer in 0..3i64 {
            let shard = &shard;
            scope.spawn(move || {
                for n in 0..200 {
                    let id = format!("{writer}-{}", n % 50);
                    put(shard, &id, n);
                    if n % 25 == 0 {
                        shard.sync().unwrap();
                    }
                }
            });
        }
        let shard = &shard;
        scope.spawn(move || {
            for round in 0..20 {
                match round % 4 {
                    3 => shard.flush().unwrap(),
                    _ => shard.refresh().unwrap(),
                }
            }
        });
    });
    shard.refresh().unwrap();
    let found = searchable(&shard);
    assert_eq!(found.len(), 150);
    assert!(found.iter().all(|(_, _, version, _)| *version == 4));
    assert_eq!((shard.local_checkpoint(), shard.max_seq_no()), (599, 599));
}

/// A merge goes on when the copy is closed; whoever opens or deletes the directory next has it for itself.
#[test]
fn a_closed_copy_leaves_its_directory_alone() {
    for _ in 0..8 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shard");
        let mut options = options();
        options.segments_per_merge = Some(2);
        drop(create(&path));
        let shard = Shard::open(&path, mapping(), options).unwrap();
        for n in 0..6 {
            put(&shard, &n.to_string(), n);
            shard.refresh().unwrap();
        }
        drop(shard);
        let after: Vec<PathBuf> = files(&path).into_iter().map(|(file, _)| file).collect();
        let shard = open(&path);
        assert_eq!(searchable(&shard).len(), 6);
        drop(shard);
        std::fs::remove_dir_all(&path).unwrap_or_else(|error| panic!("{error}: {after:?}"));
    }
}

#[test]
fn a_writer_may_be_closed_while_others_write() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    let together = Barrier::new(2);
    let closed = std::thread::scope(|scope| {
        // Neither side may panic, for the other would wait for ever.
        scope.spawn(|| {
            for round in 0..ROUNDS {
                together.wait();
                for n in 0..10 {
                    let _ = put_if(&shard, &format!("{round}-{n}"), n, Condition::default());
                }
                together.wait();
            }
        });
        let mut closed = 0;
        for round in 0..ROUNDS {
            let _ = shard.refresh();
            together.wait();
            // Before the writes, or sooner or later within them.
            while shard.max_seq_no() < round * 10 + round % 4 - 1 && shard.failure().is_none() {
                std::hint::spin_loop();
            }
            closed += u32::from(matches!(
                shard.close_writer_if_idle(Duration::ZERO),
                Ok(true)
            ));
            together.wait();
        }
        closed
    });
    assert!(shard.failure().is_none(), "{:?}", shard.failure());
    assert!(closed > 0);
    shard.refresh().unwrap();
    assert_eq!(searchable(&shard).len() as i64, ROUNDS * 10);
}

const ROUNDS: i64 = 40;

#[test]
fn a_refresh_ends_though_others_write_as_fast_as_they_can() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    put(&shard, "first", 0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (shard, done) = (&shard, &done);
            scope.spawn(move || {
                let mut n = 0;
                while !done.load(Ordering::Acquire) {
                    n += 1;
                    put(shard, &format!("{writer}-{n}"), n);
                }
            });
        }
        for _ in 0..2 {
            shard.refresh().unwrap();
        }
        done.store(true, Ordering::Release);
    });
    shard.refresh().unwrap();
    let documents = shard.max_seq_no() + 1;
    assert_eq!(shard.stats().unwrap().docs as i64, documents);
}

/// Every refresh makes a segment, so that merges end all the time.
#[test]
fn a_snapshot_is_whole_whatever_merges_do() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(&dir.path().join("source"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (shard, done) = (&shard, &done);
        scope.spawn(move || {
            for n in 0..60 {
                put(shard, &(n % 40).to_string(), n);
                shard.refresh().unwrap();
            }
            done.store(true, Ordering::Release);
        });
        let mut round = 0;
        while !done.load(Ordering::Acquire) {
            round += 1;
            let snapshot = shard.recovery_snapshot().unwrap();
            let target = dir.path().join(format!("target-{round}"));
            install(&snapshot, &target);
            let checkpoint = snapshot.commit().local_checkpoint;
            let copy = open(&target);
            assert_eq!(copy.local_checkpoint(), checkpoint);
            assert_eq!(searchable(&copy).len() as i64, (checkpoint + 1).min(40));
            for (id, seq_no, ..) in searchable(&copy) {
                let id: i64 = id.parse().unwrap();
                assert!(
                    seq_no % 40 == id && seq_no > checkpoint - 40,
                    "{id} {seq_no}"
                );
            }
        }
    });
    let left = std::fs::read_dir(shard.path()).unwrap().count();
    assert_eq!(left, 3, "index, translog and state; snapshots are gone");
}

/// Two primaries at once: one of the operations is refused, whichever came first.
#[test]
fn of_two_operations_under_one_number_a_copy_takes_one() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    for seq_no in 0..60 {
        let results: Vec<Result<()>> = std::thread::scope(|scope| {
            let apply = |term: Term| {
                let shard = &shard;
                scope.spawn(move || shard.apply(&operation(seq_no, term, &term.to_string())))
            };
            let both = [apply(1), apply(2)];
            both.map(|thread| thread.join().unwrap()).into()
        });
        let refused = results
            .iter()
            .filter(|result| matches!(result, Err(IndexError::Diverged { .. })))
            .count();
        let taken = results.iter().filter(|result| result.is_ok()).count();
        assert_eq!((taken, refused), (1, 1), "{seq_no}: {results:?}");
        let winner = if results[0].is_ok() { 1 } else { 2 };
        assert_eq!(
            shard.op_terms_above(seq_no - 1).unwrap(),
            [(seq_no, winner)]
        );
    }
}
