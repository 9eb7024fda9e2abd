//! Tests of the engine as a whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use ringwall_api::document::{VersionType, WriteResult};
use ringwall_base::{AllocationId, IndexId, SeqNo, ShardId, Term};
use serde_json::json;

use super::*;
use crate::{Operation, OperationKind, parse_document};

mod crash;
mod merge;
mod model;
mod rot;
mod together;
mod view;

fn mapping() -> Arc<Mapping> {
    let json = json!({"properties": {"n": {"type": "long"}, "t": {"type": "text"}}});
    Arc::new(Mapping::parse(&json).unwrap())
}

fn identity(allocation_id: &str) -> ShardIdentity {
    ShardIdentity {
        shard: ShardId {
            index: IndexId {
                name: "i".into(),
                uuid: "u".into(),
            },
            shard: 0,
        },
        allocation_id: AllocationId(allocation_id.into()),
        lineage: Vec::new(),
        history_uuid: "h".into(),
        primary_term: 1,
    }
}

fn options() -> ShardOptions {
    ShardOptions {
        gc_deletes: Duration::ZERO,
        ..ShardOptions::default()
    }
}

fn create(path: &Path) -> Shard {
    let new = NewShard {
        identity: identity("a"),
    };
    Shard::create(path, new, &mapping()).unwrap();
    open(path)
}

fn open(path: &Path) -> Shard {
    Shard::open(path, mapping(), options()).unwrap()
}

fn source(n: i64) -> Bytes {
    Bytes::from(format!(r#"{{"n":{n},"t":"text of {n}"}}"#))
}

fn put_if(shard: &Shard, id: &str, n: i64, condition: Condition) -> Result<Applied> {
    let document = parse_document(&shard.mapping(), id, None, source(n))?;
    shard.index(1, document, condition, false)
}

fn put(shard: &Shard, id: &str, n: i64) -> Applied {
    put_if(shard, id, n, Condition::default()).unwrap()
}

fn n_of(shard: &Shard, id: &str) -> Option<i64> {
    let document = shard.get(id, &View::whole()).unwrap()?;
    let value: serde_json::Value = serde_json::from_slice(&document.source).unwrap();
    value["n"].as_i64()
}

/// Ids and contents as searches see them.
fn searchable(shard: &Shard) -> Vec<(String, SeqNo, u64, String)> {
    let searcher = shard.acquire_searcher(&View::whole()).unwrap();
    let mut found = Vec::new();
    for (ord, segment) in searcher.leaves().enumerate() {
        for doc in segment.docs() {
            let address = tantivy::DocAddress::new(ord as u32, doc);
            let id = searcher.document(address).unwrap().id;
            let got = shard
                .by_id(&View::whole())
                .get_searchable(&id)
                .unwrap()
                .unwrap();
            let source = String::from_utf8(got.source.to_vec()).unwrap();
            found.push((id, got.seq_no, got.version, source));
        }
    }
    found.sort();
    found
}

/// Copies a directory as a crash would leave it. Merges go on in the background: a copy during
/// which files came or went shows no single moment, and is made again.
fn copy_dir(from: &Path, to: &Path) {
    loop {
        let before = files(from);
        std::fs::create_dir_all(to).unwrap();
        let copied = before.iter().all(|(file, _)| {
            let target = to.join(file);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            std::fs::copy(from.join(file), target).is_ok()
        });
        if copied && files(from) == before {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
    }
}

/// Relative path and length of every file.
fn files(root: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match std::fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => directories.push(path),
                Ok(metadata) => {
                    let relative = path.strip_prefix(root).unwrap().to_owned();
                    found.push((relative, metadata.len()));
                }
                Err(_) => continue,
            }
        }
    }
    found.sort();
    found
}

