use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::testing::{StoreBuilder, Suite, blank_ent, log_id};
use openraft::{EntryPayload, RaftLogReader, RaftSnapshotBuilder};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::*;
use crate::peer::PeerInfo;
use crate::ports::StateMachine;
use crate::raft::{Entry, Proposal, ProposalId, RaftId, StorageError, TypeConfig, Vote};

/// A disk that refuses: the error number of each operation, and how often it is still to come.
#[derive(Default)]
pub(super) struct Faults(Mutex<BTreeMap<&'static str, (i32, usize)>>);

impl Faults {
    pub(super) fn check(&self, operation: &'static str) -> io::Result<()> {
        match self.0.lock().get_mut(operation) {
            Some((error, left)) if *left > 0 => {
                *left -= 1;
                Err(io::Error::from_raw_os_error(*error))
            }
            _ => Ok(()),
        }
    }

    fn set(&self, operations: &[&'static str], error: i32, times: usize) {
        let faults = operations.iter().map(|name| (*name, (error, times)));
        *self.0.lock() = faults.collect();
    }
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;

const UNREADABLE: &[u8] = b"unreadable";

/// Remembers the commands it applied.
#[derive(Default)]
struct Commands(Mutex<Vec<Vec<u8>>>);

impl StateMachine for Commands {
    fn apply(&self, _: u64, command: &[u8]) -> Result<Vec<u8>, String> {
        if command == UNREADABLE {
            return Err("of a later version".to_owned());
        }
        let mut commands = self.0.lock();
        commands.push(command.to_vec());
        Ok(vec![commands.len() as u8])
    }

    fn snapshot(&self) -> Vec<u8> {
        encode(&*self.0.lock())
    }

    fn restore(&self, snapshot: &[u8]) -> Result<(), String> {
        *self.0.lock() = decode(snapshot).map_err(|error| error.to_string())?;
        Ok(())
    }

    fn join_command(&self, _: &PeerInfo) -> Vec<u8> {
        Vec::new()
    }

    fn leave_command(&self, _: NodeId, _: &str) -> Vec<u8> {
        Vec::new()
    }

    fn members(&self) -> Vec<PeerInfo> {
        Vec::new()
    }

    fn bootstrap_command(&self, _: &str) -> Vec<u8> {
        Vec::new()
    }

    fn cluster_uuid(&self) -> Option<String> {
        None
    }
}

fn open(directory: &TempDir) -> Result<(Store, LogStore, MachineStore, Arc<Commands>), Error> {
    let commands = Arc::new(Commands::default());
    let store = Store::open(directory.path(), NodeId::from_bits(1))?;
    let machine = Machine::restore(&store, commands.clone())?;
    let log = LogStore::new(store.clone());
    let machine = MachineStore::new(store.clone(), machine);
    Ok((store, log, machine, commands))
}

fn command(index: u64, id: ProposalId, text: &[u8]) -> Entry {
    Entry {
        log_id: log_id(1, RaftId::from(1), index),
        payload: EntryPayload::Normal(Proposal {
            id,
            command: text.to_vec(),
        }),
    }
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, MachineStore, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, MachineStore), StorageError> {
        let directory = tempfile::tempdir().unwrap();
        let (_, log, machine, _) = open(&directory).unwrap();
        Ok((directory, log, machine))
    }
}

#[test]
fn what_a_crash_left_of_a_new_store_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("coordination.new"), [0; 4096]).unwrap();
    drop(Store::open(dir.path(), NodeId::from_bits(1)).unwrap());
    drop(Store::open(dir.path(), NodeId::from_bits(1)).unwrap());
    assert!(!dir.path().join("coordination.new").exists());
}

#[test]
fn passes_the_suite_of_openraft() {
    Suite::test_all(Builder).unwrap();
}

/// Going on without it would be another state than that of the nodes that can read it.
#[tokio::test]
async fn a_committed_command_that_cannot_be_applied_stops_the_node() {
    let directory = tempfile::tempdir().unwrap();
    let (_, mut log, mut machine, commands) = open(&directory).unwrap();
    let texts = [b"a".as_slice(), UNREADABLE, b"b"];
    let entries: Vec<Entry> = (0..)
        .zip(texts)
        .map(|(index, text)| command(index, ProposalId::random(), text))
        .collect();
    log.blocking_append(entries.clone()).await.unwrap();
    let error = machine.apply(entries).await.unwrap_err();
    assert!(error.to_string().contains("of a later version"), "{error}");
    assert_eq!(*commands.0.lock(), [b"a"]);
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let vote = Vote::new_committed(3, RaftId::from(2));
    {
        let (store, mut log, mut machine, _) = open(&directory).unwrap();
        log.save_vote(&vote).await.unwrap();
        let entries: Vec<Entry> = (0..10)
            .map(|index| command(index, ProposalId::random(), &[index as u8]))
            .collect();
        log.blocking_append(entries.clone()).await.unwrap();
        machine.apply(entries[..6].to_vec()).await.unwrap();
        let mut builder = machine.get_snapshot_builder().await;
        builder.build_snapshot().await.unwrap();
        log.purge(entries[4].log_id).await.unwrap();
        log.truncate(entries[8].log_id).await.unwrap();
        store.close();
        assert!(log.read_vote().await.is_err(), "closed");
    }
    let (_, mut log, mut machine, commands) = open(&directory).unwrap();
    assert_eq!(log.read_vote().await.unwrap(), Some(vote));
    let state = log.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id.unwrap().index, 4);
    assert_eq!(state.last_log_id.unwrap().index, 7);
    let rest = log.try_get_log_entries(..).await.unwrap();
    assert_eq!(rest.len(), 3);
    assert_eq!(machine.applied_state().await.unwrap().0.unwrap().index, 5);
    assert_eq!(commands.0.lock().len(), 6);
}

