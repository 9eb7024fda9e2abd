//! Files that are not what was written are found before anything in them is believed.

use super::*;

/// A copy with a commit of several segments, one with deletes, and a translog.
fn committed(path: &Path) {
    let shard = create(path);
    for n in 0..20 {
        put(&shard, &n.to_string(), n);
        if n % 5 == 4 {
            shard.refresh().unwrap();
        }
    }
    shard.delete(1, "3", Condition::default()).unwrap();
    put(&shard, "4", 44);
    shard.flush().unwrap();
    put(&shard, "after", 1);
    shard.sync().unwrap();
}

fn contents(shard: &Shard) -> Vec<(String, Option<i64>)> {
    let ids = (0..20).map(|n| n.to_string()).chain(["after".to_owned()]);
    ids.map(|id| {
        let n = n_of(shard, &id);
        (id, n)
    })
    .collect()
}

/// Every kind of file, one bit flipped somewhere: the copy does not open, and says which file, or
/// nothing that it holds is changed.
#[test]
fn a_flipped_bit_is_found_when_a_copy_opens() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    committed(&whole);
    let expected = contents(&open(&whole));
    let mut refused = std::collections::BTreeMap::new();
    for (file, length) in files(&whole) {
        for round in 0..12u64 {
            let name = file.to_string_lossy().into_owned();
            let copy = dir.path().join("copy");
            let _ = std::fs::remove_dir_all(&copy);
            copy_dir(&whole, &copy);
            if length == 0 {
                continue;
            }
            // Spread over the file, its ends included.
            let at = (length - 1) * round / 11;
            flip(&copy.join(&file), at, round % 8);
            match Shard::open(&copy, mapping(), options()) {
                Err(IndexError::Corrupted { path, .. }) => {
                    let bad = path.file_name().unwrap().to_string_lossy().into_owned();
                    assert!(name.ends_with(&bad), "{name} was flipped, {bad} is told");
                    *refused.entry(name.clone()).or_insert(0) += 1;
                }
                Err(IndexError::Io { .. }) => *refused.entry(name.clone()).or_insert(0) += 1,
                Err(error) => panic!("{name} at {at}: {error}"),
                Ok(shard) => {
                    assert_eq!(contents(&shard), expected, "{name} at {at}");
                    assert!(searchable(&shard).len() >= 20, "{name} at {at}");
                }
            }
        }
    }
    // A footer names versions, which may change without harm; what is before it may not.
    for kind in [
        ".idx",
        ".fast",
        ".store",
        ".term",
        ".del",
        "meta.json",
        "_state",
    ] {
        let found: Vec<_> = refused
            .iter()
            .filter(|(name, _)| name.ends_with(kind))
            .collect();
        assert!(!found.is_empty(), "{kind}: {refused:?}");
    }
}