#[test]
fn documents_are_readable_at_once_and_searchable_after_a_refresh() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    let first = put(&shard, "1", 10);
    assert_eq!((first.version, first.result), (1, WriteResult::Created));
    assert_eq!(n_of(&shard, "1"), Some(10));
    assert!(searchable(&shard).is_empty() && shard.needs_refresh());
    shard.refresh().unwrap();
    assert!(!shard.needs_refresh());
    assert_eq!(searchable(&shard).len(), 1);

    let second = put(&shard, "1", 11);
    assert_eq!((second.version, second.result), (2, WriteResult::Updated));
    assert_eq!((n_of(&shard, "1"), searchable(&shard)[0].1), (Some(11), 0));
    let deleted = shard.delete(1, "1", Condition::default()).unwrap();
    assert_eq!((deleted.version, deleted.result), (3, WriteResult::Deleted));
    assert_eq!(n_of(&shard, "1"), None);
    let again = shard.delete(1, "1", Condition::default()).unwrap();
    assert_eq!(again.result, WriteResult::NotFound);
    shard.refresh().unwrap();
    assert!(searchable(&shard).is_empty());
    assert_eq!((shard.max_seq_no(), shard.local_checkpoint()), (3, 3));
}

#[test]
fn conditions_decide_and_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    put(&shard, "1", 1);
    let condition = |seq_no, term| Condition {
        if_seq_no: Some(seq_no),
        if_primary_term: Some(term),
        ..Condition::default()
    };
    let external = |version_type, version| Condition {
        version: Some(version),
        version_type,
        ..Condition::default()
    };
    let create_only = Condition {
        create: true,
        ..Condition::default()
    };
    let cases = [
        (
            "1",
            condition(5, 1),
            "[1]: version conflict, required seqNo [5], primary term [1]. current document has \
             seqNo [0] and primary term [1]",
        ),
        (
            "2",
            condition(5, 1),
            "[2]: version conflict, required seqNo [5], primary term [1]. but no document was found",
        ),
        (
            "1",
            create_only,
            "[1]: version conflict, document already exists (current version [1])",
        ),
        (
            "1",
            external(VersionType::External, 1),
            "[1]: version conflict, current version [1] is higher or equal to the one provided [1]",
        ),
        (
            "1",
            external(VersionType::ExternalGte, 0),
            "[1]: version conflict, current version [1] is higher than the one provided [0]",
        ),
    ];
    for refreshed in [false, true] {
        for (id, condition, expected) in &cases {
            let error = put_if(&shard, id, 9, *condition).unwrap_err();
            assert!(!error.is_fatal());
            let error = ringwall_api::ApiError::from(error);
            assert_eq!(
                (error.status, error.reason.as_str()),
                (409, *expected),
                "{refreshed}"
            );
        }
        shard.refresh().unwrap();
    }
    assert_eq!(n_of(&shard, "1"), Some(1));
    put_if(&shard, "1", 2, condition(0, 1)).unwrap();
    let applied = put_if(&shard, "1", 3, external(VersionType::External, 77)).unwrap();
    assert_eq!(applied.version, 77);
    assert_eq!(
        shard.max_seq_no(),
        2,
        "a refused write takes no sequence number"
    );
}

#[test]
fn a_restart_finds_what_was_synced_whatever_was_refreshed_or_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shard");
    let shard = create(&path);
    for n in 0..30 {
        put(&shard, &format!("{}", n % 10), n);
        match n {
            7 => shard.refresh().unwrap(),
            13 => shard.flush().unwrap(),
            21 => drop(shard.delete(1, "3", Condition::default()).unwrap()),
            _ => {}
        }
    }
    shard.sync().unwrap();
    // As a crash leaves it: nothing of the writer's memory is on disk.
    let crashed = dir.path().join("crashed");
    copy_dir(&path, &crashed);
    let reopened = open(&crashed);
    for id in 0..10 {
        let id = id.to_string();
        assert_eq!(n_of(&reopened, &id), n_of(&shard, &id), "{id}");
    }
    shard.refresh().unwrap();
    assert_eq!(searchable(&reopened), searchable(&shard));
    assert_eq!(reopened.max_seq_no(), shard.max_seq_no());
    assert_eq!(reopened.persisted_local_checkpoint(), 30);
    // Versions go on where they were.
    assert_eq!(
        put(&reopened, "5", 99).version,
        put(&shard, "5", 99).version
    );
}