#[tokio::test]
async fn a_log_purged_beyond_the_snapshot_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    {
        let (_, mut log, mut machine, _) = open(&directory).unwrap();
        let entries: Vec<Entry> = (0..10).map(|i| blank_ent(1, RaftId::from(1), i)).collect();
        log.blocking_append(entries.clone()).await.unwrap();
        machine.apply(entries[..4].to_vec()).await.unwrap();
        machine
            .get_snapshot_builder()
            .await
            .build_snapshot()
            .await
            .unwrap();
        log.purge(entries[3].log_id).await.unwrap();
    }
    {
        let (_, mut log, _, _) = open(&directory).unwrap();
        log.purge(log_id(1, RaftId::from(1), 7)).await.unwrap();
    }
    let Err(error) = open(&directory) else {
        panic!("a store without its state was opened");
    };
    assert!(matches!(error, Error::SnapshotMissing { .. }));
    let text = error.to_string();
    assert!(
        text.contains("removed but the newest snapshot ends at"),
        "{text}"
    );
}

#[tokio::test]
async fn a_repeated_proposal_is_applied_once_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let id = ProposalId::random();
    {
        let (_, _, mut machine, commands) = open(&directory).unwrap();
        let replies = machine
            .apply([command(1, id, b"x"), command(2, id, b"x")])
            .await
            .unwrap();
        assert_eq!(
            (replies[0].0.clone(), replies[1].0.clone()),
            (vec![1], vec![1])
        );
        assert_eq!(commands.0.lock().len(), 1);
        machine
            .get_snapshot_builder()
            .await
            .build_snapshot()
            .await
            .unwrap();
    }
    let (_, _, mut machine, commands) = open(&directory).unwrap();
    let replies = machine.apply([command(3, id, b"x")]).await.unwrap();
    assert_eq!(replies[0].0, vec![1]);
    assert_eq!(commands.0.lock().len(), 1);
}

#[tokio::test]
async fn an_older_snapshot_never_replaces_a_newer_one() {
    let directory = tempfile::tempdir().unwrap();
    let (_, _, mut machine, commands) = open(&directory).unwrap();
    machine
        .apply([command(1, ProposalId::random(), b"a")])
        .await
        .unwrap();
    let mut slow = machine.get_snapshot_builder().await;
    machine
        .apply([command(2, ProposalId::random(), b"b")])
        .await
        .unwrap();
    let mut quick = machine.get_snapshot_builder().await;
    let newer = quick.build_snapshot().await.unwrap();
    slow.build_snapshot().await.unwrap();
    let current = machine.get_current_snapshot().await.unwrap().unwrap();
    assert_eq!(current.meta, newer.meta);

    // One that the state machine cannot read changes nothing.
    let garbage = Box::new(std::io::Cursor::new(b"garbage".to_vec()));
    assert!(
        machine
            .install_snapshot(&newer.meta, garbage)
            .await
            .is_err()
    );
    assert_eq!(commands.0.lock().len(), 2);
    assert!(machine.get_current_snapshot().await.unwrap().is_some());
}

#[tokio::test]
async fn a_restarted_master_must_be_elected_again() {
    let directory = tempfile::tempdir().unwrap();
    for (voted_for, committed_after) in [(1, false), (2, true)] {
        let vote = Vote::new_committed(5, RaftId::from(voted_for));
        {
            let (_, mut log, _, _) = open(&directory).unwrap();
            log.save_vote(&vote).await.unwrap();
        }
        let (_, mut log, _, _) = open(&directory).unwrap();
        let stored = log.read_vote().await.unwrap().unwrap();
        assert_eq!(stored.leader_id, vote.leader_id);
        assert_eq!(stored.committed, committed_after);
    }
}

