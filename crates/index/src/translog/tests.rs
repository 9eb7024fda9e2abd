use std::sync::Barrier;

use tempfile::TempDir;

use super::*;

fn index(seq_no: SeqNo) -> Operation {
    Operation {
        seq_no,
        primary_term: 1,
        kind: OperationKind::Index {
            id: format!("id{seq_no}"),
            routing: None,
            version: 1,
            source: format!("{{\"n\":{seq_no}}}").into(),
        },
        origin: None,
    }
}

fn fresh() -> (TempDir, Arc<Translog>) {
    let directory = tempfile::tempdir().unwrap();
    Translog::create(directory.path(), -1, -1).unwrap();
    let translog = open(&directory);
    (directory, translog)
}

fn open(directory: &TempDir) -> Arc<Translog> {
    Arc::new(Translog::open(directory.path(), 1 << 20, -1, LostTail::Refuse).unwrap())
}

fn seq_nos(translog: &Translog, from: SeqNo) -> Option<Vec<SeqNo>> {
    let snapshot = translog.ops_from(from).unwrap()?;
    let mut found = Vec::new();
    snapshot
        .for_each(|operation| {
            assert_eq!(operation, index(operation.seq_no));
            found.push(operation.seq_no);
            Ok(())
        })
        .unwrap();
    Some(found)
}

fn last_file(directory: &TempDir) -> PathBuf {
    let generation = Checkpoint::read(directory.path()).unwrap().generation;
    generation_path(directory.path(), generation)
}

#[test]
fn operations_come_back_in_order_after_reopening() {
    let (directory, translog) = fresh();
    let mut places = Vec::new();
    for seq_no in [0, 2, 1, 3] {
        places.push((seq_no, translog.append(&index(seq_no)).unwrap()));
        if seq_no == 2 {
            translog.roll().unwrap();
        }
    }
    assert_eq!(translog.persisted_checkpoint(), 0);
    for (seq_no, location) in places {
        assert_eq!(translog.read(location).unwrap(), Some(index(seq_no)));
    }
    translog.sync().unwrap();
    assert_eq!(translog.persisted_checkpoint(), 3);
    drop(translog);
    let translog = open(&directory);
    assert_eq!(seq_nos(&translog, 0).unwrap(), [0, 2, 1, 3]);
    assert_eq!(seq_nos(&translog, 2).unwrap(), [2, 3]);
    let mut ordered = translog
        .ops_from(1)
        .unwrap()
        .unwrap()
        .into_ordered()
        .unwrap();
    let first: Vec<_> = ordered.next_batch(1).unwrap();
    assert_eq!(first, [index(1)]);
    assert_eq!(ordered.position(), 2);
    let rest: Vec<_> = ordered.next_batch(1 << 20).unwrap();
    assert_eq!(rest, [index(2), index(3)]);
    assert!(ordered.next_batch(1).unwrap().is_empty());
}

#[test]
fn every_cut_of_an_unsynced_tail_is_repaired() {
    let (directory, translog) = fresh();
    translog.append(&index(0)).unwrap();
    translog.sync().unwrap();
    let synced = translog.current_bytes();
    translog.append(&index(1)).unwrap();
    translog.append(&index(2)).unwrap();
    // Written but not synced: what a crash may leave in part.
    translog.ops_from(0).unwrap();
    let end = translog.current_bytes();
    let path = last_file(&directory);
    let whole = std::fs::read(&path).unwrap();
    let small = ["translog.ckp", "synced.ckp"];
    let small = small.map(|name| (name, std::fs::read(directory.path().join(name)).unwrap()));
    drop(translog);
    for length in (synced..=end).step_by(3) {
        let copy = tempfile::tempdir().unwrap();
        for (name, content) in &small {
            std::fs::write(copy.path().join(name), content).unwrap();
        }
        for generation in 1.. {
            let name = generation_path(directory.path(), generation);
            if name == path {
                break;
            }
            let target = copy.path().join(name.file_name().unwrap());
            std::fs::copy(&name, target).unwrap();
        }
        let target = copy.path().join(path.file_name().unwrap());
        std::fs::write(target, &whole[..length as usize]).unwrap();
        let translog = open(&copy);
        let found = seq_nos(&translog, 0).unwrap();
        assert!(found.starts_with(&[0]), "cut at {length}");
        assert!(
            (0..found.len() as i64).eq(found.iter().copied()),
            "cut at {length}"
        );
        // It can be written on.
        translog.append(&index(9)).unwrap();
        translog.sync().unwrap();
        drop(translog);
        assert_eq!(seq_nos(&open(&copy), 0).unwrap().last(), Some(&9));
    }
}