#[test]
fn a_flush_lets_the_translog_go_and_retention_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let new = NewShard {
        identity: identity("a"),
    };
    Shard::create(dir.path(), new, &mapping()).unwrap();
    let small = ShardOptions {
        translog_retention: ringwall_base::ByteSizeValue::from_bytes(0),
        ..options()
    };
    let shard = Shard::open(dir.path(), mapping(), small).unwrap();
    for n in 0..10 {
        put(&shard, &n.to_string(), n);
    }
    let guard = shard.retain_operations(4).unwrap();
    shard.set_global_checkpoint(9);
    shard.flush().unwrap();
    assert!(shard.has_operations_from(4));
    drop(guard);
    put(&shard, "x", 10);
    shard.set_global_checkpoint(10);
    shard.flush().unwrap();
    assert!(!shard.has_operations_from(4) && shard.has_operations_from(11));
    assert!(shard.operations_from(4).is_err());
    drop(shard);
    let reopened = Shard::open(dir.path(), mapping(), options()).unwrap();
    assert_eq!(searchable(&reopened).len(), 11);
}

#[test]
fn a_promoted_copy_fills_its_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    for seq_no in [0, 1, 4, 6] {
        shard
            .apply(&operation(seq_no, 1, &seq_no.to_string()))
            .unwrap();
    }
    assert_eq!((shard.local_checkpoint(), shard.max_seq_no()), (1, 6));
    let filled = shard.fill_gaps(2).unwrap();
    let numbers: Vec<SeqNo> = filled.iter().map(|operation| operation.seq_no).collect();
    assert_eq!(numbers, [2, 3, 5]);
    assert_eq!(shard.local_checkpoint(), 6);
    assert_eq!(shard.fill_gaps(2).unwrap(), []);
    let expected = [(0, 1), (1, 1), (2, 2), (3, 2), (4, 1), (5, 2), (6, 1)];
    assert_eq!(shard.op_terms_above(-1).unwrap(), expected);
    let late = shard.apply(&operation(3, 1, "3")).unwrap_err();
    assert!(
        matches!(
            late,
            IndexError::Diverged {
                seq_no: 3,
                held: 2,
                got: 1
            }
        ),
        "{late}"
    );
    assert!(shard.failure().is_none());
}

fn operation(seq_no: SeqNo, term: Term, id: &str) -> Operation {
    Operation {
        seq_no,
        primary_term: term,
        kind: OperationKind::Index {
            id: id.to_owned(),
            routing: None,
            version: 1,
            source: source(seq_no),
        },
        origin: None,
    }
}

#[test]
fn a_copy_of_the_files_and_the_operations_after_them_is_the_same_copy() {
    let dir = tempfile::tempdir().unwrap();
    let (source_path, target_path) = (dir.path().join("0"), dir.path().join("1"));
    let shard = create(&source_path);
    for n in 0..20 {
        put(&shard, &(n % 7).to_string(), n);
        if n % 6 == 0 {
            shard.refresh().unwrap();
        }
    }
    let snapshot = shard.recovery_snapshot().unwrap();
    // What comes later does not change the snapshot.
    for n in 20..40 {
        put(&shard, &(n % 9).to_string(), n);
        shard.refresh().unwrap();
    }
    shard.flush().unwrap();
    let commit = snapshot.commit().clone();
    install(&snapshot, &target_path);
    let target = open(&target_path);
    assert_eq!(target.local_checkpoint(), 19);
    for operation in shard.operations_from(commit.local_checkpoint + 1).unwrap() {
        target.apply(&operation).unwrap();
    }
    target.refresh().unwrap();
    assert_eq!(searchable(&target), searchable(&shard));
    drop(snapshot);
    drop(shard);
    drop(target);
    assert_eq!(
        searchable(&open(&target_path)),
        searchable(&open(&source_path))
    );
}