#[test]
fn what_has_gone_bad_is_neither_sent_nor_merged_and_is_found_by_a_scrub() {
    for way in ["send", "merge", "scrub"] {
        let dir = tempfile::tempdir().unwrap();
        committed(dir.path());
        let mut options = options();
        options.segments_per_merge = Some(2);
        let shard = Shard::open(dir.path(), mapping(), options).unwrap();
        // Merges of what was there at first would take the file away.
        shard.close_writer_if_idle(Duration::ZERO).unwrap();
        let index = dir.path().join("index");
        let names = store::committed_files(&shard.index, &index).unwrap();
        let store = names.iter().find(|name| name.ends_with(".store")).unwrap();
        flip(&index.join(store), 10, 3);
        match way {
            "send" => drop(shard.recovery_snapshot()),
            "merge" => {
                for n in 0..4 {
                    let _ = put_if(&shard, &format!("m{n}"), n, Condition::default());
                    let _ = shard.refresh();
                }
                let _ = shard.close_writer_if_idle(Duration::ZERO);
            }
            _ => {
                let mut scrubber = shard.scrubber().unwrap();
                while let Ok(true) = scrubber.step(100) {}
            }
        }
        match shard.failure() {
            Some(IndexError::Corrupted { path, .. }) => {
                assert!(path.to_string_lossy().ends_with(store), "{way}: {path:?}");
            }
            other => panic!("{way}: {other:?}"),
        }
        assert!(
            shard.get("1", &View::whole()).is_err(),
            "{way}: the copy is stopped"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_stops_the_copy_too() {
    let dir = tempfile::tempdir().unwrap();
    committed(dir.path());
    let shard = open(dir.path());
    // Of other files than those that the copy has mapped, which must not shrink.
    let index = dir.path().join("read");
    copy_dir(&dir.path().join("index"), &index);
    let mut scrubber = Scrubber::new(&shard.index, &index, shard.failure.clone()).unwrap();
    // Both lists are read at once; the third file is begun.
    for _ in 0..3 {
        assert!(scrubber.step(1).unwrap());
    }
    for (file, _) in files(&index) {
        let segment = !file.to_string_lossy().starts_with('.') && file != Path::new("meta.json");
        if segment {
            let file = std::fs::File::options().write(true).open(index.join(file));
            file.unwrap().set_len(0).unwrap();
        }
    }
    assert!(scrubber.step(1 << 20).is_err());
    assert!(matches!(shard.failure(), Some(IndexError::Io { .. })));
}

/// What a crash in a commit leaves: a tombstone file that no list of segments names, under a name that
/// the next commit is to use.
#[test]
fn files_of_a_commit_that_never_was_do_not_stand_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    for n in 0..10 {
        put(&shard, &n.to_string(), n);
    }
    shard.flush().unwrap();
    let metas = shard.index.load_metas().unwrap();
    let segment = metas.segments[0].id().uuid_string();
    drop(shard);
    let index = dir.path().join("index");
    let managed = index.join(store::MANAGED_FILE);
    let listed = store::unseal(&std::fs::read(&managed).unwrap()).unwrap();
    let mut listed: Vec<String> = serde_json::from_slice(&listed).unwrap();
    for stamp in metas.opstamp..metas.opstamp + 20 {
        let name = format!("{segment}.{stamp}.del");
        std::fs::write(index.join(&name), b"half").unwrap();
        listed.push(name);
    }
    let listed = serde_json::to_vec(&listed).unwrap();
    std::fs::write(&managed, store::seal(&listed).unwrap()).unwrap();
    let shard = open(dir.path());
    shard.delete(1, "3", Condition::default()).unwrap();
    shard.refresh().unwrap();
    assert_eq!(searchable(&shard).len(), 9);
}

#[test]
fn a_copy_of_an_earlier_version_opens_and_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    committed(dir.path());
    let expected = contents(&open(dir.path()));
    // As it was before lists had checksums.
    for name in [store::META_FILE, store::MANAGED_FILE] {
        let path = dir.path().join("index").join(name);
        let text = store::unseal(&std::fs::read(&path).unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    // Nor did a translog know what was synced.
    std::fs::remove_file(dir.path().join("translog/synced.ckp")).unwrap();
    let checkpoint = dir.path().join("translog/translog.ckp");
    let content = std::fs::read(&checkpoint).unwrap();
    let mut first = content[8..content.len() - 4].to_vec();
    first.extend(crc32fast::hash(&first).to_le_bytes());
    std::fs::write(checkpoint, first).unwrap();
    let state = serde_json::to_vec(&identity("a")).unwrap();
    std::fs::write(dir.path().join("_state"), &state).unwrap();
    // What a replica goes through that comes back.
    Shard::adopt(dir.path(), &AllocationId("b".into())).unwrap();
    assert_eq!(contents(&open(dir.path())), expected);
    let sealed = std::fs::read(dir.path().join("index/meta.json")).unwrap();
    assert!(store::unseal(&sealed).is_ok());
    // What is newer is refused.
    let newer = String::from_utf8(state)
        .unwrap()
        .replacen('{', "{\"version\":99,", 1);
    std::fs::write(dir.path().join("_state"), newer).unwrap();
    let refused = Shard::open(dir.path(), mapping(), options()).err().unwrap();
    assert!(refused.to_string().contains("[99]"), "{refused}");
}

fn flip(path: &Path, at: u64, bit: u64) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    byte[0] ^= 1 << bit;
    file.write_all_at(&byte, at).unwrap();
}

/// Operations that are kept for other copies only: they are given up, not the copy.
#[test]
fn a_bad_generation_that_the_commit_covers_is_no_longer_offered() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    for n in 0..10 {
        put(&shard, &n.to_string(), n);
    }
    shard.flush().unwrap();
    put(&shard, "10", 10);
    assert!(shard.has_operations_from(5));
    let generation = dir.path().join("translog/translog-2.tlog");
    flip(&generation, 100, 1);
    assert!(shard.operations_reader(5).unwrap().is_none());
    assert!(matches!(
        shard.op_terms_above(5),
        Err(IndexError::NotRetained { .. })
    ));
    assert!(!shard.has_operations_from(5) && shard.has_operations_from(10));
    assert_eq!(n_of(&shard, "5"), Some(5));
    assert_eq!(shard.operations_from(10).unwrap().len(), 1);
    drop(shard);
    assert_eq!(n_of(&open(dir.path()), "10"), Some(10));
}

/// Bytes that were synced are gone from the end of the log.
#[test]
fn a_log_that_has_lost_what_was_synced_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    for n in 0..10 {
        put(&shard, &n.to_string(), n);
        shard.sync().unwrap();
    }
    put(&shard, "unsynced", 1);
    drop(shard);
    cut_log(dir.path(), 30);
    let error = Shard::open(dir.path(), mapping(), options()).err().unwrap();
    assert!(
        matches!(error, IndexError::LostTail { up_to: 9, .. }),
        "{error}"
    );
    let mut accepting = options();
    accepting.lost_tail = crate::LostTail::Accept;
    let shard = Shard::open(dir.path(), mapping(), accepting).unwrap();
    assert_eq!((n_of(&shard, "8"), n_of(&shard, "9")), (Some(8), None));
    shard.sync().unwrap();
    drop(shard);
    // Once accepted it is no longer missed.
    assert_eq!(n_of(&open(dir.path()), "8"), Some(8));
}

#[test]
fn a_log_that_has_lost_only_what_the_commit_holds_opens() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    for n in 0..10 {
        put(&shard, &n.to_string(), n);
    }
    shard.refresh().unwrap();
    drop(shard);
    cut_log(dir.path(), 30);
    let shard = open(dir.path());
    assert_eq!(n_of(&shard, "9"), Some(9));
    assert!(
        !shard.has_operations_from(5),
        "others must not be fed from a log with a hole"
    );
    put(&shard, "10", 10);
    assert!(shard.has_operations_from(10));
}

fn cut_log(shard: &Path, bytes: u64) {
    let log = files(shard)
        .into_iter()
        .filter(|(file, _)| file.extension().is_some_and(|kind| kind == "tlog"))
        .max_by_key(|(_, length)| *length)
        .unwrap();
    let file = std::fs::File::options()
        .write(true)
        .open(shard.join(&log.0))
        .unwrap();
    file.set_len(log.1 - bytes).unwrap();
}
