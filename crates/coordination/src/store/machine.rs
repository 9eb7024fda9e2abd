//! The state machine and its snapshots, as openraft wants them.
//!
//! Around the application's state this keeps what consensus needs beside it: the last applied
//! entry, the membership, and the replies to recent commands, so that a command submitted twice is
//! applied once.

use std::collections::{HashMap, VecDeque};
use std::io::Cursor;
use std::sync::Arc;

use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder, StorageIOError};
use parking_lot::Mutex;
use redb::{Durability, ReadableTable};
use ringwall_base::encoding::{decode, encode};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::log::any;
use super::{CLUSTER_UUID, Failure, META, SNAPSHOT, Store, StoredSnapshot};
use crate::error::Error;
use crate::ports::StateMachine;
use crate::raft::{
    Entry, LogId, ProposalId, Reply, Snapshot, SnapshotMeta, StorageError, StoredMembership,
    TypeConfig,
};

/// The applied state: the application's and ours. Shared between openraft and the rest of the crate.
pub(crate) struct Machine {
    application: Arc<dyn StateMachine>,
    position: Mutex<Position>,
    applied_index: watch::Sender<u64>,
    cluster_uuid: watch::Sender<Option<String>>,
}

/// Where the applied state stands.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Position {
    applied: Option<LogId>,
    membership: StoredMembership,
    recent: RecentReplies,
}

impl Machine {
    /// Returns the machine in the state of the stored snapshot, or empty.
    pub(crate) fn restore(
        store: &Store,
        application: Arc<dyn StateMachine>,
    ) -> Result<Arc<Self>, Error> {
        let machine = Self {
            application,
            position: Mutex::default(),
            applied_index: watch::Sender::new(0),
            cluster_uuid: watch::Sender::new(store.read_record(CLUSTER_UUID)?),
        };
        if let Some(snapshot) = store.read_record::<StoredSnapshot>(SNAPSHOT)? {
            machine
                .install(store, &snapshot.data)
                .map_err(|failure| Error::Restore {
                    reason: failure.to_string(),
                })?;
        }
        Ok(Arc::new(machine))
    }

    /// Returns the application's state machine.
    pub(crate) fn application(&self) -> &dyn StateMachine {
        self.application.as_ref()
    }

    /// Returns a receiver of the index of the last applied entry.
    pub(crate) fn applied_index(&self) -> watch::Receiver<u64> {
        self.applied_index.subscribe()
    }

    /// Returns the UUID of the cluster this node is locked into.
    pub(crate) fn cluster_uuid(&self) -> Option<String> {
        self.cluster_uuid.borrow().clone()
    }

    fn apply(&self, store: &Store, entries: Vec<Entry>) -> Result<Vec<Reply>, Failure> {
        let mut position = self.position.lock();
        let mut replies = Vec::with_capacity(entries.len());
        for entry in entries {
            let log_id = entry.log_id;
            let reply = match entry.payload {
                EntryPayload::Blank => Reply::default(),
                EntryPayload::Membership(membership) => {
                    position.membership = StoredMembership::new(Some(log_id), membership);
                    Reply::default()
                }
                EntryPayload::Normal(proposal) => match position.recent.get(proposal.id) {
                    Some(reply) => reply,
                    None => {
                        let applied = self.application.apply(log_id.index, &proposal.command);
                        let reply = Reply(applied.map_err(Failure::Apply)?);
                        position.recent.insert(proposal.id, reply.clone());
                        reply
                    }
                },
            };
            position.applied = Some(log_id);
            replies.push(reply);
        }
        let applied = position.applied;
        drop(position);
        self.announce(store, applied)?;
        Ok(replies)
    }

    fn install(&self, store: &Store, data: &[u8]) -> Result<(), Failure> {
        let content: SnapshotContent = decode(data)?;
        self.application
            .restore(&content.application)
            .map_err(Failure::Restore)?;
        let applied = content.position.applied;
        *self.position.lock() = content.position;
        self.announce(store, applied)
    }

    /// Locks the node into the cluster's UUID once known, then tells who waits for progress.
    fn announce(&self, store: &Store, applied: Option<LogId>) -> Result<(), Failure> {
        if self.cluster_uuid.borrow().is_none()
            && let Some(uuid) = self.application.cluster_uuid()
        {
            store.write_meta(CLUSTER_UUID, &uuid, Durability::Immediate)?;
            self.cluster_uuid.send_replace(Some(uuid));
        }
        if let Some(applied) = applied {
            self.applied_index.send_replace(applied.index);
        }
        Ok(())
    }

    fn capture(&self) -> StoredSnapshot {
        let position = self.position.lock().clone();
        let meta = SnapshotMeta {
            last_log_id: position.applied,
            last_membership: position.membership.clone(),
            snapshot_id: match position.applied {
                Some(applied) => format!("{applied}-{:016x}", rand::random::<u64>()),
                None => "empty".to_owned(),
            },
        };
        let content = SnapshotContent {
            position,
            application: self.application.snapshot(),
        };
        StoredSnapshot {
            meta,
            data: encode(&content),
        }
    }
}