fn install(snapshot: &RecoverySnapshot, target: &Path) {
    let files = snapshot.files().to_vec();
    let mut installer =
        ShardInstaller::begin(target, files.clone(), snapshot.commit().clone()).unwrap();
    for file in &files {
        let mut offset = 0;
        while offset < file.length {
            let bytes = snapshot.read_chunk(&file.name, offset, 1000).unwrap();
            installer.write_chunk(&file.name, offset, &bytes).unwrap();
            offset += bytes.len() as u64;
        }
    }
    installer.finish(identity("b")).unwrap();
}

#[test]
fn a_damaged_file_is_not_installed() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(&dir.path().join("0"));
    put(&shard, "1", 1);
    let snapshot = shard.recovery_snapshot().unwrap();
    let target = dir.path().join("1");
    let files = snapshot.files().to_vec();
    let mut installer =
        ShardInstaller::begin(&target, files.clone(), snapshot.commit().clone()).unwrap();
    for file in &files {
        let length = file.length as u32;
        let mut bytes = snapshot.read_chunk(&file.name, 0, length).unwrap().to_vec();
        bytes[0] ^= 1;
        installer.write_chunk(&file.name, 0, &bytes).unwrap();
    }
    assert!(matches!(
        installer.finish(identity("b")),
        Err(IndexError::Recovery { .. })
    ));
    assert!(!target.exists());
    let mut escape = files[0].clone();
    escape.name = "../x".into();
    let refused = ShardInstaller::begin(&target, vec![escape], snapshot.commit().clone());
    assert!(matches!(refused, Err(IndexError::Recovery { .. })));
}

#[test]
fn another_allocation_id_remembers_the_earlier_ones_until_settled() {
    let dir = tempfile::tempdir().unwrap();
    drop(create(dir.path()));
    let id = |text: &str| AllocationId(text.into());
    Shard::adopt(dir.path(), &id("b")).unwrap();
    Shard::adopt(dir.path(), &id("c")).unwrap();
    let shard = open(dir.path());
    assert_eq!(shard.identity().allocation_id, id("c"));
    assert_eq!(shard.identity().lineage, [id("a"), id("b")]);
    shard.settle().unwrap();
    drop(shard);
    assert_eq!(open(dir.path()).identity().lineage, []);
}

#[test]
fn an_idle_writer_is_closed_and_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    assert!(!shard.stats().unwrap().writer_open);
    put(&shard, "1", 1);
    assert!(
        !shard.close_writer_if_idle(Duration::ZERO).unwrap(),
        "not committed yet"
    );
    shard.refresh().unwrap();
    assert!(shard.close_writer_if_idle(Duration::ZERO).unwrap());
    assert!(!shard.stats().unwrap().writer_open);
    put(&shard, "2", 2);
    shard.refresh().unwrap();
    assert_eq!(searchable(&shard).len(), 2);
}

#[test]
fn a_new_id_needs_no_lookup_and_a_late_mapping_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    for n in 0..5 {
        let id = format!("made-{n}");
        let document = parse_document(&shard.mapping(), &id, Some("r"), source(n)).unwrap();
        let applied = shard
            .index(1, document, Condition::default(), true)
            .unwrap();
        assert_eq!((applied.version, applied.result), (1, WriteResult::Created));
    }
    assert_eq!(put(&shard, "made-3", 30).version, 2);
    shard.refresh().unwrap();
    assert_eq!(searchable(&shard).len(), 5);
    let routing = shard
        .get("made-1", &View::whole())
        .unwrap()
        .unwrap()
        .routing;
    assert_eq!(routing.as_deref(), Some("r"));

    let unmapped = Bytes::from_static(br#"{"n":1,"new":"x"}"#);
    let document = parse_document(&shard.mapping(), "x", None, unmapped.clone()).unwrap();
    let update = document.mapping_update.clone().unwrap();
    let refused = shard.index(1, document, Condition::default(), false);
    assert!(matches!(refused, Err(IndexError::MappingBehind { .. })));
    let late = Operation {
        seq_no: 6,
        primary_term: 1,
        kind: OperationKind::Index {
            id: "x".into(),
            routing: None,
            version: 1,
            source: unmapped,
        },
        origin: None,
    };
    let refused = shard.apply(&late).unwrap_err();
    assert!(matches!(refused, IndexError::MappingBehind { .. }) && !refused.is_fatal());
    assert_eq!(shard.max_seq_no(), 5, "a refused operation leaves no trace");
    let merged = shard.mapping().merge(&update).unwrap();
    shard.set_mapping(Arc::new(merged));
    shard.apply(&late).unwrap();
    assert_eq!((shard.local_checkpoint(), n_of(&shard, "x")), (6, Some(1)));
}