#[test]
fn damage_of_synced_operations_is_refused() {
    let (directory, translog) = fresh();
    for seq_no in 0..3 {
        translog.append(&index(seq_no)).unwrap();
        translog.sync().unwrap();
    }
    // The marker for the third is written with the next operation, which is not synced.
    translog.append(&index(3)).unwrap();
    translog.ops_from(0).unwrap();
    let path = last_file(&directory);
    drop(translog);
    let good = std::fs::read(&path).unwrap();
    let mut bad = good.clone();
    bad[HEADER_LENGTH as usize + 20] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    let error = Translog::open(directory.path(), 0, -1, LostTail::Refuse)
        .err()
        .unwrap();
    assert!(
        matches!(
            error,
            IndexError::Corrupted {
                offset: HEADER_LENGTH,
                ..
            }
        ),
        "{error}"
    );
    // A hole of zeros where pages never reached the disk is a torn tail, even with whole records
    // behind it, as long as no marker vouches for it.
    let mut torn = good;
    let last = torn.len() - 60;
    torn[last..last + 8].fill(0);
    std::fs::write(&path, &torn).unwrap();
    Translog::open(directory.path(), 0, -1, LostTail::Refuse).unwrap();
}

#[test]
fn damage_in_a_sealed_generation_is_refused() {
    let (directory, translog) = fresh();
    translog.append(&index(0)).unwrap();
    let path = last_file(&directory);
    translog.roll().unwrap();
    drop(translog);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let translog = open(&directory);
    let read = translog.ops_from(0).unwrap().unwrap().for_each(|_| Ok(()));
    assert!(matches!(read, Err(IndexError::Corrupted { .. })));
    drop(translog);
    std::fs::write(&path, &bytes[..last]).unwrap();
    assert!(Translog::open(directory.path(), 0, -1, LostTail::Refuse).is_err());
}

#[test]
fn text_that_looks_like_a_marker_is_not_one() {
    let (directory, translog) = fresh();
    let mut fake = Vec::new();
    file::put_marker(&mut fake, 7, u64::MAX);
    let hostile = Operation {
        seq_no: 0,
        primary_term: 1,
        kind: OperationKind::Index {
            id: "x".into(),
            routing: None,
            version: 1,
            source: fake.into(),
        },
        origin: None,
    };
    translog.append(&hostile).unwrap();
    translog.ops_from(0).unwrap();
    let path = last_file(&directory);
    drop(translog);
    let mut torn = std::fs::read(&path).unwrap();
    torn[HEADER_LENGTH as usize + 4] ^= 1;
    std::fs::write(&path, &torn).unwrap();
    assert_eq!(open(&directory).stats().operations, 0);
}

#[test]
fn trim_keeps_what_is_needed() {
    let directory = tempfile::tempdir().unwrap();
    Translog::create(directory.path(), -1, -1).unwrap();
    let translog = Arc::new(Translog::open(directory.path(), 0, -1, LostTail::Refuse).unwrap());
    for seq_no in 0..6 {
        translog.append(&index(seq_no)).unwrap();
        translog.roll().unwrap();
    }
    translog.trim(5).unwrap();
    assert_eq!(
        seq_nos(&translog, 0).unwrap().len(),
        6,
        "nothing is on every copy yet"
    );
    translog.set_global_checkpoint(4);
    let lock = translog.retain(2).unwrap();
    translog.trim(5).unwrap();
    assert_eq!(seq_nos(&translog, 0), None);
    assert_eq!(seq_nos(&translog, 2).unwrap(), [2, 3, 4, 5]);
    drop(lock);
    translog.trim(3).unwrap();
    assert_eq!(translog.min_retained_seq_no(), 4);
    assert!(translog.retain(3).is_none());
    drop(translog);
    let translog = Translog::open(directory.path(), 0, 3, LostTail::Refuse).unwrap();
    assert_eq!(seq_nos(&translog, 4).unwrap(), [4, 5]);
    assert_eq!(translog.min_retained_seq_no(), 4);
    assert_eq!(translog.global_checkpoint(), 4);
    assert_eq!(translog.stats().uncommitted_operations, 2);
}

#[test]
fn a_generation_made_just_before_a_crash_is_removed() {
    let (directory, translog) = fresh();
    translog.append(&index(0)).unwrap();
    translog.sync().unwrap();
    let next = translog.stats().generation + 1;
    drop(translog);
    std::fs::write(generation_path(directory.path(), next), b"RW").unwrap();
    assert_eq!(seq_nos(&open(&directory), 0).unwrap(), [0]);
}

#[test]
fn concurrent_syncs_cover_their_own_operations() {
    let (_directory, translog) = fresh();
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (translog, barrier) = (&translog, &barrier);
            scope.spawn(move || {
                barrier.wait();
                for i in 0..50 {
                    let seq_no = i * 8 + thread;
                    translog.append(&index(seq_no)).unwrap();
                    translog.sync().unwrap();
                    assert!(translog.persisted.lock().contains(seq_no));
                    if i % 20 == thread {
                        translog.roll().unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(translog.persisted_checkpoint(), 399);
    assert_eq!(seq_nos(&translog, 0).unwrap().len(), 400);
}

#[test]
fn a_failed_translog_stays_failed() {
    let (directory, translog) = fresh();
    translog.append(&index(0)).unwrap();
    std::fs::remove_dir_all(directory.path()).unwrap();
    let first = translog.roll().unwrap_err();
    assert!(matches!(first, IndexError::Io { .. }), "{first}");
    assert_eq!(
        translog.append(&index(1)).unwrap_err().to_string(),
        first.to_string()
    );
    assert!(translog.sync().is_err());
}