/// What a snapshot holds.
#[derive(Serialize, Deserialize)]
struct SnapshotContent {
    position: Position,
    #[serde(with = "serde_bytes")]
    application: Vec<u8>,
}

/// Replies to the newest commands, by proposal. Part of the replicated state: all nodes must agree
/// on what is a repetition.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(ProposalId, Reply)>", into = "Vec<(ProposalId, Reply)>")]
struct RecentReplies {
    order: VecDeque<ProposalId>,
    replies: HashMap<ProposalId, Reply>,
}

impl RecentReplies {
    fn get(&self, id: ProposalId) -> Option<Reply> {
        self.replies.get(&id).cloned()
    }

    fn insert(&mut self, id: ProposalId, reply: Reply) {
        if self.order.len() >= RECENT_REPLIES
            && let Some(oldest) = self.order.pop_front()
        {
            self.replies.remove(&oldest);
        }
        self.order.push_back(id);
        self.replies.insert(id, reply);
    }
}

impl From<Vec<(ProposalId, Reply)>> for RecentReplies {
    fn from(items: Vec<(ProposalId, Reply)>) -> Self {
        let mut recent = Self::default();
        for (id, reply) in items {
            recent.insert(id, reply);
        }
        recent
    }
}

impl From<RecentReplies> for Vec<(ProposalId, Reply)> {
    fn from(mut recent: RecentReplies) -> Self {
        let mut items = Vec::with_capacity(recent.order.len());
        for id in recent.order {
            if let Some(reply) = recent.replies.remove(&id) {
                items.push((id, reply));
            }
        }
        items
    }
}

/// How many replies are remembered. A command is repeated only within its own deadline, and far
/// fewer commands than this are applied meanwhile.
const RECENT_REPLIES: usize = 1000;

/// A [`Machine`] with its store, in the hands of openraft.
#[derive(Clone)]
pub(crate) struct MachineStore {
    store: Store,
    machine: Arc<Machine>,
}

impl MachineStore {
    pub(crate) fn new(store: Store, machine: Arc<Machine>) -> Self {
        Self { store, machine }
    }
}

impl RaftStateMachine<TypeConfig> for MachineStore {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        let position = self.machine.position.lock();
        Ok((position.applied, position.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let machine = self.machine.clone();
        self.store
            .blocking(move |store| machine.apply(store, entries))
            .await
            .map_err(|failure| StorageIOError::write_state_machine(any(&failure)).into())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        // Captured here and not later: nothing is applied between this call and the next.
        let machine = self.machine.clone();
        let captured = self.store.blocking(move |_| Ok(machine.capture())).await;
        SnapshotBuilder {
            store: self.store.clone(),
            captured: Some(captured),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let machine = self.machine.clone();
        let stored = StoredSnapshot {
            meta: meta.clone(),
            data: snapshot.into_inner(),
        };
        // The state machine first: a snapshot it refuses must not replace the good one.
        self.store
            .blocking(move |store| {
                machine.install(store, &stored.data)?;
                save_snapshot(store, &stored)
            })
            .await
            .map_err(|failure| {
                StorageIOError::write_snapshot(Some(meta.signature()), any(&failure)).into()
            })
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let stored = self
            .store
            .blocking(|store| store.read_meta::<StoredSnapshot>(SNAPSHOT))
            .await
            .map_err(|failure| StorageIOError::read_snapshot(None, any(&failure)))?;
        Ok(stored.map(into_snapshot))
    }
}

/// Holds a captured state until it is on disk.
pub(crate) struct SnapshotBuilder {
    store: Store,
    captured: Option<Result<StoredSnapshot, Failure>>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let captured = self.captured.take().unwrap_or(Err(Failure::Interrupted(
            "the snapshot was already built".to_owned(),
        )));
        let written = match captured {
            Ok(stored) => {
                self.store
                    .blocking(move |store| save_snapshot(store, &stored).map(|()| stored))
                    .await
            }
            Err(failure) => Err(failure),
        };
        written
            .map(into_snapshot)
            .map_err(|failure| StorageIOError::write_snapshot(None, any(&failure)).into())
    }
}

fn into_snapshot(stored: StoredSnapshot) -> Snapshot {
    Snapshot {
        meta: stored.meta,
        snapshot: Box::new(Cursor::new(stored.data)),
    }
}

/// Stores a snapshot durably, unless the store already has a newer one: a snapshot being built may
/// be overtaken by one that arrives from the master.
fn save_snapshot(store: &Store, snapshot: &StoredSnapshot) -> Result<(), Failure> {
    let bytes = encode(snapshot);
    store.write(Durability::Immediate, |transaction| {
        let mut meta = transaction.open_table(META)?;
        let existing = match meta.get(SNAPSHOT)? {
            Some(existing) => Some(decode::<StoredSnapshot>(existing.value())?.meta.last_log_id),
            None => None,
        };
        if existing.is_none_or(|existing| existing <= snapshot.meta.last_log_id) {
            meta.insert(SNAPSHOT, bytes.as_slice())?;
        }
        Ok(())
    })
}