#[test]
fn deletes_of_what_is_not_there_do_not_pile_up() {
    let dir = tempfile::tempdir().unwrap();
    let shard = create(dir.path());
    for n in 0..10 {
        shard
            .delete(1, &n.to_string(), Condition::default())
            .unwrap();
    }
    assert!(!shard.needs_refresh());
    shard.refresh().unwrap();
    assert_eq!(shard.stats().unwrap().unrefreshed, 0);
    shard.flush().unwrap();
    drop(shard);
    assert_eq!(open(dir.path()).local_checkpoint(), 9);
}

#[test]
fn a_copy_stops_for_good_at_the_first_failure() {
    for broken in ["index", "translog"] {
        let dir = tempfile::tempdir().unwrap();
        let shard = create(dir.path());
        put(&shard, "1", 1);
        shard.flush().unwrap();
        put(&shard, "2", 2);
        shard.sync().unwrap();
        let path = dir.path().join(broken);
        let aside = dir.path().join("aside");
        std::fs::rename(&path, &aside).unwrap();
        let error = shard.flush().unwrap_err();
        assert!(error.is_fatal(), "{error}");
        assert!(shard.failure().is_some());
        // Not even when the cause has gone away.
        std::fs::rename(&aside, &path).unwrap();
        let stopped = |error: IndexError| matches!(error, IndexError::Stopped(_));
        assert!(stopped(
            put_if(&shard, "3", 3, Condition::default()).unwrap_err()
        ));
        assert!(stopped(shard.apply(&operation(9, 1, "9")).unwrap_err()));
        assert!(stopped(shard.get("1", &View::whole()).unwrap_err()));
        assert!(stopped(shard.refresh().unwrap_err()));
        assert!(stopped(shard.flush().unwrap_err()));
        assert!(stopped(shard.sync().unwrap_err()));
        assert!(
            shard.recovery_snapshot().is_err() && shard.acquire_searcher(&View::whole()).is_err()
        );
        drop(shard);
        let reopened = open(dir.path());
        assert_eq!(
            (n_of(&reopened, "1"), n_of(&reopened, "2")),
            (Some(1), Some(2))
        );
    }
}

/// One operation per sequence number on few ids, as a primary would make them.
fn history() -> impl Strategy<Value = Vec<Operation>> {
    proptest::collection::vec((0..4u8, 0..5u8), 1..25).prop_map(|steps| {
        let mut versions = [0u64; 5];
        steps
            .into_iter()
            .enumerate()
            .map(|(seq_no, (kind, id))| {
                let version = &mut versions[id as usize];
                *version += 1;
                let seq_no = seq_no as SeqNo;
                let id = id.to_string();
                let kind = match kind {
                    0 => OperationKind::Delete {
                        id,
                        version: *version,
                    },
                    _ => OperationKind::Index {
                        id,
                        routing: None,
                        version: *version,
                        source: source(seq_no),
                    },
                };
                Operation {
                    seq_no,
                    primary_term: 1,
                    kind,
                    origin: None,
                }
            })
            .collect()
    })
}