#[tokio::test]
async fn replication_batches_are_bounded_but_never_empty() {
    let directory = tempfile::tempdir().unwrap();
    let (_, mut log, _, _) = open(&directory).unwrap();
    let large = vec![0; 3 << 20];
    let entries: Vec<Entry> = (0..4)
        .map(|index| command(index, ProposalId::random(), &large))
        .collect();
    log.blocking_append(entries).await.unwrap();
    let batch = log.limited_get_log_entries(0, 4).await.unwrap();
    assert_eq!(batch.len(), 2);
    let batch = log.limited_get_log_entries(3, 4).await.unwrap();
    assert_eq!(batch.len(), 1);
}

fn entries(indexes: std::ops::Range<u64>) -> Vec<Entry> {
    let text = vec![7; 10_000];
    indexes
        .map(|index| command(index, ProposalId::random(), &text))
        .collect()
}

async fn until_stalled(store: &Store, reason: &str) {
    loop {
        let stall = store.stalled();
        if stall.is_some_and(|stall| stall.reason.is_some_and(|text| text.contains(reason))) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// For openraft a failed write is the end: it must never see one.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_the_disk_refuses_is_made_when_it_can_be() {
    let cases: [(&[&'static str], i32, &str); 3] = [
        (&["write", "grow"], ENOSPC, "No space left"),
        (&["sync"], EIO, "Input/output error"),
        (&["write", "grow", "open"], EROFS, "Read-only file system"),
    ];
    for (operations, error, reason) in cases {
        let directory = tempfile::tempdir().unwrap();
        let (store, mut log, _, _) = open(&directory).unwrap();
        log.blocking_append(entries(0..3)).await.unwrap();
        let faults = &store.inner.file.faults;
        faults.set(operations, error, usize::MAX);
        let appended = tokio::spawn({
            let mut log = log.clone();
            async move { log.blocking_append(entries(3..6)).await }
        });
        until_stalled(&store, reason).await;
        assert!(!appended.is_finished(), "{reason}");
        if !operations.contains(&"open") {
            assert!(log.try_get_log_entries(0..3).await.unwrap().len() == 3);
        }
        faults.set(&[], 0, 0);
        appended.await.unwrap().unwrap();
        assert_eq!(store.stalled(), None);
        assert_eq!(log.try_get_log_entries(..).await.unwrap().len(), 6);
        store.close();
        let (_, mut log, _, _) = open(&directory).unwrap();
        assert_eq!(log.try_get_log_entries(..).await.unwrap().len(), 6);
    }
}

/// What was written before a failed sync may never reach the disk: only another file proves anything.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_failed_sync_the_file_is_another() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut log, _, _) = open(&directory).unwrap();
    log.blocking_append(entries(0..3)).await.unwrap();
    let inode = || std::fs::metadata(&store.inner.path).unwrap().ino();
    // Held open, so that its number is not given to another.
    let _old = std::fs::File::open(&store.inner.path).unwrap();
    let before = inode();
    let faults = &store.inner.file.faults;
    faults.set(&["write"], ENOSPC, 1);
    log.blocking_append(entries(3..6)).await.unwrap();
    assert_eq!(inode(), before);
    faults.set(&["sync"], EIO, 1);
    log.blocking_append(entries(6..9)).await.unwrap();
    assert_ne!(inode(), before);
    assert_eq!(log.try_get_log_entries(..).await.unwrap().len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_costs_the_reserve_first() {
    let directory = tempfile::tempdir().unwrap();
    let (store, mut log, _, _) = open(&directory).unwrap();
    assert!(store.inner.reserve.is_held());
    store.inner.file.faults.set(&["grow"], ENOSPC, 1);
    log.blocking_append(entries(0..800)).await.unwrap();
    assert!(!store.inner.reserve.is_held());
    assert_eq!(log.try_get_log_entries(..).await.unwrap().len(), 800);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_the_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let (store, log, _, _) = open(&directory).unwrap();
    store
        .inner
        .file
        .faults
        .set(&["write", "grow"], ENOSPC, usize::MAX);
    let appended = tokio::spawn({
        let mut log = log.clone();
        async move { log.blocking_append(entries(0..3)).await }
    });
    until_stalled(&store, "No space").await;
    store.close();
    assert!(appended.await.unwrap().is_err());
}

#[test]
fn a_store_of_a_later_version_is_refused_with_words() {
    let directory = TempDir::new().unwrap();
    let local = NodeId::from_bits(1);
    let store = Store::open(directory.path(), local).unwrap();
    assert_eq!(store.read_record::<u32>(FORMAT_KEY).unwrap(), Some(FORMAT));
    store.write_record(FORMAT_KEY, &(FORMAT + 1)).unwrap();
    // What a later version would no longer call the owner.
    store.write_record(NODE_ID, &"elsewhere").unwrap();
    store.close();
    drop(store);
    let Err(error) = Store::open(directory.path(), local) else {
        panic!("opened");
    };
    let error = error.to_string();
    assert!(
        error.contains("it has format [2], and this version ["),
        "{error}"
    );
}