fn shuffled() -> impl Strategy<Value = (Vec<Operation>, Vec<usize>, Vec<bool>)> {
    history().prop_flat_map(|history| {
        // Some operations come twice.
        let order: Vec<usize> = (0..history.len()).chain(0..history.len() / 2).collect();
        let refreshes = proptest::collection::vec(proptest::bool::weighted(0.15), order.len());
        (Just(history), Just(order).prop_shuffle(), refreshes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Source: elastic/elasticsearch-formal-models, `ReplicaEngine`.
    #[test]
    fn any_order_of_operations_ends_in_the_same_documents(
        (history, order, refreshes) in shuffled(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let in_order = create(&dir.path().join("0"));
        for operation in &history {
            in_order.apply(operation).unwrap();
        }
        in_order.refresh().unwrap();
        let path = dir.path().join("1");
        let mut replica = create(&path);
        for (position, index) in order.iter().enumerate() {
            replica.apply(&history[*index]).unwrap();
            if refreshes[position] {
                replica.refresh().unwrap();
            }
        }
        replica.refresh().unwrap();
        prop_assert_eq!(searchable(&replica), searchable(&in_order));
        prop_assert_eq!(replica.local_checkpoint(), history.len() as SeqNo - 1);
        replica.sync().unwrap();
        drop(replica);
        replica = open(&path);
        prop_assert_eq!(searchable(&replica), searchable(&in_order));
    }
}

#[test]
fn a_write_that_is_sent_again_is_answered_as_the_first_time_and_applied_once() {
    let dir = tempfile::tempdir().unwrap();
    let (primary_path, replica_path) = (dir.path().join("0"), dir.path().join("1"));
    let mut shard = create(&primary_path);
    let replica = create(&replica_path);
    let by = |item| Condition {
        by: Some(RequestItem { request: 9, item }),
        ..Condition::default()
    };
    let parsed =
        |shard: &Shard, id: &str| parse_document(&shard.mapping(), id, None, source(1)).unwrap();
    let only_new = |item| Condition {
        create: true,
        ..by(item)
    };
    let unchanged = |item, of: &Applied| Condition {
        if_seq_no: Some(of.operation.seq_no),
        if_primary_term: Some(of.operation.primary_term),
        ..by(item)
    };
    let created = shard
        .index(1, parsed(&shard, "a"), only_new(0), false)
        .unwrap();
    let replaced = shard
        .index(1, parsed(&shard, "a"), unchanged(1, &created), false)
        .unwrap();
    let deleted = shard.delete(1, "a", unchanged(2, &replaced)).unwrap();
    let missed = shard.delete(1, "a", by(3)).unwrap();
    let first = [&created, &replaced, &deleted, &missed];
    for applied in first {
        replica.apply(&applied.operation).unwrap();
    }
    let again = |shard: &Shard, term| {
        [
            shard
                .index(term, parsed(shard, "a"), only_new(0), false)
                .unwrap(),
            shard
                .index(term, parsed(shard, "a"), unchanged(1, &created), false)
                .unwrap(),
            shard.delete(term, "a", unchanged(2, &replaced)).unwrap(),
            shard.delete(term, "a", by(3)).unwrap(),
        ]
    };
    let same = |shard: &Shard, term| {
        for (again, first) in again(shard, term).iter().zip(first) {
            assert_eq!(again, first);
        }
        assert_eq!(shard.max_seq_no(), 3);
        assert!(shard.get("a", &View::whole()).unwrap().is_none());
    };
    same(&shard, 1);
    // The next primary, a restart before and after a flush, and a copy made of the files know it too.
    same(&replica, 2);
    for flush in [false, true] {
        if flush {
            shard.flush().unwrap();
        }
        shard.sync().unwrap();
        drop(shard);
        shard = open(&primary_path);
        same(&shard, 2);
    }
    let other = create(&dir.path().join("2"));
    other.remember_writes(shard.recent_writes());
    assert_eq!(
        other
            .repeated(RequestItem {
                request: 9,
                item: 2
            })
            .unwrap()
            .unwrap()
            .0
            .seq_no,
        2
    );
    // Another request is another write.
    let conflict = shard
        .index(2, parsed(&shard, "b"), Condition::default(), false)
        .unwrap();
    assert_eq!(conflict.operation.seq_no, 4);
}
